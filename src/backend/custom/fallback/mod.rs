//! The engine's operations on a store that answers only the protocol's.
//!
//! A claim is the protocol's claim, under a holder's name that is new each time: renewing the lease under that name
//! shows whether it still holds, and every write of a worker does that first. A waiting task is a pending task that is
//! scheduled for later and looked at when it is claimed; a timer is a task that is claimed when it is due. What must
//! happen only once is done by creating a task with an id that follows from it: if that exists, it is a conflict. The
//! writes of an end are ordered so that whoever claims a half-ended task next can complete it.
//!
//! What is to be done is decided in `backend/decide`, as for every store; comments say where the protocol does not
//! allow it. What a record may contain, and the sums of counters, are checked by the user's store.
//!
//! What can't be guaranteed: exact fences and transactions over several records (time passes between the check and the
//! write, and between two writes), waits that cost nothing, and what depends on these.

mod advance;
mod claim;
mod cleanup;
mod copies;
mod ends;
mod fork;
mod look;
mod notes;
mod start;
mod told;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use self::notes::{Notes, now};
use super::door::Door;
use crate::backend::{NewWorker, Notice, Request, Response, Swept};
use crate::model::{
    Error, Execution, ExecutionState, FunctionOptions, Id, Payload, Result, Status, Task, TaskState, Timestamp,
};

/// The page size for lists that are read completely.
const PAGE: u32 = 200;

