//! Lists executions, and the progress that handlers wrote.

use super::rows;
use super::session::Session;
use super::statements::{EXECUTION_PROGRESS_LIST, EXECUTIONS_LIST};
use crate::backend::ExecutionFilter;
use crate::model::{Execution, ExecutionState, Id, ProgressEntry, Result, Timestamp};

/// Newest first, ties by id; without progress. Both time bounds are exclusive.
pub(super) async fn executions(session: &mut dyn Session, filter: &ExecutionFilter) -> Result<Vec<Execution>> {
    filter.check()?;
    let mut call = EXECUTIONS_LIST.call();
    call.time(filter.created_after.unwrap_or(Timestamp::from_micros(i64::MIN)))
        .time(filter.created_before.unwrap_or(Timestamp::from_micros(i64::MAX)))
        .text(filter.state.map(ExecutionState::as_str))
        .text(filter.function.as_deref())
        .text(filter.queue.as_deref())
        .text(filter.tag.as_deref())
        .int(i64::from(filter.limit))
        .int(i64::from(filter.offset));
    session.fetch(&call).await?.iter().map(rows::execution).collect()
}

/// The progress lines that handlers wrote, in the order of writing.
pub(super) async fn stored_progress(session: &mut dyn Session, execution: Id) -> Result<Vec<ProgressEntry>> {
    session.fetch(EXECUTION_PROGRESS_LIST.call().id(execution)).await?.iter().map(rows::progress).collect()
}
