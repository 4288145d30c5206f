//! Cleanups of executions that were cancelled or timed out. The protocol's claim gives only what is of an execution that goes
//! on, and one that is cancelling in a store's record may not go on again: so where a function has a cleanup, its execution
//! stays as it is in the record from the cancel on, with a mark in its error, and is told as cancelling. First the mark says
//! that nothing of it goes on, then (`until`) that it cleans up. It stays until the execution is closed: there is one cleanup. A
//! task that is claimed but not run ends the cleanup when its time is over; its arguments keep what the records have no place
//! for when all is over.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::notes::{Notes, now};
use super::start::{New, blank};
use super::{Fallback, is_conflict};
use crate::backend::decide::root_task_id;
use crate::backend::{Notice, Request};
use crate::codec::{from_json, to_json};
use crate::model::{Execution, ExecutionState, Failure, Id, Op, Payload, Result, Task, TaskKind, Timestamp, child_id};

/// An execution that is to be ended has an error of one of these types.
pub(super) const CANCELLED: &str = "Cancelled";
pub(super) const TIMED_OUT: &str = "TimedOut";

/// The task that ends a cleanup: it is claimed but not run.
pub(super) const CLEANUP: &str = "stent.cleanup";

/// What stands in the details of the error of an execution that is to clean up, does, or has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    /// When its cleanup is over; `None`: it has not begun.
    #[serde(rename = "stent.cleanup")]
    pub until: Option<Timestamp>,
    pub on_cancel: Option<String>,
    /// The last operation that the root had issued before.
    pub last: Op,
}

/// The arguments of the task that ends the cleanup.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept(pub Option<String>, pub Op);

impl Mark {
    pub fn of(execution: &Execution) -> Option<Self> {
        let failure = execution.error.as_ref().filter(|failure| [CANCELLED, TIMED_OUT].contains(&&*failure.kind))?;
        let text = String::from_utf8_lossy(failure.details.as_ref()?.as_bytes());
        from_json("an execution's mark", &text).ok()
    }
}

impl Kept {
    pub fn of(tasks: &[Task]) -> Option<Self> {
        let kept = tasks.iter().find(|task| is_clock(task))?;
        from_json("a cleanup's arguments", &String::from_utf8_lossy(kept.args.as_bytes())).ok()
    }
}

pub(super) fn is_clock(task: &Task) -> bool {
    task.step_name == CLEANUP && task.parent_task_id.is_none()
}

/// As the engine sees it.
pub(super) fn standing(execution: &Execution) -> ExecutionState {
    match Mark::of(execution) {
        Some(Mark { until: None, .. }) if !execution.state.is_terminal() => ExecutionState::Cancelling,
        _ => execution.state,
    }
}

/// Nobody has ended it yet, though its time is up.
pub(super) fn has_expired(execution: &Execution) -> bool {
    is_going_on(execution.state) && Mark::of(execution).is_none() && execution.expiry_at.is_some_and(|at| at <= now())
}

pub(super) const fn is_going_on(state: ExecutionState) -> bool {
    matches!(state, ExecutionState::Pending | ExecutionState::Running)
}

pub(super) fn cleans_up(execution: &Execution) -> bool {
    let begun = Mark::of(execution).is_some_and(|mark| mark.until.is_some());
    begun && execution.state == ExecutionState::Running
}

/// As everybody sees it.
pub(super) fn shown(execution: Execution) -> Execution {
    if Mark::of(&execution).is_none() {
        return execution;
    }
    let state = if execution.state.is_terminal() { execution.state } else { ExecutionState::Cancelling };
    Execution { state, error: execution.error.map(unmarked), ..execution }
}

pub(super) fn unmarked(failure: Failure) -> Failure {
    Failure { details: None, ..failure }
}

fn marked(why: Failure, mark: &Mark) -> Failure {
    Failure { details: Some(Payload::from(to_json(mark))), ..why }
}

impl Fallback {
    /// From now on nothing of it is claimed or recorded.
    pub(super) async fn begin_to_end(&self, mut execution: Execution, why: Failure) -> Result<()> {
        let id = execution.id;
        if self.cleanup_of(&execution.root_function).await?.is_some() {
            execution.error = Some(marked(why, &Mark { until: None, on_cancel: None, last: 0 }));
        } else {
            (execution.state, execution.error) = (ExecutionState::Cancelling, Some(why));
        }
        self.update_execution(execution).await?;
        self.hint(Notice::Cancelling(vec![id]));
        Ok(())
    }

    /// The function's option as the store has it now: it may have been registered a moment ago.
    async fn cleanup_of(&self, function: &str) -> Result<Option<Duration>> {
        self.memory().functions.remove(function);
        Ok(self.function(function).await?.and_then(|function| function.cleanup))
    }

    /// Begins the cleanup of a cancelled execution in which nobody holds a lease. False: it has none, or has had it.
    pub(super) async fn clean_up(&self, id: Id, root: &Task) -> Result<bool> {
        let notes = Notes::of(root)?;
        let has_begun = notes.ops > 0 || notes.begun.is_some() || root.retries > 0 || notes.deaths > 0;
        let (true, Some(time)) = (has_begun, self.cleanup_of(&root.step_name).await?) else { return Ok(false) };
        // Of those of this process who come here at once, one begins it.
        let _alone = self.cleaning.lock().await;
        let Some(mut execution) = self.execution(id).await? else { return Ok(false) };
        match Mark::of(&execution) {
            Some(Mark { until: None, .. }) if is_going_on(execution.state) => {}
            Some(_) if cleans_up(&execution) => return Ok(true),
            _ => return Ok(false),
        }
        let last = self.children(root, notes.run).await?.iter().map(|(place, _)| place.op).max().unwrap_or(0);
        let mark = Mark { until: Some(now().after(time)), on_cancel: notes.on_cancel.clone(), last };
        execution.state = ExecutionState::Running;
        execution.error = execution.error.map(|why| marked(why, &mark));
        self.update_execution(execution.clone()).await?;
        self.keep_time(&execution, &mark).await?;
        self.put_back(root.clone(), &Notes { taken: false, ..notes }, now()).await?;
        self.hint(Notice::Work { served: None });
        Ok(true)
    }

