//! The backend protocol: every operation as a variant of [`Request`], every answer as one of [`Response`]. The names of
//! the variants, in snake case, are the names of the operations for C and for stores that users write.

use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use crate::model::{
    DeadLetter, Execution, ExecutionState, Id, Number, Payload, ProgressEntry, Result, Signal, Task, TaskState,
    Timestamp, check_key, deserialize_error_text, seconds,
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
        #[serde(deserialize_with = "deserialize_error_text")]
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

impl Request {
    /// What is looked for and kept by words: they are refused on every store, not only on those that can't hold them.
    ///
    /// # Errors
    /// `INVALID` for a key that is too long or has a NUL in it.
    pub fn check(&self) -> Result<()> {
        let some = |what, key: &Option<String>| key.as_deref().map_or(Ok(()), |key| check_key(what, key));
        let of_task = |task: &Task| {
            some("step_key", &task.step_key)?;
            some("idempotency_key", &task.idempotency_key)?;
            some("worker_id", &task.worker_id)
        };
        match self {
            Self::CreateExecutionWithRootTask { task, .. }
            | Self::CreateTask { task }
            | Self::UpdateTask { task }
            | Self::MoveTaskToDeadLetter { task, .. } => of_task(task),
            Self::CreateTasks { tasks } => tasks.iter().try_for_each(of_task),
            Self::CountTasks { queue, .. } => some("queue", queue),
            Self::ClaimNextTask { worker_id, queues, tags, concurrency_limits, .. } => {
                check_key("worker_id", worker_id)?;
                queues.iter().flatten().try_for_each(|queue| check_key("queues", queue))?;
                tags.iter().flatten().try_for_each(|tag| check_key("tags", tag))?;
                concurrency_limits.keys().try_for_each(|function| check_key("concurrency_limits", function))
            }
            Self::RenewTaskLease { worker_id, .. } => check_key("worker_id", worker_id),
            Self::GetCachedResult { key }
            | Self::SetCachedResult { key, .. }
            | Self::GetIdempotencyResult { key }
            | Self::SetIdempotencyResult { key, .. }
            | Self::SetExecutionStateValue { key, .. } => check_key("key", key),
            Self::CreateSignal { signal } => {
                check_key("name", &signal.name)?;
                some("id", &signal.id)
            }
            Self::GetSignal { name, .. } | Self::IncrementExecutionCounter { name, .. } => check_key("name", name),
            Self::EnsureExecutionCounters { counters, .. } => {
                counters.keys().try_for_each(|name| check_key("counters", name))
            }
            Self::EnsureExecutionStateValues { values, .. } => {
                values.keys().try_for_each(|key| check_key("values", key))
            }
            Self::InitDb {}
            | Self::Close {}
            | Self::CreateExecution { .. }
            | Self::GetExecution { .. }
            | Self::UpdateExecution { .. }
            | Self::ListExecutions { .. }
            | Self::CountExecutions { .. }
            | Self::GetTask { .. }
            | Self::ListTasks { .. }
            | Self::ListTasksForExecution { .. }
            | Self::AppendProgress { .. }
            | Self::ListDeadTasks { .. }
            | Self::CountDeadTasks {}
            | Self::GetDeadTask { .. }
            | Self::DeleteDeadTask { .. }
            | Self::CleanupExecutions { .. }
            | Self::CleanupDeadLetters { .. }
            | Self::GetExecutionCounters { .. }
            | Self::GetExecutionStateValues { .. } => Ok(()),
        }
    }
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
