//! Finds what has arrived for a task: ends of its children, timers, signals. Only the task's holder gives arrival
//! numbers, and writes them into the task's notes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cleanup::standing;
use super::notes::{Notes, Place, now};
use super::start::{New, blank};
use super::{Fallback, is_conflict, over};
use crate::backend::decide::{self, Due, DueRow, End, Ending};
use crate::backend::{JournalEntry, JournalRequest, NewSignal, Request, Response};
use crate::model::{ExecutionState, Id, Payload, Result, Signal, Task, TaskKind, TaskState, child_id};

/// A signal that was taken but not marked as such for this long is marked by somebody else: the taker has died in
/// between.
const TAKEN_PAUSE: Duration = Duration::from_secs(5);

/// The operations of a task's current run, by number.
pub(super) type Children = Vec<(Place, Task)>;

/// What happens to a task whose time has come. `state`: as the engine sees it, which is not always the record's.
pub(super) fn when_due(task: &Task, state: TaskState) -> Result<Due> {
    let notes = Notes::of(task)?;
    let first = notes.first_started.or(notes.started);
    let row = DueRow {
        id: task.id,
        parent: task.parent_task_id,
        kind: task.kind,
        state,
        name: &task.step_name,
        retries: task.retries,
        since_first: first.map_or(Duration::ZERO, |first| now().since(first)),
    };
    decide::when_due(&row, || Ok(task.retry_policy.clone().unwrap_or_default()), rand::random())
}

impl Fallback {
    pub(super) async fn children(&self, task: &Task, run: u32) -> Result<Children> {
        let all = self.tasks_of(task.execution_id).await?;
        let mut children: Children = all
            .into_iter()
            .filter(|child| child.parent_task_id == Some(task.id))
            .filter_map(|child| Place::of(&child).map(|place| (place, child)))
            .filter(|(place, _)| place.run == run)
            .collect();
        children.sort_by_key(|(place, _)| place.op);
        Ok(children)
    }

    /// Takes due timers and sent signals, and numbers everything that has arrived since the last look. The caller holds
    /// the task, and writes the notes.
    pub(super) async fn look(&self, task: &Task, notes: &mut Notes) -> Result<Children> {
        let mut children = self.children(task, notes.run).await?;
        let mut silent = BTreeSet::new();
        for (_, child) in &mut children {
            if child.state.is_terminal() || child.kind.is_run() {
                continue;
            }
            if let Due::End(end) = self.due(child, &mut silent).await? {
                self.end(child.clone(), end).await?;
                if let Some(ended) = self.task(child.id).await? {
                    *child = ended;
                }
            }
        }
        notes.number(&children);
        Ok(children)
    }

    /// What has happened to an operation that no worker runs. `silent`: names of signals of which there are none.
    async fn due(&self, child: &Task, silent: &mut BTreeSet<String>) -> Result<Due> {
        if child.kind == TaskKind::Signal && !silent.contains(&child.step_name) {
            if let Some(payload) = self.take(child).await? {
                return Ok(Due::End(End::now(child.id, child.parent_task_id, Ending::Completed(payload))));
            }
            silent.insert(child.step_name.clone());
        }
        let is_due = child.scheduled_for.is_some_and(|at| at <= now());
        if is_due { when_due(child, child.state) } else { Ok(Due::Nothing) }
    }

    /// Takes the oldest signal that no wait has taken. To make sure that only one wait takes it, a task is created
    /// whose id follows from the signal's: whoever creates it has the signal.
    async fn take(&self, wait: &Task) -> Result<Option<Payload>> {
        let (execution, name) = (wait.execution_id, wait.step_name.as_str());
        loop {
            let Some(found) = self.oldest(execution, name).await?.filter(|found| !found.consumed) else {
                return Ok(None);
            };
            let given = found.id.clone().unwrap_or_else(|| format!("{}/{}", found.sequence, found.created_at));
            let id = child_id(execution, 0, &format!("taken/{name}/{given}"));
            let kind = TaskKind::Signal;
            let mut taken =
                blank(New { id, execution, parent: None, kind, name, step_key: Some(wait.id.to_string()), at: now() });
            (taken.state, taken.result, taken.completed_at) =
                (TaskState::Completed, Some(found.payload.clone()), Some(now()));
            let created = self.call(Request::CreateTask { task: taken }).await;
            if is_conflict(&created) {
                let Some(taken) = self.task(id).await? else { continue };
                if taken.step_key.as_deref() != Some(&wait.id.to_string()) {
                    let ago = taken.completed_at.map_or(Duration::ZERO, |at| now().since(at));
                    if ago < TAKEN_PAUSE {
                        // The taker is about to mark it.
                        return Ok(None);
                    }
                    self.consume(found).await?;
                    continue;
                }
            } else {
                created?;
            }
            let payload = found.payload.clone();
            self.consume(found).await?;
            return Ok(Some(payload));
        }
    }

