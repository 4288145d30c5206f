//! The protocol's tasks: records that are written without a fence. The columns that the engine needs beside the record
//! are derived from it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::catalog::{Lane, stored};
use super::super::database::Database;
use super::super::routes::route_of;
use super::super::session::Session;
use super::super::statements::{
    EXECUTION_ROOT_SET, EXECUTIONS_OVER, TASK_GET, TASK_LOCK, TASK_RENEW, TASK_UPDATE, TASK_WAIT_FORGET, TASKS_CIRCLE,
    TASKS_COUNT, TASKS_CREATE, TASKS_EXISTING, TASKS_EXPECTED, TASKS_LIST, TASKS_LIST_OF_EXECUTION,
};
use super::super::store::Sql;
use super::super::tx::Tx;
use super::super::waits::WaitBook;
use super::super::{ends, rows};
use crate::backend::Response;
use crate::backend::decide::{self, End};
use crate::codec;
use crate::model::{BATCH_MAX, Id, Result, Route, Task, TaskKind, TaskState, Timestamp};

/// The engine's columns, as they follow from a record's state: lane, due time, lease.
#[derive(Default)]
struct Place {
    route: Option<Lane>,
    lane: Option<Lane>,
    due_at: Option<Timestamp>,
    /// Only for a running task, whatever the record's own lease is.
    lease: Option<Timestamp>,
    limited: Option<bool>,
}

pub(super) async fn create<D: Database>(store: &Sql<D>, tasks: Vec<Task>) -> Result<Response> {
    check_new(&tasks)?;
    store.write_exactly(tasks, |tx, tasks| Box::pin(add(tx, tasks))).await?;
    Ok(Response::Nothing)
}

async fn add(tx: &mut Tx<'_>, tasks: Arc<Vec<Task>>) -> Result<()> {
    refuse_what_nobody_runs(tx, &tasks).await?;
    insert(tx, &tasks).await
}

fn check_new(tasks: &[Task]) -> Result<()> {
    tasks.iter().try_for_each(decide::check_task)?;
    let mut seen = HashSet::with_capacity(tasks.len());
    if let Some(twice) = tasks.iter().find(|task| !seen.insert(task.id)) {
        return Err(decide::task_exists(twice.id));
    }
    decide::circle_among(tasks).map_or(Ok(()), |id| Err(decide::own_ancestor(id)))
}

/// Inserts all of them, or none where an id is taken.
pub(super) async fn insert(tx: &mut Tx<'_>, tasks: &[Task]) -> Result<()> {
    // A new circle can go through existing tasks only if these have a new task as their parent.
    let mut expected = Vec::new();
    for chunk in tasks.chunks(BATCH_MAX) {
        let below = chunk.iter().filter(|task| task.parent_task_id.is_some()).map(|task| task.id);
        expected.extend(rows::ids(&tx.fetch(&TASKS_EXPECTED.call().ids(below)).await?)?);
    }
    for chunk in tasks.chunks(BATCH_MAX) {
        insert_chunk(tx, chunk).await?;
    }
    for chunk in expected.chunks(BATCH_MAX) {
        let circle = tx.find(&TASKS_CIRCLE.call().ids(chunk.iter().copied())).await?;
        if let Some(row) = circle {
            return Err(decide::own_ancestor(row.id("id")?));
        }
    }
    Ok(())
}

/// Refuses unfinished tasks of executions that have ended or are being cancelled. Ended tasks may be written.
async fn refuse_what_nobody_runs(tx: &mut Tx<'_>, tasks: &[Task]) -> Result<()> {
    let unfinished: BTreeMap<Id, Id> =
        tasks.iter().filter(|task| !task.state.is_terminal()).map(|task| (task.execution_id, task.id)).collect();
    // Locked so that they can't end in the meantime.
    tx.lock_executions(unfinished.keys().copied()).await?;
    let over = tx.find(&EXECUTIONS_OVER.call().ids(unfinished.keys().copied())).await?;
    let Some(row) = over else { return Ok(()) };
    let execution = row.id("id")?;
    let task = unfinished.get(&execution).copied().unwrap_or_default();
    Err(decide::execution_is_over(execution, row.text("state")?, task))
}

