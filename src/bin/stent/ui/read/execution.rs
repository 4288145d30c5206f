//! One execution, its journals, and one task.

use serde::Serialize;
use stent::backend::{AtHand, Attempt, DeadLetterFilter, JournalEntry, JournalRequest, Request, Response, Snapshot};
use stent::model::{DeadLetter, Execution, Failure, Id, Payload, Signal, Task, TaskState, Timestamp};

use super::mismatch::Mismatch;
use super::timeline::{due_of, is_parked, tasks_of};
use crate::ui::app::App;
use crate::ui::refusal::{Answer, Refusal};
use crate::words;

/// More than that are in no answer.
const SIGNALS: u32 = 500;
const LETTERS: u32 = 100;
const PARKED: u32 = 1_000;
const PROGRESS: usize = 500;

/// Parked tasks of an execution that are shown with what is wrong.
const SHOWN: usize = 10;

/// Operations of a journal on a page.
const PAGE: usize = 200;

#[derive(Serialize)]
pub struct ExecutionView {
    pub execution: Snapshot,
    pub root_task: Option<Id>,
    pub signals: Vec<Signal>,
    pub dead_letters: Vec<DeadLetter>,
    pub parked: Vec<Parked>,
    /// Tasks that wait for their time: the one of a retry, or of a delay.
    pub waiting: Vec<Waiting>,
}

#[derive(Serialize)]
pub struct Waiting {
    pub task_id: Id,
    pub function: String,
    /// 0: it has not failed, and waits for its delay.
    pub retries: u32,
    pub due: Option<Timestamp>,
}

/// A task that waits for other code, and what both sides say.
#[derive(Serialize)]
pub struct Parked {
    pub task_id: Id,
    pub function: String,
    pub error: Option<Failure>,
    pub mismatch: Option<Mismatch>,
}

pub async fn execution_of(app: &App, id: Id) -> Answer<Execution> {
    match app.backend.call(Request::GetExecution { execution_id: id }).await? {
        Response::Execution(Some(execution)) => Ok(*execution),
        _ => Err(Refusal::missing(format!("There is no execution {id}."))
            .hint("It may have been cleaned up or exported; the list has all that there are.")),
    }
}

/// Those of this execution.
pub async fn parked_tasks(app: &App, execution: Id) -> Answer<Vec<Parked>> {
    let found: Vec<AtHand> =
        app.backend.at_hand(PARKED).await?.into_iter().filter(|one| one.part == "parked").collect();
    if found.len() < PARKED as usize {
        let of_this = found.into_iter().filter(|one| one.execution == execution);
        return Ok(of_this.map(|one| Parked::new(one.task, one.function)).collect());
    }
    // There may be more of them in the store than were looked at.
    let tasks = tasks_of(app, execution).await?;
    Ok(tasks.into_iter().filter(is_parked).map(|task| Parked::new(task.id, task.step_name)).collect())
}

/// Those of this execution that wait for their time.
pub async fn waiting_tasks(app: &App, execution: Id) -> Answer<Vec<Waiting>> {
    let found = app.backend.at_hand(PARKED).await?;
    let due: Vec<AtHand> = found.into_iter().filter(|one| one.part == "due").collect();
    if due.len() < PARKED as usize {
        let of_this =
            due.into_iter().filter(|one| one.execution == execution && one.kind.is_run() && one.started_at.is_none());
        return Ok(of_this.map(|one| Waiting::new(one.task, one.function, one.retries, one.due)).collect());
    }
    // There may be more of them in the store than were looked at.
    let tasks = tasks_of(app, execution).await?;
    let waits = tasks.into_iter().filter(|task| task.kind.is_run() && task.state == TaskState::Pending);
    let later = waits.filter(|task| task.scheduled_for.is_some_and(|due| due > words::now()));
    Ok(later.map(|task| Waiting::new(task.id, task.step_name, task.retries, task.scheduled_for)).collect())
}

impl Waiting {
    fn new(task_id: Id, function: String, retries: u32, due: Option<Timestamp>) -> Self {
        Self { task_id, function, retries, due }
    }
}

impl Parked {
    fn new(task_id: Id, function: String) -> Self {
        Self { task_id, function, error: None, mismatch: None }
    }
}

pub async fn read(app: &App, id: Id) -> Answer<ExecutionView> {
    // Its progress is what handlers said; what follows from tasks is on the timeline.
    let mut progress = execution_of(app, id).await?.progress;
    progress.drain(..progress.len().saturating_sub(PROGRESS));
    let snapshot = app.backend.snapshot(id).await?;
    let mut execution = snapshot.ok_or_else(|| Refusal::missing(format!("There is no execution {id}.")))?;
    execution.execution.progress = progress;
    let letters = DeadLetterFilter { execution: Some(id), limit: LETTERS, ..DeadLetterFilter::default() };
    let mut parked = parked_tasks(app, id).await?;
    parked.truncate(SHOWN);
    for one in &mut parked {
        one.error = find(app, one.task_id).await?.and_then(|task| task.error);
        one.mismatch = one.error.as_ref().and_then(Mismatch::of);
    }
    Ok(ExecutionView {
        execution,
        root_task: root_of(app, id).await?,
        signals: app.backend.signals(id, SIGNALS).await?,
        dead_letters: app.backend.dead_letters(letters).await?,
        parked,
        waiting: waiting_tasks(app, id).await?,
    })
}

