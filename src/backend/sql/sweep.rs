//! Handles what is due: schedules, delays, timers, time-outs, ended leases, expiries. Any worker sweeps for the whole store, one
//! at a time and in bounded batches. What happens to a task is decided in `backend/decide`.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::catalog::{Catalog, Lane, micros};
use super::lock::Lock;
use super::places::Quiet;
use super::row::Row;
use super::session::Session;
use super::statements::{
    DUE_NEXT, EXECUTIONS_CLEANUP_OVER, EXECUTIONS_CLOSABLE, EXECUTIONS_EXPIRE, TASKS_DIED, TASKS_DUE,
    TASKS_LEASES_ENDED, TASKS_READY, TASKS_RETRY, TASKS_TAKE_DUE, TASKS_UNPARK,
};
use super::tides::{self, Since};
use super::tx::{FAR, Tx};
use super::waits::WaitBook;
use super::{attempts, below, cancel, ends, rates, register, requests, rows, ticks};
use crate::backend::Swept;
use crate::backend::decide::{self, Charge, Death, Due, DueRow, End, Ending, FIRST_CALL, Left};
use crate::codec;
use crate::model::{ExecutionState, Failure, Id, Result, RetryPolicy};

/// Rows of one kind handled in one sweep: others wait for its locks.
const ROWS_MAX: i64 = 500;

/// What [`peek`] found.
pub(super) struct Peek {
    pub due: bool,
    pub next_due: Option<Duration>,
    /// There may be something to claim.
    pub ready: bool,
    pub since: Since,
}

/// What is asked for, and what is known before.
pub(super) struct Asked {
    /// The worker's lanes, and the version of the catalog that they are of.
    pub known: Option<(i64, Vec<Lane>)>,
    /// There was nothing in any of them.
    pub quiet: Option<Quiet>,
    /// From when on something may be due.
    pub since: Since,
}

/// Is anything due, and is there something to claim in these lanes? The lanes count only if they are of the catalog's
/// current version. Reads a few index entries, and one for each lane.
pub(super) async fn peek(session: &mut dyn Session, asked: &Asked) -> Result<Peek> {
    let Asked { known, quiet, since } = asked;
    let (version, lanes) =
        known.as_ref().map_or((None, [].as_slice()), |(version, lanes)| (Some(*version), lanes.as_slice()));
    let mut call = DUE_NEXT.call();
    match quiet {
        _ if session.is_alone() => call.ints(lanes).clock().ints(&[]).ints(&[]),
        Some(Quiet { seen, running }) => call.ints(lanes).clock().ints(seen).ints(running),
        None => call.ints(&[]).clock().ints(&[]).ints(&[]),
    };
    let row = session.one(call.time(since.due).time(since.lease).time(since.expiry)).await?;
    let busy = quiet.is_none() && !session.is_alone();
    let wait = row.optional_int("wait")?;
    Ok(Peek {
        due: row.flag("other")? || wait.is_some_and(|wait| wait <= 0),
        next_due: micros(wait).map(|wait| wait.min(FAR)),
        since: tides::read(&row)?,
        ready: busy || row.flag("ready")? || version != Some(row.int("version")?),
    })
}

/// The parts of a sweep, in their order. Where others write too, each that finds something has a transaction of its own:
/// a part begins with locks that come before those of the part before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// First: people look at the clock.
    Schedules,
    /// Somebody waits for the moment too.
    Rates,
    /// What was asked for in plain SQL: somebody waits for that too.
    Requests,
    Fire,
    Recover,
    Expire,
    /// After `Recover`: a worker that was just found dead must not be given tasks.
    Unpark,
    Below,
}

const PARTS: [Part; 8] =
    [Part::Schedules, Part::Rates, Part::Requests, Part::Fire, Part::Recover, Part::Expire, Part::Unpark, Part::Below];

/// What one transaction of a sweep has done.
#[derive(Clone)]
pub(super) struct Done {
    pub swept: Swept,
    /// With which part the next transaction goes on.
    pub next: Option<usize>,
}

