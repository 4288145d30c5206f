//! stent.h: durable executions and the workers that run them, for any language that can call C.
//!
//! This file is generated from the sources in src/ffi. The conventions, once for all functions:
//!
//! STATUS. Every call that can fail returns a stent_status: 0 is success, negative is failure, STENT_PENDING and
//! STENT_SUSPEND are neither. The last parameter, `error`, may be NULL; else it is written on every path: NULL, or, with
//! a negative status, an error that the caller frees with stent_error_free. Other outputs are written on success only.
//! An output that gives text or a number may be NULL, when the caller has no use for it; one that gives a handle
//! may not. Beside those that a function names, any function may return STENT_E_INVALID (NULL where something is
//! needed, text that is not UTF-8, JSON that is not JSON, an option that nobody knows, a handle that is not alive),
//! STENT_E_CLOSED (the backend was closed, or everything shut down), STENT_E_BACKEND (the store: busy, unreachable,
//! corrupt, full), STENT_E_FORKED and STENT_E_PANIC (a defect of the library, caught at the border).
//!
//! TEXT is NUL-terminated UTF-8, and JSON where it is data. Text that goes in is copied before the call returns. Text
//! that comes out by a `char **` belongs to the caller, who frees it with stent_free; a `const char *` that is returned
//! belongs to the library or to the handle it was asked of, and is not freed.
//!
//! JSON. Arguments are an array (NULL: no arguments), results and signals any JSON value, kept as it was written. Bytes
//! that are not JSON stand as {"$base64": "..."}. A failure is {"type", "message", "code", "retryable", "details", "stack"},
//! of which "type" must be there. Times are RFC 3339 in UTC; durations are numbers of seconds or text such as "1h30m".
//! Options are objects, NULL for none, and checked strictly: the error for an unknown key names the known ones.
//! stent_describe() lists every option with its type and default.
//!
//! HANDLES are opaque and may be freed in any order: a worker keeps its executor alive, an executor its backend. Freeing
//! NULL is nothing; freeing never blocks. A handle that was freed is refused with STENT_E_INVALID, as long as its
//! place in the library's table has not come round again; don't rely on it.
//!
//! THREADS. Any function may be called on any thread, several at once, unless it says otherwise. Handlers run on
//! threads of the library made for them: they may block, and may call any function, except those that wait for
//! handlers to end (STENT_E_WRONG_THREAD). Such a thread is not the host's: attach it to your runtime if that must be.
//!
//! CALLBACKS get `user_data` first. A `free_fn` (NULL: none) is called exactly once with it, when the library needs it
//! no more, or before the call returns if that fails. A handler must not throw and must not longjmp: an exception that
//! reaches the library ends the process.
//!
//! FORK. In a child forked after the first handle was made every call returns STENT_E_FORKED, and freeing does nothing.
//! The library installs no signal handlers, never exits, and stays loaded after dlclose.
#![allow(clippy::missing_safety_doc, reason = "the header's conventions and each comment are the contract")]
#![allow(non_camel_case_types, reason = "the names are C's")]

use std::ffi::{c_char, c_void};

pub mod backend;
pub mod error;
pub mod executor;
pub mod library;
mod plumbing;
pub mod task;
pub mod worker;

use task::stent_task;

/// What became of a call: 0, STENT_PENDING, STENT_SUSPEND, or one of the negative STENT_E_ numbers.
pub type stent_status = i32;

