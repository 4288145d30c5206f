//! Journals that begin anew: for a retry, for a task that starts over, and in a fork of a dead letter's execution.

use std::collections::BTreeMap;

use stent::backend::Replayed;
use stent::model::{Error, Execution, ExecutionState, Id, Result, Task, TaskKind, TaskState, child_id};

use super::ends::Through;
use super::signals::or_null;
use super::state::{Job, Run, State};

impl State {
    /// Failed activities run again, in their place, and so do those below that they failed of; other failed operations
    /// leave the journal. What was cancelled because they had failed leaves it too.
    pub fn reopen_children(&mut self, task: Id) {
        let mut failed = Vec::new();
        let mut above = vec![task];
        while let Some(parent) = above.pop() {
            let below = self.children(parent).into_iter().filter(|child| self.has_failed(*child));
            above.extend(below.clone());
            failed.extend(below);
        }
        for task in &failed {
            self.cancel_below(*task, Through::Nothing);
            let from_above = self.children(*task).into_iter().filter(|child| self.tasks[child].arrival == Some(0));
            self.forget(from_above.collect());
        }
        for task in &failed {
            let (parent, op) = (self.tasks[task].record.parent_task_id, self.tasks[task].op);
            if let Some(job) = parent.and_then(|parent| self.tasks.get_mut(&parent)) {
                job.opened = job.opened.into_iter().chain(op).min();
            }
        }
        for task in failed {
            self.letters.remove(&task);
            let Some(job) = self.tasks.get_mut(&task) else { continue };
            if job.record.kind != TaskKind::Activity {
                self.tasks.remove(&task);
                continue;
            }
            job.offer(None);
            (job.arrival, job.deadline, job.crashes, job.deaths, job.company) = (None, None, 0, 0, None);
            (job.snoozes, job.first_started) = (0, None);
            let record = &mut job.record;
            (record.error, record.started_at, record.completed_at, record.retries) = (None, None, None, 0);
            record.fence += 1;
        }
    }

    fn has_failed(&self, task: Id) -> bool {
        let job = &self.tasks[&task];
        job.record.state == TaskState::Failed && job.arrival > Some(0)
    }

    /// Signals that were taken but not seen are there again.
    pub fn empty_journal(&mut self, task: Id, seen: u64) {
        self.cancel_below(task, Through::Nothing);
        for child in self.children(task) {
            if self.tasks[&child].arrival > Some(seen) {
                self.put_back(child);
            }
        }
        self.forget(self.children(task));
        let job = self.tasks.get_mut(&task).expect("it goes on");
        (job.arrivals, job.given, job.wait) = (0, 0, None);
    }

    /// Takes tasks away, with all that is below them. Results stay with their idempotency keys.
    fn forget(&mut self, tasks: Vec<Id>) {
        let mut rest = tasks;
        while let Some(id) = rest.pop() {
            rest.extend(self.children(id));
            let task = self.tasks.remove(&id).expect("it was found").record;
            for key in self.keys.values_mut().filter(|key| key.owner == Some(id)) {
                if task.state == TaskState::Completed {
                    (key.value, key.owner) = (Some(or_null(task.result.clone())), None);
                }
            }
        }
    }

