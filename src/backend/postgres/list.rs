//! Executions and their progress, for listings.

use super::conn::Conn;
use super::{Postgres, error, rows};
use crate::backend::ExecutionFilter;
use crate::model::{Execution, ExecutionState, Id, ProgressEntry, Result, Timestamp};

/// Newest first, ties by id; without progress. Both bounds of the time are outside of what is listed.
pub(super) async fn executions(store: &Postgres, filter: ExecutionFilter) -> Result<Vec<Execution>> {
    store
        .read(filter, |conn, filter| {
            Box::pin(async move {
                let found = sqlx::query(include_str!("sql/executions_list.sql"))
                    .bind(filter.created_after.unwrap_or(Timestamp::from_micros(i64::MIN)))
                    .bind(filter.created_before.unwrap_or(Timestamp::from_micros(i64::MAX)))
                    .bind(filter.state.map(ExecutionState::as_str))
                    .bind(&filter.function)
                    .bind(&filter.queue)
                    .bind(&filter.tag)
                    .bind(i64::from(filter.limit))
                    .bind(i64::from(filter.offset))
                    .fetch_all(conn)
                    .await
                    .map_err(error::map("list executions"))?;
                found.iter().map(rows::execution).collect()
            })
        })
        .await
}

/// What was said of an execution, in the order in which it was said.
pub(super) async fn stored_progress(conn: &mut Conn, execution: Id) -> Result<Vec<ProgressEntry>> {
    let found = sqlx::query(include_str!("sql/execution_progress_list.sql"))
        .bind(execution)
        .fetch_all(conn)
        .await
        .map_err(error::map("read an execution's progress"))?;
    found.iter().map(rows::progress).collect()
}
