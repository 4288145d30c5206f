//! Tasks that go on because somebody says so: those that were stopped because the code did not fit their journal, and
//! those that wait for their time.

use super::rows;
use super::statements::{TASK_RESUME, TASK_STATE_WORD, TASKS_HASTEN};
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

/// Those of these that wait for their time, the one of a retry or of a delay, may be claimed now. Which they are.
pub(super) async fn hasten(tx: &mut Tx<'_>, tasks: &[Id]) -> Result<Vec<Id>> {
    let hastened = rows::ids(&tx.fetch(TASKS_HASTEN.call().ids(tasks.iter().copied()).time(tx.now)).await?)?;
    if !hastened.is_empty() {
        tx.hint_work();
    }
    Ok(hastened)
}
