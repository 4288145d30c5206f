//! Counts over time, at two paces, and the rates that follow from them. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use stent::backend::StoreStats;
use stent::model::{ExecutionState, Timestamp};

/// One look at the store.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    pub at: Timestamp,
    pub started: u64,
    pub ended: u64,
    pub failed: u64,
    pub ready: u64,
    /// The middle of the newest executions: until they began, and from then to their end.
    pub wait: Option<Duration>,
    pub run: Option<Duration>,
}

impl Count {
    pub fn new(at: Timestamp, stats: &StoreStats, wait: Option<Duration>, run: Option<Duration>) -> Self {
        let count = |state: ExecutionState| stats.executions.get(state.as_str()).copied().unwrap_or(0);
        let failed = count(ExecutionState::Failed) + count(ExecutionState::TimedOut);
        Self {
            at,
            started: stats.executions.values().sum(),
            ended: failed + count(ExecutionState::Completed) + count(ExecutionState::Cancelled),
            failed,
            ready: stats.ready.iter().map(|depth| depth.count).sum(),
            wait,
            run,
        }
    }
}

/// A place on a chart. Rates are by the second, since the look before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    pub at: Timestamp,
    pub started: f64,
    pub ended: f64,
    pub failed: f64,
    pub ready: u64,
    pub wait_seconds: Option<f64>,
    pub run_seconds: Option<f64>,
    /// Nobody looked for a while before this: no line leads here.
    pub gap: bool,
}

#[derive(Debug)]
pub struct Series {
    counts: VecDeque<Count>,
    step: Duration,
    span: Duration,
}

impl Series {
    /// A count is kept every `step`, for so long.
    pub fn new(step: Duration, span: Duration) -> Self {
        Self { counts: VecDeque::new(), step, span }
    }

    pub fn add(&mut self, count: Count) {
        if self.counts.back().is_some_and(|last| count.at.since(last.at) < self.step) {
            return;
        }
        self.counts.push_back(count);
        while self.counts.front().is_some_and(|first| count.at.since(first.at) > self.span) {
            self.counts.pop_front();
        }
    }

    /// The first of all counts is where the second is counted from.
    pub fn points(&self) -> Vec<Point> {
        let pairs = self.counts.iter().zip(self.counts.iter().skip(1));
        pairs.map(|(before, now)| self.point(before, now)).collect()
    }

    fn point(&self, before: &Count, now: &Count) -> Point {
        let passed = now.at.since(before.at);
        // What a cleanup takes away is no negative rate.
        let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / passed.as_secs_f64().max(0.001);
        Point {
            at: now.at,
            started: rate(before.started, now.started),
            ended: rate(before.ended, now.ended),
            failed: rate(before.failed, now.failed),
            ready: now.ready,
            wait_seconds: now.wait.map(|time| time.as_secs_f64()),
            run_seconds: now.run.map(|time| time.as_secs_f64()),
            gap: passed > self.step * 4 + Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(second: i64, started: u64) -> Count {
        Count { at: Timestamp::from_micros(second * 1_000_000), started, ..Count::default() }
    }

    #[test]
    fn rates_follow_from_counts_and_gaps_are_seen() {
        let mut series = Series::new(Duration::from_secs(2), Duration::from_secs(60));
        for (second, started) in [(0, 10), (1, 11), (2, 14), (4, 14), (50, 106), (52, 0)] {
            series.add(count(second, started));
        }
        let points = series.points();
        let told: Vec<_> = points.iter().map(|point| (point.started, point.gap)).collect();
        assert_eq!(told, [(2.0, false), (0.0, false), (2.0, true), (0.0, false)]);
        series.add(count(110, 0));
        assert_eq!(series.points().len(), 2, "what is old goes");
    }
}
