//! Who waits for what. All that one transaction delivers to a parent touches its row once: it is locked and read before,
//! changed in memory, and written at the end.

use std::collections::HashMap;
use std::time::Duration;

use super::batch::Batch;
use super::rows::Columns;
use super::tx::{Tx, nothing_more};
use crate::model::{Id, Op, OpSet, Result, Wait, WaitMode};

/// How long the worker that suspended a task has first call on it. It has the journal in memory, and a poller's
/// worker a live coroutine; others wait this long for it and no longer.
pub(super) const FIRST_CALL: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct WaitBook {
    rows: HashMap<Id, Row>,
}

#[derive(Default)]
struct Row {
    /// The largest number that an end was delivered under.
    arrivals: u64,
    /// The largest number that was given to an end; some come to nothing, and those after it are given again.
    given: u64,
    wait: Option<Wait>,
    changed: bool,
}

impl WaitBook {
    /// Locks and reads the rows of these tasks, but for those that are here already; makes those that are not there.
    pub async fn load(&mut self, tx: &mut Tx, tasks: impl IntoIterator<Item = Id>) -> Result<()> {
        let mut missing = self.lock(tx, tasks).await?;
        while !missing.is_empty() {
            let sql = include_str!("sql/waits_ensure.sql");
            let made = tx.fetch_batch("make waits", sql, Batch::of_ids(missing.iter().copied()), nothing_more).await?;
            for row in &made {
                self.rows.insert(Columns(row).id("task_id")?, Row::default());
            }
            // What others have made in between.
            missing = self.lock(tx, missing).await?;
        }
        Ok(())
    }

    /// As [`WaitBook::load`], but makes none. The answer: those that are not there.
    pub async fn lock(&mut self, tx: &mut Tx, tasks: impl IntoIterator<Item = Id>) -> Result<Vec<Id>> {
        let mut tasks: Vec<Id> = tasks.into_iter().filter(|task| !self.rows.contains_key(task)).collect();
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
            let arrivals = row.count("arrivals")?;
            self.rows.insert(row.id("task_id")?, Row { arrivals, given: arrivals, wait, changed: false });
        }
        tasks.retain(|task| !self.rows.contains_key(task));
        Ok(tasks)
    }

    /// A number for an end that is about to be delivered.
    pub fn next_arrival(&mut self, parent: Id) -> u64 {
        let row = self.rows.entry(parent).or_default();
        row.given += 1;
        row.given
    }

    /// The end that has this number is in the store.
    pub fn delivered(&mut self, parent: Id, arrival: u64) {
        let row = self.rows.entry(parent).or_default();
        row.arrivals = row.arrivals.max(arrival);
        row.changed = true;
    }

    /// The number that the next end does not have any more.
    pub fn given(&self, task: Id) -> u64 {
        self.rows.get(&task).map_or(0, |row| row.given)
    }

    /// The largest number so far.
    pub fn latest(&self, task: Id) -> u64 {
        self.rows.get(&task).map_or(0, |row| row.arrivals)
    }

    /// The operation has ended: the wait that counts on it is one nearer to its end.
    pub fn arrived(&mut self, parent: Id, op: Op) {
        if let Some(row) = self.rows.get_mut(&parent)
            && let Some(wait) = &mut row.wait
        {
            wait.arrive([op]);
            row.changed = true;
        }
    }

    /// From now on the task waits. What had arrived before is told by [`WaitBook::arrived`].
    pub fn suspend(&mut self, task: Id, mode: WaitMode, ops: OpSet) {
        let row = self.rows.entry(task).or_default();
        row.wait = Some(Wait::new(mode, ops));
        row.changed = true;
    }

    /// The task waits no more, whatever arrives.
    pub fn forget(&mut self, task: Id) {
        if let Some(row) = self.rows.get_mut(&task) {
            row.changed |= row.wait.take().is_some();
        }
    }

    /// Its journal is empty again: arrivals count from the beginning.
    pub fn restart(&mut self, task: Id) {
        self.rows.insert(task, Row { changed: true, ..Row::default() });
    }

    /// Writes what changed and wakes those whose wait is over, each once.
    pub async fn save(&mut self, tx: &mut Tx) -> Result<()> {
        let mut changed = Batch::new();
        let mut woken = Batch::new();
        for (task, row) in &mut self.rows {
            if !std::mem::take(&mut row.changed) {
                continue;
            }
            if row.wait.as_ref().is_some_and(Wait::is_over) {
                row.wait = None;
                woken.row().id(*task);
            }
            let mut columns = changed.row();
            columns.id(*task).int(row.arrivals as i64);
            match &row.wait {
                Some(wait) => {
                    columns.text(wait.mode.as_str()).text(wait.ops.to_text().as_str()).int(wait.missing as i64)
                }
                None => columns.text(None).text(None).int(None),
            };
        }
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