    async fn oldest(&self, execution_id: Id, name: &str) -> Result<Option<Signal>> {
        match self.call(Request::GetSignal { execution_id, name: name.to_owned() }).await? {
            Response::Signal(found) => Ok(found),
            other => Err(super::unexpected("get_signal", &other)),
        }
    }

    async fn consume(&self, found: Signal) -> Result<()> {
        let signal = Signal { consumed: true, consumed_at: Some(now()), ..found };
        self.call(Request::CreateSignal { signal }).await.map(drop)
    }

    pub(in crate::backend::custom) async fn signal(&self, signal: NewSignal) -> Result<()> {
        let id = signal.execution;
        let execution = self.execution(id).await?.ok_or_else(|| decide::unknown_execution(id))?;
        let state = standing(&execution);
        if state.is_terminal() || state == ExecutionState::Cancelling {
            return Err(over(id, state));
        }
        if let Some(given) = &signal.id {
            let key = format!("stent.signal/{id}/{}/{given}", signal.name);
            if self.value(Request::GetIdempotencyResult { key: key.clone() }).await?.is_some() {
                return Ok(());
            }
            let value = Payload::from("1");
            self.call(Request::SetIdempotencyResult { key, value, ttl: None }).await?;
        }
        self.send(signal).await
    }

    pub(super) async fn send(&self, signal: NewSignal) -> Result<()> {
        let signal = Signal {
            execution_id: signal.execution,
            name: signal.name,
            payload: signal.payload,
            created_at: now(),
            consumed: false,
            consumed_at: None,
            id: Some(signal.id.unwrap_or_else(|| Id::new_v4().to_string())),
            sequence: 0,
        };
        self.call(Request::CreateSignal { signal }).await.map(drop)
    }

    /// For the holder of these tasks. What has arrived is numbered and written down before it is returned.
    pub(in crate::backend::custom) async fn journals(
        &self,
        requests: Vec<JournalRequest>,
    ) -> Result<Vec<Vec<JournalEntry>>> {
        let mut journals = Vec::with_capacity(requests.len());
        for request in requests {
            journals.push(self.journal(request).await?);
        }
        Ok(journals)
    }

    async fn journal(&self, request: JournalRequest) -> Result<Vec<JournalEntry>> {
        let Some(mut task) = self.task(request.task).await? else { return Ok(Vec::new()) };
        let mut notes = Notes::of(&task)?;
        let children = if task.state == TaskState::Running {
            let before = notes.arrived.len();
            let children = self.look(&task, &mut notes).await?;
            if notes.arrived.len() > before && self.still_holds(&mut task).await? {
                notes.keep(&mut task);
                self.update(task).await?;
            }
            children
        } else {
            self.children(&task, notes.run).await?
        };
        let entries = children.into_iter().map(|(place, child)| entry(&notes, place, child));
        Ok(entries.filter(|entry| request.after == 0 || entry.arrival > Some(request.after)).collect())
    }
}

fn entry(notes: &Notes, place: Place, child: Task) -> JournalEntry {
    // An end without a number has not arrived.
    let arrival = notes.arrival(place.op);
    let ended = arrival.is_some() || !child.state.is_terminal();
    let state = if ended { child.state } else { TaskState::Pending };
    let result = match state {
        TaskState::Completed => Some(child.result.unwrap_or_else(Payload::null)),
        _ => None,
    };
    JournalEntry {
        op: place.op,
        id: child.id,
        key: place.key,
        name: child.step_name,
        kind: child.kind,
        args: child.args,
        kwargs: child.kwargs,
        state,
        result,
        error: child.error.filter(|_| state == TaskState::Failed),
        arrival,
        completed_at: child.completed_at.filter(|_| ended),
    }
}
