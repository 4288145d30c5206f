//! Executions' texts with their lengths, for hosts that know them, and for payloads of many MiB. What goes in needs no NUL at
//! its end, and what comes out has one all the same.

use std::ffi::c_char;

use super::{ExecutorObject, executions, stent_executor, submit};
use crate::ffi::plumbing::{borrow, counted, guard, id, optional, text, write_counted, write_text};
use crate::ffi::poller::stent_poller;
use crate::ffi::{stent_error, stent_status};
use crate::model::Id;

/// As stent_executor_dispatch. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_dispatch_n(
    executor: *mut stent_executor,
    function: *const c_char,
    args: *const c_char,
    args_length: usize,
    options: *const c_char,
    execution_id: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, or of that length, by the header's convention.
        let (function, args, options) = unsafe {
            (text(function, "function")?, counted(args, args_length, "args")?, optional(options, "options")?)
        };
        let started = executions::dispatch(&executor, function, args, options)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(execution_id, &started.to_string()) }
    })
}

/// As stent_executor_result. Any thread; in a handler it holds a slot meanwhile.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_result_n(
    executor: *mut stent_executor,
    execution_id: *const c_char,
    timeout_ms: i64,
    result: *mut *mut c_char,
    result_length: *mut usize,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let id: Id = unsafe { id(execution_id, "execution_id") }?;
        let given = executions::result_of(&executor, id, timeout_ms)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_counted(result, result_length, &given) }
    })
}

/// As stent_executor_signal. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_signal_n(
    executor: *mut stent_executor,
    execution_id: *const c_char,
    name: *const c_char,
    payload: *const c_char,
    payload_length: usize,
    options: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let (execution, name): (Id, _) = unsafe { (id(execution_id, "execution_id")?, text(name, "name")?) };
        // SAFETY: text or NULL, or of that length, by the header's convention.
        let (payload, options) =
            unsafe { (counted(payload, payload_length, "payload")?, optional(options, "options")?) };
        executions::signal(&executor, execution, name, payload, options)
    })
}

/// As stent_executor_submit. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_submit_n(
    executor: *mut stent_executor,
    operation: *const c_char,
    request: *const c_char,
    request_length: usize,
    poller: *mut stent_poller,
    tag: u64,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, or of that length, by the header's convention.
        let (operation, request) =
            unsafe { (text(operation, "operation")?, counted(request, request_length, "request")?) };
        submit::submit(executor, operation, request, poller, tag)
    })
}