async fn insert_chunk(tx: &mut Tx<'_>, tasks: &[Task]) -> Result<()> {
    let found = tx.fetch(&TASKS_EXISTING.call().ids(tasks.iter().map(|task| task.id))).await?;
    let existing: HashSet<Id> = rows::ids(&found)?.into_iter().collect();
    // Name the first of them, in the order of the call.
    if let Some(task) = tasks.iter().find(|task| existing.contains(&task.id)) {
        return Err(decide::task_exists(task.id));
    }
    let mut call = TASKS_CREATE.call();
    for task in tasks {
        let place = place(tx, task).await?;
        let timeout = stored(tx.catalog.function(&task.step_name).and_then(|function| function.timeout));
        call.row()
            .id(task.id)
            .id(task.execution_id)
            .id(task.parent_task_id)
            .text(task.step_name.as_str())
            .text(task.step_key.as_deref())
            .text(task.kind.as_str())
            .text(task.state.as_str())
            .int(place.lane)
            .int(place.route)
            .int(task.priority)
            .time(task.created_at)
            .date(place.due_at)
            .time(task.scheduled_for)
            .int(task.fence as i64)
            .text(task.worker_id.as_deref())
            .time(task.lease_expires_at)
            .flag(place.limited)
            .time(task.started_at)
            .time(decide::completed_at(task.state.is_terminal(), task.completed_at, tx.now))
            .int(i64::from(task.retries))
            .int(timeout);
        rows::add_request_and_outcome(&mut call, task);
        call.lease(place.lease);
    }
    tx.change(&call).await?;
    for task in tasks.iter().filter(|task| task.kind == TaskKind::Orchestrator && task.parent_task_id.is_none()) {
        tx.change(EXECUTION_ROOT_SET.call().id(task.execution_id).id(task.id)).await?;
    }
    Ok(())
}

async fn place(tx: &mut Tx<'_>, task: &Task) -> Result<Place> {
    let mut place = Place::default();
    if task.kind.is_run() {
        let route = Route::new(task.queue.clone(), task.step_name.clone(), task.tags.clone());
        place.route = Some(route_of(tx, route).await?);
    }
    match (task.state, task.kind) {
        (TaskState::Pending, TaskKind::Orchestrator | TaskKind::Activity) => {
            match task.scheduled_for.filter(|time| *time > tx.now) {
                Some(later) => place.due_at = Some(later),
                None => {
                    place.lane = place.route;
                    tx.hint_work();
                }
            }
        }
        (TaskState::Running, _) => {
            place.lease = task.lease_expires_at;
            if let Some(expires_at) = place.lease {
                tx.hint_due(expires_at);
            }
            place.limited = tx.catalog.is_limited(&task.step_name).then_some(true);
        }
        (TaskState::Pending | TaskState::Waiting, TaskKind::Timer) | (TaskState::Waiting, TaskKind::Signal) => {
            place.due_at = task.scheduled_for;
        }
        _ => {}
    }
    if let Some(due_at) = place.due_at {
        tx.hint_due(due_at);
    }
    Ok(place)
}

pub(super) async fn get<D: Database>(store: &Sql<D>, id: Id) -> Result<Response> {
    let found = store.read(id, |session, id| Box::pin(find(session, *id))).await?;
    Ok(Response::Task(found.map(Box::new)))
}

async fn find(session: &mut dyn Session, id: Id) -> Result<Option<Task>> {
    session.find(TASK_GET.call().id(id)).await?.as_ref().map(rows::task).transpose()
}

async fn require(session: &mut dyn Session, id: Id) -> Result<Task> {
    find(session, id).await?.ok_or_else(|| decide::unknown_task(id))
}

pub(super) async fn list<D: Database>(
    store: &Sql<D>,
    limit: u32,
    offset: u32,
    state: Option<TaskState>,
) -> Result<Response> {
    let tasks = store
        .read((limit, offset, state), |session, request| Box::pin(page(session, request.0, request.1, request.2)))
        .await?;
    Ok(Response::Tasks(tasks))
}

async fn page(session: &mut dyn Session, limit: u32, offset: u32, state: Option<TaskState>) -> Result<Vec<Task>> {
    let mut call = TASKS_LIST.call();
    call.text(state.map(TaskState::as_str)).int(i64::from(limit)).int(i64::from(offset));
    session.fetch(&call).await?.iter().map(rows::task).collect()
}

pub(super) async fn list_of_execution<D: Database>(store: &Sql<D>, execution: Id) -> Result<Response> {
    let tasks = store.read(execution, |session, execution| Box::pin(all_of(session, *execution))).await?;
    Ok(Response::Tasks(tasks))
}

async fn all_of(session: &mut dyn Session, execution: Id) -> Result<Vec<Task>> {
    session.fetch(TASKS_LIST_OF_EXECUTION.call().id(execution)).await?.iter().map(rows::task).collect()
}

