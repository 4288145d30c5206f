//! What follows from the end of tasks: for their executions, parents, descendants and dead letters. Every task ends
//! this way.

use std::collections::HashMap;

use super::Book;
use crate::backend::{CacheSlot, Extent};
use crate::model::{ExecutionState, Failure, Id, Op, Payload, TaskKind, TaskState};

#[derive(Clone, Debug, PartialEq)]
pub(in crate::backend) enum Ending {
    Completed(Payload),
    Failed(Failure),
    Cancelled,
}

impl Ending {
    pub const fn task_state(&self) -> TaskState {
        match self {
            Self::Completed(_) => TaskState::Completed,
            Self::Failed(_) => TaskState::Failed,
            Self::Cancelled => TaskState::Cancelled,
        }
    }

    /// An execution ends as its root did.
    pub const fn execution_state(&self) -> ExecutionState {
        match self {
            Self::Completed(_) => ExecutionState::Completed,
            Self::Failed(_) => ExecutionState::Failed,
            Self::Cancelled => ExecutionState::Cancelled,
        }
    }

    pub const fn result(&self) -> Option<&Payload> {
        match self {
            Self::Completed(result) => Some(result),
            Self::Failed(_) | Self::Cancelled => None,
        }
    }

    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Completed(_) | Self::Cancelled => None,
        }
    }
}

/// A task that is to end.
#[derive(Clone, Debug)]
pub(in crate::backend) struct End {
    pub id: Id,
    pub parent: Option<Id>,
    /// `Some`: end the task only if it runs under this fence and its execution goes on. `None`: end it in whatever
    /// state it is, unless it has ended.
    pub fence: Option<u64>,
    pub ending: Ending,
    pub dead_letter: Option<String>,
    pub cache: Option<CacheSlot>,
    pub cache_hit: bool,
    /// By how much the transition's commands extend the record. If the task is run again, its next attempt knows by
    /// this that there is a journal to load, and which effects not to record again.
    pub said: Extent,
}

impl End {
    /// Ends the task in whatever state it is, unless it has ended.
    pub fn now(id: Id, parent: Option<Id>, ending: Ending) -> Self {
        Self {
            id,
            parent,
            fence: None,
            ending,
            dead_letter: None,
            cache: None,
            cache_hit: false,
            said: Extent::default(),
        }
    }
}

/// A task that did end.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::backend) struct Ended {
    pub id: Id,
    pub arrival: Option<u64>,
    pub op: Option<Op>,
}

/// The columns of a task that has just been ended.
pub(in crate::backend) struct EndedRow {
    pub id: Id,
    pub execution: Id,
    pub op: Option<Op>,
    pub kind: TaskKind,
    pub retries: i64,
    pub arrival: Option<u64>,
    pub has_operations: bool,
    pub has_key: bool,
    /// As it was recorded: a root that has cleaned up is cancelled, whatever it said.
    pub state: TaskState,
}

