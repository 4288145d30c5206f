//! A store of an older version, with work in every state in flight: it is opened, brought up to date, and all of it ends.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use stent::backend::{Claim, Function, NewSignal, NewWorker, Request, Response};
use stent::model::{
    CallOptions, DispatchOptions, ExecutionState, FunctionOptions, Id, Status, TaskState, WaitSignalOptions,
};

use crate::house::{Count, House, text, tries, until};
use crate::postgres::{fresh_url, shared};

/// Takes back what the last migrations have made: the store is as the version before them would have left it.
const TO_A_VERSION_BEFORE: &str = "
    UPDATE executions SET state = 'running', started_at = r.opened_at
        FROM tasks AS r
        WHERE r.id = executions.root_task_id AND r.opened_at IS NOT NULL AND executions.state = 'pending';
    DROP FUNCTION tasks_share() CASCADE;
    DROP FUNCTION lane_time(bigint, bigint);
    ALTER TABLE tasks DROP COLUMN asked_priority, DROP COLUMN made_at, DROP COLUMN head_start, DROP COLUMN fairness_key,
        DROP COLUMN fairness_weight, DROP COLUMN shared_at;
    ALTER TABLE functions DROP COLUMN priority_ageing;
    DROP VIEW slots_to_fill;
    DROP FUNCTION slots_to_fill();
    DROP TABLE key_starts, key_rates, rates, holds;
    DROP TABLE unique_keys, unique_earlier;
    DROP FUNCTION slots_at_the_end(), tasks_slot_insert(), tasks_slot_update(), tasks_slot_anew(), tasks_slot_delete(), functions_slot() CASCADE;
    DROP FUNCTION slots_settle();
    DROP FUNCTION slots_fill(text, text, bigint, bigint, bigint);
    DROP FUNCTION slots_note(text, text);
    DROP INDEX tasks_slots;
    ALTER TABLE tasks DROP COLUMN concurrency_key, DROP COLUMN slot, DROP COLUMN aside;
    ALTER TABLE functions DROP COLUMN rate, DROP COLUMN rate_per_key, DROP COLUMN key_interval, DROP COLUMN key_burst;
    ALTER TABLE functions DROP COLUMN max_concurrent_per_key;
    DROP TABLE requests;
    ALTER TABLE tasks DROP COLUMN first_started_at, DROP COLUMN snoozes;
    DROP TABLE schedule_ticks;
    DROP TABLE schedules;
    DROP INDEX tasks_strays;
    ALTER TABLE tasks DROP COLUMN stray;
    DROP INDEX tasks_readied;
    DROP INDEX tasks_limited;
    ALTER TABLE tasks DROP COLUMN readied, DROP COLUMN opened_at;
    CREATE INDEX tasks_limited ON tasks (step_name) WHERE limited IS NOT NULL;
    DROP TABLE moves;
    UPDATE executions SET ending = 'cancelled' WHERE state = 'cancelled';
    DROP INDEX executions_due;
    DROP INDEX executions_ending;
    DROP INDEX executions_ended_before;
    DROP INDEX executions_cleaning;
    DROP INDEX tasks_by_execution;
    ALTER TABLE executions DROP COLUMN due_at, DROP COLUMN ended_before, RESET (fillfactor);
    ALTER TABLE executions SET (fillfactor = 80);
    ALTER TABLE tasks DROP COLUMN root, RESET (fillfactor);
    CREATE INDEX executions_by_expiry ON executions (expiry_at)
        WHERE expiry_at IS NOT NULL AND ending IS NULL AND completed_at IS NULL;
    CREATE INDEX executions_ending ON executions (id) WHERE ending IS NOT NULL AND completed_at IS NULL;
    CREATE INDEX executions_cleaning ON executions (cleanup_due) WHERE cleanup_due IS NOT NULL AND state = 'running';
    CREATE INDEX executions_by_completion ON executions (completed_at) WHERE completed_at IS NOT NULL;
    CREATE INDEX tasks_by_execution ON tasks (execution_id);
    DROP TABLE pauses;
    ALTER TABLE tasks DROP COLUMN attempts;
    DELETE FROM stent_schema WHERE version > 6;";

fn functions(house: &House) -> Count {
    let runs = Count::default();
    let run = runs.clone();
    house.echo("echo");
    house.echo("child");
    house.function_with("fails", tries(1), |_| Err(stent::model::Error::invalid("it fails")));
    house.function("parent", move |task| {
        run.up();
        let first = task.call("echo", "[1]".into(), CallOptions::default())?;
        let mut options = CallOptions::default();
        options.task.queue = Some("later".to_owned());
        let second = task.call("child", "[2]".into(), options)?;
        task.complete(format!("[{},{}]", text(&first), text(&second)).into())
    });
    house.function("listens", |task| {
        let told = task.wait_signal("go", WaitSignalOptions::default())?;
        task.complete(told)
    });
    house.function("sleeps", |task| {
        task.sleep(Duration::from_secs(6), None)?;
        task.complete("[]".into())
    });
    runs
}

fn state(house: &House, id: Id) -> ExecutionState {
    house.on(house.backend.snapshot(id)).unwrap().unwrap().execution.state
}

fn open_tasks(house: &House, state: TaskState) -> u64 {
    match house.on(house.backend.call(Request::CountTasks { queue: None, state: Some(state) })).unwrap() {
        Response::Count(count) => count,
        other => panic!("{other:?}"),
    }
}

