//! For tests of workflows: a store in memory and a worker on it, in one line.
//!
//! ```
//! # use stent::Function;
//! # const GREET: Function<(String,), String> = Function::new("greet");
//! # fn greet(_: &stent::Task, (name,): (String,)) -> stent::HandlerResult<String> { Ok(format!("hello, {name}")) }
//! let host = stent::testing::host(|executor| executor.register(&GREET, greet));
//! assert_eq!(host.run(&GREET, ("ada".to_owned(),)).unwrap(), "hello, ada");
//! ```

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::executor::Executor;
use crate::function::{Arguments, Function};
use crate::library::{Level, LogLine};
use crate::options::{LogOptions, WorkerOptions};
use crate::store::Store;
use crate::worker::Worker;

/// What has not come to its end by then never will.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));

/// An [`Executor`] on a store in memory, and a worker on it. Whoever drops it waits until no handler runs any more; one that
/// goes on for more than half a minute makes the test panic. Warnings and errors of the library are written to the standard
/// error then, where a test that fails shows them.
pub struct Host {
    executor: Executor,
    store: Store,
    worker: Worker,
    said: Arc<Mutex<Vec<String>>>,
}

/// Registers functions, and starts a worker for them. Panics if that fails.
pub fn host(register: impl FnOnce(&Executor) -> Result<()>) -> Host {
    host_with(&WorkerOptions::new(), register)
}

/// As [`host`], with options for the worker.
pub fn host_with(options: &WorkerOptions, register: impl FnOnce(&Executor) -> Result<()>) -> Host {
    let made = || {
        let store = Store::open(":memory:")?;
        let executor = Executor::new(&store)?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines = said.clone();
        let hear = move |level: Level, line: LogLine| {
            let text = format!("stent: {level:?}: {} {}", line.message, line.fields);
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        };
        executor.set_log_handler(&LogOptions::new().level("warn"), hear)?;
        register(&executor)?;
        let worker = executor.start_worker(options)?;
        worker.wait("ready", PATIENCE)?;
        Ok(Host { executor, store, worker, said })
    };
    made().unwrap_or_else(|why: crate::Error| panic!("the worker of the test: {why}"))
}

impl Host {
    /// Runs a function from its dispatch to its result.
    pub fn run<A: Arguments, R: DeserializeOwned>(&self, function: &Function<A, R>, args: A) -> Result<R> {
        self.executor.dispatch(function, args)?.result(PATIENCE)
    }

    /// The worker.
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

impl Deref for Host {
    type Target = Executor;

    fn deref(&self) -> &Executor {
        &self.executor
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let ended = self.store.shutdown(PATIENCE);
        // Here, and not as they come: by the thread of the test, whose output is the test's.
        for line in self.said.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            eprintln!("{line}");
        }
        if let (Err(why), false) = (ended, thread::panicking()) {
            panic!("the worker of the test: {why}");
        }
    }
}
