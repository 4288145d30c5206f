//! One lease of one task, as the handler's handles and the worker's loop share it, and how it ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use super::coroutine::Polled;
use crate::backend::{Claimed, Commands, Held, Outcome, Transition};
use crate::executor::events::Reason;
use crate::executor::metrics::count;
use crate::executor::replay::Machine;
use crate::executor::sync::lock;
use crate::executor::worker::{Alarm, AlarmKey, Returned, Rules, Shared, Staged, decide, fail};
use crate::executor::{LogRecord, Registered};
use crate::model::{Error, Failure, Level, Op, Result, RetryPolicy, Status, Timestamp, Wait};

pub(in crate::executor) struct TaskCore {
    pub(in crate::executor) claimed: Claimed,
    pub(in crate::executor) held: Held,
    pub(in crate::executor) function: Arc<Registered>,
    pub(super) shared: Arc<Shared>,
    claimed_at: Instant,
    flags: AtomicU8,
    handles: AtomicUsize,
    /// std Mutex: never held while blocking or across an await.
    state: Mutex<State>,
    pub(super) changed: Condvar,
}

/// What a task learns from others; bits that are only ever set, but for the last two.
pub(in crate::executor) mod flag {
    pub(in crate::executor) const LOST: u8 = 1;
    pub(in crate::executor) const CANCELLED: u8 = 2;
    pub(in crate::executor) const TIMED_OUT: u8 = 4;
    /// The lease is not ours any more: there is nothing to record.
    pub(in crate::executor) const GONE: u8 = 8;
    /// Commands are on their way to the store.
    pub(in crate::executor) const HOLD: u8 = 16;
    /// A thread waits for arrivals.
    pub(in crate::executor) const AWAITING: u8 = 32;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Queued,
    Running,
    /// The handler returned and left the end to another thread.
    Deferred,
    /// The end is on its way to the store, or there is none to record.
    Closed,
}

pub(super) struct State {
    pub(super) phase: Phase,
    machine: Option<Machine>,
    /// Of a poller's task.
    pub(super) polled: Option<Polled>,
    /// A poller's task that is suspended, or about to be: rows only, and its coroutine in the host.
    pub(super) waiting: bool,
    pub(super) staged: Option<Staged>,
    pub(super) suspended: Option<Wait>,
    pub(super) gave_way: bool,
    /// The store refused commands: what was issued is not what is recorded, so nothing goes on.
    pub(super) refused: Option<Error>,
    pub(super) last_error: Option<Error>,
    /// Commands taken to be recorded, and how many of these are: at most one more is taken than is done.
    pub(super) holds_taken: u64,
    pub(super) holds_done: u64,
    pub(super) arrived: bool,
    pub(super) flush_set: bool,
    pub(super) started: Option<Instant>,
    deadline: Option<AlarmKey>,
    pub(super) steps: HashMap<Op, Timestamp>,
}

impl State {
    pub(super) fn machine(&mut self, claimed: &Claimed) -> &mut Machine {
        self.machine.get_or_insert_with(|| Machine::new(claimed, Vec::new()))
    }

    pub(super) fn has_commands(&self) -> bool {
        self.machine.as_ref().is_some_and(Machine::has_commands)
    }

    pub(super) fn mismatch(&self) -> Option<&Error> {
        self.machine.as_ref().and_then(Machine::mismatch)
    }
}

