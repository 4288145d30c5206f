//! Events about tasks, for a host that takes them from a poller instead of being called back.

use serde::Serialize;

use crate::model::{Error, Failure, Id, Payload, Result, Status};

/// Each task that was handed to the host is closed by exactly one [`TaskEvent::Ended`] or [`TaskEvent::Evict`], unless
/// the host dropped it before. Events carry the task's tag, except [`TaskEvent::Op`], which carries the tag of the
/// request.
#[derive(Debug)]
pub enum TaskEvent {
    /// An operation that the host asked for has arrived. It is the coroutine's turn.
    Op { tag: u64, outcome: Result<Arrived> },
    /// The end that the host gave the task is recorded, or the error says why it is not.
    Ended { tag: u64, outcome: Result<TaskEnd> },
    /// What the task does will not be recorded; the host should end it.
    Cancel { tag: u64, notice: TaskNotice },
    /// The host should drop the coroutine. If the task goes on, it comes as a new one.
    Evict { tag: u64, notice: TaskNotice },
}

/// The result of an operation, or the results of a group in the order in which the group was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Arrived {
    One(Payload),
    Many(Vec<Payload>),
}

/// How a task ended: `completed`, `retried`, `snoozed`, `dead_lettered`, `failed`, `continued`, `parked` or `released`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskEnd {
    pub task_id: Id,
    pub execution_id: Id,
    pub outcome: &'static str,
    pub failure: Option<Failure>,
}

/// Why a task is taken from its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TaskNotice {
    pub task_id: Id,
    pub execution_id: Id,
    pub reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its execution is being cancelled, or over.
    Cancelled,
    /// The attempt took longer than its time-out.
    TimedOut,
    /// Its lease ended, or another worker has it.
    TakenOver,
    /// The worker drains.
    Draining,
    /// There are more waiting coroutines than the worker keeps, and this one has waited longest.
    Full,
    /// It goes back to the store, because the store could not be read.
    Released,
}

impl Reason {
    pub const fn status(self) -> Status {
        match self {
            Self::Cancelled => Status::Cancelled,
            Self::TimedOut => Status::Timeout,
            Self::TakenOver => Status::LeaseLost,
            Self::Draining => Status::Closed,
            Self::Full => Status::Ok,
            Self::Released => Status::Backend,
        }
    }
}

impl TaskEvent {
    /// The status of what the event reports.
    pub fn status(&self) -> Status {
        let of = |error: Option<&Error>| error.map_or(Status::Ok, Error::status);
        match self {
            Self::Op { outcome, .. } => of(outcome.as_ref().err()),
            Self::Ended { outcome, .. } => of(outcome.as_ref().err()),
            Self::Cancel { notice, .. } | Self::Evict { notice, .. } => notice.reason.status(),
        }
    }

    pub const fn tag(&self) -> u64 {
        match self {
            Self::Op { tag, .. } | Self::Ended { tag, .. } | Self::Cancel { tag, .. } | Self::Evict { tag, .. } => *tag,
        }
    }
}
