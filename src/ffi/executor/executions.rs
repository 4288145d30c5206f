//! Executions: dispatch, wait, query, signal, cancel.

use std::ffi::c_char;

use super::{ExecutorObject, stent_executor};
use crate::backend::NewSignal;
use crate::codec;
use crate::ffi::plumbing::{away, block_on, borrow, guard, id, optional, runtime, text, write_text};
use crate::ffi::{stent_error, stent_status};
use crate::model::{Id, Payload, Result};

/// Starts an execution of a function, whoever has registered it, in this process or another; until a worker has it,
/// it waits. args: an array, NULL for none. options: kwargs, delay, expiry or max_duration, tags, priority,
/// priority_ageing, fairness_key, fairness_weight, queue, retry_policy, timeout, id, idempotency_key, idempotency_reuse,
/// unique_key, unique_for, unique_while, unique_existing, debounce, debounce_max, on_cancel, traceparent; see
/// stent_describe.
/// `*execution_id` is to be freed with stent_free.
///
/// Returns when the execution is durable. Any thread. STENT_E_CONFLICT: the id exists, or the idempotency key was
/// used with other arguments; used with the same, the answer is the id of the execution that has it. One that failed
/// or was cancelled has left the key free: then a new execution starts, unless idempotency_reuse is "never". Where another
/// execution has the unique_key nothing starts, and the answer is that one's id; or, with "refuse" for unique_existing,
/// STENT_E_CONFLICT, with its id as the detail execution_id. With a debounce the execution that has it, if no worker has
/// had it yet, gets these arguments, and the answer is its id.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_dispatch(
    executor: *mut stent_executor,
    function: *const c_char,
    args: *const c_char,
    options: *const c_char,
    execution_id: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let (function, args, options) =
            unsafe { (text(function, "function")?, optional(args, "args")?, optional(options, "options")?) };
        let started = dispatch(&executor, function, args, options)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(execution_id, &started.to_string()) }
    })
}

pub(super) fn dispatch(
    executor: &ExecutorObject,
    function: &str,
    args: Option<&str>,
    options: Option<&str>,
) -> Result<Id> {
    let (args, options) = (codec::args_from_text(args)?, codec::options::dispatch(options)?);
    block_on(executor.open()?.dispatch(function, args, options))
}

/// Starts many executions at once, in order. requests: an array of {"function", "args", "options"}, of which
/// "function" must be there; the rest is as for stent_executor_dispatch. `*execution_ids` is an array of ids in the
/// same order, to be freed with stent_free.
///
/// A mistake in any request starts none of them. Beyond a thousand the store takes them in several transactions; when
/// one fails the error's detail "dispatched" says how many came before. Any thread. STENT_E_CONFLICT as for
/// stent_executor_dispatch.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_dispatch_many(
    executor: *mut stent_executor,
    requests: *const c_char,
    execution_ids: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let requests = unsafe { text(requests, "requests") }?;
        let requests = codec::options::dispatch_requests(requests)?;
        let started = block_on(executor.open()?.dispatch_many(requests))?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(execution_ids, &codec::to_json(&started)) }
    })
}

/// Waits until an execution is over, for at most `timeout_ms` (negative: as long as it takes; 0: just looks).
/// `*execution` is as stent_executor_state gives it, to be freed with stent_free; its "state" says how it ended.
///
/// Any thread; in a handler it holds a slot meanwhile. STENT_E_NOT_FOUND. STENT_E_TIMEOUT: it goes on (the error's detail
/// "state" says where it stands), or the store did not answer; it is given a second at least, whatever the time.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_wait(
    executor: *mut stent_executor,
    execution_id: *const c_char,
    timeout_ms: i64,
    execution: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let id: Id = unsafe { id(execution_id, "execution_id") }?;
        let wait = executor.open()?.wait(id, runtime::limit(timeout_ms));
        let snapshot = block_on(executor.store().unless_closed(wait))?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(execution, &codec::to_json(&snapshot)) }
    })
}

