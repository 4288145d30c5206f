//! The protocol's operations: records as they are, and what follows where they end something.

use std::collections::BTreeSet;
use std::time::Duration;

use stent::backend::{Request, Response};
use stent::model::{
    Error, Execution, ExecutionState, Failure, Id, Number, Result, Route, Task, TaskKind, TaskState, Timestamp,
};

use super::commands::sum;
use super::ends::{End, Ending};
use super::signals::or_null;
use super::state::{Job, Kept, Key, Lane, Run, State};

impl State {
    pub fn call(&mut self, request: Request) -> Result<Response> {
        if let Some(answer) = self.read(&request) {
            return Ok(answer);
        }
        let now = self.now;
        let after = |ttl: Option<f64>| ttl.map(|ttl| now.after(Duration::from_secs_f64(ttl)));
        match request {
            Request::CreateExecution { execution } => self.create_execution(execution)?,
            Request::CreateExecutionWithRootTask { execution, task } => {
                if !is_live(execution.state) && !task.state.is_terminal() {
                    return Err(Error::conflict("nobody would run it"));
                }
                self.create_execution(execution)?;
                self.create_tasks(vec![task])?;
            }
            Request::UpdateExecution { execution } => self.update_execution(execution)?,
            Request::AppendProgress { execution_id, progress } => {
                self.run_of(execution_id)?.record.progress.push(progress);
            }
            Request::CreateTask { task } => self.create_tasks(vec![task])?,
            Request::CreateTasks { tasks } => self.create_tasks(tasks)?,
            Request::UpdateTask { task } => self.update_task(task)?,
            Request::ClaimNextTask { worker_id, queues, tags, now: at, lease_duration, concurrency_limits } => {
                let (queues, tags) = (queues.unwrap_or_default(), tags.unwrap_or_default());
                let (at, lease) = (at.unwrap_or(now), Duration::from_secs_f64(lease_duration));
                let task = self.claim_next(&worker_id, &queues, &tags, at, lease, &concurrency_limits);
                return Ok(Response::Task(task.map(Box::new)));
            }
            Request::RenewTaskLease { task_id, worker_id, lease_duration } => {
                let until = after(Some(lease_duration));
                let job = self.tasks.get_mut(&task_id);
                let job = job.filter(|job| job.runs() && job.record.worker_id == Some(worker_id));
                let renewed = job.is_some();
                if let Some(job) = job {
                    (job.lease, job.record.lease_expires_at) = (until, until);
                }
                return Ok(Response::Flag(renewed));
            }
            Request::SetCachedResult { key, value, ttl } => {
                self.cache.insert(key, Kept { value, until: after(ttl) });
            }
            Request::SetIdempotencyResult { key, value, ttl } => {
                let key: &mut Key = self.keys.entry(key).or_default();
                (key.value, key.until) = (Some(value), after(ttl));
            }
            Request::MoveTaskToDeadLetter { task, reason } => {
                check_among(std::slice::from_ref(&task))?;
                if self.tasks.get(&task.id).is_some_and(|job| job.record.execution_id != task.execution_id) {
                    return Err(Error::conflict("it is another execution's"));
                }
                self.bury_task(task, reason);
            }
            Request::DeleteDeadTask { task_id } => {
                return Ok(Response::Flag(self.letters.remove(&task_id).is_some()));
            }
            Request::CleanupExecutions { older_than } => return Ok(Response::Count(self.clean_up(older_than))),
            Request::CleanupDeadLetters { older_than } => {
                let before = self.letters.len();
                self.letters.retain(|_, letter| letter.moved_at >= older_than);
                return Ok(Response::Count((before - self.letters.len()) as u64));
            }
            Request::CreateSignal { signal } => self.create_signal(signal)?,
            Request::EnsureExecutionCounters { execution_id, counters } => {
                let known = &mut self.run_of(execution_id)?.counters;
                counters.into_iter().for_each(|(name, value)| _ = known.entry(name).or_insert(value));
            }
            Request::IncrementExecutionCounter { execution_id, name, amount } => {
                let counter = self.run_of(execution_id)?.counters.entry(name).or_insert(Number::Integer(0));
                *counter = sum(*counter, amount)?;
                return Ok(Response::Number(*counter));
            }
            Request::EnsureExecutionStateValues { execution_id, values } => {
                let known = &mut self.run_of(execution_id)?.values;
                values.into_iter().for_each(|(key, value)| _ = known.entry(key).or_insert(value));
            }
            Request::SetExecutionStateValue { execution_id, key, value } => {
                self.run_of(execution_id)?.values.insert(key, value);
            }
            other => unreachable!("{other:?} only reads"),
        }
        Ok(Response::Nothing)
    }

