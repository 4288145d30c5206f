//! Tasks that used up their attempts, for listings.

use super::rows::Columns;
use super::{Sqlite, error};
use crate::backend::DeadLetterFilter;
use crate::codec;
use crate::model::{DeadLetter, Result};

/// Newest first, ties by id.
pub(super) async fn list(store: &Sqlite, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
    store
        .read(filter, |conn, filter| {
            Box::pin(async move {
                let task = filter.task.as_ref().map(|task| task.as_bytes().as_slice());
                let execution = filter.execution.as_ref().map(|execution| execution.as_bytes().as_slice());
                // One letter is found by its key, many in the order of time.
                let query = match task {
                    Some(task) => sqlx::query(include_str!("sql/dead_letter_get.sql")).bind(task),
                    None => sqlx::query(include_str!("sql/dead_letters_list.sql")),
                };
                let found = query
                    .bind(execution)
                    .bind(&filter.function)
                    .bind(filter.limit)
                    .bind(filter.offset)
                    .fetch_all(conn)
                    .await
                    .map_err(error::map("list dead letters"))?;
                found.iter().map(|row| letter(&Columns(row))).collect()
            })
        })
        .await
}

fn letter(row: &Columns<'_>) -> Result<DeadLetter> {
    Ok(DeadLetter {
        task: codec::task_from_column(row.get("task")?)?,
        reason: row.get("reason")?,
        moved_at: row.time("moved_at")?,
    })
}
