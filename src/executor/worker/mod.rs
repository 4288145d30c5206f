//! Workers: they claim tasks, run their handlers and record the outcomes.
//!
//! | file | what it does |
//! |---|---|
//! | `engine` | the loop: each transaction records what is ready and claims what there is room for |
//! | `flight` | transactions on their way to the store, of which there may be two |
//! | `settle` `weight` | applies the store's verdicts to the tasks, and measures what was recorded |
//! | `admit` | takes claimed tasks to their handlers: loads journals and cached results |
//! | `turns` | whose turn it is for a slot |
//! | `pool` `run` | handler threads and their slots |
//! | `batches` | gathers tasks for handlers that take many in one call |
//! | `desk` | slots without threads, for a poller's worker |
//! | `slots` | the one or the other |
//! | `coroutines` | those in a poller's host whose tasks wait |
//! | `looks` | what is asked before a body begins |
//! | `cache` | journals of suspended tasks |
//! | `strays` | handlers that go on without a lease |
//! | `troubles` `patience` | what is wrong at the moment, and how long a worker that stops waits for a store that is |
//! | `marks` `suspects` | what the store is told of bodies that begin, and who begins alone after a worker's death |
//! | `alarms` `hosts` `notices` `renewals` `sweeps` | the keepers: what happens beside the loop |

mod admit;
mod alarms;
mod batches;
mod begun;
mod cache;
mod coroutines;
mod desk;
mod engine;
mod flight;
mod hosts;
mod looks;
mod marks;
mod notices;
mod outbox;
mod patience;
mod pool;
mod renewals;
mod run;
mod settle;
mod shared;
mod slots;
mod strays;
mod suspects;
mod sweeps;
mod troubles;
mod turns;
mod weight;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

pub use pool::on_handler_thread;

use patience::GIVE_BACK;
use shared::Shared;

use futures_util::FutureExt as _;

use super::core::Core;
use super::inbox::{Event, Inbox};
use super::registry::Registry;
use super::status::{WorkerState, WorkerStatus};
use crate::model::{Error, Id, Result, Status, WorkerOptions};

/// A running worker. Cheap to clone; when the last clone is dropped the worker drains and stops by itself. Its
/// methods may be called from any thread.
#[derive(Clone)]
pub struct Worker(Arc<Handle>);

pub(super) struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.drain();
    }
}

impl Worker {
    pub(super) fn start(
        core: Arc<Core>,
        functions: Registry,
        options: WorkerOptions,
        inbox: Option<Arc<dyn Inbox>>,
    ) -> Result<Self> {
        options.check().map_err(|error| error.doing("start worker"))?;
        let worker_id = options.worker_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let runtime = core.runtime.clone();
        let shared = Arc::new(Shared::new(core, functions, options, worker_id, inbox));
        shared.prepare_batches();
        if let Some(inbox) = &shared.inbox {
            runtime.spawn(report(Arc::clone(&shared), Arc::clone(inbox)).boxed());
        }
        runtime.spawn(engine::run(Arc::clone(&shared)).boxed());
        Ok(Self(Arc::new(Handle(shared))))
    }

    pub(super) fn from_handle(handle: Arc<Handle>) -> Self {
        Self(handle)
    }

    pub(super) const fn handle(&self) -> &Arc<Handle> {
        &self.0
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }

    /// Is it running under this id?
    pub(super) fn is(&self, worker_id: &str) -> bool {
        self.shared().worker_id == worker_id && self.state() != WorkerState::Stopped
    }

    pub fn worker_id(&self) -> &str {
        &self.shared().worker_id
    }

    pub fn state(&self) -> WorkerState {
        self.shared().phase().borrow().state
    }

    /// Cheap: does not query the store.
    pub fn status(&self) -> WorkerStatus {
        status(self.shared())
    }

    /// The execution is being cancelled, as this process itself has told the store: what of it has not begun does not.
    pub(super) fn cancelled(&self, execution: Id) {
        let held = self.shared().held().into_iter().filter(|task| !task.cleans_up());
        notices::cancel(self.shared(), &held.collect::<Vec<_>>(), &HashSet::from([execution]));
    }

    /// Drains the worker, as long as there is one.
    pub fn drainer(&self) -> impl Fn() + Send + Sync + use<> {
        let worker = Arc::downgrade(&self.0);
        move || {
            if let Some(worker) = worker.upgrade() {
                worker.0.drain();
            }
        }
    }

