//! How things begin: executions, workers, functions, and the keys that keep them single.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::notes::{Notes, Parked, now, root_of};
use super::{Fallback, is_conflict};
use crate::backend::{CacheSlot, NewExecution, NewWorker, Notice, Request};
use crate::codec::{from_json, to_json};
use crate::model::{
    Error, Execution, ExecutionState, FunctionOptions, Id, Payload, Result, Task, TaskKind, TaskOptions, TaskState,
    Timestamp, child_id, digest,
};

/// The task that ends an execution when its time is up: one that is claimed, not run.
pub(super) const EXPIRY: &str = "stent.expiry";

/// How long a function's options, as read from the store, are believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// Who has an idempotency key.
#[derive(Serialize, Deserialize)]
pub(super) struct Owner {
    pub task: Id,
    pub execution: Id,
    #[serde(with = "digest::optional")]
    pub args_hash: Option<[u8; 32]>,
}

fn function_key(name: &str) -> String {
    format!("stent.function/{name}")
}

/// What a new task is made of beside its name.
pub(super) struct New<'a> {
    pub id: Id,
    pub execution: Id,
    pub parent: Option<Id>,
    pub kind: TaskKind,
    pub name: &'a str,
    pub step_key: Option<String>,
    pub at: Timestamp,
}

/// A task that waits for nothing and knows nothing yet.
pub(super) fn blank(new: New<'_>) -> Task {
    Task {
        parent_task_id: new.parent,
        scheduled_for: Some(new.at),
        step_key: new.step_key,
        ..Task::new(new.id, new.execution, new.kind, new.name, now())
    }
}

/// What a call asks for, before its function has been looked up.
pub(super) struct Asked<'a> {
    pub options: &'a TaskOptions,
    pub kwargs: Option<&'a Payload>,
    pub args: &'a Payload,
    pub args_hash: Option<[u8; 32]>,
    pub idempotency_key: Option<&'a str>,
    pub cache_key: Option<&'a str>,
}

impl Fallback {
    /// Fills a task of a function: the call, the function, the default.
    pub(super) async fn resolve(&self, task: &mut Task, notes: &mut Notes, asked: Asked<'_>) -> Result<()> {
        let function = self.function(&task.step_name).await?;
        let options = asked.options.clone().or_function(function.as_deref());
        task.args = asked.args.clone();
        task.kwargs = asked.kwargs.cloned().unwrap_or_else(Payload::empty_object);
        task.queue = options.queue;
        task.tags = options.tags.unwrap_or_default();
        task.priority = options.priority.unwrap_or_default();
        task.retry_policy = options.retry_policy;
        notes.timeout = options.timeout;
        notes.args_hash = asked.args_hash;
        let hash = || asked.args_hash.map(hex);
        task.idempotency_key = match asked.idempotency_key {
            Some(key) => Some(key.to_owned()),
            None if function.as_ref().is_some_and(|function| function.idempotent) => hash(),
            None => None,
        };
        let version = function.as_ref().and_then(|function| function.version.clone()).unwrap_or_default();
        let cache_key = match asked.cache_key {
            Some(key) => Some(key.to_owned()),
            None if options.cached == Some(true) => hash().map(|hash| format!("{version}/{hash}")),
            None => None,
        };
        notes.cache =
            cache_key.map(|key| CacheSlot { key: format!("{}/{key}", task.step_name), ttl: options.cache_ttl });
        Ok(())
    }

    /// Its options as a worker has declared them; nobody has: none.
    pub(super) async fn function(&self, name: &str) -> Result<Option<Arc<FunctionOptions>>> {
        let now = now();
        if let Some((read_at, options)) = self.memory().functions.get(name)
            && now.since(*read_at) < BELIEVED
        {
            return Ok(options.clone());
        }
        let kept = self.value(Request::GetCachedResult { key: function_key(name) }).await?;
        let options = kept.map(|kept| from_json("a function's options", &String::from_utf8_lossy(kept.as_bytes())));
        let options = options.transpose()?.map(Arc::new);
        self.memory().functions.insert(name.to_owned(), (now, options.clone()));
        Ok(options)
    }

    pub(in crate::backend::custom) async fn register_worker(&self, worker: NewWorker) -> Result<()> {
        for function in &worker.functions {
            let (key, value) = (function_key(&function.name), Payload::from(to_json(&function.options)));
            self.call(Request::SetCachedResult { key, value, ttl: None }).await?;
            self.memory().functions.remove(&function.name);
        }
        let declared = worker.functions.clone();
        self.memory().workers.insert(worker.worker_id.clone(), worker);
        for task in self.tasks_in(TaskState::Waiting).await? {
            let mut notes = Notes::of(&task)?;
            let Some(Parked { version, .. }) = &notes.parked else { continue };
            let fits = |name: &str, now: &Option<String>| *name == task.step_name && now != version;
            if declared.iter().any(|function| fits(&function.name, &function.options.version)) {
                notes.parked = None;
                self.put_back(task, &notes, now()).await?;
            }
        }
        self.hint(Notice::Work { served: None });
        Ok(())
    }

