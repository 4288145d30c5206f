//! Polls, sweeps and cleans up. Polling finds all work whose hint was lost. A sweep handles due timers, ended leases
//! and expiries for the whole store; every worker does it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::backend::{LogSize, TickCounts};
use crate::executor::log::LogRecord;
use crate::executor::metrics::{Counters, count, count_many};
use crate::executor::sync::jittered;
use crate::model::{CleanupOptions, Level};

/// The pause before a sweep is repeated when what is due could not be locked, because another worker is at it.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// The log has a reader in its way for so long before a person is told.
const LOG_BLOCKED: Duration = Duration::from_secs(10);

/// Between looks for tasks that nobody can run, at first and later on.
const DOUBT_FIRST: Duration = Duration::from_secs(1);
const DOUBT: Duration = Duration::from_secs(60);

/// What is to be said of a write-ahead log: that it can't be cut, again whenever it is twice as large, and that it was.
/// `told`: the size that was told last; 0: none.
fn word_on_log(log: LogSize, told: &mut u64) -> Option<(Level, String)> {
    if *told > 0 && log.blocked.is_zero() {
        *told = 0;
        return Some((Level::Info, "the write-ahead log was cut: nobody holds it up any more".to_owned()));
    }
    if log.blocked < LOG_BLOCKED || log.bytes < told.saturating_mul(2) {
        return None;
    }
    *told = log.bytes.max(1);
    let (size, seconds) = (log.bytes >> 20, log.blocked.as_secs());
    Some((
        Level::Warn,
        format!(
            "the write-ahead log has {size} MiB and could not be cut for {seconds} s: somebody reads an old state of the \
             file (a transaction left open, a shell, a long query or backup); it grows until that one ends"
        ),
    ))
}

/// Polls at intervals: claims, if there is room, and sweeps. Between polls it sweeps when something is due.
pub(super) async fn keep(shared: Arc<Shared>) {
    // The first poll is now, and doubles it.
    let mut interval = shared.options.poll_interval / 2;
    let mut poll_at = Instant::now();
    let (mut doubt_at, mut doubt_pause) = (poll_at, DOUBT_FIRST);
    let mut told = 0;
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
        if doubt_at <= poll_at {
            doubt_at = poll_at + doubt_pause;
            doubt_pause = (doubt_pause * 2).min(DOUBT);
            shared.core.doubt().await;
        }
        let word = shared.core.backend.log_size().and_then(|log| word_on_log(log, &mut told));
        if let Some((level, text)) = word {
            shared.log(level, || LogRecord::new("stent.store", text));
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
        count_ticks(&shared.core.metrics.counters, swept.ticks);
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

fn count_ticks(counters: &Counters, ticks: TickCounts) {
    let TickCounts { started, waiting, skipped, missed } = ticks;
    count_many(&counters.ticks_started, started);
    count_many(&counters.ticks_queued, waiting);
    count_many(&counters.ticks_skipped, skipped);
    count_many(&counters.ticks_missed, missed);
}

/// Deletes old executions at intervals. Dead letters are kept, and what they need.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_can_t_be_cut_is_told_once_for_each_doubling() {
        let mut told = 0;
        let mut word = |bytes, seconds| {
            let word = word_on_log(LogSize { bytes, blocked: Duration::from_secs(seconds) }, &mut told);
            word.map(|(level, text)| (level, text.split_whitespace().nth(4).map(str::to_owned)))
        };
        let warned = |size: &str| Some((Level::Warn, Some(size.to_owned())));
        assert_eq!(word(20 << 20, 0), None);
        assert_eq!(word(20 << 20, 9), None);
        assert_eq!(word(20 << 20, 10), warned("20"));
        assert_eq!(word(39 << 20, 60), None);
        assert_eq!(word(40 << 20, 61), warned("40"));
        assert_eq!(word(0, 0).map(|(level, _)| level), Some(Level::Info));
        assert_eq!(word(0, 0), None);
    }
}
