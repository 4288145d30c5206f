//! Executions that go from store to store.
//!
//! **Export.** In one transaction an execution that goes on is read as a whole, deleted, and kept as the line that it is
//! exported as, in `moves`. That is its fence: none of its rows is left to be claimed, swept or signalled, and whoever holds
//! one of its tasks finds no such row when it commits. A death at any moment leaves all of it, or the line, which is told
//! again to whoever asks. **Import** inserts the rows, with a note of the move's number, in one transaction: by that it is
//! known when it comes again, and when it is an older one. **Settle.** When the import is done, the line is forgotten; when
//! there is none, it is taken back, which is an import into the same store.

use std::collections::{BTreeMap, HashSet};

use super::idempotency;
use super::lock::Lock;
use super::routes::route_of;
use super::row::Row;
use super::rows::{self, args_column, kwargs_column};
use super::session::Session;
use super::snapshot::{self, columns};
use super::statements::{
    COUNTER_ENSURE, DEAD_LETTER_PUT, DEAD_LETTERS_DELETE, EXECUTION_PACK, EXECUTION_PROGRESS_APPEND,
    EXECUTION_PROGRESS_LIST, EXECUTION_UNPACK, EXECUTIONS_DELETE, EXECUTIONS_DELETE_COUNTERS,
    EXECUTIONS_DELETE_PROGRESS, EXECUTIONS_DELETE_SIGNALS, EXECUTIONS_DELETE_STATE, EXECUTIONS_TASKS,
    IDEMPOTENCY_COME_BACK, IDEMPOTENCY_KEEP, IDEMPOTENCY_LEAVE, IDEMPOTENCY_RESERVE, MOVE_GET, MOVE_PUT, MOVES_FENCED,
    SIGNALS_PACK, SIGNALS_UNPACK, STATE_VALUE_ENSURE, TASKS_FORGET, TASKS_FORGET_WAITS, TASKS_PACK, TASKS_UNPACK,
    WAITS_UNPACK,
};
use super::tx::Tx;
use super::{dead_letters, ended, fairness, requests};
use crate::backend::decide::{self, Known, Leaving, Place};
use crate::backend::{
    DeadLetterFilter, Departed, Exported, Fenced, Imported, PARCEL_FORM, Parcel, ParcelKey, ParcelSignal, ParcelTask,
    ParcelWaits,
};
use crate::codec;
use crate::model::{BATCH_MAX, Error, ExecutionState, Id, OpSet, Result, Route, TaskState};

/// A longer line can't be kept in one value of either database, and hardly in memory.
const LINE_MAX: usize = 512 << 20;

/// The move of an execution that the store knows of, and the line, if it is fenced.
struct Noted {
    known: Known,
    line: Option<String>,
}

async fn noted(tx: &mut Tx<'_>, execution: Id) -> Result<Option<Noted>> {
    let Some(row) = tx.find(MOVE_GET.call().id(execution)).await? else { return Ok(None) };
    let known = Known { moves: row.count("number")?, place: row.word("place")? };
    let damaged = |_| Error::backend("the line of an exported execution is no text; the store is damaged");
    let line = row.optional_bytes("document")?.map(|bytes| String::from_utf8(bytes.to_vec())).transpose();
    Ok(Some(Noted { known, line: line.map_err(damaged)? }))
}

async fn note(tx: &mut Tx<'_>, parcel: &Parcel, place: Place, line: Option<&str>) -> Result<()> {
    let mut call = MOVE_PUT.call();
    call.id(parcel.execution.id)
        .int(i64::from(parcel.moves))
        .text(place.as_str())
        .text(parcel.execution.root_function.as_str())
        .time(tx.now)
        .bytes(line.map(str::as_bytes));
    tx.change(&call).await.map(drop)
}

pub(super) async fn fenced(session: &mut dyn Session, limit: u32) -> Result<Vec<Departed>> {
    let found = session.fetch(MOVES_FENCED.call().int(i64::from(limit))).await?;
    let departed = |row: &Row| {
        Ok(Departed {
            execution_id: row.id("execution_id")?,
            function: row.string("function")?,
            moves: row.count("number")?,
            exported_at: row.time("moved_at")?,
            bytes: row.count("bytes")?,
        })
    };
    found.iter().map(departed).collect()
}

