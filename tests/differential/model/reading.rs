//! What can be read.

use std::collections::BTreeMap;

use stent::backend::{
    DeadLetterFilter, Depth, ExecutionFilter, JournalEntry, JournalRequest, Request, Response, Snapshot, StoreStats,
};
use stent::model::{
    DeadLetter, Execution, ExecutionState, Id, Payload, ProgressEntry, ProgressStatus, Task, TaskState, Timestamp,
};

use super::state::{Job, State, is_live};

fn page<T>(all: Vec<T>, limit: u32, offset: u32) -> Vec<T> {
    all.into_iter().skip(offset as usize).take(limit as usize).collect()
}

impl State {
    /// None: the request is not one that only reads.
    pub fn read(&self, request: &Request) -> Option<Response> {
        let run = |id| self.executions.get(id);
        Some(match request {
            Request::InitDb {} | Request::Close {} => Response::Nothing,
            Request::GetExecution { execution_id } => {
                Response::Execution(run(execution_id).map(|run| Box::new(run.record.clone())))
            }
            Request::ListExecutions { limit, offset, state } => {
                let (limit, offset, state) = (*limit, *offset, *state);
                Response::Executions(self.list(&ExecutionFilter { limit, offset, state, ..ExecutionFilter::default() }))
            }
            Request::CountExecutions { state } => {
                let all = self.executions.values();
                Response::Count(all.filter(|run| state.is_none_or(|state| run.record.state == state)).count() as u64)
            }
            Request::GetTask { task_id } => {
                Response::Task(self.tasks.get(task_id).map(|job| Box::new(job.record.clone())))
            }
            Request::ListTasks { limit, offset, state } => {
                let mut found = self.records(|task| state.is_none_or(|state| task.state == state));
                found.reverse();
                Response::Tasks(page(found, *limit, *offset))
            }
            Request::ListTasksForExecution { execution_id } => {
                Response::Tasks(self.records(|task| task.execution_id == *execution_id))
            }
            Request::CountTasks { queue, state } => {
                let counts = |task: &Task| {
                    (queue.is_none() || task.queue == *queue) && state.is_none_or(|state| task.state == state)
                };
                Response::Count(self.records(counts).len() as u64)
            }
            Request::GetCachedResult { key } => Response::Payload(self.cached(key)),
            Request::GetIdempotencyResult { key } => {
                let key = self.keys.get(key).filter(|key| is_live(key.until, self.now));
                Response::Payload(key.and_then(|key| key.value.clone()))
            }
            Request::ListDeadTasks { limit } => {
                Response::DeadLetters(self.dead_letters(&DeadLetterFilter { limit: *limit, ..Default::default() }))
            }
            Request::CountDeadTasks {} => Response::Count(self.letters.len() as u64),
            Request::GetDeadTask { task_id } => {
                Response::DeadLetter(self.letters.get(task_id).map(|letter| Box::new(letter.clone())))
            }
            Request::GetSignal { execution_id, name } => Response::Signal(self.get_signal(*execution_id, name)),
            Request::GetExecutionCounters { execution_id } => {
                Response::Counters(run(execution_id).map(|run| run.counters.clone()).unwrap_or_default())
            }
            Request::GetExecutionStateValues { execution_id } => {
                Response::Values(run(execution_id).map(|run| run.values.clone()).unwrap_or_default())
            }
            _ => return None,
        })
    }

    /// In order of creation.
    fn records(&self, which: impl Fn(&Task) -> bool) -> Vec<Task> {
        let ids = self.ordered(|job| which(&job.record));
        ids.iter().map(|id| self.tasks[id].record.clone()).collect()
    }

    pub fn cached(&self, key: &str) -> Option<Payload> {
        self.cache.get(key).filter(|kept| is_live(kept.until, self.now)).map(|kept| kept.value.clone())
    }

    /// Newest first, without progress.
    pub fn list(&self, filter: &ExecutionFilter) -> Vec<Execution> {
        let fits = |execution: &&Execution| {
            filter.state.is_none_or(|state| execution.state == state)
                && filter.function.as_ref().is_none_or(|function| execution.root_function == *function)
                && filter.queue.as_ref().is_none_or(|queue| execution.queue.as_ref() == Some(queue))
                && filter.tag.as_ref().is_none_or(|tag| execution.tags.contains(tag))
                && filter.created_after.is_none_or(|time| execution.created_at > time)
                && filter.created_before.is_none_or(|time| execution.created_at < time)
        };
        let mut found: Vec<&Execution> = self.executions.values().map(|run| &run.record).filter(fits).collect();
        found.sort_by_key(|execution| std::cmp::Reverse((execution.created_at, execution.id)));
        let bare = |execution: &Execution| Execution { progress: Vec::new(), ..execution.clone() };
        page(found.into_iter().map(bare).collect(), filter.limit, filter.offset)
    }

