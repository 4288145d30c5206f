//! The engine's data about an unfinished task, for which the protocol's record has no field: a JSON object in the field
//! that will get the task's result. Also the texts that are written into the record's free text fields.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::backend::{CacheSlot, Extent};
use crate::codec::{from_json, to_json};
use crate::model::{Failure, Op, OpSet, Payload, Result, Task, Timestamp, Wait, WaitMode, digest, optional_seconds};

/// A waiting task is looked at again after this time, and then after intervals that grow by half.
const LOOK_FIRST: Duration = Duration::from_millis(20);
const LOOK_LONGEST: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Notes {
    /// Counts `continue`s.
    pub run: u32,
    pub ops: u32,
    pub effects: u32,
    /// The first operation that was opened again.
    pub opened: Option<Op>,
    pub crashes: u32,
    pub deaths: u32,
    pub snoozes: u32,
    /// When this attempt began. None: none has, or it is over.
    pub started: Option<Timestamp>,
    /// When the first one began that is over.
    pub first_started: Option<Timestamp>,
    pub begun: Option<u32>,
    pub company: Option<u32>,
    /// A worker has it: found by the next claim, that worker died.
    pub taken: bool,
    /// The arguments of a run after the first.
    pub args: Option<Payload>,
    pub heartbeat: Option<Payload>,
    /// Operations in order of arrival; an arrival's number is its place in this list. Only the task's holder adds to
    /// it.
    pub arrived: Vec<Op>,
    pub wait: Option<Waiting>,
    pub parked: Option<Parked>,
    #[serde(with = "optional_seconds")]
    pub timeout: Option<Duration>,
    pub deadline: Option<Timestamp>,
    pub cache: Option<CacheSlot>,
    #[serde(with = "digest::optional")]
    pub args_hash: Option<[u8; 32]>,
    pub traceparent: Option<String>,
    pub on_cancel: Option<String>,
    /// Of a root whose execution cleans up: the last operation before that.
    pub cleanup: Option<Op>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiting {
    pub mode: WaitMode,
    pub ops: OpSet,
    /// The task knows the arrivals up to this number.
    pub known: u64,
    /// How often it has been looked at.
    pub looks: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parked {
    pub failure: Failure,
    pub version: Option<String>,
}

impl Waiting {
    /// Is what it waits for there?
    pub fn is_over(&self, arrived: &[Op]) -> bool {
        let known = usize::try_from(self.known).unwrap_or(usize::MAX);
        let news = arrived.get(known..).unwrap_or_default();
        Wait::new(self.mode, self.ops.clone()).arrive(news.iter().copied())
    }

    pub fn next_look(&self, now: Timestamp) -> Timestamp {
        let grown = LOOK_FIRST.mul_f64(1.5_f64.powi(i32::try_from(self.looks.min(30)).unwrap_or(30)));
        now.after(grown.min(LOOK_LONGEST))
    }
}

impl Notes {
    /// Reads the notes of an unfinished task. A task that was created through the protocol has none.
    pub fn of(task: &Task) -> Result<Self> {
        match &task.result {
            Some(kept) if !task.state.is_terminal() => {
                let text = String::from_utf8_lossy(kept.as_bytes());
                from_json("what the engine keeps in a task's result", &text)
            }
            _ => Ok(Self::default()),
        }
    }

    pub fn keep(&self, task: &mut Task) {
        task.result = Some(Payload::from(to_json(self)));
    }

    /// Another attempt follows.
    pub fn attempt_over(&mut self) {
        self.first_started = self.first_started.or(self.started.take());
        self.started = None;
    }

    pub const fn extent(&self) -> Extent {
        Extent { ops: self.ops, effects: self.effects }
    }

    pub fn latest(&self) -> u64 {
        self.arrived.len() as u64
    }

    /// Numbers those operations that have ended since the last look, in order of time.
    pub fn number(&mut self, children: &[(Place, Task)]) {
        let mut news: Vec<(Option<Timestamp>, Op)> = children
            .iter()
            .filter(|(place, child)| child.state.is_terminal() && !self.arrived.contains(&place.op))
            .map(|(place, child)| (child.completed_at, place.op))
            .collect();
        news.sort_unstable();
        self.arrived.extend(news.into_iter().map(|(_, op)| op));
    }

    pub fn arrival(&self, op: Op) -> Option<u64> {
        self.arrived.iter().position(|arrived| *arrived == op).map(|at| at as u64 + 1)
    }
}

/// The place of an operation in its parent's journal, as it stands in the record's `step_key`: `0.3 charge#1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub run: u32,
    pub op: Op,
    pub key: String,
}

impl Place {
    pub fn to_text(&self) -> String {
        format!("{}.{} {}", self.run, self.op, self.key)
    }

    pub fn of(task: &Task) -> Option<Self> {
        let (place, key) = task.step_key.as_deref()?.split_once(' ')?;
        let (run, op) = place.split_once('.')?;
        Some(Self { run: run.parse().ok()?, op: op.parse().ok()?, key: key.to_owned() })
    }
}

/// The name under which a task is held: the worker and the fence of its claim.
pub(super) fn holder(worker_id: &str, fence: u64) -> String {
    format!("{worker_id}~{fence}")
}

/// The worker and fence of a running task, or of the last run of an ended one.
pub(super) fn held_by(task: &Task) -> Option<(&str, u64)> {
    let (worker, fence) = task.worker_id.as_deref()?.rsplit_once('~')?;
    Some((worker, fence.parse().ok()?))
}

/// The host's clock. Times are set by it, and judged by the store's clock.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place = Place { run: 2, op: 31, key: "my key 7.1".into() };
        let mut task: Task = from_json(
            "task",
            r#"{"id": "018bcfe5-6800-7101-8101-010101010101", "execution_id": "018bcfe5-6800-7101-8101-010101010101",
                "step_name": "f", "kind": "activity", "state": "running", "created_at": "2026-01-01T00:00:00Z",
                "worker_id": "a~b~12"}"#,
        )
        .unwrap();
        assert_eq!(Place::of(&task), None);
        task.step_key = Some(place.to_text());
        assert_eq!(Place::of(&task), Some(place));
        assert_eq!(held_by(&task), Some(("a~b", 12)));
        Notes { ops: 3, ..Notes::default() }.keep(&mut task);
        assert_eq!(Notes::of(&task).unwrap().ops, 3);
    }

    #[test]
    fn a_wait_is_over_when_what_it_asked_for_has_come() {
        let wait = |mode, ops: &[Op], known| Waiting { mode, ops: ops.iter().copied().collect(), known, looks: 0 };
        assert!(wait(WaitMode::All, &[], 0).is_over(&[]));
        assert!(!wait(WaitMode::All, &[1, 2], 0).is_over(&[2]));
        assert!(wait(WaitMode::All, &[1, 2], 0).is_over(&[2, 1]));
        assert!(wait(WaitMode::Any, &[1, 2], 0).is_over(&[2]));
        assert!(!wait(WaitMode::Any, &[1, 2], 1).is_over(&[2]));
        assert!(wait(WaitMode::Any, &[1, 2], 1).is_over(&[2, 1]));
    }
}
