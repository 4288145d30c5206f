//! Statistics: the store's counts, and the metrics of this executor in this process.

use std::collections::BTreeMap;

use serde::Serialize;

use super::histogram::HistogramValues;
use super::metrics::MetricValues;
use super::status::WorkerStatus;
use crate::backend::{LogSize, StoreStats};

/// The store's counts, and what this executor measured in this process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    pub store: StoreStats,
    pub metrics: MetricValues,
    pub workers: Vec<WorkerStatus>,
    /// Of a SQLite file; null elsewhere.
    pub write_ahead_log: Option<LogSize>,
}

impl Stats {
    /// Latency bounds by name, in microseconds, for those who do not read histograms.
    pub fn latencies_us(&self) -> BTreeMap<&'static str, [u64; 3]> {
        let of = |values: &HistogramValues| [0.5, 0.95, 0.99].map(|part| values.quantile(part));
        BTreeMap::from([
            ("schedule_to_start", of(&self.metrics.schedule_to_start)),
            ("run_time", of(&self.metrics.run_time)),
        ])
    }
}
