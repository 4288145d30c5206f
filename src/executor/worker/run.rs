//! Runs a claimed task that has got a slot: calls its handler, gathers it for one, or hands it to a host that takes events.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::batches::Batch;
use super::turns::{Job, Slot};
use crate::executor::inbox::{Event, Inbox};
use crate::executor::registry::{Handler, panicked};
use crate::executor::task::{Task, TaskCore};
use crate::model::Status;

/// Who runs a task.
pub(super) enum Code {
    Handler(Arc<dyn Handler>),
    Batch(Arc<Batch>),
    Host(Arc<dyn Inbox>),
}

pub(super) struct Run {
    pub(super) task: Arc<TaskCore>,
    pub(super) code: Code,
}

impl Job for Run {
    fn run(self) -> Slot {
        let Self { task: core, code } = self;
        let handler = match code {
            Code::Handler(handler) => handler,
            Code::Batch(batch) => {
                batch.add(core);
                return Slot::Kept;
            }
            Code::Host(inbox) => return hand_over(&core, inbox),
        };
        if core.must_look() {
            core.look_ahead();
        }
        if !core.begin() {
            return Slot::Free;
        }
        let task = Task::first(Arc::clone(&core));
        let status = match catch_unwind(AssertUnwindSafe(|| handler.run(&task))) {
            Ok(status) => status,
            Err(panic) => {
                core.note(&panicked(&*panic));
                Status::Panic
            }
        };
        // The handle is dropped after `returned` knows the status, so that the drop shows whether the handler has kept
        // a clone.
        if core.returned(status) { Slot::Kept } else { Slot::Free }
    }

    fn is_apart(&self) -> bool {
        self.task.is_suspect()
    }

    fn is_gathered(&self) -> bool {
        matches!(self.code, Code::Batch(..))
    }
}

/// On a thread that must not wait: while the store is asked, the slot is kept for the task.
fn hand_over(core: &Arc<TaskCore>, inbox: Arc<dyn Inbox>) -> Slot {
    let begin = move |core: &Arc<TaskCore>| {
        let begins = core.begin();
        if begins {
            core.begin_polled(|task| inbox.post(Event::Task(task)));
        }
        begins
    };
    if !core.must_look() {
        return if begin(core) { Slot::Kept } else { Slot::Free };
    }
    core.look_ahead_and_then(move |core| {
        if !begin(core) {
            core.free_slot();
        }
    });
    Slot::Kept
}
