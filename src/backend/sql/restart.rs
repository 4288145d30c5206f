//! Changes journals so that they can be run again: failed children run again for a retry, and a task that continues
//! gets an empty journal.

use super::statements::{
    DEAD_LETTERS_TAKE_BACK, IDEMPOTENCY_KEEP, SIGNAL_WAITS_UNSEEN, TASKS_BELOW, TASKS_FAILED_BELOW, TASKS_FORGET,
    TASKS_FORGET_FAILED, TASKS_FORGET_TREES, TASKS_FORGET_WAITS, TASKS_OPENED_AT, TASKS_REOPEN,
};
use super::tx::Tx;
use super::waits::WaitBook;
use super::{below, idempotency, rows, signals};
use crate::backend::Held;
use crate::model::{Id, Result};

/// Which part of a journal is deleted.
#[derive(Clone, Copy)]
enum Part {
    /// Operations that were cancelled because their task had ended. It runs again, and asks for them anew.
    CancelledFromAbove,
    All,
}

/// Failed activities of a task run again, in their place in the journal, and so do the failed ones below them. Failed
/// steps, timers and waits are deleted, and the retry asks for them anew. The dead letters of all of these are deleted.
pub(super) async fn reopen_children(tx: &mut Tx<'_>, task: Id) -> Result<()> {
    let failed = rows::ids(&tx.fetch(TASKS_FAILED_BELOW.call().id(task)).await?)?;
    // The tree below a failed task may be large and not cancelled to its end yet.
    below::cancel_all_below(tx, failed.clone()).await?;
    forget(tx, &failed, Part::CancelledFromAbove).await?;
    let statements =
        [&TASKS_FORGET_TREES, &DEAD_LETTERS_TAKE_BACK, &TASKS_OPENED_AT, &TASKS_FORGET_FAILED, &TASKS_REOPEN];
    for statement in statements {
        tx.change(&statement.call().ids(failed.iter().copied())).await?;
    }
    tx.hint_work();
    Ok(())
}

/// Empties a task's journal: unfinished operations are cancelled, recorded ones deleted. Signals that were taken but
/// arrived after `seen`, so that the handler has not seen them, can be taken again.
pub(super) async fn from_the_start(tx: &mut Tx<'_>, book: &mut WaitBook, held: &Held, seen: u64) -> Result<()> {
    below::cancel_all_below(tx, vec![held.task]).await?;
    let unseen = rows::ids(&tx.fetch(SIGNAL_WAITS_UNSEEN.call().id(held.task).int(seen as i64)).await?)?;
    for wait in unseen {
        signals::put_back(tx, book, wait, held.task).await?;
    }
    forget(tx, &[held.task], Part::All).await?;
    book.restart(held.task);
    Ok(())
}

/// Deletes operations of these tasks and all their descendants. The results of idempotent calls are kept under their
/// keys.
async fn forget(tx: &mut Tx<'_>, tasks: &[Id], part: Part) -> Result<()> {
    let mut call = TASKS_BELOW.call();
    for task in tasks {
        call.row().id(*task).flag(matches!(part, Part::All));
    }
    let below = rows::ids(&tx.fetch(&call).await?)?;
    tx.lock_waits(below.iter().copied()).await?;
    idempotency::lock(tx, below.iter().copied()).await?;
    for statement in [&IDEMPOTENCY_KEEP, &TASKS_FORGET_WAITS, &TASKS_FORGET_TREES, &TASKS_FORGET] {
        tx.change(&statement.call().ids(below.iter().copied())).await?;
    }
    Ok(())
}
