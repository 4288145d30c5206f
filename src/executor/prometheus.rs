//! Statistics in Prometheus's text format.

use std::fmt::Write as _;

use super::histogram::HistogramValues;
use super::series::SeriesValues;
use super::stats::Stats;
use crate::backend::{LogSize, ScheduleCounts, StoreStats};
use crate::model::{ExecutionState, TaskState};

impl Stats {
    /// In Prometheus's text format.
    pub fn to_prometheus(&self) -> String {
        render(self)
    }
}

/// Every metric's name begins with `stent_`.
fn render(stats: &Stats) -> String {
    let mut page = Page::default();
    page.store(&stats.store, stats.write_ahead_log);
    page.head("worker_slots", Kind::Gauge, "Slots of the workers in this process, by use.");
    for worker in &stats.workers {
        let id = worker.worker_id.as_str();
        page.sample("worker_slots", &[("worker", id), ("use", "running")], worker.running);
        page.sample("worker_slots", &[("worker", id), ("use", "prefetched")], worker.prefetched);
        page.sample("worker_slots", &[("worker", id), ("use", "all")], worker.slots);
    }
    for (name, help, value) in stats.metrics.counters.each() {
        page.single(&format!("{name}_total"), Kind::Counter, help.trim(), value);
    }
    let metrics = &stats.metrics;
    page.head("schedule_to_start_seconds", Kind::Histogram, "From the moment a task may start to its handler's start.");
    page.histogram("schedule_to_start_seconds", &[], &metrics.schedule_to_start);
    page.head("commit_transitions", Kind::Histogram, "How many tasks' transitions a worker's transaction recorded.");
    page.histogram("commit_transitions", &[], &metrics.commit_transitions);
    by_function(&mut page, &metrics.by_function);
    page.finish()
}

fn by_function(page: &mut Page, all: &[SeriesValues]) {
    page.head("outcomes_total", Kind::Counter, "What was recorded of tasks, by outcome.");
    for series in all {
        for (outcome, count) in series.outcomes.each() {
            let [queue, function] = labels(series.queue.as_deref(), &series.function);
            page.sample("outcomes_total", &[queue, function, ("outcome", outcome)], count);
        }
    }
    type Of = fn(&SeriesValues) -> &HistogramValues;
    let histograms: [(&str, &str, Of); 4] = [
        ("queue_age_seconds", "From the moment a task may start to its claim.", |series| &series.queue_age),
        ("claim_to_start_seconds", "From a task's claim to its handler's start.", |series| &series.claim_to_start),
        ("run_seconds", "From a handler's start to its end.", |series| &series.run_time),
        ("commit_bytes", "Payloads and errors in what was recorded of a task at once.", |series| &series.commit_size),
    ];
    for (name, help, of) in histograms {
        page.head(name, Kind::Histogram, help);
        for series in all {
            page.histogram(name, &labels(series.queue.as_deref(), &series.function), of(series));
        }
    }
}

