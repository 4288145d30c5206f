//! The library as an extension of a host's SQLite: SQL functions on the host's own connection, in its own transaction. The
//! file is never opened here: two copies of SQLite that have it open in one process may harm each other (`file_locks`).
//!
//! A function's statements run below the host's one, which may be any: a SELECT outside of a transaction, an INSERT, a
//! trigger's. None of these may leave half of the work behind (`work`).

mod call;
mod store;
mod work;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::OnceLock;

use libsqlite3_sys as sqlite;
use sqlite::{sqlite3, sqlite3_context, sqlite3_value};

pub use self::call::Call;
use self::work::apply;
pub use self::work::run;
use super::api::{Api, Function};
use super::error::{self, Refused};
pub use crate::backend::sql::guest::Asked;
use crate::model::{Error, Result, Status};

/// What a SQL function does.
pub type Body = fn(&Call<'_>) -> Result<Option<String>>;

/// A copy of SQLite that has loaded the extension. What SQLite calls is told nothing by which it could find the table of
/// the copy that calls: so each copy gets functions of its own.
struct Loaded {
    table: usize,
    api: Api,
}

static COPIES: [OnceLock<Loaded>; 4] = [const { OnceLock::new() }; 4];
const CALLED: [Function; 4] = [called::<0>, called::<1>, called::<2>, called::<3>];

/// A host's connection, to which functions are added.
pub struct Host {
    api: &'static Api,
    db: NonNull<sqlite3>,
    called: Function,
}

impl Host {
    /// # Safety
    /// Both are what a SQLite has handed to the extension's entry point, which runs.
    ///
    /// # Errors
    /// The host's SQLite is too old, or lacks something.
    pub unsafe fn enter(db: *mut c_void, table: *const c_void) -> Result<Self> {
        let (Some(db), false) = (NonNull::new(db.cast()), table.is_null()) else {
            return Err(Error::invalid("only SQLite calls this, with a connection and the table of its functions"));
        };
        for (copy, called) in COPIES.iter().zip(CALLED) {
            let Loaded { table: of, api } = match copy.get() {
                Some(loaded) => loaded,
                None => {
                    // SAFETY: the caller's promise is ours.
                    let api = unsafe { Api::of_host(table) }?;
                    copy.get_or_init(|| Loaded { table: table.addr(), api })
                }
            };
            if *of == table.addr() {
                let host = Self { api, db, called };
                host.function(c"stent_apply", 1, apply)?;
                return Ok(host);
            }
        }
        Err(Error::new(
            Status::Unsupported,
            format!("{} copies of SQLite in this process have the extension already", CALLED.len()),
        ))
    }

    /// Adds a function of so many arguments; others of its name stay. Triggers and views of the schema may use it, unless
    /// the connection trusts none of them (`trusted_schema`).
    ///
    /// # Errors
    /// The host's SQLite refuses.
    pub fn function(&self, name: &CStr, arguments: c_int, body: Body) -> Result<()> {
        // SAFETY: the connection is open; what is called is a function of this program, and gets its body back.
        let code = unsafe {
            (self.api.sqlite3_create_function_v2)(
                self.db.as_ptr(),
                name.as_ptr(),
                arguments,
                sqlite::SQLITE_UTF8,
                body as *mut c_void,
                Some(self.called),
                None,
                None,
                None,
            )
        };
        if code == sqlite::SQLITE_OK { Ok(()) } else { Err(error::of(Refused::of_code(code))) }
    }
}

/// A copy of a message in the memory of the SQLite whose table this is, which frees it. NULL if there is none, or the
/// table is not one that is known.
///
/// # Safety
/// As [`Host::enter`].
pub unsafe fn message(table: *const c_void, text: &str) -> *mut c_char {
    if table.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: the caller's promise is ours.
    unsafe { super::api::text(table, text) }
}

/// What SQLite calls: nothing of ours crosses the border but an answer or an error.
unsafe extern "C" fn called<const COPY: usize>(
    context: *mut sqlite3_context,
    count: c_int,
    arguments: *mut *mut sqlite3_value,
) {
    // It is there: it has made the function.
    let Some(Loaded { api, .. }) = COPIES[COPY].get() else { return };
    // SAFETY: SQLite calls it with these, and with the body that `Host::function` has given; each is there until it returns.
    let (call, body) = unsafe {
        let body = std::mem::transmute::<*mut c_void, Body>((api.sqlite3_user_data)(context));
        (Call::new(api, context, count, arguments), body)
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| body(&call)));
    call.answer(outcome.unwrap_or_else(|panic| Err(error::panicked(&*panic))));
}
