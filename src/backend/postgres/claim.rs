//! Taking tasks: the best of the routes that a worker may take, and under their functions' limits the limited ones.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::batch::Batch;
use super::catalog::{Lane, Limited, micros};
use super::error;
use super::rows::{self, Columns};
use super::tx::{Lock, Tx};
use crate::backend::{CacheSlot, Claim, Claimed};
use crate::model::{Error, Id, Result, TaskKind, Timestamp};

/// Claims for a registered worker: free functions up to `count`, limited ones up to `limited`, best first.
pub(super) async fn claim(tx: &mut Tx, claim: &Claim) -> Result<Vec<Claimed>> {
    let Some(lanes) = tx.pool.catalog.lanes(&tx.catalog, &claim.worker_id) else {
        return Err(Error::not_found(format!("claim: worker {} is not registered here", claim.worker_id)));
    };
    let mut claimed = Vec::new();
    if claim.count > 0 && !lanes.free.is_empty() {
        let taking = Taking { lanes: &lanes.free, count: claim.count, limited: false };
        take(tx, claim, &taking, &mut claimed).await?;
    }
    let mut room = claim.limited;
    for Limited { function, max, lanes } in &lanes.limited {
        if room == 0 {
            break;
        }
        if lanes.is_empty() {
            continue;
        }
        tx.lock([Lock::Limit(function)]).await?;
        let running = count_running(tx, function).await?;
        let count = room.min(usize::try_from(i64::from(*max) - running).unwrap_or(0));
        if count > 0 {
            let before = claimed.len();
            take(tx, claim, &Taking { lanes, count, limited: true }, &mut claimed).await?;
            room -= claimed.len() - before;
        }
    }
    // Fewer than it asked for: there is no more for it, and what is limited goes to it when a slot is free.
    if claimed.len() < claim.count {
        tx.hint_served(&claim.worker_id);
    }
    start_executions(tx, &claimed).await?;
    claimed.sort_by(|a, b| {
        let order = |c: &Claimed| (std::cmp::Reverse(c.task.priority), c.task.created_at, c.task.id);
        order(a).cmp(&order(b))
    });
    Ok(claimed)
}

struct Taking<'a> {
    lanes: &'a [Lane],
    count: usize,
    limited: bool,
}

/// The best of all lanes. Where there were enough and others are at them just now, whatever else is there: nobody tells
/// of it again.
async fn take(tx: &mut Tx, claim: &Claim, taking: &Taking<'_>, claimed: &mut Vec<Claimed>) -> Result<()> {
    let before = claimed.len();
    let one_lane = taking.lanes.len() == 1;
    let best = take_some(tx, claim, taking, taking.count, one_lane, claimed).await?;
    let missing = taking.count - (claimed.len() - before);
    if missing > 0 && best >= taking.count {
        take_some(tx, claim, taking, missing, true, claimed).await?;
    }
    Ok(())
}

/// The answer: how many there were to choose from, at most as many as were asked for.
async fn take_some(
    tx: &mut Tx,
    claim: &Claim,
    taking: &Taking<'_>,
    count: usize,
    whatever: bool,
    claimed: &mut Vec<Claimed>,
) -> Result<usize> {
    let lease = i64::try_from(claim.lease.as_micros()).unwrap_or(i64::MAX);
    let rows = sqlx::query(include_str!("sql/tasks_claim.sql"))
        .bind(taking.lanes)
        .bind(count as i64)
        .bind(&claim.worker_id)
        .bind(tx.now)
        .bind(lease)
        .bind(taking.limited.then_some(true))
        .bind(whatever)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(error::map("claim"))?;
    let mut best = 0;
    for row in &rows {
        let columns = Columns(row);
        best = columns.optional_count("best")?.unwrap_or(0);
        if columns.optional_id("id")?.is_some() {
            claimed.push(read(row, tx.now)?);
        }
    }
    Ok(best)
}

fn read(row: &PgRow, now: Timestamp) -> Result<Claimed> {
    let columns = Columns(row);
    let ttl: Option<Duration> = micros(columns.get("cache_ttl")?);
    let cache_key: Option<String> = columns.get("cache_key")?;
    Ok(Claimed {
        task: rows::task(row)?,
        run: columns.count("run")?,
        ops: columns.count("ops")?,
        effects: columns.count("effects")?,
        heartbeat: columns.payload("heartbeat")?,
        crashes: columns.count("crashes")?,
        deadline: columns.optional_time("deadline_at")?,
        cache: cache_key.map(|key| CacheSlot { key, ttl }),
        traceparent: columns.get("traceparent")?,
        claimed_at: now,
    })
}

/// Live leases of a limited function. Ended ones don't count, whether they were swept already or not.
async fn count_running(tx: &mut Tx, function: &str) -> Result<i64> {
    let row = sqlx::query(include_str!("sql/tasks_count_limited.sql"))
        .bind(function)
        .bind(tx.now)
        .fetch_one(&mut tx.conn)
        .await
        .map_err(error::map("count a limited function's tasks"))?;
    Ok(row.get(0))
}

/// An execution runs from its root's first claim on.
async fn start_executions(tx: &mut Tx, claimed: &[Claimed]) -> Result<()> {
    let first = |c: &&Claimed| {
        c.task.kind == TaskKind::Orchestrator
            && c.task.parent_task_id.is_none()
            && c.task.started_at == Some(c.claimed_at)
    };
    let roots: Vec<Id> = claimed.iter().filter(first).map(|c| c.task.execution_id).collect();
    let now = tx.now;
    let batch = Batch::of_ids(roots);
    tx.run_batch("start executions", include_str!("sql/executions_start.sql"), batch, |query| query.bind(now)).await?;
    Ok(())
}
