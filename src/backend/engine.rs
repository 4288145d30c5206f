//! The engine's own operations: what an executor needs beyond the protocol to keep the laws. Sets go in, sets come
//! out; each is one transaction unless it says otherwise.
#![expect(clippy::result_large_err, reason = "in what serde derives to read a step's outcome")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{
    CallOptions, DispatchOptions, Execution, ExecutionState, Failure, FunctionOptions, Id, Number, Op, OpSet, Payload,
    ProgressEntry, Task, TaskKind, TaskState, Timestamp, WaitMode, digest, ended, optional_seconds, seconds,
};

/// A dispatch, resolved by the store: queue, tags, priority, retry policy and the rest that the call left out are
/// the function's, as the newest worker has declared it; where none has, as the dispatching executor has registered it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewExecution {
    /// Drawn by the executor (or the caller's own). An existing id is a conflict.
    pub id: Id,
    pub function: String,
    pub args: Payload,
    pub options: DispatchOptions,
    /// SHA-256 of the canonical arguments: tells one use of an idempotency key from another.
    #[serde(with = "digest")]
    pub args_hash: [u8; 32],
    /// What the dispatching executor has registered of the function: it counts where the store knows none of that name.
    #[serde(default)]
    pub registered: Option<Arc<FunctionOptions>>,
}

/// A function as a worker declares it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    pub name: String,
    pub options: FunctionOptions,
}

/// A worker as it presents itself to the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewWorker {
    pub worker_id: String,
    pub queues: Vec<String>,
    pub tags: Vec<String>,
    pub functions: Vec<Function>,
}

/// What a claim asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    pub worker_id: String,
    /// At most this many tasks of functions without a limit.
    pub count: usize,
    /// At most this many tasks of functions with a `max_concurrent`: only what can start at once.
    pub limited: usize,
    #[serde(with = "seconds")]
    pub lease: Duration,
}

/// A task that this worker holds from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claimed {
    pub task: Task,
    /// Counts `continue`s: part of every child's identity.
    pub run: u32,
    /// Durable operations it has issued so far; 0: there is no journal to load.
    pub ops: u32,
    /// Progress lines, counter additions and state values that its journal's runs have recorded so far; 0 while `ops`
    /// is: an attempt that replays nothing is heard in full.
    pub effects: u32,
    /// The first operation that was opened again, by a retry of failed children or a dead letter's replay: what was issued
    /// after it may be of a way that the handler does not go again.
    pub opened: Option<Op>,
    pub heartbeat: Option<Payload>,
    /// Workers in a row that died with it.
    pub crashes: u32,
    /// When this attempt is over, if the function has a time-out.
    pub deadline: Option<Timestamp>,
    /// Where a result of this call may be found, and will be kept.
    pub cache: Option<CacheSlot>,
    pub traceparent: Option<String>,
    /// The store's clock at the claim.
    pub claimed_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSlot {
    pub key: String,
    #[serde(default, with = "optional_seconds")]
    pub ttl: Option<Duration>,
}

/// A task under a lease: every write is conditional on the fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    #[serde(rename = "task_id")]
    pub task: Id,
    #[serde(rename = "execution_id")]
    pub execution: Id,
    #[serde(rename = "parent_task_id")]
    pub parent: Option<Id>,
    pub fence: u64,
}

/// What a worker says of a task that it holds: commands, then what becomes of the task. All or nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    pub held: Held,
    pub commands: Commands,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commands {
    /// In order of issue.
    pub spawns: Vec<Spawn>,
    /// Operations of this task to be cancelled, by their numbers.
    pub cancels: Vec<Cancel>,
    pub progress: Vec<ProgressEntry>,
    pub counters: Vec<(String, Number)>,
    pub state: Vec<(String, Payload)>,
    /// What the handler last said of its work, for its next attempt; the last one stands.
    pub heartbeat: Option<Payload>,
    /// How far the task's record went before these, by the sender's count from the claim on. Where the record goes
    /// further, these are in it: the answer to their commit was lost, and they are said again. `None`: never said again.
    pub from: Option<Extent>,
}

/// How far a task's record goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// As [`Claimed::ops`].
    pub ops: u32,
    /// As [`Claimed::effects`].
    pub effects: u32,
}

impl Commands {
    pub fn is_empty(&self) -> bool {
        self.spawns.is_empty()
            && self.cancels.is_empty()
            && self.progress.is_empty()
            && self.counters.is_empty()
            && self.state.is_empty()
            && self.heartbeat.is_none()
    }

    /// Effects are numbered within the task, so that a replay does not repeat those that are recorded.
    pub fn effects(&self) -> u32 {
        u32::try_from(self.progress.len() + self.counters.len() + self.state.len()).unwrap_or(u32::MAX)
    }

    /// How much further a record goes by them. Each spawn counts, also one that an end leaves out: numbers go on after.
    pub fn size(&self) -> Extent {
        Extent { ops: u32::try_from(self.spawns.len()).unwrap_or(u32::MAX), effects: self.effects() }
    }

    /// How far the record goes with them, if they say from where.
    pub fn to(&self) -> Option<Extent> {
        let Extent { ops, effects } = self.size();
        self.from.map(|from| Extent { ops: from.ops + ops, effects: from.effects + effects })
    }
}

/// A recorded command: the operation is over, whatever comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    pub op: Op,
    pub id: Id,
}

