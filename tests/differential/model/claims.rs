//! Workers, and what they take.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stent::backend::{Claim, Claimed, NewWorker, Renew, Renewed};
use stent::model::{Error, ExecutionState, Id, Result, Route, Task, TaskKind, TaskState, Timestamp};

use super::state::{Job, Lane, State};

impl State {
    pub fn register(&mut self, worker: &NewWorker) {
        for function in &worker.functions {
            let was_limited = self.is_limited(&function.name);
            self.functions.insert(function.name.clone(), function.options.clone());
            if self.is_limited(&function.name) && !was_limited {
                self.limit(&function.name);
            }
        }
        self.workers.insert(worker.worker_id.clone());
        self.registered.insert(worker.worker_id.clone(), worker.clone());
    }

    /// What runs counts already; what was woken for one worker goes to the route, where it is counted.
    fn limit(&mut self, function: &str) {
        for job in self.tasks.values_mut().filter(|job| job.record.step_name == function) {
            job.limited |= job.lease.is_some();
            if matches!(job.lane, Some(Lane::Worker(_))) {
                job.offer(None);
            }
        }
    }

    pub fn remove(&mut self, worker: &str) {
        self.bury(worker);
        self.registered.remove(worker);
    }

    /// What waits for a dead worker alone goes to everyone.
    pub fn bury(&mut self, worker: &str) {
        if !self.workers.remove(worker) {
            return;
        }
        for job in self.tasks.values_mut() {
            if job.lane == Some(Lane::Worker(worker.to_owned())) {
                (job.lane, job.due) = (Some(Lane::Route), None);
            }
        }
    }

    pub fn claim(&mut self, claim: &Claim) -> Result<Vec<Claimed>> {
        let worker = self.registered.get(&claim.worker_id).ok_or_else(|| Error::not_found("not registered"))?.clone();
        let (limited, free): (Vec<_>, Vec<_>) =
            worker.functions.iter().map(|f| f.name.clone()).partition(|name| self.is_limited(name));
        let mut taken = Vec::new();
        for (function, count) in self.shares(claim, &worker, &limited, &free) {
            let of = |job: &Job| job.record.step_name == function;
            taken.extend(self.take(claim, &worker, (count, count), true, of));
        }
        let begin = claim.begin.saturating_sub(taken.len());
        let may = |job: &Job| free.contains(&job.record.step_name);
        taken.extend(self.take(claim, &worker, (claim.count, begin), false, may));
        taken.sort_by_key(|claimed| order(&claimed.task));
        Ok(taken)
    }

