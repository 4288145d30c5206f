//! A worker whose process is frozen (SIGSTOP) until its leases are over, and then goes on.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stent::backend::sqlite::Sqlite;
use stent::backend::{Request, Response, SharedBackend};
use stent::codec::CanonicalJson;
use stent::executor::{Executor, Silent, Task};
use stent::model::{
    DispatchOptions, ExecutionState, FunctionOptions, SqliteOptions, Status, Synchronous, TaskState, WorkerOptions,
};

/// Set for the worker's process: the folder that it works in.
const WORKER: &str = "STENT_TEST_FREEZE_FOLDER";
const TEST: &str = "what_is_prefetched_does_not_begin_after_a_freeze";
const SLOTS: usize = 4;
/// Many more than run at once, and each takes no time when the first are let go.
const TASKS: usize = 100;
const LEASE: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(60);

async fn open(folder: &Path) -> SharedBackend {
    let options = SqliteOptions { synchronous: Synchronous::Off, ..SqliteOptions::default() };
    Sqlite::open(folder.join("store.db").to_str().unwrap(), options).await.unwrap()
}

fn executor(backend: SharedBackend) -> Executor {
    Executor::new(backend, Arc::new(CanonicalJson), tokio::runtime::Handle::current(), Arc::new(Silent))
}

fn handler(executor: &Executor, name: &str, body: impl Fn(&Task) + Send + Sync + 'static) {
    let handler = move |task: &Task| {
        body(task);
        task.complete("1".into()).map_or_else(|error| error.status(), |()| Status::Ok)
    };
    executor.register(name, FunctionOptions::default(), Some(Arc::new(handler))).unwrap();
}

/// The process that is frozen: a line for each body that begins.
async fn work(folder: &Path) {
    let executor = executor(open(folder).await);
    let (ran, open) = (folder.join("ran"), folder.join("open"));
    handler(&executor, "body", move |_| {
        let mut file = OpenOptions::new().append(true).create(true).open(&ran).unwrap();
        file.write_all(b"body\n").unwrap();
        while !open.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    handler(&executor, "mark", |_| {});
    let options = WorkerOptions {
        max_concurrency: SLOTS,
        prefetch: Some(TASKS),
        lease_duration: LEASE,
        poll_interval: Duration::from_millis(50),
        ..WorkerOptions::default()
    };
    let _worker = executor.start_worker(options, None).unwrap();
    // Until its parent ends, or ends it.
    let _end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
    std::process::exit(0);
}

struct Worker(Child);

impl Worker {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", TEST, "--nocapture"]).env(WORKER, folder);
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn is_frozen(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < SOON, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn running(store: &SharedBackend) -> u64 {
    match store.call(Request::CountTasks { queue: None, state: Some(TaskState::Running) }).await.unwrap() {
        Response::Count(count) => count,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_prefetched_does_not_begin_after_a_freeze() {
    if let Some(folder) = std::env::var_os(WORKER) {
        return work(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let executor = executor(Arc::clone(&store));
    handler(&executor, "body", |_| {});
    let mut ids = Vec::new();
    for _ in 0..TASKS {
        ids.push(executor.dispatch("body", "[]".into(), DispatchOptions::default()).await.unwrap());
    }
    let worker = Worker::start(folder.path());
    let begun = || std::fs::read_to_string(folder.path().join("ran")).unwrap_or_default().lines().count();
    until("it has claimed them", async || running(&store).await >= TASKS as u64 / 2 && begun() == SLOTS).await;
    worker.signal("STOP");
    until("it is frozen", async || worker.is_frozen()).await;

    // When their leases are over, all of them are done here.
    let _here = executor.start_worker(WorkerOptions::default(), None).unwrap();
    for id in ids {
        let ended = executor.wait(id, Some(SOON)).await.unwrap();
        assert_eq!(ended.execution.state, ExecutionState::Completed);
    }
    std::fs::write(folder.path().join("open"), "").unwrap();
    worker.signal("CONT");
    // After all that was before it in the frozen worker's queue.
    let mark = executor.dispatch("mark", "[]".into(), DispatchOptions::default()).await.unwrap();
    executor.result(mark, Some(SOON)).await.unwrap();
    assert_eq!(begun(), SLOTS, "bodies began after their leases had ended");
}
