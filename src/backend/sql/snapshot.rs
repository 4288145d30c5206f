//! Reads an execution with its progress, counters and state values. Progress lines of tasks are made from the tasks'
//! rows.

use std::collections::BTreeMap;

use super::row::Row;
use super::rows;
use super::session::Session;
use super::statements::{COUNTERS_LIST, EXECUTION_SNAPSHOT, STATE_VALUES_LIST};
use crate::backend::{Snapshot, decide};
use crate::model::{Error, Id, Number, Payload, ProgressEntry, Result, Timestamp};

/// The parts of an execution, as they are read.
#[derive(Default)]
struct Parts {
    /// A progress line for each task, with the time to sort it by.
    derived: Vec<(Timestamp, ProgressEntry)>,
    /// The handlers' progress lines, in the order of writing.
    stored: Vec<ProgressEntry>,
    counters: BTreeMap<String, Number>,
    values: BTreeMap<String, Payload>,
}

/// One statement reads all, so that all parts are of the same moment.
pub(super) async fn snapshot(session: &mut dyn Session, id: Id) -> Result<Option<Snapshot>> {
    let mut parts = Parts::default();
    let mut found = None;
    for row in session.fetch(EXECUTION_SNAPSHOT.call().id(id)).await? {
        match row.text("part")? {
            "execution" => found = Some(row),
            "task" => parts.derived.push(task_line(&row)?),
            "progress" => parts.stored.push(said_line(&row)?),
            "counter" => parts.counters.extend([(row.string("name")?, number(&row)?)]),
            "value" => parts.values.extend([(row.string("name")?, value(&row)?)]),
            other => return Err(Error::backend(format!("an execution has no part '{other}'"))),
        }
    }
    found.map(|row| put_together(&row, parts)).transpose()
}

fn put_together(row: &Row, parts: Parts) -> Result<Snapshot> {
    let Parts { mut derived, stored, counters, values } = parts;
    derived.sort_by_key(|(time, _)| *time);
    let mut execution = rows::execution(row)?;
    execution.progress = decide::merge(derived, stored);
    let replay_of = row.optional_id("replay_of")?;
    Ok(Snapshot { execution, counters, state: values, replay_of, cancel_reason: row.optional_string("cancel_reason")? })
}

fn task_line(row: &Row) -> Result<(Timestamp, ProgressEntry)> {
    let started_at = row.optional_time("started_at")?;
    let completed_at = row.optional_time("completed_at")?;
    let cache_hit = row.optional_flag("cache_hit")? == Some(true);
    let (name, state, error) = (row.string("name")?, row.word("state")?, row.payload("error")?);
    let entry = decide::line(name, state, cache_hit, started_at, completed_at, error);
    Ok((started_at.unwrap_or(row.time("created_at")?), entry))
}

/// A line of [`rows::progress`], under a snapshot's names.
fn said_line(row: &Row) -> Result<ProgressEntry> {
    Ok(ProgressEntry {
        step: row.string("name")?,
        status: row.word("state")?,
        started_at: row.optional_time("started_at")?,
        completed_at: row.optional_time("completed_at")?,
        detail: row.payload("value")?,
    })
}

fn value(row: &Row) -> Result<Payload> {
    Ok(row.payload("value")?.unwrap_or_else(Payload::null))
}

pub(super) async fn counters(session: &mut dyn Session, execution: Id) -> Result<BTreeMap<String, Number>> {
    let found = session.fetch(COUNTERS_LIST.call().id(execution)).await?;
    found.iter().map(|row| Ok((row.string("name")?, number(row)?))).collect()
}

pub(super) async fn values(session: &mut dyn Session, execution: Id) -> Result<BTreeMap<String, Payload>> {
    let found = session.fetch(STATE_VALUES_LIST.call().id(execution)).await?;
    found.iter().map(|row| Ok((row.string("key")?, value(row)?))).collect()
}

/// A counter's value from the columns `whole` and `fraction`.
pub(super) fn number(row: &Row) -> Result<Number> {
    match row.optional_int("whole")? {
        Some(whole) => Ok(Number::Integer(whole)),
        None => row.real("fraction").map(Number::Real),
    }
}

/// A number as those two columns.
pub(super) const fn columns(number: Number) -> (Option<i64>, Option<f64>) {
    match number {
        Number::Integer(whole) => (Some(whole), None),
        Number::Real(real) => (None, Some(real)),
    }
}
