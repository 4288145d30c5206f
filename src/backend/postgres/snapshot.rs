//! An execution as the outside sees it. What follows from its tasks' rows is not stored a second time.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;

use super::conn::Conn;
use super::rows::{self, Columns};
use super::{Postgres, error, list};
use crate::backend::Snapshot;
use crate::model::{Id, Number, Payload, ProgressEntry, ProgressStatus, Result, TaskState, Timestamp};

pub(super) async fn snapshot(store: &Postgres, execution: Id) -> Result<Option<Snapshot>> {
    store.read_together(execution, |conn, execution| Box::pin(async move { read(conn, *execution).await })).await
}

async fn read(conn: &mut Conn, id: Id) -> Result<Option<Snapshot>> {
    let map = error::map("read an execution");
    let found = sqlx::query(include_str!("sql/execution_snapshot.sql"))
        .bind(id)
        .fetch_optional(&mut *conn)
        .await
        .map_err(&map)?;
    let Some(row) = found else { return Ok(None) };
    let mut execution = rows::execution(&row)?;
    let derived = derived_progress(conn, id).await?;
    execution.progress = merge(derived, list::stored_progress(conn, id).await?);
    Ok(Some(Snapshot {
        execution,
        counters: counters(conn, id).await?,
        state: values(conn, id).await?,
        replay_of: Columns(&row).optional_id("replay_of")?,
        cancel_reason: Columns(&row).get("cancel_reason")?,
    }))
}

/// One line for each task, with the time by which it is put in order.
async fn derived_progress(conn: &mut Conn, execution: Id) -> Result<Vec<(Timestamp, ProgressEntry)>> {
    let found = sqlx::query(include_str!("sql/tasks_list_progress.sql"))
        .bind(execution)
        .fetch_all(conn)
        .await
        .map_err(error::map("read the progress of tasks"))?;
    let mut lines: Vec<_> = found.iter().map(line).collect::<Result<_>>()?;
    lines.sort_by_key(|(time, _)| *time);
    Ok(lines)
}

fn line(row: &PgRow) -> Result<(Timestamp, ProgressEntry)> {
    let row = Columns(row);
    let started_at = row.optional_time("started_at")?;
    let state: TaskState = row.word("state")?;
    let cache_hit = row.get::<Option<bool>>("cache_hit")? == Some(true);
    let status = match state {
        TaskState::Completed if cache_hit => ProgressStatus::CacheHit,
        TaskState::Completed => ProgressStatus::Completed,
        // The protocol has no word for it: the detail says what happened.
        TaskState::Failed | TaskState::Cancelled => ProgressStatus::Failed,
        TaskState::Running => ProgressStatus::Running,
        TaskState::Pending | TaskState::Waiting if started_at.is_some() => ProgressStatus::Running,
        TaskState::Pending | TaskState::Waiting => ProgressStatus::Dispatched,
    };
    let detail = match state {
        TaskState::Failed => row.payload("error")?,
        TaskState::Cancelled => Some(Payload::from("\"cancelled\"")),
        TaskState::Pending | TaskState::Running | TaskState::Waiting | TaskState::Completed => None,
    };
    let completed_at = row.optional_time("completed_at")?;
    let entry = ProgressEntry { step: row.get("step_name")?, status, started_at, completed_at, detail };
    Ok((started_at.unwrap_or(row.time("created_at")?), entry))
}

/// In order of time. What handlers said keeps its own order, whatever its times are.
fn merge(derived: Vec<(Timestamp, ProgressEntry)>, stored: Vec<ProgressEntry>) -> Vec<ProgressEntry> {
    let mut merged = Vec::with_capacity(derived.len() + stored.len());
    let mut derived = derived.into_iter().peekable();
    for entry in stored {
        if let Some(time) = entry.started_at.or(entry.completed_at) {
            while let Some((_, line)) = derived.next_if(|(at, _)| *at <= time) {
                merged.push(line);
            }
        }
        merged.push(entry);
    }
    merged.extend(derived.map(|(_, line)| line));
    merged
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: &str, at: Option<i64>) -> ProgressEntry {
        let started_at = at.map(Timestamp::from_micros);
        ProgressEntry {
            step: step.to_owned(),
            status: ProgressStatus::Running,
            started_at,
            completed_at: None,
            detail: None,
        }
    }

    #[test]
    fn what_was_said_keeps_its_order_among_the_tasks() {
        let derived = [(10, "a"), (20, "b"), (40, "c")];
        let derived = derived.map(|(at, step)| (Timestamp::from_micros(at), entry(step, Some(at)))).to_vec();
        let stored = vec![entry("said", Some(30)), entry("timeless", None), entry("early", Some(5))];
        let steps: Vec<String> = merge(derived, stored).into_iter().map(|entry| entry.step).collect();
        assert_eq!(steps, ["a", "b", "said", "timeless", "early", "c"]);
    }
}