/// The engine's operations, with the state that they need in this process.
pub(super) struct Fallback {
    door: Arc<Door>,
    notices: broadcast::Sender<Notice>,
    /// std Mutex: never held across an await.
    memory: Mutex<Memory>,
    /// Held by who begins a cleanup.
    cleaning: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Memory {
    workers: BTreeMap<String, NewWorker>,
    /// Function options, as they were read from the store.
    functions: HashMap<String, (Timestamp, Option<Arc<FunctionOptions>>)>,
    last_fence: u64,
    /// When to look at tasks that this process has put back.
    looks: BTreeSet<Timestamp>,
    /// Where the search for half-written ends continues, and when it last ran.
    mended: u32,
    mended_at: Timestamp,
}

impl Fallback {
    pub(super) fn new(door: Arc<Door>, notices: broadcast::Sender<Notice>) -> Self {
        Self { door, notices, memory: Mutex::default(), cleaning: tokio::sync::Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a hint; there may be no listener.
    fn hint(&self, notice: Notice) {
        let _nobody = self.notices.send(notice);
    }

    /// Notes that there will be something to claim at this time.
    fn look_at(&self, time: Timestamp) {
        self.memory().looks.insert(time);
        self.hint(Notice::Due(time.since(now())));
    }

    // Short forms of the protocol's operations.

    async fn call(&self, request: Request) -> Result<Response> {
        self.door.call(request).await
    }

    async fn task(&self, task_id: Id) -> Result<Option<Task>> {
        match self.call(Request::GetTask { task_id }).await? {
            Response::Task(task) => Ok(task.map(|task| *task)),
            other => Err(unexpected("get_task", &other)),
        }
    }

    async fn execution(&self, execution_id: Id) -> Result<Option<Execution>> {
        match self.call(Request::GetExecution { execution_id }).await? {
            Response::Execution(execution) => Ok(execution.map(|execution| *execution)),
            other => Err(unexpected("get_execution", &other)),
        }
    }

    async fn tasks_of(&self, execution_id: Id) -> Result<Vec<Task>> {
        match self.call(Request::ListTasksForExecution { execution_id }).await? {
            Response::Tasks(tasks) => Ok(tasks),
            other => Err(unexpected("list_tasks_for_execution", &other)),
        }
    }

    /// Creates tasks in one transaction. Those that exist were created by the same request before.
    async fn create(&self, tasks: Vec<Task>) -> Result<()> {
        if tasks.is_empty() {
            return Ok(());
        }
        let created = self.call(Request::CreateTasks { tasks: tasks.clone() }).await;
        if !is_conflict(&created) {
            return created.map(drop);
        }
        for task in tasks {
            let created = self.call(Request::CreateTask { task }).await;
            if !is_conflict(&created) {
                created?;
            }
        }
        Ok(())
    }

    async fn update(&self, task: Task) -> Result<()> {
        self.call(Request::UpdateTask { task }).await.map(drop)
    }

    async fn update_execution(&self, execution: Execution) -> Result<()> {
        self.call(Request::UpdateExecution { execution }).await.map(drop)
    }

    async fn value(&self, request: Request) -> Result<Option<Payload>> {
        match self.call(request).await? {
            Response::Payload(value) => Ok(value),
            other => Err(unexpected("a value", &other)),
        }
    }

    async fn count(&self, request: Request) -> Result<u64> {
        match self.call(request).await? {
            Response::Count(count) => Ok(count),
            other => Err(unexpected("a count", &other)),
        }
    }

    /// All tasks of a state, read in pages.
    async fn tasks_in(&self, state: TaskState) -> Result<Vec<Task>> {
        let mut all = Vec::new();
        loop {
            let offset = u32::try_from(all.len()).unwrap_or(u32::MAX);
            match self.call(Request::ListTasks { limit: PAGE, offset, state: Some(state) }).await? {
                Response::Tasks(page) if page.len() < PAGE as usize => {
                    all.extend(page);
                    return Ok(all);
                }
                Response::Tasks(page) => all.extend(page),
                other => return Err(unexpected("list_tasks", &other)),
            }
        }
    }

    async fn all_executions(&self, state: ExecutionState) -> Result<Vec<Execution>> {
        let mut found = Vec::new();
        loop {
            let offset = u32::try_from(found.len()).unwrap_or(u32::MAX);
            let page = self.executions_page(Some(state), offset).await?;
            let last = page.len() < PAGE as usize;
            found.extend(page);
            if last {
                return Ok(found);
            }
        }
    }

    async fn executions_page(&self, state: Option<ExecutionState>, offset: u32) -> Result<Vec<Execution>> {
        match self.call(Request::ListExecutions { limit: PAGE, offset, state }).await? {
            Response::Executions(found) => Ok(found),
            other => Err(unexpected("list_executions", &other)),
        }
    }

    /// Puts a task back with these notes: pending from `at` on.
    async fn put_back(&self, mut task: Task, notes: &Notes, at: Timestamp) -> Result<()> {
        notes.keep(&mut task);
        task.state = TaskState::Pending;
        (task.worker_id, task.lease_expires_at) = (None, None);
        task.scheduled_for = Some(at);
        self.update(task).await?;
        self.look_at(at);
        Ok(())
    }

    /// Ends cancelled trees, and says when something has to be looked at.
    pub(super) async fn sweep(&self) -> Result<Swept> {
        let mut swept = Swept::default();
        for execution in self.executions_page(Some(ExecutionState::Cancelling), 0).await? {
            swept.changed += u64::from(self.finish_cancelled(execution.id).await?);
        }
        swept.changed += self.mend().await?;
        let now = now();
        let mut memory = self.memory();
        let later = memory.looks.split_off(&now.after(std::time::Duration::from_micros(1)));
        swept.changed += std::mem::replace(&mut memory.looks, later).len() as u64;
        swept.next_due = memory.looks.first().map(|first| first.since(now));
        Ok(swept)
    }
}

fn unexpected(what: &str, found: &Response) -> Error {
    Error::backend(format!("{what}: the custom backend answered with {found:?}"))
}

fn is_conflict<T>(outcome: &Result<T>) -> bool {
    outcome.as_ref().is_err_and(|why| why.status() == Status::Conflict)
}

fn over(id: Id, state: ExecutionState) -> Error {
    Error::conflict(format!("the execution {id} is {state}"))
}
