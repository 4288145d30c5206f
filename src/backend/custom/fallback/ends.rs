//! How tasks, executions and cancelled trees end. Several writes are needed, so they are ordered such that a crash in
//! between can be made up for: a root's end is written before its execution's, which sweeps complete; a task's end
//! before its descendants', which end when they are claimed.

use std::time::Duration;

use super::cleanup::{CANCELLED, Mark, TIMED_OUT, cleans_up, standing, unmarked};
use super::notes::{Notes, now};
use super::{Fallback, is_conflict, over};
use crate::backend::decide::{self, Aftermath, Book, End, EndedRow, Ending, root_task_id};
use crate::backend::{NewExecution, Notice, Request, Response};
use crate::codec::{self, CanonicalJson};
use crate::model::{
    Canonical, DispatchOptions, Execution, ExecutionState, Failure, Id, Payload, Result, Task, TaskState, child_id,
};

/// How often half-written ends are looked for, and how many executions at a time.
const MEND_PAUSE: Duration = Duration::from_secs(1);
const MEND_PAGE: u32 = 20;

impl Fallback {
    /// Ends an unfinished task, and does what follows from that. The dead letter and the cached result are written
    /// first, because nothing would make up for them after a crash.
    pub(super) async fn end(&self, task: Task, end: End) -> Result<()> {
        let notes = Notes::of(&task)?;
        let cleaned = self.ends_cleanup(&task, &notes).await?;
        // A root that has cleaned up is cancelled, whatever it says.
        let state = if cleaned { TaskState::Cancelled } else { end.ending.task_state() };
        let row = EndedRow {
            id: task.id,
            execution: task.execution_id,
            // The parent is not notified: it looks for ends itself, and numbers those that it finds.
            op: None,
            arrival: None,
            has_key: false,
            kind: task.kind,
            retries: i64::from(task.retries),
            has_operations: notes.ops > 0,
            state,
        };
        let after = Aftermath::of(std::slice::from_ref(&end), [row], &mut Book::default());
        let task = Task { state, ..ended(task, &end.ending) };
        for (_, reason) in &after.letters {
            let (task, reason) = (task.clone(), (*reason).to_owned());
            self.call(Request::MoveTaskToDeadLetter { task, reason }).await?;
        }
        for (slot, result) in &after.results {
            let (key, value, ttl) = (slot.key.clone(), (*result).clone(), slot.ttl.map(|ttl| ttl.as_secs_f64()));
            self.call(Request::SetCachedResult { key, value, ttl }).await?;
        }
        if cleaned {
            self.clean_no_more(task.execution_id).await?;
        }
        self.update(task.clone()).await?;
        if !after.executions.is_empty() {
            self.end_as_root(&task).await?;
        }
        for parent in after.with_operations {
            self.cancel_below(task.execution_id, parent).await?;
        }
        if cleaned {
            self.finish_cancelled(task.execution_id).await?;
        }
        Ok(())
    }

    /// Ends an execution as its root has ended. True: it had not ended before.
    async fn end_as_root(&self, root: &Task) -> Result<bool> {
        let Some(ending) = decide::from_outside(root) else { return Ok(false) };
        let Some(mut execution) = self.execution(root.execution_id).await? else { return Ok(false) };
        if cleans_up(&execution) {
            execution.state = ExecutionState::Cancelling;
            return self.update_execution(execution).await.map(|()| true);
        }
        let news = !execution.state.is_terminal() && standing(&execution) != ExecutionState::Cancelling;
        if news {
            execution.state = ending.execution_state();
            (execution.result, execution.error) = (ending.result().cloned(), ending.failure().cloned());
            (execution.completed_at, execution.retries) = (root.completed_at, root.retries);
            self.update_execution(execution).await?;
        }
        self.hint(Notice::Ended(vec![root.execution_id]));
        Ok(news)
    }

    /// Looks through running executions, one page each time, for one whose root has ended alone.
    pub(super) async fn mend(&self) -> Result<u64> {
        let offset = {
            let mut memory = self.memory();
            if now().since(memory.mended_at) < MEND_PAUSE {
                return Ok(0);
            }
            memory.mended_at = now();
            memory.mended
        };
        let request = Request::ListExecutions { limit: MEND_PAGE, offset, state: Some(ExecutionState::Running) };
        let Response::Executions(page) = self.call(request).await? else { return Ok(0) };
        self.memory().mended = if page.len() < MEND_PAGE as usize { 0 } else { offset + MEND_PAGE };
        let mut changed = 0;
        for execution in page {
            if let Some(root) = self.task(root_task_id(execution.id)).await? {
                changed += u64::from(self.end_as_root(&root).await? || self.mend_cleanup(execution).await?);
            }
        }
        Ok(changed)
    }

    /// Cancels the unfinished descendants of a task; for a root, all unfinished tasks of the execution.
    pub(super) async fn cancel_below(&self, execution: Id, parent: Id) -> Result<()> {
        let all = self.tasks_of(execution).await?;
        let mut below = vec![parent];
        let mut at = 0;
        while let Some(parent) = below.get(at).copied() {
            // Records may form circles, so each task is visited once.
            let children = all.iter().filter(|task| task.parent_task_id == Some(parent)).map(|task| task.id);
            let new: Vec<Id> = children.filter(|child| !below.contains(child)).collect();
            below.extend(new);
            at += 1;
        }
        let is_root = parent == root_task_id(execution);
        for task in all {
            let belongs = task.id != parent && (below.contains(&task.id) || (is_root && task.parent_task_id.is_none()));
            if belongs && !task.state.is_terminal() {
                if task.state == TaskState::Running {
                    self.hint(Notice::Lost(vec![task.id]));
                }
                self.update(ended(task, &Ending::Cancelled)).await?;
            }
        }
        Ok(())
    }

