//! Workers that are killed with SIGKILL at random moments, two processes at once on one file: every execution ends, each
//! operation is recorded once, no effect is lost or doubled, no signal is lost; handlers' bodies run at least once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng as _;
use stent::backend::sqlite::Sqlite;
use stent::backend::{DeadLetterFilter, JournalRequest, NewSignal, Request, Response, SharedBackend};
use stent::codec::CanonicalJson;
use stent::executor::{Executor, LogRecord, Logger, Task};
use stent::model::{
    CallOptions, DispatchOptions, ExecutionState, FunctionOptions, Id, Level, Number, Payload, Result, RetryPolicy,
    SqliteOptions, Status, Synchronous, TaskState, WaitSignalOptions, WorkerOptions, child_id,
};

/// Set for a worker's process: the folder that it works in.
const WORKER: &str = "STENT_TEST_CRASH_FOLDER";
const TEST: &str = "nothing_is_lost_or_doubled_when_workers_are_killed";
const KILLS: usize = 24;
/// New orders before each kill, so that there is always something to interrupt.
const ORDERS: usize = 3;
const FAN_OUT: u32 = 8;
const CALLS: u32 = 3;
/// All kills and the rest of the work; it takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(300);

struct Silent;

impl Logger for Silent {
    fn log(&self, _: Level, _: &LogRecord) {}
}

fn text(payload: &Payload) -> &str {
    std::str::from_utf8(payload.as_bytes()).unwrap()
}

/// A kill loses no commit, whatever was waited for; the test is about kills.
async fn open(folder: &Path) -> SharedBackend {
    let options = SqliteOptions { synchronous: Synchronous::Off, ..SqliteOptions::default() };
    Sqlite::open(folder.join("store.db").to_str().unwrap(), options).await.unwrap()
}

fn executor(backend: SharedBackend) -> Executor {
    Executor::new(backend, Arc::new(CanonicalJson), tokio::runtime::Handle::current(), Arc::new(Silent))
}

// What the workers run.

/// Outside of the store: the bodies that ran, a line for each run.
fn ran(folder: &Path, task: &Task) {
    let mut file = OpenOptions::new().append(true).create(true).open(folder.join("ran")).unwrap();
    file.write_all(format!("{}\n", task.info().task_id).as_bytes()).unwrap();
}

fn line(folder: &Path, task: &Task) -> Result<()> {
    ran(folder, task);
    task.counter_add("lines", Number::Integer(1))?;
    task.complete(task.args())
}

fn order(folder: &Path, task: &Task) -> Result<()> {
    ran(folder, task);
    task.counter_add("begun", Number::Integer(1))?;
    let charge = task.step_begin("charge", None)?;
    if !charge.recorded {
        task.step_end(charge.op, Ok("\"charged\"".into()))?;
    }
    let mut said = vec![text(&task.result(charge.op)?).to_owned()];
    for number in 0..CALLS {
        let args = format!("[{number}]");
        said.push(text(&task.call("line", args.into(), CallOptions::default())?).to_owned());
    }
    let args = (0..FAN_OUT).map(|number| format!("[{number}]").into()).collect();
    for result in task.map("line", args, CallOptions::default())? {
        said.push(text(&result).to_owned());
    }
    for _ in 0..2 {
        said.push(text(&task.wait_signal("go", WaitSignalOptions::default())?).to_owned());
    }
    task.sleep(Duration::from_millis(5), None)?;
    task.counter_add("over", Number::Integer(1))?;
    task.state_set("last", "\"over\"".into())?;
    task.complete(format!("[{}]", said.join(",")).into())
}

fn expected_result() -> String {
    let lines = |count: u32| (0..count).map(|number| format!("[{number}]")).collect::<Vec<_>>();
    let said = [vec!["\"charged\"".to_owned()], lines(CALLS), lines(FAN_OUT), vec!["1".to_owned(), "2".to_owned()]];
    format!("[{}]", said.concat().join(","))
}

type Body = fn(&Path, &Task) -> Result<()>;

/// A worker's process: works until it is killed, or until whoever started it is gone.
async fn be_a_worker(folder: PathBuf) {
    let executor = executor(open(&folder).await);
    for (name, body) in [("order", order as Body), ("line", line as Body)] {
        let folder = folder.clone();
        let handler = move |task: &Task| body(&folder, task).map_or_else(|error| error.status(), |()| Status::Ok);
        // A task may have the bad luck to be there at every kill.
        let policy = RetryPolicy { max_deaths: 1000, ..RetryPolicy::default() };
        let options = FunctionOptions { retry_policy: Some(policy), ..FunctionOptions::default() };
        executor.register(name, options, Some(Arc::new(handler))).unwrap();
    }
    let options = WorkerOptions {
        max_concurrency: 4,
        lease_duration: Duration::from_millis(400),
        poll_interval: Duration::from_millis(50),
        poll_interval_max: Duration::from_millis(100),
        ..WorkerOptions::default()
    };
    let _worker = executor.start_worker(options, None).unwrap();
    let orphaned = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    orphaned.await.unwrap().unwrap();
}

