//! A coroutine whose task is suspended.

use std::sync::Arc;

use super::core::{Polled, TaskCore, flag};
use crate::executor::events::{Reason, TaskEvent};
use crate::executor::replay::Machine;
use crate::model::Op;

/// What is kept of a coroutine in the host while its task is suspended.
pub(in crate::executor) struct Warm {
    pub(in crate::executor) machine: Machine,
    pub(in crate::executor) polled: Polled,
    /// The lease under which it was suspended.
    pub(in crate::executor) last: Arc<TaskCore>,
}

impl TaskCore {
    /// The suspension is recorded: takes the coroutine out of the lease. `None`: the host has dropped it.
    pub(in crate::executor) fn take_warm(self: &Arc<Self>, arrivals: &[(Op, u64)], latest: u64) -> Option<Warm> {
        let machine = self.take_machine(arrivals, latest)?;
        let polled = self.state().polled.take()?;
        polled.is_kept().then(|| Warm { machine, polled, last: Arc::clone(self) })
    }
}

impl Warm {
    /// Its execution is being cancelled, or over.
    pub(in crate::executor) fn cancel(self) {
        let reason = if self.last.cleans_up_later() { Reason::Released } else { Reason::Cancelled };
        self.evict(reason);
    }

    /// Asks the host to drop the coroutine. The task stays suspended in the store.
    pub(in crate::executor) fn evict(mut self, reason: Reason) {
        self.last.lose(flag::LOST);
        let notice = self.last.notice(reason);
        self.last.close(Some(&mut self.polled), |tag| TaskEvent::Evict { tag, notice });
    }
}
