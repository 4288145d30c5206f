//! How tasks and executions end.

use stent::backend::{CacheSlot, Extent};
use stent::model::{DeadLetter, ExecutionState, Failure, Id, Op, Payload, Task, TaskKind, TaskState};

use super::state::{Kept, State};

#[derive(Clone)]
pub enum Ending {
    Completed(Payload),
    Failed(Failure),
    Cancelled,
}

pub struct End {
    pub task: Id,
    /// Whose operation it is, if that is said.
    pub parent: Option<Id>,
    /// Only if it runs under this fence, in an execution that goes on; none: whatever it does.
    pub fence: Option<u64>,
    pub ending: Ending,
    pub letter: Option<String>,
    pub cache: Option<CacheSlot>,
    pub cache_hit: bool,
    /// What was said with it.
    pub said: Extent,
}

impl End {
    pub fn now(task: Id, ending: Ending) -> Self {
        Self {
            task,
            parent: None,
            fence: None,
            ending,
            letter: None,
            cache: None,
            cache_hit: false,
            said: Extent::default(),
        }
    }
}

/// What a cancel from above passes by.
#[derive(Clone, Copy, PartialEq)]
pub enum Through {
    Nothing,
    WhatRuns,
}

/// A task that did end.
pub struct Ended {
    pub task: Id,
    pub op: Option<Op>,
    pub arrival: Option<u64>,
}

impl State {
    /// Ends what may end, and what follows from it, and so on. The answer: all that did.
    pub fn finish(&mut self, ends: Vec<End>) -> Vec<Ended> {
        let mut all = Vec::new();
        let mut next = ends;
        while !next.is_empty() {
            next = self.finish_some(next, &mut all);
        }
        all
    }

    fn finish_some(&mut self, ends: Vec<End>, all: &mut Vec<Ended>) -> Vec<End> {
        // Numbers go by the order in which ends are said; one that comes to nothing leaves a gap.
        let numbered: Vec<_> = ends.into_iter().map(|end| (self.number_for(&end), end)).collect();
        let mut done = Vec::new();
        for (arrival, end) in numbered {
            if self.may_end(&end) {
                all.push(self.end_one(&end, arrival));
                done.push(end);
            }
        }
        for end in &done {
            self.keep_and_bury(end);
        }
        for end in &done {
            let job = self.tasks.get_mut(&end.task).expect("it has ended");
            if job.ops > 0 {
                job.wait = None;
                self.cancel_below(end.task, Through::Nothing);
            }
        }
        for end in &done {
            self.end_execution_of(end);
        }
        done.iter().flat_map(|end| self.hand_on(end)).collect()
    }

    fn number_for(&mut self, end: &End) -> Option<u64> {
        let recorded = self.tasks.get(&end.task).and_then(|job| job.record.parent_task_id);
        end.parent.or(recorded).map(|parent| self.next_arrival(parent))
    }

    fn may_end(&self, end: &End) -> bool {
        let Some(job) = self.tasks.get(&end.task) else { return false };
        match end.fence {
            None => job.is_open(),
            Some(fence) => job.runs() && job.record.fence == fence && self.goes_on(job.record.execution_id),
        }
    }

    fn end_one(&mut self, end: &End, arrival: Option<u64>) -> Ended {
        let now = self.now;
        let cleaned_up = self.has_cleaned_up(end.task);
        let job = self.tasks.get_mut(&end.task).expect("it may end");
        job.let_go();
        let record = &mut job.record;
        (record.state, record.result, record.error) = match &end.ending {
            Ending::Completed(result) => (TaskState::Completed, Some(result.clone()), None),
            Ending::Failed(failure) => (TaskState::Failed, None, Some(failure.clone())),
            Ending::Cancelled => (TaskState::Cancelled, None, None),
        };
        if cleaned_up {
            record.state = TaskState::Cancelled;
        }
        record.completed_at = Some(now);
        record.fence += u64::from(end.fence.is_none());
        (job.arrival, job.cache_hit) = (arrival, end.cache_hit);
        (job.parked, job.joins, job.heartbeat) = (None, None, None);
        job.ops += end.said.ops;
        job.effects += end.said.effects;
        let (parent, op) = (job.record.parent_task_id, job.op);
        if let (Some(parent), Some(arrival)) = (parent, arrival) {
            self.deliver(parent, arrival, op);
        }
        Ended { task: end.task, op, arrival }
    }

    fn keep_and_bury(&mut self, end: &End) {
        let now = self.now;
        if let Some(reason) = &end.letter {
            let task = self.tasks[&end.task].record.clone();
            self.bury_task(task, reason.clone());
        }
        if let (Some(slot), Ending::Completed(result)) = (&end.cache, &end.ending) {
            let kept = Kept { value: result.clone(), until: slot.ttl.map(|ttl| now.after(ttl)) };
            self.cache.insert(slot.key.clone(), kept);
        }
    }

    /// A letter is a record in JSON, where a result of null is none.
    pub fn bury_task(&mut self, task: Task, reason: String) {
        let result = task.result.filter(|result| *result != Payload::null());
        let letter = DeadLetter { task: Task { result, ..task }, reason, moved_at: self.now };
        self.letters.insert(letter.task.id, letter);
    }

