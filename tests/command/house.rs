//! A store with something in it, and the command on it.

use std::pin::{Pin, pin};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use stent::backend::postgres::Postgres;
use stent::backend::sqlite::Sqlite;
use stent::backend::{Request, Response, SharedBackend};
use stent::codec::CanonicalJson;
use stent::executor::{Executor, Silent, Task, Worker, WorkerState};
use stent::model::{
    CallOptions, DispatchOptions, Execution, ExecutionState, Failure, FunctionOptions, Id, Payload, Result,
    RetryPolicy, Schedule, Signal, SqliteOptions, Status, TaskKind, TaskState, Timestamp, WaitSignalOptions, When,
    WorkerOptions, child_id,
};
use tokio::runtime::Runtime;

/// Nothing here takes so long.
const SOON: Option<Duration> = Some(Duration::from_secs(30));

pub type Where = fn() -> (String, Option<tempfile::TempDir>);

pub fn sqlite() -> (String, Option<tempfile::TempDir>) {
    let folder = tempfile::tempdir().unwrap();
    (folder.path().join("store.db").to_str().unwrap().to_owned(), Some(folder))
}

pub fn postgres() -> (String, Option<tempfile::TempDir>) {
    (crate::postgres::fresh_url(""), None)
}

/// Each of these tests on both stores.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod sqlite { $(#[test] fn $test() { super::$test(crate::house::sqlite) })* }
        mod postgres { $(#[test] fn $test() { super::$test(crate::house::postgres) })* }
    };
}
pub(crate) use on_both;

pub struct House {
    pub url: String,
    pub backend: SharedBackend,
    pub executor: Executor,
    runtime: Runtime,
    _folder: Option<tempfile::TempDir>,
}

