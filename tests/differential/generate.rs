//! Which operation comes next, and the small things that operations are made of.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use stent::backend::{
    Claim, DeadLetterFilter, ExecutionFilter, Function, NewExecution, NewPause, NewSignal, NewWorker, Pausable, Renew,
};
use stent::codec::CanonicalJson;
use stent::model::{
    Canonical as _, DispatchOptions, ExecutionState, Failure, FunctionOptions, Id, Payload, RetryPolicy, TaskOptions,
    TaskState,
};

use crate::operation::Operation;
use crate::world::World;

pub const FUNCTIONS: &[&str] = &["plain", "other", "limited", "again", "kept"];
pub const WORKERS: &[&str] = &["one", "two", "three"];
pub const QUEUES: &[&str] = &["left", "right"];
pub const TAGS: &[&str] = &["red", "blue"];
const VERSIONS: &[&str] = &["1", "2"];

/// Nothing that waits so long ends in a run, and no lease.
pub const LONG: Duration = Duration::from_secs(36_000);

/// Over when the next operation begins.
const SHORT: Duration = Duration::from_micros(1);

impl World {
    pub fn next_operation(&mut self) -> Operation {
        if self.executions.is_empty() && self.one_in(2) {
            return Operation::Dispatch(vec![self.new_execution()]);
        }
        if self.deep && self.executions.len() > 2 && !self.one_in(3) {
            return if self.letters.is_empty() || !self.one_in(6) { self.advance() } else { self.replay_dead_letter() };
        }
        match self.rng.random_range(0..100) {
            0..12 => self.dispatch(),
            12..15 => Operation::Register(self.worker()),
            15 => Operation::Remove(self.pick(WORKERS).to_owned()),
            16..60 => self.advance(),
            60..67 => Operation::Signal(self.signal()),
            67..69 => Operation::Cancel(self.execution(), self.rng.random::<bool>().then(|| "enough".to_owned())),
            69..71 => Operation::Resume(self.parked()),
            71..73 => Operation::Renew(self.renew()),
            73..77 => Operation::Sweep(self.pick(WORKERS).to_owned()),
            77..81 => self.replay_dead_letter(),
            81 => self.look(),
            82 => self.pause_or_not(),
            _ => Operation::Call(Box::new(self.request())),
        }
    }

    /// Not so often that nothing would be left to take.
    fn pause_or_not(&mut self) -> Operation {
        let what = match self.one_in(2) {
            true => Pausable::Queue(self.pick(QUEUES).to_owned()),
            false => Pausable::Function(self.pick(FUNCTIONS).to_owned()),
        };
        match self.rng.random_range(0..5) {
            0 | 1 => Operation::Pause(NewPause { what, reason: Some("enough".to_owned()), by: None }),
            2 | 3 => Operation::Unpause(what),
            _ => Operation::Pauses,
        }
    }

    fn dispatch(&mut self) -> Operation {
        let count = if self.one_in(4) { 3 } else { 1 };
        Operation::Dispatch((0..count).map(|_| self.new_execution()).collect())
    }

    fn new_execution(&mut self) -> NewExecution {
        let args = self.payload();
        let id = if self.one_in(25) { self.execution() } else { self.new_id() };
        let mut options = DispatchOptions { task: self.task_options(), ..DispatchOptions::default() };
        options.delay = self.one_in(8).then(|| self.long_or_short());
        options.expiry =
            self.one_in(8).then_some(LONG).filter(|_| !self.one_in(4)).or(self.one_in(20).then_some(SHORT));
        options.idempotency_key = self.idempotency_key();
        options.kwargs = self.one_in(4).then(|| "{\"k\": 1}".into());
        options.traceparent = self.one_in(8).then(|| "00-trace".to_owned());
        let function = self.pick(FUNCTIONS).to_owned();
        let args_hash = hash(&args);
        let registered = self.registered(&function);
        NewExecution { id, function, args, options, args_hash, registered }
    }

    /// What a caller has registered itself, which may be other than what workers say.
    pub fn registered(&mut self, function: &str) -> Option<Arc<FunctionOptions>> {
        if !self.one_in(3) {
            return None;
        }
        self.function(function).map(|function| Arc::new(function.options))
    }

    pub fn idempotency_key(&mut self) -> Option<String> {
        self.one_in(6).then(|| self.pick(&["first", "second"]).to_owned())
    }

