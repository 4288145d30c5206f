//! A dead letter's replay: a new execution with what the failed path had recorded. Signals that nobody has taken stay
//! behind: the protocol shows only the oldest of them.

use std::collections::HashMap;

use super::Fallback;
use super::notes::{Notes, Place, now, root_of};
use super::told::REPLAY_OF;
use crate::backend::{Notice, Replayed, Request, Response};
use crate::model::{DeadLetter, Error, Execution, ExecutionState, Id, Op, Result, Task, TaskState, child_id};

impl Fallback {
    pub(in crate::backend::custom) async fn replay_dead_letter(&self, id: Id, new: Id) -> Result<Replayed> {
        let none = || Error::not_found(format!("there is no dead letter of a task {id}"));
        let found = self.call(Request::GetDeadTask { task_id: id }).await?;
        let Response::DeadLetter(Some(letter)) = found else { return Err(none()) };
        let old = letter.task.execution_id;
        let execution = self.execution(old).await?.ok_or_else(none)?;
        let tasks = self.tasks_of(old).await?;
        let (root, children) = copies(&letter, &tasks, new).ok_or_else(none)?;
        let execution = Execution {
            id: new,
            state: ExecutionState::Pending,
            created_at: now(),
            started_at: None,
            completed_at: None,
            result: None,
            error: None,
            ..execution
        };
        self.call(Request::CreateExecutionWithRootTask { execution, task: root }).await?;
        if !children.is_empty() {
            self.call(Request::CreateTasks { tasks: children }).await?;
        }
        self.take_along(old, new).await?;
        self.call(Request::DeleteDeadTask { task_id: id }).await?;
        self.hint(Notice::Work { served: None });
        Ok(Replayed { execution: new, replay_of: old })
    }

    /// What was told is not told again.
    async fn take_along(&self, old: Id, new: Id) -> Result<()> {
        if let Response::Counters(counters) = self.call(Request::GetExecutionCounters { execution_id: old }).await? {
            self.call(Request::EnsureExecutionCounters { execution_id: new, counters }).await?;
        }
        if let Response::Values(values) = self.call(Request::GetExecutionStateValues { execution_id: old }).await? {
            self.call(Request::EnsureExecutionStateValues { execution_id: new, values }).await?;
        }
        Ok(())
    }
}

/// What becomes of a child when its parent's journal is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Graft {
    /// As it stands.
    Keep,
    /// It runs again, with what its own journal has.
    Afresh,
    Leave,
}

/// The journal of a task's run.
pub(super) struct Graftable<'a> {
    pub tasks: &'a [Task],
    pub of: Id,
    pub run: u32,
}

impl Graftable<'_> {
    /// The first operation of which this is true.
    pub(super) fn first(&self, is: &dyn Fn(&Task) -> bool) -> Option<Op> {
        let of = |task: &&Task| task.parent_task_id == Some(self.of) && is(task);
        self.tasks
            .iter()
            .filter(of)
            .filter_map(Place::of)
            .filter(|place| place.run == self.run)
            .map(|place| place.op)
            .min()
    }
}

/// Copies a journal below another task (its execution, its id, its run); the operations that were kept as they stand.
pub(super) fn graft(
    from: &Graftable<'_>,
    to: (Id, Id, u32),
    what: &dyn Fn(&Task) -> Graft,
    copies: &mut Vec<Task>,
) -> Vec<Op> {
    let (execution, parent, run) = to;
    let mut kept = Vec::new();
    for child in from.tasks.iter().filter(|task| task.parent_task_id == Some(from.of)) {
        let Some(place) = Place::of(child).filter(|place| place.run == from.run) else { continue };
        let id = child_id(parent, run, &place.key);
        let step_key = Some(Place { run, ..place.clone() }.to_text());
        let copy = Task { id, execution_id: execution, parent_task_id: Some(parent), step_key, ..child.clone() };
        match what(child) {
            Graft::Leave => {}
            Graft::Keep => {
                kept.push(place.op);
                copies.push(copy);
            }
            Graft::Afresh => {
                let (copy, below) = afresh(copy, child, from.tasks, what);
                copies.push(copy);
                copies.extend(below);
            }
        }
    }
    kept
}

/// A task that runs again, and the copies of what its last run had recorded.
fn afresh(mut copy: Task, old: &Task, tasks: &[Task], what: &dyn Fn(&Task) -> Graft) -> (Task, Vec<Task>) {
    let mut ended: Vec<(&Task, Place)> = tasks
        .iter()
        .filter(|task| task.parent_task_id == Some(old.id))
        .filter_map(|task| Place::of(task).map(|place| (task, place)))
        .collect();
    let run = ended.iter().map(|(_, place)| place.run).max().unwrap_or(0);
    ended.retain(|(task, place)| place.run == run && what(task) != Graft::Leave);
    ended.sort_by_key(|(task, place)| (task.completed_at, place.op));
    let mut below = Vec::new();
    let from = Graftable { tasks, of: old.id, run };
    let kept = graft(&from, (copy.execution_id, copy.id, run), what, &mut below);
    let notes = Notes {
        run,
        ops: ended.iter().map(|(_, place)| place.op).max().unwrap_or(0),
        opened: from.first(&|child| what(child) == Graft::Afresh),
        arrived: ended.iter().map(|(_, place)| place.op).filter(|op| kept.contains(op)).collect(),
        ..Notes::default()
    };
    (copy.state, copy.retries, copy.error) = (TaskState::Pending, 0, None);
    (copy.started_at, copy.completed_at, copy.scheduled_for) = (None, None, Some(now()));
    (copy.worker_id, copy.lease_expires_at) = (None, None);
    notes.keep(&mut copy);
    (copy, below)
}

/// The new root and the tasks below it.
fn copies(letter: &DeadLetter, tasks: &[Task], new: Id) -> Option<(Task, Vec<Task>)> {
    let by_id: HashMap<Id, &Task> = tasks.iter().map(|task| (task.id, task)).collect();
    let mut path = vec![letter.task.id];
    while let Some(parent) = by_id.get(path.last()?)?.parent_task_id {
        if path.contains(&parent) {
            // A circle: there is no root to begin with.
            return None;
        }
        path.push(parent);
    }
    let old = *by_id.get(path.last()?)?;
    let what = |task: &Task| match task.state {
        _ if path.contains(&task.id) => Graft::Afresh,
        TaskState::Completed => Graft::Keep,
        // The handler had seen it fail, and gone on.
        TaskState::Failed if task.completed_at <= letter.task.completed_at => Graft::Keep,
        _ => Graft::Leave,
    };
    let root = Task { id: root_of(new), execution_id: new, ..old.clone() };
    let (mut root, below) = afresh(root, old, tasks, &what);
    root.step_key = Some(format!("{REPLAY_OF}{}", letter.task.execution_id));
    Some((root, below))
}
