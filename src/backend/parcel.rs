//! An execution on its way from one store to another: all that a store keeps of it, as a line of JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{
    DeadLetter, Execution, Id, Number, Op, OpSet, Payload, Result, Signal, Task, Timestamp, WaitMode, digest,
};

/// The version of this form that is written, and the only one that is read.
pub const PARCEL_FORM: u32 = 1;

/// An execution with all that belongs to it. Its tasks are as nobody holds them: what ran when it was exported is pending.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parcel {
    /// See [`PARCEL_FORM`].
    pub stent_export: u32,
    /// Counts the execution's moves between stores. A store refuses one that is not newer than what it knows of.
    pub moves: u32,
    /// With the progress that handlers have told.
    pub execution: Execution,
    pub root_task_id: Option<Id>,
    pub on_cancel: Option<String>,
    pub traceparent: Option<String>,
    pub replay_of: Option<Id>,
    pub cancel_reason: Option<String>,
    /// In the order of their creation.
    pub tasks: Vec<ParcelTask>,
    /// In the order of sending.
    pub signals: Vec<ParcelSignal>,
    pub counters: BTreeMap<String, Number>,
    pub state: BTreeMap<String, Payload>,
    pub dead_letters: Vec<DeadLetter>,
}

/// A task with what the engine keeps of it beside the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParcelTask {
    pub task: Task,
    /// Not before this time, by the clock on the wall: a delay, a timer, the time-out of a wait.
    pub due_at: Option<Timestamp>,
    /// Of an attempt, in microseconds.
    pub timeout: Option<i64>,
    pub deadline_at: Option<Timestamp>,
    pub run: u32,
    pub ops: u32,
    pub effects: u32,
    pub op: Option<Op>,
    pub arrival: Option<u64>,
    pub opened: Option<Op>,
    pub crashes: u32,
    pub deaths: u32,
    #[serde(default)]
    pub snoozes: u32,
    /// When an attempt before this one began, the first of all.
    #[serde(default)]
    pub first_started_at: Option<Timestamp>,
    pub company: Option<u32>,
    pub cleanup: Option<Op>,
    pub parked: bool,
    pub parked_version: Option<String>,
    /// A task of the same execution that has the idempotency key for which this one waits.
    pub joins: Option<Id>,
    pub cache_key: Option<String>,
    /// In microseconds.
    pub cache_ttl: Option<i64>,
    pub cache_hit: bool,
    pub heartbeat: Option<Payload>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_key: Option<String>,
    /// In microseconds, of a priority that ages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_start: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fairness_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fairness_weight: Option<f64>,
    /// It has issued operations.
    pub waits: Option<ParcelWaits>,
    /// It owns its idempotency key.
    pub key: Option<ParcelKey>,
}

/// How many ends were delivered to a task and, while it is suspended, what it waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParcelWaits {
    pub arrivals: u64,
    pub mode: Option<WaitMode>,
    pub ops: Option<OpSet>,
    pub missing: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParcelKey {
    #[serde(with = "digest")]
    pub args_hash: [u8; 32],
    pub expires_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParcelSignal {
    pub signal: Signal,
    /// The wait that took it.
    pub consumed_by: Option<Id>,
}

/// What an export has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The line, without its end.
    pub line: String,
    /// It is over, and stays in the store that it was read from. Else it is fenced: there is nothing of it any more but
    /// this line, which the store keeps until it is told what became of it.
    pub ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    Done,
    /// By an earlier import of the same line; nothing was changed.
    WasThere,
}

/// An execution that this store has exported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Departed {
    pub execution_id: Id,
    pub function: String,
    pub moves: u32,
    pub exported_at: Timestamp,
    /// Of the line.
    pub bytes: u64,
}

/// What to do with an execution that is fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// It was imported nowhere, and goes on here.
    TakeBack,
    /// It was imported elsewhere: the line is forgotten.
    LetGo,
}

impl Parcel {
    /// # Errors
    /// `INVALID` for what is written in a form that this library does not know.
    pub fn check_form(&self) -> Result<()> {
        if self.stent_export == PARCEL_FORM {
            return Ok(());
        }
        Err(crate::model::Error::invalid(format!(
            "import: this line is of form {}, and this library knows form {PARCEL_FORM}; import it with the library that \
             wrote it, or a newer one",
            self.stent_export
        )))
    }
}
