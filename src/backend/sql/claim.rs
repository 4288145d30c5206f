//! Claims tasks for a worker: the best ones of the lanes that it may take from, and those of functions with a
//! `max_concurrent`, a rate or a hold, or of a queue with a rate, as far as these allow.

use std::cmp::Reverse;
use std::time::Duration;

use super::call::Call;
use super::catalog::{Lane, Lanes, Limited, micros};
use super::rooms::Rooms;
use super::row::Row;
use super::rows;
use super::statement::Statement;
use super::statements::{EXECUTIONS_START, TASKS_BEST, TASKS_BEST_FROM, TASKS_CLAIM, TASKS_CLAIM_FROM};
use super::tx::Tx;
use crate::backend::decide::{self, Offer};
use crate::backend::{CacheSlot, Claim, Claimed};
use crate::model::{CONCURRENCY_MAX, Error, Id, Result, TaskKind, Timestamp};

/// A task with its place among the ready, which its priority and age need not tell (see [`super::fairness`]).
type Taken = ((Reverse<i64>, Timestamp, Id), Claimed);

/// Claims for a registered worker: free functions up to `count`, limited ones up to `limited`, best first.
/// Which of them begin is by priority alone, limited or not.
pub(super) async fn claim(tx: &mut Tx<'_>, claim: &Claim) -> Result<Vec<Claimed>> {
    let Some(lanes) = tx.shared.lanes(&tx.catalog, &claim.worker_id) else {
        return Err(Error::not_found(format!("claim: worker {} is not registered here", claim.worker_id)));
    };
    let mut claimed = Vec::new();
    take_limited(tx, claim, &lanes, &mut claimed).await?;
    take_free(tx, claim, &lanes.free, &mut claimed).await?;
    // Fewer than it asked for: there is no more for it, and what is limited goes to it when a slot is free.
    if claimed.len() < claim.count {
        tx.hint_served(&claim.worker_id);
    }
    start_executions(tx, claimed.iter().map(|(_, claimed)| claimed)).await?;
    claimed.sort_by_key(|(place, _)| *place);
    Ok(claimed.into_iter().map(|(_, claimed)| claimed).collect())
}

/// Those of limited functions that are among the best of all: they get the slots that are free before worse ones without
/// a limit do.
async fn take_limited(tx: &mut Tx<'_>, claim: &Claim, lanes: &Lanes, claimed: &mut Vec<Taken>) -> Result<()> {
    let slots = claim.limited.min(CONCURRENCY_MAX);
    let all: Vec<Lane> = lanes.limited.iter().flat_map(|limited| &limited.lanes).copied().collect();
    if slots == 0 || all.is_empty() {
        return Ok(());
    }
    let found = best_of(tx, &all, slots, i64::MAX).await?;
    let has_one = |limited: &&Limited| found.iter().any(|(lane, _)| limited.lanes.contains(lane));
    let offered: Vec<&Limited> = lanes.limited.iter().filter(has_one).collect();
    if offered.is_empty() {
        return Ok(());
    }
    let mut rooms = Rooms::of(tx, &offered).await?;
    let of = |lane| offered.iter().position(|limited| limited.lanes.contains(&lane));
    let mut offers: Vec<Offer> = found.into_iter().map(|(lane, offer)| Offer { group: of(lane), ..offer }).collect();
    let others = slots.min(claim.count);
    if others > 0 && !lanes.free.is_empty() {
        let free = best_of(tx, &lanes.free, others, others as i64).await?;
        offers.extend(free.into_iter().map(|(_, offer)| offer));
    }
    for (place, count) in decide::shares(offers, &rooms.groups, &rooms.rooms(), slots).into_iter().enumerate() {
        let limited = offered[place];
        let before = claimed.len();
        if count > 0 {
            let limits = limited.max.is_some();
            take(tx, claim, &Taking { lanes: &limited.lanes, count, limited: limits, begin: true }, claimed).await?;
        }
        if claimed.len() > before {
            tx.hint_rate(&limited.function);
        }
        let starts = claimed[before..].iter().filter(|(_, one)| one.task.started_at == Some(one.claimed_at)).count();
        if !rooms.start(place, starts) {
            // Others held one that was to go on, and the next began.
            return Err(tx.again_later());
        }
    }
    rooms.count(tx).await
}

