//! What one executor measures: relaxed atomics, cheap enough to update for every task.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::histogram::{COUNTS, DURATIONS, Histogram, HistogramValues, SIZES};
use super::series::{AllSeries, SeriesValues};

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
    /// Attempts that said "not now".
    snoozed,
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
    /// Ticks of schedules that a sweep started.
    ticks_started,
    /// Ticks of schedules that a sweep lets wait for those before them.
    ticks_queued,
    /// Ticks of schedules that a sweep left out by the rule for overlap.
    ticks_skipped,
    /// Ticks of schedules for which nobody was there in time, those that are noted.
    ticks_missed,
    /// Transactions of worker loops.
    advances,
    /// Store calls of workers that failed.
    store_errors,
    /// Hosts that took no events for so long that they counted as dead.
    dead_hosts,
}

#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) counters: Counters,
    pub(super) schedule_to_start: Histogram,
    pub(super) commit_transitions: Histogram,
    pub(super) series: AllSeries,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            counters: Counters::default(),
            schedule_to_start: Histogram::new(&DURATIONS),
            commit_transitions: Histogram::new(&COUNTS),
            series: AllSeries::default(),
        }
    }
}

impl Metrics {
    pub(super) fn values(&self) -> MetricValues {
        let by_function = self.series.values();
        let mut run_time = HistogramValues::none(&DURATIONS);
        by_function.iter().for_each(|series| run_time.add(&series.run_time));
        MetricValues {
            counters: self.counters.values(),
            schedule_to_start: self.schedule_to_start.values(),
            run_time,
            commit_transitions: self.commit_transitions.values(),
            by_function,
            bounds: Bounds { us: DURATIONS.bounds, bytes: SIZES.bounds, transitions: COUNTS.bounds },
        }
    }
}

/// Everything that an executor measured, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MetricValues {
    pub counters: CounterValues,
    /// From the moment a task may start to its handler's first start.
    pub schedule_to_start: HistogramValues,
    /// From a handler's start to its end, deferred time included.
    pub run_time: HistogramValues,
    /// How many tasks' transitions a worker's transaction recorded.
    pub commit_transitions: HistogramValues,
    pub by_function: Vec<SeriesValues>,
    pub bounds: Bounds,
}

/// The upper bounds of the histograms' buckets, by unit; the last bucket has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounds {
    pub us: &'static [u64],
    pub bytes: &'static [u64],
    pub transitions: &'static [u64],
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

pub(super) fn count_many(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

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
