//! What time brings: delays, timers, time-outs, ended leases, expiries. Any worker sweeps for the whole store, one at a
//! time, in bounded batches; what is decided is decided by the model.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::batch::Batch;
use super::catalog::{Catalog, Lane};
use super::conn::Conn;
use super::ends;
use super::rows::Columns;
use super::tx::{Lock, Tx, nothing_more};
use super::waits::WaitBook;
use super::{error, register, trees};
use crate::backend::Swept;
use crate::backend::decide::{self, Due, DueRow, End, Ending, FIRST_CALL};
use crate::codec;
use crate::model::{Failure, Id, Result, RetryPolicy};

/// Rows of one kind taken in one sweep: others wait for its transaction.
const ROWS_MAX: i64 = 500;

/// What a look at the store says.
pub(super) struct Peek {
    pub due: bool,
    pub next_due: Option<Duration>,
    /// There may be something to claim.
    pub ready: bool,
}

/// Is anything due? Is there something to claim in these lanes, if they are those of the catalog's version? Reads three
/// index entries, and one for each lane.
pub(super) async fn peek(conn: &mut Conn, known: Option<&(i64, Vec<Lane>)>) -> Result<Peek> {
    let (version, lanes) = known.map_or((None, [].as_slice()), |(version, lanes)| (Some(*version), lanes.as_slice()));
    let row = sqlx::query(include_str!("sql/due_next.sql"))
        .bind(lanes)
        .fetch_one(conn)
        .await
        .map_err(error::map("look for what is due"))?;
    let row = Columns(&row);
    let now = row.time("now")?;
    let times = [row.optional_time("due_at")?, row.optional_time("expiry_at")?, row.optional_time("lease_expires_at")?];
    let next = times.into_iter().flatten().min();
    let due = row.get("other")? || next.is_some_and(|at| at <= now);
    let ready = row.get("ready")? || version != Some(row.get("version")?);
    Ok(Peek { due, next_due: next.map(|at| at.since(now)), ready })
}

/// Takes what is due. The answer: how much was changed, and whether there is more. While somebody else sweeps: nothing.
pub(super) async fn sweep(tx: &mut Tx, worker_id: &str) -> Result<Swept> {
    let mut book = WaitBook::default();
    let mut swept = Swept::default();
    if !tx.try_lock(Lock::Sweep).await? {
        return Ok(swept);
    }
    let fired = fire(tx, &mut book).await?;
    let (recovered, dead) = recover(tx, &mut book).await?;
    let expired = expire(tx, &mut book).await?;
    // One that has just been taken for dead has no first call on anything.
    let freed = if dead.iter().any(|dead| dead == worker_id) { 0 } else { unpark(tx, worker_id).await? };
    for count in [fired, recovered, expired, freed] {
        swept.changed += count as u64;
        swept.more |= count as i64 >= ROWS_MAX;
    }
    let more = trees::go_on(tx).await?;
    swept.more |= more;
    swept.changed += u64::from(more);
    book.save(tx).await?;
    Ok(swept)
}

/// Locks what was found, in the order of locks, and leaves out what others are at or have changed since.
async fn take<'r>(tx: &mut Tx, book: &mut WaitBook, found: &'r [PgRow]) -> Result<Vec<Columns<'r>>> {
    let mut roots = Vec::new();
    let mut parents = Vec::new();
    let mut ids = Vec::new();
    for row in found {
        let row = Columns(row);
        ids.push(row.id("id")?);
        match row.optional_id("parent_task_id")? {
            Some(parent) => parents.push(parent),
            None => roots.push(row.id("execution_id")?),
        }
    }
    tx.lock_executions(roots).await?;
    book.load(tx, parents).await?;
    book.lock(tx, ids.iter().copied()).await?;
    let now = tx.now;
    let sql = include_str!("sql/tasks_take_due.sql");
    let taken = tx.fetch_batch("take what is due", sql, Batch::of_ids(ids), |query| query.bind(now)).await?;
    let taken: HashSet<Id> = taken.iter().map(|row| Columns(row).id("id")).collect::<Result<_>>()?;
    let mut rows = Vec::new();
    for row in found {
        if taken.contains(&Columns(row).id("id")?) {
            rows.push(Columns(row));
        }
    }
    Ok(rows)
}