fn start_worker(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(WORKER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn kill(mut worker: Child) {
    worker.kill().unwrap();
    worker.wait().unwrap();
}

// What the test does.

/// Sent twice, as a sender does that got no answer: it counts once. An order that is over has had it.
async fn send(executor: &Executor, execution: Id, number: u32) {
    let payload = number.to_string();
    let signal = NewSignal { execution, name: "go".into(), id: Some(payload.clone()), payload: payload.into() };
    for _ in 0..2 {
        let sent = executor.signal(signal.clone()).await;
        assert!(sent.is_ok() || sent.is_err_and(|why| why.status() == Status::Conflict));
    }
}

async fn look_at(backend: &SharedBackend, execution: Id, runs: &BTreeMap<Id, usize>) {
    let snapshot = backend.snapshot(execution).await.unwrap().unwrap();
    assert_eq!(snapshot.execution.state, ExecutionState::Completed);
    assert_eq!(text(snapshot.execution.result.as_ref().unwrap()), expected_result());
    let counted: BTreeMap<&str, Number> = snapshot.counters.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    let lines = Number::Integer(i64::from(CALLS + FAN_OUT));
    assert_eq!(counted, [("begun", Number::Integer(1)), ("lines", lines), ("over", Number::Integer(1))].into());
    assert_eq!(text(&snapshot.state["last"]), "\"over\"");

    let request = Request::ListTasksForExecution { execution_id: execution };
    let Response::Tasks(tasks) = backend.call(request).await.unwrap() else { panic!() };
    // The root, the step, the calls, the fan-out, two waits, the sleep: each once.
    assert_eq!(tasks.len() as u32, 1 + 1 + CALLS + FAN_OUT + 2 + 1);
    let keys: BTreeSet<_> = tasks.iter().map(|task| task.step_key.as_deref()).collect();
    assert_eq!(keys.len(), tasks.len());
    for task in tasks {
        assert_eq!(task.state, TaskState::Completed, "{task:#?}");
        let run = runs.get(&task.id).copied().unwrap_or(0);
        assert_eq!(run > 0, ["order", "line"].contains(&task.step_name.as_str()), "{} ran {run} times", task.step_name);
    }
    let root = child_id(execution, 0, "root");
    let journal = backend.journals(vec![JournalRequest { task: root, after: 0 }]).await.unwrap().remove(0);
    let arrivals: BTreeSet<u64> = journal.iter().map(|entry| entry.arrival.unwrap()).collect();
    assert_eq!(arrivals.len(), journal.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_workers_are_killed() {
    if let Some(folder) = std::env::var_os(WORKER) {
        return be_a_worker(folder.into()).await;
    }
    let start = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path()).await;
    let executor = executor(Arc::clone(&backend));
    let mut workers = [start_worker(folder.path()), start_worker(folder.path())];
    let mut orders = Vec::new();
    let mut killed = 0;
    while killed < KILLS {
        for _ in 0..ORDERS {
            let id = executor.dispatch("order", Payload::empty_array(), DispatchOptions::default()).await.unwrap();
            orders.push(id);
        }
        let chance: u64 = rand::rng().random_range(20..300);
        tokio::time::sleep(Duration::from_millis(chance)).await;
        // Signals come early, in the middle and late.
        for (number, behind) in [(1, ORDERS), (2, 2 * ORDERS)] {
            if let Some(first) = orders.len().checked_sub(behind + ORDERS) {
                for order in &orders[first..first + ORDERS] {
                    send(&executor, *order, number).await;
                }
            }
        }
        let both = chance.is_multiple_of(4);
        for (number, worker) in workers.iter_mut().enumerate() {
            if both || chance as usize % 2 == number {
                kill(std::mem::replace(worker, start_worker(folder.path())));
                killed += 1;
            }
        }
    }
    for order in &orders {
        for number in 1..=2 {
            send(&executor, *order, number).await;
        }
    }
    for order in &orders {
        let left = PATIENCE.saturating_sub(start.elapsed());
        executor.result(*order, Some(left)).await.unwrap();
    }
    workers.into_iter().for_each(kill);

    let mut runs = BTreeMap::new();
    for line in fs::read_to_string(folder.path().join("ran")).unwrap().lines() {
        *runs.entry(line.parse::<Id>().unwrap()).or_insert(0) += 1;
    }
    for order in &orders {
        look_at(&backend, *order, &runs).await;
    }
    assert!(executor.dead_letters(DeadLetterFilter { limit: 9, ..Default::default() }).await.unwrap().is_empty());
    let lines = orders.len() * (CALLS + FAN_OUT) as usize;
    let bodies: usize = runs.values().sum();
    println!(
        "{} orders, {killed} kills, {bodies} bodies run for {} tasks with {lines} lines, in {:?}",
        orders.len(),
        runs.len(),
        start.elapsed()
    );
    backend.call(Request::Close {}).await.unwrap();
}
