//! Reads and writes the `waits` rows: what suspended tasks wait for, and how many ends were delivered to each. In one
//! transaction a row is locked and read once, changed in memory and written at the end, however many ends are
//! delivered.

use std::ops::{Deref, DerefMut};

use super::row::Row;
use super::statements::{TASKS_WAKE, WAITS_ENSURE, WAITS_SAVE};
use super::tx::Tx;
use crate::backend::decide::{Book, FIRST_CALL};
use crate::model::{Id, OpSet, Result, Wait};

/// [`Book`], with the statements that read and write it.
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
    /// Locks and reads the rows of these tasks, except those that are in the book already; inserts rows that don't
    /// exist.
    pub async fn load(&mut self, tx: &mut Tx<'_>, tasks: impl IntoIterator<Item = Id>) -> Result<()> {
        let mut missing = self.lock(tx, tasks).await?;
        if tx.is_alone() {
            // Nobody else can insert them, so they are inserted when the book is saved.
            missing.drain(..).for_each(|task| self.read(task, 0, None));
        }
        while !missing.is_empty() {
            for row in tx.fetch(&WAITS_ENSURE.call().ids(missing.iter().copied())).await? {
                self.read(row.id("task_id")?, 0, None);
            }
            // Rows that another transaction has inserted in the meantime are read now.
            missing = self.lock(tx, missing).await?;
        }
        Ok(())
    }

    /// Returns the tasks that have no row.
    async fn lock(&mut self, tx: &mut Tx<'_>, tasks: impl IntoIterator<Item = Id>) -> Result<Vec<Id>> {
        let mut tasks: Vec<Id> = tasks.into_iter().filter(|task| !self.knows(*task)).collect();
        for row in tx.get_waits(tasks.clone()).await? {
            self.read(row.id("task_id")?, row.count("arrivals")?, wait(&row)?);
        }
        tasks.retain(|task| !self.knows(*task));
        Ok(tasks)
    }

    /// Writes the changed rows, and wakes the tasks whose wait is over.
    pub async fn save(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        let mut changed = WAITS_SAVE.call();
        let mut woken = Vec::new();
        self.settle(|task, arrivals, wait, over| {
            if over {
                woken.push(task);
            }
            changed.row().id(task).int(arrivals as i64);
            match wait {
                Some(wait) => changed.text(wait.mode.as_str()).made(wait.ops.to_text()).int(wait.missing as i64),
                None => changed.text(None).text(None).int(None),
            };
        });
        tx.change(&changed.by_id()).await?;
        wake(tx, woken).await
    }
}

fn wait(row: &Row) -> Result<Option<Wait>> {
    let Some(mode) = row.optional_text("mode")? else { return Ok(None) };
    Ok(Some(Wait { mode: mode.parse()?, ops: OpSet::from_text(row.text("ops")?)?, missing: row.count("missing")? }))
}

/// Suspended tasks may be claimed again: for a short time only by the worker that suspended them.
async fn wake(tx: &mut Tx<'_>, tasks: Vec<Id>) -> Result<()> {
    let until = tx.now.after(FIRST_CALL);
    let mut call = TASKS_WAKE.call().ids(tasks);
    // Where there is no other it needs no first call.
    let shared = tx.catalog.has_others();
    call.due(until).texts(tx.catalog.counted()).flag(shared).ints(tx.catalog.paused());
    if tx.change(&call).await? > 0 {
        tx.hint_work();
        if shared {
            tx.hint_due(until);
        }
    }
    Ok(())
}