/// Waits as stent_executor_wait does and gives the result: any JSON value, to be freed with stent_free.
///
/// Any thread; in a handler it holds a slot meanwhile. STENT_E_FAILED: the execution failed, and the error's JSON has
/// its failure. STENT_E_CANCELLED: it was cancelled. STENT_E_TIMEOUT: it is not over by now (the error's detail
/// "state" says where it stands), or it ran out of its own time (the detail is "timed_out"). STENT_E_NOT_FOUND.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_result(
    executor: *mut stent_executor,
    execution_id: *const c_char,
    timeout_ms: i64,
    result: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let id: Id = unsafe { id(execution_id, "execution_id") }?;
        let given = result_of(&executor, id, timeout_ms)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(result, &given) }
    })
}

pub(super) fn result_of(executor: &ExecutorObject, execution: Id, timeout_ms: i64) -> Result<String> {
    let wait = executor.open()?.result(execution, runtime::limit(timeout_ms));
    Ok(codec::to_json(&block_on(executor.store().unless_closed(wait))?))
}

/// An execution as it is now: its record with "progress", and beside it "counters", "state_values", "replay_of" and
/// "cancel_reason"; to be freed with stent_free. Any thread. STENT_E_NOT_FOUND.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_state(
    executor: *mut stent_executor,
    execution_id: *const c_char,
    execution: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let id: Id = unsafe { id(execution_id, "execution_id") }?;
        let executor = executor.open()?.clone();
        let snapshot = away(move || Box::pin(async move { executor.state(id).await }))?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(execution, &codec::to_json(&snapshot)) }
    })
}

/// The executions that a filter admits, newest first, without their progress: an array, to be freed with stent_free.
/// filter: state, function, queue, tag, created_after, created_before, limit (default 10), offset; NULL for none. Any
/// thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_list(
    executor: *mut stent_executor,
    filter: *const c_char,
    executions: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let filter = unsafe { optional(filter, "filter") }?;
        let filter = codec::options::execution_filter(filter)?;
        let executor = executor.open()?.clone();
        let found = away(move || Box::pin(async move { executor.list(filter).await }))?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(executions, &codec::to_json(&found)) }
    })
}

/// Sends a signal to an execution: any JSON value (NULL: null), kept in order with those of the same name, and taken
/// by the oldest wait for it, now or later. options: {"id": "..."} names the sending; the same id for the same
/// execution and name counts once.
///
/// Returns when the signal is durable. Any thread. STENT_E_NOT_FOUND: no such execution. STENT_E_CONFLICT: it is
/// over.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_signal(
    executor: *mut stent_executor,
    execution_id: *const c_char,
    name: *const c_char,
    payload: *const c_char,
    options: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let (execution, name): (Id, _) = unsafe { (id(execution_id, "execution_id")?, text(name, "name")?) };
        // SAFETY: as above.
        let (payload, options) = unsafe { (optional(payload, "payload")?, optional(options, "options")?) };
        signal(&executor, execution, name, payload, options)
    })
}

pub(super) fn signal(
    executor: &ExecutorObject,
    execution: Id,
    name: &str,
    payload: Option<&str>,
    options: Option<&str>,
) -> Result<()> {
    let payload = payload.map_or_else(|| Ok(Payload::null()), |text| codec::value_from_text("payload", text))?;
    let options = codec::options::signal(options)?;
    block_on(executor.open()?.signal(NewSignal { execution, name: name.to_owned(), payload, id: options.id }))
}

/// Cancels an execution with everything that it called. Returns when that is durable: from then on nothing of it is
/// started and no result of it is taken; running handlers are told by stent_task_is_cancelled and by their next call.
/// It is "cancelled" when the last of them has returned, or when it has cleaned up, where its function has a cleanup: the
/// function runs again then, and what it had waited for answers STENT_E_CANCELLED. `reason` may be NULL. Any thread.
/// STENT_E_NOT_FOUND. STENT_E_CONFLICT: it is over.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_cancel(
    executor: *mut stent_executor,
    execution_id: *const c_char,
    reason: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let (execution, reason): (Id, _) = unsafe { (id(execution_id, "execution_id")?, optional(reason, "reason")?) };
        block_on(executor.open()?.cancel(execution, reason.map(str::to_owned)))
    })
}