pub(super) async fn export(tx: &mut Tx<'_>, execution: Id, anyway: bool) -> Result<Exported> {
    tx.lock(&[Lock::Signals(execution)]).await?;
    tx.lock_executions([execution]).await?;
    let noted = noted(tx, execution).await?;
    let known = noted.as_ref().map(|noted| noted.known);
    let Some(row) = tx.find(EXECUTION_PACK.call().id(execution)).await? else {
        return match noted {
            Some(Noted { line: Some(line), .. }) => Ok(Exported { line, ended: false }),
            _ => Err(decide::has_left(execution, known)),
        };
    };
    let mut parcel = head(&row)?;
    parcel.moves = known.map_or(0, |known| known.moves);
    match parcel.execution.state {
        ExecutionState::Cancelling => return Err(decide::is_cancelling(execution)),
        state if state.is_terminal() => {
            read(tx, &mut parcel).await?;
            return Ok(Exported { line: line(&parcel)?, ended: true });
        }
        _ => parcel.moves = parcel.moves.saturating_add(1),
    }
    let held = leave(tx, &mut parcel, anyway).await?;
    let line = line(&parcel)?;
    note(tx, &parcel, Place::Fenced, Some(&line)).await?;
    // Who runs one of its tasks, or waits for its end, looks at once.
    held.into_iter().for_each(|task| tx.hint_lost(task));
    tx.hint_ended(execution);
    Ok(Exported { line, ended: false })
}

/// One line, whatever white space is between the tokens of its payloads; strings in JSON have no ends of lines.
fn line(parcel: &Parcel) -> Result<String> {
    let line = codec::to_json(parcel).replace(['\n', '\r'], " ");
    if line.len() > LINE_MAX {
        return Err(Error::invalid(format!(
            "export: execution {} takes {} bytes, and one line has at most {LINE_MAX}",
            parcel.execution.id,
            line.len()
        )));
    }
    Ok(line)
}

/// Reads what goes on, and deletes it. Which of its tasks were held.
async fn leave(tx: &mut Tx<'_>, parcel: &mut Parcel, anyway: bool) -> Result<Vec<Id>> {
    let execution = parcel.execution.id;
    let mut call = EXECUTIONS_TASKS.call().ids([execution]);
    let before = rows::ids(&tx.fetch(call.int(i64::from(u32::MAX))).await?)?;
    tx.lock_waits(before.iter().copied()).await?;
    tx.lock_others(before.iter().copied()).await?;
    idempotency::lock(tx, before.iter().copied()).await?;
    let leaving = read(tx, parcel).await?;
    decide::may_leave(&leaving, anyway)?;
    // A task that has come in the meantime is not locked.
    let locked: HashSet<Id> = before.into_iter().collect();
    if parcel.tasks.iter().any(|of| !locked.contains(&of.task.id)) {
        return Err(tx.again_later());
    }
    let held = parcel.tasks.iter().filter(|of| !of.task.state.is_terminal()).map(|of| of.task.id).collect();
    forget(tx, parcel).await?;
    // Whoever asks in SQL keeps the execution here until its transaction is over: so what it has asked for is seen now.
    if requests::keeps(tx, execution).await? {
        return Err(decide::is_asked(execution));
    }
    Ok(held)
}

async fn forget(tx: &mut Tx<'_>, parcel: &Parcel) -> Result<()> {
    tx.some_give_way();
    let execution = parcel.execution.id;
    for chunk in parcel.dead_letters.chunks(BATCH_MAX) {
        tx.change(&DEAD_LETTERS_DELETE.call().ids(chunk.iter().map(|letter| letter.task.id))).await?;
    }
    for chunk in parcel.tasks.chunks(BATCH_MAX) {
        let ids = || chunk.iter().map(|of| of.task.id);
        // Who calls with a key of one that is over gets the result here, too; with one that goes on, it is refused.
        for statement in [&IDEMPOTENCY_KEEP, &IDEMPOTENCY_LEAVE, &TASKS_FORGET_WAITS] {
            tx.change(&statement.call().ids(ids())).await?;
        }
        if tx.change(&TASKS_FORGET.call().ids(ids())).await? != chunk.len() as u64 {
            return Err(tx.again_later());
        }
    }
    for statement in [&EXECUTIONS_DELETE_PROGRESS, &EXECUTIONS_DELETE_SIGNALS] {
        let mut call = statement.call().ids([execution]);
        tx.change(call.int(i64::from(u32::MAX))).await?;
    }
    for statement in [&EXECUTIONS_DELETE_COUNTERS, &EXECUTIONS_DELETE_STATE, &EXECUTIONS_DELETE] {
        tx.change(&statement.call().ids([execution])).await?;
    }
    Ok(())
}

