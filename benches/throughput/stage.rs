//! A store on a fresh file, an executor on it, and workers.

use std::path::Path;
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
    _folder: Option<tempfile::TempDir>,
}

impl Stage {
    /// A store on a new file.
    pub fn new() -> Result<Self> {
        let folder = folder()?;
        let path = folder.path().join("bench.db");
        Self::open(&path, Some(folder))
    }

    /// A store on a file that may be there already.
    pub fn at(path: &Path) -> Result<Self> {
        Self::open(path, None)
    }

    fn open(path: &Path, folder: Option<tempfile::TempDir>) -> Result<Self> {
        let runtime = runtime()?;
        let url = path.to_str().ok_or("the path is not UTF-8")?;
        let backend: SharedBackend = match std::env::var("STENT_BENCH_POSTGRES") {
            Ok(server) => runtime.block_on(Postgres::open(&schema_of_its_own(&server)))?,
            Err(_) => runtime.block_on(Sqlite::open(url, SqliteOptions::default()))?,
        };
        let executor = executor(&backend, &runtime);
        Ok(Self { runtime, executor, backend, _folder: folder })
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

    /// Starts a worker and waits until it is ready.
    pub fn worker(&self, slots: usize) -> Result<Worker> {
        let options = WorkerOptions { max_concurrency: slots, ..WorkerOptions::default() };
        let worker = self.executor.start_worker(options, None)?;
        self.runtime.block_on(worker.wait_state(WorkerState::Ready, Some(PATIENCE)))?;
        Ok(worker)
    }

    pub fn stop(&self, worker: &Worker) -> Result<()> {
        Ok(self.runtime.block_on(worker.stop(Some(PATIENCE)))?)
    }

    pub fn dispatch(&self, function: &str, args: &str) -> Result<Id> {
        Ok(self.runtime.block_on(self.executor.dispatch(function, args.into(), DispatchOptions::default()))?)
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

    /// Waits until a handler has run so often: cheaper for the store than to be asked again and again.
    pub fn until_runs(&self, runs: &AtomicUsize, count: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while runs.load(Ordering::Relaxed) < count {
            if Instant::now() > deadline {
                return Err(format!("{} of {count} runs have come", runs.load(Ordering::Relaxed)).into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Waits until so many tasks are in a state, looking again and again.
    pub fn until_tasks(&self, state: TaskState, count: usize) -> Result<()> {
        self.until(Request::CountTasks { queue: None, state: Some(state) }, count)
    }

    pub fn until_executions(&self, state: ExecutionState, count: usize) -> Result<()> {
        self.until(Request::CountExecutions { state: Some(state) }, count)
    }

    fn until(&self, request: Request, count: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.runtime.block_on(self.backend.call(request.clone()))? {
                Response::Count(now) if now >= count as u64 => return Ok(()),
                Response::Count(now) if Instant::now() > deadline => {
                    return Err(format!("{request:?} is still {now}, and {count} are awaited").into());
                }
                Response::Count(_) => std::thread::sleep(Duration::from_millis(10)),
                other => return Err(format!("{request:?} answers {other:?}").into()),
            }
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

/// A schema that nobody has used yet.
fn schema_of_its_own(server: &str) -> String {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let joint = if server.contains('?') { '&' } else { '?' };
    format!("{server}{joint}schema=bench_{}_{number}", std::process::id())
}
