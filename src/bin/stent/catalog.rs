//! Functions and queues, as the commands' JSON and the page tell of them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use stent::backend::{Pause, Registered, RegisteredWorker};
use stent::model::{FunctionOptions, Rate, RetryPolicy};

/// With its options, as they are given to a worker.
#[derive(Serialize)]
pub struct Function {
    pub name: String,
    pub queue: Option<String>,
    pub tags: Vec<String>,
    pub priority: Option<i64>,
    pub retry_policy: Option<RetryPolicy>,
    pub timeout_seconds: Option<f64>,
    pub version: Option<String>,
    pub max_concurrent: Option<u32>,
    pub max_concurrent_per_key: Option<u32>,
    pub rate: Option<Rate>,
    pub rate_per_key: Option<Rate>,
    pub cached: bool,
    pub idempotent: bool,
    pub paused: Option<Pause>,
}

impl Function {
    pub fn new(name: String, options: FunctionOptions, pauses: &[Pause]) -> Self {
        let paused = pauses.iter().find(|pause| pause.function.as_ref() == Some(&name)).cloned();
        Self {
            paused,
            name,
            queue: options.queue,
            tags: options.tags,
            priority: options.priority,
            retry_policy: options.retry_policy,
            timeout_seconds: options.timeout.as_ref().map(Duration::as_secs_f64),
            version: options.version,
            max_concurrent: options.max_concurrent,
            max_concurrent_per_key: options.max_concurrent_per_key,
            rate: options.rate,
            rate_per_key: options.rate_per_key,
            cached: options.cached,
            idempotent: options.idempotent,
        }
    }
}

/// `W`: the workers that serve it, or how many they are.
#[derive(Default, Serialize)]
pub struct Queue<W> {
    /// None: tasks without a queue.
    pub queue: Option<String>,
    pub ready: u64,
    pub oldest_seconds: f64,
    pub functions: Vec<String>,
    /// How often its tasks start.
    pub rate: Option<Rate>,
    pub workers: W,
    pub paused: Option<Pause>,
}

impl Queue<Vec<String>> {
    pub fn counted(self) -> Queue<u64> {
        let Self { queue, ready, oldest_seconds, functions, rate, workers, paused } = self;
        Queue { queue, ready, oldest_seconds, functions, rate, workers: workers.len() as u64, paused }
    }
}

/// Functions that are paused, and that no worker has declared.
pub fn paused_unknown(registered: &Registered) -> Vec<Pause> {
    let is_known = |name: &String| registered.functions.iter().any(|(known, _)| known == name);
    let unknown = |pause: &&Pause| pause.function.as_ref().is_some_and(|name| !is_known(name));
    registered.pauses.iter().filter(unknown).cloned().collect()
}

/// Those of functions, of workers, of pauses, of rates and of what is ready, by name, with the workers that serve each.
pub fn queues(registered: &Registered) -> Vec<Queue<Vec<String>>> {
    let mut found = BTreeMap::<Option<String>, Queue<Vec<String>>>::new();
    for (name, options) in &registered.functions {
        found.entry(options.queue.clone()).or_default().functions.push(name.clone());
    }
    for queue in registered.workers.iter().flat_map(|worker| &worker.queues) {
        found.entry(Some(queue.clone())).or_default();
    }
    for pause in registered.pauses.iter().filter(|pause| pause.queue.is_some()) {
        found.entry(pause.queue.clone()).or_default().paused = Some(pause.clone());
    }
    for (queue, rate) in &registered.queue_rates {
        found.entry(Some(queue.clone())).or_default().rate = Some(rate.clone());
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
    let with_workers = |(name, queue): (Option<String>, Queue<Vec<String>>)| {
        let workers = registered.workers.iter().filter(|worker| serves(&name, worker));
        let workers = workers.map(|worker| worker.worker_id.clone()).collect();
        Queue { queue: name, workers, ..queue }
    };
    found.into_iter().map(with_workers).collect()
}