/// The best tasks of these lanes, each with its lane.
async fn best_of(tx: &mut Tx<'_>, lanes: &[Lane], each: usize, all: i64) -> Result<Vec<(Lane, Offer)>> {
    let now = tx.now;
    let found = look(tx, lanes, [&TASKS_BEST, &TASKS_BEST_FROM], |call| {
        call.int(each as i64).int(all).due(now);
    })
    .await?;
    let offer = |row: &Row| {
        Ok(Offer {
            group: None,
            fresh: row.flag("fresh")?,
            priority: row.int("priority")?,
            created_at: row.time("created_at")?,
            id: row.id("id")?,
        })
    };
    let of = |row: &Row| {
        let lane = row.optional_int("lane")?;
        lane.map(|lane| Ok((lane, offer(row)?))).transpose()
    };
    found.iter().filter_map(|row| of(row).transpose()).collect()
}

/// What is ready in these lanes, by the statement of the store; `more` adds its other parameters. Where dead entries may be
/// in the way it begins where the living do, and their places are noted anew.
async fn look<'a>(
    tx: &mut Tx<'_>,
    lanes: &[Lane],
    how: [&'static Statement; 2],
    more: impl FnOnce(&mut Call<'a>),
) -> Result<Vec<Row>> {
    let [in_order, from_places] = how;
    if tx.is_alone() {
        let mut call = in_order.call();
        more(call.ints(lanes));
        return tx.fetch(&call).await;
    }
    let look = tx.look(lanes);
    let mut call = look.call(from_places);
    more(&mut call);
    let found = tx.fetch(&call).await?;
    if let Some(row) = found.first() {
        tx.note(look, row)?;
    }
    Ok(found)
}

struct Taking<'a> {
    lanes: &'a [Lane],
    count: usize,
    limited: bool,
    begin: bool,
}

/// First those that begin at once, beside the limited ones that were claimed; then those that wait at the worker. Most
/// claims are of the one or of the other.
async fn take_free(tx: &mut Tx<'_>, claim: &Claim, lanes: &[Lane], claimed: &mut Vec<Taken>) -> Result<()> {
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
async fn take(tx: &mut Tx<'_>, claim: &Claim, taking: &Taking<'_>, claimed: &mut Vec<Taken>) -> Result<()> {
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
    claimed: &mut Vec<Taken>,
) -> Result<usize> {
    let now = tx.now;
    let found = look(tx, taking.lanes, [&TASKS_CLAIM, &TASKS_CLAIM_FROM], |call| {
        call.int(count.min(CONCURRENCY_MAX) as i64)
            .text(claim.worker_id.as_str())
            .due(now)
            .lease(now.after(claim.lease))
            .flag(taking.limited.then_some(true))
            .flag(whatever)
            .int(taking.begin.then_some(i64::from(claim.slots)));
    })
    .await?;
    let mut best = 0;
    for row in found {
        best = row.optional_count("best")?.unwrap_or(0);
        if row.optional_id("id")?.is_some() {
            let place = (Reverse(row.int("line")?), row.time("place")?, row.id("id")?);
            claimed.push((place, read(&row, tx.now)?));
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
        snoozes: row.count("snoozes")?,
        first_started_at: row.optional_time("first_started_at")?,
        begun: row.optional_count("begun")?,
        company: row.optional_count("company")?,
        deadline: row.optional_time("deadline_at")?,
        cache: row.optional_string("cache_key")?.map(|key| CacheSlot { key, ttl }),
        traceparent: row.optional_string("traceparent")?,
        cleanup: row.optional_count("cleanup")?,
        claimed_at: now,
    })
}

/// An execution is running from the first claim of its root task on.
async fn start_executions<'a>(tx: &mut Tx<'_>, claimed: impl Iterator<Item = &'a Claimed>) -> Result<()> {
    let first = |c: &&Claimed| {
        c.task.kind == TaskKind::Orchestrator
            && c.task.parent_task_id.is_none()
            && c.task.started_at == Some(c.claimed_at)
    };
    let roots = claimed.filter(first).map(|c| c.task.execution_id);
    let mut call = EXECUTIONS_START.call().ids(roots);
    tx.change(call.time(tx.now)).await.map(drop)
}
