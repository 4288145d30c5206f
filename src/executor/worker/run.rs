//! A claimed task on its handler thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::pool::{Job, Slot};
use crate::executor::task::{Task, TaskCore};
use crate::model::{Error, Status};

pub(in crate::executor) struct Run(pub(super) Arc<TaskCore>);

impl Job for Run {
    fn run(self) -> Slot {
        let core = self.0;
        if !core.begin() {
            return Slot::Free;
        }
        let Some(handler) = core.function.handler.as_ref().map(Arc::clone) else {
            core.begin_polled();
            return Slot::Kept;
        };
        let task = Task::first(Arc::clone(&core));
        let status = match catch_unwind(AssertUnwindSafe(|| handler.run(&task))) {
            Ok(status) => status,
            Err(panic) => {
                core.note(&Error::new(Status::Panic, format!("the handler panicked: {}", message_of(&*panic))));
                Status::Panic
            }
        };
        // The handle goes after the status is known: then its drop tells whether anybody kept one.
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
