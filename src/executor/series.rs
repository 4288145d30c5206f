//! What is measured by queue and function. A series is looked up by the worker's loop, in a map of its own, when it claims
//! a task; the task keeps it. So no lock is taken for a task.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::histogram::{DURATIONS, Histogram, HistogramValues, SIZES};
use super::sync::lock;
use crate::backend::{Claimed, Outcome};

/// At most so many pairs of queue and function have series of their own: a store of metrics keeps each for long, and queues
/// may be named by whoever dispatches.
pub const SERIES_MAX: usize = 100;

/// As which queue and function all others are counted.
pub const OTHERS: &str = "(others)";

macro_rules! outcomes {
    ($($name:ident),* $(,)?) => {
        #[derive(Debug, Default)]
        struct OutcomeCounters { $($name: AtomicU64),* }

        /// How often what was recorded of tasks; as the counters of the same names.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct OutcomeValues { $(pub $name: u64),* }

        impl OutcomeCounters {
            fn values(&self) -> OutcomeValues {
                OutcomeValues { $($name: self.$name.load(Relaxed)),* }
            }
        }

        impl OutcomeValues {
            /// Name and value of each.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }
    };
}

outcomes! { completed, retried, snoozed, dead_lettered, passed_up, suspended, released, parked, continued }

/// Of one queue and function.
#[derive(Debug)]
pub(super) struct Series {
    queue: Option<String>,
    function: String,
    outcomes: OutcomeCounters,
    pub(super) queue_age: Histogram,
    pub(super) claim_to_start: Histogram,
    pub(super) run_time: Histogram,
    pub(super) commit_size: Histogram,
}

impl Series {
    fn new(queue: Option<&str>, function: &str) -> Self {
        Self {
            queue: queue.map(str::to_owned),
            function: function.to_owned(),
            outcomes: OutcomeCounters::default(),
            queue_age: Histogram::new(&DURATIONS),
            claim_to_start: Histogram::new(&DURATIONS),
            run_time: Histogram::new(&DURATIONS),
            commit_size: Histogram::new(&SIZES),
        }
    }

    fn is_of(&self, queue: Option<&str>, function: &str) -> bool {
        self.function == function && self.queue.as_deref() == queue
    }

    /// It is recorded.
    pub(super) fn count(&self, outcome: &Outcome) {
        let outcomes = &self.outcomes;
        let counter = match outcome {
            Outcome::Hold => return,
            Outcome::Complete { .. } => &outcomes.completed,
            Outcome::Retry { .. } => &outcomes.retried,
            Outcome::Snooze { .. } => &outcomes.snoozed,
            Outcome::DeadLetter { .. } => &outcomes.dead_lettered,
            Outcome::PassUp { .. } => &outcomes.passed_up,
            Outcome::Suspend { .. } => &outcomes.suspended,
            Outcome::Release => &outcomes.released,
            Outcome::Park { .. } => &outcomes.parked,
            Outcome::Continue { .. } => &outcomes.continued,
        };
        counter.fetch_add(1, Relaxed);
    }

    fn values(&self) -> SeriesValues {
        SeriesValues {
            queue: self.queue.clone(),
            function: self.function.clone(),
            outcomes: self.outcomes.values(),
            queue_age: self.queue_age.values(),
            claim_to_start: self.claim_to_start.values(),
            run_time: self.run_time.values(),
            commit_size: self.commit_size.values(),
        }
    }
}

/// What was measured of one queue and function, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeriesValues {
    pub queue: Option<String>,
    pub function: String,
    pub outcomes: OutcomeValues,
    /// From the moment a task may start to its claim; of runs without a journal.
    pub queue_age: HistogramValues,
    /// From the claim to the handler's start, in every run.
    pub claim_to_start: HistogramValues,
    /// From a handler's start to its end, deferred time included.
    pub run_time: HistogramValues,
    /// The bytes of payloads and errors in what was recorded of a task at once.
    pub commit_size: HistogramValues,
}

/// Every series of an executor. None is ever removed.
#[derive(Debug, Default)]
pub(super) struct AllSeries(Mutex<Vec<Arc<Series>>>);

impl AllSeries {
    pub(super) fn values(&self) -> Vec<SeriesValues> {
        let mut values: Vec<_> = lock(&self.0).iter().map(|series| series.values()).collect();
        values.sort_by(|one, other| (&one.queue, &one.function).cmp(&(&other.queue, &other.function)));
        values
    }

    /// Adds it, if it is new and there is room.
    fn get(&self, queue: Option<&str>, function: &str) -> Arc<Series> {
        let mut all = lock(&self.0);
        if let Some(known) = all.iter().find(|series| series.is_of(queue, function)) {
            return Arc::clone(known);
        }
        let full = all.len() >= SERIES_MAX;
        let (queue, function) = if full { (Some(OTHERS), OTHERS) } else { (queue, function) };
        let new = Arc::new(Series::new(queue, function));
        match all.last() {
            Some(last) if full && last.is_of(queue, function) => Arc::clone(last),
            _ => {
                all.push(Arc::clone(&new));
                new
            }
        }
    }

    /// All of them, once there will be no others.
    fn complete(&self) -> Option<Vec<Arc<Series>>> {
        let all = lock(&self.0);
        (all.len() > SERIES_MAX).then(|| all.clone())
    }
}

/// The series that one worker's loop has met.
#[derive(Debug, Default)]
pub(super) struct KnownSeries {
    by_function: HashMap<String, Vec<Arc<Series>>>,
    /// As which all others are counted, when no series are made any more.
    others: Option<Arc<Series>>,
}

impl KnownSeries {
    pub(super) fn of(&mut self, all: &AllSeries, claimed: &Claimed) -> Arc<Series> {
        let (queue, function) = (claimed.task.queue.as_deref(), claimed.task.step_name.as_str());
        let known = self.by_function.get(function).into_iter().flatten().find(|series| series.is_of(queue, function));
        if let Some(known) = known.or(self.others.as_ref()) {
            return Arc::clone(known);
        }
        let found = all.get(queue, function);
        if let Some(complete) = all.complete() {
            self.by_function.clear();
            self.others = complete.last().cloned();
            complete.into_iter().for_each(|series| self.keep(series));
        } else {
            self.keep(Arc::clone(&found));
        }
        found
    }

    fn keep(&mut self, series: Arc<Series>) {
        self.by_function.entry(series.function.clone()).or_default().push(series);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_series_is_bounded() {
        let all = AllSeries::default();
        let queue = |n: usize| format!("q{n}");
        for n in 0..SERIES_MAX + 20 {
            all.get(Some(&queue(n)), "f").run_time.observe(1);
        }
        all.get(Some("q0"), "f").run_time.observe(1);
        let values = all.values();
        assert_eq!(values.len(), SERIES_MAX + 1);
        let count =
            |queue: &str| values.iter().find(|one| one.queue.as_deref() == Some(queue)).unwrap().run_time.count();
        assert_eq!((count("q0"), count("q1"), count(OTHERS)), (2, 1, 20));
        assert_eq!(all.complete().unwrap().last().unwrap().function, OTHERS);
    }

    #[test]
    fn a_queue_is_told_from_none() {
        let all = AllSeries::default();
        all.get(None, "f").run_time.observe(1);
        all.get(Some(""), "f").run_time.observe(1);
        all.get(None, "g").run_time.observe(1);
        assert_eq!(all.values().len(), 3);
        assert!(all.complete().is_none());
    }
}
