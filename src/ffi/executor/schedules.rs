//! Schedules: functions that are started at times.

use std::ffi::c_char;

use super::{ExecutorObject, stent_executor};
use crate::backend::{ScheduleChange, Tick};
use crate::codec;
use crate::ffi::plumbing::{away, borrow, guard, optional, text, write_text};
use crate::ffi::{stent_error, stent_status};
use crate::model::Result;

/// Puts a schedule into the store; workers of any process start its function at its times, each tick once, whatever
/// crashes. schedule: an object with "name", "function", one of "cron", "every" and "times", and what else "schedule" in
/// stent_describe lists; docs/schedules.md tells how. One of the same name is replaced: it keeps its pause, and its next
/// tick unless its times have changed. An equal one changes nothing.
///
/// Returns when it is durable. Any thread. STENT_E_UNSUPPORTED: the store is one that you write.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_schedule_put(
    executor: *mut stent_executor,
    schedule: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let schedule = codec::schedule(unsafe { text(schedule, "schedule") }?)?;
        let executor = executor.open()?.clone();
        away(move || Box::pin(async move { executor.put_schedule(schedule).await }))
    })
}

/// Declares the schedules of an owner, your program's name perhaps: workers that are started from this executor from now
/// on put them into the store when they start. schedules: an array of objects as for stent_executor_schedule_put, whose
/// "owner" it is. options: {"remove_others": true} also deletes those of this owner that the array does not have any more.
/// Again for the same owner: in place of what was declared before. Any thread; does not ask the store.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_schedules_declare(
    executor: *mut stent_executor,
    owner: *const c_char,
    schedules: *const c_char,
    options: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let (owner, schedules) = unsafe { (text(owner, "owner")?, text(schedules, "schedules")?) };
        // SAFETY: as above.
        let options = unsafe { optional(options, "options") }?;
        let put = codec::put_schedules(owner, schedules, options)?;
        executor.open()?.declare_schedules(owner, put)
    })
}

/// The schedules that a filter admits, by name: an array, to be freed with stent_free. Each is as it was put, and beside
/// that "next_at", "next" and "last" (ticks to come, and what became of those that were), "paused_at", "running", "waiting"
/// and others; see kept_schedule in stent_describe. filter: name, owner, function, after, limit (default 50), next (5),
/// last (5); NULL for none. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_schedule_list(
    executor: *mut stent_executor,
    filter: *const c_char,
    schedules: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let filter = codec::schedule_filter(unsafe { optional(filter, "filter") }?)?;
        let executor = executor.open()?.clone();
        let found = away(move || Box::pin(async move { executor.schedules(filter).await }))?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(schedules, &codec::to_json(&found)) }
    })
}

/// Deletes a schedule. What it has started goes on; what waits is not started. Any thread. STENT_E_NOT_FOUND.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_schedule_delete(
    executor: *mut stent_executor,
    name: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        // SAFETY: text or NULL, by the header's convention.
        let name = unsafe { text(name, "name") }?;
        change(executor, name, ScheduleChange::Delete).map(drop)
    })
}

/// Pauses a schedule: it starts nothing by its times until it is resumed. What runs or waits goes on. options:
/// {"note": "..."} for people; NULL for none. Any thread. STENT_E_NOT_FOUND.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_schedule_pause(
    executor: *mut stent_executor,
    name: *const c_char,
    options: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        // SAFETY: text or NULL, by the header's convention.
        let (name, options) = unsafe { (text(name, "name")?, optional(options, "options")?) };
        change(executor, name, codec::pause_schedule(options)?).map(drop)
    })
}

/// Resumes a schedule from now on: what it would have started meanwhile is not caught up. One that is not paused stays as it
/// is. Any thread. STENT_E_NOT_FOUND.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_schedule_resume(
    executor: *mut stent_executor,
    name: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        // SAFETY: text or NULL, by the header's convention.
        let name = unsafe { text(name, "name") }?;
        change(executor, name, ScheduleChange::Resume).map(drop)
    })
}

/// Makes a tick now, also of a schedule that is paused. options: {"overlap": "..."} in place of the schedule's own rule; NULL
/// for none. `*ticks` is an array of ticks {"at", "kind", "state", "execution_id", "decided_at"}, to be freed with stent_free:
/// this one, and before it one that waited, if it could start. Any thread. STENT_E_NOT_FOUND.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_schedule_trigger(
    executor: *mut stent_executor,
    name: *const c_char,
    options: *const c_char,
    ticks: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        // SAFETY: by the header's convention.
        unsafe { make(executor, name, options, ticks, codec::trigger) }
    })
}

/// Makes the ticks of a time that is over, but for those that were started or wait; at most 1000 at once. options: "from"
/// and "to", both included, and "overlap" (default "queue_all": one after the other). `*ticks` is an array as
/// stent_executor_schedule_trigger gives it. Any thread. STENT_E_NOT_FOUND.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_schedule_backfill(
    executor: *mut stent_executor,
    name: *const c_char,
    options: *const c_char,
    ticks: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        // SAFETY: by the header's convention.
        unsafe { make(executor, name, options, ticks, codec::backfill) }
    })
}

/// Ticks by hand.
///
/// # Safety
/// The name and the options are texts or NULL; `ticks` is NULL or writable.
unsafe fn make(
    executor: *mut stent_executor,
    name: *const c_char,
    options: *const c_char,
    ticks: *mut *mut c_char,
    read: impl FnOnce(Option<&str>) -> Result<ScheduleChange>,
) -> Result<()> {
    // SAFETY: as said above.
    let (name, options) = unsafe { (text(name, "name")?, optional(options, "options")?) };
    let made = change(executor, name, read(options)?)?;
    // SAFETY: as said above.
    unsafe { write_text(ticks, &codec::to_json(&made)) }
}

fn change(executor: *mut stent_executor, name: &str, change: ScheduleChange) -> Result<Vec<Tick>> {
    let executor = borrow::<ExecutorObject>(executor)?;
    let (executor, name) = (executor.open()?.clone(), name.to_owned());
    away(move || Box::pin(async move { executor.change_schedule(&name, change).await }))
}
