//! How things end: a task, what is below it, an execution, a cancelled tree. Written so that a crash in between is
//! finished later: a root's end before its execution's, which sweeps make up for; a task's end before those below it,
//! which end when they are claimed.

use std::time::Duration;

use super::notes::{Notes, now, root_of};
use super::{Fallback, is_conflict, no_execution, over};
use crate::backend::{NewExecution, Notice, Request, Response};
use crate::codec::{self, CanonicalJson};
use crate::model::{
    Canonical, DispatchOptions, Execution, ExecutionState, Failure, Id, Payload, Result, Task, TaskState, child_id,
};

/// An execution that is to be ended says so by this failure; it is taken away when the end is there.
const CANCELLED: &str = "Cancelled";
const TIMED_OUT: &str = "TimedOut";

/// Half-done ends are looked for this often, in pages.
const MEND_PAUSE: Duration = Duration::from_secs(1);
const MEND_PAGE: u32 = 20;

#[derive(Clone, Debug)]
pub(super) enum Ending {
    Completed(Payload),
    Failed(Failure),
    Cancelled,
}

impl Fallback {
    /// Ends a task, and with a root its execution.
    pub(super) async fn end(&self, mut task: Task, ending: &Ending) -> Result<()> {
        let at = now();
        let (state, result, error) = match ending {
            Ending::Completed(result) => (TaskState::Completed, Some(result.clone()), None),
            Ending::Failed(failure) => (TaskState::Failed, None, Some(failure.clone())),
            Ending::Cancelled => (TaskState::Cancelled, None, None),
        };
        let is_root = task.id == root_of(task.execution_id);
        // Who has issued nothing has nothing below.
        let leaf = Notes::of(&task)?.ops == 0;
        (task.state, task.result, task.error) = (state, result, error);
        (task.completed_at, task.lease_expires_at) = (Some(at), None);
        let (id, execution) = (task.id, task.execution_id);
        self.update(task.clone()).await?;
        if is_root {
            self.end_as_root(&task).await?;
        }
        if !leaf {
            self.cancel_below(execution, id).await?;
        }
        Ok(())
    }

    /// An execution ends as its root has. True: it had not.
    async fn end_as_root(&self, root: &Task) -> Result<bool> {
        let Some(mut execution) = self.execution(root.execution_id).await? else { return Ok(false) };
        let news = !execution.state.is_terminal() && execution.state != ExecutionState::Cancelling;
        if news {
            execution.state = match root.state {
                TaskState::Completed => ExecutionState::Completed,
                TaskState::Failed => ExecutionState::Failed,
                _ => ExecutionState::Cancelled,
            };
            (execution.result, execution.error) = (root.result.clone(), root.error.clone());
            (execution.completed_at, execution.retries) = (root.completed_at, root.retries);
            self.update_execution(execution).await?;
        }
        self.hint(Notice::Ended(vec![root.execution_id]));
        Ok(news)
    }

