//! What this process takes from the machine, by /proc.

use std::fs;
use std::time::Duration;

/// A number from /proc/self/status.
fn status(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

pub fn threads() -> u64 {
    status("Threads")
}

pub fn memory_kib() -> u64 {
    status("VmRSS")
}

/// Time that its threads have spent on a processor so far, to the nanosecond.
pub fn cpu_time() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let spent = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}