    /// The root of an execution that cleans up is claimed for that for the first time: it begins from the top, with all that
    /// it had issued over. What it comes to is no result of the call.
    pub(super) async fn begin_anew(&self, task: &mut Task, notes: &mut Notes, execution: &Execution) -> Result<()> {
        let Some(mark) = Mark::of(execution).filter(|_| task.id == root_task_id(execution.id)) else { return Ok(()) };
        if mark.until.is_none() || notes.cleanup.is_some() {
            return Ok(());
        }
        let children = self.children(task, notes.run).await?;
        notes.number(&children);
        notes.cleanup = Some(mark.last);
        (notes.crashes, notes.company, notes.begun, notes.taken) = (0, None, None, false);
        (notes.wait, notes.parked, notes.deadline, notes.cache) = (None, None, None, None);
        (task.started_at, notes.started) = (None, None);
        Ok(())
    }

    async fn keep_time(&self, execution: &Execution, mark: &Mark) -> Result<()> {
        let Some(until) = mark.until else { return Ok(()) };
        let why = execution.error.as_ref().filter(|why| why.kind == CANCELLED);
        let reason = why.map(|why| why.message.clone());
        let task = blank(New {
            id: child_id(execution.id, 0, CLEANUP),
            execution: execution.id,
            parent: None,
            kind: TaskKind::Activity,
            name: CLEANUP,
            step_key: None,
            at: until,
        });
        let args = Payload::from(to_json(&Kept(reason, mark.last)));
        let created = self.call(Request::CreateTask { task: Task { args, ..task } }).await;
        if !is_conflict(&created) {
            created?;
        }
        self.look_at(until);
        Ok(())
    }

    /// Its time is over: what is left is cancelled as where there is no cleanup.
    pub(super) async fn cut(&self, mut execution: Execution) -> Result<()> {
        let id = execution.id;
        execution.state = ExecutionState::Cancelling;
        self.update_execution(execution).await?;
        self.hint(Notice::Cancelling(vec![id]));
        self.finish_cancelled(id).await.map(drop)
    }

    /// Makes up for what a crash has left out, in an execution that may clean up. True: something was changed.
    pub(super) async fn mend_cleanup(&self, execution: Execution) -> Result<bool> {
        match Mark::of(&execution) {
            None => Ok(false),
            Some(Mark { until: None, .. }) => self.finish_cancelled(execution.id).await,
            Some(Mark { until: Some(until), .. }) if until <= now() => self.cut(execution).await.map(|()| true),
            Some(mark) => self.keep_time(&execution, &mark).await.map(|()| false),
        }
    }

    /// The root of an execution that cleans up is about to end. A store that ends an execution with its root would know
    /// nothing of what the root said.
    pub(super) async fn clean_no_more(&self, id: Id) -> Result<()> {
        match self.execution(id).await? {
            Some(execution) if is_going_on(execution.state) => {
                self.update_execution(Execution { state: ExecutionState::Cancelling, ..execution }).await
            }
            _ => Ok(()),
        }
    }

    /// Does the end of this task end a cleanup?
    pub(super) async fn ends_cleanup(&self, task: &Task, notes: &Notes) -> Result<bool> {
        let is_root = task.id == root_task_id(task.execution_id) && notes.cleanup.is_some();
        let has_begun = |execution: Execution| Mark::of(&execution).is_some_and(|mark| mark.until.is_some());
        Ok(is_root && self.execution(task.execution_id).await?.is_some_and(has_begun))
    }

    /// The executions that are to clean up or do, of those that are running in the store's records.
    pub(super) async fn cleaning(&self) -> Result<Vec<Execution>> {
        let mut found = self.all_executions(ExecutionState::Running).await?;
        found.retain(|execution| Mark::of(execution).is_some());
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_marked_is_told_as_cancelling_without_the_mark() {
        let text = r#"{"id": "018bcfe5-6800-7101-8101-010101010101", "root_function": "f", "state": "running",
            "created_at": "2026-01-01T00:00:00Z", "error": {"type": "Cancelled", "message": "no more"}}"#;
        let plain: Execution = from_json("execution", text).unwrap();
        assert!(!cleans_up(&plain) && shown(plain.clone()) == plain, "an error of its own is no mark");
        for until in [None, Some(Timestamp::from_micros(7))] {
            let mark = Mark { until, on_cancel: Some("undo".into()), last: 3 };
            let ending = Execution { error: plain.error.clone().map(|why| marked(why, &mark)), ..plain.clone() };
            assert_eq!(Mark::of(&ending), Some(mark));
            assert_eq!(cleans_up(&ending), until.is_some());
            assert_eq!(standing(&ending) == ExecutionState::Cancelling, until.is_none());
            assert_eq!(shown(ending), Execution { state: ExecutionState::Cancelling, ..plain.clone() });
        }
    }

    #[test]
    fn the_clock_keeps_why_and_how_far() {
        let id = Id::from_u128(1);
        let task = Task::new(id, id, TaskKind::Activity, CLEANUP, Timestamp::default());
        let args = Payload::from(to_json(&Kept(Some("no more".into()), 3)));
        let Kept(reason, last) = Kept::of(&[Task { args, ..task }]).unwrap();
        assert_eq!((reason.as_deref(), last), (Some("no more"), 3));
        assert!(Kept::of(&[]).is_none());
    }
}
