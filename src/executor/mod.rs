//! The executor: dispatch, workers, leases, replay, retries, signals, timers and cancellation.
//!
//! It knows the store by the trait `Backend` only. What it needs to know about JSON (do two payloads mean the same, the
//! hash of arguments) is given to it as a [`Canonical`].
//!
//! - [`Executor`]: the client's operations; functions are registered and workers started here.
//! - [`Worker`]: claims tasks, runs their handlers on its threads and records the outcomes.
//! - [`Task`]: what a handler is given.

mod cleanup;
mod client;
mod core;
mod declared;
mod declared_schedules;
mod doubts;
mod events;
mod explained;
mod histogram;
mod inbox;
mod log;
mod metrics;
mod prometheus;
mod registry;
pub mod replay;
mod schedules;
mod series;
mod stats;
mod status;
mod sync;
mod task;
mod trace;
mod waiters;
mod worker;

use std::sync::{Arc, Mutex, RwLock, Weak};
use std::time::Duration;

pub use cleanup::Cleaned;
pub use client::{check_signal, new_execution};
pub use events::{Arrived, Reason, TaskEnd, TaskEvent, TaskNotice};
pub use histogram::{HistogramValues, Scale};
pub use inbox::{Event, Inbox};
pub use log::{LogRecord, Logger, Silent};
pub use metrics::{CounterValues, MetricValues};
pub use prometheus::{Kind, Page};
pub use registry::{BatchHandler, Handler};
pub use series::{OTHERS, SERIES_MAX, SeriesValues};
pub use stats::Stats;
pub use status::{WorkerState, WorkerStatus};
pub use task::{Task, TaskInfo, TransactionBegun};
pub use trace::{Span, SpanId, SpanTrouble, SpanValue, TraceId, Tracer};
pub use worker::{Worker, on_handler_thread};

use self::core::Core;
use self::declared::Declared;
use self::doubts::Doubts;
use crate::backend::SharedBackend;
use crate::model::{BatchOptions, Canonical, Error, FunctionOptions, Result, WorkerOptions, check_name};
use declared_schedules::DeclaredSchedules;
use metrics::Metrics;
use registry::{Code, Registered, Registry};
use waiters::Waiters;

/// Starts executions, waits for them and runs workers on one store. Cheap to clone. Every method may be called from
/// any thread; the async ones need no runtime in particular.
#[derive(Clone)]
pub struct Executor(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    waiters: Waiters,
    functions: RwLock<Registry>,
    workers: Mutex<Vec<Weak<worker::Handle>>>,
}

impl Executor {
    /// An executor on a store that is open. Its work runs on `runtime`, which must outlive it and have its time
    /// driver enabled.
    pub fn new(
        backend: SharedBackend,
        canonical: Arc<dyn Canonical>,
        runtime: tokio::runtime::Handle,
        logger: Arc<dyn Logger>,
    ) -> Self {
        Self::traced(backend, canonical, runtime, logger, None)
    }

    /// The same; and what its workers do is told to a tracer.
    pub fn traced(
        backend: SharedBackend,
        canonical: Arc<dyn Canonical>,
        runtime: tokio::runtime::Handle,
        logger: Arc<dyn Logger>,
        tracer: Option<Arc<dyn Tracer>>,
    ) -> Self {
        let waiters = Waiters::new(Arc::clone(&backend), runtime.clone());
        let (metrics, declared, doubts) = (Metrics::default(), Declared::default(), Doubts::default());
        let schedules = DeclaredSchedules::default();
        let core = Arc::new(Core { backend, canonical, runtime, logger, metrics, tracer, declared, doubts, schedules });
        Self(Arc::new(Inner { core, waiters, functions: RwLock::default(), workers: Mutex::default() }))
    }

