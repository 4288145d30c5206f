//! What time brings: delays, timers, time-outs, ended leases, expiries. Any worker sweeps for the whole store, in bounded
//! batches; what is decided is decided by the model.

use std::time::Duration;

use sqlx::{Row as _, SqliteConnection};

use super::batch::Batch;
use super::catalog::Catalog;
use super::ends;
use super::rows::Columns;
use super::tx::{Tx, id_of, nothing_more};
use super::waits::WaitBook;
use super::{clock, error, register, trees};
use crate::backend::decide::{self, Due, DueRow, End, Ending, FIRST_CALL};
use crate::backend::{NewWorker, Swept};
use crate::codec;
use crate::model::{Failure, Id, Result, RetryPolicy, Timestamp};

/// Rows of one kind taken in one sweep: others wait for its transaction.
const ROWS_MAX: i64 = 500;

/// What a look at the store says.
pub(super) struct Peek {
    pub due: bool,
    pub next_due: Option<Duration>,
}

/// Is anything due? Reads four index entries.
pub(super) async fn peek(conn: &mut SqliteConnection, boot: i64) -> Result<Peek> {
    let reading = clock::read();
    let row = sqlx::query(include_str!("sql/due_next.sql"))
        .bind(boot)
        .fetch_one(conn)
        .await
        .map_err(error::map("look for what is due"))?;
    let wall: [Option<i64>; 2] = [row.get("due_at"), row.get("expiry_at")];
    let lease: Option<i64> = row.get("lease_until");
    let waits = wall.into_iter().flatten().map(|at| at - reading.wall.micros());
    let waits = waits.chain(lease.map(|until| until - reading.boottime));
    let next = waits.min();
    let due = row.get::<bool, _>("other") || next.is_some_and(|wait| wait <= 0);
    let next_due = next.map(|wait| Duration::from_micros(u64::try_from(wait).unwrap_or(0)));
    Ok(Peek { due, next_due })
}

/// Takes what is due. The answer: how much was changed, and whether there is more.
pub(super) async fn sweep(tx: &mut Tx, worker_id: &str) -> Result<Swept> {
    let mut book = WaitBook::default();
    let mut swept = Swept::default();
    for count in [
        fire(tx, &mut book).await?,
        recover(tx, &mut book).await?,
        expire(tx, &mut book).await?,
        unpark(tx, worker_id).await?,
    ] {
        swept.changed += count as u64;
        swept.more |= count as i64 >= ROWS_MAX;
    }
    let more = trees::go_on(tx).await?;
    swept.more |= more;
    swept.changed += u64::from(more);
    book.save(tx).await?;
    Ok(swept)
}

/// Everything whose time is stored in `due_at`.
async fn fire(tx: &mut Tx, book: &mut WaitBook) -> Result<usize> {
    let rows = sqlx::query(include_str!("sql/tasks_due.sql"))
        .bind(tx.now.micros())
        .bind(ROWS_MAX)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(error::map("take what is due"))?;
    let mut ready = Batch::new();
    let mut ends = Vec::new();
    let mut retries = Vec::new();
    for row in &rows {
        let row = Columns(row);
        let due = DueRow {
            id: row.id("id")?,
            parent: row.optional_id("parent_task_id")?,
            kind: row.word("kind")?,
            state: row.word("state")?,
            name: row.get("step_name")?,
            retries: row.count("retries")?,
        };
        match decide::when_due(&due, || policy_of(&tx.catalog, &row), rand::random())? {
            Due::End(end) => ends.push(end),
            Due::Ready => {
                ready.row().id(due.id);
            }
            Due::Retry { delay, failure } => retries.push(Retry { id: due.id, delay, failure }),
            Due::Nothing => {}
        }
    }
    if !ready.is_empty() {
        tx.hint_work();
    }
    tx.run_batch("let due tasks be claimed", include_str!("sql/tasks_ready.sql"), ready, nothing_more).await?;
    retry(tx, &retries, Charge::Retry).await?;
    ends::finish(tx, book, ends).await?;
    Ok(rows.len())
}

