//! One call of a SQL function: its arguments, its answer, and the work in between.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::{self, NonNull};

use libsqlite3_sys as sqlite;
use sqlite::{sqlite3_context, sqlite3_value};

use crate::backend::sqlite::api::Api;
use crate::backend::sqlite::conn::Connection;
use crate::backend::sqlite::error;
use crate::model::{Error, Result};

/// Lives as long as SQLite's call of the function.
pub struct Call<'c> {
    api: &'static Api,
    context: *mut sqlite3_context,
    arguments: &'c [*mut sqlite3_value],
}

impl<'c> Call<'c> {
    /// # Safety
    /// A SQLite of this table calls a function with these, and it has not returned.
    pub(super) unsafe fn new(
        api: &'static Api,
        context: *mut sqlite3_context,
        count: c_int,
        arguments: *mut *mut sqlite3_value,
    ) -> Self {
        // SAFETY: the caller's promise is ours.
        unsafe {
            let arguments = match usize::try_from(count) {
                Ok(count) if count > 0 => std::slice::from_raw_parts(arguments, count),
                _ => &[],
            };
            Self { api, context, arguments }
        }
    }

    /// An argument as text that is not there when it is NULL, or was not given. Numbers are as they are written.
    pub fn argument(&self, place: usize, name: &'static str) -> Result<Option<&'c [u8]>> {
        let Some(value) = self.arguments.get(place).copied() else { return Ok(None) };
        // SAFETY: SQLite's own values, which are there as long as the call. What it gives belongs to the value.
        let bytes = unsafe {
            match (self.api.sqlite3_value_type)(value) {
                sqlite::SQLITE_NULL => return Ok(None),
                sqlite::SQLITE_BLOB => {
                    return Err(Error::invalid(format!("{name} is a blob; give it as text")).with("parameter", name));
                }
                _ => {}
            }
            let text = (self.api.sqlite3_value_text)(value);
            let length = usize::try_from((self.api.sqlite3_value_bytes)(value)).unwrap_or(0);
            if text.is_null() {
                return Err(Error::backend(format!("SQLite has no memory for {name}")).retryable(true));
            }
            std::slice::from_raw_parts(text, length)
        };
        if bytes.contains(&0) {
            return Err(Error::invalid(format!("{name} has a NUL character in it")).with("parameter", name));
        }
        Ok(Some(bytes))
    }

    /// The pointer of this type that is its only argument. NULL: it is none.
    pub(super) fn pointer(&self, kind: &'static CStr) -> *mut c_void {
        let Some(value) = self.arguments.first() else { return ptr::null_mut() };
        // SAFETY: SQLite's own value; the type's name is a constant.
        unsafe { (self.api.sqlite3_value_pointer)(*value, kind.as_ptr()) }
    }

    /// The connection, lent for as long as the call.
    pub(super) fn connection(&self) -> Result<Connection> {
        // SAFETY: SQLite calls the function on this connection, and so on its thread.
        unsafe {
            let db = (self.api.sqlite3_context_db_handle)(self.context);
            let db = NonNull::new(db).ok_or_else(|| Error::backend("SQLite calls a function without a connection"))?;
            Ok(Connection::lent(self.api, db))
        }
    }

    /// What the function gives: a text or NULL, or the error of the statement that called it. Where that came from SQLite it
    /// has SQLite's code: who waits for locks sees SQLITE_BUSY.
    pub(super) fn answer(&self, outcome: Result<Option<String>>) {
        let Self { api, context, .. } = *self;
        // SAFETY: the call has not returned; SQLite copies the texts.
        unsafe {
            match outcome {
                Ok(None) => (api.sqlite3_result_null)(context),
                Ok(Some(text)) => {
                    let (bytes, length) = (text.as_ptr().cast(), text.len() as u64);
                    let (copied, encoding) = (sqlite::SQLITE_TRANSIENT(), sqlite::SQLITE_UTF8 as u8);
                    (api.sqlite3_result_text64)(context, bytes, length, copied, encoding);
                }
                Err(why) => {
                    let message = why.message();
                    let length = c_int::try_from(message.len()).unwrap_or(c_int::MAX);
                    (api.sqlite3_result_error)(context, message.as_ptr().cast(), length);
                    if let Some(code) = error::code(&why) {
                        (api.sqlite3_result_error_code)(context, code);
                    }
                }
            }
        }
    }
}
