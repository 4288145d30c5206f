//! What the tests share: stores of both kinds, workers, conditions, the scenario worker as a process.

// Each test program has its part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stent::{Arguments, Executor, Failure, Function, Status, Store, TaskRecord, Worker, WorkerOptions};
use tempfile::TempDir;

/// A condition that has not come true by then never will.
pub const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

/// Makes a test for each store of functions that take a [`Here`].
#[macro_export]
macro_rules! on_both_stores {
    ($($name:ident,)*) => {
        mod sqlite {
            $(#[test] fn $name() { super::$name(&$crate::house::Here::sqlite()); })*
        }
        mod postgres {
            $(#[test] fn $name() { super::$name(&$crate::house::Here::postgres()); })*
        }
    };
}

/// A store with the functions on it; a worker when asked for.
pub struct Here {
    pub url: String,
    pub store: Store,
    pub executor: Executor,
    folder: TempDir,
}

impl Here {
    pub fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let url = folder.path().join("store.db").display().to_string();
        Self::new(folder, url)
    }

    /// In a schema that nobody has used yet.
    pub fn postgres() -> Self {
        static SCHEMAS: AtomicU32 = AtomicU32::new(0);
        let server =
            std::env::var("STENT_TEST_POSTGRES").expect("STENT_TEST_POSTGRES; run the tests by scripts/with-postgres");
        let joint = if server.contains('?') { '&' } else { '?' };
        let (process, number) = (std::process::id(), SCHEMAS.fetch_add(1, Ordering::Relaxed));
        let url = format!("{server}{joint}schema=test_rust_{process}_{number}&min_size=0&max_size=6");
        Self::new(TempDir::new().unwrap(), url)
    }

    fn new(folder: TempDir, url: String) -> Self {
        let store = Store::open(&url).unwrap();
        let executor = Executor::new(&store).unwrap();
        scenarios::register(&executor).unwrap();
        Self { url, store, executor, folder }
    }

    pub fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn worker(&self) -> Running {
        self.worker_as(&WorkerOptions::new())
    }

    pub fn worker_as(&self, options: &WorkerOptions) -> Running {
        let worker = self.executor.start_worker(options).unwrap();
        worker.wait("ready", PATIENCE).unwrap();
        Running(worker)
    }

    /// The failure of a function.
    pub fn failure<A: Arguments>(&self, function: &Function<A, impl Sized>, args: A) -> Failure {
        let untyped: Function<A, Value> = Function::named(function.name());
        let error = self.executor.dispatch(&untyped, args).unwrap().result(PATIENCE).unwrap_err();
        assert_eq!(error.status(), Status::Failed, "{error}");
        error.failure().unwrap().clone()
    }

    pub fn tasks(&self, execution: &str) -> Vec<TaskRecord> {
        self.store.call("list_tasks_for_execution", &json!({"execution_id": execution})).unwrap()
    }

    pub fn process(&self) -> Process {
        let program = Path::new(env!("CARGO_BIN_EXE_scenarios"));
        let mut process = Process::start(program, &[&self.url, r#"{"lease_duration": "4s"}"#]);
        process.expect("ready");
        process
    }
}

/// An example's program, which cargo has built beside this one.
pub fn example(name: &str) -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().join("../examples").join(name)
}

/// A worker that is stopped at the test's end.
pub struct Running(pub Worker);

impl Drop for Running {
    fn drop(&mut self) {
        let stopped = self.0.stop(PATIENCE);
        if !std::thread::panicking() {
            stopped.unwrap();
        }
    }
}

/// The scenario worker as a process, which ends with this.
pub struct Process {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Process {
    pub fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Process { child, said }
    }

    pub fn expect(&mut self, wanted: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), wanted);
    }

    pub fn tell(&self, signal: i32) {
        // SAFETY: a signal to a child that was not waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// Waits for its end: the code, none for a signal.
    pub fn code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A line that came to the `log` facade.
#[derive(Clone, Debug)]
pub struct SaidLine {
    pub level: log::Level,
    pub target: String,
    pub text: String,
    pub facts: BTreeMap<String, String>,
}

/// The logger of a process, which keeps its lines.
pub struct Said(Mutex<Vec<SaidLine>>);

impl Said {
    /// Set on the first call. Lines of debugging are not wanted.
    pub fn of_this_process() -> &'static Self {
        static SAID: Said = Said(Mutex::new(Vec::new()));
        if log::set_logger(&SAID).is_ok() {
            log::set_max_level(log::LevelFilter::Info);
        }
        &SAID
    }

    pub fn lines(&self) -> Vec<SaidLine> {
        self.0.lock().unwrap().clone()
    }
}

impl log::Log for Said {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        let mut facts = Facts::default();
        record.key_values().visit(&mut facts).unwrap();
        let (target, text) = (record.target().to_owned(), record.args().to_string());
        self.0.lock().unwrap().push(SaidLine { level: record.level(), target, text, facts: facts.0 });
    }

    fn flush(&self) {}
}

#[derive(Default)]
struct Facts(BTreeMap<String, String>);

impl<'kvs> log::kv::VisitSource<'kvs> for Facts {
    fn visit_pair(&mut self, key: log::kv::Key<'kvs>, value: log::kv::Value<'kvs>) -> Result<(), log::kv::Error> {
        self.0.insert(key.to_string(), value.to_string());
        Ok(())
    }
}

pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE.unwrap(), "never came true: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