/// Tasks whose worker let the lease end without a word.
async fn recover(tx: &mut Tx, book: &mut WaitBook) -> Result<usize> {
    let rows = sqlx::query(include_str!("sql/tasks_leases_ended.sql"))
        .bind(tx.boot)
        .bind(tx.boottime)
        .bind(ROWS_MAX)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(error::map("take over ended leases"))?;
    let mut ends = Vec::new();
    let mut retries = Vec::new();
    let mut cancelling = Vec::new();
    for row in &rows {
        let row = Columns(row);
        let id = row.id("id")?;
        let parent = row.optional_id("parent_task_id")?;
        if row.get::<Option<&str>>("execution_state")? == Some("cancelling") {
            ends.push(End::now(id, parent, Ending::Cancelled));
            cancelling.push(row.id("execution_id")?);
            continue;
        }
        let policy = policy_of(&tx.catalog, &row)?;
        let crashes: u32 = row.count::<u32>("crashes")? + 1;
        match decide::when_lease_ended(id, parent, row.get("worker_id")?, crashes, &policy) {
            Due::End(end) => ends.push(end),
            Due::Retry { delay, failure } => retries.push(Retry { id, delay, failure }),
            Due::Ready | Due::Nothing => {}
        }
    }
    let mut dead = Vec::new();
    for row in &rows {
        dead.extend(Columns(row).get::<Option<String>>("worker_id")?);
    }
    dead.sort_unstable();
    dead.dedup();
    for worker_id in dead {
        register::forget(tx, &worker_id).await?;
    }
    retry(tx, &retries, Charge::Crash).await?;
    ends::finish(tx, book, ends).await?;
    trees::close(tx, cancelling).await?;
    Ok(rows.len())
}

/// Executions that took too long end like cancelled ones; those that are being cancelled go on ending.
async fn expire(tx: &mut Tx, book: &mut WaitBook) -> Result<usize> {
    let map = error::map("expire executions");
    let expired = sqlx::query(include_str!("sql/executions_expire.sql"))
        .bind(tx.now.micros())
        .bind(ROWS_MAX)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(&map)?;
    let mut ids: Vec<Id> = expired.iter().map(|row| id_of(row.get(0))).collect::<Result<_>>()?;
    for id in &ids {
        tx.hint_cancelling(*id);
    }
    let idle = sqlx::query(include_str!("sql/executions_closable.sql"))
        .bind(ROWS_MAX)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(&map)?;
    for row in &idle {
        ids.push(id_of(row.get(0))?);
    }
    let count = ids.len();
    trees::cancel_executions(tx, book, ids).await?;
    Ok(count)
}

/// Parked tasks that another version of their function may free go to the worker that has one, which has first call.
async fn unpark(tx: &mut Tx, worker_id: &str) -> Result<usize> {
    let Some(lane) = tx.catalog.worker_lane(worker_id) else { return Ok(0) };
    let Some(NewWorker { functions, .. }) = tx.catalog.local(worker_id) else { return Ok(0) };
    let until = tx.now.after(FIRST_CALL);
    let mut batch = Batch::new();
    for function in functions {
        batch.row().text(function.name.as_str()).text(function.options.version.as_deref());
    }
    let freed = tx
        .run_batch("free parked tasks", include_str!("sql/tasks_unpark.sql"), batch, |query| {
            query.bind(lane).bind(ROWS_MAX).bind(until.micros())
        })
        .await?;
    if freed > 0 {
        tx.hint_work();
        tx.hint_due(until);
    }
    Ok(freed as usize)
}

struct Retry {
    id: Id,
    delay: Duration,
    failure: Failure,
}

#[derive(Clone, Copy)]
enum Charge {
    Retry,
    Crash,
}

/// Pending again, under a new fence: whoever still runs them has lost them.
async fn retry(tx: &mut Tx, retries: &[Retry], charge: Charge) -> Result<()> {
    let mut batch = Batch::new();
    for Retry { id, delay, failure } in retries {
        let at = (!delay.is_zero()).then(|| tx.now.after(*delay));
        match at {
            Some(at) => tx.hint_due(at),
            None => tx.hint_work(),
        }
        let error = codec::failure_to_column(failure);
        batch.row().id(*id).int(at.map(Timestamp::micros)).bytes(error.as_slice());
        tx.hint_lost(*id);
    }
    let (retried, crashed) = match charge {
        Charge::Retry => (1_i64, 0_i64),
        Charge::Crash => (0, 1),
    };
    tx.run_batch("try tasks again", include_str!("sql/tasks_retry.sql"), batch, |query| {
        query.bind(retried).bind(crashed)
    })
    .await?;
    Ok(())
}

fn policy_of(catalog: &Catalog, row: &Columns<'_>) -> Result<RetryPolicy> {
    if let Some(text) = row.get::<Option<&str>>("retry_policy")? {
        return codec::policy_from_column(text);
    }
    let function = catalog.function(row.get("step_name")?);
    Ok(function.and_then(|function| function.retry_policy.clone()).unwrap_or_default())
}
