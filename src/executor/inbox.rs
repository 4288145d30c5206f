//! The interface by which a worker sends events to a host that takes them from a poller.

use std::time::Instant;

use super::events::TaskEvent;
use super::status::WorkerStatus;
use super::task::Task;
use crate::model::Status;

/// Takes events for the host. Called from any thread, with locks held: it must not block, must not call back, and must
/// return an event that it refuses instead of dropping it.
pub trait Inbox: Send + Sync {
    /// Returns the event if the inbox is closed.
    fn post(&self, event: Event) -> Option<Event>;

    /// Nobody will take events any more.
    fn is_closed(&self) -> bool;

    /// Asks the host for a sign of life, as one more event would. Returns when it last gave one: took events, looked for
    /// them, or waits for them just now.
    fn beat(&self) -> Instant;
}

#[derive(Debug)]
pub enum Event {
    /// A task to be run from the beginning.
    Task(Task),
    /// An event about a task that was handed over.
    Told(TaskEvent),
    /// A worker's state has changed.
    Worker(WorkerStatus),
}

impl Event {
    /// The status of what the event reports.
    pub fn status(&self) -> Status {
        match self {
            Self::Task(_) | Self::Worker(_) => Status::Ok,
            Self::Told(event) => event.status(),
        }
    }

    pub fn tag(&self) -> u64 {
        match self {
            Self::Task(task) => task.tag(),
            Self::Told(event) => event.tag(),
            Self::Worker(_) => 0,
        }
    }
}
