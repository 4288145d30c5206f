//! A coroutine whose task waits as rows.

use std::sync::Arc;

use super::core::{Polled, TaskCore, flag};
use crate::executor::events::{Reason, TaskEvent};
use crate::executor::replay::Machine;
use crate::model::Op;

/// What goes on in the host's memory while the task waits.
pub(in crate::executor) struct Warm {
    pub(in crate::executor) machine: Machine,
    pub(in crate::executor) polled: Polled,
    /// The lease under which it was suspended.
    pub(in crate::executor) last: Arc<TaskCore>,
}

impl TaskCore {
    /// Its suspension is recorded. None: the host has dropped it.
    pub(in crate::executor) fn take_warm(self: &Arc<Self>, arrivals: &[(Op, u64)], latest: u64) -> Option<Warm> {
        let machine = self.take_machine(arrivals, latest)?;
        let polled = self.state().polled.take()?;
        polled.is_kept().then(|| Warm { machine, polled, last: Arc::clone(self) })
    }
}

impl Warm {
    /// The coroutine's memory is asked back; the task goes on as rows.
    pub(in crate::executor) fn evict(mut self, reason: Reason) {
        self.last.lose(flag::LOST);
        let notice = self.last.notice(reason);
        self.last.close(Some(&mut self.polled), |tag| TaskEvent::Evict { tag, notice });
    }
}
