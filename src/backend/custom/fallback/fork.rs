//! Journals that begin with copies: for a dead letter's replay, and for a retry that runs failed children again.
//! Signals that no wait has taken are not copied, because the protocol shows only the oldest of them.

use std::collections::HashSet;

use super::Fallback;
use super::cleanup::Kept;
use super::copies::{made, opened_at, reopened, replayed};
use super::notes::{Notes, Place, now};
use super::told::REPLAY_OF;
use crate::backend::decide;
use crate::backend::{Notice, Replayed, Request, Response};
use crate::model::{Error, Execution, ExecutionState, Id, Op, Result, Task};

impl Fallback {
    pub(in crate::backend::custom) async fn replay_dead_letter(&self, id: Id, new: Id) -> Result<Replayed> {
        let none = || Error::not_found(format!("there is no dead letter of a task {id}"));
        let found = self.call(Request::GetDeadTask { task_id: id }).await?;
        let Response::DeadLetter(Some(letter)) = found else { return Err(none()) };
        decide::may_replay(&letter.task)?;
        let old = letter.task.execution_id;
        let execution = self.execution(old).await?.ok_or_else(none)?;
        let tasks = self.tasks_of(old).await?;
        let above: Vec<(Id, Option<Id>)> = tasks.iter().map(|task| (task.id, task.parent_task_id)).collect();
        let path = decide::path(id, &above).ok_or_else(|| decide::no_root(id))?;
        let (root, children) =
            replayed(&path, &tasks, Kept::of(&tasks).map(|Kept(_, last)| last), new, now()).ok_or_else(none)?;
        let root = Task { step_key: Some(format!("{REPLAY_OF}{old}")), ..root };
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

    /// Copies counters, state values and progress, because the replay does not record them again.
    async fn take_along(&self, old: Id, new: Id) -> Result<()> {
        if let Response::Counters(counters) = self.call(Request::GetExecutionCounters { execution_id: old }).await? {
            self.call(Request::EnsureExecutionCounters { execution_id: new, counters }).await?;
        }
        if let Response::Values(values) = self.call(Request::GetExecutionStateValues { execution_id: old }).await? {
            self.call(Request::EnsureExecutionStateValues { execution_id: new, values }).await?;
        }
        Ok(())
    }

    /// The failed children of a task run again, and the failed ones below them. Failed steps, waits and timers are left
    /// out, and the retry asks for them anew. The dead letters of all of these are deleted.
    pub(super) async fn reopen(&self, task: &Task, notes: &mut Notes) -> Result<()> {
        let all = self.tasks_of(task.execution_id).await?;
        let plan = reopened(&all, task.id, notes.run);
        for failed in plan.iter().filter(|copy| copy.again) {
            self.call(Request::DeleteDeadTask { task_id: failed.id }).await?;
        }
        let run = notes.run + 1;
        let run_of = |parent| if parent == task.id { run } else { 0 };
        let copies = made(&plan, &all, task.execution_id, run_of, now());
        let ours = copies.iter().filter(|copy| copy.parent_task_id == Some(task.id) && copy.state.is_terminal());
        let kept: HashSet<Op> = ours.filter_map(Place::of).map(|place| place.op).collect();
        notes.opened = notes.opened.into_iter().chain(opened_at(&all, task.id, notes.run)).min();
        notes.run = run;
        notes.arrived.retain(|op| kept.contains(op));
        self.create(copies).await
    }
}
