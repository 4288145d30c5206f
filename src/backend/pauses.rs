//! Pauses: a queue or a function of which nothing is claimed for a while, and who said so.

use serde::{Deserialize, Serialize};

use crate::model::{Error, Result, Timestamp, check_name};

/// What can be paused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pausable {
    Queue(String),
    Function(String),
}

/// A pause to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPause {
    pub what: Pausable,
    pub reason: Option<String>,
    /// Who wants it, for people.
    pub by: Option<String>,
}

/// A pause that holds. One of queue and function is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    #[serde(default)]
    pub queue: Option<String>,
    #[serde(default)]
    pub function: Option<String>,
    pub since: Timestamp,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub by: Option<String>,
    /// Tasks of it that workers still hold, claimed before.
    pub running: u64,
}

impl Pausable {
    /// # Errors
    /// `INVALID` if it is not one of both, or no name.
    pub fn new(queue: Option<String>, function: Option<String>) -> Result<Self> {
        match (queue, function) {
            (Some(queue), None) => Self::Queue(queue).checked(),
            (None, Some(function)) => Self::Function(function).checked(),
            (Some(_), Some(_)) => Err(Error::invalid("a queue and a function are named; name one of them")),
            (None, None) => Err(Error::invalid("neither a queue nor a function is named")),
        }
    }

    /// # Errors
    /// `INVALID` if its name is none.
    pub fn checked(self) -> Result<Self> {
        check_name(self.kind(), self.name())?;
        Ok(self)
    }

    /// As a request names it: the queue, or the function.
    pub fn into_names(self) -> (Option<String>, Option<String>) {
        match self {
            Self::Queue(name) => (Some(name), None),
            Self::Function(name) => (None, Some(name)),
        }
    }

    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::Function(_) => "function",
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Queue(name) | Self::Function(name) => name,
        }
    }
}

impl std::fmt::Display for Pausable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {} '{}'", self.kind(), self.name())
    }
}

impl Pause {
    pub fn what(&self) -> Option<Pausable> {
        Pausable::new(self.queue.clone(), self.function.clone()).ok()
    }

    /// Does it hold for a task of this function in this queue?
    pub fn holds_for(&self, queue: Option<&str>, function: &str) -> bool {
        let is_queue = self.queue.is_some() && self.queue.as_deref() == queue;
        is_queue || self.function.as_deref() == Some(function)
    }
}
