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

/// What it has used so far, with the threads that have ended: time on a processor, and how often a thread waited for
/// something or was interrupted.
pub fn used() -> (Duration, u64) {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: all of it is numbers, and the call fills it.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = |time: libc::timeval| {
        let micros = time.tv_sec * 1_000_000 + time.tv_usec;
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    };
    let switches = u64::try_from(usage.ru_nvcsw + usage.ru_nivcsw).unwrap_or(0);
    (time(usage.ru_utime) + time(usage.ru_stime), switches)
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
