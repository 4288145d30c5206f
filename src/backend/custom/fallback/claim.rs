//! Claims: takes tasks one by one with the protocol's claim, and decides for each whether it is run now.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cleanup::{cleans_up, has_expired, is_clock, standing};
use super::look::when_due;
use super::notes::{Notes, held_by, holder, now};
use super::start::EXPIRY;
use super::{Fallback, is_conflict};
use crate::backend::decide::{self, Charge, Death, Due, End, Ending, Left, Reservation, root_task_id};
use crate::backend::{Claim, Claimed, NewWorker, Renew, Renewed, Request, Response};
use crate::model::{
    Error, ExecutionState, Failure, Id, KeyReuse, Payload, Result, Status, Task, TaskKind, TaskState, Timestamp,
};

/// A task that this worker can't run, or that joins another one's call, is put back for this long.
const NOT_HERE: Duration = Duration::from_secs(1);

/// A task without an execution is put back for no longer than this.
const ALONE: Duration = Duration::from_secs(30);

/// How many tasks that are not run now are looked at in one claim.
const LOOKS_MAX: usize = 64;

impl Fallback {
    pub(super) async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        let worker = self.memory().workers.get(&claim.worker_id).cloned();
        let worker = worker.ok_or_else(|| {
            Error::not_found(format!("claim: there is no worker {}; register it first", claim.worker_id))
        })?;
        let mut limits: BTreeMap<String, u32> = BTreeMap::new();
        for function in &worker.functions {
            if let Some(most) = function.options.max_concurrent {
                limits.insert(function.name.clone(), most);
            }
        }
        let (mut plain, mut limited, mut looks) = (claim.count, claim.limited, 0);
        let mut claimed = Vec::new();
        while looks < LOOKS_MAX && (plain > 0 || (limited > 0 && !limits.is_empty())) {
            let now_limits = match limited {
                0 => limits.keys().map(|name| (name.clone(), 0)).collect(),
                _ => limits.clone(),
            };
            let Some(task) = self.claim_one(claim, &worker, now_limits).await? else { break };
            let is_limited = limits.contains_key(&task.step_name);
            if !is_limited && plain == 0 && task.kind.is_run() {
                let notes = Notes::of(&task)?;
                self.put_back(task, &notes, now()).await?;
                break;
            }
            // The protocol gives them one by one, so the first begin first, limited or not.
            let begin = (claimed.len() < claim.begin).then_some(claim.slots);
            match self.consider(task, &worker, begin).await? {
                Some(taken) => {
                    let left = if is_limited { &mut limited } else { &mut plain };
                    *left = left.saturating_sub(1);
                    claimed.push(taken);
                }
                None => looks += 1,
            }
        }
        if looks == LOOKS_MAX {
            self.look_at(now());
        }
        Ok(claimed)
    }

    async fn claim_one(
        &self,
        claim: &Claim,
        worker: &NewWorker,
        concurrency_limits: BTreeMap<String, u32>,
    ) -> Result<Option<Task>> {
        let fence = {
            let mut memory = self.memory();
            memory.last_fence = u64::try_from(now().micros()).unwrap_or(0).max(memory.last_fence + 1);
            memory.last_fence
        };
        let list = |names: &Vec<String>| (!names.is_empty()).then(|| names.clone());
        let request = Request::ClaimNextTask {
            worker_id: holder(&claim.worker_id, fence),
            queues: list(&worker.queues),
            tags: list(&worker.tags),
            now: None,
            lease_duration: claim.lease.as_secs_f64(),
            concurrency_limits,
        };
        match self.call(request).await? {
            Response::Task(task) => Ok(task.map(|task| *task)),
            other => Err(super::unexpected("claim_next_task", &other)),
        }
    }

    /// What a claimed task is good for. None: it is over, or was put back.
    async fn consider(&self, mut task: Task, worker: &NewWorker, begin: Option<u32>) -> Result<Option<Claimed>> {
        let mut notes = Notes::of(&task)?;
        let (id, parent) = (task.id, task.parent_task_id);
        let end = |ending| End::now(id, parent, ending);
        let Some(mut execution) = self.execution(task.execution_id).await? else {
            // A tool has made it, before its execution or without one: looked at more and more seldom.
            let at = now().after(now().since(task.created_at).clamp(NOT_HERE, ALONE));
            return self.put_back(task, &notes, at).await.map(|()| None);
        };
        if standing(&execution) == ExecutionState::Cancelling {
            // Somebody else may have ended it since.
            let put_back = self.put_back(task, &notes, now().after(NOT_HERE)).await;
            if !is_conflict(&put_back) {
                put_back?;
            }
            return self.finish_cancelled(execution.id).await.map(|_| None);
        }
        if execution.state.is_terminal() {
            // The execution's end was written and the root's was not: a crash came in between.
            let ending = match (execution.state, execution.error) {
                _ if id != root_task_id(task.execution_id) => Ending::Cancelled,
                (ExecutionState::Completed, _) => Ending::Completed(execution.result.unwrap_or_else(Payload::null)),
                (ExecutionState::Failed, Some(failure)) => Ending::Failed(failure),
                _ => Ending::Cancelled,
            };
            return self.end(task, end(ending)).await.map(|()| None);
        }
        if let Some(parent) = parent
            && self.task(parent).await?.is_none_or(|parent| parent.state.is_terminal())
        {
            return self.end(task, end(Ending::Cancelled)).await.map(|()| None);
        }
        if task.step_name == EXPIRY && parent.is_none() {
            self.end(task, end(Ending::Completed(Payload::null()))).await?;
            return self.expire(execution).await.map(|()| None);
        }
        if has_expired(&execution) {
            self.put_back(task, &notes, now().after(NOT_HERE)).await?;
            return self.expire(execution).await.map(|()| None);
        }
        if is_clock(&task) {
            self.end(task, end(Ending::Completed(Payload::null()))).await?;
            return if cleans_up(&execution) { self.cut(execution).await.map(|()| None) } else { Ok(None) };
        }
        if task.kind == TaskKind::Timer {
            let due = when_due(&task, task.state)?;
            return self.meet(task, notes, due).await.map(|()| None);
        }
        if !task.kind.is_run() || !worker.functions.iter().any(|function| function.name == task.step_name) {
            return self.put_back(task, &notes, now().after(NOT_HERE)).await.map(|()| None);
        }
        self.begin_anew(&mut task, &mut notes, &execution).await?;
        if notes.deadline.is_some_and(|deadline| deadline <= now()) {
            // For the engine it is waiting; it is running only because of this claim.
            let due = when_due(&task, TaskState::Waiting)?;
            return self.meet(task, notes, due).await.map(|()| None);
        }
        if notes.taken {
            let policy = task.retry_policy.clone().unwrap_or_default();
            let Notes { begun, company, crashes, .. } = notes;
            // This claim's name stands where that worker's was.
            match decide::when_lease_ended(&Left { id, parent, worker: None, begun, company, crashes }, &policy) {
                Death::End(end) => return self.end(task, end).await.map(|()| None),
                // At once, by this very claim.
                Death::Again(Charge { crashes, deaths, company, failure }) => {
                    (notes.crashes, notes.company) = (crashes, Some(company));
                    notes.deaths += deaths;
                    if failure.is_some() {
                        notes.attempt_over();
                    }
                    // One that had not begun is none.
                    notes.started = None;
                    task.error = failure.or(task.error);
                }
            }
        }
        if notes.wait.is_some() && !self.is_awake(&task, &mut notes).await? {
            let wait = notes.wait.as_mut().map(|wait| {
                wait.looks += 1;
                wait.clone()
            });
            let at = match wait {
                Some(wait) => self.next_look(&task, &notes, wait.next_look(now())).await?,
                None => now(),
            };
            return self.put_back(task, &notes, at).await.map(|()| None);
        }
        if !self.may_run(&task, &notes).await? {
            return Ok(None);
        }
        notes.wait = None;
        notes.taken = true;
        notes.begun = begin.filter(|slots| notes.company.is_none_or(|company| company >= *slots));
        if notes.ops == 0 {
            // It replays nothing, so all its effects are recorded.
            notes.effects = 0;
        }
        notes.deadline = notes.deadline.or_else(|| notes.timeout.map(|timeout| now().after(timeout)));
        let at = now();
        notes.started = notes.started.or(Some(at));
        notes.keep(&mut task);
        task.started_at = task.started_at.or(Some(at));
        self.update(task.clone()).await?;
        if execution.state == ExecutionState::Pending {
            (execution.state, execution.started_at) = (ExecutionState::Running, Some(now()));
            self.update_execution(execution).await?;
        }
        Ok(Some(claimed(task, notes, at)))
    }

    async fn is_awake(&self, task: &Task, notes: &mut Notes) -> Result<bool> {
        self.look(task, notes).await?;
        Ok(notes.wait.as_ref().is_none_or(|wait| wait.is_over(&notes.arrived)))
    }

    /// When to look at a waiting task again. A task that waits for timers alone is looked at when the first is due.
    pub(super) async fn next_look(
        &self,
        task: &Task,
        notes: &Notes,
        usual: crate::model::Timestamp,
    ) -> Result<crate::model::Timestamp> {
        let Some(wait) = &notes.wait else { return Ok(usual) };
        let children = self.children(task, notes.run).await?;
        let open: Vec<&Task> = children
            .iter()
            .filter(|(place, child)| wait.ops.contains(place.op) && !child.state.is_terminal())
            .map(|(_, child)| child)
            .collect();
        let due = open.iter().filter_map(|child| child.scheduled_for).filter(|due| *due > now()).min();
        let timers_alone = !open.is_empty() && open.iter().all(|child| child.kind == TaskKind::Timer);
        let at = match due {
            Some(due) if timers_alone => due,
            Some(due) => usual.min(due),
            None => usual,
        };
        Ok(notes.deadline.map_or(at, |deadline| at.min(deadline)))
    }

    /// May the task run, as far as its idempotency key is concerned? The first task with the key runs; others are put
    /// back until they get its result, or run if it fails.
    async fn may_run(&self, task: &Task, notes: &Notes) -> Result<bool> {
        let ending = match self.reserve(task, notes, KeyReuse::AfterFailure).await {
            Ok(Reservation::Owner | Reservation::Over { .. }) => return self.own(task, notes).await.map(|()| true),
            Ok(Reservation::Join { .. }) => {
                return self.put_back(task.clone(), notes, now().after(NOT_HERE / 4)).await.map(|()| false);
            }
            Ok(Reservation::Done { result, .. }) => Ending::Completed(result),
            Err(why) if why.status() == Status::Conflict => {
                Ending::Failed(Failure::new("Conflict", why.message()).final_())
            }
            Err(why) => return Err(why),
        };
        self.end(task.clone(), End::now(task.id, task.parent_task_id, ending)).await.map(|()| false)
    }

    /// Carries out the decision about a claimed task that is not run now.
    async fn meet(&self, mut task: Task, mut notes: Notes, due: Due) -> Result<()> {
        match due {
            Due::End(end) => self.end(task, end).await,
            Due::Retry { delay, failure } => {
                task.retries += 1;
                task.error = Some(failure);
                (notes.taken, notes.deadline, notes.wait) = (false, None, None);
                notes.attempt_over();
                self.put_back(task, &notes, now().after(delay)).await
            }
            Due::Ready | Due::Nothing => self.put_back(task, &notes, now()).await,
        }
    }

    /// Checks that the lease is still ours by renewing it; what is written next is written under it.
    pub(super) async fn still_holds(&self, task: &mut Task) -> Result<bool> {
        let Some(ends) = task.lease_expires_at.filter(|_| held_by(task).is_some()) else { return Ok(false) };
        let left = ends.since(now()).max(Duration::from_secs(5));
        let worker_id = task.worker_id.clone().unwrap_or_default();
        let holds = self.renew_one(task.id, worker_id, left).await?;
        task.lease_expires_at = Some(now().after(left));
        Ok(holds)
    }

    async fn renew_one(&self, task_id: Id, worker_id: String, lease: Duration) -> Result<bool> {
        let request = Request::RenewTaskLease { task_id, worker_id, lease_duration: lease.as_secs_f64() };
        match self.call(request).await? {
            Response::Flag(holds) => Ok(holds),
            other => Err(super::unexpected("renew_task_lease", &other)),
        }
    }

    pub(in crate::backend::custom) async fn renew(&self, renew: Renew) -> Result<Renewed> {
        let mut renewed = Renewed::default();
        let mut cancelling = BTreeMap::new();
        for held in renew.held {
            let name = holder(&renew.worker_id, held.fence);
            if !self.renew_one(held.task, name, renew.lease).await? {
                renewed.lost.push(held.task);
            }
            let known = cancelling.get(&held.execution).copied();
            let ending = match known {
                Some(ending) => ending,
                None => {
                    let found = self.execution(held.execution).await?;
                    let ending = found.is_some_and(|found| standing(&found) == ExecutionState::Cancelling);
                    cancelling.insert(held.execution, ending);
                    ending
                }
            };
            if ending {
                renewed.cancelled.push(held.task);
            }
        }
        Ok(renewed)
    }
}

fn claimed(mut task: Task, notes: Notes, at: Timestamp) -> Claimed {
    // Converts a record to the engine's view: an unfinished task has no result (the notes are kept there), and
    // `worker_id` is the worker's id alone.
    task.result = None;
    // The store's own may be the time of a look.
    task.started_at = notes.started;
    if let Some((worker, fence)) = held_by(&task).map(|(worker, fence)| (worker.to_owned(), fence)) {
        (task.worker_id, task.fence) = (Some(worker), fence);
    }
    if let Some(place) = super::notes::Place::of(&task) {
        task.step_key = Some(place.key);
    }
    if let Some(args) = notes.args {
        task.args = args;
    }
    Claimed {
        task,
        run: notes.run,
        ops: notes.ops,
        effects: notes.effects,
        opened: notes.opened,
        heartbeat: notes.heartbeat,
        crashes: notes.crashes,
        deaths: notes.deaths,
        snoozes: notes.snoozes,
        first_started_at: notes.first_started.or(notes.started),
        begun: notes.begun,
        company: notes.company,
        deadline: notes.deadline,
        cache: notes.cache,
        traceparent: notes.traceparent,
        cleanup: notes.cleanup,
        claimed_at: at,
    }
}
