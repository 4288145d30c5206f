//! Queries: snapshots, lists, statistics.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Fallback;
use super::cleanup::{Kept, shown, standing};
use super::ends::cancel_reason;
use super::notes::{Notes, now};
use crate::backend::decide::{self, root_task_id};
use crate::backend::{DeadLetterFilter, Depth, ExecutionFilter, Request, Response, Snapshot, StoreStats, Unserved};
use crate::codec::to_json;
use crate::model::{
    DeadLetter, Execution, ExecutionState, Id, Payload, ProgressEntry, Result, Task, TaskKind, TaskState, Timestamp,
};

/// Dead letters are read in one call, because the protocol's list has no offset.
const LETTERS_MAX: u32 = 10_000;

/// A replay's root has this in its `step_key`, followed by the id of the original execution.
pub(super) const REPLAY_OF: &str = "replay_of ";

impl Fallback {
    pub(in crate::backend::custom) async fn cached(&self, keys: Vec<String>) -> Result<Vec<Option<Payload>>> {
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.push(self.value(Request::GetCachedResult { key }).await?);
        }
        Ok(found)
    }

    /// Those whose state fulfils the condition. One that does not exist counts as ended.
    pub(in crate::backend::custom) async fn among(
        &self,
        executions: Vec<Id>,
        wanted: fn(ExecutionState) -> bool,
    ) -> Result<Vec<Id>> {
        let mut found = Vec::new();
        for id in executions {
            if self.execution(id).await?.is_none_or(|execution| wanted(standing(&execution))) {
                found.push(id);
            }
        }
        Ok(found)
    }

    pub(in crate::backend::custom) async fn snapshot(&self, execution_id: Id) -> Result<Option<Snapshot>> {
        let Some(mut execution) = self.execution(execution_id).await? else { return Ok(None) };
        let Response::Counters(counters) = self.call(Request::GetExecutionCounters { execution_id }).await? else {
            return Ok(None);
        };
        let Response::Values(state) = self.call(Request::GetExecutionStateValues { execution_id }).await? else {
            return Ok(None);
        };
        let tasks = self.tasks_of(execution_id).await?;
        let root = tasks.iter().find(|task| task.id == root_task_id(execution_id));
        let replay_of = root
            .and_then(|root| root.step_key.as_deref())
            .and_then(|key| key.strip_prefix(REPLAY_OF).and_then(|id| Id::parse_str(id).ok()));
        execution.progress = decide::merge(lines(&tasks), execution.progress);
        let execution = shown(execution);
        let cancel_reason = Kept::of(&tasks).map_or_else(|| cancel_reason(&execution), |Kept(reason, _)| reason);
        Ok(Some(Snapshot { execution, counters, state, replay_of, cancel_reason }))
    }

    pub(in crate::backend::custom) async fn list(&self, filter: ExecutionFilter) -> Result<Vec<Execution>> {
        if filter.state == Some(ExecutionState::Cancelling) {
            return self.cancelling(filter).await;
        }
        let mut found = Vec::new();
        let (mut offset, mut skip) = (0, filter.offset);
        loop {
            let page = self.executions_page(filter.state, offset).await?;
            let last = page.len() < super::PAGE as usize;
            offset += super::PAGE;
            for execution in page.into_iter().map(shown).filter(|execution| matches(&filter, execution)) {
                if skip > 0 {
                    skip -= 1;
                } else if found.len() < filter.limit as usize {
                    found.push(execution);
                }
            }
            if last || found.len() >= filter.limit as usize {
                return Ok(found);
            }
        }
    }

    /// Those that clean up are running in the store's records.
    async fn cancelling(&self, filter: ExecutionFilter) -> Result<Vec<Execution>> {
        let mut found = self.cleaning().await?;
        found.extend(self.all_executions(ExecutionState::Cancelling).await?);
        found.sort_by_key(|execution| Reverse((execution.created_at, execution.id)));
        let wanted = found.into_iter().map(shown).filter(|execution| matches(&filter, execution));
        Ok(wanted.skip(filter.offset as usize).take(filter.limit as usize).collect())
    }

    pub(in crate::backend::custom) async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
        let Response::DeadLetters(all) = self.call(Request::ListDeadTasks { limit: LETTERS_MAX }).await? else {
            return Ok(Vec::new());
        };
        let wanted = |letter: &DeadLetter| {
            filter.task.is_none_or(|id| letter.task.id == id)
                && filter.execution.is_none_or(|id| letter.task.execution_id == id)
                && filter.function.as_ref().is_none_or(|name| letter.task.step_name == *name)
        };
        let found = all.into_iter().filter(wanted).skip(filter.offset as usize).take(filter.limit as usize);
        Ok(found.collect())
    }

    /// What workers have declared is kept by the functions' names; which names there are only this process's workers tell.
    pub(in crate::backend::custom) async fn unserved(&self) -> Result<Unserved> {
        // What a worker could not run it has put back, for later: nothing tells it from what is delayed.
        let live = self.live().await?;
        let pending = self.tasks_in(TaskState::Pending).await?.into_iter();
        let runs = pending.filter(|task| task.kind.is_run() && live.contains(&task.execution_id));
        let ready: BTreeSet<String> = runs.map(|task| task.step_name).collect();
        let mut registered: BTreeSet<String> = {
            let memory = self.memory();
            let of = memory.workers.values().flat_map(|worker| &worker.functions);
            of.map(|function| function.name.clone()).collect()
        };
        let mut functions = Vec::new();
        for function in ready.difference(&registered.clone()) {
            match self.function(function).await? {
                Some(_) => _ = registered.insert(function.clone()),
                None => functions.push(function.clone()),
            }
        }
        Ok(Unserved { functions, registered: registered.into_iter().collect(), ..Unserved::default() })
    }

    /// Executions whose tasks are run. A tool may have made tasks before their execution.
    async fn live(&self) -> Result<BTreeSet<Id>> {
        let mut live = BTreeSet::new();
        for state in [ExecutionState::Pending, ExecutionState::Running] {
            live.extend(self.all_executions(state).await?.into_iter().map(|execution| execution.id));
        }
        Ok(live)
    }

    pub(in crate::backend::custom) async fn stats(&self) -> Result<StoreStats> {
        let mut stats = StoreStats::default();
        let cleaning = self.cleaning().await?.len() as u64;
        for state in ExecutionState::ALL {
            let count = self.count(Request::CountExecutions { state: Some(*state) }).await?;
            let count = match state {
                ExecutionState::Running => count.saturating_sub(cleaning),
                ExecutionState::Cancelling => count + cleaning,
                _ => count,
            };
            stats.executions.insert(state.as_str(), count);
        }
        for state in TaskState::ALL {
            let count = self.count(Request::CountTasks { queue: None, state: Some(*state) }).await?;
            stats.tasks.insert(state.as_str(), count);
        }
        let mut depths: BTreeMap<(Option<String>, String), Depth> = BTreeMap::new();
        let pending = self.tasks_in(TaskState::Pending).await?;
        let live = if pending.is_empty() { BTreeSet::new() } else { self.live().await? };
        for task in pending {
            if task.scheduled_for.is_some_and(|at| at > now()) {
                stats.scheduled += u64::from(task.kind != TaskKind::Timer);
                continue;
            }
            if !task.kind.is_run() || !live.contains(&task.execution_id) {
                continue;
            }
            let age = now().since(task.scheduled_for.unwrap_or(task.created_at));
            let key = (task.queue.clone(), task.step_name.clone());
            let depth = depths.entry(key).or_insert_with(|| Depth {
                queue: task.queue,
                function: task.step_name,
                count: 0,
                oldest: age,
            });
            depth.count += 1;
            depth.oldest = depth.oldest.max(age);
        }
        stats.ready = depths.into_values().collect();
        for task in self.tasks_in(TaskState::Waiting).await? {
            stats.parked += u64::from(Notes::of(&task)?.parked.is_some());
        }
        stats.dead_letters = self.count(Request::CountDeadTasks {}).await?;
        stats.workers = self.memory().workers.len() as u64;
        Ok(stats)
    }
}

