//! Trees of tasks that end from above: the unfinished descendants of what has ended or is being cancelled. In bounded
//! batches; what is left over is noted and swept later.

use std::collections::HashSet;

use super::idempotency;
use super::row::Row;
use super::statements::{TASKS_CANCEL_BELOW, UNFINISHED_TREES_ADD, UNFINISHED_TREES_TAKE};
use super::tx::Tx;
use crate::model::{Id, Result};

/// Rows cancelled in one transaction that others wait for.
const ROWS_MAX: usize = 1_000;

/// Cancels the unfinished descendants of these tasks; of a large tree a part, and the rest is swept later.
pub(super) async fn cancel_below(tx: &mut Tx<'_>, tasks: Vec<Id>) -> Result<()> {
    let rest = cancel_some(tx, tasks).await?;
    if rest.is_empty() {
        return Ok(());
    }
    tx.change(&UNFINISHED_TREES_ADD.call().ids(rest)).await?;
    tx.hint_due(tx.now);
    Ok(())
}

/// Cancels all unfinished descendants of these tasks, for one who takes their rows away.
pub(super) async fn cancel_all_below(tx: &mut Tx<'_>, tasks: Vec<Id>) -> Result<()> {
    let mut rest = tasks;
    while !rest.is_empty() {
        rest = cancel_some(tx, rest).await?;
    }
    Ok(())
}

/// Goes on with trees that were too large for one transaction. True: there is more.
pub(super) async fn go_on(tx: &mut Tx<'_>) -> Result<bool> {
    let rows = tx.fetch(&UNFINISHED_TREES_TAKE.call()).await?;
    let tasks = rows.iter().map(|row| row.id("task_id")).collect::<Result<Vec<Id>>>()?;
    cancel_below(tx, tasks).await?;
    Ok(!rows.is_empty())
}

/// As much as one transaction should. The answer: tasks below which there may be more.
async fn cancel_some(tx: &mut Tx<'_>, tasks: Vec<Id>) -> Result<Vec<Id>> {
    let mut level = tasks;
    // Old records may be each other's ancestors: nobody is gone below twice.
    let mut seen: HashSet<Id> = level.iter().copied().collect();
    let mut room = ROWS_MAX;
    let mut freed = Vec::new();
    while !level.is_empty() {
        // Who delivers to these tasks has their waits locked before he touches what is below them.
        tx.lock_waits(level.iter().copied()).await?;
        let mut call = TASKS_CANCEL_BELOW.call().ids(level.iter().copied());
        let found = tx.fetch(call.int(room as i64).time(tx.now)).await?;
        let mut below = Vec::new();
        let mut changed = false;
        for row in &found {
            if row.int("ops")? > 0 && seen.insert(row.id("id")?) {
                below.push(row.id("id")?);
            }
            // What runs in an execution that is being cancelled keeps its lease until its handler returns.
            if row.text("state")? != "running" {
                changed = true;
                note(tx, row, &mut freed)?;
            }
        }
        // Those that run are found again however often one looks: where there are no others, it goes on below them.
        if found.len() == room && changed {
            level.extend(below);
            break;
        }
        room = room.saturating_sub(found.len()).max(1);
        level = below;
    }
    idempotency::release(tx, &freed).await?;
    Ok(level)
}

/// What follows from a task's being cancelled from above.
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