    /// What belongs to an execution can't be written for one that is not there.
    pub fn run_of(&mut self, execution: Id) -> Result<&mut Run> {
        self.executions.get_mut(&execution).ok_or_else(|| Error::not_found("no such execution"))
    }

    fn create_execution(&mut self, record: Execution) -> Result<()> {
        if self.executions.contains_key(&record.id) {
            return Err(Error::conflict("an execution with this id exists"));
        }
        let completed_at = ended_at(record.state.is_terminal(), record.completed_at, self.now);
        let record = Execution { completed_at, ..record };
        self.executions.insert(record.id, Run::new(record));
        Ok(())
    }

    /// All or nothing.
    fn create_tasks(&mut self, tasks: Vec<Task>) -> Result<()> {
        let given: Vec<Id> = tasks.iter().map(|task| task.id).collect();
        check_among(&tasks)?;
        for task in tasks {
            let over = self.execution_state(task.execution_id).is_some_and(|state| !is_live(state));
            if over && !task.state.is_terminal() {
                return Err(Error::conflict("nobody would run it"));
            }
            let id = task.id;
            let is_root = task.kind == TaskKind::Orchestrator && task.parent_task_id.is_none();
            let execution = task.execution_id;
            let timeout = self.functions.get(&task.step_name).and_then(|function| function.timeout);
            let completed_at = ended_at(task.state.is_terminal(), task.completed_at, self.now);
            let mut job = Job { timeout, ..Job::new(Task { completed_at, ..task }) };
            self.place(&mut job);
            if self.tasks.insert(id, job).is_some() {
                return Err(Error::conflict("a task with this id exists"));
            }
            if let Some(run) = self.executions.get_mut(&execution).filter(|run| is_root && run.root.is_none()) {
                run.root = Some(id);
            }
        }
        let parent = |id: &Id| self.tasks.get(id).and_then(|job| job.record.parent_task_id);
        match given.into_iter().find(|id| is_above(*id, parent)) {
            Some(_) => Err(Error::invalid("it is its own ancestor")),
            None => Ok(()),
        }
    }

    /// Where it may be claimed, when it is looked at, its lease: as its record says.
    fn place(&self, job: &mut Job) {
        let record = &job.record;
        if record.kind.is_run() {
            let tags = record.tags.clone();
            job.route = Some(Route::new(record.queue.clone(), record.step_name.clone(), tags));
        }
        let later = record.scheduled_for.filter(|at| *at > self.now);
        (job.lane, job.due, job.lease, job.limited) = (None, None, None, false);
        match (record.state, record.kind) {
            (TaskState::Pending, TaskKind::Orchestrator | TaskKind::Activity) => {
                (job.lane, job.due) = (later.is_none().then_some(Lane::Route), later);
            }
            (TaskState::Running, _) => {
                job.lease = record.lease_expires_at;
                job.limited = self.is_limited(&record.step_name);
            }
            (TaskState::Pending | TaskState::Waiting, TaskKind::Timer) | (TaskState::Waiting, TaskKind::Signal) => {
                job.due = record.scheduled_for;
            }
            _ => {}
        }
    }

    fn update_execution(&mut self, new: Execution) -> Result<()> {
        let completed_at = ended_at(new.state.is_terminal(), new.completed_at, self.now);
        let run = self.run_of(new.id)?;
        let old = run.record.clone();
        if old.state.is_terminal() {
            return same_end((old.state, &old.result, &old.error) == (new.state, &new.result, &new.error));
        }
        let goes_back =
            matches!(new.state, ExecutionState::Pending | ExecutionState::Running | ExecutionState::Completed);
        if old.state == ExecutionState::Cancelling && goes_back {
            return Err(Error::conflict("it is being cancelled"));
        }
        let cancels = new.state == ExecutionState::Cancelling;
        run.cleans_up &= cancels;
        run.ending = run.ending.or(Some(ExecutionState::Cancelled)).filter(|_| cancels);
        let ends = new.state.is_terminal();
        run.record = Execution {
            id: old.id,
            root_function: old.root_function,
            created_at: old.created_at,
            progress: old.progress,
            completed_at,
            ..new
        };
        // It takes its tree with it.
        if let (true, Some(root)) = (ends, run.root) {
            self.finish(vec![End::now(root, Ending::Cancelled)]);
            self.wake();
        }
        Ok(())
    }

