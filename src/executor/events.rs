//! What a host that is not called back is told of a task that it has.

use serde::Serialize;

use crate::model::{Error, Failure, Id, Payload, Result, Status};

/// Each task that is handed over is closed by exactly one [`TaskEvent::Ended`] or [`TaskEvent::Evict`], unless its host
/// dropped it before. All events of a task bear its tag, but for [`TaskEvent::Op`], which bears the one that was asked
/// with.
#[derive(Debug)]
pub enum TaskEvent {
    /// What was asked for has arrived; it is the coroutine's turn.
    Op { tag: u64, outcome: Result<Arrived> },
    /// The end that the host gave its task is recorded; or it is not, and the error says why.
    Ended { tag: u64, outcome: Result<TaskEnd> },
    /// The task's work is in vain; its host is to end it.
    Cancel { tag: u64, notice: TaskNotice },
    /// The coroutine is to be dropped; the task, if it goes on, comes anew.
    Evict { tag: u64, notice: TaskNotice },
}

/// What arrived: the result of an operation, or those of a group, in the order in which it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Arrived {
    One(Payload),
    Many(Vec<Payload>),
}

/// How a task ended: `completed`, `retried`, `dead_lettered`, `failed`, `continued`, `parked` or `released`.
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
    /// More coroutines wait here than are to be kept, and it has waited longest.
    Full,
    /// It goes back to the store, for the store could not be read.
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
    /// How what it tells of came out.
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
