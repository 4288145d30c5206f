//! What time brings: whatever is due, for the whole store.

use std::collections::BTreeSet;
use std::time::Duration;

use stent::model::{
    ANY_COMPANY, AfterDeath, AfterFailure, ExecutionState, Failure, Id, Payload, RetryPolicy, TaskKind, TaskState,
    Tried, after_death, after_failure,
};

use super::ends::{End, Ending};
use super::state::{Lane, State};

impl State {
    /// How much was changed.
    pub fn sweep(&mut self, worker: &str) -> u64 {
        let changed = self.fire() + self.recover() + self.expire() + self.unpark(worker);
        self.wake();
        changed as u64
    }

    fn fire(&mut self) -> usize {
        let mut due: Vec<_> = self.tasks.values().filter_map(|job| Some((job.due?, job.record.id))).collect();
        due.retain(|(at, _)| *at <= self.now);
        due.sort_unstable();
        let mut ends = Vec::new();
        for (_, id) in &due {
            let job = self.tasks.get_mut(id).expect("it is due");
            match (job.record.kind, job.record.state) {
                (TaskKind::Timer, _) => ends.push(End::now(*id, Ending::Completed(Payload::null()))),
                (TaskKind::Signal, _) => {
                    let why = format!("no signal '{}' came in time", job.record.step_name);
                    ends.push(End::now(*id, Ending::Failed(Failure::new("SignalTimeout", why))));
                }
                (TaskKind::Orchestrator | TaskKind::Activity, TaskState::Pending) => job.offer(None),
                (TaskKind::Orchestrator | TaskKind::Activity, TaskState::Waiting) => {
                    let why = "the attempt took longer than the function's timeout, waits included";
                    let failure = Failure::new("Timeout", why);
                    let first = job.first_started.or(job.record.started_at);
                    let since_first = first.map_or(Duration::ZERO, |first| self.now.since(first));
                    let tried = Tried { attempts: job.record.retries + 1, since_first };
                    let after = after_failure(&self.policy_of(*id), tried, &failure, 0.5);
                    ends.extend(self.fail(*id, after, failure, |job| {
                        job.record.retries += 1;
                        (job.crashes, job.company) = (0, None);
                    }));
                }
                _ => {}
            }
        }
        self.finish(ends);
        self.close_cleaned();
        due.len()
    }

    /// Leases that ended without a word.
    fn recover(&mut self) -> usize {
        let ended = self.ordered(|job| job.lease.is_some_and(|until| until < self.now));
        let mut ends = Vec::new();
        let (mut cancelling, mut stopped) = (Vec::new(), Vec::new());
        for id in &ended {
            let job = &self.tasks[id];
            let execution = job.record.execution_id;
            let worker = job.record.worker_id.clone();
            let (begun, crashes) = (job.begun, job.crashes);
            let state = self.execution_state(execution);
            if state.is_some_and(|state| state == ExecutionState::Cancelling || state.is_terminal()) {
                stopped.push(*id);
                cancelling.push(execution);
            } else {
                let name = worker.as_deref().unwrap_or("(unknown)");
                let failure = Failure::new(
                    "WorkerDied",
                    format!("worker {name} let its lease end without a word: it died, or its event loop stood still"),
                );
                let again = AfterFailure::Retry { delay: Duration::ZERO };
                let end = match after_death(&self.policy_of(*id), begun, crashes) {
                    AfterDeath::DeadLetter { reason } => {
                        self.fail(*id, AfterFailure::DeadLetter { reason }, failure, |_| {})
                    }
                    AfterDeath::Untouched => {
                        let (error, first) = (job.record.error.clone(), job.first_started);
                        let end = self.fail(*id, again, failure, |job| {
                            job.company = job.company.or(Some(ANY_COMPANY));
                        });
                        let job = self.tasks.get_mut(id).expect("it goes on");
                        (job.record.error, job.first_started) = (error, first);
                        end
                    }
                    AfterDeath::Suspect { company } => self.fail(*id, again, failure, |job| {
                        (job.deaths, job.company) = (job.deaths + 1, Some(company));
                    }),
                    AfterDeath::Charged => self.fail(*id, again, failure, |job| {
                        (job.crashes, job.deaths, job.company) = (job.crashes + 1, job.deaths + 1, Some(1));
                    }),
                };
                ends.extend(end);
            }
            if let Some(worker) = worker {
                self.bury(&worker);
            }
        }
        self.finish(ends);
        self.close_cleaned();
        self.stop(stopped);
        cancelling.into_iter().for_each(|execution| self.close(execution));
        ended.len()
    }