pub(super) async fn count<D: Database>(
    store: &Sql<D>,
    queue: Option<String>,
    state: Option<TaskState>,
) -> Result<Response> {
    let count = store.read((queue, state), |session, request| Box::pin(count_stored(session, request))).await?;
    Ok(Response::Count(count))
}

async fn count_stored(session: &mut dyn Session, request: Arc<(Option<String>, Option<TaskState>)>) -> Result<u64> {
    let (queue, state) = request.as_ref();
    let mut call = TASKS_COUNT.call();
    call.text(queue.as_deref()).text(state.map(TaskState::as_str));
    session.one(&call).await?.count("count")
}

pub(super) async fn renew<D: Database>(store: &Sql<D>, task: Id, worker: String, lease: Duration) -> Result<Response> {
    let renewed = store.write_exactly((task, worker, lease), |tx, request| Box::pin(renew_lease(tx, request))).await?;
    Ok(Response::Flag(renewed))
}

async fn renew_lease(tx: &mut Tx<'_>, request: Arc<(Id, String, Duration)>) -> Result<bool> {
    let (task, worker, lease) = request.as_ref();
    let mut call = TASK_RENEW.call();
    call.id(*task).text(worker.as_str()).lease(tx.now.after(*lease));
    Ok(tx.change(&call).await? == 1)
}

pub(super) async fn update<D: Database>(store: &Sql<D>, task: Task) -> Result<Response> {
    store.write_exactly(task, |tx, task| Box::pin(replace(tx, task))).await?;
    Ok(Response::Nothing)
}

async fn replace(tx: &mut Tx<'_>, new: Arc<Task>) -> Result<()> {
    let stored = hold(tx, new.id).await?;
    if stored.state.is_terminal() {
        let ends = [&stored, &*new].map(|task| (task.state, &task.result, &task.error));
        return decide::same_end("task", new.id, ends[0], ends[1]);
    }
    // Only these fields change. Name, queue and tags stay, and so does the route.
    let merged = Task {
        state: new.state,
        result: new.result.clone(),
        error: new.error.clone(),
        retries: new.retries,
        started_at: new.started_at,
        completed_at: new.completed_at,
        worker_id: new.worker_id.clone(),
        lease_expires_at: new.lease_expires_at,
        scheduled_for: new.scheduled_for,
        ..stored.clone()
    };
    if new.state.is_terminal() {
        end(tx, &merged).await?;
    }
    write(tx, &merged).await?;
    if stored.state == TaskState::Waiting && new.state != TaskState::Waiting {
        tx.change(TASK_WAIT_FORGET.call().id(new.id)).await?;
    }
    Ok(())
}

/// Reads the task and locks it, with all rows that its end would touch, in the order of locks.
async fn hold(tx: &mut Tx<'_>, id: Id) -> Result<Task> {
    let found = require(tx.session(), id).await?;
    if tx.is_alone() {
        // Nobody can change it meanwhile.
        return Ok(found);
    }
    if found.parent_task_id.is_none() {
        tx.lock_executions([found.execution_id]).await?;
    }
    tx.lock_waits(found.parent_task_id.into_iter().chain([id])).await?;
    tx.find(TASK_LOCK.call().id(id)).await?;
    require(tx.session(), id).await
}

async fn write(tx: &mut Tx<'_>, task: &Task) -> Result<()> {
    let place = place(tx, task).await?;
    let mut call = TASK_UPDATE.call();
    call.id(task.id)
        .text(task.state.as_str())
        .payload(task.result.as_ref())
        .made_bytes(task.error.as_ref().map(codec::failure_to_column))
        .int(i64::from(task.retries))
        .time(task.started_at)
        .time(decide::completed_at(task.state.is_terminal(), task.completed_at, tx.now))
        .text(task.worker_id.as_deref())
        .time(task.lease_expires_at)
        .time(task.scheduled_for)
        .int(place.lane)
        .int(place.route)
        .date(place.due_at)
        .flag(place.limited)
        .lease(place.lease);
    tx.change(&call).await.map(drop)
}

/// If the record ends the task, delivers the end as for any other task.
async fn end(tx: &mut Tx<'_>, task: &Task) -> Result<()> {
    let Some(ending) = decide::from_outside(task) else { return Ok(()) };
    let mut book = WaitBook::default();
    ends::finish(tx, &mut book, vec![End::now(task.id, task.parent_task_id, ending)]).await?;
    book.save(tx).await
}