/// What the command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// The program, with nothing of the environment that it looks at.
pub fn stent() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stent"));
    for name in ["STENT_DB", "NO_COLOR", "PAGER", "LESS", "PGPASSWORD"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

pub fn run(args: &[&str]) -> Said {
    stent().args(args).output().unwrap().into()
}

impl House {
    pub fn new(place: Where) -> Self {
        let (url, folder) = place();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let backend: SharedBackend = if url.starts_with("postgresql:") {
            runtime.block_on(Postgres::open(&url)).unwrap()
        } else {
            runtime.block_on(Sqlite::open(&url, SqliteOptions::default())).unwrap()
        };
        let canonical = Arc::new(CanonicalJson);
        let executor = Executor::new(Arc::clone(&backend), canonical, runtime.handle().clone(), Arc::new(Silent));
        Self { url, backend, executor, runtime, _folder: folder }
    }

    pub fn on<T>(&self, work: impl Future<Output = T>) -> T {
        // The runtime's part is compiled for each result, and not for each work.
        let work: Pin<&mut dyn Future<Output = T>> = pin!(work);
        self.runtime.block_on(work)
    }

    pub fn ask(&self, request: Request) {
        self.on(self.backend.call(request)).unwrap();
    }

    /// `stent --db … ` with these words.
    pub fn say(&self, args: &[&str]) -> Said {
        stent().arg("--db").arg(&self.url).args(args).output().unwrap().into()
    }

    pub fn function(&self, name: &str, body: impl Fn(&Task) -> Result<()> + Send + Sync + 'static) {
        self.function_with(name, RetryPolicy { max_attempts: 1, ..RetryPolicy::default() }, body);
    }

    pub fn function_with(
        &self,
        name: &str,
        policy: RetryPolicy,
        body: impl Fn(&Task) -> Result<()> + Send + Sync + 'static,
    ) {
        let options = FunctionOptions { retry_policy: Some(policy), ..FunctionOptions::default() };
        let handler = move |task: &Task| body(task).map_or_else(|error| error.status(), |()| Status::Ok);
        self.executor.register(name, options, Some(Arc::new(handler))).unwrap();
    }

    /// The function `flaky`, which fails with this message, an hour before its next attempt, until it is told that it is
    /// healed.
    pub fn flaky(&self, message: &'static str) -> Arc<AtomicBool> {
        let healed = Arc::new(AtomicBool::new(false));
        let is_healed = Arc::clone(&healed);
        let policy =
            RetryPolicy { max_attempts: 9, initial_delay: 3600.0, max_delay: 3600.0, ..RetryPolicy::default() };
        self.function_with("flaky", policy, move |task| match is_healed.load(Ordering::SeqCst) {
            true => task.complete("1".into()),
            false => task.fail(Failure::new("Flaky", message)),
        });
        healed
    }

    pub fn worker(&self) -> Worker {
        let options = WorkerOptions { worker_id: Some("w1".to_owned()), ..WorkerOptions::default() };
        let worker = self.executor.start_worker(options, None).unwrap();
        self.on(worker.wait_state(WorkerState::Ready, SOON)).unwrap();
        worker
    }

    /// Orders that end well, that fail and that wait.
    pub fn furnish(&self) -> Worker {
        self.function("reserve", |task| task.complete(Payload::from(r#"{"items":3}"#)));
        self.function("charge", |task| task.fail(Failure::new("CardDeclined", "no funds")));
        self.function("order", |task| {
            task.call("reserve", task.args(), CallOptions::default())?;
            task.complete("\"shipped\"".into())
        });
        self.function("paid_order", |task| {
            task.call("reserve", task.args(), CallOptions::default())?;
            let charged = task.call("charge", task.args(), CallOptions::default())?;
            task.complete(charged)
        });
        self.function("approval", |task| {
            let said = task.wait_signal("approved", WaitSignalOptions::default())?;
            task.complete(said)
        });
        self.worker()
    }

    pub fn dispatch(&self, function: &str) -> Id {
        self.dispatch_with(function, "[7]")
    }

    pub fn dispatch_with(&self, function: &str, args: &str) -> Id {
        self.on(self.executor.dispatch(function, args.into(), DispatchOptions::default())).unwrap()
    }

    /// Approvals that are asked for at three in the night.
    pub fn schedule(&self, name: &str) {
        let nightly = Schedule::new(name, "approval", When::Cron("0 3 * * *".to_owned()));
        self.on(self.executor.put_schedule(nightly)).unwrap();
    }

    /// How many executions are in this state.
    pub fn count(&self, state: ExecutionState) -> u64 {
        match self.on(self.backend.call(Request::CountExecutions { state: Some(state) })).unwrap() {
            Response::Count(count) => count,
            other => panic!("{other:?}"),
        }
    }

    pub fn end_of(&self, id: Id) -> ExecutionState {
        self.on(self.executor.wait(id, SOON)).unwrap().execution.state
    }

    /// Until it is over.
    pub fn end(&self, function: &str) -> (Id, ExecutionState) {
        let id = self.dispatch(function);
        (id, self.on(self.executor.wait(id, SOON)).unwrap().execution.state)
    }

    /// Records of a fixed past, the same on every store: what the documents show.
    pub fn exhibit(&self) {
        let base = Timestamp::from_micros(1_764_300_000_000_000);
        let at = |millis: u64| base.after(Duration::from_millis(millis));
        let id = |n: u128| Id::from_u128(0x019a_c89a_f000_7000_8000_0000_0000_0000 + n);
        let execution = |n: u128, function: &str, state, created: u64| Execution {
            id: id(n),
            root_function: function.to_owned(),
            state,
            args: format!("[\"A-{n}\"]").as_str().into(),
            kwargs: Payload::empty_object(),
            retries: 0,
            created_at: at(created),
            started_at: Some(at(created + 12)),
            completed_at: None,
            expiry_at: None,
            progress: Vec::new(),
            tags: Vec::new(),
            priority: 0,
            queue: None,
            result: None,
            error: None,
        };
        let task = |n: u128, parent: Option<Id>, key: &str, kind, state, begins: u64, takes: u64| {
            let name = key.split('#').next().unwrap();
            let own = parent.map_or_else(|| child_id(id(n), 0, "root"), |parent| child_id(parent, 0, key));
            let mut task = stent::model::Task::new(own, id(n), kind, name, at(begins));
            task.parent_task_id = parent;
            task.step_key = parent.map(|_| key.to_owned());
            task.state = state;
            task.started_at = Some(at(begins + 5));
            task.completed_at = state.is_terminal().then(|| at(begins + 5 + takes));
            task
        };
        let (root, activity) = (TaskKind::Orchestrator, TaskKind::Activity);
        let (done, failed) = (TaskState::Completed, TaskState::Failed);

        let mut first = execution(1, "order", ExecutionState::Completed, 0);
        first.completed_at = Some(at(840));
        first.result = Some(r#"{"parcel": "P-77"}"#.into());
        self.ask(Request::CreateExecutionWithRootTask {
            execution: first,
            task: task(1, None, "order", root, done, 0, 835),
        });

        let declined = Failure::new("CardDeclined", "no funds");
        let mut second = execution(2, "order", ExecutionState::Failed, 2_000);
        second.completed_at = Some(at(6_300));
        second.error = Some(declined.clone());
        second.queue = Some("payments".to_owned());
        second.tags = vec!["eu".to_owned()];
        let mut top = task(2, None, "order", root, failed, 2_000, 4_290);
        top.error = Some(declined.clone());
        let parent = Some(top.id);
        self.ask(Request::CreateExecutionWithRootTask { execution: second, task: top });
        let mut reserve = task(2, parent, "reserve#1", activity, done, 2_020, 31);
        reserve.result = Some(r#"{"items":3}"#.into());
        let mut charge = task(2, parent, "charge#1", activity, failed, 2_060, 4_100);
        charge.error = Some(declined);
        charge.retries = 2;
        let letter = charge.clone();
        self.ask(Request::CreateTasks { tasks: vec![reserve, charge] });
        self.ask(Request::MoveTaskToDeadLetter { task: letter, reason: "its attempts are used up".to_owned() });
        let counters = [("attempts".to_owned(), stent::model::Number::Integer(3))].into();
        self.ask(Request::EnsureExecutionCounters { execution_id: id(2), counters });
        let (key, value) = ("stage".to_owned(), "\"charging\"".into());
        self.ask(Request::SetExecutionStateValue { execution_id: id(2), key, value });

        let mut third = execution(3, "approval", ExecutionState::Running, 9_000);
        // What it took would be another time each day.
        third.started_at = None;
        let top = task(3, None, "approval", root, TaskState::Waiting, 9_000, 0);
        let parent = Some(top.id);
        self.ask(Request::CreateExecutionWithRootTask { execution: third, task: top });
        let signal = task(3, parent, "approved#1", TaskKind::Signal, TaskState::Waiting, 9_020, 0);
        self.ask(Request::CreateTask { task: signal });
        let signal = Signal {
            execution_id: id(3),
            name: "note".to_owned(),
            payload: "\"call back\"".into(),
            created_at: at(9_500),
            consumed: false,
            consumed_at: None,
            id: None,
            sequence: 0,
        };
        self.ask(Request::CreateSignal { signal });
    }
}

pub fn until(what: &str, condition: impl Fn() -> bool) {
    until_mut(what, condition);
}

pub fn until_mut(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < SOON.unwrap(), "still not: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
