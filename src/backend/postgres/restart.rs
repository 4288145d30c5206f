//! Journals that begin anew: failed children opened again for a retry, and tasks that continue from the start.

use super::tx::Tx;
use super::waits::WaitBook;
use super::{error, signals, trees};
use crate::backend::Held;
use crate::model::{Id, Result};

/// The failed activities of a task run again, in their place in the journal; failed steps, timers and waits leave it,
/// and are made anew by the retry. Their dead letters are taken back.
pub(super) async fn reopen_children(tx: &mut Tx, task: Id) -> Result<()> {
    let map = error::map("open failed children again");
    for sql in [
        include_str!("sql/dead_letters_take_back.sql"),
        include_str!("sql/tasks_forget_failed.sql"),
        include_str!("sql/tasks_reopen.sql"),
    ] {
        sqlx::query(sql).bind(task).execute(&mut tx.conn).await.map_err(&map)?;
    }
    tx.hint_work();
    Ok(())
}

/// An empty journal: unfinished operations are cancelled, recorded ones go, signals that were taken but not seen by
/// the handler (arrived after `seen`) are there again.
pub(super) async fn from_the_start(tx: &mut Tx, book: &mut WaitBook, held: &Held, seen: u64) -> Result<()> {
    trees::cancel_all_below(tx, held.task).await?;
    let unseen = sqlx::query(include_str!("sql/signal_waits_unseen.sql"))
        .bind(held.task)
        .bind(seen as i64)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(error::map("find signals that were not seen"))?;
    for row in &unseen {
        signals::put_back(tx, book, super::rows::Columns(row).id("id")?, held.task).await?;
    }
    for sql in [
        // The results of idempotent calls outlive their tasks.
        include_str!("sql/idempotency_keep_below.sql"),
        include_str!("sql/waits_forget_below.sql"),
        include_str!("sql/tasks_forget_below.sql"),
    ] {
        sqlx::query(sql).bind(held.task).execute(&mut tx.conn).await.map_err(error::map("empty a journal"))?;
    }
    book.restart(held.task);
    Ok(())
}