#[test]
fn work_in_every_state_goes_on_after_a_migration() {
    let url = fresh_url("");
    let house = House::at(&url);
    functions(&house);
    let with = |options: DispatchOptions, function: &str| {
        house.on(house.executor.dispatch(function, "[7]".into(), options)).unwrap()
    };
    let later = |queue: &str| {
        let mut options = DispatchOptions::default();
        options.task.queue = Some(queue.to_owned());
        options
    };
    let here = |queues: &[&str]| {
        let queues = queues.iter().map(|queue| (*queue).to_owned()).collect();
        stent::model::WorkerOptions { queues, ..Default::default() }
    };
    let worker = house.worker_with(here(&["first"]));
    let done = house.dispatch("echo", "[1]");
    let early = house.dispatch("echo", "[1]");
    let failed = house.dispatch("fails", "[]");
    let parent = house.dispatch("parent", "[]");
    let listens = house.dispatch("listens", "[]");
    let sleeps = house.dispatch("sleeps", "[]");
    let cancelled = with(later("later"), "echo");
    house.on(house.executor.cancel(cancelled, None)).unwrap();
    for id in [done, early] {
        house.result(id).unwrap();
    }
    house.result(failed).unwrap_err();
    until("three wait, and two of what they wait for", || {
        open_tasks(&house, TaskState::Waiting) >= 5 && worker.status().held == 0
    });
    house.on(worker.stop(crate::house::SOON)).unwrap();
    let pending = with(later("later"), "echo");
    let delayed = with(DispatchOptions { delay: Some(Duration::from_secs(2)), ..DispatchOptions::default() }, "echo");
    let expires = with(DispatchOptions { expiry: Some(Duration::from_secs(2)), ..later("never") }, "echo");
    // Held by a worker that is gone, whose lease ends.
    let held = with(later("held"), "echo");
    let claim = async {
        let function = Function { name: "echo".to_owned(), options: FunctionOptions::default() };
        let (worker_id, queues) = ("gone".to_owned(), vec!["held".to_owned()]);
        let gone = NewWorker { worker_id, queues, tags: Vec::new(), functions: vec![function], queue_rates: [].into() };
        house.backend.register_worker(gone).await.unwrap();
        let lease = Duration::from_secs(1);
        let claim = Claim { worker_id: "gone".to_owned(), count: 10, limited: 0, begin: 10, slots: 10, lease };
        house.backend.advance(Vec::new(), Some(claim)).await.unwrap().1
    };
    assert!(house.on(claim).iter().any(|claimed| claimed.task.execution_id == held));
    drop(house);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let schema = url.split("schema=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let mut conn = runtime.block_on(async {
        let mut conn = PgConnection::connect(&shared().url).await.unwrap();
        let ended_early =
            format!("UPDATE executions SET completed_at = created_at - interval '1 day' WHERE id = '{early}';");
        let back = format!("SET search_path TO {schema}; {ended_early} {TO_A_VERSION_BEFORE}");
        conn.execute(sqlx::raw_sql(AssertSqlSafe(back))).await.unwrap();
        conn
    });

    let house = House::at(&url);
    let ended = |id, expected| until("it is over", || state(&house, id) == expected);
    // What ended a day before it was created goes with what is as old.
    let hours_ago = |hours: u64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        stent::model::Timestamp::from_micros((now - Duration::from_secs(3600 * hours)).as_micros() as i64)
    };
    let clean = |older_than| match house.on(house.backend.call(Request::CleanupExecutions { older_than })).unwrap() {
        Response::Count(count) => count,
        other => panic!("{other:?}"),
    };
    assert_eq!(clean(hours_ago(12)), 1);
    assert!(house.on(house.backend.snapshot(early)).unwrap().is_none());

    let runs = functions(&house);
    let worker = house.worker_with(here(&["later", "held"]));
    let told = NewSignal { execution: listens, name: "go".to_owned(), payload: "[5]".into(), id: None };
    house.on(house.backend.signal(told)).unwrap();
    assert_eq!(text(&house.result(parent).unwrap()), "[[1],[2]]");
    assert_eq!(text(&house.result(listens).unwrap()), "[5]");
    for id in [sleeps, pending, delayed, held] {
        house.result(id).unwrap();
    }
    ended(expires, ExecutionState::TimedOut);
    ended(cancelled, ExecutionState::Cancelled);
    ended(done, ExecutionState::Completed);
    assert!(runs.get() >= 1);
    house.on(worker.stop(crate::house::SOON)).unwrap();
    // All that is over goes, but what a dead letter needs.
    let future = stent::model::Timestamp::from_micros(hours_ago(0).micros() + 3_600_000_000);
    assert_eq!(clean(future), 9);
    assert_eq!(state(&house, failed), ExecutionState::Failed);
    let why = house.on(house.executor.cancel(done, None)).unwrap_err();
    assert_eq!(why.status(), Status::NotFound);
    let left = "SELECT (SELECT count(*) FROM executions)::bigint, (SELECT count(*) FROM tasks)::bigint";
    let left = runtime.block_on(conn.fetch_one(sqlx::raw_sql(left))).unwrap();
    assert_eq!((left.get::<i64, _>(0), left.get::<i64, _>(1)), (1, 1));
}
