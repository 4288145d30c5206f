//! What the machine answers.

use crate::model::{Failure, Op, OpSet, Payload, WaitMode};

/// What a poll found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll {
    /// What was awaited is there, and is handed over. `first`: the one that arrived first; 0 if nothing was awaited.
    Ready { first: Op },
    /// Not yet; `ops` are those that have not arrived.
    Waiting { mode: WaitMode, ops: OpSet },
    /// More has arrived than the machine knows: load what came after its high water, absorb it, poll again.
    NeedNews,
}

/// The next thing that a coroutine host is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Op(Op),
    /// Nothing that is known; what is asked for may arrive.
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

/// A step that was begun. `recorded`: its outcome is there, and the body must not be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepBegun {
    pub op: Op,
    pub recorded: bool,
}
