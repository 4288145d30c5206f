//! All that the model knows: maps and lists, and the small things that everything else is said with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use stent::backend::{CacheSlot, NewWorker, Pause};
use stent::model::{
    DeadLetter, Execution, ExecutionState, FunctionOptions, Id, Number, Op, OpSet, Payload, Route, Signal, Task,
    TaskState, Timestamp, WaitMode,
};

/// How long the worker that suspended a task has first call on it.
const FIRST_CALL: Duration = Duration::from_millis(25);

#[derive(Clone, Default)]
pub struct State {
    pub now: Timestamp,
    pub executions: BTreeMap<Id, Run>,
    pub tasks: BTreeMap<Id, Job>,
    /// In order of sending.
    pub signals: Vec<Sent>,
    pub letters: BTreeMap<Id, DeadLetter>,
    pub cache: BTreeMap<String, Kept>,
    pub keys: BTreeMap<String, Key>,
    pub functions: BTreeMap<String, FunctionOptions>,
    /// Those that live.
    pub workers: BTreeSet<String>,
    /// All that registered and did not leave, with what they can run.
    pub registered: BTreeMap<String, NewWorker>,
    /// Executions whose cleanup has ended in this transaction.
    pub cleaned: Vec<Id>,
    /// Queues and functions of which nothing is taken, by kind and name.
    pub pauses: BTreeMap<(&'static str, String), Pause>,
}

/// An execution.
#[derive(Clone)]
pub struct Run {
    pub record: Execution,
    pub root: Option<Id>,
    /// While it is cancelling: how it will end.
    pub ending: Option<ExecutionState>,
    pub reason: Option<String>,
    /// How long it may clean up, once its root has stopped for that; until when, once it does or did.
    pub cleanup: Option<Duration>,
    pub cleanup_due: Option<Timestamp>,
    /// It is told as cancelling, and goes on.
    pub cleans_up: bool,
    pub replay_of: Option<Id>,
    pub traceparent: Option<String>,
    pub counters: BTreeMap<String, Number>,
    pub values: BTreeMap<String, Payload>,
}

impl Run {
    pub fn new(record: Execution) -> Self {
        let ending = (record.state == ExecutionState::Cancelling).then_some(ExecutionState::Cancelled);
        Self {
            record,
            root: None,
            ending,
            reason: None,
            cleanup: None,
            cleanup_due: None,
            cleans_up: false,
            replay_of: None,
            traceparent: None,
            counters: BTreeMap::new(),
            values: BTreeMap::new(),
        }
    }

    /// May something of it begin?
    pub fn admits(&self, now: Timestamp) -> bool {
        let expired = self.ending.is_none() && self.record.expiry_at.is_some_and(|at| at <= now);
        self.goes_on() && !expired
    }

    pub fn goes_on(&self) -> bool {
        matches!(self.state(), ExecutionState::Pending | ExecutionState::Running)
    }

    pub fn state(&self) -> ExecutionState {
        if self.cleans_up { ExecutionState::Running } else { self.record.state }
    }
}

/// Where a task may be claimed.
#[derive(Clone, PartialEq)]
pub enum Lane {
    /// By everyone who may take its route.
    Route,
    /// By this worker alone.
    Worker(String),
}

/// A task.
#[derive(Clone)]
pub struct Job {
    pub record: Task,
    /// None: no worker runs it.
    pub route: Option<Route>,
    /// None: it can't be claimed now.
    pub lane: Option<Lane>,
    /// When time does something to it.
    pub due: Option<Timestamp>,
    /// The end of the lease that it is under.
    pub lease: Option<Timestamp>,
    /// It takes a place under its function's limit.
    pub limited: bool,
    pub run: u32,
    pub ops: u32,
    pub effects: u32,
    pub opened: Option<Op>,
    /// Deaths in a row that were its own, and all after which it had begun.
    pub crashes: u32,
    pub deaths: u32,
    pub snoozes: u32,
    /// When the first attempt began that is over.
    pub first_started: Option<Timestamp>,
    /// So many bodies run at once where its own has begun, and where it may.
    pub begun: Option<u32>,
    pub company: Option<u32>,
    /// Its number in its parent's journal.
    pub op: Option<Op>,
    /// When its end was delivered to its parent; 0: it was cancelled from above, and nobody was told.
    pub arrival: Option<u64>,
    pub timeout: Option<Duration>,
    pub deadline: Option<Timestamp>,
    /// By which version of its function.
    pub parked: Option<Option<String>>,
    /// The task with the same idempotency key whose end it waits for.
    pub joins: Option<Id>,
    pub cache: Option<CacheSlot>,
    pub cache_hit: bool,
    pub heartbeat: Option<Payload>,
    /// Of a root that cleans up: the last operation before.
    pub cleanup: Option<Op>,
    /// The last number that an end was delivered to it under, and the last that was thought of.
    pub arrivals: u64,
    pub given: u64,
    pub wait: Option<Wait>,
}

impl Job {
    pub fn new(record: Task) -> Self {
        Self {
            record,
            route: None,
            lane: None,
            due: None,
            lease: None,
            limited: false,
            run: 0,
            ops: 0,
            effects: 0,
            opened: None,
            crashes: 0,
            deaths: 0,
            snoozes: 0,
            first_started: None,
            begun: None,
            company: None,
            op: None,
            arrival: None,
            timeout: None,
            deadline: None,
            parked: None,
            joins: None,
            cache: None,
            cache_hit: false,
            heartbeat: None,
            cleanup: None,
            arrivals: 0,
            given: 0,
            wait: None,
        }
    }

