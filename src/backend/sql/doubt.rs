//! Claims whose commit got no answer, so that nobody knows whether the worker has the tasks. They are kept for the
//! worker's next claim, which finds out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::advance;
use super::statements::TASKS_ADOPT;
use super::tx::Tx;
use crate::backend::{Claimed, Commands, Held, Outcome, Transition};
use crate::model::Result;

/// Claims in doubt, by worker. A worker claims once at a time.
#[derive(Default)]
pub(super) struct Doubts(Mutex<HashMap<String, Vec<Claimed>>>);

impl Doubts {
    fn held(&self) -> MutexGuard<'_, HashMap<String, Vec<Claimed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn take(&self, worker_id: &str) -> Vec<Claimed> {
        self.held().remove(worker_id).unwrap_or_default()
    }

    /// The same task may be there twice, by two claims; these have different fences.
    pub fn put(&self, worker_id: &str, claimed: impl IntoIterator<Item = Claimed>) {
        let mut claimed = claimed.into_iter().peekable();
        if claimed.peek().is_none() {
            return;
        }
        let mut held = self.held();
        let known = held.entry(worker_id.to_owned()).or_default();
        for claimed in claimed {
            let same = |other: &Claimed| other.task.id == claimed.task.id && other.task.fence == claimed.task.fence;
            if !known.iter().any(same) {
                known.push(claimed);
            }
        }
    }
}

/// Returns those of these tasks that the worker holds, and gives them a new lease. Waits for a commit that is still on
/// its way.
pub(super) async fn adopt(
    tx: &mut Tx<'_>,
    worker_id: &str,
    lease: Duration,
    mut claimed: Vec<Claimed>,
) -> Result<Vec<Claimed>> {
    let mut call = TASKS_ADOPT.call();
    for Claimed { task, .. } in &claimed {
        call.row().id(task.id).int(task.fence as i64);
    }
    let until = tx.now.after(lease);
    let mut call = call.by_id();
    let mut found = HashMap::new();
    for row in tx.fetch(call.lease(until).text(worker_id)).await? {
        found.insert(row.id("id")?, row.count::<u64>("fence")?);
    }
    claimed.retain(|claimed| found.get(&claimed.task.id) == Some(&claimed.task.fence));
    for claimed in &mut claimed {
        claimed.task.lease_expires_at = Some(until);
    }
    Ok(claimed)
}

/// Releases the tasks that a worker may hold by such claims, because it will not claim again.
pub(super) async fn give_back(tx: &mut Tx<'_>, worker_id: &str, claimed: Vec<Claimed>) -> Result<()> {
    let adopted = adopt(tx, worker_id, Duration::ZERO, claimed).await?;
    let release = |Claimed { task, .. }: Claimed| Transition {
        held: Held { task: task.id, execution: task.execution_id, parent: task.parent_task_id, fence: task.fence },
        commands: Commands::default(),
        outcome: Outcome::Release,
    };
    let releases: Vec<Transition> = adopted.into_iter().map(release).collect();
    advance::apply(tx, &releases).await.map(drop)
}
