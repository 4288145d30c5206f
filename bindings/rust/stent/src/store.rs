//! Stores: a file, a database, or what a program makes one of.

use std::ffi::CString;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stent_sys as sys;

use crate::call::{ask, call, decode, json, milliseconds, text};
use crate::error::Result;
use crate::facade::hear_from_the_start;
use crate::options::{CheckOptions, SqliteOptions};
use crate::records::CheckReport;

/// An open store: a file (`"workflow.db"`), `":memory:"`, or a PostgreSQL database (`"postgresql://user@host/database"`). It
/// is closed when nobody has it any more.
#[derive(Clone)]
pub struct Store(Arc<Handle>);

struct Handle(*mut sys::stent_backend);

// SAFETY: the library's functions may be called on any thread, several at once.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it is ours, and freed once.
        unsafe { sys::stent_backend_free(self.0) }
    }
}

impl Store {
    /// Opens a store, and creates or migrates its schema.
    pub fn open(url: &str) -> Result<Self> {
        Self::open_as(url, None)
    }

    /// As [`Store::open`], for a SQLite file.
    pub fn open_with(url: &str, options: &SqliteOptions) -> Result<Self> {
        Self::open_as(url, Some(json(options)?))
    }

    fn open_as(url: &str, options: Option<CString>) -> Result<Self> {
        let url = text(url)?;
        let options = options.as_ref().map_or(ptr::null(), |options| options.as_ptr());
        // SAFETY: the texts and the place live for the call.
        Self::made(|store, why| unsafe { sys::stent_backend_open(url.as_ptr(), options, store, why) })
    }

    pub(crate) fn made(
        make: impl FnOnce(*mut *mut sys::stent_backend, *mut *mut sys::stent_error) -> sys::stent_status,
    ) -> Result<Self> {
        hear_from_the_start()?;
        let mut store = ptr::null_mut();
        call(|why| make(&mut store, why))?;
        Ok(Self(Arc::new(Handle(store))))
    }

    /// The C handle, for what is not here.
    pub fn handle(&self) -> *mut sys::stent_backend {
        self.0.0
    }

    /// Releases connections, files and locks, whoever has the store. Not in a handler. [`Status::Conflict`]: a worker on it
    /// has not been stopped.
    ///
    /// [`Status::Conflict`]: crate::Status::Conflict
    pub fn close(&self) -> Result<()> {
        // SAFETY: the handle lives.
        call(|why| unsafe { sys::stent_backend_close(self.handle(), why) }).map(|_| ())
    }

    /// Drains and stops the workers on it, closes it, and waits for the last callback. Not in a handler.
    pub fn shutdown(&self, timeout: Option<Duration>) -> Result<()> {
        // SAFETY: the handle lives.
        call(|why| unsafe { sys::stent_backend_shutdown(self.handle(), milliseconds(timeout), why) }).map(|_| ())
    }

    /// Copies the store to a new file, as it is at one moment, while workers go on. For SQLite; other stores have tools of
    /// their own.
    pub fn backup(&self, path: &str) -> Result<()> {
        let path = text(path)?;
        // SAFETY: the handle lives, and the text for the call.
        call(|why| unsafe { sys::stent_backend_backup(self.handle(), path.as_ptr(), ptr::null(), why) }).map(|_| ())
    }

    /// Makes one operation of the backend protocol: the way to look at records and to repair them.
    pub fn call<R: DeserializeOwned>(&self, operation: &str, request: &impl Serialize) -> Result<R> {
        let (operation, request) = (text(operation)?, json(request)?);
        // SAFETY: the handle lives, and the texts for the call.
        decode(&ask(|out, why| unsafe {
            sys::stent_backend_call(self.handle(), operation.as_ptr(), request.as_ptr(), out, why)
        })?)
    }

    /// Runs the conformance suite against the store, whoever wrote it. It wants a store of its own, on which no worker runs. A
    /// case that fails is no error; the report tells of it.
    pub fn check(&self, options: &CheckOptions) -> Result<CheckReport> {
        let options = json(options)?;
        // SAFETY: the handle lives, and the text for the call.
        decode(&ask(|out, why| unsafe { sys::stent_backend_check(self.handle(), options.as_ptr(), out, why) })?)
    }
}
