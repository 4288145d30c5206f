//! One durable operation, as the machine keeps it.

use std::sync::Arc;

use crate::backend::JournalEntry;
use crate::model::{Failure, Id, Payload, TaskKind, TaskState, Timestamp};

use super::answers::OpOutcome;

/// What was asked for. It must be the same whenever the key is asked for again.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub kind: TaskKind,
    pub name: String,
    /// The input of an activity; other operations have none.
    pub args: Payload,
    pub kwargs: Payload,
}

impl Request {
    /// Without an input.
    pub fn of(kind: TaskKind, name: &str) -> Self {
        Self { kind, name: name.to_owned(), args: Payload::default(), kwargs: Payload::default() }
    }
}

/// How far an operation has been recorded.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// A step whose body is running.
    Begun,
    /// A step whose body has ended; its commit is not confirmed.
    Ended(OpOutcome),
    /// Started; its commit is not confirmed.
    Spawned,
    Recorded,
}

/// A cancellation asked for in this pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancelling {
    No,
    /// Not confirmed. Until then the operation's end is not delivered, because the store decides whether it was
    /// cancelled.
    Pending,
    Settled,
}

#[derive(Clone, Debug)]
pub(super) struct End {
    pub arrival: u64,
    /// Unknown for operations that ended in a commit of ours.
    pub at: Option<Timestamp>,
    pub outcome: OpOutcome,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub id: Id,
    pub key: Arc<str>,
    pub request: Request,
    pub stage: Stage,
    pub end: Option<End>,
    /// Asked for in this pass.
    pub requested: bool,
    /// Not before this moment: the handler's clock when it was, or the claim under which it was new.
    pub asked: Timestamp,
    /// Delivered in this pass.
    pub delivered: bool,
    pub cancel: Cancelling,
}

impl Entry {
    pub fn recorded(key: Arc<str>, entry: JournalEntry) -> Self {
        let request = Request {
            kind: entry.kind,
            name: entry.name.clone(),
            args: entry.args.clone(),
            kwargs: entry.kwargs.clone(),
        };
        Self {
            id: entry.id,
            key,
            request,
            stage: Stage::Recorded,
            end: end_of(entry),
            requested: false,
            asked: Timestamp::from_micros(0),
            delivered: false,
            cancel: Cancelling::No,
        }
    }

    /// Is its key made of name and number? Keys of the caller contain no `#`.
    pub fn is_numbered(&self) -> bool {
        self.key.contains('#')
    }

    /// The end, if it may be delivered.
    pub fn visible(&self) -> Option<&End> {
        match self.cancel {
            Cancelling::Pending => None,
            Cancelling::No | Cancelling::Settled => self.end.as_ref(),
        }
    }
}

/// An operation without an arrival number was not delivered to the parent, whatever its state.
pub(super) fn end_of(entry: JournalEntry) -> Option<End> {
    let arrival = entry.arrival?;
    let outcome = match entry.state {
        TaskState::Completed => OpOutcome::Completed(entry.result.unwrap_or_else(Payload::null)),
        TaskState::Failed => OpOutcome::Failed(
            entry.error.unwrap_or_else(|| Failure::new("Unknown", "it failed, and no reason is recorded")),
        ),
        TaskState::Cancelled => OpOutcome::Cancelled,
        TaskState::Pending | TaskState::Running | TaskState::Waiting => return None,
    };
    Some(End { arrival, at: entry.completed_at, outcome })
}
