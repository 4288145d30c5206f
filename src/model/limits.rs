//! Limits, each with its reason.

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