    /// Another attempt follows.
    pub fn attempt_over(&mut self) {
        self.first_started = self.first_started.or(self.record.started_at);
    }

    pub fn is_open(&self) -> bool {
        !self.record.state.is_terminal()
    }

    pub fn runs(&self) -> bool {
        self.record.state == TaskState::Running
    }

    /// Nobody has it, and nobody may take it.
    pub fn let_go(&mut self) {
        self.lane = None;
        self.due = None;
        self.lease = None;
        self.limited = false;
        self.record.lease_expires_at = None;
    }

    /// Pending, from this time on.
    pub fn offer(&mut self, at: Option<Timestamp>) {
        self.record.state = TaskState::Pending;
        self.lane = if at.is_none() && self.route.is_some() { Some(Lane::Route) } else { None };
        self.due = at;
    }
}

/// What a suspended task waits for.
#[derive(Clone)]
pub struct Wait {
    pub mode: WaitMode,
    pub open: BTreeSet<Op>,
    pub came: bool,
}

impl Wait {
    pub fn new(mode: WaitMode, ops: &OpSet) -> Self {
        Self { mode, open: ops.iter().collect(), came: false }
    }

    fn is_over(&self) -> bool {
        self.open.is_empty() || (self.mode == WaitMode::Any && self.came)
    }
}

#[derive(Clone)]
pub struct Sent {
    pub record: Signal,
    pub taken_by: Option<Id>,
}

#[derive(Clone)]
pub struct Kept {
    pub value: Payload,
    pub until: Option<Timestamp>,
}

/// An idempotency key: a plain value, or whose it is.
#[derive(Clone, Default)]
pub struct Key {
    pub value: Option<Payload>,
    pub owner: Option<Id>,
    pub hash: Option<[u8; 32]>,
    pub until: Option<Timestamp>,
}

pub fn is_live(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_none_or(|until| until > now)
}

impl State {
    /// A new transaction: the clock goes on, and numbers that came to nothing are given again.
    pub fn begin(&mut self) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is set");
        self.now = Timestamp::from_micros(0).after(since).max(self.now);
        self.cleaned.clear();
        self.forget_given();
    }

    pub fn forget_given(&mut self) {
        for job in self.tasks.values_mut() {
            job.given = job.arrivals;
        }
    }

    /// Later than any before.
    pub fn next_time(&mut self) -> Timestamp {
        self.now = Timestamp::from_micros(self.now.micros() + 1);
        self.now
    }

    /// Now (none), or after a delay.
    pub fn later(&self, delay: Option<Duration>) -> Option<Timestamp> {
        delay.filter(|delay| !delay.is_zero()).map(|delay| self.now.after(delay))
    }

    pub fn execution_state(&self, id: Id) -> Option<ExecutionState> {
        self.executions.get(&id).map(Run::state)
    }

    pub fn goes_on(&self, execution: Id) -> bool {
        self.executions.get(&execution).is_some_and(Run::goes_on)
    }

    pub fn is_limited(&self, function: &str) -> bool {
        self.functions.get(function).is_some_and(|options| options.max_concurrent.is_some())
    }

    pub fn latest(&self, task: Id) -> u64 {
        self.tasks.get(&task).map_or(0, |job| job.arrivals)
    }

    /// Children, in order of their creation.
    pub fn children(&self, parent: Id) -> Vec<Id> {
        self.ordered(|job| job.record.parent_task_id == Some(parent))
    }

    pub fn ordered(&self, which: impl Fn(&Job) -> bool) -> Vec<Id> {
        let mut found: Vec<_> =
            self.tasks.values().filter(|job| which(job)).map(|job| (job.record.created_at, job.record.id)).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// A number for an end of a child.
    pub fn next_arrival(&mut self, parent: Id) -> u64 {
        let Some(job) = self.tasks.get_mut(&parent) else { return 1 };
        job.given += 1;
        job.given
    }

    /// An end has reached the parent.
    pub fn deliver(&mut self, parent: Id, arrival: u64, op: Option<Op>) {
        let Some(job) = self.tasks.get_mut(&parent) else { return };
        job.arrivals = job.arrivals.max(arrival);
        if let (Some(op), Some(wait)) = (op, &mut job.wait) {
            wait.came |= wait.open.remove(&op);
        }
    }

    /// Those whose wait is over may be claimed: by the worker that suspended them first.
    pub fn wake(&mut self) {
        let until = self.now.after(FIRST_CALL);
        let over = self.ordered(|job| job.wait.as_ref().is_some_and(Wait::is_over));
        for id in over {
            let limited = self.is_limited(&self.tasks[&id].record.step_name) || self.is_paused(&self.tasks[&id]);
            let workers = &self.workers;
            let job = self.tasks.get_mut(&id).expect("it was found");
            job.wait = None;
            if job.record.state != TaskState::Waiting || job.parked.is_some() || job.joins.is_some() {
                continue;
            }
            let own =
                job.record.worker_id.clone().filter(|worker| !limited && workers.len() > 1 && workers.contains(worker));
            job.offer(None);
            if let Some(worker) = own {
                (job.lane, job.due) = (Some(Lane::Worker(worker)), Some(until));
            }
        }
    }

    pub fn first_call_ends(&self) -> Timestamp {
        self.now.after(FIRST_CALL)
    }
}
