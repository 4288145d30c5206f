//! The records of the backend protocol. Nullable fields are always written, as `null`; when read, a missing one is
//! `null` and an unknown field is an error.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::state::words;
use super::{ExecutionState, Failure, Id, Payload, RetryPolicy, TaskKind, TaskState, Timestamp};

/// One run of a dispatched function, with everything it called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Execution {
    pub id: Id,
    pub root_function: String,
    pub state: ExecutionState,
    #[serde(default = "Payload::empty_array")]
    pub args: Payload,
    #[serde(default = "Payload::empty_object")]
    pub kwargs: Payload,
    #[serde(default)]
    pub retries: u32,
    pub created_at: Timestamp,
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    #[serde(default)]
    pub expiry_at: Option<Timestamp>,
    #[serde(default)]
    pub progress: Vec<ProgressEntry>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub priority: i64,
    #[serde(default)]
    pub queue: Option<String>,
    #[serde(default)]
    pub result: Option<Payload>,
    #[serde(default)]
    pub error: Option<Failure>,
}

/// One call inside an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    pub id: Id,
    pub execution_id: Id,
    /// The registered name of the function; of a signal, timer or step, its own name.
    pub step_name: String,
    pub kind: TaskKind,
    #[serde(default)]
    pub parent_task_id: Option<Id>,
    pub state: TaskState,
    #[serde(default = "Payload::empty_array")]
    pub args: Payload,
    #[serde(default = "Payload::empty_object")]
    pub kwargs: Payload,
    #[serde(default)]
    pub retries: u32,
    pub created_at: Timestamp,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub priority: i64,
    #[serde(default)]
    pub queue: Option<String>,
    #[serde(default)]
    pub retry_policy: Option<RetryPolicy>,
    #[serde(default)]
    pub result: Option<Payload>,
    #[serde(default)]
    pub error: Option<Failure>,
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    #[serde(default)]
    pub worker_id: Option<String>,
    #[serde(default)]
    pub lease_expires_at: Option<Timestamp>,
    #[serde(default)]
    pub idempotency_key: Option<String>,
    #[serde(default)]
    pub scheduled_for: Option<Timestamp>,
    /// Grows with every claim; what a worker writes is conditional on it.
    #[serde(default)]
    pub fence: u64,
    /// The operation's key within its parent, such as `charge#1`.
    #[serde(default)]
    pub step_key: Option<String>,
}

impl Task {
    /// A pending task without arguments, parent or options.
    pub fn new(id: Id, execution_id: Id, kind: TaskKind, step_name: &str, created_at: Timestamp) -> Self {
        Self {
            id,
            execution_id,
            step_name: step_name.to_owned(),
            kind,
            parent_task_id: None,
            state: TaskState::Pending,
            args: Payload::empty_array(),
            kwargs: Payload::empty_object(),
            retries: 0,
            created_at,
            tags: Vec::new(),
            priority: 0,
            queue: None,
            retry_policy: None,
            result: None,
            error: None,
            started_at: None,
            completed_at: None,
            worker_id: None,
            lease_expires_at: None,
            idempotency_key: None,
            scheduled_for: None,
            fence: 0,
            step_key: None,
        }
    }
}

/// A named message to an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    pub execution_id: Id,
    pub name: String,
    #[serde(default = "Payload::null")]
    pub payload: Payload,
    pub created_at: Timestamp,
    #[serde(default)]
    pub consumed: bool,
    #[serde(default)]
    pub consumed_at: Option<Timestamp>,
    /// The sender's own id: the same id for the same execution and name counts once.
    #[serde(default)]
    pub id: Option<String>,
    /// Given by the store: the order of sending.
    #[serde(default)]
    pub sequence: u64,
}

words! {
    ProgressStatus, "a progress status" {
        Dispatched = "dispatched",
        Running = "running",
        Completed = "completed",
        Failed = "failed",
        CacheHit = "cache_hit",
    }
}

/// A line of an execution's progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgressEntry {
    pub step: String,
    pub status: ProgressStatus,
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    #[serde(default)]
    pub detail: Option<Payload>,
}

/// A task that used up its attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetter {
    pub task: Task,
    pub reason: String,
    pub moved_at: Timestamp,
}

/// A counter's value or increment. Integers stay exact as long as they fit 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Number {
    Integer(i64),
    Real(f64),
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl de::Visitor<'_> for Either {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number::Integer(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                // A counter that silently lost digits would be worse than none.
                let wrong = || E::custom(format!("{number} does not fit a signed integer of 64 bits"));
                i64::try_from(number).map(Number::Integer).map_err(|_| wrong())
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Number, E> {
                Ok(Number::Real(number))
            }
        }

        deserializer.deserialize_any(Either)
    }
}
