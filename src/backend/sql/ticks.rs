//! Starts what schedules say. What becomes of a tick is decided in `backend/decide/schedules.rs`. Its row, its execution and
//! the schedule's next tick are one transaction, so it starts once whatever crashes, whoever is there.
//!
//! A schedule's row is locked before executions are, and nobody who has an execution waits for a schedule. So the end of an
//! execution writes nothing here: it hints a sweep, which finds that what waits may start.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::row::Row;
use super::statements::{
    EXECUTIONS_GOING, EXECUTIONS_KNOWN, SCHEDULES_DUE, SCHEDULES_SAVE, TICKS_PRUNE, TICKS_PUT, TICKS_SKIP,
    TICKS_WAITING,
};
use super::tx::Tx;
use super::{cancel, dispatch, rows};
use crate::backend::decide::schedules::{self, Round, Standing};
use crate::backend::{NewExecution, Tick, TickCounts};
use crate::codec::{self, CanonicalJson};
use crate::model::{
    Canonical as _, Id, Payload, Result, Schedule, Status, TickKind, TickState, Timestamp, Timetable, tick_id,
};

/// Schedules in one transaction.
const SCHEDULES_MAX: i64 = 100;

/// From one look at a schedule that can't be read to the next.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Ticks of each schedule that are kept, beside those that wait.
const TICKS_KEPT: i64 = 100;

/// A schedule whose row this transaction has locked.
pub(super) struct Held {
    pub name: String,
    pub schedule: Schedule,
    pub timetable: Timetable,
    pub paused: bool,
    pub next_at: Option<Timestamp>,
    pub last_execution: Option<Id>,
    pub waiting: u32,
}

impl Held {
    pub fn read(row: &Row) -> Result<Self> {
        let schedule = codec::schedule_from_column(row.bytes("document")?)?;
        let timetable = schedule.check()?;
        Ok(Self {
            name: row.string("name")?,
            schedule,
            timetable,
            paused: row.optional_time("paused_at")?.is_some(),
            next_at: row.optional_time("next_at")?,
            last_execution: row.optional_id("last_execution")?,
            waiting: row.count("waiting")?,
        })
    }
}

/// Which of these executions go on.
async fn going(tx: &mut Tx<'_>, executions: impl Iterator<Item = Id>) -> Result<HashSet<Id>> {
    let call = EXECUTIONS_GOING.call().ids(executions);
    if call.is_empty() {
        return Ok(HashSet::new());
    }
    Ok(rows::ids(&tx.fetch(&call).await?)?.into_iter().collect())
}

pub(super) async fn standing(tx: &mut Tx<'_>, held: &Held) -> Result<Standing> {
    let going = !going(tx, held.last_execution.into_iter()).await?.is_empty();
    Ok(Standing { going, waiting: held.waiting })
}

/// What was due.
pub(super) struct Fired {
    /// So many schedules.
    pub count: usize,
    pub more: bool,
    pub ticks: TickCounts,
}

/// Starts what is due.
pub(super) async fn fire(tx: &mut Tx<'_>) -> Result<Fired> {
    let found = tx.fetch(SCHEDULES_DUE.call().time(tx.now).int(SCHEDULES_MAX)).await?;
    let count = found.len();
    let mut held = Vec::with_capacity(count);
    for row in &found {
        match Held::read(row) {
            Ok(one) => held.push(one),
            Err(why) => give_up(tx, row, why.message()).await?,
        }
    }
    let going = going(tx, held.iter().filter_map(|one| one.last_execution)).await?;
    let mut plans = Vec::with_capacity(held.len());
    for one in held {
        let going = one.last_execution.is_some_and(|id| going.contains(&id));
        let standing = Standing { going, waiting: one.waiting };
        let next = one.next_at.filter(|_| !one.paused);
        let round = schedules::due(&one.schedule, &one.timetable, standing, next, tx.now);
        plans.push((one, TickKind::Scheduled, round));
    }
    let more = count as i64 >= SCHEDULES_MAX || plans.iter().any(|(.., round)| round.more);
    let (made, skipped) = carry_out(tx, plans).await?;
    let mut ticks = TickCounts { skipped, ..TickCounts::default() };
    made.iter().for_each(|tick| ticks.add(tick.state, 1));
    Ok(Fired { count, more, ticks })
}

