//! Executions and their progress, for listings.

use sqlx::SqliteConnection;

use super::{Sqlite, error, rows};
use crate::backend::ExecutionFilter;
use crate::model::{Execution, ExecutionState, Id, ProgressEntry, Result, Timestamp};

/// Newest first, ties by id; without progress. Both bounds of the time are outside of what is listed.
pub(super) async fn executions(store: &Sqlite, filter: ExecutionFilter) -> Result<Vec<Execution>> {
    store
        .read(filter, |conn, filter| {
            Box::pin(async move {
                let found = sqlx::query(include_str!("sql/executions_list.sql"))
                    .bind(filter.created_after.map_or(i64::MIN, Timestamp::micros))
                    .bind(filter.created_before.map_or(i64::MAX, Timestamp::micros))
                    .bind(filter.state.map(ExecutionState::as_str))
                    .bind(&filter.function)
                    .bind(&filter.queue)
                    .bind(&filter.tag)
                    .bind(filter.limit)
                    .bind(filter.offset)
                    .fetch_all(conn)
                    .await
                    .map_err(error::map("list executions"))?;
                found.iter().map(rows::execution).collect()
            })
        })
        .await
}

/// What was said of an execution, in the order in which it was said.
pub(super) async fn stored_progress(conn: &mut SqliteConnection, execution: Id) -> Result<Vec<ProgressEntry>> {
    let found = sqlx::query(include_str!("sql/execution_progress_list.sql"))
        .bind(execution.as_bytes().as_slice())
        .fetch_all(conn)
        .await
        .map_err(error::map("read an execution's progress"))?;
    found.iter().map(rows::progress).collect()
}