/// Everything whose time is stored in `due_at`.
async fn fire(tx: &mut Tx, book: &mut WaitBook) -> Result<usize> {
    let rows = sqlx::query(include_str!("sql/tasks_due.sql"))
        .bind(tx.now)
        .bind(ROWS_MAX)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(error::map("find what is due"))?;
    let found = rows.len();
    let rows = take(tx, book, &rows).await?;
    let mut ready = Batch::new();
    let mut ends = Vec::new();
    let mut retries = Vec::new();
    for row in &rows {
        let due = DueRow {
            id: row.id("id")?,
            parent: row.optional_id("parent_task_id")?,
            kind: row.word("kind")?,
            state: row.word("state")?,
            name: row.get("step_name")?,
            retries: row.count("retries")?,
        };
        match decide::when_due(&due, || policy_of(&tx.catalog, row), rand::random())? {
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
    Ok(found)
}

/// Tasks whose worker let the lease end without a word. The answer: how many, and those workers.
async fn recover(tx: &mut Tx, book: &mut WaitBook) -> Result<(usize, Vec<String>)> {
    let rows = sqlx::query(include_str!("sql/tasks_leases_ended.sql"))
        .bind(tx.now)
        .bind(ROWS_MAX)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(error::map("find ended leases"))?;
    let found = rows.len();
    let rows = take(tx, book, &rows).await?;
    let mut ends = Vec::new();
    let mut retries = Vec::new();
    let mut cancelling = Vec::new();
    for row in &rows {
        let id = row.id("id")?;
        let parent = row.optional_id("parent_task_id")?;
        if row.get::<Option<&str>>("execution_state")? == Some("cancelling") {
            ends.push(End::now(id, parent, Ending::Cancelled));
            cancelling.push(row.id("execution_id")?);
            continue;
        }
        let policy = policy_of(&tx.catalog, row)?;
        let crashes: u32 = row.count::<u32>("crashes")? + 1;
        match decide::when_lease_ended(id, parent, row.get("worker_id")?, crashes, &policy) {
            Due::End(end) => ends.push(end),
            Due::Retry { delay, failure } => retries.push(Retry { id, delay, failure }),
            Due::Ready | Due::Nothing => {}
        }
    }
    let mut dead = Vec::new();
    for row in &rows {
        dead.extend(row.get::<Option<String>>("worker_id")?);
    }
    dead.sort_unstable();
    dead.dedup();
    for worker_id in &dead {
        register::forget(tx, worker_id).await?;
    }
    retry(tx, &retries, Charge::Crash).await?;
    ends::finish(tx, book, ends).await?;
    trees::close(tx, cancelling).await?;
    Ok((found, dead))
}

/// Executions that took too long end like cancelled ones; those that are being cancelled go on ending.
async fn expire(tx: &mut Tx, book: &mut WaitBook) -> Result<usize> {
    let map = error::map("expire executions");
    let expired = sqlx::query(include_str!("sql/executions_expire.sql"))
        .bind(tx.now)
        .bind(ROWS_MAX)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(&map)?;
    let mut ids: Vec<Id> = expired.iter().map(|row| row.get(0)).collect();
    for id in &ids {
        tx.hint_cancelling(*id);
    }
    let idle = sqlx::query(include_str!("sql/executions_closable.sql"))
        .bind(ROWS_MAX)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(&map)?;
    for row in &idle {
        ids.push(row.get(0));
    }
    let count = ids.len();
    trees::cancel_executions(tx, book, ids).await?;
    Ok(count)
}

/// Parked tasks that another version of their function may free go to the worker that has one, which has first call.
async fn unpark(tx: &mut Tx, worker_id: &str) -> Result<usize> {
    let Some(lane) = tx.catalog.worker_lane(worker_id) else { return Ok(0) };
    let Some(worker) = tx.pool.catalog.local(worker_id) else { return Ok(0) };
    let until = tx.now.after(FIRST_CALL);
    let mut batch = Batch::new();
    for function in &worker.functions {
        batch.row().text(function.name.as_str()).text(function.options.version.as_deref());
    }
    let freed = tx
        .run_batch("free parked tasks", include_str!("sql/tasks_unpark.sql"), batch, |query| {
            query.bind(lane).bind(ROWS_MAX).bind(until)
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
        batch.row().id(*id).time(at).bytes(error.as_slice());
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
