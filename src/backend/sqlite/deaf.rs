//! Each connection has a thread, made by sqlx on whichever thread asks for the connection, the host's own too. Every
//! connection's first act on its thread is to open the database: there it is made a thread of the library's.

use std::ffi::{c_char, c_int};

use libsqlite3_sys::{SQLITE_OK, sqlite3, sqlite3_api_routines};

use crate::threads;

/// From here on. Called again it does nothing; without memory for it threads stay as they are.
pub(super) fn install() {
    // SAFETY: SQLite, which is this library's own copy, calls the function at the end of each opening, on its thread.
    let _as_they_are = unsafe { libsqlite3_sys::sqlite3_auto_extension(Some(adopt)) };
}

unsafe extern "C" fn adopt(_: *mut sqlite3, _: *mut *mut c_char, _: *const sqlite3_api_routines) -> c_int {
    threads::adopt();
    SQLITE_OK
}
