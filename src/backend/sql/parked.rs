//! Resumes parked tasks: those that were stopped because the code did not fit their journal.

use super::statements::{TASK_RESUME, TASK_STATE_WORD};
use super::tx::Tx;
use crate::model::{Error, Id, Result};

/// Any worker may claim the task again.
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
