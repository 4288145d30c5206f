//! Start now, wait later: fan-outs, races, time-outs.

use std::ffi::c_char;

use super::{on_task, stent_task};
use crate::codec;
use crate::executor::Task;
use crate::ffi::plumbing::{borrow, optional, required, runtime, text, write, write_text};
use crate::ffi::poller::{PollerObject, stent_poller};
use crate::ffi::{STENT_WAIT_ALL, STENT_WAIT_ANY, stent_error, stent_status};
use crate::model::{Error, OPS_MAX, Op, Result, WaitMode};

/// Starts a call as stent_task_call does, without waiting. `*op` is its number in this task, for stent_task_await,
/// stent_task_result and stent_task_cancel_op. What is started is committed together, with the next wait or when the
/// handler returns.
///
/// Any thread that may block. Statuses as for stent_task_call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_spawn_call(
    task: *mut stent_task,
    function: *const c_char,
    args: *const c_char,
    options: *const c_char,
    op: *mut u32,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let (function, args, options) =
            unsafe { (text(function, "function")?, optional(args, "args")?, optional(options, "options")?) };
        let spawned = spawn_call(task, function, args, options)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write(op, spawned) };
        Ok(())
    })
}

pub(super) fn spawn_call(task: &Task, function: &str, args: Option<&str>, options: Option<&str>) -> Result<Op> {
    task.spawn_call(function, codec::args_from_text(args)?, codec::options::call(options)?)
}

/// Starts a sleep as stent_task_sleep does, without waiting: a time-out for whatever is awaited with it. Any thread
/// that may block. Statuses as for stent_task_call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_spawn_sleep(
    task: *mut stent_task,
    duration: *const c_char,
    op: *mut u32,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let duration = unsafe { text(duration, "duration") }?;
        let spawned = task.spawn_sleep(codec::duration_from_text(duration)?, None)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write(op, spawned) };
        Ok(())
    })
}

/// Starts a wait for a signal as stent_task_wait_signal does, without waiting. Any thread that may block. Statuses as
/// for stent_task_call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_spawn_wait_signal(
    task: *mut stent_task,
    name: *const c_char,
    options: *const c_char,
    op: *mut u32,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let (name, options) = unsafe { (text(name, "name")?, optional(options, "options")?) };
        let options = codec::options::wait_signal(options)?;
        let spawned = task.spawn_wait_signal(name, options)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write(op, spawned) };
        Ok(())
    })
}

/// Waits until all (STENT_WAIT_ALL) or one (STENT_WAIT_ANY) of the operations have ended, in whatever way. `*first`
/// is the one that ended first; stent_task_result tells how. hold_ms: how long the handler may stay here before it is
/// suspended, thread and slot held (-1: as the worker's options say). `ops` may be NULL when count is 0.
///
/// Any thread that may block. STENT_SUSPEND: return now. Else as for stent_task_call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_await(
    task: *mut stent_task,
    ops: *const u32,
    count: usize,
    mode: u32,
    hold_ms: i64,
    first: *mut u32,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: NULL or `count` numbers, by the function's comment.
        let ops = unsafe { numbers(ops, count) }?;
        let mode = match mode {
            STENT_WAIT_ALL => WaitMode::All,
            STENT_WAIT_ANY => WaitMode::Any,
            other => {
                return Err(Error::invalid(format!(
                    "mode is {other}; it must be STENT_WAIT_ALL ({STENT_WAIT_ALL}) or STENT_WAIT_ANY ({STENT_WAIT_ANY})"
                ))
                .with("parameter", "mode"));
            }
        };
        let ended = task.await_ops(ops, mode, runtime::limit(hold_ms))?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write(first, ended) };
        Ok(())
    })
}

/// # Safety
/// `ops` is NULL or points to `count` numbers.
unsafe fn numbers<'a>(ops: *const Op, count: usize) -> Result<&'a [Op]> {
    if count == 0 {
        return Ok(&[]);
    }
    required(ops.cast_mut(), "ops")?;
    if count > OPS_MAX as usize {
        return Err(Error::invalid(format!("count is {count}; a task has at most {OPS_MAX} operations"))
            .with("parameter", "count"));
    }
    // SAFETY: not NULL, `count` numbers long by the caller's promise, and not changed before the export returns.
    Ok(unsafe { std::slice::from_raw_parts(ops, count) })
}

/// Asks to be told, as an "op" event of the poller with this tag, when an operation has ended; when it has already, and
/// was told of, that comes with the next turn all the same. Only for tasks that came from a poller, on their
/// coroutine's turn; see stent_poller_new. Each operation is asked for once. `poller` is the one that the task came from.
///
/// The event has the status and the JSON that stent_task_result gives. Any thread; never blocks. STENT_SUSPEND: it is not
/// the coroutine's turn. STENT_E_CONFLICT: it is asked for already. STENT_E_UNSUPPORTED: the task is a handler's. Else as
/// for stent_task_call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_notify(
    task: *mut stent_task,
    op: u32,
    poller: *mut stent_poller,
    tag: u64,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        borrow::<PollerObject>(poller)?;
        task.notify(&[op], false, tag)
    })
}

/// Asks to be told once, when all of these operations have ended, as stent_task_map is: the event has the array of their
/// results, or the error of the first that did not complete. A task that waits for nothing else is not woken before the
/// last of them. `ops` may be NULL when count is 0. Threads, statuses and the rest as for stent_task_notify.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_notify_all(
    task: *mut stent_task,
    ops: *const u32,
    count: usize,
    poller: *mut stent_poller,
    tag: u64,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: NULL or `count` numbers, by the function's comment.
        let ops = unsafe { numbers(ops, count) }?;
        borrow::<PollerObject>(poller)?;
        task.notify(ops, true, tag)
    })
}

/// The result of an operation that has ended (a call's, a step's, a signal's payload; null for a sleep): JSON, to be
/// freed with stent_free.
///
/// Any thread that may block. STENT_PENDING: it has not ended, or not been awaited yet. STENT_E_FAILED: it failed;
/// its failure is in the error's JSON. STENT_E_CANCELLED: it was cancelled. Else as for stent_task_call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_result(
    task: *mut stent_task,
    op: u32,
    result: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        let payload = task.result(op)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(result, &codec::to_json(&payload)) }
    })
}

/// Cancels an operation that is not awaited any more, such as the loser of a race: a call with all that it called, a
/// sleep, a wait for a signal. It is recorded (of a poller's task at the turn's end, at the latest); of an operation
/// that has ended it changes nothing. Any thread that may block. Statuses as for stent_task_call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_cancel_op(
    task: *mut stent_task,
    op: u32,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| task.cancel_op(op))
}