    fn update_task(&mut self, new: Task) -> Result<()> {
        let old = self.tasks.get(&new.id).ok_or_else(|| Error::not_found("no such task"))?.record.clone();
        if old.state.is_terminal() {
            return same_end((old.state, &old.result, &old.error) == (new.state, &new.result, &new.error));
        }
        let ending = match new.state {
            TaskState::Completed => Some(Ending::Completed(or_null(new.result.clone()))),
            TaskState::Failed => {
                let unsaid = || Failure::new("Error", "the task was failed from outside, without an error");
                Some(Ending::Failed(new.error.clone().unwrap_or_else(unsaid)))
            }
            TaskState::Cancelled => Some(Ending::Cancelled),
            TaskState::Pending | TaskState::Running | TaskState::Waiting => None,
        };
        self.finish(ending.map(|ending| End::now(new.id, ending)).into_iter().collect());
        let before = self.tasks[&new.id].clone();
        let mut job = before.clone();
        job.record = Task {
            state: new.state,
            result: new.result,
            error: new.error,
            retries: new.retries,
            started_at: new.started_at,
            completed_at: ended_at(new.state.is_terminal(), new.completed_at, self.now),
            worker_id: new.worker_id,
            lease_expires_at: new.lease_expires_at,
            scheduled_for: new.scheduled_for,
            fence: job.record.fence + 1,
            ..job.record
        };
        self.place(&mut job);
        (job.deadline, job.begun) = (None, None);
        if before.record.state == TaskState::Waiting && job.record.state == TaskState::Waiting {
            // It keeps what it waits for.
            job.due = job.due.or(before.due);
        } else {
            (job.parked, job.joins) = (None, None);
            if old.state == TaskState::Waiting {
                job.wait = None;
            }
        }
        self.tasks.insert(new.id, job);
        self.wake();
        Ok(())
    }

    /// Ended executions with all that belongs to them, and what is kept no longer.
    fn clean_up(&mut self, older_than: Timestamp) -> u64 {
        // Whose dead letters are there yet is needed for their replay.
        let kept: BTreeSet<Id> = self.letters.values().map(|letter| letter.task.execution_id).collect();
        let old = |run: &&Run| {
            let over = run.record.state.is_terminal() && !kept.contains(&run.record.id);
            over && run.record.completed_at.is_some_and(|at| at < older_than)
        };
        let gone: BTreeSet<Id> = self.executions.values().filter(old).map(|run| run.record.id).collect();
        self.executions.retain(|id, _| !gone.contains(id));
        self.tasks.retain(|_, job| !gone.contains(&job.record.execution_id));
        self.signals.retain(|sent| !gone.contains(&sent.record.execution_id));
        let now = self.now;
        self.cache.retain(|_, kept| super::state::is_live(kept.until, now));
        self.keys.retain(|_, key| super::state::is_live(key.until, now));
        gone.len() as u64
    }

    pub fn cancel(&mut self, execution: Id, reason: Option<String>) -> Result<()> {
        let run = self.run_of(execution)?;
        if run.record.state.is_terminal() {
            return Err(Error::conflict("it is over"));
        }
        if run.record.state != ExecutionState::Cancelling {
            run.record.state = ExecutionState::Cancelling;
            (run.ending, run.reason) = (Some(ExecutionState::Cancelled), reason);
            self.cancel_tree(execution);
            self.wake();
        }
        Ok(())
    }

    pub fn resume(&mut self, task: Id) -> Result<()> {
        let job = self.tasks.get_mut(&task).ok_or_else(|| Error::not_found("no such task"))?;
        if job.record.state != TaskState::Waiting || job.parked.is_none() {
            return Err(Error::conflict("it is not parked"));
        }
        let due = job.due;
        job.offer(None);
        (job.due, job.parked, job.record.error) = (due, None, None);
        Ok(())
    }
}

/// Whatever a tool has written.
fn ended_at(is_over: bool, said: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    is_over.then(|| said.unwrap_or(now))
}

/// An end never changes.
fn same_end(same: bool) -> Result<()> {
    if same { Ok(()) } else { Err(Error::conflict("it has ended otherwise")) }
}

fn is_live(state: ExecutionState) -> bool {
    matches!(state, ExecutionState::Pending | ExecutionState::Running)
}

/// Is it its own ancestor?
fn is_above(id: Id, parent: impl Fn(&Id) -> Option<Id>) -> bool {
    let mut seen = BTreeSet::new();
    std::iter::successors(parent(&id), &parent).take_while(|above| seen.insert(*above)).any(|above| above == id)
}

/// What is wrong with new tasks whatever the store has.
fn check_among(tasks: &[Task]) -> Result<()> {
    if tasks.iter().any(|task| task.parent_task_id == Some(task.id)) {
        return Err(Error::invalid("it is its own parent"));
    }
    let ids: BTreeSet<Id> = tasks.iter().map(|task| task.id).collect();
    if ids.len() < tasks.len() {
        return Err(Error::conflict("an id is given twice"));
    }
    let parent = |id: &Id| tasks.iter().find(|task| task.id == *id).and_then(|task| task.parent_task_id);
    if tasks.iter().any(|task| is_above(task.id, parent)) {
        return Err(Error::invalid("they are each other's ancestors"));
    }
    Ok(())
}
