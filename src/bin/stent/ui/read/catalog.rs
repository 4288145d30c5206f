//! Workers, functions and queues.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use stent::backend::{Registered, RegisteredWorker};
use stent::model::{FunctionOptions, RetryPolicy};

use super::at_hand::{self, Running};
use crate::ui::app::App;
use crate::ui::refusal::Answer;

#[derive(Serialize)]
pub struct WorkersView {
    pub workers: Vec<RegisteredWorker>,
    pub running: Running,
}

#[derive(Serialize)]
pub struct FunctionView {
    pub name: String,
    pub queue: Option<String>,
    pub tags: Vec<String>,
    pub priority: Option<i64>,
    pub retry_policy: Option<RetryPolicy>,
    pub timeout_seconds: Option<f64>,
    pub version: Option<String>,
    pub max_concurrent: Option<u32>,
    pub cached: bool,
    pub idempotent: bool,
    /// Its tasks that can be claimed now.
    pub ready: u64,
}

#[derive(Serialize)]
pub struct FunctionsView {
    pub functions: Vec<FunctionView>,
    /// Called, but declared by no worker.
    pub unknown: Vec<String>,
}

#[derive(Default, Serialize)]
pub struct QueueView {
    /// None: tasks without a queue.
    pub queue: Option<String>,
    pub ready: u64,
    pub oldest_seconds: f64,
    pub functions: Vec<String>,
    pub workers: Vec<String>,
}

#[derive(Serialize)]
pub struct QueuesView {
    pub queues: Vec<QueueView>,
}

pub async fn workers(app: &App) -> Answer<WorkersView> {
    Ok(WorkersView { workers: app.backend.registered().await?.workers, running: at_hand::running(app).await? })
}

pub async fn functions(app: &App) -> Answer<FunctionsView> {
    let Registered { functions, ready, .. } = app.backend.registered().await?;
    let known = |name: &str| functions.iter().any(|(found, _)| found == name);
    let mut unknown: Vec<String> =
        ready.iter().filter(|depth| !known(&depth.function)).map(|depth| depth.function.clone()).collect();
    unknown.sort_unstable();
    unknown.dedup();
    let ready_of = |name: &str| ready.iter().filter(|depth| depth.function == name).map(|depth| depth.count).sum();
    let functions = functions.into_iter().map(|(name, options)| function(ready_of(&name), name, options)).collect();
    Ok(FunctionsView { functions, unknown })
}

fn function(ready: u64, name: String, options: FunctionOptions) -> FunctionView {
    FunctionView {
        name,
        queue: options.queue,
        tags: options.tags,
        priority: options.priority,
        retry_policy: options.retry_policy,
        timeout_seconds: options.timeout.as_ref().map(Duration::as_secs_f64),
        version: options.version,
        max_concurrent: options.max_concurrent,
        cached: options.cached,
        idempotent: options.idempotent,
        ready,
    }
}

pub async fn queues(app: &App) -> Answer<QueuesView> {
    Ok(QueuesView { queues: queues_of(&app.backend.registered().await?) })
}

pub fn queues_of(registered: &Registered) -> Vec<QueueView> {
    let mut found = BTreeMap::<Option<String>, QueueView>::new();
    for (name, options) in &registered.functions {
        found.entry(options.queue.clone()).or_default().functions.push(name.clone());
    }
    for queue in registered.workers.iter().flat_map(|worker| &worker.queues) {
        found.entry(Some(queue.clone())).or_default();
    }
    for depth in &registered.ready {
        let queue = found.entry(depth.queue.clone()).or_default();
        queue.ready += depth.count;
        queue.oldest_seconds = queue.oldest_seconds.max(depth.oldest.as_secs_f64());
        if !queue.functions.contains(&depth.function) {
            queue.functions.push(depth.function.clone());
        }
    }
    let serves = |name: &Option<String>, worker: &RegisteredWorker| match name {
        None => true,
        Some(name) => worker.queues.is_empty() || worker.queues.contains(name),
    };
    let with_workers = |(name, queue): (Option<String>, QueueView)| {
        let workers = registered.workers.iter().filter(|worker| serves(&name, worker));
        let workers = workers.map(|worker| worker.worker_id.clone()).collect();
        QueueView { queue: name, workers, ..queue }
    };
    found.into_iter().map(with_workers).collect()
}
