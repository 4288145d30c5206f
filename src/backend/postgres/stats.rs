//! Counts of the whole store.

use std::collections::BTreeMap;

use super::conn::Conn;
use super::rows::Columns;
use super::{Postgres, error};
use crate::backend::{Depth, StoreStats};
use crate::model::{ExecutionState, Result, TaskState};

pub(super) async fn stats(store: &Postgres) -> Result<StoreStats> {
    store.read_together((), |conn, _| Box::pin(read(conn))).await
}

async fn read(conn: &mut Conn) -> Result<StoreStats> {
    let map = error::map("count what is in the store");
    let totals = sqlx::query(include_str!("sql/stats_totals.sql")).fetch_one(&mut *conn).await.map_err(&map)?;
    let totals = Columns(&totals);
    Ok(StoreStats {
        executions: by_state(conn, include_str!("sql/executions_count_by_state.sql"), |word: ExecutionState| {
            word.as_str()
        })
        .await?,
        tasks: by_state(conn, include_str!("sql/tasks_count_by_state.sql"), |word: TaskState| word.as_str()).await?,
        ready: depths(conn).await?,
        scheduled: totals.count("scheduled")?,
        dead_letters: totals.count("dead_letters")?,
        parked: totals.count("parked")?,
        workers: totals.count("workers")?,
    })
}

async fn by_state<W>(
    conn: &mut Conn,
    sql: &'static str,
    name: impl Fn(W) -> &'static str,
) -> Result<BTreeMap<&'static str, u64>>
where
    W: std::str::FromStr<Err = crate::model::Error>,
{
    let found = sqlx::query(sql).fetch_all(conn).await.map_err(error::map("count by state"))?;
    found.iter().map(|row| Ok((name(Columns(row).word("state")?), Columns(row).count("count")?))).collect()
}

async fn depths(conn: &mut Conn) -> Result<Vec<Depth>> {
    let found = sqlx::query(include_str!("sql/tasks_depths.sql"))
        .fetch_all(conn)
        .await
        .map_err(error::map("count what is ready"))?;
    found
        .iter()
        .map(|row| {
            Ok(Depth {
                queue: Columns(row).get("queue")?,
                function: Columns(row).get("function")?,
                count: Columns(row).count("count")?,
                oldest: Columns(row).time("now")?.since(Columns(row).time("oldest")?),
            })
        })
        .collect()
}
