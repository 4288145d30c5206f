//! Counters and latency histograms of one executor: relaxed atomics, cheap enough to update for every task.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;

/// Upper bounds of the latency buckets, in microseconds; the last bucket has none.
pub const BUCKETS_US: [u64; 14] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000, 60_000_000];

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => {
        /// What the workers of an executor did in this process since it started.
        #[derive(Debug, Default)]
        pub(super) struct Counters { $(pub(super) $name: AtomicU64),* }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct CounterValues { $($(#[doc = $doc])* pub $name: u64),* }

        impl Counters {
            fn values(&self) -> CounterValues {
                CounterValues { $($name: self.$name.load(Relaxed)),* }
            }
        }

        impl CounterValues {
            /// Name, meaning and value of each counter.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
                [$((stringify!($name), concat!($($doc),*), self.$name)),*].into_iter()
            }
        }
    };
}

counters! {
    /// Tasks taken from the store.
    claimed,
    /// Tasks that ended with a result.
    completed,
    /// Failures recorded: retried, dead-lettered or passed up.
    failed,
    /// Failures that are tried again.
    retried,
    /// Tasks that used up their attempts.
    dead_lettered,
    /// Suspensions recorded.
    suspended,
    /// Runs of tasks that had a journal.
    resumed,
    /// Tasks given back without a charge.
    released,
    /// Tasks started over with new arguments.
    continued,
    /// Tasks parked because their code does not match their journal.
    parked,
    /// Leases found to be another's.
    lost_leases,
    /// Attempts that ran longer than their time-out.
    timeouts,
    /// Calls answered from the result cache.
    cache_hits,
    /// Renewal statements.
    renewals,
    /// Sweeps of what is due.
    sweeps,
    /// Transactions of worker loops.
    advances,
    /// Store calls of workers that failed.
    store_errors,
    /// Hosts that took no events for so long that they counted as dead.
    dead_hosts,
}

/// A histogram with the bounds [`BUCKETS_US`].
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    pub(super) fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(micros, Relaxed);
    }

    fn values(&self) -> HistogramValues {
        HistogramValues {
            buckets: std::array::from_fn(|index| self.buckets[index].load(Relaxed)),
            sum_us: self.sum_us.load(Relaxed),
        }
    }
}

/// A histogram at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HistogramValues {
    /// Observations in each bucket (not cumulated), the last one beyond every bound.
    pub buckets: [u64; BUCKETS_US.len() + 1],
    pub sum_us: u64,
}

impl HistogramValues {
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The upper bound, in microseconds, of the bucket in which this part (0..=1) of the observations is reached; 0
    /// when there are none. What lies beyond the last bound is told as the last bound.
    pub fn quantile_us(&self, part: f64) -> u64 {
        let count = self.count();
        if count == 0 {
            return 0;
        }
        let wanted = ((count as f64) * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, bound) in self.buckets.iter().zip(BUCKETS_US) {
            seen += bucket;
            if seen >= wanted {
                return bound;
            }
        }
        BUCKETS_US[BUCKETS_US.len() - 1]
    }
}

#[derive(Debug, Default)]
pub(super) struct Metrics {
    pub(super) counters: Counters,
    pub(super) schedule_to_start: Histogram,
    pub(super) run_time: Histogram,
}

impl Metrics {
    pub(super) fn values(&self) -> MetricValues {
        MetricValues {
            counters: self.counters.values(),
            schedule_to_start: self.schedule_to_start.values(),
            run_time: self.run_time.values(),
        }
    }
}

/// Everything that an executor measured, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MetricValues {
    pub counters: CounterValues,
    /// From the moment a task may start to its handler's first start.
    pub schedule_to_start: HistogramValues,
    /// From a handler's start to its end, deferred time included.
    pub run_time: HistogramValues,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

pub(super) fn count_many(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 59_000_000, 90_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let values = histogram.values();
        assert_eq!(values.buckets[0], 2);
        assert_eq!(values.buckets[1], 1);
        assert_eq!(values.buckets[13], 1);
        assert_eq!(values.buckets[14], 1);
        assert_eq!((values.count(), values.sum_us), (5, 149_000_201));
    }

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let histogram = Histogram::default();
        assert_eq!(histogram.values().quantile_us(0.5), 0);
        for _ in 0..9 {
            histogram.observe(Duration::from_micros(800));
        }
        histogram.observe(Duration::from_secs(100));
        assert_eq!(histogram.values().quantile_us(0.5), 1_000);
        assert_eq!(histogram.values().quantile_us(1.0), 60_000_000);
    }

    #[test]
    fn counters_are_told_with_their_meaning() {
        let metrics = Metrics::default();
        count(&metrics.counters.claimed);
        count_many(&metrics.counters.completed, 3);
        let values = metrics.values().counters;
        let told: Vec<_> = values.each().collect();
        assert_eq!(told[0], ("claimed", " Tasks taken from the store.", 1));
        assert_eq!(told[1].2, 3);
    }
}
