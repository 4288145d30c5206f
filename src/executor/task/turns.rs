//! Turns of a poller's task. Its coroutine runs until it has nothing left to do, and gives the turn to the library.
//! Arrivals are delivered one at a time, each with a turn, in the order in which they arrived. If there is none the
//! task is suspended, and has neither slot nor lease; while a step runs in the host it keeps both.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;

use super::core::{Alarm, Phase, Polled, State, TaskCore, flag};
use super::coroutine::{Coroutine, Lease, Question};
use super::{Holder, Task};
use crate::backend::JournalEntry;
use crate::executor::events::{Arrived, Reason, TaskEvent};
use crate::executor::replay::Delivery;
use crate::model::{BATCH_MAX, Error, Op, Result, Status, Wait, WaitMode};

/// How often arrivals are looked for while a step is running: notices are hints.
const LOOK: Duration = Duration::from_secs(1);

impl Task {
    /// Asks for one event when an operation has arrived, or when the last of a group has. For tasks of a poller.
    ///
    /// # Errors
    /// `INVALID` for operations that are not this task's; `CONFLICT` for one that is asked for already; `UNSUPPORTED`
    /// in a handler that is called back.
    pub fn notify(&self, ops: &[Op], group: bool, tag: u64) -> Result<()> {
        let core = self.core();
        let asked = core.own_turn().and_then(|mut state| core.ask(&mut state, ops, group, tag));
        core.noted(asked)
    }
}

impl Task {
    /// A poller's host takes the task over: may its body begin? False: its lease is over, or its work would be in vain. It
    /// has gone back then, nothing more is told of it, and the handle is to be dropped.
    pub fn may_begin(&self) -> bool {
        self.core().may_begin()
    }
}

impl TaskCore {
    fn may_begin(self: &Arc<Self>) -> bool {
        let in_time = self.lease_holds();
        let mut state = self.state();
        if in_time && !self.is(flag::GONE | flag::CANCELLED) {
            return true;
        }
        if let Some(polled) = &mut state.polled {
            polled.told = true;
        }
        if state.phase == Phase::Deferred {
            state.gave_way = true;
            self.end_deferred(state, Status::Suspend, false);
        }
        false
    }

    pub(in crate::executor) fn set_polled(&self, polled: Polled) {
        self.state().polled = Some(polled);
    }

    /// Since when it has been the turn of its host.
    pub(in crate::executor) fn turn_since(&self) -> Option<Instant> {
        let state = self.state();
        let polled = state.polled.as_ref().filter(|polled| polled.hosts_turn && state.phase == Phase::Deferred)?;
        Some(polled.turn_since)
    }

    pub(in crate::executor) fn is_polled(&self) -> bool {
        self.state().polled.is_some()
    }

    /// As `going`, for calls that must come in the same order in every run: it must be the coroutine's turn.
    pub(super) fn own_turn(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.going()?;
        self.check_turn(&state)?;
        Ok(state)
    }

