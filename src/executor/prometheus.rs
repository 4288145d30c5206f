//! Statistics in Prometheus's text format.

use std::fmt::Write as _;

use super::metrics::{BUCKETS_US, HistogramValues};
use super::stats::Stats;

impl Stats {
    /// In Prometheus's text format.
    pub fn to_prometheus(&self) -> String {
        render(self)
    }
}

/// Every metric's name begins with `stent_`.
fn render(stats: &Stats) -> String {
    let mut page = Page::default();
    page.head("executions", "gauge", "Executions in the store, by state.");
    for (state, count) in &stats.store.executions {
        page.sample("executions", &[("state", state)], *count);
    }
    page.head("tasks", "gauge", "Tasks in the store, by state.");
    for (state, count) in &stats.store.tasks {
        page.sample("tasks", &[("state", state)], *count);
    }
    page.head("ready_tasks", "gauge", "Tasks that may be claimed now.");
    for depth in &stats.store.ready {
        let labels = [("queue", depth.queue.as_deref().unwrap_or("")), ("function", &depth.function)];
        page.sample("ready_tasks", &labels, depth.count);
    }
    page.head("ready_oldest_seconds", "gauge", "The age of the oldest task that may be claimed now.");
    for depth in &stats.store.ready {
        let labels = [("queue", depth.queue.as_deref().unwrap_or("")), ("function", &depth.function)];
        page.sample("ready_oldest_seconds", &labels, depth.oldest.as_secs_f64());
    }
    let store = &stats.store;
    page.single("scheduled_tasks", "gauge", "Pending tasks that may not start yet.", store.scheduled);
    page.single("dead_letters", "gauge", "Dead letters in the store.", store.dead_letters);
    page.single("parked_tasks", "gauge", "Tasks whose code does not match their journal.", store.parked);
    page.single("workers", "gauge", "Workers that the store knows.", store.workers);
    if let Some(log) = &stats.write_ahead_log {
        page.single("wal_bytes", "gauge", "The size of the SQLite file's write-ahead log.", log.bytes);
        let help = "For how long a reader has kept the large log from being cut.";
        page.single("wal_blocked_seconds", "gauge", help, log.blocked.as_secs_f64());
    }
    page.head("worker_slots", "gauge", "Slots of the workers in this process, by use.");
    for worker in &stats.workers {
        let id = worker.worker_id.as_str();
        page.sample("worker_slots", &[("worker", id), ("use", "running")], worker.running);
        page.sample("worker_slots", &[("worker", id), ("use", "prefetched")], worker.prefetched);
        page.sample("worker_slots", &[("worker", id), ("use", "all")], worker.slots);
    }
    for (name, help, value) in stats.metrics.counters.each() {
        page.single(&format!("{name}_total"), "counter", help.trim(), value);
    }
    page.histogram(
        "schedule_to_start_seconds",
        "From the moment a task may start to its handler's start.",
        &stats.metrics.schedule_to_start,
    );
    page.histogram("run_seconds", "From a handler's start to its end.", &stats.metrics.run_time);
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible = write!(self.0, "# HELP stent_{name} {help}\n# TYPE stent_{name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let _infallible = write!(self.0, "stent_{name}");
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _infallible = write!(self.0, "{before}{label}=\"{}\"", escape(text));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _infallible = writeln!(self.0, "{after} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.sample(name, &[], value);
    }

    fn histogram(&mut self, name: &str, help: &str, values: &HistogramValues) {
        self.head(name, "histogram", help);
        let mut seen = 0;
        for (bucket, bound) in values.buckets.iter().zip(BUCKETS_US) {
            seen += bucket;
            let bound = (bound as f64 / 1e6).to_string();
            self.sample(&format!("{name}_bucket"), &[("le", &bound)], seen);
        }
        self.sample(&format!("{name}_bucket"), &[("le", "+Inf")], values.count());
        self.sample(&format!("{name}_sum"), &[], values.sum_us as f64 / 1e6);
        self.sample(&format!("{name}_count"), &[], values.count());
    }
}

/// A label's value: backslash, quote and line feed would end it.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::backend::{Depth, LogSize, StoreStats};
    use crate::executor::MetricValues;

    fn stats() -> Stats {
        let mut metrics = MetricValues::default();
        metrics.counters.claimed = 7;
        metrics.run_time.buckets[0] = 2;
        metrics.run_time.buckets[14] = 1;
        metrics.run_time.sum_us = 1_500_000;
        let store = StoreStats {
            ready: vec![Depth {
                queue: Some("a\"b\\c\nd".into()),
                function: "f".into(),
                count: 3,
                oldest: Duration::from_millis(1500),
            }],
            ..StoreStats::default()
        };
        let write_ahead_log = Some(LogSize { bytes: 4096, blocked: Duration::from_millis(2500) });
        Stats { store, metrics, workers: Vec::new(), write_ahead_log }
    }

    #[test]
    fn labels_are_escaped() {
        let text = render(&stats());
        assert!(text.contains("stent_ready_tasks{queue=\"a\\\"b\\\\c\\nd\",function=\"f\"} 3\n"), "{text}");
        assert!(text.contains("function=\"f\"} 1.5\n"), "{text}");
    }

    #[test]
    fn counters_and_histograms_have_the_usual_form() {
        let text = render(&stats());
        for line in [
            "# TYPE stent_claimed_total counter",
            "stent_claimed_total 7",
            "stent_run_seconds_bucket{le=\"0.0001\"} 2",
            "stent_run_seconds_bucket{le=\"60\"} 2",
            "stent_run_seconds_bucket{le=\"+Inf\"} 3",
            "stent_run_seconds_sum 1.5",
            "stent_run_seconds_count 3",
            "stent_wal_bytes 4096",
            "stent_wal_blocked_seconds 2.5",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn every_metric_has_one_head() {
        let text = render(&stats());
        let mut heads: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let all = heads.len();
        heads.sort_unstable();
        heads.dedup();
        assert_eq!(heads.len(), all);
    }
}
