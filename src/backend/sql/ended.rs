//! Queries whether executions have ended or are being cancelled: for one, or for a list.

use super::rows;
use super::session::Session;
use super::statement::Statement;
use super::statements::{EXECUTION_STATE_WORD, EXECUTIONS_CANCELLED, EXECUTIONS_ENDED};
use crate::model::{ExecutionState, Id, Result};

/// None: there is no such execution.
pub(super) async fn execution_state(session: &mut dyn Session, execution: Id) -> Result<Option<ExecutionState>> {
    let row = session.find(EXECUTION_STATE_WORD.call().id(execution)).await?;
    row.map(|row| row.word("state")).transpose()
}

/// Which of these have ended. One that does not exist (any more) counts as ended.
pub(super) async fn ended_among(session: &mut dyn Session, executions: &[Id]) -> Result<Vec<Id>> {
    among(session, &EXECUTIONS_ENDED, executions).await
}

/// Which of these are being cancelled, or over.
pub(super) async fn cancelled_among(session: &mut dyn Session, executions: &[Id]) -> Result<Vec<Id>> {
    among(session, &EXECUTIONS_CANCELLED, executions).await
}

/// In the order of `executions`.
async fn among(session: &mut dyn Session, statement: &'static Statement, executions: &[Id]) -> Result<Vec<Id>> {
    let mut call = statement.call();
    for execution in executions {
        call.row().id(*execution);
    }
    rows::ids(&session.fetch(&call).await?)
}
