//! The wall clock is set while executions wait. Two stores on one file are as two processes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use super::super::clock::Clock;
use super::{
    ExecutionState, Id, Payload, Request, Response, Sqlite, SqliteOptions, Statement, Store, Task, execution, failure,
    id, statement, task,
};
use crate::backend::sql::statements::tests::files;
use crate::backend::{
    Backend as _, Claim, Claimed, Commands, Function, Held, NewExecution, NewWorker, Outcome, Spawn, SpawnKind,
    Transition, Verdict,
};
use crate::model::{DispatchOptions, FunctionOptions, OpSet, WaitMode};

const SHORT: Duration = Duration::from_millis(40);
const HOUR: Duration = Duration::from_secs(3600);

/// Nothing here takes so long; the clock is set by much more.
const SOON: Duration = Duration::from_secs(30);
const STEP: i64 = 900;

async fn open(path: &str, clock: &Clock) -> Arc<Sqlite> {
    Sqlite::open_by(clock.clone(), path, SqliteOptions::default()).await.unwrap()
}

async fn worker(store: &Sqlite) {
    let timeout = |timeout| FunctionOptions { timeout, ..FunctionOptions::default() };
    let functions = [("root", None), ("hasty", Some(SHORT))];
    let functions = functions.map(|(name, time)| Function { name: name.to_owned(), options: timeout(time) });
    let worker = NewWorker {
        worker_id: "w".into(),
        queues: vec![],
        tags: vec![],
        functions: functions.to_vec(),
        queue_rates: [].into(),
    };
    store.register_worker(worker).await.unwrap();
}

async fn start(store: &Sqlite, function: &str, options: DispatchOptions) -> Id {
    let (function, args, args_hash) = (function.to_owned(), Payload::empty_array(), [0; 32]);
    store
        .dispatch(vec![NewExecution { id: id(), function, args, options, args_hash, registered: None }])
        .await
        .unwrap()
        .remove(0)
}

async fn take(store: &Sqlite) -> Option<Claimed> {
    let claim = Claim { worker_id: "w".into(), count: 1, limited: 0, begin: 1, slots: 1, lease: HOUR };
    store.advance(vec![], Some(claim)).await.unwrap().1.pop()
}

async fn say(store: &Sqlite, of: &Claimed, spawns: Vec<Spawn>, outcome: Outcome) {
    let Task { id: task, execution_id: execution, parent_task_id: parent, fence, .. } = of.task;
    let commands = Commands { spawns, ..Commands::default() };
    let said = Transition { held: Held { task, execution, parent, fence }, commands, outcome };
    let (verdicts, _) = store.advance(vec![said], None).await.unwrap();
    assert!(matches!(verdicts[..], [Verdict::Recorded { .. }]), "{verdicts:?}");
}

/// Waits for one operation.
async fn suspend(store: &Sqlite, of: &Claimed, what: SpawnKind) {
    let spawn = Spawn { id: id(), op: 1, key: "it#1".into(), name: "it".into(), what };
    let ops = OpSet::from_iter([1]);
    say(store, of, vec![spawn], Outcome::Suspend { mode: WaitMode::All, ops, known: 0 }).await;
}

/// Sweeps for as long as there is nothing.
async fn until<T>(store: &Sqlite, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        let swept = store.sweep("w").await.unwrap();
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < SOON, "still not: {what}; the next is due in {:?}", swept.next_due);
        tokio::time::sleep(swept.next_due.unwrap_or(SHORT).min(SHORT)).await;
    }
}

/// What waits for a duration, of each kind; each begins by a task that is taken.
async fn begin(store: &Sqlite, sort: usize) {
    let delayed = DispatchOptions { delay: Some(SHORT), ..DispatchOptions::default() };
    let plain = DispatchOptions::default();
    match sort {
        0 => drop(start(store, "root", delayed).await),
        1 => {
            start(store, "root", plain).await;
            suspend(store, &take(store).await.unwrap(), SpawnKind::Timer { delay: SHORT }).await;
        }
        2 => {
            start(store, "root", plain).await;
            suspend(store, &take(store).await.unwrap(), SpawnKind::Signal { timeout: Some(SHORT) }).await;
        }
        3 => {
            start(store, "root", plain).await;
            let retry = Outcome::Retry { failure: failure(), delay: SHORT, reopen: false };
            say(store, &take(store).await.unwrap(), vec![], retry).await;
        }
        // An attempt's time-out, which is over while it waits; then its retry.
        _ => {
            start(store, "hasty", plain).await;
            suspend(store, &take(store).await.unwrap(), SpawnKind::Timer { delay: HOUR }).await;
        }
    }
}

#[tokio::test]
async fn no_duration_comes_late_after_the_clock_was_set_back() {
    for sort in 0..5 {
        for before in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("stent.db");
            let clock = Clock::default();
            let (one, other) = (open(path.to_str().unwrap(), &clock).await, open(path.to_str().unwrap(), &clock).await);
            worker(&one).await;
            worker(&other).await;
            if before {
                // The writer has given times of before.
                start(&one, "root", DispatchOptions { delay: Some(HOUR), ..DispatchOptions::default() }).await;
                clock.step(-STEP);
            }
            begin(&one, sort).await;
            if !before {
                clock.step(-STEP);
            }
            let (looks, sweeps) = if sort % 2 == 0 { (&other, &one) } else { (&one, &other) };
            let what = format!("sort {sort}, issued {}", if before { "afterwards" } else { "before" });
            let taken = until(sweeps, &what, async || take(looks).await).await;
            // What a person reads is the time of the wall clock.
            let off = taken.claimed_at.micros() - clock.read().wall.micros();
            assert!(off.abs() < SOON.as_micros() as i64, "{what}: {off} µs");
        }
    }
}