    /// Tried again under a new fence; or the end that it comes to.
    fn fail(
        &mut self,
        id: Id,
        after: AfterFailure,
        failure: Failure,
        charge: impl Fn(&mut super::state::Job),
    ) -> Option<End> {
        let delay = match after {
            AfterFailure::DeadLetter { reason } => {
                return Some(End { letter: Some(reason), ..End::now(id, Ending::Failed(failure)) });
            }
            AfterFailure::Retry { delay } => delay,
        };
        let at = self.later(Some(delay));
        let job = self.tasks.get_mut(&id).expect("it failed");
        charge(job);
        job.begun = None;
        job.attempt_over();
        job.let_go();
        job.offer(at);
        (job.deadline, job.joins) = (None, None);
        let record = &mut job.record;
        (record.scheduled_for, record.error, record.worker_id, record.started_at) = (at, Some(failure), None, None);
        record.fence += 1;
        None
    }

    fn policy_of(&self, task: Id) -> RetryPolicy {
        let task = &self.tasks[&task].record;
        let function = || self.functions.get(&task.step_name).and_then(|options| options.retry_policy.clone());
        task.retry_policy.clone().or_else(function).unwrap_or_default()
    }

    /// Executions that took too long, those whose cleanup did, and those that are being cancelled.
    fn expire(&mut self) -> usize {
        let mut ending = Vec::new();
        for (id, run) in &mut self.executions {
            let over = run.record.expiry_at.is_some_and(|at| at <= self.now);
            if over && run.ending.is_none() && run.record.completed_at.is_none() {
                run.record.state = ExecutionState::Cancelling;
                run.ending = Some(ExecutionState::TimedOut);
                run.reason = Some("it took longer than it was given".to_owned());
                ending.push(*id);
            }
        }
        for (id, run) in &mut self.executions {
            if run.cleans_up && run.cleanup_due.is_some_and(|due| due <= self.now) {
                run.cleans_up = false;
                ending.push(*id);
            }
        }
        let expired = ending.len();
        let held = |id: &Id| self.tasks.values().any(|job| job.lease.is_some() && job.record.execution_id == *id);
        let idle = self.executions.iter().filter(|(id, run)| run.state() == ExecutionState::Cancelling && !held(id));
        let idle: Vec<Id> = idle.map(|(id, _)| *id).collect();
        let count = expired + idle.len();
        ending.extend(idle);
        ending.into_iter().for_each(|execution| self.cancel_tree(execution));
        count
    }

    /// Parked tasks that the worker has another version for.
    fn unpark(&mut self, worker: &str) -> usize {
        if !self.workers.contains(worker) {
            return 0;
        }
        let Some(registration) = self.registered.get(worker).cloned() else { return 0 };
        let until = self.first_call_ends();
        let mut freed = 0;
        for function in registration.functions {
            let limited = self.is_limited(&function.name);
            let paused: BTreeSet<Id> =
                self.tasks.values().filter(|job| self.is_paused(job)).map(|job| job.record.id).collect();
            for job in self.tasks.values_mut().filter(|job| job.record.step_name == function.name) {
                let parked_by = job.parked.as_ref();
                if job.record.state != TaskState::Waiting
                    || parked_by.is_none_or(|version| *version == function.options.version)
                {
                    continue;
                }
                job.offer(None);
                let by_route = limited || paused.contains(&job.record.id);
                job.lane = Some(if by_route { Lane::Route } else { Lane::Worker(worker.to_owned()) });
                (job.due, job.parked, job.record.error) = (Some(until), None, None);
                freed += 1;
            }
        }
        freed
    }
}