/// What is to be done after tasks have ended.
#[derive(Default)]
pub(in crate::backend) struct Aftermath<'a> {
    pub ended: Vec<Ended>,
    /// Executions that end as these roots did, with the roots' retries.
    pub executions: Vec<(Id, &'a Ending, i64)>,
    /// Tasks that have operations: their unfinished descendants are to be cancelled.
    pub with_operations: Vec<Id>,
    /// Tasks that own an idempotency key, so others may be waiting for their result.
    pub with_key: Vec<(Id, &'a Ending)>,
    pub letters: Vec<(Id, &'a str)>,
    pub results: Vec<(&'a CacheSlot, &'a Payload)>,
    /// Parents to which an end was delivered.
    pub parents: Vec<Id>,
}

impl<'a> Aftermath<'a> {
    /// `rows`: those of `ends` that did end, in any order: what follows goes by the order of `ends`. Their delivery to
    /// the parents is entered into the book.
    pub fn of(ends: &'a [End], rows: impl IntoIterator<Item = EndedRow>, book: &mut Book) -> Self {
        let mut by_id: HashMap<Id, EndedRow> = rows.into_iter().map(|row| (row.id, row)).collect();
        let mut after = Self::default();
        for end in ends {
            if let Some(row) = by_id.remove(&end.id) {
                after.add(end, row, book);
            }
        }
        after
    }

    fn add(&mut self, end: &'a End, row: EndedRow, book: &mut Book) {
        let EndedRow { id, execution, op, kind, retries, arrival, has_operations, has_key, state } = row;
        if let (Some(parent), Some(arrival)) = (end.parent, arrival) {
            book.delivered(parent, arrival);
        }
        match (end.parent, op) {
            (Some(parent), Some(op)) => {
                book.arrived(parent, op);
                self.parents.push(parent);
            }
            (None, _) if kind == TaskKind::Orchestrator => self.executions.push((execution, &end.ending, retries)),
            _ => {}
        }
        if has_operations {
            book.forget(id);
            self.with_operations.push(id);
        }
        if has_key {
            let ending = if state == TaskState::Cancelled { &Ending::Cancelled } else { &end.ending };
            self.with_key.push((id, ending));
        }
        if let Some(reason) = &end.dead_letter {
            self.letters.push((id, reason));
        }
        if let (Some(slot), Some(result)) = (&end.cache, end.ending.result()) {
            self.results.push((slot, result));
        }
        self.ended.push(Ended { id, arrival, op });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u128, op: Option<Op>, kind: TaskKind) -> EndedRow {
        EndedRow {
            id: Id::from_u128(id),
            execution: Id::from_u128(100),
            op,
            kind,
            retries: 2,
            arrival: op.map(u64::from),
            has_operations: false,
            has_key: false,
            state: TaskState::Completed,
        }
    }

    #[test]
    fn a_root_ends_its_execution_and_a_child_reaches_its_parent() {
        let (root, parent) = (Id::from_u128(1), Id::from_u128(9));
        let ends = [
            End::now(root, None, Ending::Cancelled),
            End::now(Id::from_u128(2), Some(parent), Ending::Completed(Payload::null())),
            End::now(Id::from_u128(3), Some(parent), Ending::Completed(Payload::null())),
        ];
        let rows = [row(1, None, TaskKind::Orchestrator), row(2, Some(4), TaskKind::Activity)];
        let mut book = Book::default();
        let after = Aftermath::of(&ends, rows, &mut book);
        assert_eq!(after.executions, [(Id::from_u128(100), &Ending::Cancelled, 2)]);
        assert_eq!((after.parents, book.latest(parent)), (vec![parent], 4));
        assert_eq!(after.ended.len(), 2, "what was over already is not among them");
    }

    /// Joined calls are delivered in this order, and databases tell what they have changed in any.
    #[test]
    fn what_follows_goes_by_the_order_in_which_ends_are_said() {
        let ids = [3, 1, 2].map(Id::from_u128);
        let ends = ids.map(|id| End::now(id, None, Ending::Cancelled));
        let rows = [1, 2, 3].map(|id| EndedRow { has_key: true, ..row(id, None, TaskKind::Activity) });
        let after = Aftermath::of(&ends, rows, &mut Book::default());
        assert_eq!(after.with_key.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
        assert_eq!(after.ended.iter().map(|ended| ended.id).collect::<Vec<_>>(), ids);
    }

    #[test]
    fn letters_results_keys_and_trees_are_each_task_s_own() {
        let slot = CacheSlot { key: "k".into(), ttl: None };
        let failed = Ending::Failed(Failure::new("Oops", ""));
        let ends =
            [End { dead_letter: Some("why".into()), cache: Some(slot), ..End::now(Id::from_u128(1), None, failed) }];
        let rows = [EndedRow { has_operations: true, has_key: true, ..row(1, None, TaskKind::Activity) }];
        let after = Aftermath::of(&ends, rows, &mut Book::default());
        assert_eq!(after.letters, [(Id::from_u128(1), "why")]);
        assert!(after.results.is_empty(), "a failure is not kept");
        assert!(after.executions.is_empty(), "only a root ends an execution");
        assert_eq!((after.with_operations.len(), after.with_key.len()), (1, 1));
    }
}
