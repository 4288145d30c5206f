//! What a task starts, cancels and tells; and new executions.

use std::time::Duration;

use stent::backend::{CacheSlot, Cancel, Held, NewExecution, Spawn, SpawnKind, Transition};
use stent::model::{
    Error, Execution, ExecutionState, Failure, FunctionOptions, Id, Number, Op, Payload, ProgressEntry, Result, Route,
    Status, Task, TaskKind, TaskOptions, TaskState, child_id,
};

use super::ends::{End, Ending};
use super::state::{Job, Key, Lane, Run, State, is_live};

/// How long an idempotency key stands.
const KEY_TTL: Duration = Duration::from_secs(7 * 86_400);

/// What a key means to the task that comes with it.
enum Reservation {
    Owner,
    Done(Option<Id>, Payload),
    Join(Id),
}

/// A call, as far as its function has a word in it.
struct Call<'a> {
    function: &'a str,
    options: &'a TaskOptions,
    idempotency_key: Option<&'a str>,
    cache_key: Option<&'a str>,
    hash: Option<[u8; 32]>,
    /// What the caller says of the function, if no worker has.
    registered: Option<&'a FunctionOptions>,
}

impl State {
    pub fn dispatch(&mut self, executions: &[NewExecution]) -> Result<Vec<Id>> {
        let ids = executions.iter().map(|new| self.dispatch_one(new)).collect();
        self.wake();
        ids
    }

    fn dispatch_one(&mut self, new: &NewExecution) -> Result<Id> {
        let root = child_id(new.id, 0, "root");
        let options = &new.options;
        let call = Call {
            function: &new.function,
            options: &options.task,
            idempotency_key: options.idempotency_key.as_deref(),
            cache_key: None,
            hash: Some(new.args_hash),
            registered: new.registered.as_deref(),
        };
        let mut job = self.task_of(&call);
        let mut done = None;
        if let Some(key) = job.record.idempotency_key.clone() {
            let found = match self.reserve(&call, &key, root)? {
                Reservation::Owner => None,
                Reservation::Done(owner, result) => {
                    done = Some(result);
                    owner
                }
                Reservation::Join(owner) => {
                    job.joins = Some(owner);
                    Some(owner)
                }
            };
            if let Some(execution) = found.and_then(|owner| self.execution_with_root(owner)) {
                return Ok(execution);
            }
        }
        if self.executions.contains_key(&new.id) {
            return Err(Error::conflict("an execution with this id exists"));
        }
        let due = self.later(options.delay);
        let expiry_at = options.expiry_at(self.now);
        let args = new.args.clone();
        let kwargs = options.kwargs.clone().unwrap_or_else(Payload::empty_object);
        let record = Execution {
            id: new.id,
            root_function: new.function.clone(),
            state: ExecutionState::Pending,
            args: args.clone(),
            kwargs: kwargs.clone(),
            retries: 0,
            created_at: self.next_time(),
            started_at: None,
            completed_at: None,
            expiry_at,
            progress: Vec::new(),
            tags: job.record.tags.clone(),
            priority: job.record.priority,
            queue: job.record.queue.clone(),
            result: None,
            error: None,
        };
        let run = Run { root: Some(root), traceparent: options.traceparent.clone(), ..Run::new(record) };
        self.executions.insert(new.id, run);
        let record = Task { id: root, execution_id: new.id, kind: TaskKind::Orchestrator, args, kwargs, ..job.record };
        let mut job = Job { record, ..job };
        (job.record.state, job.due) = match job.joins {
            None => (TaskState::Pending, due),
            Some(_) => (TaskState::Waiting, None),
        };
        self.insert(job);
        if let Some(result) = done {
            self.finish(vec![End::now(root, Ending::Completed(result))]);
        }
        Ok(new.id)
    }

