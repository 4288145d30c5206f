//! Cancelling an execution: one commit, and from then on nothing of its tree is claimed or recorded.

use super::error;
use super::signals::execution_state;
use super::trees;
use super::tx::Tx;
use super::waits::WaitBook;
use crate::model::{Error, ExecutionState, Id, Result};

pub(super) async fn cancel(tx: &mut Tx, execution: Id, reason: Option<&str>) -> Result<()> {
    let changed = sqlx::query(include_str!("sql/execution_cancel.sql"))
        .bind(execution)
        .bind(reason)
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("cancel an execution"))?;
    if changed.rows_affected() == 0 {
        return match execution_state(tx, execution).await? {
            None => Err(Error::not_found(format!("cancel: there is no execution {execution}"))),
            Some(state) if state.is_terminal() => {
                Err(Error::conflict(format!("cancel: execution {execution} is {state} already")))
            }
            // It is being cancelled: the same wish again.
            Some(_) => Ok(()),
        };
    }
    tx.hint_cancelling(execution);
    let mut book = WaitBook::default();
    trees::cancel_executions(tx, &mut book, vec![execution]).await?;
    book.save(tx).await
}

/// The same again, after a commit whose answer was lost.
pub(super) async fn cancel_again(tx: &mut Tx, execution: Id, reason: Option<&str>) -> Result<()> {
    match execution_state(tx, execution).await? {
        Some(ExecutionState::Cancelled) => Ok(()),
        _ => cancel(tx, execution, reason).await,
    }
}

/// A parked task goes on, whoever takes it.
pub(super) async fn resume(tx: &mut Tx, task: Id) -> Result<()> {
    let map = error::map("resume a parked task");
    let id = task;
    let resumed =
        sqlx::query(include_str!("sql/task_resume.sql")).bind(id).execute(&mut tx.conn).await.map_err(&map)?;
    if resumed.rows_affected() > 0 {
        tx.hint_work();
        return Ok(());
    }
    let found = sqlx::query(include_str!("sql/task_state_word.sql"))
        .bind(id)
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(&map)?;
    match found {
        None => Err(Error::not_found(format!("resume: there is no task {task}"))),
        Some(row) => {
            let state: String = sqlx::Row::get(&row, 0);
            Err(Error::conflict(format!(
                "resume: task {task} is {state} and not parked; only a parked task is resumed"
            )))
        }
    }
}