impl TaskCore {
    pub(in crate::executor) fn new(
        shared: Arc<Shared>,
        function: Arc<Registered>,
        claimed: Claimed,
        claimed_at: Instant,
    ) -> Arc<Self> {
        let task = &claimed.task;
        let held = Held { task: task.id, execution: task.execution_id, parent: task.parent_task_id, fence: task.fence };
        let state = State {
            phase: Phase::Queued,
            machine: None,
            polled: None,
            waiting: false,
            staged: None,
            suspended: None,
            gave_way: false,
            refused: None,
            last_error: None,
            holds_taken: 0,
            holds_done: 0,
            arrived: false,
            flush_set: false,
            started: None,
            deadline: None,
            steps: HashMap::new(),
        };
        Arc::new(Self {
            claimed,
            held,
            function,
            shared,
            claimed_at,
            flags: AtomicU8::new(0),
            handles: AtomicUsize::new(0),
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(in crate::executor) fn is(&self, flags: u8) -> bool {
        self.flags.load(SeqCst) & flags != 0
    }

    pub(super) fn set(&self, flags: u8) {
        self.flags.fetch_or(flags, SeqCst);
    }

    pub(super) fn unset(&self, flags: u8) {
        self.flags.fetch_and(!flags, SeqCst);
    }

    pub(super) fn in_vain(&self) -> bool {
        self.is(flag::LOST | flag::CANCELLED | flag::TIMED_OUT)
    }

    pub(in crate::executor) fn claimed_at(&self) -> Instant {
        self.claimed_at
    }

    /// The store's time, as well as this process can know it.
    pub(super) fn store_time(&self) -> Timestamp {
        self.claimed.claimed_at.after(self.claimed_at.elapsed())
    }

    /// The time-out counts from the handler's start: waiting for a slot is no part of the attempt.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let waited = self.state().started.map(|started| started.duration_since(self.claimed_at)).unwrap_or_default();
        self.claimed.deadline.map(|deadline| deadline.after(waited))
    }

    /// Is this task still the handler's, and open for more?
    pub(super) fn check(&self, state: &State) -> Result<()> {
        let name = &self.claimed.task.step_name;
        if self.is(flag::TIMED_OUT) {
            return Err(Error::new(
                Status::LeaseLost,
                format!("the attempt of '{name}' ran longer than its time-out; nothing more of it is recorded"),
            ));
        }
        if self.is(flag::LOST) {
            return Err(self.lease_lost());
        }
        if self.is(flag::CANCELLED) {
            return Err(self.cancelled());
        }
        if state.waiting {
            return Err(suspend(name));
        }
        if state.phase == Phase::Closed || state.phase == Phase::Queued {
            return Err(Error::closed(format!("this task of '{name}' has been ended; its handle can't be used")));
        }
        if let Some(error) = &state.refused {
            return Err(error.clone());
        }
        if state.suspended.is_some() || state.gave_way {
            return Err(suspend(name));
        }
        if state.staged.is_some() {
            return Err(Error::conflict(format!("this task of '{name}' has completed, failed or continued already")));
        }
        Ok(())
    }

    /// What is recorded of it; before its handler starts.
    pub(in crate::executor) fn set_machine(&self, machine: Machine) {
        self.state().machine = Some(machine);
    }

    // The handler's run.

    /// The handler may start. False: there is nothing to run any more, and its slot is free.
    pub(in crate::executor) fn begin(self: &Arc<Self>) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        if state.phase != Phase::Queued || self.is(flag::GONE | flag::CANCELLED) {
            drop(state);
            self.give_back();
            return false;
        }
        state.phase = Phase::Running;
        state.started = Some(now);
        if let Some(deadline) = self.claimed.deadline {
            let at = now + deadline.since(self.claimed.claimed_at);
            state.deadline = Some(self.shared.alarms.set(at, Alarm::Deadline, Arc::downgrade(self)));
        }
        drop(state);
        let metrics = &self.shared.core.metrics;
        let task = &self.claimed.task;
        if self.claimed.ops > 0 {
            count(&metrics.counters.resumed);
        } else {
            let due = task.scheduled_for.unwrap_or(task.created_at).max(task.created_at);
            let waited = self.claimed.claimed_at.since(due) + now.duration_since(self.claimed_at);
            metrics.schedule_to_start.observe(waited);
        }
        true
    }

    /// The handler has returned. True: another thread ends the task, and its slot stays taken.
    pub(in crate::executor) fn returned(self: &Arc<Self>, status: Status) -> bool {
        let mut state = self.state();
        if status == Status::Pending && state.staged.is_none() && !self.is(flag::GONE) {
            state.phase = Phase::Deferred;
            return true;
        }
        self.end(state, status, false);
        false
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

    /// Keeps an error that a call gave the handler: it may come back as its status.
    pub(in crate::executor) fn note(&self, error: &Error) {
        self.state().last_error = Some(error.clone());
    }

    // The end.

    pub(super) fn end_deferred(self: &Arc<Self>, state: MutexGuard<'_, State>, status: Status, abandoned: bool) {
        self.end(state, status, abandoned);
        self.shared.kept_slot_freed();
    }

    /// Decides what becomes of the task and sends it on its way. Never blocks.
    fn end(self: &Arc<Self>, mut state: MutexGuard<'_, State>, status: Status, abandoned: bool) {
        state.phase = Phase::Closed;
        if let Some(started) = state.started {
            self.shared.core.metrics.run_time.observe(started.elapsed());
        }
        if let Some(key) = state.deadline.take() {
            self.shared.alarms.clear(key);
        }
        if self.is(flag::GONE) {
            self.tell_ended(&mut state, Err(self.lease_lost()));
            drop(state);
            self.shared.unload();
            return;
        }
        let (outcome, commands) = self.decide(&mut state, status, abandoned);
        state.waiting = state.polled.is_some() && matches!(outcome, Outcome::Suspend { .. } | Outcome::Release);
        drop(state);
        self.shared.post_last(Arc::clone(self), Transition { held: self.held, commands, outcome });
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
        let commands = match (&outcome, &mut state.machine) {
            // What was asked for beside a mismatch is not to be trusted.
            (Outcome::Park { .. }, _) | (_, None) => Commands::default(),
            (_, Some(machine)) => machine.take_commands(),
        };
        (outcome, commands)
    }

    /// Gives the lease back before the handler has started.
    pub(in crate::executor) fn give_back(self: &Arc<Self>) {
        self.end_unstarted(Outcome::Release);
    }

    /// Ends a task whose handler will not be started: there is no need, or no way.
    pub(in crate::executor) fn end_unstarted(self: &Arc<Self>, outcome: Outcome) {
        let mut state = self.state();
        if state.phase != Phase::Queued {
            return;
        }
        state.phase = Phase::Closed;
        let gone = self.is(flag::GONE);
        // A coroutine that was to go on, and now does not.
        let reason = if self.shared.draining() { Reason::Draining } else { Reason::Released };
        self.tell_evict(&mut state, reason);
        drop(state);
        if gone {
            self.shared.unload();
        } else {
            let transition = Transition { held: self.held, commands: Commands::default(), outcome };
            self.shared.post_last(Arc::clone(self), transition);
        }
    }

    /// As [`TaskCore::end_unstarted`], with a failed attempt.
    pub(in crate::executor) fn fail_unstarted(self: &Arc<Self>, error: &Error) {
        let outcome = self.after_error(error);
        self.end_unstarted(outcome);
    }

    /// Ends the lease under a handler that runs: its calls are told, its slot stays taken until it returns.
    fn end_under(self: &Arc<Self>, flags: u8, outcome: impl FnOnce() -> Outcome) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Closed | Phase::Queued) || self.is(flag::GONE) {
            return;
        }
        self.set(flags | flag::GONE);
        if flags & flag::LOST == 0 {
            self.tell_cancel(&mut state);
        } else {
            let reason = if self.shared.draining() { Reason::Draining } else { Reason::TakenOver };
            self.tell_evict(&mut state, reason);
        }
        drop(state);
        self.changed.notify_all();
        let transition = Transition { held: self.held, commands: Commands::default(), outcome: outcome() };
        self.shared.post(Arc::clone(self), transition);
    }

