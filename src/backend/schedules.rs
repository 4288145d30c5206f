//! Schedules as a store keeps them, and what is asked of it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::model::{Error, Id, Overlap, Result, Schedule, TickKind, TickState, Timestamp, When, check_key};

/// Schedules to put, all or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PutSchedules {
    pub schedules: Vec<Schedule>,
    /// Of this owner there are no others afterwards.
    pub only_of: Option<String>,
}

impl PutSchedules {
    /// # Errors
    /// `INVALID` for a schedule that makes no sense, and for two of one name.
    pub fn check(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        self.schedules.iter().try_for_each(|schedule| {
            schedule.check()?;
            if names.insert(schedule.name.as_str()) {
                return Ok(());
            }
            Err(Error::invalid(format!("schedules: '{}' is there twice", schedule.name)).with("key", "name"))
        })
    }
}

/// Which schedules are listed, by name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScheduleFilter {
    pub name: Option<String>,
    pub owner: Option<String>,
    pub function: Option<String>,
    /// Those after this name: the last one of the page before.
    pub after: Option<String>,
    pub limit: u32,
    /// So many of the ticks to come are told of each.
    pub next: u32,
    /// And of those that were, the newest first.
    pub last: u32,
}

impl Default for ScheduleFilter {
    fn default() -> Self {
        Self { name: None, owner: None, function: None, after: None, limit: 50, next: 5, last: 5 }
    }
}

impl ScheduleFilter {
    /// # Errors
    /// `INVALID` for words that nothing can have.
    pub fn check(&self) -> Result<()> {
        let Self { name, owner, function, after, .. } = self;
        [("name", name), ("owner", owner), ("function", function), ("after", after)]
            .into_iter()
            .try_for_each(|(what, word)| word.as_deref().map_or(Ok(()), |word| check_key(what, word)))
    }
}

/// What a tick became.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tick {
    /// Its time, which with the schedule's name is its identity.
    pub at: Timestamp,
    pub kind: TickKind,
    pub state: TickState,
    /// Where it was started.
    #[serde(default)]
    pub execution_id: Option<Id>,
    pub decided_at: Timestamp,
}

/// A schedule as the store has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeptSchedule {
    #[serde(flatten)]
    pub schedule: Schedule,
    pub created_at: Timestamp,
    /// When its owner last changed it.
    pub updated_at: Timestamp,
    pub paused_at: Option<Timestamp>,
    pub pause_note: Option<String>,
    /// The tick that comes next. None: it is paused, or there is none any more.
    pub next_at: Option<Timestamp>,
    /// When that one is started: later by its jitter.
    pub due_at: Option<Timestamp>,
    /// Its last execution.
    pub last_execution_id: Option<Id>,
    /// Whether that one goes on.
    pub running: bool,
    /// Ticks that start when those before them have ended.
    pub waiting: u32,
    /// Why it does not tick: this library can't read it.
    pub trouble: Option<String>,
    pub next: Vec<Timestamp>,
    pub last: Vec<Tick>,
}

impl KeptSchedule {
    /// What stands for a schedule that this library can't read; its `trouble` says so.
    pub fn stand_in(name: &str) -> Schedule {
        Schedule::new(name, "", When::Times(Vec::new()))
    }
}

/// What is done to a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ScheduleChange {
    /// What it has started goes on.
    Delete,
    /// What waits goes on.
    Pause {
        #[serde(default)]
        note: Option<String>,
    },
    /// From now on: what it would have started meanwhile is not caught up.
    Resume,
    /// A tick now; by this rule, or by the schedule's own.
    Trigger {
        #[serde(default)]
        overlap: Option<Overlap>,
    },
    /// The ticks from one time to another, both included, but for those that were started.
    Backfill {
        from: Timestamp,
        to: Timestamp,
        #[serde(default = "one_after_the_other")]
        overlap: Overlap,
    },
}

/// How a backfill goes that says nothing of it.
pub fn one_after_the_other() -> Overlap {
    Overlap::QueueAll
}

/// How a store's schedules are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleCounts {
    pub active: u64,
    pub paused: u64,
    /// Ticks that start when those before them have ended.
    pub waiting: u64,
    /// Those that the library which looked last can't read.
    #[serde(default)]
    pub broken: u64,
    /// How late the latest of those is that are due.
    #[serde(rename = "late_seconds", with = "crate::model::seconds")]
    pub late: Duration,
}

/// What a sweep has made of ticks. One that has waited is counted twice: as waiting, and as what it became then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TickCounts {
    pub started: u64,
    pub waiting: u64,
    pub skipped: u64,
    pub missed: u64,
}

/// Null: none.
pub(super) fn counted_ticks<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<TickCounts, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl TickCounts {
    pub fn add(&mut self, state: TickState, count: u64) {
        *match state {
            TickState::Started => &mut self.started,
            TickState::Waiting => &mut self.waiting,
            TickState::Skipped => &mut self.skipped,
            TickState::Missed => &mut self.missed,
        } += count;
    }

    pub fn all(&self) -> [(TickState, u64); 4] {
        [
            (TickState::Started, self.started),
            (TickState::Waiting, self.waiting),
            (TickState::Skipped, self.skipped),
            (TickState::Missed, self.missed),
        ]
    }
}