    pub fn payload(&mut self) -> Payload {
        self.pick(&["[]", "[1]", "[1]", "[\"two\", {\"b\": 1, \"a\": 2.50}]"]).into()
    }

    /// One of which nothing comes in a run, or one that the next sweep finds.
    pub fn long_or_short(&mut self) -> Duration {
        if self.one_in(2) { LONG } else { SHORT }
    }

    /// What is tried again is so at once, or not in this run.
    fn retry_policy(&mut self) -> RetryPolicy {
        let delay = if self.one_in(2) { 0.0 } else { LONG.as_secs_f64() };
        let (max_attempts, max_deaths) = (self.rng.random_range(1..4), self.rng.random_range(1..3));
        let policy = RetryPolicy { max_attempts, max_deaths, ..RetryPolicy::default() };
        if self.one_in(3) {
            let later = self.one_in(2).then_some(LONG.as_secs_f64());
            return RetryPolicy { delays: [delay].into_iter().chain(later).collect(), jitter: 0.0, ..policy };
        }
        RetryPolicy { initial_delay: delay, max_delay: delay, jitter: 0.0, ..policy }
    }

    pub fn task_options(&mut self) -> TaskOptions {
        if self.one_in(8) {
            let retry_policy = Some(self.retry_policy());
            return TaskOptions { timeout: Some(SHORT), retry_policy, ..TaskOptions::default() };
        }
        TaskOptions {
            queue: self.one_in(5).then(|| self.pick(QUEUES).to_owned()),
            tags: self.one_in(5).then(|| self.tags()),
            priority: self.one_in(3).then(|| self.rng.random_range(-1..3)),
            priority_ageing: None,
            retry_policy: self.one_in(8).then(|| self.retry_policy()),
            timeout: self.one_in(8).then_some(LONG),
            cached: self.one_in(8).then_some(true),
            cache_ttl: self.one_in(8).then_some(LONG),
            concurrency_key: None,
            fairness_key: None,
            fairness_weight: None,
        }
    }

    pub fn tags(&mut self) -> Vec<String> {
        let count = self.rng.random_range(0..3);
        (0..count).map(|_| self.pick(TAGS).to_owned()).collect()
    }

    fn worker(&mut self) -> NewWorker {
        let functions = FUNCTIONS.iter().filter_map(|name| self.function(name)).collect();
        let queues = if self.one_in(3) { vec![self.pick(QUEUES).to_owned()] } else { Vec::new() };
        let tags = if self.one_in(3) { self.tags() } else { Vec::new() };
        NewWorker { worker_id: self.pick(WORKERS).to_owned(), queues, tags, functions, queue_rates: [].into() }
    }

    fn function(&mut self, name: &str) -> Option<Function> {
        if self.one_in(5) {
            return None;
        }
        let mut options =
            FunctionOptions { version: Some(self.pick(VERSIONS).to_owned()), ..FunctionOptions::default() };
        options.max_concurrent = (name == "limited").then_some(2);
        options.idempotent = name == "again";
        options.cached = name == "kept";
        options.cleanup = (name == "other").then(|| self.long_or_short());
        if self.one_in(4) {
            options.queue = Some(self.pick(QUEUES).to_owned());
            options.tags = self.tags();
            options.priority = Some(self.rng.random_range(-1..3));
            options.timeout = Some(LONG);
            options.retry_policy = Some(self.retry_policy());
        }
        Some(Function { name: name.to_owned(), options })
    }

    /// By all workers before anything else: without them nothing goes on.
    pub fn first_workers(&mut self) -> Vec<Operation> {
        let worker = |world: &mut Self, name: &&str| NewWorker { worker_id: (*name).to_owned(), ..world.worker() };
        WORKERS.iter().map(|name| Operation::Register(worker(self, name))).collect()
    }

    fn advance(&mut self) -> Operation {
        let few = self.held.len().min(3);
        let count = self.rng.random_range(0..=few);
        let mut transitions = Vec::new();
        for _ in 0..count {
            transitions.extend(self.transition(&transitions));
        }
        let claim = (transitions.is_empty() || self.one_in(2)).then(|| self.claim());
        // PostgreSQL chooses lanes before it looks at executions: where such a task is the best of them, it takes what
        // is there, whatever its priority.
        let claim = claim.filter(|_| !self.has_orphans());
        Operation::Advance(transitions, claim)
    }

