//! Workers: they claim tasks and run their handlers.

use std::ffi::c_char;
use std::sync::Arc;

use super::executor::{ExecutorObject, stent_executor};
use super::plumbing::background::Unhurried;
use super::plumbing::handles::{self, Object, Table};
use super::plumbing::{
    block_on, borrow, guard, optional, registry, required, runtime, text, threads, write, write_text,
};
use super::poller::{PollerObject, stent_poller};
use super::{stent_error, stent_status};
use crate::codec;
use crate::executor::{Inbox, Worker};

/// Runs the handlers of an executor's functions. Made by stent_worker_start, freed by stent_worker_free.
pub struct stent_worker {
    _opaque: [u8; 0],
}

pub(super) struct WorkerObject {
    worker: Unhurried<Worker>,
    /// A child keeps its parent alive.
    _executor: Arc<ExecutorObject>,
}

static WORKERS: Table<WorkerObject> = Table::new();

impl Object for WorkerObject {
    type Opaque = stent_worker;
    const NAME: &'static str = "worker";
    const ORIGIN: &'static str = "stent_worker_start makes one";

    fn table() -> &'static Table<Self> {
        &WORKERS
    }
}

/// Nobody can stop it any more, so it stops by itself.
impl Drop for WorkerObject {
    fn drop(&mut self) {
        self.worker.drain();
    }
}

/// Starts a worker for the functions that are registered by now. options: worker_id, queues, queue_rates, tags,
/// max_concurrency (default 10: the tasks that run at once), prefetch, lease_duration, heartbeat_interval, poll_interval,
/// poll_interval_max, cleanup_interval, retention_period, hold, max_coroutines, host_timeout; see stent_describe.
///
/// poller: NULL for a worker of the functions that have a handler, which is called back on threads of the library. Else
/// it is one of the functions that have none, whose tasks come as events of the poller, as does every state of the
/// worker; see stent_poller_new. An executor may have workers of both kinds.
///
/// Returns at once; the worker is "starting" until the store knows it (see stent_worker_wait). `*worker` is the
/// caller's, to be freed by stent_worker_free after stent_worker_stop. Any thread. STENT_E_CONFLICT: a worker of this
/// id runs in this executor.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_worker_start(
    executor: *mut stent_executor,
    options: *const c_char,
    poller: *mut stent_poller,
    worker: *mut *mut stent_worker,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let options = unsafe { optional(options, "options") }?;
        let options = codec::options::worker(options)?;
        required(worker, "worker")?;
        let poller = if poller.is_null() { None } else { Some(borrow::<PollerObject>(poller)?) };
        let inbox = poller.as_ref().map(|poller| Arc::clone(poller.queue()) as Arc<dyn Inbox>);
        let started = executor.open()?.start_worker(options, inbox)?;
        poller.iter().for_each(|poller| poller.serve(&started));
        registry::add_worker(executor.store(), &started)?;
        let handle = handles::give(WorkerObject { worker: Unhurried::new(started), _executor: executor })?;
        // SAFETY: writable, by the header's convention.
        unsafe { write(worker, handle) };
        Ok(())
    })
}

/// What the worker is doing: a JSON object with "worker_id", "state", "slots", "running", "prefetched", "held" (leases),
/// "queues", "tags", "functions", "coroutines" (in a poller's host, of tasks that wait) and "trouble" (why its last call
/// to the store failed, that its host takes no events, or which handlers go on long after their leases were over, while
/// that is so); to be freed with stent_free. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_worker_status(
    worker: *mut stent_worker,
    status: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let worker = borrow::<WorkerObject>(worker)?;
        let told = codec::to_json(&worker.worker.status());
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(status, &told) }
    })
}

/// Waits until the worker has come to a state ("ready", "draining" or "stopped") or past it, for at most `timeout_ms`
/// (negative: as long as it takes). Any thread but the library's own. STENT_E_TIMEOUT. STENT_E_CLOSED: it stopped
/// before it was ready, and the message says why. STENT_E_WRONG_THREAD: called in a callback.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_worker_wait(
    worker: *mut stent_worker,
    state: *const c_char,
    timeout_ms: i64,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let worker = borrow::<WorkerObject>(worker)?;
        // SAFETY: text or NULL, by the header's convention.
        let state = unsafe { text(state, "state") }?;
        threads::refuse_in_callbacks("stent_worker_wait")?;
        block_on(worker.worker.wait_state(state.parse()?, runtime::limit(timeout_ms)))
    })
}

/// Tells the worker to take nothing new, and returns at once: what was taken and not begun goes back, workflows give
/// way at their next durable call, running activities finish, and then it is "stopped". No attempt is charged. Any
/// thread, in a handler too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_worker_drain(worker: *mut stent_worker, error: *mut *mut stent_error) -> stent_status {
    guard(error, || {
        borrow::<WorkerObject>(worker)?.worker.drain();
        Ok(())
    })
}

/// Drains the worker and waits until it has stopped, for at most `timeout_ms` (negative: as long as it takes). Tasks
/// that run longer than that are given up: other workers may take them at once, no attempt is charged, and what their
/// handlers do is lost to them. Again: nothing.
///
/// A store that does not answer does not keep it: after the time-out it has two more seconds; without one it is waited for
/// until the leases are over by which it would record what has ended.
///
/// Any thread but the library's own. STENT_E_TIMEOUT: handlers were still running, or the store did not take the leases
/// back, or what had ended, which run out then: what is not recorded runs again. STENT_E_WRONG_THREAD: called in a
/// callback, where it would wait for itself; stent_worker_drain may be called there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_worker_stop(
    worker: *mut stent_worker,
    timeout_ms: i64,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let worker = borrow::<WorkerObject>(worker)?;
        threads::refuse_in_callbacks("stent_worker_stop")?;
        block_on(worker.worker.stop(runtime::limit(timeout_ms)))
    })
}

/// Frees the handle. NULL is nothing; a worker that has not stopped drains by itself. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_worker_free(worker: *mut stent_worker) {
    guard::free::<WorkerObject>(worker);
}
