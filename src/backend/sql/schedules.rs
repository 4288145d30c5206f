//! What is asked of schedules: to put, list, pause, resume and delete them, and to start ticks by hand.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::catalog::micros;
use super::row::Row;
use super::session::Session;
use super::statements::{
    SCHEDULE_DELETE, SCHEDULE_GET, SCHEDULE_INSERT, SCHEDULE_PAUSE, SCHEDULE_UPDATE, SCHEDULES_COUNT, SCHEDULES_LIST,
    SCHEDULES_OF_OWNER, TICKS_DELETE, TICKS_FIND, TICKS_LIST,
};
use super::ticks::{self, Held};
use super::tx::Tx;
use crate::backend::decide::schedules::{Round, Standing, rule};
use crate::backend::{KeptSchedule, PutSchedules, ScheduleChange, ScheduleCounts, ScheduleFilter, Tick};
use crate::codec;
use crate::model::{BACKFILL_MAX, Error, Overlap, Result, Schedule, TickKind, Timestamp, Timetable};

/// Another's schedule of the same name may come and go so often while one is put.
const TRIES: usize = 5;

/// A caller's clock may be ahead of the store's by so much.
const SKEW: Duration = Duration::from_secs(300);

/// All or none. In the order of their names: others lock them too.
pub(super) async fn put(tx: &mut Tx<'_>, asked: &PutSchedules) -> Result<()> {
    asked.check()?;
    let mut schedules: Vec<&Schedule> = asked.schedules.iter().collect();
    schedules.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    for schedule in &schedules {
        put_one(tx, schedule).await?;
    }
    let Some(owner) = &asked.only_of else { return Ok(()) };
    let kept: BTreeSet<&str> = schedules.iter().map(|schedule| schedule.name.as_str()).collect();
    for row in tx.fetch(SCHEDULES_OF_OWNER.call().text(owner.as_str())).await? {
        let name = row.text("name")?;
        if !kept.contains(name) {
            delete(tx, name).await?;
        }
    }
    Ok(())
}

async fn put_one(tx: &mut Tx<'_>, schedule: &Schedule) -> Result<()> {
    let timetable = schedule.check()?;
    for _ in 0..TRIES {
        match tx.find(SCHEDULE_GET.call().text(schedule.name.as_str())).await? {
            Some(row) => return update(tx, schedule, &timetable, &row).await,
            None if insert(tx, schedule, &timetable).await? => return Ok(()),
            // Somebody else has put it since.
            None => {}
        }
    }
    Err(Error::backend(format!("put schedule '{}': others put and delete it all the time", schedule.name))
        .retryable(true))
}

async fn insert(tx: &mut Tx<'_>, schedule: &Schedule, timetable: &Timetable) -> Result<bool> {
    let next = timetable.after(tx.now);
    let due = next.map(|next| schedule.due_at(next));
    let mut call = SCHEDULE_INSERT.call();
    add_columns(&mut call, schedule, next, due, tx.now);
    hint(tx, due);
    Ok(tx.change(&call).await? > 0)
}

/// An equal one changes nothing. The next tick stays as it is as long as the times are the same.
async fn update(tx: &mut Tx<'_>, schedule: &Schedule, timetable: &Timetable, row: &Row) -> Result<()> {
    let before = codec::schedule_from_column(row.bytes("document")?).ok();
    let healthy = row.optional_text("trouble")?.is_none();
    if healthy && before.as_ref() == Some(schedule) {
        return Ok(());
    }
    let same_times = healthy
        && before.is_some_and(|before| {
            (&before.when, &before.time_zone, before.start, before.end)
                == (&schedule.when, &schedule.time_zone, schedule.start, schedule.end)
        });
    let next = match (row.optional_time("paused_at")?, row.optional_time("next_at")?) {
        (Some(_), _) => None,
        (None, Some(next)) if same_times => Some(next),
        (None, _) => timetable.after(tx.now),
    };
    let due = next.map(|next| schedule.due_at(next));
    let mut call = SCHEDULE_UPDATE.call();
    add_columns(&mut call, schedule, next, due, tx.now);
    hint(tx, due);
    tx.change(&call).await.map(drop)
}