    /// Tasks that tools have made, and left behind when their execution ended.
    fn has_orphans(&self) -> bool {
        let ready = self.tasks.iter().filter(|task| task.kind.is_run() && task.state == TaskState::Pending);
        let goes_on = |id: Id| {
            let execution = self.records.iter().find(|execution| execution.id == id);
            execution.is_some_and(|e| matches!(e.state, ExecutionState::Pending | ExecutionState::Running))
        };
        ready.map(|task| task.execution_id).any(|execution| !goes_on(execution))
    }

    fn claim(&mut self) -> Claim {
        let count = self.rng.random_range(0..5);
        let limited = self.rng.random_range(0..3);
        let lease = if self.one_in(8) { SHORT } else { LONG };
        let (begin, slots) = (self.rng.random_range(0..4), self.pick(&[1, 2, 8]));
        Claim { worker_id: self.pick(WORKERS).to_owned(), count, limited, begin, slots, lease }
    }

    fn signal(&mut self) -> NewSignal {
        if let Some(sent) = self.sent.clone().filter(|sent| sent.id.is_some() && self.one_in(4)) {
            return sent;
        }
        NewSignal {
            execution: self.execution(),
            name: self.signal_name(),
            payload: self.payload(),
            id: self.one_in(2).then(|| self.pick(&["a", "b"]).to_owned()),
        }
    }

    /// One that is parked, mostly.
    fn parked(&mut self) -> Id {
        let parked = self.tasks.iter().filter(|task| task.state == TaskState::Waiting && task.error.is_some());
        let parked: Vec<Id> = parked.map(|task| task.id).collect();
        if parked.is_empty() || self.one_in(4) { self.task() } else { self.pick(&parked) }
    }

    pub fn signal_name(&mut self) -> String {
        self.pick(&["go", "stop"]).to_owned()
    }

    fn renew(&mut self) -> Renew {
        let mut held: Vec<_> = self.held.iter().map(crate::world::Holding::held).collect();
        held.extend(self.stale.last().map(crate::world::Holding::held));
        // A set: a worker holds each task once.
        held.sort_by_key(|held| held.task);
        held.dedup_by_key(|held| held.task);
        Renew { worker_id: self.pick(WORKERS).to_owned(), held, lease: LONG }
    }

    fn replay_dead_letter(&mut self) -> Operation {
        let letters = self.letters.clone();
        let letter = if letters.is_empty() || self.one_in(8) { self.task() } else { self.pick(&letters) };
        Operation::ReplayDeadLetter { letter, execution: self.new_id() }
    }

    fn look(&mut self) -> Operation {
        let executions = vec![self.execution(), self.execution(), self.execution()];
        match self.rng.random_range(0..5) {
            0 => Operation::EndedAmong(executions),
            1 => Operation::CancelledAmong(executions),
            2 => Operation::DeadLetters(DeadLetterFilter {
                execution: self.one_in(2).then(|| executions[0]),
                function: self.one_in(2).then(|| self.pick(FUNCTIONS).to_owned()),
                task: self.one_in(3).then(|| self.task()),
                limit: 5,
                offset: self.rng.random_range(0..2),
            }),
            3 => Operation::List(ExecutionFilter {
                state: self.one_in(2).then(|| self.pick(ExecutionState::ALL)),
                function: self.one_in(2).then(|| self.pick(FUNCTIONS).to_owned()),
                queue: self.one_in(4).then(|| self.pick(QUEUES).to_owned()),
                tag: self.one_in(4).then(|| self.pick(TAGS).to_owned()),
                limit: self.rng.random_range(0..10),
                offset: self.rng.random_range(0..3),
                ..ExecutionFilter::default()
            }),
            _ => Operation::Cached(vec!["kept/mine".to_owned(), "given".to_owned(), self.cache_key()]),
        }
    }

    pub fn cache_key(&mut self) -> String {
        let known = self.held.iter().find_map(|holding| holding.claimed.cache.clone());
        known.map_or_else(|| self.pick(&["given", "other"]).to_owned(), |slot| slot.key)
    }
}

pub fn hash(args: &Payload) -> [u8; 32] {
    CanonicalJson.hash(args, &Payload::empty_object())
}

pub fn failure() -> Failure {
    Failure { code: Some("E1".to_owned()), details: Some("{\"why\": null}".into()), ..Failure::new("Oops", "it broke") }
}
