//! What is asked of a store to look into it, and its answers: lists, snapshots, statistics.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ScheduleCounts;
use super::pauses::Pause;
use crate::model::{
    Execution, ExecutionState, FunctionOptions, Id, Number, Payload, Rate, Result, TaskKind, TaskState, Timestamp,
    check_key, seconds,
};

/// Which executions to list.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ExecutionFilter {
    pub state: Option<ExecutionState>,
    pub function: Option<String>,
    pub queue: Option<String>,
    pub tag: Option<String>,
    pub created_after: Option<Timestamp>,
    pub created_before: Option<Timestamp>,
    pub limit: u32,
    pub offset: u32,
}

/// Which dead letters to list.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DeadLetterFilter {
    #[serde(rename = "task_id")]
    pub task: Option<Id>,
    #[serde(rename = "execution_id")]
    pub execution: Option<Id>,
    pub function: Option<String>,
    pub limit: u32,
    pub offset: u32,
}

/// Which tasks to look for, of the whole store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskFilter {
    pub state: Option<TaskState>,
    pub function: Option<String>,
    pub queue: Option<String>,
    /// Those after this one: the last one of the page before.
    pub after: Option<Id>,
    pub limit: u32,
}

/// A task that somebody may want to look at now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AtHand {
    /// `running`: a worker holds it; `due`: its time comes; `parked`: it waits for other code.
    pub part: String,
    #[serde(rename = "task_id")]
    pub task: Id,
    #[serde(rename = "execution_id")]
    pub execution: Id,
    pub function: String,
    pub kind: TaskKind,
    pub worker_id: Option<String>,
    pub retries: u32,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub due: Option<Timestamp>,
}

/// A task that waits for a slot of its key, or to start: for a token of its key, its function or its queue, or for the end of a
/// hold of its key or its function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotWait {
    #[serde(rename = "task_id")]
    pub task: Id,
    pub function: String,
    /// None: it waits for its function, or its queue.
    #[serde(default)]
    pub concurrency_key: Option<String>,
    /// The queue that it waits for a token of.
    #[serde(default)]
    pub queue: Option<String>,
    /// How many of the key may run at once.
    #[serde(default)]
    pub max_concurrent_per_key: Option<u32>,
    /// How many have a slot.
    pub held: u64,
    /// How often those of the key may start, where this one would start.
    #[serde(default)]
    pub rate_per_key: Option<Rate>,
    /// How often those of the function may start, or of the queue, where it waits for that.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// When the next one may.
    #[serde(default)]
    pub next_at: Option<Timestamp>,
    /// Until when nobody of the key, or of the function, starts, where this one would start and a handler has said so.
    #[serde(default)]
    pub hold_ends_at: Option<Timestamp>,
}

impl SlotWait {
    /// There is a slot for it, but no token.
    pub fn is_for_token(&self) -> bool {
        self.rate_per_key.is_some() && self.max_concurrent_per_key.is_none_or(|most| self.held < u64::from(most))
    }
}

/// An attempt of a task that failed, or said "not now", and that was followed by another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    #[serde(rename = "task_id")]
    pub task: Id,
    /// None: it had not begun.
    pub started_at: Option<Timestamp>,
    pub ended_at: Timestamp,
    /// Who held it.
    pub worker_id: Option<String>,
    /// The failure's type and message, which may be cut; or [`Attempt::SNOOZED`], and when it was to begin again.
    pub kind: String,
    pub message: String,
}

impl Attempt {
    /// In place of a failure's type: it did not fail, but said "not now".
    pub const SNOOZED: &'static str = "Snoozed";
}

/// What is known of functions and workers, each in the order of its name, and what is ready for them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registered {
    pub ready: Vec<Depth>,
    pub functions: Vec<(String, FunctionOptions)>,
    pub workers: Vec<RegisteredWorker>,
    pub pauses: Vec<Pause>,
    /// Of queues that have one, by name.
    pub queue_rates: Vec<(String, Rate)>,
}

/// A worker as the store knows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegisteredWorker {
    pub worker_id: String,
    /// None: every queue.
    pub queues: Vec<String>,
    pub tags: Vec<String>,
    pub started_at: Timestamp,
    /// Its last sign of life: with a renewal of leases, and else every 20 s, as long as it sweeps.
    pub seen_at: Timestamp,
    /// Tasks that it holds.
    pub running: u64,
}

/// What is ready and will not be claimed, for a caller who waits in vain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unserved {
    /// Functions of which tasks are ready, and that no worker has registered, as far as the store knows.
    pub functions: Vec<String>,
    /// Those that workers have registered, sorted; some, where the store keeps no list.
    pub registered: Vec<String>,
    /// Workers that the store knows. None: it keeps no list of them.
    pub workers: Option<u64>,
    /// What is paused.
    pub paused: Vec<Pause>,
}

