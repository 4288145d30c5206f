//! What is made of two looks at a store: rates; and of the newest executions: latencies. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use stent::backend::StoreStats;
use stent::model::{Execution, ExecutionState};

/// Rates are those of so long.
const SPAN: Duration = Duration::from_secs(10);

/// How many there were, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    at: Duration,
    started: u64,
    ended: u64,
    failed: u64,
}

/// Counts of the last seconds.
#[derive(Debug, Default)]
pub struct Samples(VecDeque<Sample>);

/// In a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    pub started: f64,
    pub ended: f64,
    pub failed: f64,
}

impl Samples {
    /// `at`: since the beginning of the view.
    pub fn add(&mut self, at: Duration, stats: &StoreStats) {
        let count = |state: ExecutionState| stats.executions.get(state.as_str()).copied().unwrap_or(0);
        let failed = count(ExecutionState::Failed) + count(ExecutionState::TimedOut);
        let ended = failed + count(ExecutionState::Completed) + count(ExecutionState::Cancelled);
        self.0.push_back(Sample { at, started: stats.executions.values().sum(), ended, failed });
        // The one before the span's beginning is where it is counted from.
        while self.0.get(1).is_some_and(|second| at.saturating_sub(second.at) >= SPAN) {
            self.0.pop_front();
        }
    }

    /// None: there was one look only. What a cleanup takes away is no negative rate.
    pub fn rates(&self) -> Option<Rates> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let took = last.at.saturating_sub(first.at).as_secs_f64();
        let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / took;
        (took > 0.0).then(|| Rates {
            started: rate(first.started, last.started),
            ended: rate(first.ended, last.ended),
            failed: rate(first.failed, last.failed),
        })
    }
}

/// The middle one, and the one that 95 of 100 are not above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    pub middle: Duration,
    pub most: Duration,
}

fn spread(mut times: Vec<Duration>) -> Option<Spread> {
    times.sort_unstable();
    let at = |part: usize| times.get((times.len() * part / 100).min(times.len().checked_sub(1)?)).copied();
    Some(Spread { middle: at(50)?, most: at(95)? })
}

/// Until they began, and from then to their end; of those that have ended. And how many these were.
pub fn latencies(executions: &[Execution]) -> (Option<Spread>, Option<Spread>, usize) {
    let over: Vec<_> =
        executions.iter().filter_map(|one| Some((one.created_at, one.started_at?, one.completed_at?))).collect();
    let begun = spread(over.iter().map(|(created, started, _)| started.since(*created)).collect());
    let ran = spread(over.iter().map(|(_, started, completed)| completed.since(*started)).collect());
    (begun, ran, over.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let stats = |completed: u64, failed: u64| StoreStats {
            executions: [("completed", completed), ("failed", failed), ("running", 7)].into(),
            ..StoreStats::default()
        };
        let mut samples = Samples::default();
        assert_eq!(samples.rates(), None);
        samples.add(Duration::ZERO, &stats(1_000, 0));
        assert_eq!(samples.rates(), None);
        samples.add(Duration::from_secs(4), &stats(1_040, 4));
        assert_eq!(samples.rates(), Some(Rates { started: 11.0, ended: 11.0, failed: 1.0 }));
        for second in 5..=20 {
            samples.add(Duration::from_secs(second), &stats(1_040, 4));
        }
        assert_eq!(samples.rates(), Some(Rates::default()));
        samples.add(Duration::from_secs(21), &stats(0, 0));
        assert_eq!(samples.rates(), Some(Rates::default()), "cleaned up");
    }

    #[test]
    fn the_middle_is_in_the_middle() {
        let millis = |times: &[u64]| times.iter().map(|millis| Duration::from_millis(*millis)).collect::<Vec<_>>();
        assert_eq!(spread(Vec::new()), None);
        let spread = spread(millis(&(1..=100).rev().collect::<Vec<_>>())).unwrap();
        assert_eq!((spread.middle.as_millis(), spread.most.as_millis()), (51, 96));
    }
}