    /// Newest first.
    pub fn dead_letters(&self, filter: &DeadLetterFilter) -> Vec<DeadLetter> {
        let fits = |letter: &&DeadLetter| {
            filter.task.is_none_or(|task| letter.task.id == task)
                && filter.execution.is_none_or(|execution| letter.task.execution_id == execution)
                && filter.function.as_ref().is_none_or(|function| letter.task.step_name == *function)
        };
        let mut found: Vec<DeadLetter> = self.letters.values().filter(fits).cloned().collect();
        found.sort_by_key(|letter| std::cmp::Reverse((letter.moved_at, letter.task.id)));
        page(found, filter.limit, filter.offset)
    }

    /// By the numbers of the operations. What was cancelled from above is no part of it.
    pub fn journal(&self, JournalRequest { task, after }: &JournalRequest) -> Vec<JournalEntry> {
        let asked = |job: &&Job| {
            job.record.parent_task_id == Some(*task) && job.arrival.map_or(*after == 0, |number| number > *after)
        };
        let mut entries: Vec<JournalEntry> = self.tasks.values().filter(asked).filter_map(entry).collect();
        entries.sort_by_key(|entry| entry.op);
        entries
    }

    pub fn snapshot(&self, id: Id) -> Option<Snapshot> {
        let run = self.executions.get(&id)?;
        let mut lines: Vec<(Timestamp, ProgressEntry)> =
            self.ordered(|job| job.record.execution_id == id).iter().map(|task| line(&self.tasks[task])).collect();
        lines.sort_by_key(|(time, _)| *time);
        // Before each thing said, the tasks that had begun by then.
        let mut progress = Vec::new();
        for said in &run.record.progress {
            let time = said.started_at.or(said.completed_at);
            let begun = time.map_or(0, |time| lines.partition_point(|(begun, _)| *begun <= time));
            progress.extend(lines.drain(..begun).map(|(_, line)| line));
            progress.push(said.clone());
        }
        progress.extend(lines.into_iter().map(|(_, line)| line));
        Some(Snapshot {
            execution: Execution { progress, ..run.record.clone() },
            counters: run.counters.clone(),
            state: run.values.clone(),
            replay_of: run.replay_of,
            cancel_reason: run.reason.clone(),
        })
    }

    pub fn over(&self, id: Id, states: impl Fn(ExecutionState) -> bool) -> bool {
        self.execution_state(id).is_none_or(states)
    }

    pub fn stats(&self) -> StoreStats {
        let mut stats = StoreStats {
            dead_letters: self.letters.len() as u64,
            workers: self.workers.len() as u64,
            paused: self.paused(),
            ..StoreStats::default()
        };
        for run in self.executions.values() {
            *stats.executions.entry(run.record.state.as_str()).or_default() += 1;
        }
        let mut ready: BTreeMap<_, u64> = BTreeMap::new();
        for job in self.tasks.values() {
            *stats.tasks.entry(job.record.state.as_str()).or_default() += 1;
            stats.parked += u64::from(job.parked.is_some());
            let later = job.record.state == TaskState::Pending && job.lane.is_none() && job.due.is_some();
            stats.scheduled += u64::from(later);
            let is_alone = !self.executions.contains_key(&job.record.execution_id);
            if let (Some(_), Some(route), false) = (&job.lane, &job.route, is_alone) {
                *ready.entry((route.queue.clone(), route.function.clone())).or_default() += 1;
            }
        }
        let depth = |((queue, function), count)| Depth { queue, function, count, oldest: std::time::Duration::ZERO };
        stats.ready = ready.into_iter().map(depth).collect();
        stats
    }
}

/// None: a task that a tool created is no operation of its parent.
fn entry(job: &Job) -> Option<JournalEntry> {
    let task = job.record.clone();
    Some(JournalEntry {
        op: job.op?,
        id: task.id,
        key: task.step_key.unwrap_or_default(),
        name: task.step_name,
        kind: task.kind,
        args: task.args,
        kwargs: task.kwargs,
        state: task.state,
        result: task.result,
        error: task.error,
        arrival: job.arrival,
        completed_at: task.completed_at,
    })
}

/// What a task's own record says of its progress, and the time by which it is put in order.
fn line(job: &Job) -> (Timestamp, ProgressEntry) {
    let task = &job.record;
    let status = match task.state {
        TaskState::Completed if job.cache_hit => ProgressStatus::CacheHit,
        TaskState::Completed => ProgressStatus::Completed,
        TaskState::Failed | TaskState::Cancelled => ProgressStatus::Failed,
        TaskState::Running => ProgressStatus::Running,
        TaskState::Pending | TaskState::Waiting if task.started_at.is_some() => ProgressStatus::Running,
        TaskState::Pending | TaskState::Waiting => ProgressStatus::Dispatched,
    };
    let detail = match task.state {
        TaskState::Failed => task.error.as_ref().map(failure_text),
        TaskState::Cancelled => Some(Payload::from("\"cancelled\"")),
        _ => None,
    };
    let (started_at, completed_at) = (task.started_at, task.completed_at);
    let entry = ProgressEntry { step: task.step_name.clone(), status, started_at, completed_at, detail };
    (started_at.unwrap_or(task.created_at), entry)
}

fn failure_text(failure: &stent::model::Failure) -> Payload {
    Payload::from(stent::codec::failure_to_column(failure))
}
