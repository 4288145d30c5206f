//! Starts executions, registers workers and functions, and reserves idempotency keys.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::notes::{Notes, Parked, now};
use super::{Fallback, is_conflict};
use crate::backend::decide::{self, Asked, Found, KEY_TTL, Reservation, root_task_id};
use crate::backend::{CacheSlot, NewExecution, NewWorker, Notice, Request};
use crate::codec::{from_json, to_json};
use crate::model::{
    Execution, ExecutionState, FunctionOptions, Id, KeyReuse, Payload, Result, Task, TaskKind, TaskState, Timestamp,
    child_id, digest,
};

/// The task that ends an execution when it times out: it is claimed but not run.
pub(super) const EXPIRY: &str = "stent.expiry";

/// How long a function's options are used before they are read again.
const BELIEVED: Duration = Duration::from_secs(1);

/// The owner of an idempotency key.
#[derive(Serialize, Deserialize)]
struct Owner {
    task: Id,
    #[serde(with = "digest::optional")]
    args_hash: Option<[u8; 32]>,
}

fn owner_key(function: &str, key: &str) -> String {
    format!("stent.owner/{function}/{key}")
}

fn function_key(name: &str) -> String {
    format!("stent.function/{name}")
}

/// The fields of a new task, besides its name.
pub(super) struct New<'a> {
    pub id: Id,
    pub execution: Id,
    pub parent: Option<Id>,
    pub kind: TaskKind,
    pub name: &'a str,
    pub step_key: Option<String>,
    pub at: Timestamp,
}

/// A new record with these fields.
pub(super) fn blank(new: New<'_>) -> Task {
    Task {
        parent_task_id: new.parent,
        scheduled_for: Some(new.at),
        step_key: new.step_key,
        ..Task::new(new.id, new.execution, new.kind, new.name, now())
    }
}

impl Fallback {
    /// Sets the options of a function's task.
    pub(super) async fn resolve(&self, task: &mut Task, notes: &mut Notes, asked: &Asked<'_>) -> Result<()> {
        let function = self.function(asked.function).await?;
        // The route is not needed: the protocol's claims name queues and tags.
        let (run, _) = decide::resolve(asked, function.as_deref());
        (task.queue, task.tags, task.priority) = (run.queue, run.tags, run.priority);
        (task.retry_policy, task.idempotency_key) = (run.retry_policy, run.idempotency_key);
        (notes.timeout, notes.args_hash) = (run.timeout, asked.args_hash.copied());
        notes.cache = run.cache_key.map(|key| CacheSlot { key, ttl: run.cache_ttl });
        Ok(())
    }

    /// A function's options, as a worker has declared them; `None` if none has.
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

    /// Starts executions, each in a transaction of its own.
    pub(in crate::backend::custom) async fn dispatch(&self, executions: Vec<NewExecution>) -> Result<Vec<Id>> {
        let mut ids = Vec::with_capacity(executions.len());
        for new in executions {
            ids.push(self.start(new).await?);
        }
        self.hint(Notice::Work { served: None });
        Ok(ids)
    }

    pub(super) async fn start(&self, new: NewExecution) -> Result<Id> {
        let now = now();
        let at = now.after(new.options.delay.unwrap_or_default());
        let root = root_task_id(new.id);
        let kind = TaskKind::Orchestrator;
        let name = new.function.as_str();
        let mut task = blank(New { id: root, execution: new.id, parent: None, kind, name, step_key: None, at });
        let mut notes = Notes {
            traceparent: new.options.traceparent.clone(),
            on_cancel: new.options.on_cancel.clone(),
            ..Notes::default()
        };
        let asked = Asked {
            function: name,
            options: &new.options.task,
            idempotency_key: new.options.idempotency_key.as_deref(),
            reuse: new.options.idempotency_reuse,
            cache_key: None,
            args_hash: Some(&new.args_hash),
            registered: new.registered.as_deref(),
        };
        self.resolve(&mut task, &mut notes, &asked).await?;
        task.args = new.args.clone();
        task.kwargs = new.options.kwargs.clone().unwrap_or_else(Payload::empty_object);
        notes.keep(&mut task);
        if let Some(first) = self.first_with_key(&task, &notes, asked.reuse).await? {
            return Ok(first);
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

    /// The execution whose root has the key of this new one. A key that a call inside of an execution has is joined when
    /// the root is claimed, as by any other task.
    async fn first_with_key(&self, root: &Task, notes: &Notes, reuse: KeyReuse) -> Result<Option<Id>> {
        let owner = match self.reserve(root, notes, reuse).await? {
            Reservation::Owner => return self.own(root, notes).await.map(|()| None),
            Reservation::Done { owner, .. } => owner,
            Reservation::Join { owner } => Some(owner),
            Reservation::Over { owner } if self.is_root(owner).await? => Some(owner),
            Reservation::Over { .. } => return self.own(root, notes).await.map(|()| None),
        };
        let Some(owner) = owner else { return Ok(None) };
        let found = self.task(owner).await?.map(|owner| owner.execution_id);
        Ok(found.filter(|execution| root_task_id(*execution) == owner))
    }

    async fn is_root(&self, task: Id) -> Result<bool> {
        Ok(self.task(task).await?.is_some_and(|found| root_task_id(found.execution_id) == task))
    }

    /// What this task's idempotency key makes of it. Other arguments under the key: conflict.
    pub(super) async fn reserve(&self, task: &Task, notes: &Notes, reuse: KeyReuse) -> Result<Reservation> {
        let Some(key) = &task.idempotency_key else { return Ok(Reservation::Owner) };
        let function = &task.step_name;
        let kept = self.value(Request::GetIdempotencyResult { key: owner_key(function, key) }).await?;
        let Some(kept) = kept else { return Ok(Reservation::Owner) };
        let owner: Owner = from_json("an idempotency key's owner", &String::from_utf8_lossy(kept.as_bytes()))?;
        let mut found =
            Found { args_hash: owner.args_hash.map(Vec::from), owner: Some(owner.task), ..Found::default() };
        if let Some(owner) = self.task(owner.task).await? {
            (found.state, found.result) = (Some(owner.state), owner.result);
        }
        decide::reserve(function, key, &notes.args_hash.unwrap_or_default(), reuse, task.id, found)
    }

    /// Makes this task the owner of its key.
    pub(super) async fn own(&self, task: &Task, notes: &Notes) -> Result<()> {
        let Some(key) = &task.idempotency_key else { return Ok(()) };
        let owner = Owner { task: task.id, args_hash: notes.args_hash };
        let (key, value) = (owner_key(&task.step_name, key), Payload::from(to_json(&owner)));
        let ttl = Some(KEY_TTL.as_secs_f64());
        self.call(Request::SetIdempotencyResult { key, value, ttl }).await.map(drop)
    }
}