    /// Looks at a page of running executions, another one each time, for a root that has ended alone.
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
            let root = self.task(root_of(execution.id)).await?.filter(|root| root.state.is_terminal());
            if let Some(root) = root {
                changed += u64::from(self.end_as_root(&root).await?);
            }
        }
        Ok(changed)
    }

    /// Cancels what is unfinished below a task; below a root everything.
    pub(super) async fn cancel_below(&self, execution: Id, parent: Id) -> Result<()> {
        let all = self.tasks_of(execution).await?;
        let mut below = vec![parent];
        let mut at = 0;
        while let Some(parent) = below.get(at).copied() {
            // Records may be each other's ancestors: each is met once.
            let children = all.iter().filter(|task| task.parent_task_id == Some(parent)).map(|task| task.id);
            let new: Vec<Id> = children.filter(|child| !below.contains(child)).collect();
            below.extend(new);
            at += 1;
        }
        let is_root = parent == root_of(execution);
        for mut task in all {
            let belongs = task.id != parent && (below.contains(&task.id) || (is_root && task.parent_task_id.is_none()));
            if belongs && !task.state.is_terminal() {
                if task.state == TaskState::Running {
                    self.hint(Notice::Lost(vec![task.id]));
                }
                (task.state, task.result) = (TaskState::Cancelled, None);
                (task.completed_at, task.lease_expires_at) = (Some(now()), None);
                self.update(task).await?;
            }
        }
        Ok(())
    }

    pub(in crate::backend::custom) async fn cancel(&self, id: Id, reason: Option<String>) -> Result<()> {
        let execution = self.execution(id).await?.ok_or_else(|| no_execution(id))?;
        if execution.state.is_terminal() {
            return Err(over(id, execution.state));
        }
        if execution.state != ExecutionState::Cancelling {
            self.begin_to_end(execution, Failure::new(CANCELLED, reason.unwrap_or_default())).await?;
        }
        self.finish_cancelled(id).await.map(drop)
    }

    /// Its time is up.
    pub(super) async fn expire(&self, execution: Execution) -> Result<()> {
        let id = execution.id;
        self.begin_to_end(execution, Failure::new(TIMED_OUT, "the execution's time was up")).await?;
        self.finish_cancelled(id).await.map(drop)
    }

    async fn begin_to_end(&self, mut execution: Execution, why: Failure) -> Result<()> {
        let id = execution.id;
        execution.state = ExecutionState::Cancelling;
        execution.error = Some(why);
        self.update_execution(execution).await?;
        self.hint(Notice::Cancelling(vec![id]));
        Ok(())
    }

    /// Ends what nobody holds; when that is all, the execution. True: something was done.
    pub(super) async fn finish_cancelled(&self, id: Id) -> Result<bool> {
        let Some(mut execution) = self.execution(id).await? else { return Ok(false) };
        if execution.state != ExecutionState::Cancelling {
            return Ok(false);
        }
        let mut changed = false;
        let mut root = None;
        let mut held = 0;
        for task in self.tasks_of(id).await? {
            let live = task.state == TaskState::Running && task.lease_expires_at.is_some_and(|ends| ends > now());
            held += u32::from(live);
            if task.id == root_of(id) {
                root = Some(task);
            } else if !live && !task.state.is_terminal() {
                changed = true;
                let ended = Task { state: TaskState::Cancelled, result: None, completed_at: Some(now()), ..task };
                self.update(ended).await?;
            }
        }
        if held > 0 {
            return Ok(changed);
        }
        let told = execution.error.take();
        let timed_out = told.as_ref().is_some_and(|failure| failure.kind == TIMED_OUT);
        let state = if timed_out { ExecutionState::TimedOut } else { ExecutionState::Cancelled };
        let reason = told.as_ref().map(|failure| failure.message.clone()).filter(|reason| !reason.is_empty());
        if let Some(root) = root.filter(|root| !root.state.is_terminal()) {
            self.compensate(&execution, &root, state, reason).await?;
            let ended = Task { state: TaskState::Cancelled, result: None, completed_at: Some(now()), ..root };
            self.update(ended).await?;
        }
        // The reason stays, in the failure.
        execution.error = told;
        (execution.state, execution.completed_at) = (state, Some(now()));
        self.update_execution(execution).await?;
        self.hint(Notice::Ended(vec![id]));
        Ok(true)
    }

    /// Dispatches `on_cancel`, once: its id follows from the execution's.
    async fn compensate(
        &self,
        execution: &Execution,
        root: &Task,
        state: ExecutionState,
        reason: Option<String>,
    ) -> Result<()> {
        let Some(function) = Notes::of(root)?.on_cancel else { return Ok(()) };
        let args = codec::compensation_args(execution.id, state, reason, &execution.args, &execution.kwargs);
        let new = NewExecution {
            id: child_id(execution.id, 0, "on_cancel"),
            function,
            args_hash: CanonicalJson.hash(&args, &Payload::empty_object()),
            args,
            options: DispatchOptions::default(),
        };
        let started = self.start(new).await;
        if is_conflict(&started) {
            return Ok(());
        }
        self.hint(Notice::Work { served: None });
        started.map(drop)
    }
}

/// Why it was cancelled, as [`Fallback::cancel`] has kept it.
pub(super) fn cancel_reason(execution: &Execution) -> Option<String> {
    let failure = execution.error.as_ref().filter(|failure| failure.kind == CANCELLED)?;
    matches!(execution.state, ExecutionState::Cancelling | ExecutionState::Cancelled).then(|| failure.message.clone())
}
