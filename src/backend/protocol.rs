//! The backend protocol: every operation as a request, every answer as a response. The names of the variants, in
//! snake case, are the names of the operations for C and for backends that users write.

use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use crate::model::{
    DeadLetter, Execution, ExecutionState, Id, Number, Payload, ProgressEntry, Signal, Task, TaskState, Timestamp,
    seconds,
};

/// What a backend is asked. Durations are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "a request is made, matched and gone: never kept in numbers")]
pub enum Request {
    /// Creates or migrates the schema; safe from several processes at once, and again and again.
    InitDb {},
    /// Releases everything.
    Close {},
    /// Inserts the execution with its progress. An existing id is a conflict.
    CreateExecution {
        execution: Execution,
    },
    /// Both in one transaction.
    CreateExecutionWithRootTask {
        execution: Execution,
        task: Task,
    },
    /// The record with its progress in order, or null.
    GetExecution {
        execution_id: Id,
    },
    /// Replaces the mutable fields: all but id, root_function, created_at and progress.
    UpdateExecution {
        execution: Execution,
    },
    /// Newest first, ties by id; without progress.
    ListExecutions {
        #[serde(default = "ten")]
        limit: u32,
        #[serde(default)]
        offset: u32,
        #[serde(default)]
        state: Option<ExecutionState>,
    },
    CountExecutions {
        #[serde(default)]
        state: Option<ExecutionState>,
    },
    /// An existing id is a conflict.
    CreateTask {
        task: Task,
    },
    /// All or nothing.
    CreateTasks {
        tasks: Vec<Task>,
    },
    GetTask {
        task_id: Id,
    },
    /// Newest first, ties by id.
    ListTasks {
        #[serde(default = "ten")]
        limit: u32,
        #[serde(default)]
        offset: u32,
        #[serde(default)]
        state: Option<TaskState>,
    },
    /// In order of creation, ties by id.
    ListTasksForExecution {
        execution_id: Id,
    },
    /// Replaces state, result, error, retries, started_at, completed_at, worker_id, lease_expires_at and
    /// scheduled_for; unconditional, by id. It raises the fence; where it ends a task, who waits for it is woken.
    UpdateTask {
        task: Task,
    },
    CountTasks {
        #[serde(default)]
        queue: Option<String>,
        #[serde(default)]
        state: Option<TaskState>,
    },
    /// Atomically takes the best eligible task, or null.
    ClaimNextTask {
        worker_id: String,
        /// Null: every queue.
        #[serde(default)]
        queues: Option<Vec<String>>,
        #[serde(default)]
        tags: Option<Vec<String>>,
        #[serde(default)]
        now: Option<Timestamp>,
        #[serde(default = "thirty", deserialize_with = "seconds::number")]
        lease_duration: f64,
        /// Function name to the number of its tasks that may run at once.
        #[serde(default)]
        concurrency_limits: BTreeMap<String, u32>,
    },
    /// True only for the worker that holds the running task.
    RenewTaskLease {
        task_id: Id,
        worker_id: String,
        #[serde(default = "thirty", deserialize_with = "seconds::number")]
        lease_duration: f64,
    },
    AppendProgress {
        execution_id: Id,
        progress: ProgressEntry,
    },
    /// Null when absent or past its time to live.
    GetCachedResult {
        key: String,
    },
    /// The last write stands. No `ttl`: for ever.
    SetCachedResult {
        key: String,
        value: Payload,
        #[serde(default, deserialize_with = "seconds::optional_number")]
        ttl: Option<f64>,
    },
    GetIdempotencyResult {
        key: String,
    },
    SetIdempotencyResult {
        key: String,
        value: Payload,
        #[serde(default, deserialize_with = "seconds::optional_number")]
        ttl: Option<f64>,
    },
    /// Again for the same task: replaces, no error.
    MoveTaskToDeadLetter {
        task: Task,
        reason: String,
    },
    /// Newest first, ties by id.
    ListDeadTasks {
        #[serde(default = "fifty")]
        limit: u32,
    },
    CountDeadTasks {},
    GetDeadTask {
        task_id: Id,
    },
    /// True if it was there.
    DeleteDeadTask {
        task_id: Id,
    },
    /// Terminal executions that completed strictly before: they and all that belongs to them, but for those that have a
    /// dead letter, whose replay needs them; the number of executions. In bounded batches.
    CleanupExecutions {
        older_than: Timestamp,
    },
    CleanupDeadLetters {
        older_than: Timestamp,
    },
    /// Appends; with `consumed`, marks the oldest that is not consumed (or appends it consumed where there is none).
    CreateSignal {
        signal: Signal,
    },
    /// The oldest not consumed, else the newest, else null.
    GetSignal {
        execution_id: Id,
        name: String,
    },
    /// Inserts where absent.
    EnsureExecutionCounters {
        execution_id: Id,
        counters: BTreeMap<String, Number>,
    },
    /// Atomic; the new value.
    IncrementExecutionCounter {
        execution_id: Id,
        name: String,
        amount: Number,
    },
    GetExecutionCounters {
        execution_id: Id,
    },
    /// Inserts where absent.
    EnsureExecutionStateValues {
        execution_id: Id,
        values: BTreeMap<String, Payload>,
    },
    SetExecutionStateValue {
        execution_id: Id,
        key: String,
        value: Payload,
    },
    GetExecutionStateValues {
        execution_id: Id,
    },
}

const fn ten() -> u32 {
    10
}

const fn fifty() -> u32 {
    50
}

const fn thirty() -> f64 {
    30.0
}

/// What a backend answers. In JSON the bare value: `null`, a record, a list, a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Response {
    Nothing,
    Execution(Option<Box<Execution>>),
    Executions(Vec<Execution>),
    Task(Option<Box<Task>>),
    Tasks(Vec<Task>),
    DeadLetter(Option<Box<DeadLetter>>),
    DeadLetters(Vec<DeadLetter>),
    Signal(Option<Signal>),
    Payload(Option<Payload>),
    Number(Number),
    Counters(BTreeMap<String, Number>),
    Values(BTreeMap<String, Payload>),
    Count(u64),
    Flag(bool),
}
