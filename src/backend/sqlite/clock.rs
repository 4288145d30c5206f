//! The store's clock is the host's. Wall time for dates, and for what a person reads; for leases and durations the time
//! since boot, which nobody sets.
//!
//! What something waits for is one number: a date is the wall time; the end of a duration is [`DURATIONS`] and the time
//! since boot. It can be told which of both it is, and each kind is in order.

#[cfg(test)]
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::{Error, Result, Timestamp};

/// Later than any date.
const DURATIONS: i64 = 1 << 62;

/// Both clocks. In tests the wall clock can be set.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    #[cfg(test)]
    ahead: Arc<AtomicI64>,
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub wall: Timestamp,
    /// Microseconds since boot, including the time asleep.
    pub boottime: i64,
}

impl Clock {
    pub fn read(&self) -> Reading {
        /// Further apart, the thread was put aside between the clocks.
        const APART: i64 = 50;
        let mut best = self.read_once();
        for _ in 0..3 {
            if best.1 <= APART {
                break;
            }
            let next = self.read_once();
            best = if next.1 < best.1 { next } else { best };
        }
        best.0
    }

    /// And how long it took, in microseconds.
    fn read_once(&self) -> (Reading, i64) {
        let before = since_boot();
        let wall = self.wall();
        let took = since_boot() - before;
        (Reading { wall: Timestamp::from_micros(wall), boottime: before + took / 2 }, took)
    }

    fn wall(&self) -> i64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
        #[cfg(test)]
        let wall = wall + self.ahead.load(Ordering::SeqCst);
        wall
    }

    /// Sets the wall clock.
    #[cfg(test)]
    pub fn step(&self, seconds: i64) {
        self.ahead.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

fn since_boot() -> i64 {
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    boot.tv_sec * 1_000_000 + boot.tv_nsec / 1000
}

impl Reading {
    /// The wall time at which the boot began, as the wall clock has it now: it changes when that clock is set.
    pub fn began(self) -> i64 {
        self.wall.micros() - self.boottime
    }

    /// The time since boot at which it will be so late, if nobody sets the clock.
    pub fn until(self, at: Timestamp) -> i64 {
        self.boottime.saturating_add(at.micros().saturating_sub(self.wall.micros()))
    }

    /// The end of a duration, as it is stored.
    pub fn due(self, at: Timestamp) -> i64 {
        self.until(at).saturating_add(DURATIONS)
    }

    /// What is stored, as the wall clock has it now.
    pub fn wall_time(self, stored: i64) -> Timestamp {
        if stored < DURATIONS {
            return Timestamp::from_micros(stored);
        }
        let left = (stored - DURATIONS).saturating_sub(self.boottime);
        Timestamp::from_micros(self.wall.micros().saturating_add(left))
    }
}

/// Was the wall clock set, so that the boot's beginning has moved? What is less is how the clocks are read.
pub(super) fn was_set(began: i64, begins: i64) -> bool {
    const READING: i64 = 5_000;
    (begins - began).abs() > READING
}

/// A date, as it is stored.
pub(super) fn date(at: Timestamp) -> i64 {
    at.micros().min(DURATIONS - 1)
}

/// The kernel's name for this boot.
pub(super) fn boot_id() -> Result<String> {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    match std::fs::read_to_string(PATH) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(why) => {
            Err(Error::backend(format!("{PATH} can't be read: {why}; leases on SQLite need it to tell boots apart")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_duration_moves_with_the_wall_clock_and_a_date_does_not() {
        let at = Timestamp::from_micros;
        let before = Reading { wall: at(1_000_000), boottime: 50 };
        let after = Reading { wall: at(400_000), boottime: 60 };
        assert_eq!(after.wall_time(before.due(at(1_000_700))), at(400_690));
        assert_eq!(after.wall_time(date(at(1_000_700))), at(1_000_700));
        assert!(date(Timestamp::from_micros(i64::MAX)) < before.due(at(1_000_000)));
        assert_eq!((before.began(), after.began()), (999_950, 399_940));
        // Never.
        assert_eq!(before.due(at(i64::MAX)), i64::MAX);
    }

    #[test]
    fn both_clocks_are_read_at_once() {
        let clock = Clock::default();
        let (one, other) = (clock.read(), clock.read());
        assert!((one.began() - other.began()).abs() < 1_000_000, "{one:?} {other:?}");
        clock.step(-90);
        assert!((one.began() - clock.read().began() - 90_000_000).abs() < 1_000_000);
    }
}
