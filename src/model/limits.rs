//! Limits, each with its reason.

use serde::Serialize;

/// Names are index keys and metric labels: long enough for a qualified name in any language.
pub const NAME_MAX: usize = 255;

/// One payload: it is copied several times on its way and held in memory by every process that touches it.
pub const PAYLOAD_MAX: usize = 64 * 1024 * 1024;

/// Tags make a route together with queue and function; more than this is data, not routing.
pub const TAGS_MAX: usize = 32;

/// Operations of one task: its journal is held in memory while it runs.
pub const OPS_MAX: u32 = 1_000_000;

/// Transitions, spawns or dispatches in one transaction that others wait for.
pub const BATCH_MAX: usize = 1_000;

/// Slots of one worker: each may hold a thread.
pub const CONCURRENCY_MAX: usize = 10_000;

/// A message or a stack of a failure, the reason of a cancel or a dead letter. It is kept in several rows and passed up to
/// every caller: enough for a long stack, and no place for data.
pub const ERROR_TEXT_MAX: usize = 32 * 1024;

/// A failure's details, for programs.
pub const ERROR_DETAILS_MAX: usize = 256 * 1024;

/// A key of a kept result, which the protocol's callers choose: it is an index key, and escaped it is twice as long.
pub const KEY_MAX: usize = 1024;

/// Connections of one store: room is kept for each from the beginning.
pub const CONNECTIONS_MAX: u32 = 10_000;

/// A duration, in seconds: a longer one is a mistake of units. No lease, timer or retention lasts 1000 years.
pub const DURATION_MAX: u64 = 1000 * 365 * 86_400;

/// A limit as callers are told of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Limit {
    pub name: &'static str,
    /// Its name in the header.
    pub constant: &'static str,
    pub value: u64,
    pub unit: &'static str,
    pub doc: &'static str,
}

const fn limit(name: &'static str, constant: &'static str, value: u64, unit: &'static str, doc: &'static str) -> Limit {
    Limit { name, constant, value, unit, doc }
}

/// All that a caller can run into.
pub const LIMITS: &[Limit] = &[
    limit(
        "name",
        "STENT_NAME_MAX",
        NAME_MAX as u64,
        "bytes",
        "The name of a function, queue, tag, signal, counter, state value, worker or step; an operation's key; an \
         idempotency key; the type and the code of a failure. Not empty, no control characters; an operation's key has no '#'.",
    ),
    limit("payload", "STENT_PAYLOAD_MAX", PAYLOAD_MAX as u64, "bytes", "Arguments, a result, a signal, a state value."),
    limit("tags", "STENT_TAGS_MAX", TAGS_MAX as u64, "tags", "Of a task, a function, a worker."),
    limit("operations", "STENT_OPS_MAX", OPS_MAX as u64, "operations", "Of one task; stent_task_continue begins anew."),
    limit("batch", "STENT_BATCH_MAX", BATCH_MAX as u64, "dispatches", "In one transaction; more take several."),
    limit(
        "slots",
        "STENT_CONCURRENCY_MAX",
        CONCURRENCY_MAX as u64,
        "tasks",
        "A worker's max_concurrency, and its prefetch.",
    ),
    limit(
        "error_text",
        "STENT_ERROR_TEXT_MAX",
        ERROR_TEXT_MAX as u64,
        "bytes",
        "A failure's message and its stack, the reason of a cancellation; what is longer is cut.",
    ),
    limit(
        "error_details",
        "STENT_ERROR_DETAILS_MAX",
        ERROR_DETAILS_MAX as u64,
        "bytes",
        "A failure's details; what is longer is left out, and its length told.",
    ),
    limit("key", "STENT_KEY_MAX", KEY_MAX as u64, "bytes", "A key of a kept result, in the operations of backends."),
    limit(
        "connections",
        "STENT_CONNECTIONS_MAX",
        CONNECTIONS_MAX as u64,
        "connections",
        "A SQLite store's readers, a PostgreSQL store's max_size.",
    ),
    limit("duration", "STENT_DURATION_MAX", DURATION_MAX, "seconds", "Any duration: a thousand years."),
];
