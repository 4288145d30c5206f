//! Commits commands while the handler goes on. At most one transaction of a task is in flight.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::core::{Alarm, Phase, State, TaskCore, flag};
use crate::backend::{Outcome, Transition};
use crate::model::{BATCH_MAX, Error, Op, Result};

/// What a handler reports (progress, counters, values) is committed at the latest after this time. Most handlers end
/// sooner, and it is committed with their end.
const FLUSH: Duration = Duration::from_millis(20);

impl TaskCore {
    /// Sends the staged commands to the store. Only to be called when none are in flight.
    pub(super) fn send(self: &Arc<Self>, state: &mut State) {
        let commands = state.machine(&self.claimed).take_chunk(BATCH_MAX);
        state.holds_taken += 1;
        if let Some(polled) = &mut state.polled {
            polled.urgent = false;
        }
        self.set(flag::HOLD);
        self.holder.post(Arc::clone(self), Transition { held: self.held, commands, outcome: Outcome::Hold });
    }

    /// An error if there is no point in waiting for a commit.
    fn check_commit(&self, state: &State) -> Result<()> {
        if state.phase == Phase::Closed || state.refused.is_some() || self.in_vain() {
            return self.check(state);
        }
        Ok(())
    }

    pub(super) fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until everything that is staged now is recorded.
    pub(super) fn commit<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>> {
        let wanted = state.holds_taken + u64::from(state.has_commands());
        loop {
            self.check_commit(&state)?;
            if state.holds_done >= wanted {
                return Ok(state);
            }
            if state.holds_taken < wanted && state.holds_taken == state.holds_done {
                self.send(&mut state);
            }
            state = self.wait(state);
        }
    }

    /// Splits long fan-outs into transactions of a bounded size: sends a chunk when it is full. Blocks only while the
    /// chunk before it is in flight.
    pub(super) fn commit_full_chunk<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
    ) -> Result<MutexGuard<'a, State>> {
        while state.machine(&self.claimed).staged_spawns() >= BATCH_MAX {
            self.check_commit(&state)?;
            if state.polled.is_some() && state.holds_taken != state.holds_done {
                // The rest is sent when this turn has ended.
                return Ok(state);
            }
            if state.holds_taken == state.holds_done {
                self.send(&mut state);
            } else {
                state = self.wait(state);
            }
        }
        Ok(state)
    }

    /// Sets an alarm to commit staged commands, if the handler does not end before.
    pub(super) fn flush_soon(self: &Arc<Self>, state: &mut State) {
        if !state.flush_set && state.has_commands() {
            state.flush_set = true;
            self.holder.set_alarm(Instant::now() + FLUSH, Alarm::Flush, Arc::downgrade(self));
        }
    }

    /// The alarm to flush has fired.
    pub(super) fn flush(self: &Arc<Self>) {
        let mut state = self.state();
        state.flush_set = false;
        let going = matches!(state.phase, Phase::Running | Phase::Deferred) && state.staged.is_none();
        if !going || self.is(flag::GONE) || state.refused.is_some() {
            return;
        }
        if state.holds_taken == state.holds_done {
            if state.has_commands() {
                self.send(&mut state);
            }
        } else {
            self.flush_soon(&mut state);
        }
    }

    // The store's answers.

    /// No commands are in flight any more.
    pub(in crate::executor) fn hold_over(&self) {
        self.unset(flag::HOLD);
    }

    pub(in crate::executor) fn recorded(self: &Arc<Self>, arrivals: &[(Op, u64)], latest: u64) {
        let mut state = self.state();
        state.holds_done += 1;
        // The next poll checks whether more has arrived.
        let _news = state.machine(&self.claimed).committed(arrivals, latest);
        if state.polled.is_some() {
            return self.next_turn(state);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The store has refused commands. Nothing that depends on them can go on.
    pub(in crate::executor) fn refuse(self: &Arc<Self>, error: Error) {
        let mut state = self.state();
        state.holds_done += 1;
        state.refused.get_or_insert(error);
        if state.polled.is_some() {
            return self.next_turn(state);
        }
        drop(state);
        self.changed.notify_all();
    }
}
