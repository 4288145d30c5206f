//! Cleanups of executions that were cancelled or timed out. For functions that ask for one (`cleanup`, a time); all
//! others end as `cancel` says.
//!
//! **Rest.** While an execution is being cancelled, nothing of it is claimed or recorded. Its root, once nobody runs it, is
//! not ended but put at rest, if it had begun. **Begin.** When nobody holds a lease in the execution any more, all that
//! the root had issued is over: what was cancelled with the tree gets its arrival now, in the order of issue. The root can
//! be claimed, and replays. To the store it is running from then on, with an `ending`, so fences, deaths, retries and
//! signals are as ever, and a cleanup whose worker dies goes on at another; to everybody else it is `cancelling`. What the
//! handler sees is decided in `executor/replay/cleanup`. **End.** When the root ends, whatever it says, the execution is
//! cancelled or timed out, with that result or error. When the time is over first, the execution is cancelled as one that
//! wants no cleanup. It has one cleanup: another cancel, or its expiry, changes nothing.

use super::catalog::{micros, stored};
use super::row::Row;
use super::rows;
use super::statements::{
    EXECUTIONS_CLEAN_UP, EXECUTIONS_WANT_CLEANUP, TASKS_CLEAN_UP, TASKS_DELIVER, TASKS_REST, TASKS_UNDELIVERED,
};
use super::tx::Tx;
use super::waits::WaitBook;
use crate::backend::decide::End;
use crate::model::{Id, Result};

/// Puts roots at rest that are to clean up, and returns the ends of all others.
pub(super) async fn rest(tx: &mut Tx<'_>, mut ends: Vec<End>) -> Result<Vec<End>> {
    let functions = tx.catalog.with_cleanup();
    let roots = ends.iter().filter(|end| end.parent.is_none()).map(|end| end.id);
    let mut call = TASKS_REST.call().ids(roots);
    call.texts(functions);
    let resting = tx.fetch(&call).await?;
    let mut call = EXECUTIONS_WANT_CLEANUP.call();
    let mut wanting = Vec::new();
    for row in &resting {
        let function = tx.catalog.function(row.text("step_name")?);
        if let Some(cleanup) = function.and_then(|function| stored(function.cleanup)) {
            wanting.push(row.id("execution_id")?);
            call.row().id(row.id("execution_id")?).int(cleanup);
        }
    }
    tx.lock_executions(wanting).await?;
    tx.change(&call.by_id()).await?;
    let resting = rows::ids(&resting)?;
    ends.retain(|end| !resting.contains(&end.id));
    Ok(ends)
}

/// Begins the cleanups of those of these executions that want one and in which nobody holds a lease; how many.
pub(super) async fn begin(tx: &mut Tx<'_>, book: &mut WaitBook, executions: &[Id]) -> Result<usize> {
    let mut call = EXECUTIONS_CLEAN_UP.call().ids(executions.iter().copied());
    let begun = tx.fetch(call.due(tx.now)).await?;
    if begun.is_empty() {
        return Ok(0);
    }
    for row in &begun {
        if let Some(time) = micros(row.optional_int("cleanup")?) {
            tx.hint_due(tx.now.after(time));
        }
    }
    let roots = begun.iter().map(|row: &Row| row.id("root_task_id")).collect::<Result<Vec<Id>>>()?;
    book.load(tx, roots.iter().copied()).await?;
    let mut call = TASKS_DELIVER.call();
    for row in tx.fetch(&TASKS_UNDELIVERED.call().ids(roots.iter().copied())).await? {
        let root = row.id("parent_task_id")?;
        let arrival = book.next_arrival(root);
        book.delivered(root, arrival);
        call.row().id(row.id("id")?).int(arrival as i64);
    }
    tx.change(&call.by_id()).await?;
    // They wait for nothing any more.
    roots.iter().for_each(|root| book.forget(*root));
    tx.change(&TASKS_CLEAN_UP.call().ids(roots)).await?;
    tx.hint_work();
    Ok(begun.len())
}
