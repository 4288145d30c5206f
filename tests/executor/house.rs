//! A store, an executor and helpers for the tests.

use std::any::Any;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stent::backend::SharedBackend;
use stent::backend::postgres::Postgres;
use stent::backend::sqlite::Sqlite;
use stent::codec::CanonicalJson;
use stent::executor::{Executor, LogRecord, Logger, Task, Worker, WorkerState};
use stent::model::{
    DispatchOptions, FunctionOptions, Id, Level, Payload, Result, RetryPolicy, SqliteOptions, Status, WorkerOptions,
};
use tokio::runtime::Runtime;

/// Nothing here takes so long; a test that waits this long has failed.
pub const SOON: Option<Duration> = Some(Duration::from_secs(60));

pub struct House {
    pub executor: Executor,
    #[allow(dead_code, reason = "not each of the test programs asks the store itself")]
    pub backend: SharedBackend,
    #[allow(dead_code, reason = "not each of the test programs reads the log")]
    pub lines: Lines,
    runtime: Runtime,
    _folder: Option<tempfile::TempDir>,
    /// Given back when nothing of this is left.
    _lent: Option<Holder>,
}

/// Where the tests run: a SQLite file, or a schema of a PostgreSQL server.
#[derive(Clone, Copy)]
pub enum Kind {
    #[allow(dead_code, reason = "each of the test programs has one")]
    Sqlite,
    /// The URL of a schema that nobody has used yet; and of one that is a house's alone as long as its holder is there.
    #[allow(dead_code, reason = "each of the test programs has one")]
    Postgres { fresh_url: fn() -> String, lend: fn() -> (String, Option<Holder>) },
    /// A SQLite file behind a custom backend that answers the protocol's operations alone.
    #[allow(dead_code, reason = "each of the test programs has one")]
    Protocol(fn(SharedBackend) -> SharedBackend),
}

pub type Holder = Box<dyn Any + Send + Sync>;

impl Kind {
    /// So many, or fewer where each of them costs a score of questions.
    pub const fn many(self, count: usize) -> usize {
        match self {
            Self::Sqlite | Self::Postgres { .. } => count,
            Self::Protocol(_) => count / 20,
        }
    }
}

/// What was logged.
pub type Lines = Arc<Mutex<Vec<(Level, LogRecord)>>>;

struct Stderr(Lines);

impl Logger for Stderr {
    fn log(&self, level: Level, record: &LogRecord) {
        self.0.lock().unwrap().push((level, record.clone()));
        eprintln!("{} {}: {} {:?}", level, record.target, record.message, record.fields);
    }
}

impl House {
    pub fn new() -> Self {
        Self::with(|store| store)
    }

    /// A house whose executor speaks to the store through something else.
    pub fn with(wrap: impl FnOnce(SharedBackend) -> SharedBackend) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (place, lent) = match crate::KIND {
            Kind::Sqlite | Kind::Protocol(_) => (folder.path().join("store.db").to_str().unwrap().to_owned(), None),
            Kind::Postgres { lend, .. } => lend(),
        };
        Self { _folder: Some(folder), _lent: lent, ..Self::open(&place, wrap) }
    }

    /// On a store that there is already, maybe.
    #[allow(dead_code, reason = "not every test program shares its stores")]
    pub fn at(place: &str) -> Self {
        Self::open(place, |store| store)
    }

    fn open(place: &str, wrap: impl FnOnce(SharedBackend) -> SharedBackend) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let store: SharedBackend = if place.starts_with("postgresql:") {
            runtime.block_on(Postgres::open(place)).unwrap()
        } else {
            runtime.block_on(Sqlite::open(place, SqliteOptions::default())).unwrap()
        };
        let backend = match crate::KIND {
            Kind::Protocol(around) => runtime.block_on(async { around(wrap(store)) }),
            Kind::Sqlite | Kind::Postgres { .. } => runtime.block_on(async { wrap(store) }),
        };
        let lines = Lines::default();
        let logger = Arc::new(Stderr(Arc::clone(&lines)));
        let executor = Executor::new(Arc::clone(&backend), Arc::new(CanonicalJson), runtime.handle().clone(), logger);
        Self { executor, backend, lines, runtime, _folder: None, _lent: None }
    }

    pub fn on<T>(&self, work: impl Future<Output = T>) -> T {
        // The runtime's part is compiled for each result, and not for each work.
        let work: Pin<&mut dyn Future<Output = T>> = pin!(work);
        self.runtime.block_on(work)
    }

    pub fn function(&self, name: &str, body: impl Fn(&Task) -> Result<()> + Send + Sync + 'static) {
        self.function_with(name, FunctionOptions::default(), body);
    }

    /// A handler that returns the status of whatever error stopped it.
    pub fn function_with(
        &self,
        name: &str,
        options: FunctionOptions,
        body: impl Fn(&Task) -> Result<()> + Send + Sync + 'static,
    ) {
        let handler = move |task: &Task| body(task).map_or_else(|error| error.status(), |()| Status::Ok);
        self.executor.register(name, options, Some(Arc::new(handler))).unwrap();
    }

    /// One that completes with its first argument's array.
    pub fn echo(&self, name: &str) {
        self.function(name, |task| task.complete(task.args()));
    }

    pub fn worker(&self, slots: usize) -> Worker {
        self.worker_with(WorkerOptions { max_concurrency: slots, ..WorkerOptions::default() })
    }

    pub fn worker_with(&self, options: WorkerOptions) -> Worker {
        let worker = self.executor.start_worker(options, None).unwrap();
        self.on(worker.wait_state(WorkerState::Ready, SOON)).unwrap();
        worker
    }

    pub fn dispatch(&self, function: &str, args: &str) -> Id {
        self.on(self.executor.dispatch(function, args.into(), DispatchOptions::default())).unwrap()
    }

    pub fn result(&self, id: Id) -> Result<Payload> {
        self.on(self.executor.result(id, SOON))
    }

    pub fn run(&self, function: &str, args: &str) -> Result<Payload> {
        self.result(self.dispatch(function, args))
    }
}

/// Tried again at once, so often.
pub fn tries(max_attempts: u32) -> FunctionOptions {
    let policy = RetryPolicy { max_attempts, initial_delay: 0.01, jitter: 0.0, ..RetryPolicy::default() };
    FunctionOptions { retry_policy: Some(policy), ..FunctionOptions::default() }
}

pub fn text(payload: &Payload) -> &str {
    std::str::from_utf8(payload.as_bytes()).unwrap()
}

pub fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < SOON.unwrap(), "still not: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A number that handlers count up.
#[derive(Clone, Default)]
pub struct Count(Arc<AtomicUsize>);

impl Count {
    pub fn up(&self) -> usize {
        self.0.fetch_add(1, SeqCst) + 1
    }

    pub fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}
