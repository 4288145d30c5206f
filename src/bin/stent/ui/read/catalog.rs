//! Workers, functions and queues.

use serde::Serialize;
use stent::backend::{Pause, Registered, RegisteredWorker};

use super::at_hand::{self, Running};
use crate::catalog::{self, Function, Queue};
use crate::ui::app::App;
use crate::ui::refusal::Answer;

#[derive(Serialize)]
pub struct WorkersView {
    pub workers: Vec<RegisteredWorker>,
    pub running: Running,
}

#[derive(Serialize)]
pub struct FunctionView {
    #[serde(flatten)]
    pub function: Function,
    /// Its tasks that can be claimed now.
    pub ready: u64,
}

#[derive(Serialize)]
pub struct FunctionsView {
    pub functions: Vec<FunctionView>,
    /// Called, but declared by no worker.
    pub unknown: Vec<String>,
    /// Paused, but declared by no worker.
    pub paused_unknown: Vec<Pause>,
}

/// With the workers that serve it.
pub type QueueView = Queue<Vec<String>>;

#[derive(Serialize)]
pub struct QueuesView {
    pub queues: Vec<QueueView>,
}

pub async fn workers(app: &App) -> Answer<WorkersView> {
    Ok(WorkersView { workers: app.backend.registered().await?.workers, running: at_hand::running(app).await? })
}

pub async fn functions(app: &App) -> Answer<FunctionsView> {
    let registered = app.backend.registered().await?;
    let paused_unknown = catalog::paused_unknown(&registered);
    let Registered { functions, ready, pauses, .. } = registered;
    let known = |name: &str| functions.iter().any(|(found, _)| found == name);
    let mut unknown: Vec<String> =
        ready.iter().filter(|depth| !known(&depth.function)).map(|depth| depth.function.clone()).collect();
    unknown.sort_unstable();
    unknown.dedup();
    let ready_of = |name: &str| ready.iter().filter(|depth| depth.function == name).map(|depth| depth.count).sum();
    let functions = functions
        .into_iter()
        .map(|(name, options)| FunctionView { ready: ready_of(&name), function: Function::new(name, options, &pauses) })
        .collect();
    Ok(FunctionsView { functions, unknown, paused_unknown })
}

pub async fn queues(app: &App) -> Answer<QueuesView> {
    Ok(QueuesView { queues: catalog::queues(&app.backend.registered().await?) })
}
