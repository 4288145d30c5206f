//! The operations of the backend protocol.

use super::{Field, Kind, optional, required};
use crate::model::{ExecutionState, TaskState};

/// An operation, its request's fields and its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub name: &'static str,
    pub doc: &'static str,
    pub request: &'static [Field],
    /// `None`: the answer is null.
    pub response: Option<Kind>,
    /// The answer may be null instead.
    pub nullable: bool,
}

const NOTHING: Option<Kind> = None;
const EXECUTION: Kind = Kind::Named("execution");
const TASK: Kind = Kind::Named("task");
const DEAD_LETTER: Kind = Kind::Named("dead_letter");
const SIGNAL: Kind = Kind::Named("signal");
const STRINGS: Kind = Kind::ListOf(&Kind::String);
const COUNTERS: Kind = Kind::MapOf(&Kind::Number);
const VALUES: Kind = Kind::MapOf(&Kind::Any);

const EXECUTION_ID: Field = required("execution_id", Kind::Id, "The execution.");
const TASK_ID: Field = required("task_id", Kind::Id, "The task.");
const LIMIT: Field = optional("limit", Kind::Integer, "10", "At most so many.");
const OFFSET: Field = optional("offset", Kind::Integer, "0", "Without the first so many.");
const LEASE: Field = optional("lease_duration", Kind::Duration, "30.0", "How long the task is held from now.");
const KEY: Field = required("key", Kind::String, "The key.");
const TTL: Field = optional("ttl", Kind::Duration, "null", "How long it is kept; null: for ever.");
const OLDER_THAN: Field = required("older_than", Kind::Time, "Strictly before this.");
const EXECUTION_STATE: Field =
    optional("state", Kind::Word(ExecutionState::WORDS), "null", "In this state; null: in any.");
const TASK_STATE: Field = optional("state", Kind::Word(TaskState::WORDS), "null", "In this state; null: in any.");
const WHOLE_EXECUTION: Field = required("execution", EXECUTION, "The whole record.");
const WHOLE_TASK: Field = required("task", TASK, "The whole record.");

