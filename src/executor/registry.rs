//! The registered functions and their handlers.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::task::Task;
use crate::model::{BatchOptions, Error, FunctionOptions, Status};

/// The code of a function. Called on a handler thread of a worker, many at once, and again from the top whenever a
/// suspended task is resumed.
///
/// The status says what became of the call: [`Status::Ok`] with an outcome staged by [`Task::complete`],
/// [`Task::fail`], [`Task::suspend`] or [`Task::continue_with`]; [`Status::Pending`] when the handler kept a clone of
/// the task and ends it later from any thread; or the status of the error that stopped it. A panic is a failure of
/// type `Panic`.
pub trait Handler: Send + Sync {
    fn run(&self, task: &Task) -> Status;
}

/// The code of a function that takes many tasks in one call, in no order that means anything. Each is a deferred task: it
/// has its end from [`Task::complete`], [`Task::fail`] and the like, at once, from any thread. What has none when this
/// returns is treated by the status, as for a [`Handler`]: [`Status::Pending`] leaves it to those who kept clones.
pub trait BatchHandler: Send + Sync {
    fn run(&self, tasks: &[Task]) -> Status;
}

impl<F: Fn(&Task) -> Status + Send + Sync> Handler for F {
    fn run(&self, task: &Task) -> Status {
        self(task)
    }
}

/// Functions by name, sorted, so that a worker always registers them in the same order.
pub(super) type Registry = BTreeMap<String, Arc<Registered>>;

pub(super) struct Registered {
    pub(super) name: String,
    /// Shared with the function's tasks.
    pub(super) options: Arc<FunctionOptions>,
    pub(super) code: Code,
}

/// Who runs a function's tasks.
pub(super) enum Code {
    Handler(Arc<dyn Handler>),
    Batch(BatchOptions, Arc<dyn BatchHandler>),
    /// A worker's host, which takes events.
    Host,
}

/// What a handler's panic is told as.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::new(Status::Panic, format!("the handler panicked: {}", message_of(panic)))
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "(no message)"
    }
}