    /// The attempt ran longer than it may.
    pub(in crate::executor) fn time_out(self: &Arc<Self>) {
        self.end_under(flag::TIMED_OUT, || {
            count(&self.shared.core.metrics.counters.timeouts);
            let failure = Failure::new("Timeout", "the attempt took longer than its timeout, waits included");
            self.with_rules(None, |rules| fail(failure, rules))
        });
    }

    /// The worker stops without waiting for the handler any longer.
    pub(in crate::executor) fn abandon(self: &Arc<Self>) {
        self.end_under(flag::LOST, || Outcome::Release);
    }

    /// The lease is not ours any more. False: that was known.
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

    /// Has its end been sent on its way, so that a lease that is lost means nothing?
    pub(in crate::executor) fn is_ending(&self) -> bool {
        self.state().phase == Phase::Closed || self.is(flag::GONE)
    }

    /// The outcome for a task that an error stopped, outside of its handler.
    pub(in crate::executor) fn after_error(&self, error: &Error) -> Outcome {
        let mut failure = Failure::new(error.status().name(), error.message());
        failure.retryable = error.is_retryable();
        self.with_rules(None, |rules| fail(failure, rules))
    }

    fn with_rules<R>(&self, machine: Option<&Machine>, act: impl FnOnce(&Rules<'_>) -> R) -> R {
        let default;
        let options = &self.function.options;
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
            version: options.version.as_deref(),
            cache: self.claimed.cache.as_ref(),
            seen: machine.map_or(0, Machine::seen),
            known: machine.map_or(0, Machine::high_water),
            chance: rand::random(),
            is_child_failure: &|failure| machine.is_some_and(|machine| machine.is_child_failure(failure)),
        })
    }

    /// Tells the operator of an outcome that needs one.
    pub(in crate::executor) fn tell(&self, outcome: &Outcome) {
        let (what, failure) = match outcome {
            Outcome::Park { failure, .. } => ("the task is parked: its code does not match its journal", failure),
            Outcome::DeadLetter { failure, .. } => ("the task is dead-lettered", failure),
            _ => return,
        };
        self.shared.log(Level::Error, || {
            LogRecord::new("stent.worker", format!("{what}: {}: {}", failure.kind, failure.message))
                .with("function", &self.claimed.task.step_name)
                .with("task", self.held.task)
                .with("execution", self.held.execution)
        });
    }

    // After the store has answered.

    /// The machine of a suspended task whose suspension is recorded.
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

fn suspend(name: &str) -> Error {
    Error::new(
        Status::Suspend,
        format!("this task of '{name}' is suspended: its handler returns now, and runs again when there is news"),
    )
}
