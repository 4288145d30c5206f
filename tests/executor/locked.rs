//! Somebody else has the file's lock for much longer than anybody wants to wait, or has put a rule of his own into it.

use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _};
use stent::backend::sqlite::Sqlite;
use stent::backend::{Backend as _, DeadLetterFilter, Request, Response};
use stent::model::{DispatchOptions, FunctionOptions, Id, RetryPolicy, SqliteOptions, Status};

use crate::house::{Count, House, SOON, text, until};

const SHORT: Duration = Duration::from_millis(300);

/// Much less than `busy_timeout`.
const LATE: Duration = Duration::from_secs(10);

fn later(house: &House, options: DispatchOptions) -> Id {
    let options = DispatchOptions { delay: Some(Duration::from_secs(3600)), ..options };
    house.on(house.executor.dispatch("echo", "[]".into(), options)).unwrap()
}

/// What it answers, in time.
fn timed<T>(house: &House, what: &str, call: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let answer = house.on(call);
    assert!(begun.elapsed() < LATE, "{what}: {:?}", begun.elapsed());
    answer
}

#[test]
fn waits_and_stops_end_in_their_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let house = House::at(path.to_str().unwrap());
    house.echo("echo");
    let (begun, go) = (Count::default(), Count::default());
    let (count, gate) = (begun.clone(), go.clone());
    house.function("held", move |task| {
        count.up();
        until("it may end", || gate.get() > 0);
        task.complete(task.args())
    });
    let worker = house.worker(4);
    assert_eq!(text(&house.run("echo", "[1]").unwrap()), "[1]");
    let waiting = later(&house, DispatchOptions::default());
    let held = house.dispatch("held", "[2]");
    until("it runs", || begun.get() == 1);

    let mut other = house.on(SqliteConnectOptions::new().filename(&path).connect()).unwrap();
    // Its time is over while the file is locked.
    let expiring =
        later(&house, DispatchOptions { expiry: Some(Duration::from_secs(3)), ..DispatchOptions::default() });
    house.on(other.execute("BEGIN IMMEDIATE")).unwrap();
    let executor = &house.executor;
    for id in [waiting, expiring, held] {
        for timeout in [Duration::ZERO, SHORT] {
            let why = timed(&house, "wait", executor.wait(id, Some(timeout))).unwrap_err();
            assert!(why.status() == Status::Timeout && why.is_retryable(), "{why}");
            let why = timed(&house, "result", executor.result(id, Some(timeout))).unwrap_err();
            assert!(why.status() == Status::Timeout && why.is_retryable(), "{why}");
        }
    }
    let snapshot = timed(&house, "state", executor.state(waiting)).unwrap();
    assert!(!snapshot.execution.state.is_terminal());
    let why = timed(&house, "stop", worker.stop(Some(SHORT))).unwrap_err();
    assert_eq!(why.status(), Status::Timeout, "{why}");

    house.on(other.execute("COMMIT")).unwrap();
    go.up();
    house.on(worker.stop(SOON)).unwrap();
    let another = house.worker(4);
    assert_eq!(text(&house.result(held).unwrap()), "[2]");
    let why = house.result(expiring).unwrap_err();
    assert!(why.status() == Status::Timeout && !why.is_retryable(), "{why}");
    house.on(another.stop(SOON)).unwrap();
}

/// Nothing of the schema is to be written, so nobody has to wait for it.
#[test]
fn a_file_that_is_up_to_date_is_opened_beside_who_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let house = House::at(path.to_str().unwrap());
    let id = later(&house, DispatchOptions::default());
    let mut other = house.on(SqliteConnectOptions::new().filename(&path).connect()).unwrap();
    house.on(other.execute("BEGIN IMMEDIATE")).unwrap();
    // The other one goes on for as long as the test does. Files are opened one after the other, those of other tests too.
    let patience = SqliteOptions { busy_timeout: LATE, ..SqliteOptions::default() };
    let second = house.on(Sqlite::open(path.to_str().unwrap(), patience)).unwrap();
    let found = house.on(second.call(Request::GetExecution { execution_id: id })).unwrap();
    assert!(matches!(found, Response::Execution(Some(_))));
    house.on(second.call(Request::Close {})).unwrap();
}

/// A refusal that lasts is charged like a failure, attempt after attempt, and the letter says what the database said.
#[test]
fn what_a_trigger_refuses_is_charged_and_ends_in_a_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let house = House::at(path.to_str().unwrap());
    let ran = Count::default();
    let count = ran.clone();
    let policy = RetryPolicy { max_attempts: 2, initial_delay: 0.0, ..RetryPolicy::default() };
    let options = FunctionOptions { retry_policy: Some(policy), ..FunctionOptions::default() };
    house.function_with("refused", options, move |task| {
        count.up();
        task.complete(task.args())
    });
    let mut other = house.on(SqliteConnectOptions::new().filename(&path).connect()).unwrap();
    let trigger = "CREATE TRIGGER no BEFORE UPDATE ON tasks WHEN new.state = 'completed' \
                   BEGIN SELECT raise(ABORT, 'no completions today'); END";
    house.on(other.execute(trigger)).unwrap();
    let _worker = house.worker(1);
    house.run("refused", "[]").unwrap_err();
    assert_eq!(ran.get(), 2);
    let filter = DeadLetterFilter { limit: 9, ..DeadLetterFilter::default() };
    let letters = house.on(house.executor.dead_letters(filter)).unwrap();
    assert!(letters[0].reason.contains("2 of 2 attempts failed"), "{}", letters[0].reason);
    assert!(letters[0].reason.contains("no completions today"), "{}", letters[0].reason);
}
