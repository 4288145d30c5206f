//! Schedules: what is started at which times. A tick is one time of a schedule; its identity is the schedule's name and
//! that time.

mod timetable;
mod when;
mod zone;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::state::words;
use super::{DispatchOptions, Error, Id, Payload, Result, Timestamp, check_name, check_size, format_duration, seconds};

pub use timetable::Timetable;
pub use when::When;

/// Times of one schedule that are given as a list.
pub const TIMES_MAX: usize = 1_000;

/// Ticks of one backfill.
pub const BACKFILL_MAX: usize = 1_000;

/// The least time between ticks: each is a transaction of its own.
const EVERY_MIN: Duration = Duration::from_millis(100);

words! {
    /// What becomes of a tick while the schedule's last execution goes on.
    Overlap, "what happens on overlap" {
        /// It is left out.
        Skip = "skip",
        /// One waits for the end; further ones are left out.
        QueueOne = "queue_one",
        /// All wait, and run one after the other.
        QueueAll = "queue_all",
        /// The one that runs is cancelled, and this one runs when it has ended.
        CancelRunning = "cancel_running",
        /// It runs beside the other.
        Allow = "allow",
    }
}

words! {
    /// What became of a tick.
    TickState, "a tick's state" {
        Started = "started",
        /// It starts when those before it have ended.
        Waiting = "waiting",
        /// By the overlap's rule.
        Skipped = "skipped",
        /// Nobody was there at its time, nor within the time for catching up.
        Missed = "missed",
    }
}

words! {
    /// Where a tick comes from.
    TickKind, "a tick's kind" {
        Scheduled = "scheduled",
        Triggered = "triggered",
        Backfilled = "backfilled",
    }
}

/// A schedule as its owner writes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Schedule {
    pub name: String,
    pub function: String,
    pub args: Payload,
    /// Without what each tick has of its own: id, idempotency key and delay.
    pub options: DispatchOptions,
    #[serde(flatten)]
    pub when: When,
    /// Of `cron`.
    pub time_zone: String,
    /// No tick is before it.
    pub start: Option<Timestamp>,
    /// No tick is after it.
    pub end: Option<Timestamp>,
    /// Each tick is late by up to this.
    #[serde(with = "seconds")]
    pub jitter: Duration,
    pub overlap: Overlap,
    /// A tick for which nobody was there runs up to so much later.
    #[serde(with = "seconds")]
    pub catch_up: Duration,
    /// Who declares it.
    pub owner: Option<String>,
    /// The named argument that tells a tick's time.
    pub time_argument: Option<String>,
}

impl Schedule {
    pub const TIME_ZONE: &str = "UTC";
    pub const CATCH_UP: Duration = Duration::from_secs(60);

    /// With the defaults for all else.
    pub fn new(name: &str, function: &str, when: When) -> Self {
        Self {
            name: name.to_owned(),
            function: function.to_owned(),
            args: Payload::empty_array(),
            options: DispatchOptions::default(),
            when,
            time_zone: Self::TIME_ZONE.to_owned(),
            start: None,
            end: None,
            jitter: Duration::ZERO,
            overlap: Overlap::Skip,
            catch_up: Self::CATCH_UP,
            owner: None,
            time_argument: None,
        }
    }

    /// # Errors
    /// `INVALID` for what makes no sense, and for what would never tick: a rule that fits no time. Times that are over are
    /// no error, for they were good when they were written.
    pub fn check(&self) -> Result<Timetable> {
        check_name("name", &self.name)?;
        check_name("function", &self.function)?;
        self.owner.as_deref().map_or(Ok(()), |owner| check_name("owner", owner))?;
        self.time_argument.as_deref().map_or(Ok(()), |name| check_name("time_argument", name))?;
        check_size("args", &self.args)?;
        self.options.kwargs.as_ref().map_or(Ok(()), |kwargs| check_size("kwargs", kwargs))?;
        self.check_options()?;
        let wrong = |key: &'static str, why: String| Err(Error::invalid(format!("{key} {why}")).with("key", key));
        if let When::Every(every) = &self.when
            && *every < EVERY_MIN
        {
            let (every, least) = (format_duration(*every), format_duration(EVERY_MIN));
            return wrong("every", format!("is {every}; it must be at least {least}"));
        }
        if !matches!(self.when, When::Cron(_)) && self.time_zone != Self::TIME_ZONE {
            return wrong(
                "time_zone",
                "is for cron; every counts time that passes, and times say where they are".to_owned(),
            );
        }
        if let When::Times(times) = &self.when
            && !(1..=TIMES_MAX).contains(&times.len())
        {
            return wrong("times", format!("has {} times; it must have from 1 to {TIMES_MAX}", times.len()));
        }
        if let (Some(start), Some(end)) = (self.start, self.end)
            && start > end
        {
            return wrong("end", format!("is {end}, before the start, {start}"));
        }
        Timetable::new(&self.when, &self.time_zone, self.start, self.end)
    }