/// Handles what is due, from one part on. Tells how much was changed, and whether there is more. Does nothing while
/// another worker sweeps.
pub(super) async fn sweep(tx: &mut Tx<'_>, worker_id: &str, from: usize) -> Result<Done> {
    let mut book = WaitBook::default();
    let mut swept = Swept::default();
    let mut next = None;
    if !tx.try_lock(Lock::Sweep).await? {
        return Ok(Done { swept, next });
    }
    let mut gone = Vec::new();
    for (place, part) in PARTS.iter().enumerate().skip(from) {
        let count = match part {
            Part::Schedules => {
                let fired = ticks::fire(tx).await?;
                swept.more |= fired.more;
                swept.ticks = fired.ticks;
                fired.count
            }
            Part::Rates => rates::due(tx, ROWS_MAX).await?,
            Part::Requests => requests::carry_out(tx, &mut book).await?,
            Part::Fire => fire(tx, &mut book).await?,
            Part::Recover => recover(tx, &mut book, &mut gone).await?,
            Part::Expire => expire(tx, &mut book).await?,
            Part::Unpark => unpark(tx, worker_id, &gone).await?,
            Part::Below => below::go_on(tx).await?,
        };
        swept.changed += count as u64;
        swept.more |= count as i64 >= ROWS_MAX || (matches!(part, Part::Below | Part::Requests) && count > 0);
        if count > 0 && !tx.is_alone() {
            next = Some(place + 1).filter(|next| *next < PARTS.len());
            break;
        }
    }
    book.save(tx).await?;
    register::forget(tx, &gone).await?;
    Ok(Done { swept, next })
}

/// Locks the tasks that were found, in the order of locks, and drops those that others have locked or changed since.
async fn take(tx: &mut Tx<'_>, book: &mut WaitBook, mut found: Vec<Row>) -> Result<Vec<Row>> {
    if tx.is_alone() {
        // Nobody else writes.
        return Ok(found);
    }
    let mut roots = Vec::new();
    let mut parents = Vec::new();
    for row in &found {
        match row.optional_id("parent_task_id")? {
            Some(parent) => parents.push(parent),
            None => roots.push(row.id("execution_id")?),
        }
    }
    let ids = rows::ids(&found)?;
    tx.lock_executions(roots).await?;
    tx.lock_waits(parents.iter().chain(&ids).copied()).await?;
    tx.past_waits();
    book.load(tx, parents).await?;
    let mut call = TASKS_TAKE_DUE.call().ids(ids);
    let taken: HashSet<Id> = rows::ids(&tx.fetch(call.time(tx.now)).await?)?.into_iter().collect();
    found.retain(|row| row.id("id").is_ok_and(|id| taken.contains(&id)));
    Ok(found)
}

/// What is to be done with the tasks that were found.
#[derive(Default)]
struct Plan {
    ready: Vec<Id>,
    retries: Vec<Retry>,
    charges: Vec<(Id, Charge)>,
    ends: Vec<End>,
}

struct Retry {
    id: Id,
    delay: Duration,
    failure: Failure,
}

impl Plan {
    fn add(&mut self, id: Id, due: Due) {
        match due {
            Due::End(end) => self.ends.push(end),
            Due::Ready => self.ready.push(id),
            Due::Retry { delay, failure } => self.retries.push(Retry { id, delay, failure }),
            Due::Nothing => {}
        }
    }

    async fn carry_out(self, tx: &mut Tx<'_>, book: &mut WaitBook) -> Result<()> {
        if !self.ready.is_empty() {
            tx.hint_work();
        }
        tx.change(TASKS_READY.call().ids(self.ready).time(tx.now)).await?;
        retry(tx, &self.retries).await?;
        take_back(tx, &self.charges).await?;
        ends::finish(tx, book, self.ends).await?;
        let cleaned = tx.take_cleaned();
        cancel::close(tx, book, cleaned).await
    }
}

/// Handles tasks by their `due_at`: delays, timers, time-outs.
async fn fire(tx: &mut Tx<'_>, book: &mut WaitBook) -> Result<usize> {
    let since = tx.shared.tides.since().due;
    let found = tx.fetch(TASKS_DUE.call().due(tx.now).int(ROWS_MAX).time(since)).await?;
    let count = found.len();
    let mut plan = Plan::default();
    for row in &take(tx, book, found).await? {
        let due = DueRow {
            id: row.id("id")?,
            parent: row.optional_id("parent_task_id")?,
            kind: row.word("kind")?,
            state: row.word("state")?,
            name: row.text("step_name")?,
            retries: row.count("retries")?,
            since_first: row.optional_time("first_started_at")?.map_or(Duration::ZERO, |first| tx.now.since(first)),
        };
        plan.add(due.id, decide::when_due(&due, || policy_of(&tx.catalog, row), rand::random())?);
    }
    plan.carry_out(tx, book).await?;
    Ok(count)
}