#[tokio::test]
async fn an_execution_expires_and_a_claim_finds_a_retry_after_the_clock_was_set_back() {
    let (clock, memory) = (Clock::default(), ":memory:");
    let store = open(memory, &clock).await;
    worker(&store).await;
    let expiring = start(&store, "root", DispatchOptions { expiry: Some(SHORT), ..DispatchOptions::default() }).await;
    clock.step(-STEP);
    let state = async || store.snapshot(expiring).await.unwrap().unwrap().execution.state;
    until(&store, "expired", async || (state().await == ExecutionState::TimedOut).then_some(())).await;

    // The protocol's claim judges by the same clock.
    begin(&store, 3).await;
    clock.step(-STEP);
    let request = || Request::ClaimNextTask {
        worker_id: "w".into(),
        queues: None,
        tags: None,
        now: None,
        lease_duration: 30.0,
        concurrency_limits: Default::default(),
    };
    until(&store, "retried", async || match store.call(request()).await.unwrap() {
        Response::Task(found) => found,
        other => panic!("{other:?}"),
    })
    .await;
}

#[tokio::test]
async fn no_duration_comes_early_after_the_clock_was_set_forward_and_a_date_comes() {
    let clock = Clock::default();
    let store = open(":memory:", &clock).await;
    worker(&store).await;
    let hour = DispatchOptions { delay: Some(HOUR), expiry: Some(HOUR), ..DispatchOptions::default() };
    let waits = start(&store, "root", hour).await;
    let parent = execution(ExecutionState::Pending);
    let dated = Task { scheduled_for: Some(clock.read().wall.after(HOUR)), ..task(parent.id) };
    store.call(Request::CreateExecution { execution: parent }).await.unwrap();
    store.call(Request::CreateTask { task: Task { step_name: "root".into(), ..dated.clone() } }).await.unwrap();
    let next = store.sweep("w").await.unwrap().next_due.unwrap();
    assert!(next > HOUR - SOON && next <= HOUR, "{next:?}");
    assert_eq!(take(&store).await.map(|taken| taken.task.id), None);

    clock.step(2 * HOUR.as_secs() as i64);
    let taken = until(&store, "the date", async || take(&store).await).await;
    assert_eq!(taken.task.id, dated.id);
    assert_eq!(take(&store).await.map(|taken| taken.task.id), None);
    let waits = store.snapshot(waits).await.unwrap().unwrap();
    assert_eq!(waits.execution.state, ExecutionState::Pending);
}

/// After a restart of the machine durations go on by the wall clock, as the boot before had it last.
#[tokio::test]
async fn the_next_boot_goes_on_where_the_last_one_was() {
    static ANOTHER_BOOT: Statement = statement("UPDATE boots SET boot_id = 'another'", &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    let clock = Clock::default();
    let store = Store { sqlite: open(path.to_str().unwrap(), &clock).await, folder: None };
    worker(&store.sqlite).await;
    let expiry = DispatchOptions { delay: Some(HOUR), expiry: Some(HOUR), ..DispatchOptions::default() };
    let expiring = start(&store.sqlite, "root", expiry).await;
    let delayed = DispatchOptions { delay: Some(HOUR), ..DispatchOptions::default() };
    start(&store.sqlite, "root", delayed).await;
    start(&store.sqlite, "hasty", DispatchOptions::default()).await;
    // Its attempt has a deadline, and the date of that is kept.
    let hasty = take(&store.sqlite).await.unwrap();
    say(&store.sqlite, &hasty, vec![], Outcome::Park { failure: failure(), version: None }).await;
    clock.step(-STEP);
    store.run(&ANOTHER_BOOT).await;
    store.ok(Request::Close {}).await;

    let store = open(path.to_str().unwrap(), &clock).await;
    worker(&store).await;
    let next = store.sweep("w").await.unwrap().next_due.unwrap();
    assert!(next > HOUR - SOON && next <= HOUR, "{next:?}");
    let parked = until(&store, "the parked task", async || {
        store.resume(hasty.task.id).await.ok();
        take(&store).await
    })
    .await;
    let deadline = parked.deadline.unwrap().micros() - clock.read().wall.micros();
    assert!(deadline.abs() < SOON.as_micros() as i64, "{deadline} µs");

    clock.step(HOUR.as_secs() as i64);
    let taken = until(&store, "the delay", async || take(&store).await).await;
    assert_ne!(taken.task.execution_id, expiring);
    let state = async || store.snapshot(expiring).await.unwrap().unwrap().execution.state;
    until(&store, "expired", async || (state().await == ExecutionState::TimedOut).then_some(())).await;
}

#[tokio::test]
async fn a_file_from_before_keeps_its_expiries() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    let mut conn = SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
    conn.execute(include_str!("../sql/schema_create.sql")).await.unwrap();
    for (version, (_, migration)) in (1..=3).zip(files("sqlite", "migrations")) {
        conn.execute(sqlx::raw_sql(AssertSqlSafe(migration))).await.unwrap();
        let applied = "INSERT INTO stent_schema (version, applied_at) VALUES (?1, '')";
        sqlx::query(applied).bind(version).execute(&mut conn).await.unwrap();
    }
    let insert =
        "INSERT INTO executions (id, root_function, state, created_at, expiry_at) VALUES (?1, 'f', 'pending', 1, 2)";
    let expiring = id();
    sqlx::query(insert).bind(expiring.as_bytes().to_vec()).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let store = open(path.to_str().unwrap(), &Clock::default()).await;
    worker(&store).await;
    let state = async || store.snapshot(expiring).await.unwrap().unwrap().execution.state;
    until(&store, "expired", async || (state().await == ExecutionState::TimedOut).then_some(())).await;
}
