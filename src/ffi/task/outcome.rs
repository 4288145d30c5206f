//! The end of a task. In a handler it is staged, and commits after the handler has returned STENT_OK; deferred, it is
//! committed soon. None of these calls blocks.

use std::ffi::c_char;

use super::{on_task, stent_task};
use crate::codec;
use crate::executor::Task;
use crate::ffi::plumbing::{lossy, optional, text, text::null};
use crate::ffi::{stent_error, stent_status};
use crate::model::{Payload, Result};

/// The task has its result: any JSON value, NULL for null. It is staged: recorded when the handler has returned
/// STENT_OK, or, for a deferred task, soon; a poller's task gets its verdict as an "ended" event. Never blocks. Any
/// thread. STENT_E_CONFLICT: the task was ended already, or is suspended. STENT_E_INVALID: the result is not JSON; then
/// the task is not ended. STENT_E_LEASE_LOST, STENT_E_CANCELLED: the result will not be taken.
/// STENT_E_NONDETERMINISM: something is recorded that this run has not asked for; the task is parked.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_complete(
    task: *mut stent_task,
    result: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let result = unsafe { optional(result, "result") }?;
        complete(task, result)
    })
}

pub(super) fn complete(task: &Task, result: Option<&str>) -> Result<()> {
    task.complete(result.map_or_else(|| Ok(Payload::null()), |text| codec::value_from_text("result", text))?)
}

/// The attempt failed: {"type", "message", "code", "retryable", "retry_after", "details", "stack"}, of which "type" must
/// be there.
/// What becomes of it (another attempt, or a dead letter) follows from the retry policy; "retryable": false ends it
/// at once. "retry_after" (a number of seconds, or the text of an HTTP header Retry-After as it came) says that the next
/// attempt begins no sooner; what can't be read does not count, and a day is the longest. Message and stack are kept up to 32 KiB, type and code up to 255 bytes, details up to 256 KiB; what is longer
/// is cut, and says so. Staged as stent_task_complete is, with the same statuses. Never blocks. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_fail(
    task: *mut stent_task,
    failure: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let failure = unsafe { lossy(failure) }.ok_or_else(|| null("failure"))?;
        task.fail(codec::failure_from_text(&failure)?)
    })
}

/// Not now: the attempt ends, and the task runs again from the top after that time (a number of seconds or text such as
/// "1h30m"), with its journal. No attempt is charged; "snoozes" in stent_task_info says how often it was done. For an
/// attempt that found that its time has not come: a report that is not there yet, a maintenance. Staged as
/// stent_task_complete is, with the same statuses but STENT_E_NONDETERMINISM. STENT_E_INVALID: no duration. Never blocks.
/// Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_snooze(
    task: *mut stent_task,
    duration: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let duration = unsafe { text(duration, "duration") }?;
        task.snooze(codec::duration_from_text(duration)?)
    })
}

/// The task is suspended until what it awaited is there, after a durable call that answered STENT_SUSPEND; returning
/// that status from a handler does the same. Staged as stent_task_complete is. A poller's task gives its turn back by
/// it: its coroutine has nothing left to do until one of the "op" events comes that it has asked for. Never blocks. Any
/// thread. STENT_E_INVALID: nothing is awaited, or asked for. STENT_E_CONFLICT: the task was ended already.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_suspend(task: *mut stent_task, error: *mut *mut stent_error) -> stent_status {
    on_task(task, error, |task| task.suspend())
}

/// The task starts over with new arguments (an array, NULL for none), an empty journal and the signals that were not
/// taken: for workflows without an end, whose journal would grow for ever. Its id stays. Staged as
/// stent_task_complete is, with the same statuses. Never blocks. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_continue(
    task: *mut stent_task,
    args: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let args = unsafe { optional(args, "args") }?;
        task.continue_with(codec::args_from_text(args)?)
    })
}
