//! The life of a lease: the handler starts and returns, and its end is decided and sent to the store.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;

use super::core::{Alarm, Phase, State, TaskCore, flag};
use super::decide::{Returned, Rules, decide, fail};
use super::spans::Ended;
use crate::backend::{Commands, Outcome, Transition};
use crate::executor::events::Reason;
use crate::executor::log::LogRecord;
use crate::executor::metrics::count;
use crate::executor::replay::Machine;
use crate::executor::sync::wall_clock;
use crate::model::{Error, Failure, Level, Op, RetryPolicy, Status, format_duration};

impl TaskCore {
    // The handler's run.

    /// Has the store to be asked before [`TaskCore::begin`]?
    pub(in crate::executor) fn must_look(&self) -> bool {
        self.holder.must_look(self)
    }

    /// On a thread that may wait.
    pub(in crate::executor) fn look_ahead(&self) {
        self.holder.core().runtime.block_on(self.holder.look());
    }

    /// On a thread that must not wait.
    pub(in crate::executor) fn look_ahead_and_then(self: &Arc<Self>, then: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let core = Arc::clone(self);
        self.holder.core().runtime.spawn(
            async move {
                core.holder.look().await;
                then(&core);
            }
            .boxed(),
        );
    }

    /// The handler may start. False: there is nothing to run any more, and its slot is free.
    pub(in crate::executor) fn begin(self: &Arc<Self>) -> bool {
        let now = Instant::now();
        let in_time = self.lease_holds();
        let mut state = self.state();
        if state.phase == Phase::Queued && !in_time && !self.is(flag::GONE | flag::CANCELLED) {
            self.log(Level::Warn, "stent.worker", || {
                "a task's lease was over before its handler began; it goes back".to_owned()
            });
            drop(state);
            self.give_back();
            return false;
        }
        if state.phase != Phase::Queued || self.is(flag::GONE | flag::CANCELLED) {
            drop(state);
            self.give_back();
            return false;
        }
        if let Some(letter) = self.late_letter() {
            drop(state);
            self.end_unstarted(letter);
            return false;
        }
        state.phase = Phase::Running;
        state.thread = Some(std::thread::current().id());
        state.started = Some(now);
        if let Some(deadline) = self.claimed.deadline {
            let at = now + deadline.since(self.claimed.claimed_at);
            state.deadline = Some(self.holder.set_alarm(at, Alarm::Deadline, Arc::downgrade(self)));
        }
        drop(state);
        if self.claimed.begun.is_none() && !self.is_suspect() {
            self.holder.began(self);
        }
        let metrics = &self.holder.core().metrics;
        let waited = now.duration_since(self.claimed_at);
        self.series.claim_to_start.observe_time(waited);
        match self.queue_age() {
            Some(age) => metrics.schedule_to_start.observe_time(age + waited),
            None => count(&metrics.counters.resumed),
        }
        true
    }

    /// How long it could have been claimed before it was. `None`: it has a journal, and when its last wait was over is not
    /// known.
    pub(in crate::executor) fn queue_age(&self) -> Option<Duration> {
        let task = &self.claimed.task;
        let due = task.scheduled_for.unwrap_or(task.created_at).max(task.created_at);
        (self.claimed.ops == 0).then(|| self.claimed.claimed_at.since(due))
    }

    /// The handler has returned. True: another thread will end the task, and the slot stays in use.
    pub(in crate::executor) fn returned(self: &Arc<Self>, status: Status) -> bool {
        let mut state = self.state();
        if status == Status::Pending && state.staged.is_none() && !self.is(flag::GONE) {
            state.phase = Phase::Deferred;
            state.thread = None;
            return true;
        }
        self.end(state, status, false);
        false
    }

    /// The handler of its batch has returned, and may have left it without an end.
    pub(super) fn returned_in_batch(self: &Arc<Self>, status: Status) {
        let state = self.state();
        if status != Status::Pending && state.phase == Phase::Deferred {
            self.end_deferred(state, status, false);
        }
    }

    /// Its slot was kept for it, and it has no need of it.
    pub(in crate::executor) fn free_slot(&self) {
        self.holder.kept_slot_freed(self.is_suspect());
    }

    pub(super) fn add_handle(&self) {
        self.handles.fetch_add(1, SeqCst);
    }

    pub(super) fn drop_handle(self: &Arc<Self>) {
        if self.handles.fetch_sub(1, SeqCst) == 1 {
            let state = self.state();
            if state.phase == Phase::Deferred {
                self.end_deferred(state, Status::Pending, true);
            }
        }
    }

    /// Keeps the last error of a call: the handler may return its status.
    pub(in crate::executor) fn note(&self, error: &Error) {
        self.state().last_error = Some(error.clone());
    }

