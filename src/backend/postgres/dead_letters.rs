//! Tasks that used up their attempts, for listings.

use super::rows::Columns;
use super::{Postgres, error};
use crate::backend::DeadLetterFilter;
use crate::codec;
use crate::model::{DeadLetter, Result};

/// Newest first, ties by id.
pub(super) async fn list(store: &Postgres, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
    store
        .read(filter, |conn, filter| {
            Box::pin(async move {
                // One letter is found by its key, many in the order of time.
                let query = match filter.task {
                    Some(task) => sqlx::query(include_str!("sql/dead_letter_get.sql")).bind(task),
                    None => sqlx::query(include_str!("sql/dead_letters_list.sql")),
                };
                let found = query
                    .bind(filter.execution)
                    .bind(&filter.function)
                    .bind(i64::from(filter.limit))
                    .bind(i64::from(filter.offset))
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
