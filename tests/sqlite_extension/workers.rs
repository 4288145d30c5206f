//! Workers in other processes are woken by a host's commit: their own polls are an hour apart.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stent::backend::sqlite::Sqlite;
use stent::codec::CanonicalJson;
use stent::executor::{Executor, Silent, Task};
use stent::model::{FunctionOptions, SqliteOptions, Status, WorkerOptions};

use crate::host::{Host, Store};

/// Set for the worker's process: the store.
const WORKER: &str = "STENT_TEST_EXTENSION_STORE";
const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_secs(60);

async fn work(path: &Path) {
    let backend = Sqlite::open(path.to_str().unwrap(), SqliteOptions::default()).await.unwrap();
    let runtime = tokio::runtime::Handle::current();
    let executor = Executor::new(backend, Arc::new(CanonicalJson), runtime, Arc::new(Silent));
    let echo = |task: &Task| {
        let payload = task.args();
        task.complete(payload).map_or_else(|error| error.status(), |()| Status::Ok)
    };
    let waits = |task: &Task| match task.wait_signal("go", Default::default()) {
        Ok(payload) => task.complete(payload).map_or_else(|error| error.status(), |()| Status::Ok),
        Err(error) => error.status(),
    };
    executor.register("echo", FunctionOptions::default(), Some(Arc::new(echo))).unwrap();
    executor.register("waits", FunctionOptions::default(), Some(Arc::new(waits))).unwrap();
    let options = WorkerOptions { poll_interval: HOUR, poll_interval_max: HOUR, ..WorkerOptions::default() };
    let _worker = executor.start_worker(options, None).unwrap();
    std::io::stdout().write_all(b"ready\n").unwrap();
    // Until its parent ends, or ends it.
    let _end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
    std::process::exit(0);
}

struct Worker(Child);

impl Worker {
    fn start(store: &Store) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "workers::a_commit_wakes_workers_elsewhere", "--nocapture"]).env(WORKER, &store.path);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        assert!(said.lines().any(|line| line.unwrap().ends_with("ready")), "the worker's process has ended");
        Self(child)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

fn until(host: &Host, sql: &str, wanted: &str) {
    let begun = Instant::now();
    while host.one(sql) != wanted {
        assert!(begun.elapsed() < SOON, "{sql}: {} and not {wanted}", host.one(sql));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_commit_wakes_workers_elsewhere() {
    if let Some(path) = std::env::var_os(WORKER) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(work(Path::new(&path)));
    }
    let store = Store::new();
    let host = Host::open(&store.path);
    host.wait_for_locks(60_000);
    let _worker = Worker::start(&store);
    host.rows("CREATE TABLE orders (job TEXT)");
    let open = "SELECT count(*) FROM executions WHERE state <> 'completed'";
    for _ in 0..20 {
        host.rows("BEGIN IMMEDIATE; INSERT INTO orders VALUES (stent_dispatch('echo', '[1]')); COMMIT");
        until(&host, open, "0");
    }
    // What is rolled back wakes nobody into doing it.
    host.rows("BEGIN IMMEDIATE; INSERT INTO orders VALUES (stent_dispatch('echo', '[2]')); ROLLBACK");
    let id = host.one("SELECT stent_dispatch('waits')");
    until(&host, "SELECT count(*) FROM tasks WHERE kind = 'signal' AND state = 'waiting'", "1");
    host.rows(&format!("BEGIN IMMEDIATE; SELECT stent_signal('{id}', 'go', '{{\"a\": 1.50}}'); COMMIT"));
    until(&host, open, "0");
    assert_eq!(host.one("SELECT CAST(result AS TEXT) FROM executions WHERE root_function = 'waits'"), "{\"a\": 1.50}");
    // What is due later is known to those who sleep.
    host.rows("SELECT stent_dispatch('echo', '[3]', '{\"delay\": 0.2}')");
    until(&host, open, "0");
    let cancelled = host.one("SELECT stent_dispatch('waits')");
    until(&host, "SELECT count(*) FROM tasks WHERE kind = 'signal' AND state = 'waiting'", "1");
    host.rows(&format!("SELECT stent_cancel('{cancelled}', 'enough')"));
    until(&host, "SELECT count(*) FROM executions WHERE state = 'cancelled' AND cancel_reason = 'enough'", "1");
    assert_eq!(host.one("SELECT count(*) FROM executions"), "23");
    assert_eq!(host.one("SELECT count(*) FROM orders"), "20");
}
