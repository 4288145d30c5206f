//! An execution as the outside sees it. What follows from its tasks' rows is not stored a second time.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::rows::{self, Columns};
use super::{Sqlite, error, list};
use crate::backend::{Snapshot, decide};
use crate::model::{Id, Number, Payload, ProgressEntry, Result, TaskState, Timestamp};

pub(super) async fn snapshot(store: &Sqlite, execution: Id) -> Result<Option<Snapshot>> {
    store.read_together(execution, |conn, execution| Box::pin(async move { read(conn, *execution).await })).await
}

async fn read(conn: &mut SqliteConnection, id: Id) -> Result<Option<Snapshot>> {
    let map = error::map("read an execution");
    let found = sqlx::query(include_str!("sql/execution_snapshot.sql"))
        .bind(id.as_bytes().as_slice())
        .fetch_optional(&mut *conn)
        .await
        .map_err(&map)?;
    let Some(row) = found else { return Ok(None) };
    let mut execution = rows::execution(&row)?;
    let derived = derived_progress(conn, id).await?;
    execution.progress = decide::merge(derived, list::stored_progress(conn, id).await?);
    Ok(Some(Snapshot {
        execution,
        counters: counters(conn, id).await?,
        state: values(conn, id).await?,
        replay_of: Columns(&row).optional_id("replay_of")?,
        cancel_reason: Columns(&row).get("cancel_reason")?,
    }))
}

/// One line for each task, with the time by which it is put in order.
async fn derived_progress(conn: &mut SqliteConnection, execution: Id) -> Result<Vec<(Timestamp, ProgressEntry)>> {
    let found = sqlx::query(include_str!("sql/tasks_list_progress.sql"))
        .bind(execution.as_bytes().as_slice())
        .fetch_all(conn)
        .await
        .map_err(error::map("read the progress of tasks"))?;
    let mut lines: Vec<_> = found.iter().map(line).collect::<Result<_>>()?;
    lines.sort_by_key(|(time, _)| *time);
    Ok(lines)
}

fn line(row: &SqliteRow) -> Result<(Timestamp, ProgressEntry)> {
    let row = Columns(row);
    let started_at = row.optional_time("started_at")?;
    let state: TaskState = row.word("state")?;
    let cache_hit = row.get::<Option<i64>>("cache_hit")? == Some(1);
    let completed_at = row.optional_time("completed_at")?;
    let error = row.payload("error")?;
    let entry = decide::line(row.get("step_name")?, state, cache_hit, started_at, completed_at, error);
    Ok((started_at.unwrap_or(row.time("created_at")?), entry))
}

pub(super) async fn counters(conn: &mut SqliteConnection, execution: Id) -> Result<BTreeMap<String, Number>> {
    let found = sqlx::query(include_str!("sql/counters_list.sql"))
        .bind(execution.as_bytes().as_slice())
        .fetch_all(conn)
        .await
        .map_err(error::map("read an execution's counters"))?;
    found.iter().map(|row| Ok((Columns(row).get("name")?, number(row)?))).collect()
}

/// A counter's value from the columns `whole` and `real`.
pub(super) fn number(row: &SqliteRow) -> Result<Number> {
    let row = Columns(row);
    match row.get::<Option<i64>>("whole")? {
        Some(whole) => Ok(Number::Integer(whole)),
        None => row.get("real").map(Number::Real),
    }
}

pub(super) async fn values(conn: &mut SqliteConnection, execution: Id) -> Result<BTreeMap<String, Payload>> {
    let found = sqlx::query(include_str!("sql/state_values_list.sql"))
        .bind(execution.as_bytes().as_slice())
        .fetch_all(conn)
        .await
        .map_err(error::map("read an execution's state"))?;
    found
        .iter()
        .map(|row| Ok((Columns(row).get("key")?, Columns(row).payload("value")?.unwrap_or_else(Payload::null))))
        .collect()
}
