//! Journals that begin anew: failed children opened again for a retry, and tasks that continue from the start.

use super::statements::{
    DEAD_LETTERS_TAKE_BACK, IDEMPOTENCY_KEEP, SIGNAL_WAITS_UNSEEN, TASKS_BELOW, TASKS_FAILED_BELOW, TASKS_FORGET,
    TASKS_FORGET_FAILED, TASKS_FORGET_TREES, TASKS_FORGET_WAITS, TASKS_OPENED_AT, TASKS_REOPEN,
};
use super::tx::Tx;
use super::waits::WaitBook;
use super::{below, rows, signals};
use crate::backend::Held;
use crate::model::{Id, Result};

/// What of a task's journal goes.
#[derive(Clone, Copy)]
enum Part {
    /// Operations that were cancelled because the task had ended: it runs again, and asks for them anew.
    CancelledFromAbove,
    All,
}

/// The failed activities of a task run again, in their place in the journal, and so do those below that they failed of;
/// failed steps, timers and waits leave it, and are made anew by the retry. Their dead letters are taken back.
pub(super) async fn reopen_children(tx: &mut Tx<'_>, task: Id) -> Result<()> {
    let failed = rows::ids(&tx.fetch(TASKS_FAILED_BELOW.call().id(task)).await?)?;
    // Where they ended, a large tree may not be cancelled to its end yet.
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

/// An empty journal: unfinished operations are cancelled, recorded ones go, signals that were taken but not seen by
/// the handler (arrived after `seen`) are there again.
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

/// Takes operations of these tasks away, with all that is below them. The results of idempotent calls stay with their
/// keys.
async fn forget(tx: &mut Tx<'_>, tasks: &[Id], part: Part) -> Result<()> {
    let mut call = TASKS_BELOW.call();
    for task in tasks {
        call.row().id(*task).flag(matches!(part, Part::All));
    }
    let below = rows::ids(&tx.fetch(&call).await?)?;
    for statement in [&IDEMPOTENCY_KEEP, &TASKS_FORGET_WAITS, &TASKS_FORGET_TREES, &TASKS_FORGET] {
        tx.change(&statement.call().ids(below.iter().copied())).await?;
    }
    Ok(())
}
