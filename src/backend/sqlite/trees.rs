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

/// Why a tree is cancelled from above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The task on top has ended: whatever is unfinished below is cancelled, running or not.
    Ended,
    /// The execution is being cancelled: what runs keeps its lease until its handler returns.
    Cancelling,
}

/// Cancels the unfinished descendants of these tasks; of a large tree a part, and the rest is swept later.
pub(super) async fn cancel_below(tx: &mut Tx, tasks: Vec<Id>, cause: Cause) -> Result<()> {
    let rest = cancel_some(tx, tasks, cause).await?;
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
        rest = cancel_some(tx, rest, Cause::Ended).await?;
    }
    Ok(())
}

/// As much as one transaction should. The answer: tasks below which there may be more.
async fn cancel_some(tx: &mut Tx, tasks: Vec<Id>, cause: Cause) -> Result<Vec<Id>> {
    let mut level = tasks;
    let mut room = ROWS_MAX;
    let mut freed = Vec::new();
    while !level.is_empty() {
        let (limit, now) = (room as i64, tx.now.micros());
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
            if row.get::<Option<&str>>("worker_id")?.is_some() {
                tx.hint_lost(id);
            }
            if row.get::<Option<&str>>("idempotency_key")?.is_some() {
                freed.push(id);
            }
        }
        if found.len() == room {
            level.extend(below);
            break;
        }
        room -= found.len();
        if cause == Cause::Cancelling {
            below.extend(running_below(tx, &level).await?);
        }
        level = below;
    }
    idempotency::release(tx, &freed).await?;
    Ok(level)
}

/// Children that run on under a cancelled execution; what is below them is cancelled all the same.
async fn running_below(tx: &mut Tx, level: &[Id]) -> Result<Vec<Id>> {
    let found = tx
        .fetch_batch(
            "find running descendants",
            include_str!("sql/tasks_running_below.sql"),
            Batch::of_ids(level.iter().copied()),
            nothing_more,
        )
        .await?;
    found.iter().map(|row| Columns(row).id("id")).collect()
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
    let mut ended = Vec::new();
    let mut cancelling = Vec::new();
    for row in &rows {
        let row = Columns(row);
        let task = row.id("task_id")?;
        match row.get::<Option<&str>>("state")? {
            Some("cancelling") => cancelling.push(task),
            _ => ended.push(task),
        }
    }
    cancel_below(tx, ended, Cause::Ended).await?;
    cancel_below(tx, cancelling, Cause::Cancelling).await?;
    Ok(true)
}

/// Ends what can be ended of executions that are being cancelled, and closes those in which nothing runs any more.
pub(super) async fn cancel_executions(tx: &mut Tx, book: &mut WaitBook, executions: Vec<Id>) -> Result<()> {
    let batch = Batch::of_ids(executions.iter().copied());
    let found =
        tx.fetch_batch("find cancelled roots", include_str!("sql/executions_roots.sql"), batch, nothing_more).await?;
    let mut roots = Vec::new();
    let mut idle = Vec::new();
    for row in &found {
        let row = Columns(row);
        let root = row.id("id")?;
        roots.push(root);
        if row.get::<&str>("state")? != "running" {
            idle.push(End::now(root, None, Ending::Cancelled));
        }
    }
    cancel_below(tx, roots, Cause::Cancelling).await?;
    ends::finish(tx, book, idle).await?;
    close(tx, executions).await
}

/// Executions that are being cancelled are over when nobody holds a lease in them; then their compensation starts.
pub(super) async fn close(tx: &mut Tx, executions: Vec<Id>) -> Result<()> {
    let batch = Batch::of_ids(executions);
    let now = tx.now.micros();
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
