//! An execution as the outside sees it. What follows from its tasks' rows is not stored a second time.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;

use super::conn::Conn;
use super::rows::{self, Columns};
use super::{Postgres, error};
use crate::backend::{Snapshot, decide};
use crate::model::{Id, Number, Payload, ProgressEntry, Result, TaskState, Timestamp};

pub(super) async fn snapshot(store: &Postgres, execution: Id) -> Result<Option<Snapshot>> {
    store.read(execution, |conn, execution| Box::pin(async move { read(conn, *execution).await })).await
}

async fn read(conn: &mut Conn, id: Id) -> Result<Option<Snapshot>> {
    let found = sqlx::query(include_str!("sql/execution_snapshot.sql"))
        .bind(id)
        .fetch_optional(conn)
        .await
        .map_err(error::map("read an execution"))?;
    let Some(row) = found else { return Ok(None) };
    let columns = Columns(&row);
    let mut execution = rows::execution(&row)?;
    execution.progress = decide::merge(derived_progress(&columns)?, stored_progress(&columns)?);
    Ok(Some(Snapshot {
        execution,
        counters: counters_in(&columns)?,
        state: values_in(&columns)?,
        replay_of: columns.optional_id("replay_of")?,
        cancel_reason: columns.get("cancel_reason")?,
    }))
}

/// An array of a row, one element for each of the rows that it was made of.
fn array<'r, T>(row: &'r Columns<'_>, name: &'static str) -> Result<std::vec::IntoIter<T>>
where
    Option<Vec<T>>: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    Ok(row.get::<Option<Vec<T>>>(name)?.unwrap_or_default().into_iter())
}

/// One line for each task, with the time by which it is put in order.
fn derived_progress(row: &Columns<'_>) -> Result<Vec<(Timestamp, ProgressEntry)>> {
    let names = array::<String>(row, "task_names")?;
    let mut states = array::<String>(row, "task_states")?;
    let mut created = array::<Timestamp>(row, "task_created")?;
    let mut started = array::<Option<Timestamp>>(row, "task_started")?;
    let mut completed = array::<Option<Timestamp>>(row, "task_completed")?;
    let mut cache_hits = array::<Option<bool>>(row, "task_cache_hits")?;
    let mut errors = array::<Option<Vec<u8>>>(row, "task_errors")?;
    let mut lines = Vec::with_capacity(names.len());
    for step in names {
        let started_at = started.next().flatten();
        let state: TaskState = states.next().unwrap_or_default().parse()?;
        let cache_hit = cache_hits.next().flatten() == Some(true);
        let error = errors.next().flatten();
        let time = started_at.or(created.next()).unwrap_or_default();
        let completed_at = completed.next().flatten();
        lines.push((time, decide::line(step, state, cache_hit, started_at, completed_at, error.map(Payload::from))));
    }
    lines.sort_by_key(|(time, _)| *time);
    Ok(lines)
}

/// What handlers said, in the order in which they said it.
fn stored_progress(row: &Columns<'_>) -> Result<Vec<ProgressEntry>> {
    let steps = array::<String>(row, "steps")?;
    let mut statuses = array::<String>(row, "statuses")?;
    let mut started = array::<Option<Timestamp>>(row, "started")?;
    let mut completed = array::<Option<Timestamp>>(row, "completed")?;
    let mut details = array::<Option<Vec<u8>>>(row, "details")?;
    let entry = |step| {
        Ok(ProgressEntry {
            step,
            status: statuses.next().unwrap_or_default().parse()?,
            started_at: started.next().flatten(),
            completed_at: completed.next().flatten(),
            detail: details.next().flatten().map(Payload::from),
        })
    };
    steps.map(entry).collect()
}

fn counters_in(row: &Columns<'_>) -> Result<BTreeMap<String, Number>> {
    let wholes = array::<Option<i64>>(row, "wholes")?;
    let fractions = array::<Option<f64>>(row, "fractions")?;
    let values = wholes.zip(fractions).map(|(whole, fraction)| match whole {
        Some(whole) => Number::Integer(whole),
        None => Number::Real(fraction.unwrap_or_default()),
    });
    Ok(array::<String>(row, "counter_names")?.zip(values).collect())
}

fn values_in(row: &Columns<'_>) -> Result<BTreeMap<String, Payload>> {
    let values = array::<Vec<u8>>(row, "values")?.map(Payload::from);
    Ok(array::<String>(row, "keys")?.zip(values).collect())
}

pub(super) async fn counters(conn: &mut Conn, execution: Id) -> Result<BTreeMap<String, Number>> {
    let found = sqlx::query(include_str!("sql/counters_list.sql"))
        .bind(execution)
        .fetch_all(conn)
        .await
        .map_err(error::map("read an execution's counters"))?;
    found.iter().map(|row| Ok((Columns(row).get("name")?, number(row)?))).collect()
}

/// A counter's value from the columns `whole` and `fraction`.
pub(super) fn number(row: &PgRow) -> Result<Number> {
    let row = Columns(row);
    match row.get::<Option<i64>>("whole")? {
        Some(whole) => Ok(Number::Integer(whole)),
        None => row.get("fraction").map(Number::Real),
    }
}

/// A number as those two columns.
pub(super) const fn columns(number: Number) -> (Option<i64>, Option<f64>) {
    match number {
        Number::Integer(whole) => (Some(whole), None),
        Number::Real(real) => (None, Some(real)),
    }
}

pub(super) async fn values(conn: &mut Conn, execution: Id) -> Result<BTreeMap<String, Payload>> {
    let found = sqlx::query(include_str!("sql/state_values_list.sql"))
        .bind(execution)
        .fetch_all(conn)
        .await
        .map_err(error::map("read an execution's state"))?;
    found
        .iter()
        .map(|row| Ok((Columns(row).get("key")?, Columns(row).payload("value")?.unwrap_or_else(Payload::null))))
        .collect()
}
