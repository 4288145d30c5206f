//! Operations of the protocol.

use std::collections::BTreeMap;

use rand::Rng as _;
use stent::backend::Request;
use stent::model::{Execution, ExecutionState, Payload, Signal, Task, TaskKind, TaskState, Timestamp};

use crate::generate::{FUNCTIONS, LONG, QUEUES, WORKERS, failure};
use crate::world::World;

impl World {
    pub fn request(&mut self) -> Request {
        match self.rng.random_range(0..100) {
            0..10 => self.read_record(),
            10..20 => self.read_value(),
            20..40 => self.write_value(),
            40..55 => self.update(),
            55..70 => self.create(),
            70..85 => self.claim_next(),
            85..95 => self.dead_letter(),
            _ => self.clean_up(),
        }
    }

    fn read_record(&mut self) -> Request {
        let limit = self.rng.random_range(0..10);
        let offset = self.rng.random_range(0..3);
        match self.rng.random_range(0..7) {
            0 => Request::GetExecution { execution_id: self.execution() },
            1 => Request::ListExecutions { limit, offset, state: self.execution_state() },
            2 => Request::CountExecutions { state: self.execution_state() },
            3 => Request::GetTask { task_id: self.task() },
            4 => Request::ListTasks { limit, offset, state: self.task_state() },
            5 => Request::ListTasksForExecution { execution_id: self.execution() },
            _ => {
                let queue = self.one_in(2).then(|| self.pick(QUEUES).to_owned());
                Request::CountTasks { queue, state: self.task_state() }
            }
        }
    }

    fn execution_state(&mut self) -> Option<ExecutionState> {
        self.one_in(2).then(|| self.pick(ExecutionState::ALL))
    }

    fn task_state(&mut self) -> Option<TaskState> {
        self.one_in(2).then(|| self.pick(TaskState::ALL))
    }

    fn read_value(&mut self) -> Request {
        let execution_id = self.execution();
        match self.rng.random_range(0..5) {
            0 => Request::GetCachedResult { key: self.cache_key() },
            1 => Request::GetIdempotencyResult { key: self.full_key() },
            2 => Request::GetSignal { execution_id, name: self.signal_name() },
            3 => Request::GetExecutionCounters { execution_id },
            _ => Request::GetExecutionStateValues { execution_id },
        }
    }

    /// As the store writes it, with the function before it.
    fn full_key(&mut self) -> String {
        format!("{}/{}", self.pick(FUNCTIONS), self.pick(&["first", "second"]))
    }

    fn write_value(&mut self) -> Request {
        let execution_id = self.execution();
        let ttl = self.one_in(2).then_some(36_000.0);
        match self.rng.random_range(0..8) {
            0 => Request::SetCachedResult { key: self.cache_key(), value: self.payload(), ttl },
            1 => Request::SetIdempotencyResult { key: self.full_key(), value: self.payload(), ttl },
            2 => Request::AppendProgress { execution_id, progress: self.progress() },
            3 => Request::CreateSignal { signal: self.signal_record() },
            4 => {
                let counters = BTreeMap::from([("n".to_owned(), self.number()), ("k".to_owned(), self.number())]);
                Request::EnsureExecutionCounters { execution_id, counters }
            }
            5 => {
                let name = self.pick(&["n", "m"]).to_owned();
                Request::IncrementExecutionCounter { execution_id, name, amount: self.number() }
            }
            6 => {
                let values = BTreeMap::from([("here".to_owned(), self.payload()), ("x".to_owned(), self.payload())]);
                Request::EnsureExecutionStateValues { execution_id, values }
            }
            _ => {
                let key = self.pick(&["here", "there"]).to_owned();
                Request::SetExecutionStateValue { execution_id, key, value: self.payload() }
            }
        }
    }

    fn signal_record(&mut self) -> Signal {
        let consumed = self.one_in(3);
        Signal {
            execution_id: self.execution(),
            name: self.signal_name(),
            payload: self.payload(),
            created_at: self.begin,
            consumed,
            consumed_at: (consumed && self.one_in(2)).then_some(self.begin),
            id: self.one_in(3).then(|| self.pick(&["a", "b"]).to_owned()),
            sequence: 0,
        }
    }

    fn update(&mut self) -> Request {
        if self.one_in(4) && !self.records.is_empty() {
            let records = self.records.clone();
            let mut execution = self.pick(&records);
            execution.state = self.pick(ExecutionState::ALL);
            execution.retries += 1;
            execution.result = (execution.state == ExecutionState::Completed).then(|| self.payload());
            execution.error = (execution.state == ExecutionState::Failed).then(failure);
            execution.started_at = execution.started_at.map(|_| self.begin);
            execution.completed_at = execution.state.is_terminal().then_some(self.begin);
            return Request::UpdateExecution { execution };
        }
        if self.tasks.is_empty() {
            return self.read_record();
        }
        let tasks = self.tasks.clone();
        let mut task = self.pick(&tasks);
        if self.one_in(10) {
            task.id = self.new_id();
        }
        task.state = self.pick(TaskState::ALL);
        task.retries += 1;
        task.result = (task.state == TaskState::Completed).then(|| self.payload());
        task.error = (task.state == TaskState::Failed && !self.one_in(3)).then(failure);
        // The record is one store's; its times are none of the others'.
        task.started_at = task.started_at.map(|_| self.begin);
        task.completed_at = task.state.is_terminal().then_some(self.begin);
        let runs = task.state == TaskState::Running;
        // A tool may leave a lease that is over on what has ended.
        let left = task.state.is_terminal() && self.one_in(3);
        task.worker_id = (runs || left).then(|| self.pick(WORKERS).to_owned());
        task.lease_expires_at = match (runs, left) {
            (true, _) => Some(self.begin.after(LONG)),
            (false, true) => Some(self.begin.before(LONG)),
            (false, false) => None,
        };
        task.scheduled_for = self.one_in(3).then(|| self.begin.after(LONG));
        Request::UpdateTask { task }
    }

