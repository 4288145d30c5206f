//! Counts over the whole store.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::pauses;
use super::row::Row;
use super::schedules;
use super::session::Session;
use super::statement::Statement;
use super::statements::{EXECUTIONS_COUNT_BY_STATE, SLOTS_WAITING, STATS_TOTALS, TASKS_COUNT_BY_STATE, TASKS_DEPTHS};
use crate::backend::{Depth, StoreStats};
use crate::model::{Error, ExecutionState, Result, TaskState};

/// For a session whose statements all see one state of the store.
pub(super) async fn stats(session: &mut dyn Session) -> Result<StoreStats> {
    let totals = session.one(&STATS_TOTALS.call()).await?;
    Ok(StoreStats {
        executions: by_state(session, &EXECUTIONS_COUNT_BY_STATE, ExecutionState::as_str).await?,
        tasks: by_state(session, &TASKS_COUNT_BY_STATE, TaskState::as_str).await?,
        ready: depths(session).await?,
        scheduled: totals.count("scheduled")?,
        dead_letters: totals.count("dead_letters")?,
        parked: totals.count("parked")?,
        workers: totals.count("workers")?,
        paused: pauses::read(session).await?,
        schedules: schedules::counts(session).await?,
        waiting_for_slots: waiting(session).await?,
    })
}

async fn waiting(session: &mut dyn Session) -> Result<BTreeMap<String, u64>> {
    let found = session.fetch(&SLOTS_WAITING.call()).await?;
    found.iter().map(|row| Ok((row.string("function")?, row.count("count")?))).collect()
}

async fn by_state<W: FromStr<Err = Error>>(
    session: &mut dyn Session,
    statement: &'static Statement,
    name: fn(W) -> &'static str,
) -> Result<BTreeMap<&'static str, u64>> {
    let found = session.fetch(&statement.call()).await?;
    found.iter().map(|row| Ok((name(row.word("state")?), row.count("count")?))).collect()
}

/// Tasks that can be claimed now.
pub(super) async fn depths(session: &mut dyn Session) -> Result<Vec<Depth>> {
    session.fetch(TASKS_DEPTHS.call().clock()).await?.iter().map(depth).collect()
}

fn depth(row: &Row) -> Result<Depth> {
    Ok(Depth {
        queue: row.optional_string("queue")?,
        function: row.string("function")?,
        count: row.count("count")?,
        oldest: row.time("now")?.since(row.time("oldest")?),
    })
}
