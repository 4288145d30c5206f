//! Cancels the unfinished descendants of tasks that have ended or are being cancelled. It works in bounded batches; if
//! a tree is larger, the rest is noted in `unfinished_trees` and done by sweeps.

use std::collections::{BTreeSet, HashSet};

use super::idempotency;
use super::row::Row;
use super::statements::{TASKS_CANCEL_BELOW, TASKS_FORGET_TREES, UNFINISHED_TREES, UNFINISHED_TREES_ADD};
use super::tx::Tx;
use crate::model::{Id, Result};

/// Rows cancelled in one transaction, while others wait for its locks.
const ROWS_MAX: usize = 1_000;

/// Cancels the unfinished descendants of these tasks. If there are too many, the rest is left to sweeps.
pub(super) async fn cancel_below(tx: &mut Tx<'_>, tasks: Vec<Id>) -> Result<()> {
    let (rest, _) = cancel_some(tx, tasks).await?;
    if rest.is_empty() {
        return Ok(());
    }
    tx.change(&UNFINISHED_TREES_ADD.call().ids(rest)).await?;
    tx.hint_due(tx.now);
    Ok(())
}

/// Cancels all unfinished descendants of these tasks, however many, because the caller is about to delete their rows.
pub(super) async fn cancel_all_below(tx: &mut Tx<'_>, tasks: Vec<Id>) -> Result<()> {
    let mut rest = tasks;
    while !rest.is_empty() {
        let (more, busy) = cancel_some(tx, rest).await?;
        if busy {
            // Their rows can't be deleted while others hold some of them.
            return Err(tx.again_later());
        }
        rest = more;
    }
    Ok(())
}

/// Continues with trees that were too large for one transaction, or partly in others' hands. Returns with how many.
pub(super) async fn go_on(tx: &mut Tx<'_>) -> Result<usize> {
    let rows = tx.fetch(&UNFINISHED_TREES.call()).await?;
    let tasks = rows.iter().map(|row| row.id("task_id")).collect::<Result<Vec<Id>>>()?;
    // Who notes a tree has its `waits` row.
    tx.lock_waits(tasks.iter().copied()).await?;
    tx.change(&TASKS_FORGET_TREES.call().ids(tasks.iter().copied())).await?;
    cancel_below(tx, tasks).await?;
    Ok(rows.len())
}

/// Cancels as many rows as one transaction should. Returns the tasks below which there may be more, and whether others
/// hold some of it.
async fn cancel_some(tx: &mut Tx<'_>, tasks: Vec<Id>) -> Result<(Vec<Id>, bool)> {
    let mut level = tasks;
    // Records written by old versions may form circles, so no task is visited twice.
    let mut seen: HashSet<Id> = level.iter().copied().collect();
    let mut room = ROWS_MAX;
    let mut freed = Vec::new();
    let mut left = BTreeSet::new();
    while !level.is_empty() {
        // Deliveries to these tasks lock their `waits` rows before their children, so the same order is kept here.
        tx.lock_waits(level.iter().copied()).await?;
        let mut call = TASKS_CANCEL_BELOW.call().ids(level.iter().copied());
        let found = tx.fetch(call.int(room as i64).time(tx.now)).await?;
        let mut below = Vec::new();
        let mut changed = false;
        for row in &found {
            if row.flag("busy")? {
                left.extend(row.optional_id("parent_task_id")?);
                continue;
            }
            if row.int("ops")? > 0 && seen.insert(row.id("id")?) {
                below.push(row.id("id")?);
            }
            // In an execution that is being cancelled a running task keeps its lease until its handler returns.
            if row.text("state")? != "running" {
                changed = true;
                tx.some_give_way();
                note(tx, row, &mut freed)?;
            }
        }
        // Running tasks are not changed, and would be found again by every query. If only such tasks are left, go on
        // below them.
        if found.len() == room && changed {
            level.extend(below);
            break;
        }
        room = room.saturating_sub(found.len()).max(1);
        level = below;
    }
    idempotency::release(tx, &freed).await?;
    let busy = !left.is_empty();
    level.extend(left);
    Ok((level, busy))
}

/// Notes what follows from a task that was cancelled from above: a hint to its worker, and the release of its key.
fn note(tx: &mut Tx<'_>, row: &Row, freed: &mut Vec<Id>) -> Result<()> {
    let id = row.id("id")?;
    if row.optional_text("worker_id")?.is_some() {
        tx.hint_lost(id);
    }
    if row.optional_text("idempotency_key")?.is_some() {
        freed.push(id);
    }
    Ok(())
}