macro_rules! operations {
    ($($name:ident [$($field:expr),* $(,)?] -> $response:expr, $doc:literal;)*) => {
        /// In the order of the backend's documentation.
        pub(crate) const OPERATIONS: &[Operation] = &[$({
            let (response, nullable) = $response;
            Operation { name: stringify!($name), doc: $doc, request: &[$($field),*], response, nullable }
        }),*];

        /// The names of [`OPERATIONS`], for errors.
        pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

pub(super) use operations;

pub(super) const fn one(kind: Kind) -> (Option<Kind>, bool) {
    (Some(kind), false)
}

pub(super) const fn one_or_null(kind: Kind) -> (Option<Kind>, bool) {
    (Some(kind), true)
}

pub(super) const NULL: (Option<Kind>, bool) = (NOTHING, true);

operations! {
    init_db [] -> NULL, "Creates or migrates the schema; safe from several processes at once, and again and again.";
    close [] -> NULL, "Releases everything.";
    create_execution [WHOLE_EXECUTION] -> NULL, "Inserts it with its progress. An existing id is a conflict.";
    create_execution_with_root_task [WHOLE_EXECUTION, WHOLE_TASK] -> NULL, "Both in one transaction.";
    get_execution [EXECUTION_ID] -> one_or_null(EXECUTION), "The record with its progress in order, or null.";
    update_execution [WHOLE_EXECUTION] -> NULL,
        "Replaces the mutable fields: all but id, root_function, created_at and progress.";
    list_executions [LIMIT, OFFSET, EXECUTION_STATE] -> one(Kind::ListOf(&EXECUTION)),
        "Newest first, ties by id; without progress.";
    count_executions [EXECUTION_STATE] -> one(Kind::Integer), "How many executions there are.";
    create_task [WHOLE_TASK] -> NULL,
        "An existing id is a conflict, and so is an unfinished task of an execution that is over or being cancelled; a task \
         that would be its own ancestor is invalid.";
    create_tasks [required("tasks", Kind::ListOf(&TASK), "The whole records.")] -> NULL, "All or nothing.";
    get_task [TASK_ID] -> one_or_null(TASK), "The record, or null.";
    list_tasks [LIMIT, OFFSET, TASK_STATE] -> one(Kind::ListOf(&TASK)), "Newest first, ties by id.";
    list_tasks_for_execution [EXECUTION_ID] -> one(Kind::ListOf(&TASK)), "In order of creation, ties by id.";
    update_task [WHOLE_TASK] -> NULL,
        "Replaces state, result, error, retries, started_at, completed_at, worker_id, lease_expires_at and \
         scheduled_for; unconditional, by id. It raises the fence; where it ends a task, who waits for it is woken.";
    count_tasks [optional("queue", Kind::String, "null", "Of this queue; null: of any."), TASK_STATE]
        -> one(Kind::Integer), "How many tasks there are.";
    claim_next_task [
        required("worker_id", Kind::String, "Who takes it."),
        optional("queues", STRINGS, "null", "From these queues, or without a queue of its own; null: from any."),
        optional("tags", STRINGS, "null", "With one of these tags, or without tags; null: with any."),
        optional("now", Kind::Time, "null", "The instant by which leases and schedules are judged; null: the store's clock."),
        LEASE,
        optional("concurrency_limits", Kind::MapOf(&Kind::Integer), "{}",
            "Function to the number of its tasks that may run at once.")
    ] -> one_or_null(TASK), "Atomically takes the best eligible task, or null.";
    renew_task_lease [TASK_ID, required("worker_id", Kind::String, "Who holds it."), LEASE] -> one(Kind::Boolean),
        "True only for the worker that holds the running task.";
    append_progress [EXECUTION_ID, required("progress", Kind::Named("progress"), "The entry.")] -> NULL,
        "Adds one entry.";
    get_cached_result [KEY] -> one_or_null(Kind::Any), "Null when absent or past its time to live.";
    set_cached_result [KEY, required("value", Kind::Any, "The result."), TTL] -> NULL, "The last write stands.";
    get_idempotency_result [KEY] -> one_or_null(Kind::Any), "Null when absent or past its time to live.";
    set_idempotency_result [KEY, required("value", Kind::Any, "The result."), TTL] -> NULL, "The last write stands.";
    move_task_to_dead_letter [WHOLE_TASK, required("reason", Kind::String, "Why.")] -> NULL,
        "Again for the same task: replaces, no error.";
    list_dead_tasks [optional("limit", Kind::Integer, "50", "At most so many.")] -> one(Kind::ListOf(&DEAD_LETTER)),
        "Newest first, ties by id.";
    count_dead_tasks [] -> one(Kind::Integer), "How many dead letters there are.";
    get_dead_task [TASK_ID] -> one_or_null(DEAD_LETTER), "The dead letter, or null.";
    delete_dead_task [TASK_ID] -> one(Kind::Boolean), "True if it was there.";
    cleanup_executions [OLDER_THAN] -> one(Kind::Integer),
        "Removes terminal executions that completed before, with all that belongs to them, but for those that have a dead \
         letter: its replay needs them; the number of executions.";
    cleanup_dead_letters [OLDER_THAN] -> one(Kind::Integer), "Removes dead letters moved before; their number.";
    create_signal [required("signal", SIGNAL, "The whole record.")] -> NULL,
        "Appends; with `consumed`, marks the oldest that is not consumed (or appends it consumed where there is none).";
    get_signal [EXECUTION_ID, required("name", Kind::String, "The signal's name.")] -> one_or_null(SIGNAL),
        "The oldest not consumed, else the newest, else null.";
    ensure_execution_counters [EXECUTION_ID, required("counters", COUNTERS, "Names and first values.")] -> NULL,
        "Inserts where absent.";
    increment_execution_counter [
        EXECUTION_ID,
        required("name", Kind::String, "The counter."),
        required("amount", Kind::Number, "What is added; integers stay exact.")
    ] -> one(Kind::Number), "Atomic; the new value.";
    get_execution_counters [EXECUTION_ID] -> one(COUNTERS), "All of the execution.";
    ensure_execution_state_values [EXECUTION_ID, required("values", VALUES, "Keys and first values.")] -> NULL,
        "Inserts where absent.";
    set_execution_state_value [EXECUTION_ID, KEY, required("value", Kind::Any, "The value.")] -> NULL,
        "The last write stands.";
    get_execution_state_values [EXECUTION_ID] -> one(VALUES), "All of the execution.";
}