/// What a cleanup would take away, counted up to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldFilter {
    /// Executions that ended before this, but for those that a dead letter needs.
    pub executions: Timestamp,
    /// Dead letters from before this; none given: they are kept.
    pub dead_letters: Option<Timestamp>,
    /// Of each not more than so many are counted.
    pub limit: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Old {
    pub executions: u64,
    pub dead_letters: u64,
}

/// The version of a store's schema, and the newest one that this library knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SchemaVersion {
    /// 0: there is no store yet.
    pub found: i64,
    pub known: i64,
}

/// How a store is doing. It tells; what is too much, others say.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Health {
    pub signs: Vec<Sign>,
    /// The indexes that its tables should have.
    pub indexes: Vec<String>,
}

/// One thing that was looked at. What the numbers are depends on the part:
///
/// * `table`: its bytes with its indexes, dead rows, rows
/// * `index`: 1 if it is good
/// * `file`: its bytes, free ones among them
/// * `lease`: how many of this worker's leases have ended, since when
/// * `parked`: how many tasks of this function, since when
/// * `stray`: how many tasks of this function are of executions that do not exist, since when
/// * `due`: how many that a sweep should have taken, since when
/// * `schedule`: 1, for one that is due, since when
/// * `broken_schedule`: 1, for one that can't be read
/// * `ending`: how many executions are being cancelled
/// * `transaction`: the server's process, how many transactions ago its snapshot was taken, since when
/// * `slot`: bytes of the log that it holds back
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sign {
    pub part: String,
    pub name: String,
    pub amount: i64,
    pub more: Option<i64>,
    pub rows: Option<i64>,
    pub since: Option<Timestamp>,
}

/// An execution as the outside sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// `progress` holds what handlers said and what follows from the tasks' rows, in order of time.
    #[serde(flatten)]
    pub execution: Execution,
    pub counters: BTreeMap<String, Number>,
    /// Beside the execution's own `state`, so it needs another word.
    #[serde(rename = "state_values")]
    pub state: BTreeMap<String, Payload>,
    pub replay_of: Option<Id>,
    pub cancel_reason: Option<String>,
}

/// Counts of the whole store, read in one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StoreStats {
    pub executions: BTreeMap<ExecutionStateKey, u64>,
    pub tasks: BTreeMap<TaskStateKey, u64>,
    /// Tasks that can be claimed now, by queue (`None`: no queue) and function.
    pub ready: Vec<Depth>,
    /// Pending, but not before a later time.
    pub scheduled: u64,
    pub dead_letters: u64,
    pub parked: u64,
    pub workers: u64,
    /// Queues first, then functions.
    pub paused: Vec<Pause>,
    pub schedules: ScheduleCounts,
    /// Tasks that wait for a slot of their key, by function.
    pub waiting_for_slots: BTreeMap<String, u64>,
}

/// How a store's write-ahead log is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LogSize {
    pub bytes: u64,
    /// For so long it has been large, and could not be cut: somebody reads an old state of the store.
    #[serde(rename = "blocked_seconds", with = "seconds")]
    pub blocked: Duration,
}

/// State names as map keys, in their text form.
pub type ExecutionStateKey = &'static str;
pub type TaskStateKey = &'static str;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Depth {
    pub queue: Option<String>,
    pub function: String,
    pub count: u64,
    /// The age of the oldest, in seconds.
    #[serde(with = "seconds")]
    pub oldest: Duration,
}

/// What a dead letter's replay made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replayed {
    #[serde(rename = "execution_id")]
    pub execution: Id,
    pub replay_of: Id,
}

impl ExecutionFilter {
    /// # Errors
    /// `INVALID` for words that nothing can have.
    pub fn check(&self) -> Result<()> {
        check_words(&[("function", &self.function), ("queue", &self.queue), ("tag", &self.tag)])
    }
}

impl TaskFilter {
    /// # Errors
    /// As those of [`ExecutionFilter::check`].
    pub fn check(&self) -> Result<()> {
        check_words(&[("function", &self.function), ("queue", &self.queue)])
    }
}

impl DeadLetterFilter {
    /// # Errors
    /// As those of [`ExecutionFilter::check`].
    pub fn check(&self) -> Result<()> {
        check_words(&[("function", &self.function)])
    }
}

fn check_words(wanted: &[(&'static str, &Option<String>)]) -> Result<()> {
    wanted.iter().try_for_each(|(what, word)| word.as_deref().map_or(Ok(()), |word| check_key(what, word)))
}
