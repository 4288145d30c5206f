//! The store's clock is the host's. Wall time for timers, expiry and records; for leases the time since boot, which
//! nobody sets.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::{Error, Result, Timestamp};

/// One reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub wall: Timestamp,
    /// Microseconds since boot, including the time asleep.
    pub boottime: i64,
}

pub(super) fn read() -> Reading {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Reading {
        wall: Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)),
        boottime: boot.tv_sec * 1_000_000 + boot.tv_nsec / 1000,
    }
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