fn add_columns<'a>(
    call: &mut super::call::Call<'a>,
    schedule: &'a Schedule,
    next: Option<Timestamp>,
    due: Option<Timestamp>,
    now: Timestamp,
) {
    call.text(schedule.name.as_str())
        .text(schedule.owner.as_deref())
        .text(schedule.function.as_str())
        .made_bytes(codec::schedule_to_column(schedule))
        .time(next)
        .time(due)
        .time(now);
}

fn hint(tx: &mut Tx<'_>, due: Option<Timestamp>) {
    if let Some(at) = due {
        tx.hint_due(at);
    }
}

async fn delete(tx: &mut Tx<'_>, name: &str) -> Result<()> {
    if tx.change(SCHEDULE_DELETE.call().text(name)).await? == 0 {
        return Err(unknown(name));
    }
    tx.change(TICKS_DELETE.call().text(name)).await.map(drop)
}

fn unknown(name: &str) -> Error {
    Error::not_found(format!("there is no schedule '{name}'"))
}

/// What became of the ticks that it has made.
pub(super) async fn change(tx: &mut Tx<'_>, name: &str, change: &ScheduleChange) -> Result<Vec<Tick>> {
    if *change == ScheduleChange::Delete {
        return delete(tx, name).await.map(|()| Vec::new());
    }
    let row = tx.find(SCHEDULE_GET.call().text(name)).await?.ok_or_else(|| unknown(name))?;
    if let ScheduleChange::Pause { note } = change {
        // A second pause keeps the time of the first.
        let since = row.optional_time("paused_at")?.unwrap_or(tx.now);
        return pause(tx, name, Some(since), note.as_deref(), None, None).await;
    }
    let held = Held::read(&row)?;
    match change {
        ScheduleChange::Delete | ScheduleChange::Pause { .. } => Ok(Vec::new()),
        ScheduleChange::Resume if !held.paused => Ok(Vec::new()),
        ScheduleChange::Resume => {
            let next = held.timetable.after(tx.now);
            let due = next.map(|next| held.schedule.due_at(next));
            hint(tx, due);
            pause(tx, name, None, None, next, due).await
        }
        ScheduleChange::Trigger { overlap } => {
            let at = tx.next_time();
            let overlap = overlap.unwrap_or(held.schedule.overlap);
            make(tx, held, TickKind::Triggered, overlap, vec![at]).await
        }
        ScheduleChange::Backfill { from, to, overlap } => backfill(tx, held, *from, *to, *overlap).await,
    }
}

async fn pause(
    tx: &mut Tx<'_>,
    name: &str,
    since: Option<Timestamp>,
    note: Option<&str>,
    next: Option<Timestamp>,
    due: Option<Timestamp>,
) -> Result<Vec<Tick>> {
    let mut call = SCHEDULE_PAUSE.call();
    call.text(name).time(since).text(note).time(next).time(due);
    tx.change(&call).await.map(|_| Vec::new())
}

async fn backfill(tx: &mut Tx<'_>, held: Held, from: Timestamp, to: Timestamp, overlap: Overlap) -> Result<Vec<Tick>> {
    if from > to || to > tx.now.after(SKEW) {
        let told = format!("backfill: from {from} to {to} is no range of the past; now it is {}", tx.now);
        return Err(Error::invalid(told).with("key", "to"));
    }
    let to = to.min(tx.now);
    let before = Timestamp::from_micros(from.micros().saturating_sub(1));
    let mut ticks: Vec<Timestamp> =
        held.timetable.ticks(before).take_while(|tick| *tick <= to).take(BACKFILL_MAX + 1).collect();
    if ticks.len() > BACKFILL_MAX {
        return Err(Error::invalid(format!(
            "backfill: there are more than {BACKFILL_MAX} ticks from {from} to {to}; take a part of it at a time"
        ))
        .with("key", "to"));
    }
    let mut call = TICKS_FIND.call();
    call.text(held.name.as_str()).time(from).time(to);
    let mut taken = HashSet::new();
    for row in tx.fetch(&call).await? {
        if matches!(row.text("state")?, "started" | "waiting") {
            taken.insert(row.time("tick_at")?);
        }
    }
    // What comes next anyway is left to come.
    ticks.retain(|tick| !taken.contains(tick) && held.next_at.is_none_or(|next| *tick < next));
    make(tx, held, TickKind::Backfilled, overlap, ticks).await
}

