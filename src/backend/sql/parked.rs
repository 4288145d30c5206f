//! Tasks that no worker at hand could run, and that wait for somebody to say that they go on.

use super::statements::{TASK_RESUME, TASK_STATE_WORD};
use super::tx::Tx;
use crate::model::{Error, Id, Result};

/// A parked task goes on, whoever takes it.
pub(super) async fn resume(tx: &mut Tx<'_>, task: Id) -> Result<()> {
    if tx.change(TASK_RESUME.call().id(task)).await? > 0 {
        tx.hint_work();
        return Ok(());
    }
    let Some(row) = tx.find(TASK_STATE_WORD.call().id(task)).await? else {
        return Err(Error::not_found(format!("resume: there is no task {task}")));
    };
    let state = row.text("state")?;
    Err(Error::conflict(format!("resume: task {task} is {state} and not parked; only a parked task is resumed")))
}