/// Lines for the tasks of the root's tree, without the engine's own tasks beside it.
fn lines(tasks: &[Task]) -> Vec<(Timestamp, ProgressEntry)> {
    let in_tree = |task: &&Task| task.parent_task_id.is_some() || task.id == root_task_id(task.execution_id);
    let line = |task: &Task| {
        let error = task.error.as_ref().map(|failure| Payload::from(to_json(failure)));
        // The record does not say whether the cache was hit.
        let (name, hit) = (task.step_name.clone(), false);
        let entry = decide::line(name, task.state, hit, task.started_at, task.completed_at, error);
        (task.started_at.unwrap_or(task.created_at), entry)
    };
    let mut lines: Vec<_> = tasks.iter().filter(in_tree).map(line).collect();
    lines.sort_by_key(|(time, _)| *time);
    lines
}

fn matches(filter: &ExecutionFilter, execution: &Execution) -> bool {
    filter.state.is_none_or(|state| execution.state == state)
        && filter.function.as_ref().is_none_or(|name| execution.root_function == *name)
        && filter.queue.as_ref().is_none_or(|queue| execution.queue.as_ref() == Some(queue))
        && filter.tag.as_ref().is_none_or(|tag| execution.tags.contains(tag))
        && filter.created_after.is_none_or(|time| execution.created_at > time)
        && filter.created_before.is_none_or(|time| execution.created_at < time)
}
