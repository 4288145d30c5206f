//! Tasks as records, outside the fence. The engine's own columns follow from what is written.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::super::batch::Batch;
use super::super::catalog::{Lane, stored};
use super::super::conn::Conn;
use super::super::ends;
use super::super::routes::route_of;
use super::super::rows::{self, Columns, args_column, kwargs_column};
use super::super::tx::{Tx, nothing_more};
use super::super::waits::WaitBook;
use super::super::{Postgres, error};
use crate::backend::Response;
use crate::backend::decide::{self, End};
use crate::codec;
use crate::model::{BATCH_MAX, Id, Payload, Result, Route, Task, TaskKind, TaskState, Timestamp};

/// The columns that follow from a record's state: where it may be claimed, when it is looked at, its lease.
struct Place {
    route: Option<Lane>,
    lane: Option<Lane>,
    due_at: Option<Timestamp>,
    limited: Option<bool>,
}

pub(super) async fn create(store: &Postgres, tasks: Vec<Task>) -> Result<Response> {
    tasks.iter().try_for_each(decide::check_task)?;
    let mut seen = HashSet::with_capacity(tasks.len());
    if let Some(twice) = tasks.iter().find(|task| !seen.insert(task.id)) {
        return Err(decide::task_exists(twice.id));
    }
    store.write_exactly(tasks, |tx, tasks| Box::pin(async move { insert(tx, &tasks).await })).await?;
    Ok(Response::Nothing)
}

/// Inserts all of them, or none where an id is taken.
pub(super) async fn insert(tx: &mut Tx, tasks: &[Task]) -> Result<()> {
    for chunk in tasks.chunks(BATCH_MAX) {
        insert_chunk(tx, chunk).await?;
    }
    Ok(())
}

async fn insert_chunk(tx: &mut Tx, tasks: &[Task]) -> Result<()> {
    let mut batch = Batch::new();
    for task in tasks {
        let place = place(tx, task)?;
        let timeout = stored(tx.catalog.function(&task.step_name).and_then(|function| function.timeout));
        let tags = codec::tags_to_column(&task.tags);
        let policy = task.retry_policy.as_ref().map(codec::policy_to_column);
        let error = task.error.as_ref().map(codec::failure_to_column);
        let mut row = batch.row();
        row.id(task.id)
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
            .time(place.due_at)
            .time(task.scheduled_for)
            .int(task.fence as i64)
            .text(task.worker_id.as_deref())
            .time(task.lease_expires_at)
            .flag(place.limited)
            .time(task.started_at)
            .time(task.completed_at)
            .int(i64::from(task.retries))
            .int(timeout)
            .text(task.idempotency_key.as_deref())
            .text(task.queue.as_deref())
            .text(tags.as_deref())
            .text(policy.as_deref())
            .bytes(args_column(&task.args))
            .bytes(kwargs_column(&task.kwargs))
            .bytes(task.result.as_ref().map(Payload::as_bytes))
            .bytes(error.as_deref());
    }
    let ids = Batch::of_ids(tasks.iter().map(|task| task.id));
    let sql = include_str!("../sql/tasks_existing.sql");
    let found = tx.fetch_batch("look for tasks that exist", sql, ids, nothing_more).await?;
    let existing = found.iter().map(|row| Columns(row).id("id")).collect::<Result<HashSet<Id>>>()?;
    // The first of them in the order of the call.
    if let Some(task) = tasks.iter().find(|task| existing.contains(&task.id)) {
        return Err(decide::task_exists(task.id));
    }
    tx.run_batch("create tasks", include_str!("../sql/tasks_create.sql"), batch, nothing_more).await?;
    for task in tasks.iter().filter(|task| task.kind == TaskKind::Orchestrator && task.parent_task_id.is_none()) {
        sqlx::query(include_str!("../sql/execution_root_set.sql"))
            .bind(task.execution_id)
            .bind(task.id)
            .execute(&mut tx.conn)
            .await
            .map_err(error::map("note the root task"))?;
    }
    Ok(())
}

