//! The ways to end a task. In a handler the end is staged, and committed after the handler has returned; on a deferred
//! task it takes effect at once. None of them blocks.

use std::time::Duration;

use super::Task;
use super::core::{Phase, flag};
use super::decide::Staged;
use crate::model::{Error, Failure, Payload, Result, Status, check_size};

impl Task {
    /// Completes the task with this result.
    ///
    /// # Errors
    /// See [`Task`]. `NONDETERMINISM` if something is recorded that this run has not asked for. A deferred task that
    /// can't be ended any more (`LEASE_LOST`, `CANCELLED`, `NONDETERMINISM`) frees its slot all the same.
    pub fn complete(&self, result: Payload) -> Result<()> {
        let staged = check_size("result", &result).and_then(|()| self.stage(Staged::Complete(result)));
        self.core().noted(staged)
    }

    /// Fails the attempt. The retry policy decides what follows; a failure of a child that is passed on unchanged is
    /// not retried.
    pub fn fail(&self, failure: Failure) -> Result<()> {
        let failure = self.core().with_known_wait(failure);
        let staged = self.stage(Staged::Fail(failure));
        self.core().noted(staged)
    }

    /// Not now: the task runs again from the top after `delay`, with its journal. No attempt is charged, and what it may
    /// take is counted anew; how often this was done, [`TaskInfo::snoozes`](super::TaskInfo) says.
    ///
    /// # Errors
    /// See [`Task`].
    pub fn snooze(&self, delay: Duration) -> Result<()> {
        let staged = self.stage(Staged::Snooze(delay));
        self.core().noted(staged)
    }

    /// Starts the task again with new arguments, an empty journal and the signals that no wait has taken.
    pub fn continue_with(&self, args: Payload) -> Result<()> {
        let staged = check_size("args", &args).and_then(|()| self.stage(Staged::Continue(args)));
        self.core().noted(staged)
    }

    /// Accepts a suspension: the task waits for what its last await asked for. In a handler, returning does the same.
    ///
    /// # Errors
    /// `INVALID` if no await has answered `SUSPEND`.
    pub fn suspend(&self) -> Result<()> {
        let suspended = self.accept_suspension();
        self.core().noted(suspended)
    }

    fn accept_suspension(&self) -> Result<()> {
        let core = self.core();
        let state = core.state();
        match core.check(&state) {
            Ok(()) if state.polled.is_some() => core.give_turn(state),
            Ok(()) => Err(Error::invalid(
                "suspend: this task waits for nothing; await operations first, and suspend when that answers SUSPEND",
            )),
            Err(error) if error.status() == Status::Suspend => {
                if state.phase == Phase::Deferred {
                    core.end_deferred(state, Status::Suspend, false);
                }
                Ok(())
            }
            Err(error) => {
                self.let_go(state, &error);
                Err(error)
            }
        }
    }

    fn stage(&self, what: Staged) -> Result<()> {
        let core = self.core();
        let mut state = core.state();
        let open = core.check(&state).and_then(|()| state.mismatch().cloned().map_or(Ok(()), Err));
        let open = open.and_then(|()| core.check_turn(&state));
        let ended = open.and_then(|()| match (&what, &mut state.machine) {
            (Staged::Complete(_) | Staged::Continue(_), Some(machine)) => machine.end(),
            (Staged::Fail(_) | Staged::Snooze(_), _) | (_, None) => Ok(()),
        });
        match ended {
            Ok(()) => {
                state.staged = Some(what);
                if state.phase == Phase::Deferred {
                    core.end_deferred(state, Status::Ok, false);
                }
                Ok(())
            }
            Err(error) => {
                self.let_go(state, &error);
                Err(error)
            }
        }
    }

    /// A deferred task whose end can't be recorded still has to free its slot.
    fn let_go(&self, state: std::sync::MutexGuard<'_, super::core::State>, error: &Error) {
        let core = self.core();
        let hopeless = core.is(flag::GONE | flag::CANCELLED) || state.refused.is_some() || state.mismatch().is_some();
        if state.phase == Phase::Deferred && hopeless {
            core.end_deferred(state, error.status(), false);
        }
    }
}
