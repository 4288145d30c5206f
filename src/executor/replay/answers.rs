//! The types of the machine's answers.

use crate::model::{Failure, Id, Op, OpSet, Payload, TaskKind, Timestamp, WaitMode};

/// What a poll found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll {
    /// The awaited operations have arrived, and are delivered. `first`: the one that arrived first; 0 if none was
    /// awaited.
    Ready { first: Op },
    /// Not yet; `ops` are those that have not arrived.
    Waiting { mode: WaitMode, ops: OpSet },
    /// More has arrived than the machine has: load what came after its high water, absorb it, poll again.
    NeedNews,
}

/// What to deliver next to a coroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Op(Op),
    /// Nothing has arrived of what was asked for.
    Nothing,
    /// As [`Poll::NeedNews`].
    NeedNews,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpOutcome {
    /// A timer's payload is `null`.
    Completed(Payload),
    Failed(Failure),
    Cancelled,
}

/// A wait for a timer or a signal that is over, and that this pass was told of.
#[derive(Clone, Debug, PartialEq)]
pub struct Waited<'a> {
    pub id: Id,
    pub kind: TaskKind,
    pub name: &'a str,
    pub key: &'a str,
    /// The claim under which it was asked for; where that is not known any more, the time of what was delivered before.
    pub asked: Timestamp,
    pub ended: Timestamp,
    pub outcome: &'a OpOutcome,
}

/// A step that was begun. `recorded`: its outcome is recorded, and its body must not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepBegun {
    pub op: Op,
    pub recorded: bool,
}
