//! What a task reports: progress, counters, state values, heartbeats, log lines.

use std::ffi::c_char;

use super::{on_task, stent_task};
use crate::codec;
use crate::ffi::plumbing::{optional, text};
use crate::ffi::{stent_error, stent_status};
use crate::model::{Error, Level, Payload, RetryAfter};

/// Adds a line to the execution's progress: any JSON value, NULL for null. As the two below, it is recorded with the
/// task's next transition, and not said again when the task's journal is replayed. An attempt that has no journal yet is
/// heard in full: lines are added, counters are added at least once, the last state value stands. Any thread that may
/// block. Statuses as for stent_task_call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_task_progress(
    task: *mut stent_task,
    detail: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let detail = unsafe { optional(detail, "detail") }?;
        task.progress(detail.map_or_else(|| Ok(Payload::null()), |text| codec::value_from_text("detail", text))?)
    })
}

/// Adds to a counter of the execution, which begins at 0: once for all replays of a journal, and once in each attempt that
/// has no journal yet. amount: a JSON number; integers of 64 bits stay exact. Any thread that may block. Statuses as for
/// stent_task_call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_task_counter_add(
    task: *mut stent_task,
    name: *const c_char,
    amount: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let (name, amount) = unsafe { (text(name, "name")?, text(amount, "amount")?) };
        task.counter_add(name, codec::number_from_text(amount)?)
    })
}

/// Sets a named value of the execution: any JSON value, NULL for null. The last one stands. Any thread that may block. Statuses as for
/// stent_task_call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_task_state_set(
    task: *mut stent_task,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let (key, value) = unsafe { (text(key, "key")?, optional(value, "value")?) };
        let value = value.map_or_else(|| Ok(Payload::null()), |text| codec::value_from_text("value", text))?;
        task.state_set(key, value)
    })
}

/// Says how far the handler has come, for its next attempt, which finds the last of it in stent_task_info: any JSON
/// value, NULL for null. The lease needs no heartbeat: the library renews it. Any thread that may block. Statuses as
/// for stent_task_call; a heartbeat is a good place to learn of STENT_E_CANCELLED and STENT_E_LEASE_LOST.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_task_heartbeat(
    task: *mut stent_task,
    details: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let details = unsafe { optional(details, "details") }?;
        task.heartbeat(details.map(|text| codec::value_from_text("details", text)).transpose()?)
    })
}

/// The other side wants nobody to ask for a while (429 with Retry-After): no other task starts in that time that has the
/// task's concurrency_key and its function (what: "key"), or no other of its function ("function"); a task without a key
/// holds nobody by "key". What runs goes on, and so does what waits for operations of its own. The task itself is held as the
/// others are, should it run again: its own end (stent_task_fail, stent_task_snooze, stent_task_complete) is another call.
/// Recorded with whatever the attempt comes to, in one transaction; lost with the attempt. time: a number of seconds or text such as "1m30s", or the text of
/// an HTTP header Retry-After as it came; what can't be read does not count, which the log says, and a day is the longest. A
/// longer hold stands, whoever said it. Says nothing in a replay. Never blocks. Any thread. STENT_E_INVALID: what is none of these.
/// STENT_E_UNSUPPORTED: a store of a user's that keeps no rates. STENT_E_LEASE_LOST, STENT_E_CANCELLED: it will not be taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_task_hold(
    task: *mut stent_task,
    what: *const c_char,
    time: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let (what, time) = unsafe { (text(what, "what")?, text(time, "time")?) };
        task.hold(what.parse()?, RetryAfter::Text(time.to_owned()))
    })
}

/// Writes a line to the library's log (stent_set_log_handler) with the task's ids, unless the task is replaying.
/// level: STENT_LOG_ERROR to STENT_LOG_DEBUG. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_task_log(
    task: *mut stent_task,
    level: i32,
    message: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let message = unsafe { text(message, "message") }?;
        let level = Level::from_code(level).ok_or_else(|| {
            Error::invalid(format!("level is {level}; it must be from 1 (error) to 4 (debug)"))
                .with("parameter", "level")
        })?;
        task.log(level, message);
        Ok(())
    })
}
