//! The poll that correctness rests on, sweeps of what is due, and the cleanup. Timers, ended leases and expiries belong
//! to every worker, for the whole store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::executor::log::LogRecord;
use crate::executor::metrics::count;
use crate::executor::sync::jittered;
use crate::model::{CleanupOptions, Level};

/// What is due and can't be taken (another worker has it in hand) is looked at again after this.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Polls: a claim, if there is room for one, and a sweep. Between polls sweeps when something is due.
pub(super) async fn keep(shared: Arc<Shared>) {
    // Doubled by the first poll, which is now.
    let mut interval = shared.options.poll_interval / 2;
    let mut poll_at = Instant::now();
    loop {
        let at = shared.due.get().map_or(poll_at, |due| due.min(poll_at));
        tokio::select! {
            () = tokio::time::sleep_until(at.into()) => {}
            () = shared.due.changed() => continue,
        }
        sweep(&shared).await;
        if Instant::now() < poll_at {
            continue;
        }
        interval = if shared.take_worked() {
            shared.options.poll_interval
        } else {
            (interval * 2).min(shared.options.poll_interval_max)
        };
        poll_at = Instant::now() + jittered(interval);
        if let Err(why) = shared.pool.kick() {
            let told = format!("no handler thread could be started: {why}");
            shared.log(Level::Error, || LogRecord::new("stent.worker", told));
        }
        shared.hint_work();
    }
}

async fn sweep(shared: &Shared) {
    shared.due.take();
    loop {
        count(&shared.core.metrics.counters.sweeps);
        let swept = match shared.core.backend.sweep(&shared.worker_id).await {
            Ok(swept) => swept,
            Err(error) => {
                // The next poll sweeps again.
                shared.trouble("sweep", &error);
                return;
            }
        };
        shared.no_trouble("sweep");
        if swept.changed > 0 {
            shared.hint_work();
        }
        if swept.more && swept.changed > 0 {
            continue;
        }
        if let Some(after) = swept.next_due {
            let least = if swept.changed == 0 { BUSY_PAUSE } else { Duration::ZERO };
            let pause = if after.is_zero() { least } else { after };
            shared.due.no_later_than(Instant::now() + pause);
        }
        return;
    }
}

/// Removes what ended long ago, every now and then. Dead letters stay, and what they need, until somebody says otherwise.
pub(super) async fn keep_clean(shared: Arc<Shared>) {
    let Some(interval) = shared.options.cleanup_interval else { return };
    let retention = shared.options.retention_period;
    loop {
        tokio::time::sleep(jittered(interval)).await;
        let options = CleanupOptions { older_than: retention, dead_letters: None };
        match shared.core.cleanup(options).await {
            Ok(_) => shared.no_trouble("clean up"),
            Err(error) => shared.trouble("clean up", &error),
        }
    }
}
