//! Durable operations that are started and awaited in one call, and values that are the same in every replay.

use std::ffi::c_char;

use super::{on_task, stent_task};
use crate::codec;
use crate::executor::Task;
use crate::ffi::plumbing::{lossy, optional, required, text, write, write_text};
use crate::ffi::{stent_error, stent_status};
use crate::model::{Error, Op, Payload, Result};

/// Calls a function as a child of this task, and gives its result: the one that is recorded, or, the first time,
/// STENT_SUSPEND, and the result when the handler is run again. args: an array, NULL for none. options: key, kwargs,
/// delay, tags, priority, priority_ageing, fairness_key (or the task's own), fairness_weight, queue, retry_policy,
/// timeout, cached, cache_ttl, cache_key, idempotency_key, concurrency_key; see stent_describe. `*result` is JSON, to be freed with stent_free.
///
/// Durable operations are known by name and order: the n-th call of a function is "function#n", and so is its record.
/// A handler that makes its calls in another order in every run (from several threads, say) gives each a key of its
/// own.
///
/// Any thread that may block. STENT_SUSPEND: return now. STENT_E_FAILED: the child failed for good; its failure is in
/// the error's JSON. STENT_E_CANCELLED, STENT_E_LEASE_LOST, STENT_E_NONDETERMINISM: nothing more can be done; return
/// the status.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_call(
    task: *mut stent_task,
    function: *const c_char,
    args: *const c_char,
    options: *const c_char,
    result: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let (function, args, options) =
            unsafe { (text(function, "function")?, optional(args, "args")?, optional(options, "options")?) };
        let called = call(task, function, args, options)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(result, &called) }
    })
}

pub(super) fn call(task: &Task, function: &str, args: Option<&str>, options: Option<&str>) -> Result<String> {
    let (args, options) = (codec::args_from_text(args)?, codec::options::call(options)?);
    Ok(codec::to_json(&task.call(function, args, options)?))
}

/// Calls a function once for each element of args_list, an array of argument arrays, all at the same time, and gives
/// the results in the same order: a JSON array, to be freed with stent_free. options: as for stent_task_call, for
/// every one of them, but without a key.
///
/// Any thread that may block. Statuses as for stent_task_call; STENT_E_FAILED: the first that failed (the others run
/// on until the task ends).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_map(
    task: *mut stent_task,
    function: *const c_char,
    args_list: *const c_char,
    options: *const c_char,
    results: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let (function, args_list, options) =
            unsafe { (text(function, "function")?, text(args_list, "args_list")?, optional(options, "options")?) };
        let args_list = codec::args_list_from_text(args_list)?;
        let options = codec::options::call(options)?;
        let payloads = task.map(function, args_list, options)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(results, &codec::to_json(&payloads)) }
    })
}

/// Sleeps durably: no thread and no slot is held, and the task wakes at the time that was fixed when the sleep was
/// first reached, whatever crashes meanwhile. duration: a number of seconds or text such as "1h30m".
///
/// Any thread that may block. STENT_SUSPEND: return now. Else as for stent_task_call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_sleep(
    task: *mut stent_task,
    duration: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let duration = unsafe { text(duration, "duration") }?;
        task.sleep(codec::duration_from_text(duration)?, None)
    })
}

/// Waits for a signal to the execution, and takes it: the oldest of the name that no wait has taken. options:
/// timeout, key; NULL for none. `*payload` is JSON, to be freed with stent_free.
///
/// Any thread that may block. STENT_SUSPEND: return now. STENT_E_FAILED with type "SignalTimeout": none came within
/// the time-out. Else as for stent_task_call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_wait_signal(
    task: *mut stent_task,
    name: *const c_char,
    options: *const c_char,
    payload: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let (name, options) = unsafe { (text(name, "name")?, optional(options, "options")?) };
        let taken = wait_signal(task, name, options)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(payload, &taken) }
    })
}

pub(super) fn wait_signal(task: &Task, name: &str, options: Option<&str>) -> Result<String> {
    Ok(codec::to_json(&task.wait_signal(name, codec::options::wait_signal(options)?)?))
}

/// Begins a step that runs here, in the handler, and says whether it is recorded already. `*recorded` 1: take its
/// result by stent_task_result(op). 0: do the work, then call stent_task_step_end. A crash in between runs the step
/// again: it should be safe to repeat. options: key; NULL for none. A poller's task takes the result, recorded or new,
/// from the "op" event that it asked for by stent_task_notify. On the thread that the handler was called on no other durable
/// operation of the task begins until the step has ended (STENT_E_INVALID): it would not be asked for again in later runs.
///
/// Any thread that may block. Statuses as for stent_task_call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_step_begin(
    task: *mut stent_task,
    name: *const c_char,
    options: *const c_char,
    op: *mut u32,
    recorded: *mut i32,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let (name, options) = unsafe { (text(name, "name")?, optional(options, "options")?) };
        let options = codec::options::step(options)?;
        required(op, "op")?;
        required(recorded, "recorded")?;
        let begun = task.step_begin(name, options.key.as_deref())?;
        // SAFETY: writable, by the header's convention.
        unsafe {
            write(op, begun.op);
            write(recorded, i32::from(begun.recorded));
        }
        Ok(())
    })
}

/// Ends a step: with its result (any JSON value, NULL: null), or with its failure, of which one must be NULL. Returns
/// when that is recorded; from then on it is what every run gets. A poller's task may do so between turns; the call
/// returns at once, and the step is recorded when its "op" event comes.
///
/// Any thread that may block. Statuses as for stent_task_call; STENT_E_CONFLICT: the step is recorded already.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_step_end(
    task: *mut stent_task,
    op: u32,
    result: *const c_char,
    failure: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let (result, failure) = unsafe { (optional(result, "result")?, lossy(failure)) };
        end_step(task, op, result, failure.as_deref())
    })
}

pub(super) fn end_step(task: &Task, op: Op, result: Option<&str>, failure: Option<&str>) -> Result<()> {
    let outcome = match (result, failure) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid("a step ends with a result or with a failure; pass NULL for the other"));
        }
        (None, Some(failure)) => Err(codec::failure_from_text(failure)?),
        (Some(result), None) => Ok(codec::value_from_text("result", result)?),
        (None, None) => Ok(Payload::null()),
    };
    task.step_end(op, outcome)
}

/// The time of the last thing that this task was told (an operation's end, or its own beginning): the same in every
/// replay. RFC 3339, to be freed with stent_free. Any thread that may block. Statuses as for stent_task_call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_now(
    task: *mut stent_task,
    time: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        let now = task.now()?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(time, &now.to_string()) }
    })
}

/// 64 random bits, the same in every replay; not for secrets. Any thread that may block. Statuses as for
/// stent_task_call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_random(
    task: *mut stent_task,
    value: *mut u64,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        let random = task.random()?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write(value, random) };
        Ok(())
    })
}

/// A UUID, the same in every replay: a good idempotency key for a call to another system. To be freed with
/// stent_free. Any thread that may block. Statuses as for stent_task_call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_uuid(
    task: *mut stent_task,
    uuid: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        let drawn = task.uuid()?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(uuid, &drawn.to_string()) }
    })
}