    pub(in crate::backend::custom) fn remove_worker(&self, worker_id: &str) {
        self.memory().workers.remove(worker_id);
    }

    /// Each in a transaction of its own.
    pub(in crate::backend::custom) async fn dispatch(&self, executions: Vec<NewExecution>) -> Result<Vec<Id>> {
        let mut ids = Vec::with_capacity(executions.len());
        for new in executions {
            ids.push(self.start(new).await?);
        }
        self.hint(Notice::Work { served: None });
        Ok(ids)
    }

    async fn start(&self, new: NewExecution) -> Result<Id> {
        let now = now();
        let at = now.after(new.options.delay.unwrap_or_default());
        let root = root_of(new.id);
        let kind = TaskKind::Orchestrator;
        let name = new.function.as_str();
        let mut task = blank(New { id: root, execution: new.id, parent: None, kind, name, step_key: None, at });
        let mut notes = Notes {
            traceparent: new.options.traceparent.clone(),
            on_cancel: new.options.on_cancel.clone(),
            ..Notes::default()
        };
        let asked = Asked {
            options: &new.options.task,
            kwargs: new.options.kwargs.as_ref(),
            args: &new.args,
            args_hash: Some(new.args_hash),
            idempotency_key: new.options.idempotency_key.as_deref(),
            cache_key: None,
        };
        self.resolve(&mut task, &mut notes, asked).await?;
        notes.keep(&mut task);
        if let Some(owner) = self.owner(&task, &notes).await?
            && !self.execution(owner.execution).await?.is_none_or(|found| {
                matches!(found.state, ExecutionState::Failed | ExecutionState::TimedOut | ExecutionState::Cancelled)
            })
        {
            return Ok(owner.execution);
        }
        let expiry_at = new.options.expiry_at(now);
        let execution = Execution {
            id: new.id,
            root_function: new.function.clone(),
            state: ExecutionState::Pending,
            args: task.args.clone(),
            kwargs: task.kwargs.clone(),
            retries: 0,
            created_at: now,
            started_at: None,
            completed_at: None,
            expiry_at,
            progress: Vec::new(),
            tags: task.tags.clone(),
            priority: task.priority,
            queue: task.queue.clone(),
            result: None,
            error: None,
        };
        self.own(&task, &notes).await?;
        self.call(Request::CreateExecutionWithRootTask { execution, task }).await?;
        if let Some(at) = expiry_at {
            let id = child_id(new.id, 0, EXPIRY);
            let task = blank(New {
                id,
                execution: new.id,
                parent: None,
                kind: TaskKind::Activity,
                name: EXPIRY,
                step_key: None,
                at,
            });
            let created = self.call(Request::CreateTask { task }).await;
            if !is_conflict(&created) {
                created?;
            }
            self.look_at(at);
        }
        if at > now {
            self.look_at(at);
        }
        Ok(new.id)
    }

    /// Who has this task's idempotency key. Other arguments under it: conflict.
    pub(super) async fn owner(&self, task: &Task, notes: &Notes) -> Result<Option<Owner>> {
        let Some(key) = &task.idempotency_key else { return Ok(None) };
        let function = &task.step_name;
        let kept = self.value(Request::GetIdempotencyResult { key: format!("stent.owner/{function}/{key}") }).await?;
        let Some(kept) = kept else { return Ok(None) };
        let owner: Owner = from_json("an idempotency key's owner", &String::from_utf8_lossy(kept.as_bytes()))?;
        if owner.args_hash.is_some() && notes.args_hash.is_some() && owner.args_hash != notes.args_hash {
            return Err(Error::conflict(format!(
                "the idempotency key '{key}' of {function} is taken by a call with other arguments; use another key, \
                 or the same arguments"
            ))
            .with("idempotency_key", key.as_str()));
        }
        Ok(Some(owner))
    }

    /// From now on the key is this task's.
    pub(super) async fn own(&self, task: &Task, notes: &Notes) -> Result<()> {
        let Some(key) = &task.idempotency_key else { return Ok(()) };
        let owner = Owner { task: task.id, execution: task.execution_id, args_hash: notes.args_hash };
        let (key, value) = (format!("stent.owner/{}/{key}", task.step_name), Payload::from(to_json(&owner)));
        self.call(Request::SetIdempotencyResult { key, value, ttl: None }).await.map(drop)
    }
}

fn hex(hash: [u8; 32]) -> String {
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}
