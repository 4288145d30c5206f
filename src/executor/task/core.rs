//! One lease of one task: the state that the handler's handles and the worker's loop share.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::coroutine;
use super::decide::Staged;
use crate::backend::{Claimed, Held, Transition};
use crate::executor::core::Core;
use crate::executor::events::TaskEvent;
use crate::executor::log::LogRecord;
use crate::executor::replay::Machine;
use crate::executor::series::Series;
use crate::executor::sync::{Moment, lock};
use crate::model::{Error, FunctionOptions, Hold, Id, Level, Op, Result, Status, TaskKind, Timestamp, Wait};

/// The worker, as its tasks see it.
pub(in crate::executor) trait LeaseHolder: Send + Sync {
    fn core(&self) -> &Core;
    fn worker_id(&self) -> &str;
    /// `None`: no such function is registered here.
    fn options_of(&self, function: &str) -> Option<&FunctionOptions>;
    /// How long a lease lasts after it was taken or renewed.
    fn lease_time(&self) -> Duration;
    /// Must the store be asked what became of the task's execution, before its body begins? Else what was told suffices.
    fn must_look(&self, task: &TaskCore) -> bool;
    /// Asks the store, for all that wait for a slot, and flags what is not to begin.
    fn look(&self) -> BoxFuture<'_, ()>;
    /// How long an await holds that does not say.
    fn hold_time(&self) -> Duration;
    /// While draining, tasks that can suspend do so.
    fn draining(&self) -> bool;
    /// For as long as the store's answer is waited for on behalf of the task, once the worker is told to stop.
    fn patience<'a>(&'a self, task: &'a TaskCore) -> BoxFuture<'a, ()>;

    fn post(&self, task: Arc<TaskCore>, transition: Transition);
    /// The last transition of a task, which has freed its slot.
    fn post_last(&self, task: Arc<TaskCore>, transition: Transition);
    /// A body has begun of which the store is to be told.
    fn began(&self, task: &Arc<TaskCore>);
    /// A task takes no slot any more and has nothing to say.
    fn unload(&self);
    /// A task that kept its slot without a thread has ended.
    fn kept_slot_freed(&self, suspect: bool);

    /// Has [`TaskCore::ring`] called at that time.
    fn set_alarm(&self, at: Instant, alarm: Alarm, task: Weak<TaskCore>) -> AlarmKey;
    fn clear_alarm(&self, key: AlarmKey);

    /// Posts an event to the task's host. Called with the task's lock held, so that events are in order.
    fn tell_host(&self, event: TaskEvent);
    /// The host takes no events any more.
    fn is_host_gone(&self) -> bool;
    /// The host has dropped the coroutine of a waiting task.
    fn forget_coroutine(&self, task: Id, tag: u64);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::executor) enum Alarm {
    Deadline,
    Flush,
    /// Look for arrivals whose notice was lost.
    Look,
}

/// Identifies an alarm: its time, and a number to tell alarms of the same time apart.
pub(in crate::executor) type AlarmKey = (Instant, u64);

pub(in crate::executor) type Polled = coroutine::Polled<TaskCore>;

pub(in crate::executor) struct TaskCore {
    pub(in crate::executor) claimed: Claimed,
    pub(in crate::executor) held: Held,
    /// The options of its function.
    pub(in crate::executor) function: Arc<FunctionOptions>,
    /// Of its queue and function.
    pub(in crate::executor) series: Arc<Series>,
    pub(super) holder: Arc<dyn LeaseHolder>,
    pub(super) claimed_at: Instant,
    /// When its lease was asked for, the last time that it was given. std Mutex: a leaf.
    leased: Mutex<Moment>,
    flags: AtomicU8,
    pub(super) handles: AtomicUsize,
    /// std Mutex: never held while blocking or across an await.
    state: Mutex<State>,
    pub(super) changed: Condvar,
}

