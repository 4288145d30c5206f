//! Handles the store's notices for a worker. They are hints: merged, and not needed for correctness.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::shared::Shared;
use crate::backend::Notice;
use crate::executor::task::{TaskCore, flag};
use crate::model::{BATCH_MAX, Id};

/// Another process's commits come as one hint each: the store is asked about cancellations at most this often because of
/// them.
const FOREIGN_PAUSE: Duration = Duration::from_secs(1);

/// What another process's commit made due soon is looked for after this: a look reads a few rows.
const FOREIGN_LOOK: Duration = Duration::from_millis(25);

#[derive(Default)]
struct Bundle {
    work: bool,
    foreign: bool,
    due: Option<Duration>,
    cancelling: Vec<Id>,
    ended: Vec<Id>,
    arrived: Vec<Id>,
    lost: Vec<Id>,
}

impl Bundle {
    fn add(&mut self, notice: Notice, worker_id: &str) {
        match notice {
            Notice::Work { served } => self.work |= served.as_deref() != Some(worker_id),
            Notice::Due(after) => self.due = Some(self.due.map_or(after, |due| due.min(after))),
            Notice::Cancelling(ids) => self.cancelling.extend(ids),
            Notice::Arrived(ids) => self.arrived.extend(ids),
            Notice::Lost(ids) => self.lost.extend(ids),
            Notice::Foreign => self.foreign = true,
            Notice::Ended(ids) => self.ended.extend(ids),
        }
    }
}

pub(super) async fn keep(shared: Arc<Shared>, mut notices: Receiver<Notice>) {
    let mut looked = Instant::now();
    let mut look = false;
    loop {
        let mut bundle = Bundle::default();
        let wait = async {
            if look {
                tokio::time::sleep_until((looked + FOREIGN_PAUSE).into()).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            received = notices.recv() => match received {
                Ok(notice) => bundle.add(notice, &shared.worker_id),
                Err(RecvError::Lagged(_)) => bundle.foreign = true,
                // Polling goes on without notices.
                Err(RecvError::Closed) => return,
            },
            () = wait => {}
        }
        loop {
            match notices.try_recv() {
                Ok(notice) => bundle.add(notice, &shared.worker_id),
                Err(TryRecvError::Lagged(_)) => bundle.foreign = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        apply(&shared, &bundle);
        look |= bundle.foreign;
        if look && looked.elapsed() >= FOREIGN_PAUSE {
            look = false;
            looked = Instant::now();
            look_for_cancelled(&shared).await;
        }
    }
}

fn apply(shared: &Shared, bundle: &Bundle) {
    if let Some(after) = bundle.due {
        shared.due.no_later_than(Instant::now() + after);
    }
    if !bundle.cancelling.is_empty() {
        let executions: HashSet<Id> = bundle.cancelling.iter().copied().collect();
        let (cleaning, held): (Vec<_>, Vec<_>) = shared.held().into_iter().partition(|task| task.cleans_up());
        cancel(shared, &held, &executions);
        // The cancel that such a task follows may be told late; whether its time is over the store knows.
        shared.doubt(cleaning.into_iter().filter(|task| executions.contains(&task.held.execution)).collect());
    }
    if shared.inbox.is_some() && !(bundle.cancelling.is_empty() && bundle.ended.is_empty()) {
        shared.coroutines.evict_cancelled(&bundle.cancelling.iter().copied().collect());
        shared.coroutines.evict_of(&bundle.ended.iter().copied().collect());
    }
    if bundle.foreign {
        shared.held().iter().for_each(|task| task.arrived());
    } else if !bundle.arrived.is_empty() {
        shared.held_of(&bundle.arrived).iter().for_each(|task| task.arrived());
    }
    if !bundle.lost.is_empty() {
        shared.doubt(shared.held_of(&bundle.lost));
    }
    if bundle.foreign {
        shared.due.no_later_than(Instant::now() + FOREIGN_LOOK);
    }
    if bundle.work || bundle.foreign {
        shared.hint_work();
    }
}

pub(super) fn cancel(shared: &Shared, held: &[Arc<TaskCore>], executions: &HashSet<Id>) {
    for task in held.iter().filter(|task| executions.contains(&task.held.execution)) {
        task.cancel();
    }
    // Those that have a turn soon find it out by themselves.
    shared.batches.give_back(|task| task.is(flag::CANCELLED));
}

/// Errors are ignored: the renewals find the same.
async fn look_for_cancelled(shared: &Shared) {
    let held = shared.held();
    let running: HashSet<Id> = held.iter().map(|task| task.held.execution).collect();
    let running: Vec<Id> = running.union(&shared.coroutines.executions()).copied().collect();
    for chunk in running.chunks(BATCH_MAX) {
        if let Ok(cancelled) = shared.core.backend.cancelled_among(chunk.to_vec()).await {
            let cancelled = cancelled.into_iter().collect();
            cancel(shared, &held, &cancelled);
            shared.coroutines.evict_of(&cancelled);
        }
    }
}
