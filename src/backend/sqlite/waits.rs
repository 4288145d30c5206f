//! Who waits for what. All that one transaction delivers to a parent touches its row once: it is read before, changed
//! in memory, and written at the end.

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
    /// Reads the rows of these tasks, but for those that are here already.
    pub async fn load(&mut self, tx: &mut Tx, tasks: &[Id]) -> Result<()> {
        let mut batch = Batch::new();
        for task in tasks {
            if !self.knows(*task) {
                batch.row().id(*task);
                self.read(*task, 0, None);
            }
        }
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
        Ok(())
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
        tx.run_batch("record waits", include_str!("sql/waits_save.sql"), changed, nothing_more).await?;
        wake(tx, woken).await
    }
}

/// Suspended tasks whose wait is over may be claimed: first by the worker that suspended them.
async fn wake(tx: &mut Tx, tasks: Batch) -> Result<()> {
    let until = tx.now.after(FIRST_CALL);
    let woken = tx
        .run_batch("wake suspended tasks", include_str!("sql/tasks_wake.sql"), tasks, |query| {
            query.bind(until.micros())
        })
        .await?;
    if woken > 0 {
        tx.hint_work();
        tx.hint_due(until);
    }
    Ok(())
}
