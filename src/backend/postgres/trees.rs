//! Trees of tasks that end from above: the unfinished descendants of what has ended, and executions that are cancelled
//! or have timed out. In bounded batches; what is left over is noted and swept later.

use super::batch::Batch;
use super::ends;
use super::rows::Columns;
use super::tx::{Tx, nothing_more};
use super::waits::WaitBook;
use super::{dispatch, idempotency};
use crate::backend::NewExecution;
use crate::backend::decide::{End, Ending};
use crate::codec;
use crate::model::{DispatchOptions, Id, Payload, Result};

/// Rows cancelled in one transaction that others wait for.
const ROWS_MAX: usize = 1_000;

/// Cancels the unfinished descendants of these tasks; of a large tree a part, and the rest is swept later.
pub(super) async fn cancel_below(tx: &mut Tx, tasks: Vec<Id>) -> Result<()> {
    let rest = cancel_some(tx, tasks).await?;
    if rest.is_empty() {
        return Ok(());
    }
    let batch = Batch::of_ids(rest);
    tx.run_batch("note unfinished trees", include_str!("sql/unfinished_trees_add.sql"), batch, nothing_more).await?;
    let now = tx.now;
    tx.hint_due(now);
    Ok(())
}

/// Cancels all unfinished descendants of these tasks, for one who takes their rows away.
pub(super) async fn cancel_all_below(tx: &mut Tx, tasks: Vec<Id>) -> Result<()> {
    let mut rest = tasks;
    while !rest.is_empty() {
        rest = cancel_some(tx, rest).await?;
    }
    Ok(())
}

/// As much as one transaction should. The answer: tasks below which there may be more.
async fn cancel_some(tx: &mut Tx, tasks: Vec<Id>) -> Result<Vec<Id>> {
    let mut level = tasks;
    let mut room = ROWS_MAX;
    let mut freed = Vec::new();
    while !level.is_empty() {
        // Who delivers to these tasks has this lock before he touches what is below them.
        WaitBook::default().lock(tx, level.iter().copied()).await?;
        let (limit, now) = (room as i64, tx.now);
        let found = tx
            .fetch_batch(
                "cancel unfinished descendants",
                include_str!("sql/tasks_cancel_below.sql"),
                Batch::of_ids(level.iter().copied()),
                |query| query.bind(limit).bind(now),
            )
            .await?;
        let mut below = Vec::new();
        for row in &found {
            let row = Columns(row);
            let id = row.id("id")?;
            if row.get::<i64>("ops")? > 0 {
                below.push(id);
            }
            if row.get::<&str>("state")? == "running" {
                continue;
            }
            if row.get::<Option<&str>>("worker_id")?.is_some() {
                tx.hint_lost(id);
            }
            if row.get::<Option<&str>>("idempotency_key")?.is_some() {
                freed.push(id);
            }
        }
        let changed = found.iter().any(|row| matches!(Columns(row).get("state"), Ok("cancelled")));
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

/// Goes on with trees that were too large for one transaction. True: there is more.
pub(super) async fn go_on(tx: &mut Tx) -> Result<bool> {
    let rows = sqlx::query(include_str!("sql/unfinished_trees_take.sql"))
        .fetch_all(&mut tx.conn)
        .await
        .map_err(super::error::map("take unfinished trees"))?;
    if rows.is_empty() {
        return Ok(false);
    }
    let tasks = rows.iter().map(|row| Columns(row).id("task_id")).collect::<Result<Vec<Id>>>()?;
    cancel_below(tx, tasks).await?;
    Ok(true)
}

/// Ends what can be ended of executions that are being cancelled, and closes those in which nothing runs any more.
pub(super) async fn cancel_executions(tx: &mut Tx, book: &mut WaitBook, executions: Vec<Id>) -> Result<()> {
    let set = || Batch::of_ids(executions.iter().copied());
    tx.run_batch("lock waits", include_str!("sql/waits_lock_below.sql"), set(), nothing_more).await?;
    let stopped = tx.fetch_batch("stop what runs", include_str!("sql/tasks_stop.sql"), set(), nothing_more).await?;
    let roots = tx
        .fetch_batch("find cancelled roots", include_str!("sql/executions_roots.sql"), set(), nothing_more)
        .await?
        .iter()
        .map(|row| Columns(row).id("id"))
        .collect::<Result<Vec<Id>>>()?;
    let mut idle = Vec::new();
    for row in &stopped {
        let row = Columns(row);
        let id = row.id("id")?;
        if row.get::<&str>("state")? != "running" {
            idle.push(End::now(id, row.optional_id("parent_task_id")?, Ending::Cancelled));
        }
    }
    cancel_below(tx, roots).await?;
    ends::finish(tx, book, idle).await?;
    close(tx, executions).await
}

/// Executions that are being cancelled are over when nobody holds a lease in them; then their compensation starts.
pub(super) async fn close(tx: &mut Tx, executions: Vec<Id>) -> Result<()> {
    let batch = Batch::of_ids(executions);
    let now = tx.now;
    let closed = tx
        .fetch_batch("end cancelled executions", include_str!("sql/executions_close.sql"), batch, |query| {
            query.bind(now)
        })
        .await?;
    let mut compensations = Vec::new();
    for row in &closed {
        let row = Columns(row);
        let id = row.id("id")?;
        tx.hint_ended(id);
        if let Some(function) = row.get::<Option<String>>("on_cancel")? {
            let args = codec::compensation_args(
                id,
                row.word("state")?,
                row.get("cancel_reason")?,
                &row.payload("args")?.unwrap_or_else(Payload::empty_array),
                &row.payload("kwargs")?.unwrap_or_else(Payload::empty_object),
            );
            compensations.push(NewExecution {
                id: dispatch::draw_id(tx.now),
                function,
                args,
                options: DispatchOptions::default(),
                args_hash: [0; 32],
            });
        }
    }
    dispatch::insert(tx, &compensations).await?;
    Ok(())
}