    // The end.

    pub(super) fn end_deferred(self: &Arc<Self>, state: MutexGuard<'_, State>, status: Status, abandoned: bool) {
        self.end(state, status, abandoned);
        self.holder.kept_slot_freed(self.is_suspect());
    }

    /// Decides the outcome and sends it to the store. Never blocks.
    fn end(self: &Arc<Self>, mut state: MutexGuard<'_, State>, status: Status, abandoned: bool) {
        state.phase = Phase::Closed;
        if let Some(started) = state.started {
            let ran = started.elapsed();
            state.ran = Some(ran);
            self.series.run_time.observe_time(ran);
        }
        if let Some(key) = state.deadline.take() {
            self.holder.clear_alarm(key);
        }
        if self.is(flag::GONE) {
            self.tell_ended(&mut state, Err(self.lease_lost()));
            drop(state);
            if self.is(flag::LOST) {
                self.tell_tracer(&Outcome::Release, Ended::LeaseLost);
            }
            self.holder.unload();
            return;
        }
        let (outcome, commands) = self.decide(&mut state, status, abandoned);
        state.waiting = state.polled.is_some() && matches!(outcome, Outcome::Suspend { .. } | Outcome::Release);
        drop(state);
        self.holder.post_last(Arc::clone(self), Transition { held: self.held, commands, outcome });
    }

    fn decide(&self, state: &mut State, status: Status, abandoned: bool) -> (Outcome, Commands) {
        let cancelled = self.is(flag::CANCELLED);
        if let Some(error) = state.refused.as_ref().filter(|_| !cancelled) {
            return (self.after_error(error), Commands::default());
        }
        let returned = Returned {
            status,
            staged: state.staged.take(),
            suspended: state.suspended.take(),
            gave_way: state.gave_way,
            cancelled,
            mismatch: state.mismatch().cloned(),
            last_error: state.last_error.take(),
            abandoned,
        };
        let outcome = self.with_rules(state.machine.as_ref(), |rules| decide(returned, rules));
        let mut commands = match (&outcome, &mut state.machine) {
            // Commands of a run that contradicts its journal are not recorded.
            (Outcome::Park { .. }, _) | (_, None) => Commands::default(),
            (_, Some(machine)) => machine.take_commands(),
        };
        commands.holds = std::mem::take(&mut state.holds);
        (outcome, commands)
    }

    /// Gives the lease back before the handler has started.
    pub(in crate::executor) fn give_back(self: &Arc<Self>) {
        self.end_unstarted(Outcome::Release);
    }

    /// Ends a task without running its handler.
    pub(in crate::executor) fn end_unstarted(self: &Arc<Self>, outcome: Outcome) {
        let mut state = self.state();
        if state.phase != Phase::Queued {
            return;
        }
        state.phase = Phase::Closed;
        let gone = self.is(flag::GONE);
        // If a coroutine was to go on with it, it is evicted.
        let reason = if self.holder.draining() { Reason::Draining } else { Reason::Released };
        self.tell_evict(&mut state, reason);
        drop(state);
        if gone {
            self.holder.unload();
        } else {
            let transition = Transition { held: self.held, commands: Commands::default(), outcome };
            self.holder.post_last(Arc::clone(self), transition);
        }
    }

    /// As [`TaskCore::end_unstarted`], with an error as a failed attempt.
    pub(in crate::executor) fn fail_unstarted(self: &Arc<Self>, error: &Error) {
        let outcome = self.after_error(error);
        self.end_unstarted(outcome);
    }