    /// The call, the function as a worker declared it, the function as the caller knows it, the default.
    fn task_of(&self, call: &Call<'_>) -> Job {
        let function = self.functions.get(call.function).or(call.registered);
        let options = call.options.clone().or_function(function);
        let version = function.and_then(|f| f.version.clone()).unwrap_or_default();
        let digits = call.hash.map(|hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let by_args = digits.as_ref().filter(|_| options.cached == Some(true));
        let cache_key = match call.cache_key {
            Some(key) => Some(format!("{}/{key}", call.function)),
            None => by_args.map(|digits| format!("{}@{version}/{digits}", call.function)),
        };
        let by_args = digits.filter(|_| function.is_some_and(|f| f.idempotent));
        let idempotency_key =
            call.idempotency_key.map(str::to_owned).or_else(|| by_args.map(|digits| format!("args:{digits}")));
        let tags = options.tags.unwrap_or_default();
        let mut job = Job::new(Task {
            priority: options.priority.unwrap_or(0),
            queue: options.queue.clone(),
            retry_policy: options.retry_policy,
            idempotency_key,
            tags: tags.clone(),
            ..blank(call.function, TaskKind::Activity)
        });
        job.route = Some(Route::new(options.queue, call.function.to_owned(), tags));
        job.timeout = options.timeout;
        job.cache = cache_key.map(|key| CacheSlot { key, ttl: options.cache_ttl });
        job
    }

    fn reserve(&mut self, call: &Call<'_>, key: &str, task: Id) -> Result<Reservation> {
        let hash = call.hash.unwrap_or_default();
        let full = format!("{}/{key}", call.function);
        if let Some(found) = self.keys.get(&full).filter(|found| is_live(found.until, self.now)) {
            if found.hash.is_some_and(|recorded| recorded != hash) {
                return Err(Error::conflict(format!(
                    "the idempotency key '{key}' of {} is taken by a call with other arguments; use another key, or \
                     the same arguments",
                    call.function
                )));
            }
            if let Some(value) = &found.value {
                return Ok(Reservation::Done(None, value.clone()));
            }
            let owner = found.owner.and_then(|owner| self.tasks.get(&owner)).map(|job| &job.record);
            match owner {
                Some(owner) if owner.state == TaskState::Completed => {
                    let result = owner.result.clone().unwrap_or_else(Payload::null);
                    return Ok(Reservation::Done(Some(owner.id), result));
                }
                Some(owner) if !owner.state.is_terminal() && owner.id != task => {
                    return Ok(Reservation::Join(owner.id));
                }
                _ => {}
            }
        }
        let until = Some(self.now.after(KEY_TTL));
        self.keys.insert(full, Key { value: None, owner: Some(task), hash: Some(hash), until });
        Ok(Reservation::Owner)
    }

    fn execution_with_root(&self, task: Id) -> Option<Id> {
        let execution = self.tasks.get(&task)?.record.execution_id;
        self.executions.get(&execution).filter(|run| run.root == Some(task)).map(|run| run.record.id)
    }

    /// One that is there already was inserted before, and stays as it is.
    fn insert(&mut self, mut job: Job) {
        job.record.created_at = self.next_time();
        let claimable = job.record.state == TaskState::Pending && job.route.is_some();
        job.lane = (claimable && job.due.is_none()).then_some(Lane::Route);
        job.record.scheduled_for = job.due.filter(|_| claimable);
        self.tasks.entry(job.record.id).or_insert(job);
    }

    /// Starts operations in order. Signals that are there, and results that are, end some of them at once: when all
    /// have been started.
    pub fn start(&mut self, spawns: Vec<(Held, &Spawn)>) {
        let mut jobs = Vec::new();
        let mut ends = Vec::new();
        let mut waits = Vec::new();
        for (held, spawn) in spawns {
            let mut job = match &spawn.what {
                SpawnKind::Activity { args, options, args_hash, registered } => {
                    let call = Call {
                        function: &spawn.name,
                        options: &options.task,
                        idempotency_key: options.idempotency_key.as_deref(),
                        cache_key: options.cache_key.as_deref(),
                        hash: *args_hash,
                        registered: registered.as_deref(),
                    };
                    let mut job = self.task_of(&call);
                    job.record.args = args.clone();
                    job.record.kwargs = options.kwargs.clone().unwrap_or_else(Payload::empty_object);
                    job.due = self.later(options.delay);
                    if let Some(key) = job.record.idempotency_key.clone() {
                        // Who has the key may have been started just now.
                        std::mem::take(&mut jobs).into_iter().for_each(|job| self.insert(job));
                        let over = self.join(&call, &key, held.task, spawn.id, &mut job);
                        ends.extend(over.map(|ending| End::now(spawn.id, ending)));
                    }
                    job
                }
                SpawnKind::Timer { delay } => {
                    Job { due: Some(self.now.after(*delay)), ..waiting(&spawn.name, TaskKind::Timer) }
                }
                SpawnKind::Signal { timeout } => {
                    waits.push((held.execution, spawn.name.clone()));
                    Job { due: timeout.map(|after| self.now.after(after)), ..waiting(&spawn.name, TaskKind::Signal) }
                }
                SpawnKind::Step { started_at, outcome } => {
                    let mut job = waiting(&spawn.name, TaskKind::Step);
                    let arrival = self.next_arrival(held.task);
                    self.deliver(held.task, arrival, Some(spawn.op));
                    job.arrival = Some(arrival);
                    (job.record.started_at, job.record.completed_at) = (Some(*started_at), Some(self.now));
                    match outcome {
                        Ok(result) => {
                            (job.record.state, job.record.result) = (TaskState::Completed, Some(result.clone()));
                        }
                        Err(failure) => {
                            (job.record.state, job.record.error) = (TaskState::Failed, Some(failure.clone()));
                        }
                    }
                    job
                }
            };
            job.op = Some(spawn.op);
            job.record.id = spawn.id;
            job.record.execution_id = held.execution;
            job.record.parent_task_id = Some(held.task);
            job.record.step_key = Some(spawn.key.clone());
            jobs.push(job);
        }
        jobs.into_iter().for_each(|job| self.insert(job));
        waits.iter().for_each(|(execution, name)| self.hand_out(*execution, name));
        self.finish(ends);
    }

    /// What a key makes of a new call. The answer: how it is over already.
    fn join(&mut self, call: &Call<'_>, key: &str, caller: Id, task: Id, job: &mut Job) -> Option<Ending> {
        let conflict = |why: &str| Some(Ending::Failed(Failure::new("Conflict", why).final_()));
        match self.reserve(call, key, task) {
            Ok(Reservation::Owner) => None,
            Ok(Reservation::Done(_, result)) => Some(Ending::Completed(result)),
            Ok(Reservation::Join(owner)) if self.waits_for(owner, caller) => conflict(&format!(
                "the idempotency key '{key}' of {} belongs to a task that waits for this very call",
                call.function
            )),
            Ok(Reservation::Join(owner)) => {
                (job.joins, job.record.state, job.due) = (Some(owner), TaskState::Waiting, None);
                None
            }
            Err(why) => {
                assert_eq!(why.status(), Status::Conflict, "nothing else goes wrong here");
                job.record.idempotency_key = None;
                conflict(why.message())
            }
        }
    }

    /// Does `task` have to end before `other` can?
    fn waits_for(&self, other: Id, task: Id) -> bool {
        let mut found = vec![task];
        let mut position = 0;
        while let Some(id) = found.get(position).copied() {
            position += 1;
            let parent = self.tasks.get(&id).and_then(|job| job.record.parent_task_id);
            let joined = self.ordered(|job| job.joins == Some(id));
            for next in parent.into_iter().chain(joined) {
                if !found.contains(&next) {
                    found.push(next);
                }
            }
        }
        found.contains(&other)
    }

    /// One that is over stays as it is, but for a wait whose signal nobody has seen: the signal goes back.
    pub fn cancel_operations(&mut self, of: Id, cancels: &[Cancel]) -> Vec<(Op, u64)> {
        let end = |cancel: &Cancel| End { parent: Some(of), ..End::now(cancel.id, Ending::Cancelled) };
        let ended = self.finish(cancels.iter().map(end).collect());
        let mut arrivals: Vec<_> = ended.iter().filter_map(|end| Some((end.op?, end.arrival?))).collect();
        for cancel in cancels {
            if !ended.iter().any(|end| end.task == cancel.id) {
                arrivals.extend(self.put_back(cancel.id).map(|arrival| (cancel.op, arrival)));
            }
        }
        arrivals
    }

    pub fn tell(&mut self, said: &[&Transition]) {
        let now = self.now;
        for Transition { held, commands, .. } in said {
            let run = self.executions.get_mut(&held.execution).expect("it goes on");
            let timed = |entry: &ProgressEntry| ProgressEntry {
                started_at: Some(entry.started_at.unwrap_or(now)),
                ..entry.clone()
            };
            run.record.progress.extend(commands.progress.iter().map(timed));
            for (name, amount) in &commands.counters {
                let counter = run.counters.entry(name.clone()).or_insert(Number::Integer(0));
                *counter = sum(*counter, *amount).unwrap_or_else(|_| Number::Real(real(*counter) + real(*amount)));
            }
            run.values.extend(commands.state.iter().cloned());
        }
    }
}

fn real(number: Number) -> f64 {
    match number {
        Number::Integer(whole) => whole as f64,
        Number::Real(real) => real,
    }
}

/// Integers stay exact: a sum that does not fit is refused.
pub fn sum(one: Number, other: Number) -> Result<Number> {
    let sum = match (one, other) {
        (Number::Integer(one), Number::Integer(other)) => one.checked_add(other).map(Number::Integer),
        _ => Some(real(one) + real(other)).filter(|sum| sum.is_finite()).map(Number::Real),
    };
    sum.ok_or_else(|| Error::invalid("it would not fit"))
}

/// The rest is filled in by who asks for it.
fn blank(name: &str, kind: TaskKind) -> Task {
    Task::new(Id::nil(), Id::nil(), kind, name, stent::model::Timestamp::default())
}

fn waiting(name: &str, kind: TaskKind) -> Job {
    Job::new(Task { state: TaskState::Waiting, ..blank(name, kind) })
}