/// Done.
pub const STENT_OK: stent_status = 0;
/// From a handler: it took a reference to its task, and another thread will end it.
pub const STENT_PENDING: stent_status = 1;
/// What is awaited is not there yet: the handler returns now (this status will do) and is run again from the top, with
/// every recorded result, when it is. Until it returns, each durable call on the task answers the same.
pub const STENT_SUSPEND: stent_status = 2;
/// The caller's mistake; the message says which, and what would be right.
pub const STENT_E_INVALID: stent_status = -1;
/// There is no such execution, task, dead letter or operation.
pub const STENT_E_NOT_FOUND: stent_status = -2;
/// It exists already, or is over already, or is not in the state that the call needs.
pub const STENT_E_CONFLICT: stent_status = -3;
/// The time was up. What was waited for goes on.
pub const STENT_E_TIMEOUT: stent_status = -4;
/// The execution, or the operation, was cancelled.
pub const STENT_E_CANCELLED: stent_status = -5;
/// The backend was closed, the worker stopped, or the library shut down.
pub const STENT_E_CLOSED: stent_status = -6;
/// The task is another worker's by now, or over: nothing that this handler does can be recorded any more.
pub const STENT_E_LEASE_LOST: stent_status = -7;
/// The handler asks for something else than what its journal holds at this place.
pub const STENT_E_NONDETERMINISM: stent_status = -8;
/// A child, or the awaited execution, failed: its failure is in the error's JSON.
pub const STENT_E_FAILED: stent_status = -9;
/// The store: busy, unreachable, corrupt, full, read-only.
pub const STENT_E_BACKEND: stent_status = -10;
/// This backend, or this build, can't do it.
pub const STENT_E_UNSUPPORTED: stent_status = -11;
/// A call that waits for handlers to end was made in one.
pub const STENT_E_WRONG_THREAD: stent_status = -12;
/// This process was forked from one that was using the library.
pub const STENT_E_FORKED: stent_status = -13;
/// A defect of the library, caught at the border.
pub const STENT_E_PANIC: stent_status = -99;

/// For stent_task_await: until every one of the operations has ended.
pub const STENT_WAIT_ALL: u32 = 0;
/// For stent_task_await: until the first of the operations has ended.
pub const STENT_WAIT_ANY: u32 = 1;

/// Log levels, as stent_log_fn is given them and stent_task_log takes them.
pub const STENT_LOG_ERROR: i32 = 1;
pub const STENT_LOG_WARN: i32 = 2;
pub const STENT_LOG_INFO: i32 = 3;
pub const STENT_LOG_DEBUG: i32 = 4;

/// Takes a `user_data` back. Called exactly once, on the thread of the call that failed or on one of the library's.
pub type stent_free_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Takes a line of the log: its level and a JSON object with "time", "level", "target", "message" and "fields". `json` is
/// the library's and lives until the function returns. Called on one thread, one line at a time, in order.
pub type stent_log_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, level: i32, json: *const c_char)>;

/// Runs a task. `task` is lent until the function returns; stent_task_ref keeps it longer. Returns STENT_OK after
/// stent_task_complete, stent_task_fail, stent_task_suspend or stent_task_continue; STENT_PENDING when another thread
/// will do that; or whatever status a durable call on the task gave it, which does the right thing. STENT_OK without any of these is a
/// failure of the task: in many languages it is what a thrown exception leaves behind.
///
/// Called on threads of the library, several at once.
pub type stent_handler_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, task: *mut stent_task) -> stent_status>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Level, Status};

    /// The header's numbers are the model's.
    #[test]
    fn constants_are_the_models() {
        let constants = [
            STENT_OK,
            STENT_PENDING,
            STENT_SUSPEND,
            STENT_E_INVALID,
            STENT_E_NOT_FOUND,
            STENT_E_CONFLICT,
            STENT_E_TIMEOUT,
            STENT_E_CANCELLED,
            STENT_E_CLOSED,
            STENT_E_LEASE_LOST,
            STENT_E_NONDETERMINISM,
            STENT_E_FAILED,
            STENT_E_BACKEND,
            STENT_E_UNSUPPORTED,
            STENT_E_WRONG_THREAD,
            STENT_E_FORKED,
            STENT_E_PANIC,
        ];
        assert_eq!(constants, Status::ALL.map(Status::code));
        let levels: Vec<i32> = Level::ALL.iter().map(|level| level.code()).collect();
        assert_eq!(levels, [STENT_LOG_ERROR, STENT_LOG_WARN, STENT_LOG_INFO, STENT_LOG_DEBUG]);
    }
}