fn labels<'a>(queue: Option<&'a str>, function: &'a str) -> [(&'static str, &'a str); 2] {
    [("queue", queue.unwrap_or("")), ("function", function)]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A page for Prometheus, metric by metric: its head, then its samples. The names are given without their prefix, `stent_`.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// What a store is asked for: its counts, and how its log is doing.
    pub fn store(&mut self, store: &StoreStats, log: Option<LogSize>) {
        self.head("executions", Kind::Gauge, "Executions in the store, by state.");
        for state in ExecutionState::WORDS {
            self.sample("executions", &[("state", state)], store.executions.get(state).copied().unwrap_or(0));
        }
        self.head("tasks", Kind::Gauge, "Tasks in the store, by state.");
        for state in TaskState::WORDS {
            self.sample("tasks", &[("state", state)], store.tasks.get(state).copied().unwrap_or(0));
        }
        self.head("ready_tasks", Kind::Gauge, "Tasks that may be claimed now.");
        for depth in &store.ready {
            self.sample("ready_tasks", &labels(depth.queue.as_deref(), &depth.function), depth.count);
        }
        self.head("ready_oldest_seconds", Kind::Gauge, "The age of the oldest task that may be claimed now.");
        for depth in &store.ready {
            let labels = labels(depth.queue.as_deref(), &depth.function);
            self.sample("ready_oldest_seconds", &labels, depth.oldest.as_secs_f64());
        }
        let help = "Tasks that wait for a slot or a token of their concurrency_key.";
        self.head("waiting_for_slots_tasks", Kind::Gauge, help);
        for (function, count) in &store.waiting_for_slots {
            self.sample("waiting_for_slots_tasks", &[("function", function)], *count);
        }
        self.single("scheduled_tasks", Kind::Gauge, "Pending tasks that may not start yet.", store.scheduled);
        self.single("dead_letters", Kind::Gauge, "Dead letters in the store.", store.dead_letters);
        self.single("parked_tasks", Kind::Gauge, "Tasks whose code does not match their journal.", store.parked);
        self.single("workers", Kind::Gauge, "Workers that the store knows.", store.workers);
        let help = "Since when a queue or a function is paused, in seconds since 1970.";
        self.head("paused_since_seconds", Kind::Gauge, help);
        for pause in &store.paused {
            let labels = labels(pause.queue.as_deref(), pause.function.as_deref().unwrap_or(""));
            self.sample("paused_since_seconds", &labels, pause.since.micros() as f64 / 1e6);
        }
        let ScheduleCounts { active, paused, waiting, broken, late } = store.schedules;
        self.head("schedules", Kind::Gauge, "Schedules, by state.");
        for (state, count) in [("active", active), ("paused", paused), ("broken", broken)] {
            self.sample("schedules", &[("state", state)], count);
        }
        let help = "Ticks of schedules that start when those before them have ended.";
        self.single("schedule_waiting_ticks", Kind::Gauge, help, waiting);
        let help = "How late the latest schedule is that is due.";
        self.single("schedule_late_seconds", Kind::Gauge, help, late.as_secs_f64());
        if let Some(log) = log {
            self.single("wal_bytes", Kind::Gauge, "The size of the SQLite file's write-ahead log.", log.bytes);
            let help = "For how long a reader has kept the large log from being cut.";
            self.single("wal_blocked_seconds", Kind::Gauge, help, log.blocked.as_secs_f64());
        }
    }

    /// The metric whose samples come next.
    pub fn head(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _infallible = write!(self.0, "# HELP stent_{name} {help}\n# TYPE stent_{name} {kind}\n");
    }

    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let _infallible = write!(self.0, "stent_{name}");
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _infallible = write!(self.0, "{before}{label}=\"{}\"", escape(text));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _infallible = writeln!(self.0, "{after} {value}");
    }

    /// A metric with one sample.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.sample(name, &[], value);
    }

    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], values: &HistogramValues) {
        let mut seen = 0;
        let bucket = format!("{name}_bucket");
        let mut at = |bound: &str, count: u64| {
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound)]).collect();
            self.sample(&bucket, &labels, count);
        };
        for (bucket, bound) in values.buckets.iter().zip(values.scale.bounds) {
            seen += bucket;
            at(&values.in_base_unit(*bound).to_string(), seen);
        }
        at("+Inf", values.count());
        self.sample(&format!("{name}_sum"), labels, values.in_base_unit(values.sum));
        self.sample(&format!("{name}_count"), labels, values.count());
    }

    pub fn finish(self) -> String {
        self.0
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
    use crate::backend::Depth;
    use crate::executor::metrics::Metrics;

    fn stats() -> Stats {
        let mut metrics = Metrics::default().values();
        metrics.counters.claimed = 7;
        metrics.schedule_to_start.buckets[0] = 2;
        metrics.schedule_to_start.buckets[20] = 1;
        metrics.schedule_to_start.sum = 1_500_000;
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
            "stent_schedule_to_start_seconds_bucket{le=\"0.0001\"} 2",
            "stent_schedule_to_start_seconds_bucket{le=\"3600\"} 2",
            "stent_schedule_to_start_seconds_bucket{le=\"+Inf\"} 3",
            "stent_schedule_to_start_seconds_sum 1.5",
            "stent_schedule_to_start_seconds_count 3",
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