    /// Ends the lease while the handler is running. Its calls fail from now on; its slot is in use until it returns.
    fn end_under(self: &Arc<Self>, flags: u8, outcome: impl FnOnce() -> Outcome) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Closed | Phase::Queued) || self.is(flag::GONE) {
            return;
        }
        self.set(flags | flag::GONE);
        if flags & flag::LOST == 0 {
            self.tell_cancel(&mut state);
        } else {
            let reason = if self.holder.draining() { Reason::Draining } else { Reason::TakenOver };
            self.tell_evict(&mut state, reason);
        }
        drop(state);
        self.changed.notify_all();
        let transition = Transition { held: self.held, commands: Commands::default(), outcome: outcome() };
        self.holder.post(Arc::clone(self), transition);
    }

    /// An alarm of this task has fired.
    pub(in crate::executor) fn ring(self: &Arc<Self>, alarm: Alarm) {
        match alarm {
            Alarm::Deadline => self.time_out(),
            Alarm::Flush => self.flush(),
            Alarm::Look => self.look(),
        }
    }

    /// The attempt has timed out.
    fn time_out(self: &Arc<Self>) {
        self.end_under(flag::TIMED_OUT, || {
            count(&self.holder.core().metrics.counters.timeouts);
            let failure = Failure::new("Timeout", "the attempt took longer than its timeout, waits included");
            self.with_rules(None, |rules| fail(failure, rules))
        });
    }

    /// The worker stops waiting for the handler.
    pub(in crate::executor) fn abandon(self: &Arc<Self>) {
        self.end_under(flag::LOST, || Outcome::Release);
    }

    /// The lease is lost. False: that was known.
    pub(in crate::executor) fn lose(&self, flags: u8) -> bool {
        let mut state = self.state();
        let news = !self.is(flag::GONE);
        self.set(flags | flag::GONE);
        self.tell_evict(&mut state, Reason::TakenOver);
        drop(state);
        self.changed.notify_all();
        news
    }

    pub(in crate::executor) fn cancel(&self) {
        if !self.is(flag::CANCELLED) {
            let mut state = self.state();
            self.set(flag::CANCELLED);
            self.tell_cancel(&mut state);
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Has its end been sent, so that a lost lease does not matter?
    pub(in crate::executor) fn is_ending(&self) -> bool {
        self.state().phase == Phase::Closed || self.is(flag::GONE)
    }

    /// What a failure says about the next attempt, as a time from now on. What makes no sense is told, and does not count.
    pub(super) fn with_known_wait(&self, mut failure: Failure) -> Failure {
        let Some(given) = failure.retry_after.take() else { return failure };
        let (wait, odd) = given.resolve("retry_after", wall_clock());
        failure.retry_after = wait;
        if let Some(odd) = odd {
            self.log_record(Level::Warn, || LogRecord::new("stent.worker", odd));
        }
        failure
    }

    pub(super) fn with_rules<R>(&self, machine: Option<&Machine>, act: impl FnOnce(&Rules<'_>) -> R) -> R {
        let default;
        let options = &self.function;
        let policy = match self.claimed.task.retry_policy.as_ref().or(options.retry_policy.as_ref()) {
            Some(policy) => policy,
            None => {
                default = RetryPolicy::default();
                &default
            }
        };
        act(&Rules {
            policy,
            retries: self.claimed.task.retries,
            since_first: self.claimed.since_first(self.store_time()),
            version: options.version.as_deref(),
            cleanup: self.cleans_up(),
            cache: self.claimed.cache.as_ref(),
            seen: machine.map_or(0, Machine::seen),
            known: machine.map_or(0, Machine::high_water),
            chance: rand::random(),
            is_child_failure: &|failure| machine.is_some_and(|machine| machine.is_child_failure(failure)),
        })
    }

    /// Logs outcomes that an operator should see.
    pub(in crate::executor) fn tell(&self, outcome: &Outcome) {
        let mut again = None;
        let (level, what, failure) = match outcome {
            Outcome::Park { failure, .. } => {
                (Level::Error, "the task is parked: its code does not match its journal".to_owned(), failure)
            }
            Outcome::DeadLetter { failure, .. } => (Level::Error, "the task is dead-lettered".to_owned(), failure),
            Outcome::Retry { failure, delay, .. } => {
                again = Some(self.store_time().after(*delay));
                (
                    Level::Warn,
                    format!("the attempt failed, and another follows in {}", format_duration(*delay)),
                    failure,
                )
            }
            Outcome::Snooze { delay } => return self.tell_snooze(*delay),
            _ => return,
        };
        self.log_record(level, || {
            let told = format!("{what}: {}: {}", failure.kind, failure.message);
            let record = LogRecord::new("stent.worker", told).with("error", &failure.kind);
            match again {
                Some(at) => record.with("retry_at", at),
                None => record,
            }
        });
    }

    fn tell_snooze(&self, delay: Duration) {
        let times = self.claimed.snoozes.saturating_add(1);
        self.log_record(Level::Info, || {
            let told = format!("not now: another attempt follows in {}", format_duration(delay));
            let record = LogRecord::new("stent.worker", told).with("snoozes", times);
            record.with("retry_at", self.store_time().after(delay))
        });
    }

    // After the store has answered.

    /// Takes the replay machine of a task whose suspension is recorded.
    pub(in crate::executor) fn take_machine(&self, arrivals: &[(Op, u64)], latest: u64) -> Option<Machine> {
        let mut machine = self.state().machine.take()?;
        machine.committed(arrivals, latest);
        Some(machine)
    }

    pub(super) fn is_replaying(&self) -> bool {
        let mut state = self.state();
        match state.phase {
            Phase::Running | Phase::Deferred => state.machine(&self.claimed).is_replaying(),
            Phase::Queued | Phase::Closed => false,
        }
    }
}
