//! Queues that are shared out among fairness keys. It is the tables' triggers that give a task its place among the ready: in
//! the lane's own time, which is that of what is first in it, each task of a key comes after the one before by the cost of
//! that, less with a higher weight. A key that had nothing there begins where the lane is, so nobody saves up time, and
//! nobody pays later for what was idle (start-time fair queueing). A place is given once, when the task is ready for the
//! first time: what is tried again or goes on keeps it. It is no more than the time by which the ready are ordered, so a claim
//! knows nothing of keys.
//!
//! Here is what else there is: a queue is shared out from its first task with a key on, and those without one then have the
//! empty key; and a call has its parent's.

use std::collections::HashMap;

use super::catalog::Catalog;
use super::routes::route_of;
use super::row::Row;
use super::statements::TASKS_FAIRNESS;
use super::tx::Tx;
use crate::backend::decide::Resolved;
use crate::model::{Id, Result, Route, TaskOptions};

/// False: the queue is to be marked first.
pub(super) fn is_settled(catalog: &Catalog, run: &mut Resolved) -> bool {
    let is_shared = catalog.shares(&run.queue);
    if is_shared && run.fairness_key.is_none() {
        run.fairness_key = Some(String::new());
    }
    is_shared || run.fairness_key.is_none()
}

pub(super) async fn settle_key(tx: &mut Tx<'_>, run: &mut Resolved) -> Result<()> {
    if is_settled(&tx.catalog, run) { Ok(()) } else { mark(tx, &run.queue).await }
}

/// That a queue is shared out is known as routes are: in each process, from the next transaction on. So it is one, of no
/// function.
pub(super) async fn mark(tx: &mut Tx<'_>, queue: &Option<String>) -> Result<()> {
    if !tx.catalog.shares(queue) {
        route_of(tx, Route::new(queue.clone(), String::new(), Vec::new())).await?;
    }
    Ok(())
}

/// Whose the calls of a task are.
pub(super) struct Owner {
    key: String,
    weight: Option<f64>,
}

impl Owner {
    /// Of a call that names nobody.
    pub fn given_to(&self, options: &TaskOptions) -> Option<TaskOptions> {
        options.fairness_key.is_none().then(|| TaskOptions {
            fairness_key: Some(self.key.clone()),
            fairness_weight: self.weight,
            ..options.clone()
        })
    }
}

/// The keys of tasks that call something, as far as they have some.
pub(super) async fn owners(tx: &mut Tx<'_>, callers: impl Iterator<Item = Id>) -> Result<HashMap<Id, Owner>> {
    if !tx.catalog.shares_any() {
        return Ok(HashMap::new());
    }
    let found = tx.fetch(&TASKS_FAIRNESS.call().ids(callers)).await?;
    let owner = |row: &Row| {
        let (key, weight) = (row.string("fairness_key")?, row.optional_real("fairness_weight")?);
        Ok((row.id("id")?, Owner { key, weight }))
    };
    found.iter().map(owner).collect()
}
