//! An execution's tasks as rows of a timeline: what they are and when, without payloads. Pure but for the read.

use std::collections::HashMap;

use serde::Serialize;
use stent::backend::{Attempt, Request, Response};
use stent::model::{Id, Task, TaskKind, TaskState, Timestamp};

use crate::ui::app::App;
use crate::ui::refusal::{Answer, Refusal};
use crate::words;

/// Of the whole store: what is due later than so many others has its time on no timeline.
const DUE: u32 = 1_000;

/// Characters of an error.
const ERROR: usize = 200;

/// Times are microseconds since 1970. What a row has not, it leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Row {
    pub id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Id>,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub kind: &'static str,
    pub state: &'static str,
    pub created: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<i64>,
    /// Not before; of a timer, when it rings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<i64>,
    /// Those that failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub parked: bool,
    /// Of those that failed the times that are known, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Failed>,
}

/// An attempt that failed and was followed by another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Failed {
    pub started: Option<i64>,
    pub ended: i64,
    pub error: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[derive(Serialize)]
pub struct Timeline {
    pub execution: Id,
    /// This clock's, in microseconds since 1970: what goes on is drawn up to here.
    pub now: i64,
    /// Does the execution go on?
    pub live: bool,
    pub rows: Vec<Row>,
    /// Of all rows: a stream that is given it sends what has changed since.
    pub digest: String,
}

/// Stopped, since the code does not fit its journal: it waits for other code, with an error.
pub fn is_parked(task: &Task) -> bool {
    task.kind.is_run() && task.state == TaskState::Waiting && task.error.is_some()
}

impl Row {
    pub fn new(task: &Task) -> Self {
        let micros = |time: Option<Timestamp>| time.map(Timestamp::micros);
        let due = task.scheduled_for.filter(|_| !task.state.is_terminal() || task.kind == TaskKind::Timer);
        Self {
            id: task.id,
            parent: task.parent_task_id,
            name: task.step_name.clone(),
            key: task.step_key.clone(),
            kind: task.kind.as_str(),
            state: task.state.as_str(),
            created: task.created_at.micros(),
            started: micros(task.started_at),
            completed: micros(task.completed_at),
            due: micros(due),
            retries: task.retries,
            worker: task.worker_id.clone().filter(|_| task.state == TaskState::Running),
            error: task.error.as_ref().map(|failure| words::cut(&words::failure(failure), ERROR)),
            parked: is_parked(task),
            attempts: Vec::new(),
        }
    }
}

pub async fn tasks_of(app: &App, execution: Id) -> Answer<Vec<Task>> {
    match app.backend.call(Request::ListTasksForExecution { execution_id: execution }).await? {
        Response::Tasks(tasks) => Ok(tasks),
        _ => Ok(Vec::new()),
    }
}

/// When its sleeps, waits and delays are over: a task's own record has no time of what is a duration.
pub async fn due_of(app: &App, execution: Id) -> Answer<HashMap<Id, i64>> {
    let found = app.backend.at_hand(DUE).await?;
    let of_this = found.iter().filter(|one| one.part == "due" && one.execution == execution);
    Ok(of_this.filter_map(|one| Some((one.task, one.due?.micros()))).collect())
}

async fn attempts_of(app: &App, execution: Id) -> Answer<HashMap<Id, Vec<Failed>>> {
    let mut all = HashMap::<Id, Vec<Failed>>::new();
    for Attempt { task, started_at, ended_at, kind, message, .. } in app.backend.attempts(execution).await? {
        let error = words::cut(&words::visible(&format!("{kind}: {message}")), ERROR);
        let failed = Failed { started: started_at.map(Timestamp::micros), ended: ended_at.micros(), error };
        all.entry(task).or_default().push(failed);
    }
    Ok(all)
}

impl Timeline {
    pub async fn read(app: &App, execution: Id) -> Answer<Self> {
        let found = app.backend.call(Request::GetExecution { execution_id: execution }).await?;
        let Response::Execution(Some(found)) = found else {
            return Err(Refusal::missing(format!("There is no execution {execution}.")));
        };
        let mut rows: Vec<Row> = tasks_of(app, execution).await?.iter().map(Row::new).collect();
        let mut attempts = attempts_of(app, execution).await?;
        for row in &mut rows {
            row.attempts = attempts.remove(&row.id).unwrap_or_default();
        }
        if !found.state.is_terminal() {
            let due = due_of(app, execution).await?;
            for row in rows.iter_mut().filter(|row| row.completed.is_none()) {
                row.due = due.get(&row.id).copied().or(row.due);
            }
        }
        let digest = format!("{:016x}", digest(&rows));
        let (now, live) = (words::now().micros(), !found.state.is_terminal());
        Ok(Self { execution, now, live, rows, digest })
    }
}

/// Of this process: it is compared with no other's.
pub fn digest<T: std::hash::Hash>(what: &T) -> u64 {
    use std::hash::{DefaultHasher, Hasher as _};
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
