//! Events that a poller's host gets about its task.

use super::core::{Phase, Polled, State, TaskCore, flag};
use crate::backend::Outcome;
use crate::executor::events::{Reason, TaskEnd, TaskEvent, TaskNotice};
use crate::model::{Failure, Result, Status};

impl TaskCore {
    pub(super) fn notice(&self, reason: Reason) -> TaskNotice {
        TaskNotice { task_id: self.held.task, execution_id: self.held.execution, reason }
    }

    pub(super) fn tell_cancel(&self, state: &mut State) {
        if !self.is(flag::TIMED_OUT) && self.cleans_up_later() && state.phase == Phase::Deferred {
            return self.tell_evict(state, Reason::Released);
        }
        let Some(polled) = &state.polled else { return };
        if state.phase == Phase::Deferred && polled.is_kept() && !polled.told {
            let reason = if self.is(flag::TIMED_OUT) { Reason::TimedOut } else { Reason::Cancelled };
            let notice = self.notice(reason);
            self.holder.tell_host(TaskEvent::Cancel { tag: polled.tag, notice });
        }
    }

    pub(super) fn tell_evict(&self, state: &mut State, reason: Reason) {
        let notice = self.notice(reason);
        self.close(state.polled.as_mut(), |tag| TaskEvent::Evict { tag, notice });
    }

    /// The end that the host gave its task has been recorded or refused.
    pub(super) fn tell_ended(&self, state: &mut State, outcome: Result<&Outcome>) {
        let (task_id, execution_id) = (self.held.task, self.held.execution);
        let outcome = outcome.map(|outcome| {
            let (outcome, failure) = name_of(outcome);
            TaskEnd { task_id, execution_id, outcome, failure: failure.cloned() }
        });
        self.close(state.polled.as_mut(), |tag| TaskEvent::Ended { tag, outcome });
    }

    /// Reports the store's verdict on the task's last transition.
    pub(in crate::executor) fn tell_verdict(&self, outcome: &Outcome, verdict: Result<()>) {
        let mut state = self.state();
        // If its lease was lost and the host has not ended it, the host learns that when it does.
        if state.polled.is_none() || state.phase != Phase::Closed {
            return;
        }
        let gives_way = matches!(outcome, Outcome::Suspend { .. } | Outcome::Release) && !self.is(flag::CANCELLED);
        match verdict {
            Ok(()) if matches!(outcome, Outcome::Suspend { .. }) => {}
            Ok(()) if gives_way => {
                let reason = if self.holder.draining() { Reason::Draining } else { Reason::Released };
                self.tell_evict(&mut state, reason);
            }
            Ok(()) if self.is(flag::CANCELLED) => self.tell_ended(&mut state, Err(self.cancelled())),
            Ok(()) => self.tell_ended(&mut state, Ok(outcome)),
            Err(error) if gives_way && error.status() == Status::Cancelled => {
                let reason = if self.cleans_up_later() { Reason::Released } else { Reason::Cancelled };
                self.tell_evict(&mut state, reason);
            }
            Err(_) if gives_way => self.tell_evict(&mut state, Reason::TakenOver),
            Err(error) => self.tell_ended(&mut state, Err(error)),
        }
    }

    /// Posts the event that closes the task, once.
    pub(super) fn close(&self, polled: Option<&mut Polled>, event: impl FnOnce(u64) -> TaskEvent) {
        if let Some(polled) = polled
            && !std::mem::replace(&mut polled.told, true)
            && polled.is_kept()
        {
            self.holder.tell_host(event(polled.tag));
        }
    }
}

fn name_of(outcome: &Outcome) -> (&'static str, Option<&Failure>) {
    match outcome {
        Outcome::Hold => ("held", None),
        Outcome::Complete { .. } => ("completed", None),
        Outcome::Retry { failure, .. } => ("retried", Some(failure)),
        Outcome::Snooze { .. } => ("snoozed", None),
        Outcome::DeadLetter { failure, .. } => ("dead_lettered", Some(failure)),
        Outcome::PassUp { failure } => ("failed", Some(failure)),
        Outcome::Suspend { .. } => ("suspended", None),
        Outcome::Release => ("released", None),
        Outcome::Park { failure, .. } => ("parked", Some(failure)),
        Outcome::Continue { .. } => ("continued", None),
    }
}