    fn create(&mut self) -> Request {
        let execution = self.execution_record();
        let execution_id = execution.id;
        match self.rng.random_range(0..4) {
            0 => Request::CreateExecution { execution },
            1 => {
                let task = Task { kind: TaskKind::Orchestrator, ..self.task_record() };
                Request::CreateExecutionWithRootTask {
                    execution,
                    task: Task { execution_id, parent_task_id: None, ..task },
                }
            }
            2 => Request::CreateTask { task: self.task_record() },
            _ => Request::CreateTasks { tasks: vec![self.task_record(), self.task_record()] },
        }
    }

    fn execution_record(&mut self) -> Execution {
        Execution {
            id: if self.one_in(10) { self.execution() } else { self.new_id() },
            root_function: self.pick(FUNCTIONS).to_owned(),
            state: ExecutionState::Pending,
            args: self.payload(),
            kwargs: Payload::empty_object(),
            retries: 0,
            created_at: self.later(),
            started_at: None,
            completed_at: None,
            expiry_at: self.one_in(4).then(|| self.begin.after(LONG)),
            progress: if self.one_in(2) { vec![self.progress(), self.progress()] } else { Vec::new() },
            tags: self.tags(),
            priority: self.rng.random_range(-1..3),
            queue: self.one_in(3).then(|| self.pick(QUEUES).to_owned()),
            result: None,
            error: None,
        }
    }

    fn task_record(&mut self) -> Task {
        let under = (!self.tasks.is_empty() && self.one_in(2)).then(|| {
            let tasks = self.tasks.clone();
            self.pick(&tasks)
        });
        let execution_id = under.as_ref().map_or_else(|| self.execution(), |task| task.execution_id);
        let id = if self.one_in(10) { self.task() } else { self.new_id() };
        let parent = if self.one_in(20) { Some(id) } else { under.map(|task| task.id) };
        Task {
            id,
            execution_id,
            step_name: self.pick(FUNCTIONS).to_owned(),
            kind: self.pick(TaskKind::ALL),
            parent_task_id: parent,
            state: self.pick(&[TaskState::Pending, TaskState::Pending, TaskState::Waiting]),
            args: self.payload(),
            kwargs: Payload::empty_object(),
            retries: 0,
            created_at: self.later(),
            tags: self.tags(),
            priority: self.rng.random_range(-1..3),
            queue: self.one_in(3).then(|| self.pick(QUEUES).to_owned()),
            retry_policy: None,
            result: None,
            error: None,
            started_at: None,
            completed_at: None,
            worker_id: None,
            lease_expires_at: None,
            idempotency_key: None,
            scheduled_for: self.one_in(5).then(|| self.begin.after(LONG)),
            fence: self.rng.random_range(0..3),
            step_key: self.one_in(2).then(|| "given#1".to_owned()),
        }
    }

    /// Before all that stores have made up to now, and after what was made here.
    pub fn later(&mut self) -> Timestamp {
        self.made += 1;
        Timestamp::from_micros(self.begin.micros() - 1_000_000 + self.made)
    }

    fn claim_next(&mut self) -> Request {
        if self.one_in(4) && !self.held.is_empty() {
            let held = self.held.clone();
            let task = self.pick(&held).claimed.task;
            let own = task.worker_id.filter(|_| !self.one_in(3));
            let worker_id = own.unwrap_or_else(|| self.pick(WORKERS).to_owned());
            return Request::RenewTaskLease { task_id: task.id, worker_id, lease_duration: 36_000.0 };
        }
        let queues = self.one_in(2).then(|| vec![self.pick(QUEUES).to_owned()]);
        let tags = self.one_in(2).then(|| self.tags());
        let limits = self.one_in(3).then(|| BTreeMap::from([("plain".to_owned(), 1), ("limited".to_owned(), 5)]));
        Request::ClaimNextTask {
            worker_id: self.pick(&["one", "two", "outside"]).to_owned(),
            queues,
            tags,
            // What a worker has first call on is its own at this time, however long the run takes.
            now: Some(self.begin),
            lease_duration: 36_000.0,
            concurrency_limits: limits.unwrap_or_default(),
        }
    }

    fn dead_letter(&mut self) -> Request {
        let task_id = self.task();
        match self.rng.random_range(0..5) {
            0 if !self.tasks.is_empty() => {
                let tasks = self.tasks.clone();
                Request::MoveTaskToDeadLetter { task: self.pick(&tasks), reason: "by hand".to_owned() }
            }
            0 | 1 => Request::ListDeadTasks { limit: self.rng.random_range(0..10) },
            2 => Request::CountDeadTasks {},
            3 => Request::GetDeadTask { task_id },
            _ => {
                let failed: Vec<_> = self.tasks.iter().filter(|t| t.error.is_some()).map(|t| t.id).collect();
                let task_id = if failed.is_empty() { task_id } else { self.pick(&failed) };
                Request::DeleteDeadTask { task_id }
            }
        }
    }

    /// All that has ended, or nothing.
    fn clean_up(&mut self) -> Request {
        let older_than = if self.one_in(2) { self.begin.after(LONG) } else { self.begin.before(LONG) };
        if self.one_in(2) {
            Request::CleanupExecutions { older_than }
        } else {
            Request::CleanupDeadLetters { older_than }
        }
    }
}
