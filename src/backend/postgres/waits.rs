//! Who waits for what. All that one transaction delivers to a parent touches its row once: it is locked and read before,
//! changed in memory, and written at the end.

use std::ops::{Deref, DerefMut};

use super::batch::Batch;
use super::rows::Columns;
use super::tx::{Tx, nothing_more};
use crate::backend::decide::{Book, FIRST_CALL};
use crate::model::{Id, OpSet, Result, Wait};

/// The book, and how it is read and written.
#[derive(Default)]
pub(super) struct WaitBook(Book);

impl Deref for WaitBook {
    type Target = Book;

    fn deref(&self) -> &Book {
        &self.0
    }
}

impl DerefMut for WaitBook {
    fn deref_mut(&mut self) -> &mut Book {
        &mut self.0
    }
}

impl WaitBook {
    /// Locks and reads the rows of these tasks, but for those that are here already; makes those that are not there.
    pub async fn load(&mut self, tx: &mut Tx, tasks: impl IntoIterator<Item = Id>) -> Result<()> {
        let mut missing = self.lock(tx, tasks).await?;
        while !missing.is_empty() {
            let sql = include_str!("sql/waits_ensure.sql");
            let made = tx.fetch_batch("make waits", sql, Batch::of_ids(missing.iter().copied()), nothing_more).await?;
            for row in &made {
                self.read(Columns(row).id("task_id")?, 0, None);
            }
            // What others have made in between.
            missing = self.lock(tx, missing).await?;
        }
        Ok(())
    }

    /// As [`WaitBook::load`], but makes none. The answer: those that are not there.
    pub async fn lock(&mut self, tx: &mut Tx, tasks: impl IntoIterator<Item = Id>) -> Result<Vec<Id>> {
        let mut tasks: Vec<Id> = tasks.into_iter().filter(|task| !self.knows(*task)).collect();
        let batch = Batch::of_ids(tasks.iter().copied());
        let found = tx.fetch_batch("read waits", include_str!("sql/waits_get.sql"), batch, nothing_more).await?;
        for row in &found {
            let row = Columns(row);
            let wait = match row.get::<Option<&str>>("mode")? {
                None => None,
                Some(mode) => Some(Wait {
                    mode: mode.parse()?,
                    ops: OpSet::from_text(row.get("ops")?)?,
                    missing: row.count("missing")?,
                }),
            };
            self.read(row.id("task_id")?, row.count("arrivals")?, wait);
        }
        tasks.retain(|task| !self.knows(*task));
        Ok(tasks)
    }

    /// Writes what changed and wakes those whose wait is over, each once.
    pub async fn save(&mut self, tx: &mut Tx) -> Result<()> {
        let mut changed = Batch::new();
        let mut woken = Batch::new();
        self.settle(|task, arrivals, wait, over| {
            if over {
                woken.row().id(task);
            }
            let mut columns = changed.row();
            columns.id(task).int(arrivals as i64);
            match wait {
                Some(wait) => {
                    columns.text(wait.mode.as_str()).text(wait.ops.to_text().as_str()).int(wait.missing as i64)
                }
                None => columns.text(None).text(None).int(None),
            };
        });
        tx.run_batch("record waits", include_str!("sql/waits_save.sql"), changed.by_id(), nothing_more).await?;
        wake(tx, woken.by_id()).await
    }
}

/// Suspended tasks whose wait is over may be claimed: first by the worker that suspended them.
async fn wake(tx: &mut Tx, tasks: Batch) -> Result<()> {
    let until = tx.now.after(FIRST_CALL);
    let limited = tx.catalog.limited();
    let sql = include_str!("sql/tasks_wake.sql");
    let woken = tx.run_batch("wake suspended tasks", sql, tasks, |query| query.bind(until).bind(limited)).await?;
    if woken > 0 {
        tx.hint_work();
        tx.hint_due(until);
    }
    Ok(())
}