/// A new durable operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spawn {
    /// [`crate::model::child_id`] of task, run and key. Already there: the same command committed before.
    pub id: Id,
    pub op: Op,
    pub key: String,
    /// Function, signal, step or timer name.
    pub name: String,
    pub what: SpawnKind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SpawnKind {
    /// `args_hash` as in [`NewExecution`], where the call may need it (cached or idempotent). `registered` as there, where
    /// the worker itself has not declared the function.
    Activity {
        args: Payload,
        options: Box<CallOptions>,
        #[serde(default, with = "digest::optional")]
        args_hash: Option<[u8; 32]>,
        #[serde(default)]
        registered: Option<Arc<FunctionOptions>>,
    },
    /// Fires this long after the transition commits, by the store's clock.
    Timer {
        #[serde(with = "seconds")]
        delay: Duration,
    },
    /// Takes the oldest signal of the name; after `timeout` it fails with type `SignalTimeout`.
    Signal {
        #[serde(default, with = "optional_seconds")]
        timeout: Option<Duration>,
    },
    /// Already over: run in place by the handler.
    Step {
        started_at: Timestamp,
        #[serde(with = "ended")]
        outcome: Result<Payload, Failure>,
    },
}

impl SpawnKind {
    pub const fn task_kind(&self) -> TaskKind {
        match self {
            Self::Activity { .. } => TaskKind::Activity,
            Self::Timer { .. } => TaskKind::Timer,
            Self::Signal { .. } => TaskKind::Signal,
            Self::Step { .. } => TaskKind::Step,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// The task stays with the worker; only the commands are recorded.
    Hold,
    Complete {
        result: Payload,
        cache: Option<CacheSlot>,
        cache_hit: bool,
    },
    /// Tried again after `delay`; `retries` grows by one. `reopen`: the failed children are opened again.
    Retry {
        failure: Failure,
        #[serde(with = "seconds")]
        delay: Duration,
        reopen: bool,
    },
    /// The attempts are used up, or the failure is final.
    DeadLetter {
        failure: Failure,
        reason: String,
    },
    /// A recorded child's failure, passed up: fails the task, makes no second dead letter.
    PassUp {
        failure: Failure,
    },
    /// Rows only from now on, until what is awaited is there.
    /// `known`: the largest arrival number that the task knows without a gap; what arrived later is looked at.
    Suspend {
        mode: WaitMode,
        ops: OpSet,
        known: u64,
    },
    /// Given back (drain, stop, nothing that can run it here): pending again, no attempt charged.
    Release,
    /// Non-determinism: waits, with the reason, for another version of the function or an explicit resume.
    Park {
        failure: Failure,
        version: Option<String>,
    },
    /// From the start again with new arguments, an empty journal and the signals not yet seen. `seen`: the largest
    /// arrival that the handler was given.
    Continue {
        args: Payload,
        seen: u64,
    },
}

/// What became of a transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verdict {
    /// Recorded. `arrivals`: the numbers given to what it ended itself, steps and cancelled operations; what else
    /// arrived in it (signals that were there, results kept under a key) is in the journal. `latest`: the largest
    /// arrival number of the task so far; it counts for a task that holds on or suspends.
    Recorded { arrivals: Vec<(Op, u64)>, latest: u64 },
    /// Nothing was written: the lease is another's, or the task is over.
    LeaseLost,
    /// Nothing of it was written but the end of the lease: the execution is cancelled or timed out.
    Cancelled,
    /// Nothing was written: this transition can't be carried out as it is.
    Refused(crate::model::Error),
}

/// One recorded operation of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalEntry {
    pub op: Op,
    pub id: Id,
    pub key: String,
    pub name: String,
    pub kind: TaskKind,
    pub args: Payload,
    pub kwargs: Payload,
    pub state: TaskState,
    pub result: Option<Payload>,
    pub error: Option<Failure>,
    /// The order in which ends were delivered to the parent; `None` while it goes on.
    pub arrival: Option<u64>,
    pub completed_at: Option<Timestamp>,
}

/// What is asked of a journal: all of it (`after` 0), or what arrived after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalRequest {
    #[serde(rename = "task_id")]
    pub task: Id,
    pub after: u64,
}

/// A lease to renew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    pub worker_id: String,
    pub held: Vec<Held>,
    #[serde(with = "seconds")]
    pub lease: Duration,
}

/// What a renewal found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewed {
    /// Taken by another, or over: the fence does not hold any more.
    pub lost: Vec<Id>,
    /// Tasks whose execution is being cancelled or has timed out.
    pub cancelled: Vec<Id>,
}

/// What a sweep did and when the next one is due.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swept {
    /// Timers fired, leases ended, executions expired, rows cancelled, and so on: 0 means that nothing was due.
    pub changed: u64,
    /// It stopped at its bound: sweep again.
    pub more: bool,
    /// From now, by the store's clock; `None`: nothing is scheduled.
    #[serde(default, with = "optional_seconds")]
    pub next_due: Option<Duration>,
}

/// A signal to send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSignal {
    #[serde(rename = "execution_id")]
    pub execution: Id,
    pub name: String,
    pub payload: Payload,
    /// The same id for the same execution and name counts once.
    pub id: Option<String>,
}

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
    /// Claimable now, by queue (empty: none of its own) and function.
    pub ready: Vec<Depth>,
    /// Pending, but not before a later time.
    pub scheduled: u64,
    pub dead_letters: u64,
    pub parked: u64,
    pub workers: u64,
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

/// A hint: something may have changed. Lost, late or repeated hints do no harm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Notice {
    /// There may be work to claim. The worker named, if any, has claimed in the same transaction all that it can take.
    Work { served: Option<String> },
    /// Something is due this long from now.
    Due(#[serde(with = "seconds")] Duration),
    /// These executions are over.
    Ended(Vec<Id>),
    /// These executions are being cancelled.
    Cancelling(Vec<Id>),
    /// These tasks ended under the hands of the worker that runs them: their parent ended or cancelled them.
    Lost(Vec<Id>),
    /// Operations of these tasks have arrived.
    Arrived(Vec<Id>),
    /// Another process wrote to the store: anything of the above may hold.
    Foreign,
}