    /// Makes a function known to the workers that are started from now on: with a handler, to those that call it;
    /// without one, to those whose host takes events. Its options hold from now on for what is dispatched and called
    /// here, until the store has the word of a worker.
    ///
    /// # Errors
    /// `CONFLICT` if the name is registered already; `INVALID` for a name or options that make no sense.
    pub fn register(&self, function: &str, options: FunctionOptions, handler: Option<Arc<dyn Handler>>) -> Result<()> {
        self.add(function, options, handler.map_or(Code::Host, Code::Handler))
    }

    /// Registers the handler of a function that takes many tasks in one call. A task takes a slot as any other, from when
    /// it is gathered until it has ended; so a worker gathers no more than it has slots.
    ///
    /// # Errors
    /// As [`Executor::register`].
    pub fn register_batch(
        &self,
        function: &str,
        options: FunctionOptions,
        batch: BatchOptions,
        handler: Arc<dyn BatchHandler>,
    ) -> Result<()> {
        batch.check()?;
        self.add(function, options, Code::Batch(batch, handler))
    }

    fn add(&self, function: &str, options: FunctionOptions, code: Code) -> Result<()> {
        check_name("function", function)?;
        options.check()?;
        let mut functions = self.0.functions.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if functions.contains_key(function) {
            return Err(Error::conflict(format!(
                "register: the function '{function}' is registered already; each name is registered once in an \
                 executor"
            )));
        }
        let options = Arc::new(options);
        self.0.core.declared.add(function, Arc::clone(&options));
        let registered = Registered { name: function.to_owned(), options, code };
        functions.insert(function.to_owned(), Arc::new(registered));
        Ok(())
    }

    /// Takes a function back: workers that are started from now on don't have it, those that run keep it.
    ///
    /// # Errors
    /// `NOT_FOUND` if the name is not registered.
    pub fn unregister(&self, function: &str) -> Result<()> {
        let taken = self.0.functions.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(function);
        // Its handler is dropped outside of the lock: what that calls may register functions.
        if taken.is_none() {
            return Err(Error::not_found(format!(
                "unregister: no function '{function}' is registered in this executor"
            )));
        }
        self.0.core.declared.remove(function);
        Ok(())
    }

    /// Starts a worker for the functions that are registered now. With an inbox it is for those without a handler, and
    /// their tasks are sent there as events; else for those with one. Returns at once: the worker is `starting` until
    /// it is registered in the store, however long that takes.
    ///
    /// # Errors
    /// `INVALID` for options that make no sense; `CONFLICT` if a worker of this id runs in this executor.
    pub fn start_worker(&self, options: WorkerOptions, inbox: Option<Arc<dyn Inbox>>) -> Result<Worker> {
        let mut functions = self.0.functions.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        functions.retain(|_, function| matches!(function.code, Code::Host) == inbox.is_some());
        let mut workers = sync::lock(&self.0.workers);
        workers.retain(|worker| worker.strong_count() > 0);
        if let Some(id) = &options.worker_id {
            let running = workers.iter().filter_map(Weak::upgrade).map(Worker::from_handle);
            if running.into_iter().any(|worker| worker.is(id)) {
                return Err(Error::conflict(format!("start worker: a worker of the id '{id}' runs already")));
            }
        }
        let worker = Worker::start(Arc::clone(&self.0.core), functions, options, inbox)?;
        workers.push(Arc::downgrade(worker.handle()));
        Ok(worker)
    }

    /// The workers of this executor that are not freed yet, stopped ones included.
    pub fn workers(&self) -> Vec<Worker> {
        sync::lock(&self.0.workers).iter().filter_map(Weak::upgrade).map(Worker::from_handle).collect()
    }

    /// Stops all workers at the same time; see [`Worker::stop`]. Returns the first error after all have been stopped.
    pub async fn shutdown(&self, timeout: Option<Duration>) -> Result<()> {
        let workers = self.workers();
        for worker in &workers {
            worker.drain();
        }
        let deadline = timeout.map(|timeout| tokio::time::Instant::now() + timeout);
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(tokio::time::Instant::now()));
        let stopped = futures_util::future::join_all(workers.iter().map(|worker| worker.stop(left()))).await;
        stopped.into_iter().fold(Ok(()), Result::and)
    }
}
