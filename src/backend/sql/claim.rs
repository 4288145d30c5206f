//! Claims tasks for a worker: the best ones of the lanes that it may take from, and those of functions with a
//! `max_concurrent` as far as their limit allows.

use std::time::Duration;

use super::catalog::{Lane, Limited, micros};
use super::lock::Lock;
use super::row::Row;
use super::rows;
use super::statements::{EXECUTIONS_START, TASKS_CLAIM, TASKS_COUNT_LIMITED};
use super::tx::Tx;
use crate::backend::{CacheSlot, Claim, Claimed};
use crate::model::{CONCURRENCY_MAX, Error, Result, TaskKind, Timestamp};

/// Claims for a registered worker: free functions up to `count`, limited ones up to `limited`, best first.
pub(super) async fn claim(tx: &mut Tx<'_>, claim: &Claim) -> Result<Vec<Claimed>> {
    let Some(lanes) = tx.shared.lanes(&tx.catalog, &claim.worker_id) else {
        return Err(Error::not_found(format!("claim: worker {} is not registered here", claim.worker_id)));
    };
    let mut claimed = Vec::new();
    let mut room = claim.limited;
    for Limited { function, max, lanes } in &lanes.limited {
        if room == 0 {
            break;
        }
        if lanes.is_empty() {
            continue;
        }
        tx.lock(&[Lock::Limit(function)]).await?;
        let running = count_running(tx, function).await?;
        let count = room.min(usize::try_from(i64::from(*max) - running).unwrap_or(0));
        if count > 0 {
            let before = claimed.len();
            take(tx, claim, &Taking { lanes, count, limited: true, begin: true }, &mut claimed).await?;
            room -= claimed.len() - before;
        }
    }
    take_free(tx, claim, &lanes.free, &mut claimed).await?;
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
    begin: bool,
}

/// First those that begin at once, beside the limited ones that were claimed; then those that wait at the worker. Most
/// claims are of the one or of the other.
async fn take_free(tx: &mut Tx<'_>, claim: &Claim, lanes: &[Lane], claimed: &mut Vec<Claimed>) -> Result<()> {
    if lanes.is_empty() {
        return Ok(());
    }
    let at_once = claim.begin.saturating_sub(claimed.len()).min(claim.count);
    for (count, begin) in [(at_once, true), (claim.count - at_once, false)] {
        if count == 0 {
            continue;
        }
        let before = claimed.len();
        take(tx, claim, &Taking { lanes, count, limited: false, begin }, claimed).await?;
        if claimed.len() - before < count {
            break;
        }
    }
    Ok(())
}

/// Claims the best tasks of all lanes. If there were enough of them but other transactions had locked some, any other
/// tasks are taken instead: nobody will send another hint for these.
async fn take(tx: &mut Tx<'_>, claim: &Claim, taking: &Taking<'_>, claimed: &mut Vec<Claimed>) -> Result<()> {
    let before = claimed.len();
    let one_lane = taking.lanes.len() == 1;
    let best = take_some(tx, claim, taking, taking.count, one_lane, claimed).await?;
    let missing = taking.count - (claimed.len() - before);
    if missing > 0 && best >= taking.count {
        take_some(tx, claim, taking, missing, true, claimed).await?;
    }
    Ok(())
}

/// `whatever`: take any tasks instead of the best. Returns how many tasks there were to choose from, up to `count`.
async fn take_some(
    tx: &mut Tx<'_>,
    claim: &Claim,
    taking: &Taking<'_>,
    count: usize,
    whatever: bool,
    claimed: &mut Vec<Claimed>,
) -> Result<usize> {
    let mut call = TASKS_CLAIM.call();
    call.ints(taking.lanes)
        .int(count.min(CONCURRENCY_MAX) as i64)
        .text(claim.worker_id.as_str())
        .due(tx.now)
        .lease(tx.now.after(claim.lease))
        .flag(taking.limited.then_some(true))
        .flag(whatever)
        .int(taking.begin.then_some(i64::from(claim.slots)));
    let mut best = 0;
    for row in tx.fetch(&call).await? {
        best = row.optional_count("best")?.unwrap_or(0);
        if row.optional_id("id")?.is_some() {
            claimed.push(read(&row, tx.now)?);
        }
    }
    Ok(best)
}

fn read(row: &Row, now: Timestamp) -> Result<Claimed> {
    let ttl: Option<Duration> = micros(row.optional_int("cache_ttl")?);
    Ok(Claimed {
        task: rows::task(row)?,
        run: row.count("run")?,
        ops: row.count("ops")?,
        effects: row.count("effects")?,
        opened: row.optional_count("opened")?,
        heartbeat: row.payload("heartbeat")?,
        crashes: row.count("crashes")?,
        deaths: row.count("deaths")?,
        begun: row.optional_count("begun")?,
        company: row.optional_count("company")?,
        deadline: row.optional_time("deadline_at")?,
        cache: row.optional_string("cache_key")?.map(|key| CacheSlot { key, ttl }),
        traceparent: row.optional_string("traceparent")?,
        cleanup: row.optional_count("cleanup")?,
        claimed_at: now,
    })
}

/// How many leases on a function's tasks are valid. Those that have ended don't count, even if no sweep has handled
/// them yet.
async fn count_running(tx: &mut Tx<'_>, function: &str) -> Result<i64> {
    tx.one(TASKS_COUNT_LIMITED.call().text(function).lease(tx.now)).await?.int("count")
}

/// An execution is running from the first claim of its root task on.
async fn start_executions(tx: &mut Tx<'_>, claimed: &[Claimed]) -> Result<()> {
    let first = |c: &&Claimed| {
        c.task.kind == TaskKind::Orchestrator
            && c.task.parent_task_id.is_none()
            && c.task.started_at == Some(c.claimed_at)
    };
    let roots = claimed.iter().filter(first).map(|c| c.task.execution_id);
    let mut call = EXECUTIONS_START.call().ids(roots);
    tx.change(call.time(tx.now)).await.map(drop)
}