fn head(row: &Row) -> Result<Parcel> {
    Ok(Parcel {
        stent_export: PARCEL_FORM,
        moves: 0,
        execution: rows::execution(row)?,
        root_task_id: row.optional_id("root_task_id")?,
        on_cancel: row.optional_string("on_cancel")?,
        traceparent: row.optional_string("traceparent")?,
        replay_of: row.optional_id("replay_of")?,
        cancel_reason: row.optional_string("cancel_reason")?,
        tasks: Vec::new(),
        signals: Vec::new(),
        counters: BTreeMap::new(),
        state: BTreeMap::new(),
        dead_letters: Vec::new(),
    })
}

/// Reads what belongs to the execution into its parcel; what of that keeps it here.
async fn read(tx: &mut Tx<'_>, parcel: &mut Parcel) -> Result<Leaving> {
    let execution = parcel.execution.id;
    let found = tx.fetch(TASKS_PACK.call().id(execution)).await?;
    let own: HashSet<Id> = rows::ids(&found)?.into_iter().collect();
    let mut leaving = Leaving { execution, held: None, unfinished: None, tied: None };
    for row in &found {
        let of = task(row)?;
        let id = of.task.id;
        if of.task.state == TaskState::Running {
            leaving.held = Some(id);
        }
        if row.flag("unfinished")? {
            leaving.unfinished = Some(id);
        }
        if row.flag("joined")? || of.joins.is_some_and(|owner| !own.contains(&owner)) {
            leaving.tied = Some(id);
        }
        parcel.tasks.push(decide::put_down(of, row.flag("claimable")?));
    }
    let signal =
        |row: &Row| Ok(ParcelSignal { signal: rows::signal(row)?, consumed_by: row.optional_id("consumed_by")? });
    parcel.signals = tx.fetch(SIGNALS_PACK.call().id(execution)).await?.iter().map(signal).collect::<Result<_>>()?;
    let said = tx.fetch(EXECUTION_PROGRESS_LIST.call().id(execution)).await?;
    parcel.execution.progress = said.iter().map(rows::progress).collect::<Result<_>>()?;
    parcel.counters = snapshot::counters(tx.session(), execution).await?;
    parcel.state = snapshot::values(tx.session(), execution).await?;
    let letters = DeadLetterFilter { execution: Some(execution), limit: u32::MAX, ..DeadLetterFilter::default() };
    parcel.dead_letters = dead_letters::list(tx.session(), &letters).await?;
    Ok(leaving)
}

fn task(row: &Row) -> Result<ParcelTask> {
    let waits = row.optional_count("arrivals")?.map(|arrivals| {
        Ok::<_, Error>(ParcelWaits {
            arrivals,
            mode: row.optional_text("mode")?.map(str::parse).transpose()?,
            ops: row.optional_text("awaited")?.map(OpSet::from_text).transpose()?,
            missing: row.optional_count("missing")?,
        })
    });
    let hash = row.optional_bytes("key_hash")?.and_then(|hash| <[u8; 32]>::try_from(hash).ok());
    let expires_at = row.optional_time("key_expires_at")?;
    Ok(ParcelTask {
        task: rows::task(row)?,
        due_at: row.optional_time("due_at")?,
        timeout: row.optional_int("timeout")?,
        deadline_at: row.optional_time("deadline_at")?,
        run: row.count("run")?,
        ops: row.count("ops")?,
        effects: row.count("effects")?,
        op: row.optional_count("op")?,
        arrival: row.optional_count("arrival")?,
        opened: row.optional_count("opened")?,
        crashes: row.count("crashes")?,
        deaths: row.count("deaths")?,
        snoozes: row.count("snoozes")?,
        first_started_at: row.optional_time("first_started_at")?,
        company: row.optional_count("company")?,
        cleanup: row.optional_count("cleanup")?,
        parked: row.optional_flag("parked")? == Some(true),
        parked_version: row.optional_string("parked_version")?,
        joins: row.optional_id("joins")?,
        cache_key: row.optional_string("cache_key")?,
        cache_ttl: row.optional_int("cache_ttl")?,
        cache_hit: row.optional_flag("cache_hit")? == Some(true),
        heartbeat: row.payload("heartbeat")?,
        concurrency_key: row.optional_string("concurrency_key")?,
        head_start: row.optional_int("head_start")?,
        fairness_key: row.optional_string("fairness_key")?,
        fairness_weight: row.optional_real("fairness_weight")?,
        waits: waits.transpose()?,
        key: hash.map(|args_hash| ParcelKey { args_hash, expires_at }),
    })
}

