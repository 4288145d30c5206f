//! What operators do: statistics, dead letters, parked tasks, pauses, cleaning up.

use std::ffi::c_char;

use super::{ExecutorObject, stent_executor};
use crate::codec;
use crate::ffi::plumbing::{away, borrow, guard, id, optional, write_text};
use crate::ffi::{stent_error, stent_status};
use crate::model::{Id, StatsFormat};

/// How the store and this executor's workers are doing: counts by state, depths and ages of queues, dead letters,
/// parked tasks, and counters and histograms of this process, those of run times and the like by queue and function.
/// options: {"format": "json"} or {"format": "prometheus"} for its text format; docs/metrics.md and stent_describe say what
/// is in it. To be freed with stent_free. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_stats(
    executor: *mut stent_executor,
    options: *const c_char,
    stats: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let options = unsafe { optional(options, "options") }?;
        let options = codec::options::stats(options)?;
        let executor = executor.open()?.clone();
        let found = away(move || Box::pin(async move { executor.stats().await }))?;
        let told = match options.format {
            StatsFormat::Json => codec::to_json(&found),
            StatsFormat::Prometheus => found.to_prometheus(),
        };
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(stats, &told) }
    })
}

/// The dead letters that a filter admits, newest first: an array of {"task", "reason", "moved_at"}, to be freed with
/// stent_free. filter: task_id, execution_id, function, limit (default 50), offset; NULL for none. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_dead_letters(
    executor: *mut stent_executor,
    filter: *const c_char,
    dead_letters: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let filter = unsafe { optional(filter, "filter") }?;
        let filter = codec::options::dead_letter_filter(filter)?;
        let executor = executor.open()?.clone();
        let found = away(move || Box::pin(async move { executor.dead_letters(filter).await }))?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(dead_letters, &codec::to_json(&found)) }
    })
}

/// Starts an execution anew from a dead letter: with all that was recorded up to the failure, without the calls that
/// failed. The letter is taken away, the old execution stays as it ended. options: none so far. `*ids` is
/// {"execution_id", "replay_of"}, to be freed with stent_free. Any thread. STENT_E_NOT_FOUND.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_replay_dead_letter(
    executor: *mut stent_executor,
    task_id: *const c_char,
    options: *const c_char,
    ids: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let (task, options): (Id, _) = unsafe { (id(task_id, "task_id")?, optional(options, "options")?) };
        codec::options::none(options)?;
        let executor = executor.open()?.clone();
        let replayed = away(move || Box::pin(async move { executor.replay_dead_letter(task).await }))?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(ids, &codec::to_json(&replayed)) }
    })
}

/// Takes a dead letter away; its execution stays as it ended. Any thread. STENT_E_NOT_FOUND.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_discard_dead_letter(
    executor: *mut stent_executor,
    task_id: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let task: Id = unsafe { id(task_id, "task_id") }?;
        let executor = executor.open()?.clone();
        away(move || Box::pin(async move { executor.discard_dead_letter(task).await }))
    })
}

/// Lets a task go on that was parked because its code did not match its journal (STENT_E_NONDETERMINISM). options:
/// none so far. Any thread. STENT_E_NOT_FOUND. STENT_E_CONFLICT: it is not parked.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_resume(
    executor: *mut stent_executor,
    task_id: *const c_char,
    options: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let (task, options): (Id, _) = unsafe { (id(task_id, "task_id")?, optional(options, "options")?) };
        codec::options::none(options)?;
        let executor = executor.open()?.clone();
        away(move || Box::pin(async move { executor.resume(task).await }))
    })
}

/// Pauses a queue or a function. When it has returned, no worker claims a task of it any more; tasks of it that are
/// suspended and woken wait, too. What workers hold goes on: what runs, and what a worker has claimed ahead and not begun
/// yet. Dispatches go on. Again: the reason is replaced. options: queue or function, reason, by. Any thread.
/// STENT_E_UNSUPPORTED: the store can't pause.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_pause(
    executor: *mut stent_executor,
    options: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let options = unsafe { optional(options, "options") }?;
        let pause = codec::options::pause(options)?;
        let executor = executor.open()?.clone();
        away(move || Box::pin(async move { executor.pause(pause).await }))
    })
}

/// Ends a pause: the tasks are claimed again, at once. options: queue or function. Any thread. STENT_E_NOT_FOUND: it is not
/// paused.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_unpause(
    executor: *mut stent_executor,
    options: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let options = unsafe { optional(options, "options") }?;
        let what = codec::options::unpause(options)?;
        let executor = executor.open()?.clone();
        away(move || Box::pin(async move { executor.unpause(what).await }))
    })
}

/// What is paused, queues first: an array of {"queue", "function", "since", "reason", "by", "running"}, to be freed with
/// stent_free. running: how many tasks of it workers still hold; 0 when it is drained. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_pauses(
    executor: *mut stent_executor,
    pauses: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        let executor = executor.open()?.clone();
        let found = away(move || Box::pin(async move { executor.pauses().await }))?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(pauses, &codec::to_json(&found)) }
    })
}

/// Removes executions that ended long ago, with all that belongs to them, in bounded batches; workers do it by
/// themselves too. options: older_than (default "7d"), dead_letters (an age; default: they stay). `*report` is
/// {"executions", "dead_letters"}, the numbers removed, to be freed with stent_free. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_cleanup(
    executor: *mut stent_executor,
    options: *const c_char,
    report: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let options = unsafe { optional(options, "options") }?;
        let options = codec::options::cleanup(options)?;
        let executor = executor.open()?.clone();
        let cleaned = away(move || Box::pin(async move { executor.cleanup(options).await }))?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(report, &codec::to_json(&cleaned)) }
    })
}
