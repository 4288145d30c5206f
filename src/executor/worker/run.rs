//! Runs a claimed task that has got a slot: calls its handler, or hands it to a host that takes events.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::pool::{Job, Slot};
use crate::executor::inbox::{Event, Inbox};
use crate::executor::registry::Handler;
use crate::executor::task::{Task, TaskCore};
use crate::model::{Error, Status};

/// Who runs a task.
pub(super) enum Code {
    Handler(Arc<dyn Handler>),
    Host(Arc<dyn Inbox>),
}

pub(super) struct Run {
    pub(super) task: Arc<TaskCore>,
    pub(super) code: Code,
}

impl Job for Run {
    fn run(self) -> Slot {
        let Self { task: core, code } = self;
        if !core.begin() {
            return Slot::Free;
        }
        let handler = match code {
            Code::Handler(handler) => handler,
            Code::Host(inbox) => {
                core.begin_polled(|task| inbox.post(Event::Task(task)));
                return Slot::Kept;
            }
        };
        let task = Task::first(Arc::clone(&core));
        let status = match catch_unwind(AssertUnwindSafe(|| handler.run(&task))) {
            Ok(status) => status,
            Err(panic) => {
                core.note(&Error::new(Status::Panic, format!("the handler panicked: {}", message_of(&*panic))));
                Status::Panic
            }
        };
        // The handle is dropped after `returned` knows the status, so that the drop shows whether the handler has kept
        // a clone.
        if core.returned(status) { Slot::Kept } else { Slot::Free }
    }
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