/// This library can't read it, and says so. A newer one can, and may look as well; what it makes of it takes the word back.
/// Until the next look it stops nobody else's ticks.
async fn give_up(tx: &mut Tx<'_>, row: &Row, why: &str) -> Result<()> {
    let again = row.optional_time("due_at")?.map(|_| tx.now.after(LOOK_AGAIN));
    if let Some(at) = again {
        tx.hint_due(at);
    }
    let mut call = SCHEDULES_SAVE.call();
    call.row()
        .text(row.text("name")?)
        .time(row.optional_time("next_at")?)
        .time(again)
        .id(row.optional_id("last_execution")?)
        .int(row.int("waiting")?)
        .text(why);
    tx.change(&call).await.map(drop)
}

/// A tick that is to start.
struct Start {
    /// Of which plan.
    plan: usize,
    at: Timestamp,
    kind: TickKind,
    id: Id,
}

/// Does what was decided, and tells what became of the ticks; and how many that waited are left out.
pub(super) async fn carry_out(tx: &mut Tx<'_>, plans: Vec<Plan>) -> Result<(Vec<Tick>, u64)> {
    for (held, _, round) in &plans {
        if round.cancel
            && let Some(running) = held.last_execution
        {
            cancel_running(tx, &held.name, running).await?;
        }
    }
    let skipped = leave_out(tx, &plans).await?;
    let waiting = waiting(tx, &plans).await?;
    let mut starts = Vec::new();
    for (plan, (held, kind, round)) in plans.iter().enumerate() {
        let mut start = |at, kind| starts.push(Start { plan, at, kind, id: tick_id(&held.name, at) });
        if round.start_waiting
            && let Some((at, kind)) = waiting.get(held.name.as_str())
        {
            start(*at, *kind);
        }
        let started = round.ticks.iter().filter(|(_, state)| *state == TickState::Started);
        started.for_each(|(at, _)| start(*at, *kind));
    }
    dispatch_all(tx, &plans, &starts).await?;
    let ticks = note(tx, &plans, &starts).await?;
    save(tx, &plans, &starts).await?;
    Ok((ticks, skipped))
}

type Plan = (Held, TickKind, Round);

/// How many that waited are left out.
async fn leave_out(tx: &mut Tx<'_>, plans: &[Plan]) -> Result<u64> {
    let mut call = TICKS_SKIP.call();
    for (held, ..) in plans.iter().filter(|(.., round)| round.drop_waiting) {
        call.row().text(held.name.as_str());
    }
    tx.change(call.time(tx.now)).await
}

/// The oldest tick that waits, of each schedule of which one may start.
async fn waiting(tx: &mut Tx<'_>, plans: &[Plan]) -> Result<HashMap<String, (Timestamp, TickKind)>> {
    let mut call = TICKS_WAITING.call();
    for (held, ..) in plans.iter().filter(|(.., round)| round.start_waiting) {
        call.row().text(held.name.as_str());
    }
    let found = tx.fetch(&call).await?;
    found.iter().map(|row| Ok((row.string("schedule")?, (row.time("tick_at")?, row.word("kind")?)))).collect()
}

/// It may be over by now.
async fn cancel_running(tx: &mut Tx<'_>, schedule: &str, running: Id) -> Result<()> {
    let why = format!("the next run of schedule '{schedule}' is due");
    match cancel::cancel(tx, running, Some(&why)).await {
        Err(why) if matches!(why.status(), Status::NotFound | Status::Conflict) => Ok(()),
        done => done,
    }
}

