//! The states of a worker, and its status for callers.

use std::str::FromStr;

use serde::Serialize;

use crate::model::{Error, Result};

/// The state of a worker. It only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It is not registered in the store yet.
    Starting,
    Ready,
    /// It claims nothing more and finishes what runs.
    Draining,
    /// None of its handlers runs any more, and it holds no lease.
    Stopped,
}

impl WorkerState {
    pub const ALL: [Self; 4] = [Self::Starting, Self::Ready, Self::Draining, Self::Stopped];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

impl FromStr for WorkerState {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid(format!("'{word}' is not a worker's state: it is one of {known}"))
        })
    }
}

/// A worker at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerStatus {
    pub worker_id: String,
    pub state: WorkerState,
    pub slots: usize,
    /// Slots in use: handlers that run, and deferred tasks.
    pub running: usize,
    /// Tasks that wait here for a slot.
    pub prefetched: usize,
    /// Leases it has.
    pub held: usize,
    /// Empty: every queue.
    pub queues: Vec<String>,
    /// Empty: every tag.
    pub tags: Vec<String>,
    pub functions: Vec<String>,
    /// Coroutines in a poller's host whose tasks wait as rows.
    pub coroutines: usize,
    /// Why its last call to the store failed, while that is so.
    pub trouble: Option<String>,
}