/// Starts ticks by hand, as far as the rule lets them. The next one by the timetable stays as it is.
async fn make(
    tx: &mut Tx<'_>,
    held: Held,
    kind: TickKind,
    overlap: Overlap,
    ticks: Vec<Timestamp>,
) -> Result<Vec<Tick>> {
    let standing: Standing = ticks::standing(tx, &held).await?;
    let round = Round { next: held.next_at, ..rule(overlap, standing, &ticks) };
    ticks::carry_out(tx, vec![(held, kind, round)]).await.map(|(ticks, _)| ticks)
}

/// By name.
pub(super) async fn list(session: &mut dyn Session, filter: &ScheduleFilter) -> Result<Vec<KeptSchedule>> {
    filter.check()?;
    let mut call = SCHEDULES_LIST.call();
    call.text(filter.name.as_deref())
        .text(filter.owner.as_deref())
        .text(filter.function.as_deref())
        .text(filter.after.as_deref())
        .int(i64::from(filter.limit));
    let mut kept = Vec::new();
    for row in session.fetch(&call).await? {
        kept.push(read(session, &row, filter).await?);
    }
    Ok(kept)
}

async fn read(session: &mut dyn Session, row: &Row, filter: &ScheduleFilter) -> Result<KeptSchedule> {
    let mut trouble = row.optional_string("trouble")?;
    let schedule = match codec::schedule_from_column(row.bytes("document")?) {
        Ok(schedule) => schedule,
        Err(why) => {
            trouble.get_or_insert(why.message().to_owned());
            KeptSchedule::stand_in(row.text("name")?)
        }
    };
    let (next_at, due_at) = (row.optional_time("next_at")?, row.optional_time("due_at")?);
    let mut next = Vec::new();
    if let (Some(first), Some(_), Ok(timetable)) = (next_at, due_at, schedule.check()) {
        next.extend(std::iter::once(first).chain(timetable.ticks(first)).take(filter.next as usize));
    }
    let mut last = Vec::new();
    if filter.last > 0 {
        let mut call = TICKS_LIST.call();
        call.text(schedule.name.as_str()).int(i64::from(filter.last));
        last = session.fetch(&call).await?.iter().map(tick).collect::<Result<_>>()?;
    }
    Ok(KeptSchedule {
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        paused_at: row.optional_time("paused_at")?,
        pause_note: row.optional_string("pause_note")?,
        next_at,
        due_at,
        last_execution_id: row.optional_id("last_execution")?,
        running: row.flag("running")?,
        waiting: row.count("waiting")?,
        trouble,
        next,
        last,
        schedule,
    })
}

fn tick(row: &Row) -> Result<Tick> {
    Ok(Tick {
        at: row.time("tick_at")?,
        kind: row.word("kind")?,
        state: row.word("state")?,
        execution_id: row.optional_id("execution_id")?,
        decided_at: row.time("decided_at")?,
    })
}

pub(super) async fn counts(session: &mut dyn Session) -> Result<ScheduleCounts> {
    let row = session.one(SCHEDULES_COUNT.call().clock()).await?;
    Ok(ScheduleCounts {
        active: row.count("active")?,
        paused: row.count("paused")?,
        waiting: row.count("waiting")?,
        broken: row.count("broken")?,
        late: micros(row.optional_int("late")?).unwrap_or(Duration::ZERO),
    })
}