/// Handles tasks whose lease has ended, and tells which workers had them.
async fn recover(tx: &mut Tx<'_>, book: &mut WaitBook, gone: &mut Vec<String>) -> Result<usize> {
    let since = tx.shared.tides.since().lease;
    let found = tx.fetch(TASKS_LEASES_ENDED.call().lease(tx.now).int(ROWS_MAX).time(since)).await?;
    let count = found.len();
    let mut plan = Plan::default();
    let (mut cancelling, mut stopped) = (Vec::new(), Vec::new());
    let mut dead = BTreeSet::new();
    for row in &take(tx, book, found).await? {
        let id = row.id("id")?;
        let parent = row.optional_id("parent_task_id")?;
        let worker = row.optional_text("worker_id")?;
        dead.extend(worker.map(str::to_owned));
        // In an execution that has ended or is being cancelled the task would never be claimed again. A task whose
        // execution does not exist is treated like any other.
        let state = row.optional_text("execution_state")?.map(str::parse::<ExecutionState>).transpose()?;
        if state.is_some_and(|state| state == ExecutionState::Cancelling || state.is_terminal()) {
            stopped.push(End::now(id, parent, Ending::Cancelled));
            cancelling.push(row.id("execution_id")?);
            continue;
        }
        let policy = policy_of(&tx.catalog, row)?;
        let (begun, company) = (row.optional_count("begun")?, row.optional_count("company")?);
        let left = Left { id, parent, worker, begun, company, crashes: row.count("crashes")? };
        match decide::when_lease_ended(&left, &policy) {
            Death::End(end) => plan.ends.push(end),
            Death::Again(charge) => plan.charges.push((id, charge)),
        }
    }
    gone.extend(dead);
    plan.carry_out(tx, book).await?;
    cancel::stop(tx, book, stopped).await?;
    cancel::close(tx, book, cancelling).await?;
    Ok(count)
}

/// Begins to cancel executions that have timed out, or whose cleanup has taken its time, and continues with those that
/// are being cancelled.
async fn expire(tx: &mut Tx<'_>, book: &mut WaitBook) -> Result<usize> {
    let since = tx.shared.tides.since().expiry;
    let mut ids = rows::ids(&tx.fetch(EXECUTIONS_EXPIRE.call().due(tx.now).int(ROWS_MAX).time(since)).await?)?;
    ids.extend(rows::ids(&tx.fetch(EXECUTIONS_CLEANUP_OVER.call().due(tx.now).int(ROWS_MAX)).await?)?);
    ids.iter().for_each(|id| tx.hint_cancelling(*id));
    ids.extend(rows::ids(&tx.fetch(EXECUTIONS_CLOSABLE.call().int(ROWS_MAX)).await?)?);
    let count = ids.len();
    cancel::cancel_executions(tx, book, ids).await?;
    Ok(count)
}

/// Gives parked tasks to this worker if it has another version of their function; for a short time only it may claim
/// them.
async fn unpark(tx: &mut Tx<'_>, worker_id: &str, gone: &[String]) -> Result<usize> {
    if gone.iter().any(|gone| gone == worker_id) {
        return Ok(0);
    }
    let Some(lane) = tx.catalog.worker_lane(worker_id) else { return Ok(0) };
    let Some(worker) = tx.shared.local(worker_id) else { return Ok(0) };
    let until = tx.now.after(FIRST_CALL);
    let mut call = TASKS_UNPARK.call();
    for function in &worker.functions {
        call.row().text(function.name.as_str()).text(function.options.version.as_deref());
    }
    let freed = tx.change(call.int(lane).int(ROWS_MAX).due(until).ints(tx.catalog.paused())).await?;
    if freed > 0 {
        tx.hint_work();
        tx.hint_due(until);
    }
    Ok(freed as usize)
}

/// Pending again, under a new fence: whoever still runs them has lost them.
async fn retry(tx: &mut Tx<'_>, retries: &[Retry]) -> Result<()> {
    let mut call = TASKS_RETRY.call();
    for Retry { id, delay, failure } in retries {
        let at = (!delay.is_zero()).then(|| tx.now.after(*delay));
        match at {
            Some(at) => tx.hint_due(at),
            None => tx.hint_work(),
        }
        let attempt = attempts::rest_of_line(failure, tx.now);
        call.row().id(*id).due(at).made_bytes(codec::failure_to_column(failure)).made(attempt);
        tx.hint_lost(*id);
        tx.some_give_way();
    }
    tx.change(&call).await.map(drop)
}

/// As [`retry`], after their worker's death.
async fn take_back(tx: &mut Tx<'_>, charges: &[(Id, Charge)]) -> Result<()> {
    let mut call = TASKS_DIED.call();
    for (id, Charge { crashes, deaths, company, failure }) in charges {
        call.row()
            .id(*id)
            .made_bytes(failure.as_ref().map(codec::failure_to_column))
            .int(i64::from(*crashes))
            .int(i64::from(*deaths))
            .int(i64::from(*company))
            .made(failure.as_ref().map(|failure| attempts::rest_of_line(failure, tx.now)));
        tx.hint_work();
        tx.hint_lost(*id);
    }
    tx.change(&call).await.map(drop)
}

fn policy_of(catalog: &Catalog, row: &Row) -> Result<RetryPolicy> {
    if let Some(text) = row.optional_text("retry_policy")? {
        return codec::policy_from_column(text);
    }
    let function = catalog.function(row.text("step_name")?);
    Ok(function.and_then(|function| function.retry_policy.clone()).unwrap_or_default())
}
