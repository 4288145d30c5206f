//! The protocol's claim: one task, chosen by filters that come with the call instead of a registered worker.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::super::batch::Batch;
use super::super::rows::{self, Columns};
use super::super::tx::Tx;
use super::super::{Sqlite, error};
use crate::backend::Response;
use crate::model::{Result, Task, Timestamp, check_name};

/// Scheduled tasks released in one transaction.
const RELEASED_MAX: i64 = 1_000;

#[derive(Clone)]
pub(super) struct Wanted {
    pub worker_id: String,
    pub queues: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
    pub now: Option<Timestamp>,
    pub lease: Duration,
    pub concurrency_limits: BTreeMap<String, u32>,
}

enum Answer {
    Claimed(Option<Box<Task>>),
    /// More is due than one transaction should release.
    Again,
}

pub(super) async fn claim(store: &Sqlite, wanted: Wanted) -> Result<Response> {
    check_name("worker_id", &wanted.worker_id)?;
    loop {
        let answer = store.write(wanted.clone(), |tx, wanted| Box::pin(attempt(tx, wanted))).await?;
        if let Answer::Claimed(task) = answer {
            return Ok(Response::Task(task));
        }
    }
}

async fn attempt(tx: &mut Tx, wanted: Arc<Wanted>) -> Result<Answer> {
    let now = wanted.now.unwrap_or(tx.now);
    // The caller's clock against ours; leases are judged by the time since boot, moved by as much.
    let boottime = tx.boottime.saturating_add(now.micros().saturating_sub(tx.now.micros()));
    if release_scheduled(tx, now).await? {
        return Ok(Answer::Again);
    }
    let (lanes, limited) = eligible(tx, &wanted, boottime).await?;
    if lanes.is_empty() {
        return Ok(Answer::Claimed(None));
    }
    let lease = i64::try_from(wanted.lease.as_micros()).unwrap_or(i64::MAX);
    let (lanes, _) = lanes.into_parameters();
    let row = sqlx::query(include_str!("../sql/task_claim_next.sql"))
        .bind(lanes)
        .bind(now.micros())
        .bind(tx.boot)
        .bind(boottime)
        .bind(&wanted.worker_id)
        .bind(now.after(wanted.lease).micros())
        .bind(boottime.saturating_add(lease))
        .bind(crate::codec::names_to_json(&limited))
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(error::map("claim a task"))?;
    let Some(row) = row else { return Ok(Answer::Claimed(None)) };
    let task = rows::task(&row)?;
    sqlx::query(include_str!("../sql/execution_start.sql"))
        .bind(task.execution_id.as_bytes().as_slice())
        .bind(now.micros())
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("start the execution"))?;
    if let Some(expires_at) = task.lease_expires_at {
        tx.hint_due(expires_at);
    }
    Ok(Answer::Claimed(Some(Box::new(task))))
}

/// What was scheduled and is due may be claimed. True: there is more of it.
async fn release_scheduled(tx: &mut Tx, now: Timestamp) -> Result<bool> {
    let done = sqlx::query(include_str!("../sql/tasks_release_scheduled.sql"))
        .bind(now.micros())
        .bind(RELEASED_MAX)
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("release scheduled tasks"))?;
    let released = i64::try_from(done.rows_affected()).unwrap_or(RELEASED_MAX);
    if released > 0 {
        tx.hint_work();
    }
    Ok(released == RELEASED_MAX)
}

/// Lanes with their routes that this call may take from, and the functions among them that have a limit.
async fn eligible(tx: &mut Tx, wanted: &Wanted, boottime: i64) -> Result<(Batch, Vec<String>)> {
    let queues = wanted.queues.as_deref().unwrap_or(&[]);
    let tags = wanted.tags.as_deref().unwrap_or(&[]);
    let mut routes: Vec<(String, i64)> = tx
        .catalog
        .routes()
        .filter(|(route, _)| route.admits(queues, tags))
        .map(|(route, lane)| (route.function.clone(), lane))
        .collect();
    routes.sort_unstable();
    let mut limits: HashMap<String, u32> = HashMap::new();
    for (function, _) in &routes {
        let own = tx.catalog.function(function).and_then(|options| options.max_concurrent);
        let asked = wanted.concurrency_limits.get(function).copied();
        if let Some(limit) = own.into_iter().chain(asked).min() {
            limits.insert(function.clone(), limit);
        }
    }
    let mut limited: Vec<String> = limits.keys().cloned().collect();
    limited.sort_unstable();
    let running = count_running(tx, &limited, boottime).await?;
    let full = |function: &String| {
        limits.get(function).is_some_and(|limit| running.get(function).copied().unwrap_or(0) >= u64::from(*limit))
    };
    let mut lanes = Batch::new();
    for (_, lane) in routes.iter().filter(|(function, _)| !full(function)) {
        lanes.row().int(*lane).int(*lane);
    }
    if let Some(own) = tx.catalog.worker_lane(&wanted.worker_id)
        && !lanes.is_empty()
    {
        lanes.row().int(own).int(None);
    }
    Ok((lanes, limited))
}

async fn count_running(tx: &mut Tx, functions: &[String], boottime: i64) -> Result<HashMap<String, u64>> {
    if functions.is_empty() {
        return Ok(HashMap::new());
    }
    let found = sqlx::query(include_str!("../sql/tasks_count_running.sql"))
        .bind(tx.boot)
        .bind(boottime)
        .bind(crate::codec::names_to_json(functions))
        .fetch_all(&mut tx.conn)
        .await
        .map_err(error::map("count running tasks"))?;
    found.iter().map(|row| Ok((Columns(row).get("step_name")?, Columns(row).count("count")?))).collect()
}