/// Those of an id that the store knows have started already: by a schedule of the same name, before it was deleted.
async fn dispatch_all(tx: &mut Tx<'_>, plans: &[Plan], starts: &[Start]) -> Result<()> {
    if starts.is_empty() {
        return Ok(());
    }
    let known = tx.fetch(&EXECUTIONS_KNOWN.call().ids(starts.iter().map(|start| start.id))).await?;
    let known: HashSet<Id> = rows::ids(&known)?.into_iter().collect();
    let new = starts.iter().filter(|start| !known.contains(&start.id));
    let new = new.map(|start| execution(tx, &plans[start.plan].0.schedule, start)).collect::<Result<Vec<_>>>()?;
    dispatch::insert(tx, &new).await?;
    tx.hint_work();
    Ok(())
}

fn execution(tx: &Tx<'_>, schedule: &Schedule, start: &Start) -> Result<NewExecution> {
    let mut options = schedule.options.clone();
    if let Some(name) = &schedule.time_argument {
        let kwargs = options.kwargs.unwrap_or_else(Payload::empty_object);
        options.kwargs = Some(codec::with_time(&kwargs, name, start.at)?);
    }
    // Else it would join the tick before, whose arguments are the same.
    if tx.catalog.function(&schedule.function).is_some_and(|function| function.idempotent) {
        options.idempotency_key = Some(start.id.to_string());
    }
    let kwargs = options.kwargs.clone().unwrap_or_else(Payload::empty_object);
    let args_hash = CanonicalJson.hash(&schedule.args, &kwargs);
    let (function, args) = (schedule.function.clone(), schedule.args.clone());
    Ok(NewExecution { id: start.id, function, args, options, args_hash, registered: None })
}

/// Writes the ticks down.
async fn note(tx: &mut Tx<'_>, plans: &[Plan], starts: &[Start]) -> Result<Vec<Tick>> {
    let now = tx.now;
    let tick = |at, kind, state, execution_id| Tick { at, kind, state, execution_id, decided_at: now };
    let mut told: Vec<(&str, Tick)> = Vec::new();
    for start in starts {
        let name = plans[start.plan].0.name.as_str();
        told.push((name, tick(start.at, start.kind, TickState::Started, Some(start.id))));
    }
    for (held, kind, round) in plans {
        let others = round.ticks.iter().filter(|(_, state)| *state != TickState::Started);
        told.extend(others.map(|(at, state)| (held.name.as_str(), tick(*at, *kind, *state, None))));
    }
    let mut call = TICKS_PUT.call();
    for (name, tick) in &told {
        call.row()
            .text(*name)
            .time(tick.at)
            .text(tick.kind.as_str())
            .text(tick.state.as_str())
            .id(tick.execution_id)
            .time(tick.decided_at);
    }
    tx.change(&call).await?;
    let names: HashSet<&str> = told.iter().map(|(name, _)| *name).collect();
    let mut call = TICKS_PRUNE.call();
    for name in names {
        call.row().text(name);
    }
    tx.change(call.int(TICKS_KEPT)).await?;
    let mut ticks: Vec<Tick> = told.into_iter().map(|(_, tick)| tick).collect();
    ticks.sort_by_key(|tick| tick.at);
    Ok(ticks)
}

async fn save(tx: &mut Tx<'_>, plans: &[Plan], starts: &[Start]) -> Result<()> {
    let last: HashMap<usize, Id> = starts.iter().map(|start| (start.plan, start.id)).collect();
    let mut call = SCHEDULES_SAVE.call();
    let mut due_next = None;
    for (plan, (held, _, round)) in plans.iter().enumerate() {
        let due_at = round.next.filter(|_| !held.paused).map(|next| held.schedule.due_at(next));
        due_next = due_next.into_iter().chain(due_at).min();
        call.row()
            .text(held.name.as_str())
            .time(round.next)
            .time(due_at)
            .id(last.get(&plan).copied().or(held.last_execution))
            .int(i64::from(round.waiting))
            .text(None);
    }
    if let Some(at) = due_next {
        tx.hint_due(at);
    }
    tx.change(&call).await.map(drop)
}
