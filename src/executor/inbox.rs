//! What a worker tells a host that is not called back: a stream of events into the host's inbox.

use super::events::TaskEvent;
use super::status::WorkerStatus;
use super::task::Task;
use crate::model::Status;

/// Takes events for a host that looks for them when it likes. Called from any thread, under locks: it must not block,
/// must not call back, and must not drop what it refuses.
pub trait Inbox: Send + Sync {
    /// Gives the event back when the inbox is closed.
    fn post(&self, event: Event) -> Option<Event>;

    /// Nobody looks any more, and nobody will.
    fn is_closed(&self) -> bool;
}

#[derive(Debug)]
pub enum Event {
    /// A task to run, from the top.
    Task(Task),
    /// News of a task that was handed over.
    Told(TaskEvent),
    /// A worker has come to another state.
    Worker(WorkerStatus),
}

impl Event {
    /// How what it tells of came out.
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
