//! What is alive in the process, for stent_shutdown, stent_backend_shutdown and stent_backend_close.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::runtime;
use super::store::Store;
use crate::executor::{Worker, WorkerState};
use crate::model::{Error, Result, Status};

/// A store has this time to close, also when the workers needed all there was.
const CLOSE: Duration = Duration::from_secs(1);

struct Entry {
    number: u64,
    store: Arc<Store>,
    worker: Worker,
}

struct Alive {
    next: u64,
    stores: Vec<Weak<Store>>,
    workers: Vec<Entry>,
}

/// std Mutex: never held across an await.
static ALIVE: Mutex<Alive> = Mutex::new(Alive { next: 0, stores: Vec::new(), workers: Vec::new() });

fn alive() -> MutexGuard<'static, Alive> {
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn add_store(store: &Arc<Store>) {
    let mut alive = alive();
    alive.stores.retain(|store| store.strong_count() > 0);
    alive.stores.push(Arc::downgrade(store));
}

/// Knows the worker until it has stopped, also when its handle is freed before.
pub fn add_worker(store: &Arc<Store>, worker: &Worker) -> Result<()> {
    let number = {
        let mut alive = alive();
        alive.next += 1;
        let number = alive.next;
        alive.workers.push(Entry { number, store: Arc::clone(store), worker: worker.clone() });
        number
    };
    let worker = worker.clone();
    runtime::handle()?.spawn(
        async move {
            // Without a time-out there is no error: it ends when the worker has.
            drop(worker.wait_state(WorkerState::Stopped, None).await);
            drop(worker);
            let mut alive = alive();
            let at = alive.workers.iter().position(|entry| entry.number == number);
            let entry = at.map(|at| alive.workers.swap_remove(at));
            drop(alive);
            drop(entry);
        }
        .boxed(),
    );
    Ok(())
}

/// A store is closed under no worker.
pub fn refuse_while_working(store: &Arc<Store>) -> Result<()> {
    let workers: Vec<Worker> = {
        let alive = alive();
        let on_it = alive.workers.iter().filter(|entry| Arc::ptr_eq(&entry.store, store));
        on_it.map(|entry| entry.worker.clone()).collect()
    };
    let running: Vec<String> = workers
        .iter()
        .map(Worker::status)
        .filter(|status| status.state != WorkerState::Stopped)
        .map(|status| status.worker_id)
        .collect();
    match running.first() {
        None => Ok(()),
        Some(first) => {
            let told = match running.len() {
                1 => format!("its worker '{first}' has not stopped; stop it before"),
                count => format!("{count} of its workers have not stopped, the first is '{first}'; stop them before"),
            };
            Err(Error::conflict(format!("close the backend: {told}")).with("workers", running))
        }
    }
}

/// Stops the workers of a store, or of all, at the same time, and then closes it, or all. The first error is told after
/// all have been asked.
pub fn stop(only: Option<&Arc<Store>>, timeout: Option<Duration>) -> Result<()> {
    let (workers, stores): (Vec<Worker>, Vec<Arc<Store>>) = {
        let alive = alive();
        let is_meant = |store: &Arc<Store>| only.is_none_or(|only| Arc::ptr_eq(only, store));
        let workers = alive.workers.iter().filter(|entry| is_meant(&entry.store)).map(|entry| entry.worker.clone());
        (workers.collect(), alive.stores.iter().filter_map(Weak::upgrade).filter(is_meant).collect())
    };
    if workers.is_empty() && stores.is_empty() {
        return Ok(());
    }
    runtime::away(move || Box::pin(stop_these(workers, stores, timeout)))
}

async fn stop_these(workers: Vec<Worker>, stores: Vec<Arc<Store>>, timeout: Option<Duration>) -> Result<()> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut stopping = JoinSet::new();
    for worker in workers {
        stopping.spawn(async move { worker.stop(timeout).await }.boxed());
    }
    let mut first = Ok(());
    while let Some(stopped) = stopping.join_next().await {
        let stopped = stopped.unwrap_or_else(|why| Err(Error::backend(format!("stop a worker: {why}"))));
        first = first.and(stopped);
    }
    let closing = futures_util::future::join_all(stores.iter().map(|store| store.close()));
    let Some(deadline) = deadline else { return closing.await.into_iter().fold(first, Result::and) };
    match tokio::time::timeout_at(deadline.max(Instant::now() + CLOSE), closing).await {
        Ok(closed) => closed.into_iter().fold(first, Result::and),
        Err(_) => first.and(Err(Error::new(Status::Timeout, "shut down: a store has not closed within the time"))),
    }
}
