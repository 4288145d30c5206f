//! How a connection waits for a lock that another one has. SQLite's own waiting sleeps longer and longer, up to 100 ms, and
//! so loses to everybody who has just begun to wait: beside a process that writes without pause it waited for seconds.
//! Here all who wait look at short intervals of random lengths, however long they have waited.

use std::ffi::c_int;
use std::thread;
use std::time::{Duration, Instant};

/// Microseconds: the shortest interval, and by how much the others are longer.
const INTERVAL: (u64, u64) = (200, 1800);

pub(super) struct Busy {
    patience: Duration,
    since: Instant,
    chance: u64,
}

impl Busy {
    pub fn new() -> Self {
        // Any two that wait differ: by their places in memory, or their processes.
        let place = std::ptr::from_ref(&INTERVAL).addr() as u64;
        let seed = place ^ (u64::from(std::process::id()) << 32) ^ rand::random::<u64>();
        Self { patience: Duration::ZERO, since: Instant::now(), chance: seed | 1 }
    }

    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// `tries`: those that were made since the wait began. False: it has waited long enough.
    pub fn wait(&mut self, tries: c_int) -> bool {
        if tries == 0 {
            self.since = Instant::now();
        }
        let left = self.patience.saturating_sub(self.since.elapsed());
        if left.is_zero() {
            return false;
        }
        thread::sleep(self.interval().min(left));
        true
    }

    fn interval(&mut self) -> Duration {
        // Xorshift: nothing here may panic.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        Duration::from_micros(INTERVAL.0 + self.chance % INTERVAL.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_in_short_steps_of_different_lengths_until_its_time_is_over() {
        let mut busy = Busy::new();
        let steps: Vec<Duration> = (0..1000).map(|_| busy.interval()).collect();
        assert!(steps.iter().all(|step| (200..2000).contains(&step.as_micros())));
        assert!(steps.iter().collect::<std::collections::HashSet<_>>().len() > 300);
        assert!(!busy.wait(0), "no patience");
        busy.set_patience(Duration::from_millis(20));
        let start = Instant::now();
        let tries = (0..).take_while(|tries| busy.wait(*tries)).count();
        assert!(tries >= 2 && start.elapsed() >= Duration::from_millis(20), "{tries}");
        assert!(busy.wait(0), "a new wait has its own time");
    }
}
