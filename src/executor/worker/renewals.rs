//! Renews all leases of a worker in one statement. The worker does this, not the handlers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::shared::Shared;
use crate::backend::Renew;
use crate::executor::metrics::{count, count_many};
use crate::executor::sync::Moment;
use crate::executor::task::{TaskCore, flag};
use crate::model::{Id, Level};

pub(super) async fn keep(shared: Arc<Shared>) {
    let interval = shared.heartbeat_interval();
    let mut at = Instant::now() + interval;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(at.into()) => {
                // Tasks that were claimed just now can wait for the next round: most end before it.
                let old = |task: &Arc<TaskCore>| task.claimed_at().elapsed() >= interval / 2;
                let renewed = renew(&shared, shared.held().into_iter().filter(old).collect()).await;
                // A failed renewal is tried again well before the leases end.
                at = Instant::now() + if renewed { interval } else { interval / 5 };
            }
            doubtful = shared.doubted() => {
                renew(&shared, doubtful).await;
            }
        }
    }
}

/// Renews the leases of these tasks, if any is left. False: the store did not answer.
async fn renew(shared: &Shared, mut tasks: Vec<Arc<TaskCore>>) -> bool {
    // Also of tasks that have ended here but are not recorded yet.
    tasks.retain(|task| !task.is(flag::GONE));
    if tasks.is_empty() {
        return true;
    }
    count(&shared.core.metrics.counters.renewals);
    let renew = Renew {
        worker_id: shared.worker_id.clone(),
        held: tasks.iter().map(|task| task.held).collect(),
        lease: shared.options.lease_duration,
    };
    let asked = Moment::now();
    let renewed = match shared.core.backend.renew(renew).await {
        Ok(renewed) => renewed,
        Err(error) => {
            shared.trouble("renew leases", &error);
            return false;
        }
    };
    shared.no_trouble("renew leases");
    let lost: HashSet<Id> = renewed.lost.into_iter().collect();
    let cancelled: HashSet<Id> = renewed.cancelled.into_iter().collect();
    let mut gone = Vec::new();
    for task in tasks {
        if !lost.contains(&task.held.task) {
            task.renewed(asked);
        }
        if cancelled.contains(&task.held.task) {
            task.cancel();
        }
        // For a task that has ended meanwhile the verdict on its end decides.
        if lost.contains(&task.held.task) && !task.is_ending() && task.lose(flag::LOST) {
            task.log(Level::Warn, "stent.worker", || {
                "a lease was lost: what its handler does is not recorded".to_owned()
            });
            gone.push(task);
        }
    }
    count_many(&shared.core.metrics.counters.lost_leases, gone.len() as u64);
    shared.forget(&gone);
    true
}
