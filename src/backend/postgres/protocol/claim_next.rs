//! The protocol's claim: one task, chosen by filters that come with the call instead of a registered worker.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::super::catalog::Lane;
use super::super::rows::{self, Columns};
use super::super::tx::{Lock, Tx};
use super::super::{Postgres, error};
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

pub(super) async fn claim(store: &Postgres, wanted: Wanted) -> Result<Response> {
    check_name("worker_id", &wanted.worker_id)?;
    loop {
        let answer = store.write_exactly(wanted.clone(), |tx, wanted| Box::pin(attempt(tx, wanted))).await?;
        if let Answer::Claimed(task) = answer {
            return Ok(Response::Task(task));
        }
    }
}

async fn attempt(tx: &mut Tx, wanted: Arc<Wanted>) -> Result<Answer> {
    let now = wanted.now.unwrap_or(tx.now);
    if release_scheduled(tx, now).await? {
        return Ok(Answer::Again);
    }
    let (lanes, routes, limited) = eligible(tx, &wanted, now).await?;
    if lanes.is_empty() {
        return Ok(Answer::Claimed(None));
    }
    let row = sqlx::query(include_str!("../sql/task_claim_next.sql"))
        .bind(lanes)
        .bind(routes)
        .bind(now)
        .bind(&wanted.worker_id)
        .bind(now.after(wanted.lease))
        .bind(&limited)
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(error::map("claim a task"))?;
    let Some(row) = row else { return Ok(Answer::Claimed(None)) };
    let task = rows::task(&row)?;
    sqlx::query(include_str!("../sql/execution_start.sql"))
        .bind(task.execution_id)
        .bind(now)
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
        .bind(now)
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

/// Lanes that this call may take from, the routes of what it may take, and the functions among them that have a limit.
async fn eligible(tx: &mut Tx, wanted: &Wanted, now: Timestamp) -> Result<(Vec<Lane>, Vec<Lane>, Vec<String>)> {
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
    tx.lock(limited.iter().map(|function| Lock::Limit(function))).await?;
    let running = count_running(tx, &limited, now).await?;
    let full = |function: &String| {
        limits.get(function).is_some_and(|limit| running.get(function).copied().unwrap_or(0) >= u64::from(*limit))
    };
    let routes: Vec<Lane> = routes.iter().filter(|(function, _)| !full(function)).map(|(_, lane)| *lane).collect();
    let mut lanes = routes.clone();
    if let Some(own) = tx.catalog.worker_lane(&wanted.worker_id)
        && !lanes.is_empty()
    {
        lanes.push(own);
    }
    Ok((lanes, routes, limited))
}

async fn count_running(tx: &mut Tx, functions: &[String], now: Timestamp) -> Result<HashMap<String, u64>> {
    if functions.is_empty() {
        return Ok(HashMap::new());
    }
    let found = sqlx::query(include_str!("../sql/tasks_count_running.sql"))
        .bind(now)
        .bind(functions)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(error::map("count running tasks"))?;
    found.iter().map(|row| Ok((Columns(row).get("step_name")?, Columns(row).count("count")?))).collect()
}