/// Flags that other threads set. All but the last two are never cleared.
pub(in crate::executor) mod flag {
    pub(in crate::executor) const LOST: u8 = 1;
    pub(in crate::executor) const CANCELLED: u8 = 2;
    pub(in crate::executor) const TIMED_OUT: u8 = 4;
    /// The lease is gone, and nothing more is to be recorded.
    pub(in crate::executor) const GONE: u8 = 8;
    /// Commands are in flight to the store.
    pub(in crate::executor) const HOLD: u8 = 16;
    /// The task waits for arrivals in memory, without being suspended.
    pub(in crate::executor) const AWAITING: u8 = 32;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Queued,
    Running,
    /// The handler has returned and left the task to be ended by another thread.
    Deferred,
    /// The end is in flight to the store, or there is none to record.
    Closed,
}

pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) machine: Option<Machine>,
    /// Set if a poller hosts the task.
    pub(super) polled: Option<Polled>,
    /// A task of a poller that is suspended or about to be, while its coroutine stays in the host.
    pub(super) waiting: bool,
    pub(super) staged: Option<Staged>,
    /// What it says for others.
    pub(super) holds: Vec<Hold>,
    pub(super) suspended: Option<Wait>,
    pub(super) gave_way: bool,
    /// The store has refused commands, so the task can't go on.
    pub(super) refused: Option<Error>,
    pub(super) last_error: Option<Error>,
    /// How many batches of commands were sent to the store, and how many of these were answered: at most one is in
    /// flight.
    pub(super) holds_taken: u64,
    pub(super) holds_done: u64,
    pub(super) arrived: bool,
    pub(super) flush_set: bool,
    pub(super) started: Option<Instant>,
    /// How long the handler has run, once it has returned.
    pub(super) ran: Option<Duration>,
    /// A tracer knows of the handler's run.
    pub(super) run_told: bool,
    pub(super) deadline: Option<AlarmKey>,
    pub(super) steps: HashMap<Op, Timestamp>,
    /// Those of them that transactions of their own record.
    pub(super) transactions: HashSet<Op>,
    /// The thread that its handler was called on, and the open steps that this one has begun: what it asks for now is within them.
    pub(super) thread: Option<ThreadId>,
    pub(super) around: Vec<Op>,
}

impl State {
    pub(super) fn machine(&mut self, claimed: &Claimed) -> &mut Machine {
        self.machine.get_or_insert_with(|| Machine::new(claimed, Vec::new()))
    }

    pub(super) fn has_commands(&self) -> bool {
        self.machine.as_ref().is_some_and(Machine::has_commands)
    }

    pub(super) fn is_handlers_thread(&self) -> bool {
        self.thread == Some(std::thread::current().id())
    }

    pub(super) fn mismatch(&self) -> Option<&Error> {
        self.machine.as_ref().and_then(Machine::mismatch)
    }
}

