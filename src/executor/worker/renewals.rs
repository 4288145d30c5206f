//! Leases are renewed by the engine, never by handlers: all that a worker has, in one statement.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::shared::Shared;
use crate::backend::Renew;
use crate::executor::metrics::{count, count_many};
use crate::executor::sync::Moment;
use crate::executor::task::{TaskCore, flag};
use crate::model::Id;

pub(super) async fn keep(shared: Arc<Shared>) {
    let interval = shared.heartbeat_interval();
    let mut at = Instant::now() + interval;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(at.into()) => {
                // What was claimed just now has time until the next round: most tasks end before it.
                let old = |task: &Arc<TaskCore>| task.claimed_at().elapsed() >= interval / 2;
                let renewed = renew(&shared, shared.held().into_iter().filter(old).collect()).await;
                // A renewal that failed is tried again well before the lease ends.
                at = Instant::now() + if renewed { interval } else { interval / 5 };
            }
            doubtful = shared.doubted() => {
                renew(&shared, doubtful).await;
            }
        }
    }
}

/// Without a lease that is worth it nothing is asked. False: the store did not answer.
async fn renew(shared: &Shared, mut tasks: Vec<Arc<TaskCore>>) -> bool {
    // Also of what has ended here, as long as the store has not recorded it.
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
        // One that has ended meanwhile is no loss: its verdict tells.
        if lost.contains(&task.held.task) && !task.is_ending() && task.lose(flag::LOST) {
            gone.push(task);
        }
    }
    count_many(&shared.core.metrics.counters.lost_leases, gone.len());
    shared.forget(&gone);
    true
}