    pub(in crate::backend::custom) async fn cancel(&self, id: Id, reason: Option<String>) -> Result<()> {
        let execution = self.execution(id).await?.ok_or_else(|| decide::unknown_execution(id))?;
        if execution.state.is_terminal() {
            return Err(over(id, execution.state));
        }
        if cleans_up(&execution) {
            // It is being cancelled already.
            return Ok(());
        }
        if standing(&execution) != ExecutionState::Cancelling {
            self.begin_to_end(execution, Failure::new(CANCELLED, reason.unwrap_or_default())).await?;
        }
        self.finish_cancelled(id).await.map(drop)
    }

    /// The execution has timed out.
    pub(super) async fn expire(&self, execution: Execution) -> Result<()> {
        let id = execution.id;
        if Mark::of(&execution).is_some() {
            return Ok(());
        }
        self.begin_to_end(execution, Failure::new(TIMED_OUT, "the execution's time was up")).await?;
        self.finish_cancelled(id).await.map(drop)
    }

    /// Ends the tasks that nobody holds; if none is left, the cleanup begins, or the execution ends. True: something was
    /// changed.
    pub(super) async fn finish_cancelled(&self, id: Id) -> Result<bool> {
        let Some(mut execution) = self.execution(id).await? else { return Ok(false) };
        if standing(&execution) != ExecutionState::Cancelling {
            return Ok(false);
        }
        let mut changed = false;
        let mut root = None;
        let mut held = 0;
        for task in self.tasks_of(id).await? {
            let live = task.state == TaskState::Running && task.lease_expires_at.is_some_and(|ends| ends > now());
            held += u32::from(live);
            if task.id == root_task_id(id) {
                root = Some(task);
            } else if !live && !task.state.is_terminal() {
                changed = true;
                self.update(ended(task, &Ending::Cancelled)).await?;
            }
        }
        if held > 0 {
            return Ok(changed);
        }
        if let Some(open) = root.as_ref().filter(|root| !root.state.is_terminal())
            && self.clean_up(id, open).await?
        {
            return Ok(true);
        }
        if execution.state != ExecutionState::Cancelling {
            // Its root ends before it, and is not to take it along.
            execution.state = ExecutionState::Cancelling;
            self.update_execution(execution.clone()).await?;
        }
        let mark = Mark::of(&execution);
        let mut told = execution.error.take().map(|told| if mark.is_some() { unmarked(told) } else { told });
        let cleaned = mark.filter(|mark| mark.until.is_some());
        let timed_out = told.as_ref().is_some_and(|failure| failure.kind == TIMED_OUT);
        let state = if timed_out { ExecutionState::TimedOut } else { ExecutionState::Cancelled };
        let reason = told.as_ref().map(|failure| failure.message.clone()).filter(|reason| !reason.is_empty());
        match (root, cleaned) {
            (Some(root), _) if !root.state.is_terminal() => {
                self.compensate(&execution, Notes::of(&root)?.on_cancel, state, reason).await?;
                self.update(ended(root, &Ending::Cancelled)).await?;
            }
            (Some(root), Some(mark)) => {
                self.compensate(&execution, mark.on_cancel, state, reason).await?;
                (execution.result, execution.retries) = (root.result, root.retries);
                told = root.error.or(told);
            }
            _ => {}
        }
        // The reason is kept in the failure.
        execution.error = told;
        (execution.state, execution.completed_at) = (state, Some(now()));
        self.update_execution(execution).await?;
        self.hint(Notice::Ended(vec![id]));
        Ok(true)
    }

    /// Dispatches `on_cancel`. It happens once, because its id follows from the execution's.
    async fn compensate(
        &self,
        execution: &Execution,
        on_cancel: Option<String>,
        state: ExecutionState,
        reason: Option<String>,
    ) -> Result<()> {
        let Some(function) = on_cancel else { return Ok(()) };
        let args = codec::compensation_args(execution.id, state, reason, &execution.args, &execution.kwargs);
        let new = NewExecution {
            id: child_id(execution.id, 0, "on_cancel"),
            function,
            args_hash: CanonicalJson.hash(&args, &Payload::empty_object()),
            args,
            options: DispatchOptions::default(),
            registered: None,
        };
        let started = self.start(new).await;
        if is_conflict(&started) {
            return Ok(());
        }
        self.hint(Notice::Work { served: None });
        started.map(drop)
    }
}

/// The record of an ended task.
fn ended(task: Task, ending: &Ending) -> Task {
    Task {
        state: ending.task_state(),
        result: ending.result().cloned(),
        error: ending.failure().cloned(),
        completed_at: Some(now()),
        lease_expires_at: None,
        ..task
    }
}

/// The reason for the cancel, as [`Fallback::cancel`] has kept it.
pub(super) fn cancel_reason(execution: &Execution) -> Option<String> {
    let failure = execution.error.as_ref().filter(|failure| failure.kind == CANCELLED)?;
    matches!(execution.state, ExecutionState::Cancelling | ExecutionState::Cancelled).then(|| failure.message.clone())
}
