//! Tasks' texts with their lengths, for hosts that know them, and for payloads of many MiB. What goes in needs no NUL at its
//! end, and what comes out has one all the same.

use std::ffi::c_char;

use super::{TaskObject, durable, fan_out, on_task, outcome, stent_task};
use crate::codec;
use crate::ffi::plumbing::{counted, guard, handles, lossy, optional, text, write, write_counted};
use crate::ffi::{stent_error, stent_status};

/// As stent_task_args; `*length` is the text's, without its NUL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_task_args_n(task: *mut stent_task, length: *mut usize) -> *const c_char {
    guard::value(std::ptr::null(), || {
        let object = handles::peek::<TaskObject>(task)?;
        let args = object.args();
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write(length, args.as_bytes().len()) };
        Some(args.as_ptr())
    })
}

/// As stent_task_call. Any thread that may block.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_call_n(
    task: *mut stent_task,
    function: *const c_char,
    args: *const c_char,
    args_length: usize,
    options: *const c_char,
    result: *mut *mut c_char,
    result_length: *mut usize,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, or of that length, by the header's convention.
        let (function, args, options) = unsafe {
            (text(function, "function")?, counted(args, args_length, "args")?, optional(options, "options")?)
        };
        let called = durable::call(task, function, args, options)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_counted(result, result_length, &called) }
    })
}

/// As stent_task_spawn_call. Any thread that may block.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_spawn_call_n(
    task: *mut stent_task,
    function: *const c_char,
    args: *const c_char,
    args_length: usize,
    options: *const c_char,
    op: *mut u32,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, or of that length, by the header's convention.
        let (function, args, options) = unsafe {
            (text(function, "function")?, counted(args, args_length, "args")?, optional(options, "options")?)
        };
        let spawned = fan_out::spawn_call(task, function, args, options)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write(op, spawned) };
        Ok(())
    })
}

/// As stent_task_wait_signal. Any thread that may block.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_wait_signal_n(
    task: *mut stent_task,
    name: *const c_char,
    options: *const c_char,
    payload: *mut *mut c_char,
    payload_length: *mut usize,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let (name, options) = unsafe { (text(name, "name")?, optional(options, "options")?) };
        let taken = durable::wait_signal(task, name, options)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_counted(payload, payload_length, &taken) }
    })
}

/// As stent_task_step_end; failure is NUL-terminated. Any thread that may block.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_step_end_n(
    task: *mut stent_task,
    op: u32,
    result: *const c_char,
    result_length: usize,
    failure: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, or of that length, by the header's convention.
        let (result, failure) = unsafe { (counted(result, result_length, "result")?, lossy(failure)) };
        durable::end_step(task, op, result, failure.as_deref())
    })
}

/// As stent_task_result. Any thread that may block.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_result_n(
    task: *mut stent_task,
    op: u32,
    result: *mut *mut c_char,
    result_length: *mut usize,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        let payload = task.result(op)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_counted(result, result_length, &codec::to_json(&payload)) }
    })
}

/// As stent_task_complete. Never blocks. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_complete_n(
    task: *mut stent_task,
    result: *const c_char,
    result_length: usize,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: NULL or of that length, by the header's convention.
        let result = unsafe { counted(result, result_length, "result") }?;
        outcome::complete(task, result)
    })
}