    pub fn replay(&mut self, letter: Id, execution: Id) -> Result<Replayed> {
        let known = self.letters.get(&letter).ok_or_else(|| Error::not_found("no such letter"))?;
        if !self.tasks.get(&letter).is_none_or(|job| job.record.kind.is_run()) {
            return Err(Error::conflict("nobody would run it"));
        }
        let letter = known.task.id;
        self.letters.remove(&letter);
        let path = self.path_to_root(letter);
        let root = *path.last().ok_or_else(|| Error::not_found("the task was cleaned up"))?;
        // Whatever a tool has written into the letter.
        let old = self.tasks[&letter].record.execution_id;
        if self.executions.contains_key(&execution) {
            return Err(Error::conflict("an execution with this id exists"));
        }
        let now = self.now;
        let run = self.executions.get(&old).ok_or_else(|| Error::not_found("its execution was cleaned up"))?;
        let mut fork =
            Run { replay_of: Some(old), ending: None, reason: None, cleanup: None, cleanup_due: None, ..run.clone() };
        fork.root = Some(child_id(execution, 0, "root"));
        fork.record = Execution {
            id: execution,
            state: ExecutionState::Pending,
            retries: 0,
            created_at: now,
            started_at: None,
            completed_at: None,
            expiry_at: run.record.expiry_at.map(|at| now.after(at.since(run.record.created_at))),
            result: None,
            error: None,
            ..run.record.clone()
        };
        self.executions.insert(execution, fork);
        let mut new_ids = BTreeMap::from([(root, child_id(execution, 0, "root"))]);
        self.copy(root, &new_ids, execution, true);
        for parent in path.iter().rev() {
            let children = self.children_by_op(*parent);
            let failed_at = children.iter().find(|child| path.contains(child)).and_then(|c| self.tasks[c].arrival);
            let again = children.iter().find(|child| path.contains(child)).and_then(|child| self.tasks[child].op);
            if let Some(copy) = self.tasks.get_mut(&new_ids[parent]) {
                copy.opened = copy.opened.into_iter().chain(again).min();
            }
            for child in children {
                let again = path.contains(&child);
                if again || self.is_kept(child, failed_at) {
                    let key = self.tasks[&child].record.step_key.clone().unwrap_or_default();
                    new_ids.insert(child, child_id(new_ids[parent], 0, &key));
                    self.copy(child, &new_ids, execution, again);
                }
            }
        }
        self.copy_signals(old, execution);
        Ok(Replayed { execution, replay_of: old })
    }

    fn path_to_root(&self, letter: Id) -> Vec<Id> {
        let above = |id: &Id| self.tasks[id].record.parent_task_id.filter(|id| self.tasks.contains_key(id));
        let first = Some(letter).filter(|id| self.tasks.contains_key(id));
        std::iter::successors(first, above).collect()
    }

    fn children_by_op(&self, parent: Id) -> Vec<Id> {
        let mut children = self.children(parent);
        children.sort_by_key(|child| (self.tasks[child].op, *child));
        children
    }

    /// What has completed is never done twice. Other ends count if the handler saw them before the failure.
    fn is_kept(&self, child: Id, failed_at: Option<u64>) -> bool {
        let job = &self.tasks[&child];
        // A tool's child is no operation of its parent.
        let Some(arrival) = job.arrival.filter(|arrival| *arrival > 0 && job.op.is_some()) else { return false };
        match job.record.state {
            TaskState::Completed => true,
            TaskState::Failed | TaskState::Cancelled => failed_at.is_none_or(|failed_at| arrival < failed_at),
            TaskState::Pending | TaskState::Running | TaskState::Waiting => false,
        }
    }

    fn copy(&mut self, old: Id, new_ids: &BTreeMap<Id, Id>, execution: Id, again: bool) {
        let job = self.tasks[&old].clone();
        let parent = job.record.parent_task_id.and_then(|parent| new_ids.get(&parent)).copied();
        let record = Task {
            id: new_ids[&old],
            execution_id: execution,
            parent_task_id: parent,
            created_at: self.next_time(),
            worker_id: None,
            lease_expires_at: None,
            idempotency_key: None,
            scheduled_for: None,
            fence: 0,
            ..job.record.clone()
        };
        let kept = Job {
            record,
            ops: if again { job.ops } else { 0 },
            arrival: job.arrival.filter(|_| !again),
            route: job.route,
            timeout: job.timeout,
            cache: job.cache,
            op: job.op,
            effects: job.effects,
            opened: job.opened,
            cleanup: job.cleanup,
            ..Job::new(job.record)
        };
        let mut new = kept;
        if again {
            new.offer(None);
            let record = &mut new.record;
            (record.started_at, record.completed_at, record.retries) = (None, None, 0);
            (record.result, record.error) = (None, None);
        }
        if let (Some(parent), Some(arrival)) = (parent, new.arrival) {
            self.deliver(parent, arrival, None);
        }
        self.tasks.insert(new.record.id, new);
    }
}