async fn find(app: &App, task: Id) -> Answer<Option<Task>> {
    match app.backend.call(Request::GetTask { task_id: task }).await? {
        Response::Task(task) => Ok(task.map(|task| *task)),
        _ => Ok(None),
    }
}

/// By its derived id; of an execution that some program has written otherwise, none.
async fn root_of(app: &App, execution: Id) -> Answer<Option<Id>> {
    let root = stent::model::child_id(execution, 0, "root");
    Ok(find(app, root).await?.filter(|task| task.execution_id == execution).map(|task| task.id))
}

#[derive(Serialize)]
pub struct JournalView {
    pub execution: Id,
    /// Whose operations these are.
    pub task_id: Id,
    pub function: String,
    pub operations: usize,
    pub from: usize,
    pub entries: Vec<Entry>,
}

/// An operation, as a replay sees it.
#[derive(Serialize)]
pub struct Entry {
    pub operation: u32,
    pub task_id: Id,
    pub key: String,
    pub name: String,
    pub kind: &'static str,
    pub state: &'static str,
    pub args: Payload,
    pub kwargs: Payload,
    pub result: Option<Payload>,
    pub error: Option<Failure>,
    /// In which order the ends were told to the handler.
    pub arrival: Option<u64>,
    pub completed_at: Option<Timestamp>,
}

impl JournalView {
    pub fn next(&self) -> Option<usize> {
        let next = self.from + self.entries.len();
        (next < self.operations).then_some(next)
    }

    pub fn before(&self) -> Option<usize> {
        (self.from > 0).then(|| self.from.saturating_sub(PAGE))
    }
}

pub async fn journal(app: &App, execution: Id, task: Option<Id>, from: usize) -> Answer<JournalView> {
    let root = match task {
        Some(task) => Some(task),
        None => match root_of(app, execution).await? {
            Some(root) => Some(root),
            None => tasks_of(app, execution).await?.iter().find(|t| t.parent_task_id.is_none()).map(|t| t.id),
        },
    };
    let task = match root {
        Some(task) => find(app, task).await?.filter(|task| task.execution_id == execution),
        None => None,
    };
    let task = task.ok_or_else(|| Refusal::missing(format!("The execution {execution} has no such task.")))?;
    let request = JournalRequest { task: task.id, after: 0 };
    let entries = app.backend.journals(vec![request]).await?.pop().unwrap_or_default();
    let operations = entries.len();
    let entries = entries.into_iter().skip(from).take(PAGE).map(entry).collect();
    Ok(JournalView { execution, task_id: task.id, function: task.step_name, operations, from, entries })
}

fn entry(entry: JournalEntry) -> Entry {
    Entry {
        operation: entry.op,
        task_id: entry.id,
        key: entry.key,
        name: entry.name,
        kind: entry.kind.as_str(),
        state: entry.state.as_str(),
        args: entry.args,
        kwargs: entry.kwargs,
        result: entry.result,
        error: entry.error,
        arrival: entry.arrival,
        completed_at: entry.completed_at,
    }
}

#[derive(Serialize)]
pub struct TaskView {
    pub task: Task,
    pub parent: Option<String>,
    /// When what it waits for is over, or it begins.
    pub due: Option<Timestamp>,
    pub mismatch: Option<Mismatch>,
    pub has_letter: bool,
    /// Those that failed and were followed by another, the newest first.
    pub attempts: Vec<Attempt>,
}

pub async fn task(app: &App, execution: Id, id: Id) -> Answer<TaskView> {
    let task = find(app, id).await?.filter(|task| task.execution_id == execution);
    let task = task.ok_or_else(|| Refusal::missing(format!("The execution {execution} has no task {id}.")))?;
    let parent = match task.parent_task_id {
        Some(parent) => find(app, parent).await?.map(|parent| parent.step_name),
        None => None,
    };
    let due = match task.state.is_terminal() {
        true => task.scheduled_for,
        false => due_of(app, execution).await?.get(&id).map(|due| Timestamp::from_micros(*due)).or(task.scheduled_for),
    };
    let filter = DeadLetterFilter { task: Some(id), limit: 1, ..DeadLetterFilter::default() };
    let has_letter = !app.backend.dead_letters(filter).await?.is_empty();
    let mismatch = task.error.as_ref().filter(|_| is_parked(&task)).and_then(Mismatch::of);
    let mut attempts = app.backend.attempts(execution).await?;
    attempts.retain(|attempt| attempt.task == id);
    Ok(TaskView { task, parent, due, mismatch, has_letter, attempts })
}
