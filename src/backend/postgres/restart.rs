//! Journals that begin anew: failed children opened again for a retry, and tasks that continue from the start.

use super::batch::Batch;
use super::rows::Columns;
use super::tx::{Tx, nothing_more};
use super::waits::WaitBook;
use super::{error, signals, trees};
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
pub(super) async fn reopen_children(tx: &mut Tx, task: Id) -> Result<()> {
    let found = sqlx::query(include_str!("sql/tasks_failed_below.sql"))
        .bind(task)
        .fetch_all(&mut *tx.conn)
        .await
        .map_err(error::map("find failed children"))?;
    let failed = found.iter().map(|row| Columns(row).id("id")).collect::<Result<Vec<Id>>>()?;
    // Where they ended, a large tree may not be cancelled to its end yet.
    trees::cancel_all_below(tx, failed.clone()).await?;
    forget(tx, &failed, Part::CancelledFromAbove).await?;
    for sql in [
        include_str!("sql/tasks_forget_trees.sql"),
        include_str!("sql/dead_letters_take_back.sql"),
        include_str!("sql/tasks_forget_failed.sql"),
        include_str!("sql/tasks_reopen.sql"),
    ] {
        tx.run_batch("open failed children again", sql, Batch::of_ids(failed.iter().copied()), nothing_more).await?;
    }
    tx.hint_work();
    Ok(())
}

/// An empty journal: unfinished operations are cancelled, recorded ones go, signals that were taken but not seen by
/// the handler (arrived after `seen`) are there again.
pub(super) async fn from_the_start(tx: &mut Tx, book: &mut WaitBook, held: &Held, seen: u64) -> Result<()> {
    trees::cancel_all_below(tx, vec![held.task]).await?;
    let unseen = sqlx::query(include_str!("sql/signal_waits_unseen.sql"))
        .bind(held.task)
        .bind(seen as i64)
        .fetch_all(&mut *tx.conn)
        .await
        .map_err(error::map("find signals that were not seen"))?;
    for row in &unseen {
        signals::put_back(tx, book, Columns(row).id("id")?, held.task).await?;
    }
    forget(tx, &[held.task], Part::All).await?;
    book.restart(held.task);
    Ok(())
}

/// Takes operations of these tasks away, with all that is below them. The results of idempotent calls stay with their
/// keys.
async fn forget(tx: &mut Tx, tasks: &[Id], part: Part) -> Result<()> {
    let mut batch = Batch::new();
    for task in tasks {
        batch.row().id(*task).flag(matches!(part, Part::All));
    }
    let found = tx.fetch_batch("look below tasks", include_str!("sql/tasks_below.sql"), batch, nothing_more).await?;
    let below = found.iter().map(|row| Columns(row).id("id")).collect::<Result<Vec<Id>>>()?;
    for sql in [
        include_str!("sql/idempotency_keep.sql"),
        include_str!("sql/tasks_forget_waits.sql"),
        include_str!("sql/tasks_forget_trees.sql"),
        include_str!("sql/tasks_forget.sql"),
    ] {
        tx.run_batch("empty a journal", sql, Batch::of_ids(below.iter().copied()), nothing_more).await?;
    }
    Ok(())
}
