//! The cases, by subject.

use super::case::Case;
use super::house;

/// Cases that need more than the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Protocol,
    Engine,
}

macro_rules! files {
    ($($file:ident: $level:ident),* $(,)?) => {
        $(mod $file;)*

        /// The protocol's first: they are the ones to repair first.
        pub(super) const ALL: &[(&str, Level, &[Case])] =
            &[$((stringify!($file), Level::$level, $file::CASES)),*];
    };
}

files! {
    records: Protocol,
    claiming: Protocol,
    keeping: Protocol,
    ageing: Engine,
    arrivals: Engine,
    atomic: Engine,
    cancels: Engine,
    cleanup: Engine,
    cleanups: Engine,
    continues: Engine,
    crashes: Engine,
    crowds: Engine,
    debounces: Engine,
    ends: Engine,
    fairness: Engine,
    fences: Engine,
    forks: Engine,
    holds: Engine,
    keys: Engine,
    lanes: Engine,
    limits: Engine,
    looks: Engine,
    moves: Engine,
    options: Engine,
    parking: Engine,
    pauses: Engine,
    queue_rates: Engine,
    rates: Engine,
    raw: Engine,
    retries: Engine,
    routes: Engine,
    said: Engine,
    schedules: Engine,
    signals: Engine,
    slot_limits: Engine,
    slots: Engine,
    snoozes: Engine,
    times: Engine,
    unique: Engine,
    waits: Engine,
}