pub(super) async fn import(tx: &mut Tx<'_>, parcel: &Parcel) -> Result<Imported> {
    decide::check_parcel(parcel)?;
    let execution = parcel.execution.id;
    tx.lock_executions([execution]).await?;
    let known = noted(tx, execution).await?.map(|noted| noted.known);
    let here = ended::execution_state(tx.session(), execution).await?.map(ExecutionState::is_terminal);
    if let Some(done) = decide::may_come(parcel, known, here)? {
        return Ok(done);
    }
    arrive(tx, parcel).await?;
    Ok(Imported::Done)
}

/// What was fenced goes on here, or is forgotten. What an earlier call has done is done.
pub(super) async fn settle(tx: &mut Tx<'_>, execution: Id, what: Fenced) -> Result<()> {
    tx.lock_executions([execution]).await?;
    let place = match what {
        Fenced::TakeBack => Place::Here,
        Fenced::LetGo => Place::Gone,
    };
    match noted(tx, execution).await? {
        Some(Noted { known, line: Some(line) }) if known.place == Place::Fenced => {
            let parcel: Parcel = codec::from_json("the line of an exported execution", &line)?;
            match what {
                Fenced::TakeBack if ended::execution_state(tx.session(), execution).await?.is_some() => Err(
                    Error::conflict(format!("take back: there is another execution {execution} in this store by now")),
                ),
                Fenced::TakeBack => arrive(tx, &parcel).await,
                Fenced::LetGo => note(tx, &parcel, Place::Gone, None).await,
            }
        }
        Some(Noted { known, .. }) if known.place == place => Ok(()),
        _ => {
            Err(Error::not_found(format!("execution {execution} was not exported from this store, or came back since"))
                .with("execution_id", execution.to_string()))
        }
    }
}

/// Inserts all rows.
async fn arrive(tx: &mut Tx<'_>, parcel: &Parcel) -> Result<()> {
    if insert_execution(tx, parcel).await? == 0 {
        // Another import of it has just been recorded.
        return Err(tx.again_later());
    }
    for chunk in parcel.tasks.chunks(BATCH_MAX) {
        insert_tasks(tx, parcel.root_task_id, chunk).await?;
    }
    insert_what_was_told(tx, parcel).await?;
    if parcel.moves > 0 {
        note(tx, parcel, Place::Here, None).await?;
    }
    match parcel.execution.state.is_terminal() {
        true => tx.hint_ended(parcel.execution.id),
        false => tx.hint_work(),
    }
    Ok(())
}

async fn insert_execution(tx: &mut Tx<'_>, parcel: &Parcel) -> Result<u64> {
    let execution = &parcel.execution;
    if let Some(expiry_at) = execution.expiry_at {
        tx.hint_due(expiry_at);
    }
    let mut call = EXECUTION_UNPACK.call();
    call.id(execution.id)
        .text(execution.root_function.as_str())
        .id(parcel.root_task_id)
        .text(execution.state.as_str())
        .bytes(args_column(&execution.args))
        .bytes(kwargs_column(&execution.kwargs))
        .int(i64::from(execution.retries))
        .time(execution.created_at)
        .time(execution.started_at)
        .time(execution.completed_at)
        .due(execution.expiry_at)
        .made(codec::tags_to_column(&execution.tags))
        .int(execution.priority)
        .text(execution.queue.as_deref())
        .payload(execution.result.as_ref())
        .made_bytes(execution.error.as_ref().map(codec::failure_to_column))
        .text(parcel.on_cancel.as_deref())
        .text(parcel.traceparent.as_deref())
        .id(parcel.replay_of)
        .text(parcel.cancel_reason.as_deref());
    tx.change(&call).await
}