fn place(tx: &mut Tx, task: &Task) -> Result<Place> {
    let mut place = Place { route: None, lane: None, due_at: None, limited: None };
    if task.kind.is_run() {
        let route = Route::new(task.queue.clone(), task.step_name.clone(), task.tags.clone());
        place.route = Some(route_of(tx, route)?);
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
            if let Some(expires_at) = task.lease_expires_at {
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

pub(super) async fn get(store: &Postgres, id: Id) -> Result<Response> {
    let found = store.read(id, |conn, id| Box::pin(async move { find(conn, *id).await })).await?;
    Ok(Response::Task(found.map(Box::new)))
}

async fn find(conn: &mut Conn, id: Id) -> Result<Option<Task>> {
    let row = sqlx::query(include_str!("../sql/task_get.sql"))
        .bind(id)
        .fetch_optional(conn)
        .await
        .map_err(error::map("read a task"))?;
    row.as_ref().map(rows::task).transpose()
}

pub(super) async fn list(store: &Postgres, limit: u32, offset: u32, state: Option<TaskState>) -> Result<Response> {
    let tasks = store
        .read((limit, offset, state), |conn, request| {
            Box::pin(async move {
                let found = sqlx::query(include_str!("../sql/tasks_list.sql"))
                    .bind(request.2.map(TaskState::as_str))
                    .bind(i64::from(request.0))
                    .bind(i64::from(request.1))
                    .fetch_all(conn)
                    .await
                    .map_err(error::map("list tasks"))?;
                found.iter().map(rows::task).collect()
            })
        })
        .await?;
    Ok(Response::Tasks(tasks))
}

pub(super) async fn list_of_execution(store: &Postgres, execution: Id) -> Result<Response> {
    let tasks = store
        .read(execution, |conn, execution| {
            Box::pin(async move {
                let found = sqlx::query(include_str!("../sql/tasks_list_of_execution.sql"))
                    .bind(execution)
                    .fetch_all(conn)
                    .await
                    .map_err(error::map("list an execution's tasks"))?;
                found.iter().map(rows::task).collect()
            })
        })
        .await?;
    Ok(Response::Tasks(tasks))
}

pub(super) async fn count(store: &Postgres, queue: Option<String>, state: Option<TaskState>) -> Result<Response> {
    let count = store
        .read((queue, state), |conn, request| {
            Box::pin(async move {
                let row = sqlx::query(include_str!("../sql/tasks_count.sql"))
                    .bind(&request.0)
                    .bind(request.1.map(TaskState::as_str))
                    .fetch_one(conn)
                    .await
                    .map_err(error::map("count tasks"))?;
                Columns(&row).count("count")
            })
        })
        .await?;
    Ok(Response::Count(count))
}

pub(super) async fn renew(store: &Postgres, task: Id, worker: String, lease: Duration) -> Result<Response> {
    let renewed = store
        .write_exactly((task, worker, lease), |tx, request| {
            Box::pin(async move {
                let expires_at = tx.now.after(request.2);
                let done = sqlx::query(include_str!("../sql/task_renew.sql"))
                    .bind(request.0)
                    .bind(&request.1)
                    .bind(expires_at)
                    .execute(&mut tx.conn)
                    .await
                    .map_err(error::map("renew a lease"))?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await?;
    Ok(Response::Flag(renewed))
}

pub(super) async fn update(store: &Postgres, task: Task) -> Result<Response> {
    store.write_exactly(task, |tx, task| Box::pin(replace(tx, task))).await?;
    Ok(Response::Nothing)
}

async fn replace(tx: &mut Tx, new: Arc<Task>) -> Result<()> {
    let stored = hold(tx, new.id).await?;
    if stored.state.is_terminal() {
        let ends = [&stored, &new].map(|task| (task.state, &task.result, &task.error));
        return decide::same_end("task", new.id, ends[0], ends[1]);
    }
    // Only these change; the task keeps its name, queue and tags, and so its route.
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
        sqlx::query(include_str!("../sql/task_wait_forget.sql"))
            .bind(new.id)
            .execute(&mut tx.conn)
            .await
            .map_err(error::map("forget what the task waited for"))?;
    }
    Ok(())
}

/// The task as it is from here on, with all that its end would touch, locked in order.
async fn hold(tx: &mut Tx, id: Id) -> Result<Task> {
    let found = find(&mut tx.conn, id).await?.ok_or_else(|| decide::unknown_task(id))?;
    if found.parent_task_id.is_none() {
        tx.lock_executions([found.execution_id]).await?;
    }
    WaitBook::default().lock(tx, found.parent_task_id.into_iter().chain([id])).await?;
    sqlx::query(include_str!("../sql/task_lock.sql"))
        .bind(id)
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("hold a task"))?;
    find(&mut tx.conn, id).await?.ok_or_else(|| decide::unknown_task(id))
}

async fn write(tx: &mut Tx, task: &Task) -> Result<()> {
    let place = place(tx, task)?;
    sqlx::query(include_str!("../sql/task_update.sql"))
        .bind(task.id)
        .bind(task.state.as_str())
        .bind(task.result.as_ref().map(Payload::as_bytes))
        .bind(task.error.as_ref().map(codec::failure_to_column))
        .bind(i64::from(task.retries))
        .bind(task.started_at)
        .bind(task.completed_at)
        .bind(&task.worker_id)
        .bind(task.lease_expires_at)
        .bind(task.scheduled_for)
        .bind(place.lane)
        .bind(place.route)
        .bind(place.due_at)
        .bind(place.limited)
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("update the task"))?;
    Ok(())
}

/// A record that ends its task: everybody who waits for it hears of it, as of any other end.
async fn end(tx: &mut Tx, task: &Task) -> Result<()> {
    let Some(ending) = decide::from_outside(task) else { return Ok(()) };
    let mut book = WaitBook::default();
    ends::finish(tx, &mut book, vec![End::now(task.id, task.parent_task_id, ending)]).await?;
    book.save(tx).await
}