    /// How many of each limited function are among the best that find a slot.
    fn shares(
        &self,
        claim: &Claim,
        worker: &NewWorker,
        limited: &[String],
        free: &[String],
    ) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        let others = claim.limited.min(claim.count);
        let any = |_: &Job| true;
        let mut ready: Vec<_> = self.offered(claim, worker, false, |job| free.contains(&job.record.step_name));
        ready.truncate(others);
        ready.extend(
            self.offered(claim, worker, true, any)
                .into_iter()
                .filter(|(_, _, id)| limited.contains(&self.tasks[id].record.step_name)),
        );
        ready.sort_unstable();
        let mut slots = claim.limited;
        for (_, _, id) in ready {
            let function = &self.tasks[&id].record.step_name;
            if slots == 0 {
                break;
            }
            if limited.contains(function) {
                let max = self.functions[function].max_concurrent.expect("it is limited") as usize;
                let share = shares.entry(function.clone()).or_insert(0);
                if *share + self.count_limited(function) >= max {
                    continue;
                }
                *share += 1;
            }
            slots -= 1;
        }
        shares
    }

    /// So many, of which so many begin at once.
    fn take(
        &mut self,
        claim: &Claim,
        worker: &NewWorker,
        (count, begin): (usize, usize),
        limited: bool,
        may: impl Fn(&Job) -> bool,
    ) -> Vec<Claimed> {
        let mut ready = self.offered(claim, worker, limited, may);
        ready.truncate(count);
        let ready = ready.into_iter().enumerate();
        ready.map(|(place, (_, _, id))| self.hand_over(id, claim, limited, place < begin)).collect()
    }

    /// What could be taken, best first.
    fn offered(
        &self,
        claim: &Claim,
        worker: &NewWorker,
        limited: bool,
        may: impl Fn(&Job) -> bool,
    ) -> Vec<(std::cmp::Reverse<i64>, stent::model::Timestamp, Id)> {
        let by_route = |route: &Route| route.admits(&worker.queues, &worker.tags);
        let offered = |job: &&Job| match &job.lane {
            None => false,
            Some(Lane::Route) => may(job) && job.route.as_ref().is_some_and(by_route) && !self.is_paused(job),
            // It had it before.
            Some(Lane::Worker(name)) => !limited && *name == claim.worker_id,
        };
        let admits = |id| self.executions.get(&id).is_some_and(|run| run.admits(self.now));
        let ready = self.tasks.values().filter(offered).filter(|job| admits(job.record.execution_id));
        let mut ready: Vec<_> = ready.map(|job| order(&job.record)).collect();
        ready.sort_unstable();
        ready
    }

    fn hand_over(&mut self, id: Id, claim: &Claim, limited: bool, begins: bool) -> Claimed {
        let now = self.now;
        let job = self.tasks.get_mut(&id).expect("it is ready");
        let first = job.record.started_at.is_none();
        job.lease_to(&claim.worker_id, now, claim.lease);
        job.limited = limited;
        let may_begin = job.company.is_none_or(|company| company >= claim.slots);
        job.begun = (begins && may_begin).then_some(claim.slots);
        if job.ops == 0 {
            job.effects = 0;
        }
        job.deadline = job.deadline.or(job.timeout.map(|timeout| now.after(timeout)));
        let (task, job) = (job.record.clone(), job.clone());
        if first && task.kind == TaskKind::Orchestrator && task.parent_task_id.is_none() {
            self.start_execution(task.execution_id, now);
        }
        Claimed {
            run: job.run,
            ops: job.ops,
            effects: job.effects,
            opened: job.opened,
            heartbeat: job.heartbeat,
            crashes: job.crashes,
            deaths: job.deaths,
            snoozes: job.snoozes,
            first_started_at: job.first_started.or(task.started_at),
            begun: job.begun,
            company: job.company,
            deadline: job.deadline,
            cache: job.cache,
            traceparent: self.executions[&task.execution_id].traceparent.clone(),
            cleanup: job.cleanup,
            claimed_at: now,
            task,
        }
    }

    fn start_execution(&mut self, id: Id, at: Timestamp) {
        if let Some(run) = self.executions.get_mut(&id).filter(|run| run.record.state == ExecutionState::Pending) {
            run.record.state = ExecutionState::Running;
            run.record.started_at = run.record.started_at.or(Some(at));
        }
    }

    fn count_limited(&self, function: &str) -> usize {
        let live = |job: &&Job| {
            job.limited && job.record.step_name == function && job.lease.is_some_and(|until| until > self.now)
        };
        self.tasks.values().filter(live).count()
    }

    /// The protocol's claim.
    pub fn claim_next(
        &mut self,
        worker: &str,
        queues: &[String],
        tags: &[String],
        now: Timestamp,
        lease: Duration,
        limits: &BTreeMap<String, u32>,
    ) -> Option<Task> {
        for job in self.tasks.values_mut().filter(|job| job.route.is_some()) {
            if job.record.state == TaskState::Pending && job.due.is_some_and(|due| due <= now) {
                job.offer(None);
            }
        }
        let limit = |function: &str| {
            let own = self.functions.get(function).and_then(|options| options.max_concurrent);
            own.into_iter().chain(limits.get(function).copied()).min()
        };
        let held: Vec<&Job> =
            self.tasks.values().filter(|job| job.runs() && job.lease.is_some_and(|until| until >= now)).collect();
        let running = |function: &str| held.iter().filter(|job| job.record.step_name == function).count();
        let full: BTreeSet<String> = self
            .tasks
            .values()
            .map(|job| job.record.step_name.clone())
            .filter(|function| limit(function).is_some_and(|limit| running(function) >= limit as usize))
            .collect();
        let offered = |job: &&Job| {
            let ready = match &job.lane {
                Some(Lane::Route) => true,
                Some(Lane::Worker(name)) => name == worker,
                None => job.runs() && job.lease.is_some_and(|until| until < now),
            };
            let scheduled = job.lane.is_some() && job.record.scheduled_for.is_some_and(|at| at > now);
            let execution = self.executions.get(&job.record.execution_id);
            ready
                && !scheduled
                && job.route.as_ref().is_some_and(|route| route.admits(queues, tags))
                && !full.contains(&job.record.step_name)
                && !self.is_paused(job)
                && execution.is_none_or(super::state::Run::goes_on)
        };
        let best = self.tasks.values().filter(offered).map(|job| order(&job.record)).min()?.2;
        let limited = limit(&self.tasks[&best].record.step_name).is_some();
        let job = self.tasks.get_mut(&best)?;
        // Whoever held it before died without a word.
        let died = u32::from(job.runs());
        (job.crashes, job.deaths, job.begun) = (job.crashes + died, job.deaths + died, Some(1));
        job.lease_to(worker, now, lease);
        job.limited = limited;
        let goes_on = job.deadline.filter(|_| died == 0);
        job.deadline = goes_on.or(job.timeout.map(|timeout| now.after(timeout)));
        let task = job.record.clone();
        self.start_execution(task.execution_id, now);
        Some(task)
    }

    pub fn renew(&mut self, renew: &Renew) -> Renewed {
        let mut renewed = Renewed::default();
        let until = self.now.after(renew.lease);
        // A task is held or not, under whichever of the fences it is named with.
        let mut standing = BTreeMap::new();
        for held in &renew.held {
            let job = self.tasks.get_mut(&held.task);
            if let Some(job) = job.filter(|job| job.runs() && job.record.fence == held.fence) {
                (job.lease, job.record.lease_expires_at) = (Some(until), Some(until));
                standing.insert(held.task, job.record.execution_id);
            }
        }
        for held in &renew.held {
            match standing.get(&held.task) {
                None => renewed.lost.push(held.task),
                Some(execution) if !self.goes_on(*execution) => renewed.cancelled.push(held.task),
                Some(_) => {}
            }
        }
        if self.registered.contains_key(&renew.worker_id) {
            self.workers.insert(renew.worker_id.clone());
        }
        renewed
    }
}

impl Job {
    fn lease_to(&mut self, worker: &str, now: Timestamp, lease: Duration) {
        let until = Some(now.after(lease));
        (self.lane, self.due, self.lease) = (None, None, until);
        let record = &mut self.record;
        (record.state, record.worker_id, record.lease_expires_at) =
            (TaskState::Running, Some(worker.to_owned()), until);
        record.started_at = record.started_at.or(Some(now));
        record.fence += 1;
    }
}

/// Which of two comes first.
fn order(task: &Task) -> (Reverse<i64>, Timestamp, Id) {
    (Reverse(task.priority), task.created_at, task.id)
}
