//! The engine's operations: what an executor needs of a store beyond the protocol, as the types that go in and come
//! out. They work on batches; each is one transaction unless it says otherwise.
#![expect(clippy::result_large_err, reason = "in what serde derives to read a step's outcome")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{
    CallOptions, DispatchOptions, Failure, FunctionOptions, Hold, Id, Number, Op, OpSet, Payload, ProgressEntry, Rate,
    Result, Task, TaskKind, TaskState, Timestamp, WaitMode, deserialize_error_text, digest, ended, optional_seconds,
    seconds,
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
    /// How often tasks of these queues start, in all workers; none given: as often as there are some. Only a store with
    /// rates is given any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub queue_rates: BTreeMap<String, Option<Rate>>,
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
    /// The best of them begin at once, at most so many, those with a limit first: their bodies are taken to have begun.
    pub begin: usize,
    /// At most so many bodies run at once where they begin.
    pub slots: u32,
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
    /// Effects (progress lines, counter additions, state values) that are recorded for this journal so far. 0 while
    /// `ops` is 0: without a journal nothing is replayed, and the attempt's effects are recorded in full.
    pub effects: u32,
    /// The first operation that a retry of failed children or a dead letter's replay set to run again. The handler may
    /// take another path after it, so operations issued later need not be asked for again.
    pub opened: Option<Op>,
    pub heartbeat: Option<Payload>,
    /// Workers in a row that died while they ran it alone.
    pub crashes: u32,
    /// Workers that died after its body had begun.
    pub deaths: u32,
    /// How often it has said "not now" so far.
    #[serde(default)]
    pub snoozes: u32,
    /// When its first attempt began: this one or an earlier one. None: the store does not keep it.
    #[serde(default)]
    pub first_started_at: Option<Timestamp>,
    /// None: its body is not taken to have begun, and its worker says so soon after it has. Else how many run at once.
    pub begun: Option<u32>,
    /// A suspect, after a worker's death: it runs where at most so many bodies run at once, and it is recorded that it
    /// begins before it does.
    pub company: Option<u32>,
    /// When this attempt is over, if the function has a time-out.
    pub deadline: Option<Timestamp>,
    /// Where a result of this call may be found, and will be kept.
    pub cache: Option<CacheSlot>,
    pub traceparent: Option<String>,
    /// Of a root whose execution cleans up: the last operation that it had issued when the cleanup began.
    #[serde(default)]
    pub cleanup: Option<Op>,
    /// The store's clock at the claim.
    pub claimed_at: Timestamp,
}

impl Claimed {
    /// 1 for the first: failures that were retried make one more, and so do deaths of workers.
    pub fn attempt(&self) -> u32 {
        self.task.retries.saturating_add(self.deaths).saturating_add(1)
    }

    /// From the beginning of its first attempt to a time.
    pub fn since_first(&self, now: Timestamp) -> Duration {
        self.first_started_at.or(self.task.started_at).map_or(Duration::ZERO, |first| now.since(first))
    }

    /// It begins an attempt, and does not go on with one.
    pub fn begins(&self) -> bool {
        self.task.started_at == Some(self.claimed_at)
    }
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

/// What a worker writes for a task that it holds: commands, then the outcome. All or nothing.
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
    /// The details of the last heartbeat, for the next attempt.
    pub heartbeat: Option<Payload>,
    /// Its body has begun, or will as soon as this is recorded, where at most so many bodies run at once.
    pub begun: Option<u32>,
    /// Whose starts wait, from when this is recorded. Only a store that can hold is given any ([`super::Backend::holds`]).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// How far the task's record went before these, by the sender's count from the claim on. Where the record goes
    /// further, these are in it: the answer to their commit was lost, and they are said again. `None`: never said again.
    pub from: Option<Extent>,
}

/// How many operations and effects of a task are recorded.
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

    /// By how much these commands extend the record. Each spawn counts, also one that is dropped because the task ends:
    /// later operations are numbered after it.
    pub fn size(&self) -> Extent {
        Extent { ops: u32::try_from(self.spawns.len()).unwrap_or(u32::MAX), effects: self.effects() }
    }

    /// The extent of the record after these commands, if they say from where.
    pub fn to(&self) -> Option<Extent> {
        let Extent { ops, effects } = self.size();
        let after =
            |from: Extent| Extent { ops: from.ops.saturating_add(ops), effects: from.effects.saturating_add(effects) };
        self.from.map(after)
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
    /// Not now: tried again after `delay`, with its journal, and no attempt is charged; `snoozes` grows by one.
    Snooze {
        #[serde(with = "seconds")]
        delay: Duration,
    },
    /// The attempts are used up, or the failure is final.
    DeadLetter {
        failure: Failure,
        #[serde(deserialize_with = "deserialize_error_text")]
        reason: String,
    },
    /// A recorded child's failure, passed up: fails the task, makes no second dead letter.
    PassUp {
        failure: Failure,
    },
    /// The task waits for these operations; it holds no lease meanwhile. `known`: the task knows all arrivals up to
    /// this number; the store checks for later ones at once.
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
    /// Recorded. `arrivals`: the arrival numbers of operations that ended within the transition, which are steps and
    /// cancelled operations. Others that ended in it (signals that were there already, results kept under a key) are in
    /// the journal. `latest`: the task's largest arrival number so far; of use only for a task that is held or
    /// suspended.
    Recorded { arrivals: Vec<(Op, u64)>, latest: u64 },
    /// Nothing was written: the lease is another's, or the task is over.
    LeaseLost,
    /// The execution is being cancelled or has timed out. Only the end of the lease was written.
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

/// A request for a journal: all of it (`after` is 0), or what arrived after that number.
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
    /// What became of schedules' ticks.
    #[serde(default, deserialize_with = "super::schedules::counted_ticks")]
    pub ticks: super::TickCounts,
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

/// A hint: something may have changed. Lost, late or repeated hints do no harm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Notice {
    /// There may be work to claim. `served`: this worker has claimed all that it can take in the same transaction, and
    /// needs no wake-up.
    Work { served: Option<String> },
    /// Something is due this long from now.
    Due(#[serde(with = "seconds")] Duration),
    /// These executions are over.
    Ended(Vec<Id>),
    /// These executions are being cancelled.
    Cancelling(Vec<Id>),
    /// These tasks were ended by their parent while a worker was running them.
    Lost(Vec<Id>),
    /// Operations of these tasks have arrived.
    Arrived(Vec<Id>),
    /// Another process wrote to the store: anything of the above may hold.
    Foreign,
}