async fn insert_tasks(tx: &mut Tx<'_>, root: Option<Id>, tasks: &[ParcelTask]) -> Result<()> {
    let mut call = TASKS_UNPACK.call();
    let mut waits = WAITS_UNPACK.call();
    for of in tasks {
        let task = &of.task;
        let mut route = None;
        if task.kind.is_run() {
            let named = Route::new(task.queue.clone(), task.step_name.clone(), task.tags.clone());
            if of.fairness_key.is_some() {
                fairness::mark(tx, &task.queue).await?;
            }
            route = Some(route_of(tx, named).await?);
        }
        let claimable = task.state == TaskState::Pending && of.due_at.is_none();
        if let Some(due_at) = of.due_at {
            tx.hint_due(due_at);
        }
        call.row()
            .id(task.id)
            .id(task.execution_id)
            .id(task.parent_task_id)
            .flag((root == Some(task.id)).then_some(true))
            .text(task.step_name.as_str())
            .text(task.step_key.as_deref())
            .text(task.kind.as_str())
            .text(task.state.as_str())
            .int(route.filter(|_| claimable))
            .int(route)
            .int(task.priority)
            .time(task.created_at)
            .due(of.due_at)
            .time(task.scheduled_for)
            .int(i64::try_from(task.fence).unwrap_or(i64::MAX))
            .text(task.worker_id.as_deref())
            .time(task.started_at)
            .time(task.completed_at)
            .due(of.deadline_at)
            .int(i64::from(task.retries))
            .int(of.timeout);
        rows::add_request_and_outcome(&mut call, task);
        call.int(i64::from(of.run))
            .int(i64::from(of.ops))
            .int(i64::from(of.effects))
            .int(of.op.map(i64::from))
            .int(of.arrival.map(|arrival| arrival as i64))
            .int(of.opened.map(i64::from))
            .int(i64::from(of.crashes))
            .int(i64::from(of.deaths))
            .int(of.company.map(i64::from))
            .int(of.cleanup.map(i64::from))
            .flag(of.parked.then_some(true))
            .text(of.parked_version.as_deref())
            .id(of.joins)
            .text(of.cache_key.as_deref())
            .int(of.cache_ttl)
            .flag(of.cache_hit.then_some(true))
            .payload(of.heartbeat.as_ref())
            .int(i64::from(of.snoozes))
            .time(of.first_started_at)
            .text(of.concurrency_key.as_deref())
            .int(of.head_start)
            .text(of.fairness_key.as_deref())
            .real(of.fairness_weight);
        if let Some(ParcelWaits { arrivals, mode, ops, missing }) = &of.waits {
            waits
                .row()
                .id(task.id)
                .int(*arrivals as i64)
                .text(mode.map(|mode| mode.as_str()))
                .made(ops.as_ref().map(OpSet::to_text))
                .int(missing.map(|missing| missing as i64));
        }
    }
    tx.change(&call).await?;
    tx.change(&waits).await?;
    // A key that another has here stays with that one.
    for of in tasks {
        if let (Some(key), Some(name)) = (&of.key, &of.task.idempotency_key) {
            let full = format!("{}/{name}", of.task.step_name);
            let mut call = IDEMPOTENCY_RESERVE.call();
            call.text(full.as_str()).id(of.task.id).bytes(key.args_hash.as_slice()).time(key.expires_at);
            if tx.change(&call).await? == 0 {
                let mut call = IDEMPOTENCY_COME_BACK.call();
                tx.change(call.text(full.as_str()).id(of.task.id).id(of.task.execution_id)).await?;
            }
        }
    }
    Ok(())
}

async fn insert_what_was_told(tx: &mut Tx<'_>, parcel: &Parcel) -> Result<()> {
    let execution = parcel.execution.id;
    let mut call = SIGNALS_UNPACK.call();
    for ParcelSignal { signal, consumed_by } in &parcel.signals {
        call.row()
            .id(execution)
            .text(signal.name.as_str())
            .text(signal.id.as_deref())
            .payload(&signal.payload)
            .time(signal.created_at)
            .flag(signal.consumed)
            .time(signal.consumed_at)
            .id(*consumed_by);
    }
    tx.change(&call).await?;
    let mut call = EXECUTION_PROGRESS_APPEND.call();
    for line in &parcel.execution.progress {
        call.row()
            .id(execution)
            .text(line.step.as_str())
            .text(line.status.as_str())
            .time(line.started_at)
            .time(line.completed_at)
            .payload(line.detail.as_ref());
    }
    tx.change(&call).await?;
    for (name, number) in &parcel.counters {
        let (whole, fraction) = columns(*number);
        tx.change(COUNTER_ENSURE.call().id(execution).text(name.as_str()).int(whole).real(fraction)).await?;
    }
    for (key, value) in &parcel.state {
        tx.change(STATE_VALUE_ENSURE.call().id(execution).text(key.as_str()).payload(value)).await?;
    }
    for letter in &parcel.dead_letters {
        let mut call = DEAD_LETTER_PUT.call();
        call.id(letter.task.id)
            .id(execution)
            .text(letter.task.step_name.as_str())
            .made_bytes(codec::task_to_column(&letter.task))
            .text(letter.reason.as_str())
            .time(letter.moved_at);
        tx.change(&call).await?;
    }
    Ok(())
}
