//! A fresh store, an executor on it, and workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use stent::backend::postgres::Postgres;
use stent::backend::sqlite::{Sqlite, SqliteOptions};
use stent::backend::{Request, Response, SharedBackend};
use stent::codec::CanonicalJson;
use stent::executor::{Executor, Silent, Task, Worker, WorkerState};
use stent::model::{
    DispatchOptions, DispatchRequest, Error, ExecutionState, FunctionOptions, Id, Payload, Status, TaskState,
    WorkerOptions,
};
use tokio::runtime::Runtime;

pub type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// Nothing here takes longer, unless something is stuck.
const PATIENCE: Duration = Duration::from_secs(600);

/// A folder for files on a disk; its content goes away with it.
pub fn folder() -> Result<tempfile::TempDir> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// As many threads for the stores as the C library has.
pub fn runtime() -> Result<Runtime> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(4);
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?)
}

pub struct Stage {
    pub runtime: Runtime,
    pub executor: Executor,
    backend: SharedBackend,
}

impl Stage {
    /// On a store that is new, or that was used before.
    pub fn at(url: &str) -> Result<Self> {
        let runtime = runtime()?;
        let backend: SharedBackend = if url.starts_with("postgres") {
            runtime.block_on(Postgres::open(url))?
        } else {
            runtime.block_on(Sqlite::open(url, SqliteOptions::default()))?
        };
        let executor = executor(&backend, &runtime);
        Ok(Self { runtime, executor, backend })
    }

    /// Forgets the functions that are registered.
    pub fn fresh_executor(&mut self) {
        self.executor = executor(&self.backend, &self.runtime);
    }

    /// Registers a handler. The counter tells how often it has run.
    pub fn register<F>(&self, function: &str, handler: F) -> Result<Arc<AtomicUsize>>
    where
        F: Fn(&Task) -> Result<(), Error> + Send + Sync + 'static,
    {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let run = move |task: &Task| {
            counted.fetch_add(1, Ordering::Relaxed);
            handler(task).map_or_else(|error| error.status(), |()| Status::Ok)
        };
        self.executor.register(function, FunctionOptions::default(), Some(Arc::new(run)))?;
        Ok(runs)
    }

    /// Starts a worker and waits until it is ready. It takes what has no queue of its own.
    pub fn worker(&self, slots: usize) -> Result<Worker> {
        let queues = vec!["here".to_owned()];
        let options = WorkerOptions { max_concurrency: slots, queues, ..WorkerOptions::default() };
        let worker = self.executor.start_worker(options, None)?;
        self.runtime.block_on(worker.wait_state(WorkerState::Ready, Some(PATIENCE)))?;
        Ok(worker)
    }

    pub fn stop(&self, worker: &Worker) -> Result<()> {
        Ok(self.runtime.block_on(worker.stop(Some(PATIENCE)))?)
    }

    pub fn dispatch(&self, function: &str, args: &str) -> Result<Id> {
        self.dispatch_with(function, args, DispatchOptions::default())
    }

    pub fn dispatch_with(&self, function: &str, args: &str, options: DispatchOptions) -> Result<Id> {
        Ok(self.runtime.block_on(self.executor.dispatch(function, args.into(), options))?)
    }

    pub fn dispatch_many(&self, function: &str, args: &str, count: usize) -> Result<Vec<Id>> {
        let request = DispatchRequest {
            function: function.to_owned(),
            args: Payload::from(args),
            options: DispatchOptions::default(),
        };
        Ok(self.runtime.block_on(self.executor.dispatch_many(vec![request; count]))?)
    }

    /// Waits until all of these have completed.
    pub fn wait_all(&self, executions: &[Id]) -> Result<()> {
        self.runtime.block_on(async {
            for id in executions {
                let state = self.executor.wait(*id, Some(PATIENCE)).await?.execution.state;
                if state != ExecutionState::Completed {
                    return Err(format!("execution {id} has ended as {state}").into());
                }
            }
            Ok(())
        })
    }

    /// Waits until a handler has run so often and what became of it is recorded: the worker holds nothing any more. The
    /// store is not asked, for that would be work for it.
    pub fn until_recorded(&self, worker: &Worker, runs: &AtomicUsize, count: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while runs.load(Ordering::Relaxed) < count || worker.status().held > 0 {
            if Instant::now() > deadline {
                return Err(format!("{} of {count} runs have come", runs.load(Ordering::Relaxed)).into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// How many tasks are in a state; it is to be `count`.
    pub fn expect_tasks(&self, state: TaskState, count: usize) -> Result<()> {
        self.expect(Request::CountTasks { queue: None, state: Some(state) }, count)
    }

    pub fn expect_executions(&self, state: ExecutionState, count: usize) -> Result<()> {
        self.expect(Request::CountExecutions { state: Some(state) }, count)
    }

    fn expect(&self, request: Request, count: usize) -> Result<()> {
        match self.runtime.block_on(self.backend.call(request.clone()))? {
            Response::Count(found) if found == count as u64 => Ok(()),
            other => Err(format!("{request:?} answers {other:?}, and {count} are expected").into()),
        }
    }
}

fn executor(backend: &SharedBackend, runtime: &Runtime) -> Executor {
    Executor::new(Arc::clone(backend), Arc::new(CanonicalJson), runtime.handle().clone(), Arc::new(Silent))
}

/// A handler that does nothing.
pub fn noop(task: &Task) -> Result<(), Error> {
    task.complete(Payload::null())
}