impl TaskCore {
    pub(in crate::executor) fn new(
        holder: Arc<dyn LeaseHolder>,
        function: Arc<FunctionOptions>,
        series: Arc<Series>,
        claimed: Claimed,
        asked: Moment,
    ) -> Arc<Self> {
        let task = &claimed.task;
        let held = Held { task: task.id, execution: task.execution_id, parent: task.parent_task_id, fence: task.fence };
        let state = State {
            phase: Phase::Queued,
            machine: None,
            polled: None,
            waiting: false,
            staged: None,
            holds: Vec::new(),
            suspended: None,
            gave_way: false,
            refused: None,
            last_error: None,
            holds_taken: 0,
            holds_done: 0,
            arrived: false,
            flush_set: false,
            started: None,
            ran: None,
            run_told: false,
            deadline: None,
            steps: HashMap::new(),
            transactions: HashSet::new(),
            thread: None,
            around: Vec::new(),
        };
        Arc::new(Self {
            claimed,
            held,
            function,
            series,
            holder,
            claimed_at: Instant::now(),
            leased: Mutex::new(asked),
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

    /// If its execution is cancelled, it is not told in this run, which is given up as if it waited: it runs again from the
    /// top, to clean up.
    pub(super) fn cleans_up_later(&self) -> bool {
        let task = &self.claimed.task;
        let is_root = task.kind == TaskKind::Orchestrator && task.parent_task_id.is_none();
        is_root && self.function.cleanup.is_some() && !self.cleans_up()
    }

    /// Its execution was cancelled or timed out, and it is to clean up.
    pub(in crate::executor) fn cleans_up(&self) -> bool {
        self.claimed.cleanup.is_some()
    }

    /// The store wants to know that it begins before it does.
    pub(in crate::executor) fn is_suspect(&self) -> bool {
        self.claimed.company.is_some() && self.claimed.begun.is_none()
    }

    pub(in crate::executor) fn claimed_at(&self) -> Instant {
        self.claimed_at
    }

    /// Its lease was renewed, by a call that began then.
    pub(in crate::executor) fn renewed(&self, asked: Moment) {
        *lock(&self.leased) = asked;
    }

    /// By the clock, and whatever has been heard: after a time in which the process stood still nothing has been.
    pub(in crate::executor) fn lease_holds(&self) -> bool {
        let leased = *lock(&self.leased);
        leased.elapsed() < self.holder.lease_time()
    }

    /// The store's time, as well as this process can know it.
    pub(super) fn store_time(&self) -> Timestamp {
        self.claimed.claimed_at.after(self.claimed_at.elapsed())
    }

    /// The time-out counts from the handler's start, so the time spent waiting for a slot is added.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let waited = self.state().started.map(|started| started.duration_since(self.claimed_at)).unwrap_or_default();
        self.claimed.deadline.map(|deadline| deadline.after(waited))
    }

    /// Does the handler still have the task, and may it go on?
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
        if self.is(flag::CANCELLED) && !self.cleans_up_later() {
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
        // A poller's task is evicted, and may end its turn: nothing that it asks for is recorded.
        let cancelled = self.is(flag::CANCELLED) && state.polled.is_none();
        if state.suspended.is_some() || state.gave_way || cancelled {
            return Err(suspend(name));
        }
        if state.staged.is_some() {
            return Err(Error::conflict(format!("this task of '{name}' has completed, failed or continued already")));
        }
        Ok(())
    }

    pub(in crate::executor) fn cancelled(&self) -> Error {
        let name = &self.claimed.task.step_name;
        Error::new(Status::Cancelled, format!("the execution of this task of '{name}' is cancelled"))
    }

    pub(in crate::executor) fn lease_lost(&self) -> Error {
        let name = &self.claimed.task.step_name;
        let told = format!("the lease of this task of '{name}' is over; nothing more of it is recorded here");
        Error::new(Status::LeaseLost, told)
    }

    /// A line about it: every such line says of which execution, task, function, worker and attempt it is, and where spans
    /// are told, of which.
    pub(in crate::executor) fn log(&self, level: Level, target: &'static str, message: impl FnOnce() -> String) {
        self.log_record(level, || LogRecord::new(target, message()));
    }

    /// The same, with more that is known.
    pub(in crate::executor) fn log_record(&self, level: Level, record: impl FnOnce() -> LogRecord) {
        self.holder.core().log(level, || {
            let record = record()
                .with("execution", self.held.execution)
                .with("task", self.held.task)
                .with("function", &self.claimed.task.step_name)
                .with("worker", self.holder.worker_id())
                .with("attempt", self.claimed.attempt());
            self.span_ids().into_iter().flatten().fold(record, |record, (name, id)| record.with(name, id))
        });
    }

    /// It waits for a slot.
    pub(in crate::executor) fn is_queued(&self) -> bool {
        self.state().phase == Phase::Queued
    }

    /// Its handler has begun and not ended it.
    pub(in crate::executor) fn is_running(&self) -> bool {
        matches!(self.state().phase, Phase::Running | Phase::Deferred)
    }

    /// As the log names it.
    pub(in crate::executor) fn name(&self) -> String {
        format!("{} (task {})", self.claimed.task.step_name, self.held.task)
    }

    /// What is recorded of it; before its handler starts.
    pub(in crate::executor) fn set_machine(&self, machine: Machine) {
        self.state().machine = Some(machine);
    }
}

fn suspend(name: &str) -> Error {
    Error::new(
        Status::Suspend,
        format!("this task of '{name}' is suspended: its handler returns now, and runs again when there is news"),
    )
}