    fn check_options(&self) -> Result<()> {
        let DispatchOptions { id, idempotency_key, unique_key, delay, .. } = &self.options;
        for (key, given, instead) in [
            ("id", id.is_some(), "each tick's execution has an id of its own, which follows from schedule and time"),
            ("idempotency_key", idempotency_key.is_some(), "a tick is started once by its schedule and time"),
            (
                "unique_key",
                unique_key.is_some(),
                "its overlap says what becomes of a tick while an earlier run of it goes on; where others dispatch the same \
                 work, let it start a function that dispatches that with the key",
            ),
            ("delay", delay.is_some(), "let it tick later"),
        ] {
            if given {
                return Err(
                    Error::invalid(format!("options has {key}, which a schedule has not: {instead}")).with("key", key)
                );
            }
        }
        self.options.check()
    }

    /// When the tick of this time is due: later by what follows from its identity, so that a crash draws no other.
    pub fn due_at(&self, tick: Timestamp) -> Timestamp {
        let most = u64::try_from(self.jitter.as_micros()).unwrap_or(u64::MAX);
        if most == 0 {
            return tick;
        }
        let mut chance = [0; 8];
        chance.copy_from_slice(&digest(&self.name, tick)[24..]);
        tick.after(Duration::from_micros(u64::from_be_bytes(chance) % most.saturating_add(1)))
    }
}

fn digest(schedule: &str, tick: Timestamp) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"stent tick\0");
    hash.update(schedule.as_bytes());
    hash.update(b"\0");
    hash.update(tick.micros().to_be_bytes());
    hash.finalize().into()
}

/// The id of a tick's execution: a UUIDv8 that begins with the tick's milliseconds, as those of other executions do with
/// theirs.
pub fn tick_id(schedule: &str, tick: Timestamp) -> Id {
    let millis = u64::try_from(tick.micros() / 1000).unwrap_or(0);
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&digest(schedule, tick)[..10]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// May an execution of this id be a tick's?
pub fn may_be_tick(execution: Id) -> bool {
    execution.get_version_num() == 8
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn schedule(when: When) -> Schedule {
        Schedule::new("s", "f", when)
    }

    #[test]
    fn a_ticks_id_follows_from_schedule_and_time() {
        let at = Timestamp::from_micros(1_700_000_000_123_456);
        let id = tick_id("nightly", at);
        assert_eq!(id, tick_id("nightly", at));
        assert_ne!(id, tick_id("hourly", at));
        assert_ne!(id, tick_id("nightly", at.after(Duration::from_micros(1))));
        assert!(may_be_tick(id) && !may_be_tick(crate::model::execution_id(at, [7; 10])));
        assert_eq!(id.as_bytes()[..6], crate::model::execution_id(at, [0; 10]).as_bytes()[..6]);
    }

    #[test]
    fn jitter_is_the_same_each_time_and_within_its_bound() {
        let mut jittery = schedule(When::Every(Duration::from_secs(60)));
        let at = |minute: i64| Timestamp::from_micros(minute * 60_000_000);
        assert_eq!(jittery.due_at(at(1)), at(1));
        jittery.jitter = Duration::from_secs(10);
        let late: Vec<Duration> = (0..100).map(|minute| jittery.due_at(at(minute)).since(at(minute))).collect();
        assert!(late.iter().all(|late| *late <= jittery.jitter));
        assert!(
            late.iter().any(|late| *late > jittery.jitter / 2) && late.iter().any(|late| *late < jittery.jitter / 2)
        );
        assert_eq!(jittery.due_at(at(7)), jittery.due_at(at(7)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let every = || schedule(When::Every(Duration::from_secs(1)));
        every().check().unwrap();
        let at = |micros| Some(Timestamp::from_micros(micros));
        let with = |options| Schedule { options, ..every() };
        for (key, wrong) in [
            ("name", Schedule { name: String::new(), ..every() }),
            ("function", Schedule { function: "a\nb".to_owned(), ..every() }),
            ("owner", Schedule { owner: Some(String::new()), ..every() }),
            ("time_argument", Schedule { time_argument: Some(String::new()), ..every() }),
            ("every", schedule(When::Every(Duration::from_millis(99)))),
            ("times", schedule(When::Times(Vec::new()))),
            ("times", schedule(When::Times(vec![Timestamp::default(); TIMES_MAX + 1]))),
            ("time_zone", Schedule { time_zone: "Europe/Berlin".to_owned(), ..every() }),
            (
                "time_zone",
                Schedule { time_zone: "Mars/Olympus".to_owned(), ..schedule(When::Cron("* * * * *".into())) },
            ),
            ("cron", schedule(When::Cron("61 * * * *".to_owned()))),
            ("cron", schedule(When::Cron("0 0 30 2 *".to_owned()))),
            ("end", Schedule { start: at(2), end: at(1), ..every() }),
            ("options", with(DispatchOptions { id: Some(Id::nil()), ..DispatchOptions::default() })),
            ("options", with(DispatchOptions { delay: Some(Duration::ZERO), ..DispatchOptions::default() })),
            ("options", with(DispatchOptions { idempotency_key: Some("k".into()), ..DispatchOptions::default() })),
            ("options", with(DispatchOptions { unique_key: Some("k".into()), ..DispatchOptions::default() })),
        ] {
            let error = wrong.check().unwrap_err();
            assert!(error.message().starts_with(key), "{key}: {error}");
        }
        // They were good when they were written.
        schedule(When::Times(vec![Timestamp::default()])).check().unwrap();
    }
}
