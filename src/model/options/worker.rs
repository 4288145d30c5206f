//! Options of a worker.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{check_name, check_tags};
use crate::model::{CONCURRENCY_MAX, Error, Rate, Result};

/// What a worker's start may say.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerOptions {
    /// None: a random UUID.
    pub worker_id: Option<String>,
    /// Empty: every queue.
    pub queues: Vec<String>,
    /// What it declares of queues, for all workers: how often tasks start there; none given: as often as there are some.
    pub queue_rates: BTreeMap<String, Option<Rate>>,
    /// Empty: every tag.
    pub tags: Vec<String>,
    /// Slots: handlers that run at once.
    pub max_concurrency: usize,
    /// Tasks claimed beyond the slots; none given: as many as there are slots.
    pub prefetch: Option<usize>,
    pub lease_duration: Duration,
    /// How often leases are renewed; none given: a third of the lease.
    pub heartbeat_interval: Option<Duration>,
    pub poll_interval: Duration,
    pub poll_interval_max: Duration,
    /// None: never.
    pub cleanup_interval: Option<Duration>,
    pub retention_period: Duration,
    /// How long a handler's await is held before it suspends.
    pub hold: Duration,
    /// Coroutines of waiting tasks that a poller's host keeps at most.
    pub max_coroutines: usize,
    /// A poller's host that takes no events for so long counts as dead; none given: three leases.
    pub host_timeout: Option<Duration>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            worker_id: None,
            queues: Vec::new(),
            queue_rates: BTreeMap::new(),
            tags: Vec::new(),
            max_concurrency: 10,
            prefetch: None,
            lease_duration: Duration::from_secs(30),
            heartbeat_interval: None,
            poll_interval: Duration::from_secs(1),
            poll_interval_max: Duration::from_secs(5),
            cleanup_interval: Some(Duration::from_secs(3600)),
            retention_period: Duration::from_secs(7 * 86_400),
            hold: Duration::ZERO,
            max_coroutines: 20_000,
            host_timeout: None,
        }
    }
}

impl WorkerOptions {
    pub fn check(&self) -> Result<()> {
        let wrong = |key: &'static str, why: String| Err(Error::invalid(format!("{key} {why}")).with("key", key));
        if let Some(worker_id) = &self.worker_id {
            check_name("worker_id", worker_id)?;
        }
        self.queues.iter().try_for_each(|queue| check_name("queues", queue))?;
        for (queue, rate) in &self.queue_rates {
            check_name("queue_rates", queue)?;
            let Some(rate) = rate else { continue };
            rate.check("queue_rates").map_err(|why| why.with("queue", queue.as_str()))?;
        }
        check_tags(&self.tags)?;
        if !(1..=CONCURRENCY_MAX).contains(&self.max_concurrency) {
            return wrong(
                "max_concurrency",
                format!("is {}; it must be from 1 to {CONCURRENCY_MAX}", self.max_concurrency),
            );
        }
        if let Some(prefetch) = self.prefetch.filter(|prefetch| *prefetch > CONCURRENCY_MAX) {
            return wrong("prefetch", format!("is {prefetch}; it must be from 0 to {CONCURRENCY_MAX}"));
        }
        for (key, duration) in [
            ("lease_duration", Some(self.lease_duration)),
            ("heartbeat_interval", self.heartbeat_interval),
            ("poll_interval", Some(self.poll_interval)),
            ("cleanup_interval", self.cleanup_interval),
            ("host_timeout", self.host_timeout),
        ] {
            if duration == Some(Duration::ZERO) {
                return wrong(key, "is 0; it must be longer".to_owned());
            }
        }
        if let Some(interval) = self.heartbeat_interval.filter(|interval| *interval >= self.lease_duration) {
            return wrong(
                "heartbeat_interval",
                format!(
                    "is {interval:?} and the lease lasts {:?}; it must be shorter, or leases end between renewals",
                    self.lease_duration
                ),
            );
        }
        if self.poll_interval > self.poll_interval_max {
            return wrong(
                "poll_interval",
                format!("is {:?}, longer than poll_interval_max, {:?}", self.poll_interval, self.poll_interval_max),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_make_no_sense_are_refused_by_name() {
        let good = WorkerOptions::default();
        good.check().unwrap();
        let second = Duration::from_secs(1);
        let never = Rate { limit: 0, period: 1.0, burst: 1 };
        for (key, options) in [
            ("max_concurrency", WorkerOptions { max_concurrency: 0, ..good.clone() }),
            ("prefetch", WorkerOptions { prefetch: Some(CONCURRENCY_MAX + 1), ..good.clone() }),
            ("lease_duration", WorkerOptions { lease_duration: Duration::ZERO, ..good.clone() }),
            ("heartbeat_interval", WorkerOptions { heartbeat_interval: Some(60 * second), ..good.clone() }),
            ("poll_interval", WorkerOptions { poll_interval: 6 * second, ..good.clone() }),
            ("cleanup_interval", WorkerOptions { cleanup_interval: Some(Duration::ZERO), ..good.clone() }),
            ("host_timeout", WorkerOptions { host_timeout: Some(Duration::ZERO), ..good.clone() }),
            ("worker_id", WorkerOptions { worker_id: Some(String::new()), ..good.clone() }),
            ("queues", WorkerOptions { queues: vec![String::new()], ..good.clone() }),
            ("queue_rates", WorkerOptions { queue_rates: [(String::new(), None)].into(), ..good.clone() }),
            ("queue_rates", WorkerOptions { queue_rates: [("q".to_owned(), Some(never))].into(), ..good.clone() }),
        ] {
            let error = options.check().unwrap_err();
            assert!(error.message().starts_with(key), "{error}");
        }
    }
}
