//! What a handler is given: its arguments, the durable operations, and the ways to end.

mod commit;
mod core;
mod coroutine;
mod decide;
mod durable;
mod ending;
mod lifecycle;
mod refusals;
mod says;
mod spans;
mod tells;
mod transactions;
mod turns;
mod waiting;
mod warm;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

pub(super) use self::core::{Alarm, AlarmKey, LeaseHolder, Polled, TaskCore, flag};
pub(super) use self::spans::Ended;
pub use self::transactions::TransactionBegun;
pub(super) use self::warm::Warm;

use self::coroutine::Coroutine;
use crate::model::{Id, Payload, TaskKind, Timestamp};

/// A claimed task, as its handler sees it. Clones are handles of the same task and may be used from any thread; threads
/// that use durable operations of one task at the same time must give them keys of their own.
///
/// Every method may block for a commit, or (with a hold) for what it awaits; none may be called on a thread of the
/// async runtime. Each method first checks whether the task is still the handler's:
///
/// | status | why |
/// |---|---|
/// | `LEASE_LOST` | another worker has the task, its attempt timed out, or it has ended |
/// | `CANCELLED` | its execution is being cancelled or has timed out |
/// | `CLOSED` | the handler has returned, or a deferred task was ended |
/// | `SUSPEND` | it has been told to suspend already, and should return |
/// | `CONFLICT` | it has completed, failed or continued already |
///
/// A handler may return the status of any error unchanged: the task is then retried, suspended, parked or released as
/// that error demands.
///
/// Dropping the last handle of a deferred task that was not ended fails its attempt with type `NoOutcome`.
///
/// A task that is hosted by a poller is deferred from the beginning, and lives as long as the host's coroutine, over
/// any number of leases. None of its methods blocks; those that would have to answer `UNSUPPORTED`.
pub struct Task(Holder);

enum Holder {
    /// Given to a handler, for one lease.
    Lent(Arc<TaskCore>),
    /// Given to a poller's host.
    Kept(Arc<Coroutine<TaskCore>>),
}

/// What a task knows about itself, besides its arguments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskInfo {
    pub task_id: Id,
    pub execution_id: Id,
    pub parent_task_id: Option<Id>,
    pub function: String,
    pub kind: TaskKind,
    /// The operation's key within its parent; none for a root task.
    pub step_key: Option<String>,
    /// 1 for the first; grows with each failure that is retried, and with each worker that dies after it has begun.
    pub attempt: u32,
    /// How often it has said "not now", by [`Task::snooze`].
    pub snoozes: u32,
    /// Larger than that of any earlier claim of the task.
    pub fence: u64,
    pub worker_id: String,
    /// When this attempt times out, counted from its start.
    pub deadline: Option<Timestamp>,
    pub queue: Option<String>,
    pub tags: Vec<String>,
    pub priority: i64,
    /// W3C Trace Context of the dispatch.
    pub traceparent: Option<String>,
    /// The details of the last attempt's last heartbeat.
    pub heartbeat: Option<Payload>,
    /// How often the task has been started over by [`Task::continue_with`].
    pub run: u32,
    pub created_at: Timestamp,
    /// Its execution was cancelled or timed out, and this run is to clean up.
    pub cleanup: bool,
    /// Its last worker may have died of it, so it runs apart from others.
    pub apart: bool,
}

impl Task {
    /// The first handle of a task whose handler is about to run.
    pub(super) fn first(core: Arc<TaskCore>) -> Self {
        core.add_handle();
        Self(Holder::Lent(core))
    }

    /// The lease that the task is under now, or was last.
    fn core(&self) -> Arc<TaskCore> {
        match &self.0 {
            Holder::Lent(core) => Arc::clone(core),
            Holder::Kept(coroutine) => coroutine.lease(),
        }
    }

    /// The tag in a poller's events about this task; 0 if a handler has it.
    pub fn tag(&self) -> u64 {
        match &self.0 {
            Holder::Lent(_) => 0,
            Holder::Kept(coroutine) => coroutine.tag(),
        }
    }

    pub fn info(&self) -> TaskInfo {
        let core = self.core();
        let claimed = &core.claimed;
        let task = &claimed.task;
        TaskInfo {
            task_id: task.id,
            execution_id: task.execution_id,
            parent_task_id: task.parent_task_id,
            function: task.step_name.clone(),
            kind: task.kind,
            step_key: task.step_key.clone(),
            attempt: claimed.attempt(),
            snoozes: claimed.snoozes,
            fence: task.fence,
            worker_id: core.holder.worker_id().to_owned(),
            deadline: core.deadline(),
            queue: task.queue.clone(),
            tags: task.tags.clone(),
            priority: task.priority,
            traceparent: claimed.traceparent.clone(),
            heartbeat: claimed.heartbeat.clone(),
            run: claimed.run,
            created_at: task.created_at,
            cleanup: core.cleans_up(),
            apart: core.is_suspect(),
        }
    }

    /// W3C Trace Context for what the handler does: below the span of this run, where spans are told; else the dispatch's.
    pub fn traceparent(&self) -> Option<String> {
        self.core().traceparent()
    }

    /// The arguments, an array.
    pub fn args(&self) -> Payload {
        self.core().claimed.task.args.clone()
    }

    /// The keyword arguments, an object.
    pub fn kwargs(&self) -> Payload {
        self.core().claimed.task.kwargs.clone()
    }

    /// True when nothing that the handler does will be recorded: its execution is being cancelled, its attempt has
    /// timed out, or another worker has the lease. Does not query the store; cheap enough for an inner loop.
    pub fn is_cancelled(&self) -> bool {
        self.core().in_vain()
    }

    /// True while the handler repeats what an earlier run did, and gets recorded results.
    pub fn is_replaying(&self) -> bool {
        self.core().is_replaying()
    }
}

impl Clone for Task {
    fn clone(&self) -> Self {
        match &self.0 {
            Holder::Lent(core) => Self::first(Arc::clone(core)),
            Holder::Kept(coroutine) => Self(Holder::Kept(Arc::clone(coroutine))),
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        match &self.0 {
            Holder::Lent(core) => core.drop_handle(),
            // `Coroutine`'s own drop does it.
            Holder::Kept(_) => {}
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = self.core();
        f.debug_struct("Task")
            .field("id", &core.held.task)
            .field("function", &core.claimed.task.step_name)
            .field("fence", &core.held.fence)
            .finish()
    }
}
