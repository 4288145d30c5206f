//! Lists dead letters.

use super::row::Row;
use super::session::Session;
use super::statements::{DEAD_LETTER_GET, DEAD_LETTERS_LIST};
use crate::backend::DeadLetterFilter;
use crate::codec;
use crate::model::{DeadLetter, Result};

/// Newest first, ties by id.
pub(super) async fn list(session: &mut dyn Session, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>> {
    filter.check()?;
    // One letter is found by its key, many in the order of time. But for the key both are given the same.
    let mut call = if filter.task.is_some() { DEAD_LETTER_GET.call() } else { DEAD_LETTERS_LIST.call() };
    if let Some(task) = filter.task {
        call.id(task);
    }
    call.id(filter.execution)
        .text(filter.function.as_deref())
        .int(i64::from(filter.limit))
        .int(i64::from(filter.offset));
    session.fetch(&call).await?.iter().map(letter).collect()
}

fn letter(row: &Row) -> Result<DeadLetter> {
    Ok(DeadLetter {
        task: codec::task_from_column(row.bytes("task")?)?,
        reason: row.string("reason")?,
        moved_at: row.time("moved_at")?,
    })
}