    /// Waits until the worker is in this state. `None`: for as long as it takes.
    ///
    /// # Errors
    /// `TIMEOUT`; `CLOSED` if it is past this state and will not come back (past `draining` it is `stopped`, which
    /// counts as drained).
    pub async fn wait_state(&self, state: WorkerState, timeout: Option<Duration>) -> Result<()> {
        let mut phase = self.shared().phase();
        let reached = phase.wait_for(|phase| phase.state >= state);
        let is = match self.within(timeout, reached).await {
            Some(Ok(phase)) => phase.state,
            // The sender lives as long as this handle.
            Some(Err(_)) => WorkerState::Stopped,
            None => {
                return Err(Error::new(
                    Status::Timeout,
                    format!("wait: the worker is {}, not {}", self.state().as_str(), state.as_str()),
                )
                .retryable(true)
                .with("state", self.state().as_str()));
            }
        };
        if is == state || state == WorkerState::Draining {
            return Ok(());
        }
        Err(Error::closed(format!("wait: the worker is {} already, past {}", is.as_str(), state.as_str()))
            .with("state", is.as_str()))
    }

    /// Stops claiming. Prefetched tasks are given back; tasks that use durable operations suspend at the next one;
    /// other handlers run to their end. Then the worker is stopped. Returns at once; calling it again changes nothing.
    pub fn drain(&self) {
        self.shared().drain();
    }

    /// Drains, and waits until the worker is stopped. At the time-out the remaining leases are given back without
    /// charging an attempt, and the calls of handlers that still run answer `LEASE_LOST`; the worker is stopped when
    /// the last of them has returned. `None`: waits without a time-out.
    ///
    /// # Errors
    /// `TIMEOUT` if handlers still ran then, or the store did not answer; a later call may wait for them.
    /// `WRONG_THREAD` on a handler thread, which would wait for itself.
    pub async fn stop(&self, timeout: Option<Duration>) -> Result<()> {
        if on_handler_thread() {
            return Err(Error::new(
                Status::WrongThread,
                "stop worker: called on a handler's thread it would wait for itself; drain it here, or stop it from \
                 another thread",
            ));
        }
        self.drain();
        let shared = self.shared();
        let mut phase = shared.phase();
        let stopped = phase.wait_for(|phase| phase.state == WorkerState::Stopped);
        if self.within(timeout, stopped).await.is_some() {
            return self.all_recorded();
        }
        shared.abandon();
        let over = phase.wait_for(|phase| phase.state == WorkerState::Stopped || phase.given_back);
        let given_back = self.within(Some(GIVE_BACK), over).await.is_some();
        let (running, _) = shared.pool.counts();
        if self.state() == WorkerState::Stopped || (given_back && self.stops_now().await) {
            return self.all_recorded();
        }
        shared.tell_of_time_out();
        let what = match (given_back, shared.last_trouble()) {
            (true, _) => format!("{running} handlers still run; their leases are given back"),
            (false, Some(trouble)) => format!("leases could not be given back, they will run out ({trouble})"),
            (false, None) => "leases could not be given back in time, they will run out".to_owned(),
        };
        Err(Error::new(Status::Timeout, format!("stop worker: {what}")).retryable(true))
    }

    /// It has stopped. What it could not record is told, if a stop that has timed out has not said so.
    fn all_recorded(&self) -> Result<()> {
        match self.shared().unrecorded() {
            0 => Ok(()),
            _ if self.shared().tell_of_time_out() => Ok(()),
            count => {
                let told = format!(
                    "stop worker: the store did not answer, and {count} outcomes are not recorded; their leases run out"
                );
                Err(Error::new(Status::Timeout, told).retryable(true))
            }
        }
    }

    /// Waits a moment: if nothing was running, the worker is about to stop.
    async fn stops_now(&self) -> bool {
        let mut phase = self.shared().phase();
        let stopped = phase.wait_for(|phase| phase.state == WorkerState::Stopped);
        self.shared().pool.counts().0 == 0 && self.within(Some(GIVE_BACK), stopped).await.is_some()
    }

    /// Uses the timer of our runtime: the caller may not be on a runtime.
    async fn within<T>(&self, timeout: Option<Duration>, what: impl Future<Output = T>) -> Option<T> {
        let Some(timeout) = timeout else { return Some(what.await) };
        let bounded = {
            let _entered = self.shared().core.runtime.enter();
            tokio::time::timeout(timeout, what)
        };
        bounded.await.ok()
    }
}

fn status(shared: &Shared) -> WorkerStatus {
    let (running, prefetched) = shared.pool.counts();
    WorkerStatus {
        worker_id: shared.worker_id.clone(),
        state: shared.phase().borrow().state,
        slots: shared.options.max_concurrency,
        running,
        prefetched,
        held: shared.held_count(),
        queues: shared.options.queues.clone(),
        tags: shared.options.tags.clone(),
        functions: shared.functions.keys().cloned().collect(),
        coroutines: shared.coroutines.count(),
        trouble: shared.last_trouble(),
    }
}

/// Sends the worker's states to a poller's host; the last one always gets there.
async fn report(shared: Arc<Shared>, inbox: Arc<dyn Inbox>) {
    let mut phase = shared.phase();
    loop {
        let state = phase.borrow_and_update().state;
        let _closed = inbox.post(Event::Worker(WorkerStatus { state, ..status(&shared) }));
        if state == WorkerState::Stopped || phase.changed().await.is_err() {
            return;
        }
    }
}
