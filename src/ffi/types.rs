//! Statuses, the error that goes with them, constants and the types of callbacks.

use std::ffi::{c_char, c_void};

/// What became of a call: 0, STENT_PENDING, STENT_SUSPEND, or one of the negative STENT_E_ numbers.
pub type stent_status = i32;

/// Done.
pub const STENT_OK: stent_status = 0;
/// From a handler: it took a reference to its task, and another thread will end it.
pub const STENT_PENDING: stent_status = 1;
/// What is awaited is not there yet: the handler returns now (this status will do) and is run again from the top,
/// with every recorded result, when it is. Until it returns, each durable call on the task answers the same.
pub const STENT_SUSPEND: stent_status = 2;
/// The caller's mistake; the message says which, and what would be right.
pub const STENT_E_INVALID: stent_status = -1;
/// There is no such execution, task or dead letter.
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
/// The handler asks for something else than what its journal holds at this place, or not for all of it.
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

/// What went wrong: a status, a sentence for people, whether the same call may succeed later, and details as JSON.
/// Made by the call that failed, freed by the caller with stent_error_free.
pub struct stent_error {
    _opaque: [u8; 0],
}

/// For stent_task_await: until every one of the operations has ended.
pub const STENT_WAIT_ALL: u32 = 0;
/// For stent_task_await: until the first of the operations has ended.
pub const STENT_WAIT_ANY: u32 = 1;

/// Log levels, as stent_log_fn is given them and stent_task_log takes them.
pub const STENT_LOG_ERROR: i32 = 1;
pub const STENT_LOG_WARN: i32 = 2;
pub const STENT_LOG_INFO: i32 = 3;
pub const STENT_LOG_DEBUG: i32 = 4;

/// The number that stent_abi_version gives: compare them at the start of a program that loads the library by itself.
/// It grows when something that was in the header changes; what is only added leaves it as it is.
pub const STENT_ABI_VERSION: u32 = 0;

/// LIMITS. What is longer or more is STENT_E_INVALID, and the message names the limit; but a failure's texts are cut, and say
/// so. Names, in bytes: of functions, queues, tags, signals, counters, state values, workers, steps, operations' keys and
/// idempotency keys, and the type and code of a failure. They are not empty and have no control characters. A key that is
/// given to an operation (options: key) has no '#', which stands in the keys that the library makes.
pub const STENT_NAME_MAX: usize = 255;
/// One payload (arguments, a result, a signal, a state value), in bytes of JSON.
pub const STENT_PAYLOAD_MAX: usize = 67_108_864;
/// The tags of a task, a function or a worker.
pub const STENT_TAGS_MAX: usize = 32;
/// The operations of one task (stent_task_continue begins anew), and what one stent_task_await, stent_task_notify_all or
/// stent_task_map is given.
pub const STENT_OPS_MAX: u32 = 1_000_000;
/// What one transaction of the store takes: beyond it stent_executor_dispatch_many needs several.
pub const STENT_BATCH_MAX: usize = 1_000;
/// A worker's max_concurrency, and its prefetch.
pub const STENT_CONCURRENCY_MAX: usize = 10_000;
/// A failure's message and its stack, the reason of a cancellation or a dead letter, in bytes. What is longer is cut.
pub const STENT_ERROR_TEXT_MAX: usize = 32_768;
/// A failure's details, in bytes of JSON. What is longer is left out, and its length told.
pub const STENT_ERROR_DETAILS_MAX: usize = 262_144;
/// A key of a kept result in the operations of backends, in bytes.
pub const STENT_KEY_MAX: usize = 1_024;
/// The readers of a SQLite store, and a PostgreSQL store's max_size.
pub const STENT_CONNECTIONS_MAX: u32 = 10_000;
/// A duration, in seconds: a thousand years.
pub const STENT_DURATION_MAX: u64 = 31_536_000_000;

/// Takes a `user_data` back. Called exactly once, on the thread of the call that failed or on one of the library's.
pub type stent_free_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Is called on a thread of the library, for stent_configure_threads.
pub type stent_thread_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Takes a line of the log: its level and a JSON object with "time", "level", "target", "message", "fields" and
/// "lost" (lines before it that the handler was too slow for). `json` is the library's and lives until the function
/// returns. Called on one thread, one line at a time, in order.
pub type stent_log_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, level: i32, json: *const c_char)>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LIMITS, Level, Status};

    /// The header has every limit, and the number that is in force.
    #[test]
    fn limits_are_the_models() {
        let told = [
            ("STENT_NAME_MAX", STENT_NAME_MAX as u64),
            ("STENT_PAYLOAD_MAX", STENT_PAYLOAD_MAX as u64),
            ("STENT_TAGS_MAX", STENT_TAGS_MAX as u64),
            ("STENT_OPS_MAX", STENT_OPS_MAX.into()),
            ("STENT_BATCH_MAX", STENT_BATCH_MAX as u64),
            ("STENT_CONCURRENCY_MAX", STENT_CONCURRENCY_MAX as u64),
            ("STENT_ERROR_TEXT_MAX", STENT_ERROR_TEXT_MAX as u64),
            ("STENT_ERROR_DETAILS_MAX", STENT_ERROR_DETAILS_MAX as u64),
            ("STENT_KEY_MAX", STENT_KEY_MAX as u64),
            ("STENT_CONNECTIONS_MAX", STENT_CONNECTIONS_MAX.into()),
            ("STENT_DURATION_MAX", STENT_DURATION_MAX),
        ];
        assert_eq!(LIMITS.iter().map(|limit| (limit.constant, limit.value)).collect::<Vec<_>>(), told);
    }

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