    pub(super) fn check_turn(&self, state: &State) -> Result<()> {
        match &state.polled {
            Some(polled) if !polled.hosts_turn => Err(Error::new(
                Status::Suspend,
                format!(
                    "this task of '{}' has given its turn back; what it asked to be told of comes as an event",
                    self.claimed.task.step_name
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Refuses calls that block if a poller hosts the task.
    pub(super) fn may_wait(&self) -> Result<()> {
        if !self.is_polled() {
            return Ok(());
        }
        Err(Error::new(
            Status::Unsupported,
            "this call waits, and a poller's task must not; spawn the operation, and ask to be notified of it",
        ))
    }

    fn ask(&self, state: &mut State, ops: &[Op], group: bool, tag: u64) -> Result<()> {
        let Some(mut polled) = state.polled.take() else {
            return Err(Error::new(
                Status::Unsupported,
                "notify: this task is a handler's, which is called back; await the operation instead",
            ));
        };
        let machine = state.machine(&self.claimed);
        let asked = polled.asked.ask(ops, group, tag, |op| machine.outcome(op).map(|outcome| outcome.is_some()));
        state.polled = Some(polled);
        asked
    }

    /// The task has got a slot: hands it to the host, or continues with its coroutine. `hand_over` returns what the
    /// host refused because it has gone.
    pub(in crate::executor) fn begin_polled<R>(self: &Arc<Self>, hand_over: impl FnOnce(Task) -> R) {
        // Dropped after the lock is released, because dropping the last reference to a coroutine takes the lock.
        let mut kept = None;
        let mut refused = None;
        let mut state = self.state();
        let Some(polled) = &mut state.polled else { return };
        let cold = polled.coroutine.strong_count() == 0;
        if cold {
            let coroutine = kept.insert(Coroutine::new(polled.tag, Arc::clone(self)));
            polled.coroutine = Arc::downgrade(coroutine);
            polled.begin_turn();
            refused = Some(hand_over(Task(Holder::Kept(Arc::clone(coroutine)))));
        } else {
            kept = polled.coroutine.upgrade();
            if let Some(coroutine) = &kept {
                coroutine.renew(Arc::clone(self));
            }
        }
        state.phase = Phase::Deferred;
        if self.is(flag::CANCELLED | flag::TIMED_OUT) {
            self.tell_cancel(&mut state);
        }
        if self.is(flag::LOST) {
            self.tell_evict(&mut state, Reason::TakenOver);
        }
        if cold {
            drop(state);
        } else if kept.is_none() {
            // The host has just freed it.
            state.gave_way = true;
            self.end_deferred(state, Status::Suspend, false);
        } else {
            self.next_turn(state);
        }
        drop(refused);
        drop(kept);
    }

    /// The coroutine has nothing left to do.
    pub(super) fn give_turn(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> Result<()> {
        if let Some(error) = state.mismatch().cloned() {
            self.end_deferred(state, error.status(), false);
            return Err(error);
        }
        let local = !state.steps.is_empty();
        let Some(polled) = &mut state.polled else { return Ok(()) };
        if polled.asked.is_empty() && !local {
            return Err(Error::invalid(
                "suspend: this task waits for nothing; ask to be notified of an operation first, or end the task",
            ));
        }
        polled.hosts_turn = false;
        self.next_turn(state);
        Ok(())
    }

    /// Takes the library's turn: decides what to do next.
    pub(super) fn next_turn(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        loop {
            let State { phase: Phase::Deferred, polled: Some(polled), .. } = &*state else { return };
            let (hosts_turn, urgent) = (polled.hosts_turn, polled.urgent);
            let local = !state.steps.is_empty();
            let on_its_way = state.holds_taken != state.holds_done;
            if self.in_vain() || (hosts_turn && (on_its_way || !urgent)) {
                return;
            }
            if hosts_turn {
                return self.send(&mut state);
            }
            if let Some(error) = &state.refused {
                let status = error.status();
                return self.end_deferred(state, status, false);
            }
            if self.holder.draining() && !local && !on_its_way {
                state.gave_way = true;
                return self.end_deferred(state, Status::Suspend, false);
            }
            if let Some(question) = state.polled.as_mut().and_then(|polled| polled.asked.next_late()) {
                return self.answer(&mut state, &question);
            }
            match state.machine(&self.claimed).next_delivery() {
                Ok(Delivery::Op(op)) => {
                    let answered = state.polled.as_mut().and_then(|polled| polled.asked.arrived(op));
                    match answered {
                        Some(question) => return self.answer(&mut state, &question),
                        None => continue,
                    }
                }
                Ok(Delivery::NeedNews) => return self.load(&mut state),
                Ok(Delivery::Nothing) => {}
                Err(error) => {
                    state.last_error = Some(error.clone());
                    return self.end_deferred(state, error.status(), false);
                }
            }
            if on_its_way {
                return;
            }
            let machine = state.machine(&self.claimed);
            let ends_something = urgent || machine.has_cancels();
            if machine.has_commands() && (local || ends_something || machine.staged_spawns() > BATCH_MAX) {
                return self.send(&mut state);
            }
            if local {
                return self.stay(&mut state);
            }
            return self.suspend_polled(state);
        }
    }

    /// A step is running in the host: the task keeps its lease, and looks for arrivals.
    fn stay(self: &Arc<Self>, state: &mut State) {
        if state.polled.as_ref().is_some_and(|polled| polled.loading) {
            return;
        }
        let first = !self.is(flag::AWAITING);
        if first || std::mem::take(&mut state.arrived) {
            self.set(flag::AWAITING);
            // What has arrived before this is loaded; no notice will come for it.
            return self.load(state);
        }
        let Some(polled) = &mut state.polled else { return };
        if !std::mem::replace(&mut polled.look_set, true) {
            self.holder.set_alarm(Instant::now() + LOOK, Alarm::Look, Arc::downgrade(self));
        }
    }

    /// The alarm to look for arrivals has fired.
    pub(super) fn look(self: &Arc<Self>) {
        let mut state = self.state();
        if let Some(polled) = &mut state.polled {
            polled.look_set = false;
        }
        state.arrived = true;
        self.next_turn(state);
    }

    fn suspend_polled(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let Some(polled) = &state.polled else { return };
        let (ops, one_question) = polled.asked.missing();
        if ops.is_empty() {
            let nothing =
                Error::invalid("the coroutine waits for nothing: what it waited for has no question any more");
            state.last_error = Some(nothing);
            return self.end_deferred(state, Status::Invalid, false);
        }
        let mode = if one_question { WaitMode::All } else { WaitMode::Any };
        state.suspended = Some(Wait::new(mode, ops.into_iter().collect()));
        self.end_deferred(state, Status::Suspend, false);
    }

    /// Answers a question of the host, with which the coroutine's turn begins.
    fn answer(&self, state: &mut State, question: &Question) {
        let outcome = if question.group {
            self.results_in(state, &question.ops, "of the group").map(Arrived::Many)
        } else {
            let op = question.ops.first().copied().unwrap_or_default();
            let what = state.machine(&self.claimed).name_of(op);
            self.result_in(state, op, &what).map(Arrived::One)
        };
        let Some(polled) = &mut state.polled else { return };
        polled.begin_turn();
        self.unset(flag::AWAITING);
        if polled.is_kept() {
            self.holder.tell_host(TaskEvent::Op { tag: question.tag, outcome });
        }
    }

    /// Loads what has arrived since the machine last did, and continues.
    fn load(self: &Arc<Self>, state: &mut State) {
        let after = state.machine(&self.claimed).high_water();
        let Some(polled) = &mut state.polled else { return };
        if std::mem::replace(&mut polled.loading, true) {
            return;
        }
        let core = Arc::clone(self);
        self.holder.core().runtime.spawn(
            async move {
                let news = core.journal_after(after).await;
                core.loaded(news);
            }
            .boxed(),
        );
    }

    fn loaded(self: &Arc<Self>, news: Result<Vec<JournalEntry>>) {
        let mut state = self.state();
        if let Some(polled) = &mut state.polled {
            polled.loading = false;
        }
        if state.phase != Phase::Deferred {
            return;
        }
        match news {
            Ok(news) => {
                state.machine(&self.claimed).absorb(news);
                self.next_turn(state);
            }
            Err(error) => {
                let status = error.status();
                state.last_error = Some(error);
                self.end_deferred(state, status, false);
            }
        }
    }
}

impl Lease for TaskCore {
    fn dropped_by_host(self: Arc<Self>, tag: u64) {
        let mut state = self.state();
        let local = !state.steps.is_empty();
        let Some(polled) = &state.polled else {
            drop(state);
            return self.holder.forget_coroutine(self.held.task, tag);
        };
        let waits = !polled.hosts_turn && !local;
        let nobodys_fault = waits || self.holder.is_host_gone() || self.holder.draining();
        match state.phase {
            Phase::Deferred if nobodys_fault => {
                state.gave_way = true;
                self.end_deferred(state, Status::Suspend, false);
            }
            Phase::Deferred => self.end_deferred(state, Status::Pending, true),
            Phase::Queued | Phase::Running | Phase::Closed => {}
        }
    }
}