    /// An execution ends as its root did.
    fn end_execution_of(&mut self, end: &End) {
        let task = &self.tasks[&end.task].record;
        if task.kind != TaskKind::Orchestrator || task.parent_task_id.is_some() {
            return;
        }
        let (retries, now) = (task.retries, self.now);
        let Some(run) = self.executions.get_mut(&task.execution_id).filter(|run| run.goes_on()) else { return };
        let cleaned_up = std::mem::take(&mut run.cleans_up);
        let record = &mut run.record;
        (record.state, record.result, record.error) = match &end.ending {
            Ending::Completed(result) => (ExecutionState::Completed, Some(result.clone()), None),
            Ending::Failed(failure) => (ExecutionState::Failed, None, Some(failure.clone())),
            Ending::Cancelled => (ExecutionState::Cancelled, None, None),
        };
        (record.retries, record.completed_at) = (retries, Some(now));
        if cleaned_up {
            (record.state, record.completed_at) = (ExecutionState::Cancelling, None);
            self.cleaned.push(record.id);
        }
    }

    /// Who joined by an idempotency key gets the result; or the first of them runs instead, and the others join it.
    fn hand_on(&mut self, end: &End) -> Vec<End> {
        if self.tasks[&end.task].record.idempotency_key.is_none() {
            return Vec::new();
        }
        let completed = self.tasks[&end.task].record.state == TaskState::Completed;
        if let (Ending::Completed(result), true) = (&end.ending, completed) {
            let joined = self.joined(end.task);
            return joined.into_iter().map(|task| End::now(task, Ending::Completed(result.clone()))).collect();
        }
        self.release_key(end.task);
        Vec::new()
    }

    fn joined(&self, owner: Id) -> Vec<Id> {
        self.ordered(|job| job.joins == Some(owner))
    }

    fn release_key(&mut self, owner: Id) {
        let joined = self.joined(owner);
        let Some(heir) = joined.first().copied() else { return };
        for key in self.keys.values_mut().filter(|key| key.owner == Some(owner)) {
            key.owner = Some(heir);
        }
        for task in joined {
            let job = self.tasks.get_mut(&task).expect("it was found");
            job.joins = (task != heir).then_some(heir);
        }
        let heir = self.tasks.get_mut(&heir).expect("it was found");
        heir.offer(None);
    }

    /// What is unfinished below a task that has ended is cancelled. What runs in an execution that is being cancelled
    /// keeps its lease; `through` it: what is below it goes all the same.
    pub fn cancel_below(&mut self, top: Id, through: Through) {
        let mut freed = Vec::new();
        let mut level = vec![top];
        while !level.is_empty() {
            let mut below = Vec::new();
            for child in level.iter().flat_map(|above| self.children(*above)).collect::<Vec<_>>() {
                let runs_on = through == Through::WhatRuns && self.tasks[&child].runs();
                if self.cancel_from_above(child) {
                    freed.push(child);
                } else if !runs_on {
                    continue;
                }
                below.extend((self.tasks[&child].ops > 0).then_some(child));
            }
            level = below;
        }
        for task in freed {
            if self.tasks[&task].record.idempotency_key.is_some() {
                self.release_key(task);
            }
        }
    }

    fn cancel_from_above(&mut self, task: Id) -> bool {
        let (job, now) = (&self.tasks[&task], self.now);
        let execution = self.execution_state(job.record.execution_id);
        let keeps_lease = job.runs() && execution.is_none_or(|state| state == ExecutionState::Cancelling);
        if job.arrival.is_some() || !job.is_open() || keeps_lease {
            return false;
        }
        let job = self.tasks.get_mut(&task).expect("it is there");
        job.let_go();
        job.record.state = TaskState::Cancelled;
        job.record.completed_at = Some(now);
        job.record.fence += 1;
        (job.arrival, job.parked, job.joins) = (Some(0), None, None);
        true
    }

    /// Takes a tree whose execution is being cancelled, but for what runs, and closes the execution if nothing does.
    pub fn cancel_tree(&mut self, execution: Id) {
        if self.execution_state(execution) != Some(ExecutionState::Cancelling) {
            return;
        }
        let root =
            self.executions.get(&execution).and_then(|run| run.root).filter(|root| self.tasks.contains_key(root));
        if let Some(root) = root {
            self.cancel_below(root, Through::WhatRuns);
            if !self.tasks[&root].runs() {
                self.stop(vec![root]);
            }
        }
        self.close(execution);
    }

    /// An execution that is being cancelled cleans up, or is over, when nobody holds a lease in it.
    pub fn close(&mut self, execution: Id) {
        let held = self.tasks.values().any(|job| job.lease.is_some() && job.record.execution_id == execution);
        let now = self.now;
        if held || self.execution_state(execution) != Some(ExecutionState::Cancelling) || self.begin_cleanup(execution)
        {
            return;
        }
        if let Some(run) = self.executions.get_mut(&execution) {
            run.record.state = run.ending.unwrap_or(ExecutionState::Cancelled);
            run.record.completed_at = Some(now);
        }
    }
}
