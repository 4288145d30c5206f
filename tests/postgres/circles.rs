//! Transactions that come into each other's way wait in one order, so that none of them is ever in a circle: trees that
//! end while their leaves do, keys that are asked for in every order, signals, cancellations, time-outs, leases that are
//! renewed and that end, and sweeps without a pause.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, Row as _};
use stent::backend::NewSignal;
use stent::executor::{Task, Worker};
use stent::model::{
    CallOptions, DispatchOptions, Failure, FunctionOptions, Id, Number, Payload, Result, RetryPolicy, TaskOptions,
    WaitMode, WaitSignalOptions, WorkerOptions,
};

use crate::house::{House, SOON, tries, until};
use crate::postgres::{Server, schema_of};

const HOUSES: usize = 4;
const TREES: usize = 160;
const KEYS: usize = 5;
const LASTS: Duration = Duration::from_secs(8);

static DICE: AtomicUsize = AtomicUsize::new(1);

/// Not the same twice in a row.
fn dice(sides: usize) -> usize {
    let thrown = DICE.fetch_add(1, SeqCst) as u64;
    ((thrown.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) % sides as u64) as usize
}

fn fail(task: &Task, is_final: bool) -> Result<()> {
    let failure = Failure::new("Wanted", "it is to fail");
    task.fail(if is_final { failure.final_() } else { failure })
}

/// Children in two levels, of which some fail, so that the others are cancelled while they run, wait and end.
fn trees(house: &House) {
    house.function_with("leaf", tries(3), |task| {
        let counters = if dice(2) == 0 { ["odd", "even"] } else { ["even", "odd"] };
        counters.iter().try_for_each(|name| task.counter_add(name, Number::Integer(1)))?;
        match dice(12) {
            0 => fail(task, true),
            1 | 2 => fail(task, false),
            _ => task.complete(task.args()),
        }
    });
    house.function("branch", |task| {
        let args = (0..6).map(|number| format!("[{number}]").into()).collect();
        let all = task.map("leaf", args, CallOptions::default())?;
        task.complete(all.len().to_string().into())
    });
    house.function("tree", |task| {
        let mut ops = Vec::new();
        for number in 0..4 {
            ops.push(task.spawn_call("branch", "[]".into(), CallOptions::default())?);
            ops.push(task.spawn_call("leaf", format!("[{number}]").into(), CallOptions::default())?);
        }
        ops.push(task.spawn_wait_signal("go", WaitSignalOptions::default())?);
        ops.push(
            task.spawn_wait_signal("go", WaitSignalOptions { timeout: Some(Duration::from_millis(30)), key: None })?,
        );
        task.await_ops(&ops, WaitMode::Any, None)?;
        task.await_ops(&ops[..4], WaitMode::All, None)?;
        for op in &ops[..4] {
            task.result(*op)?;
        }
        task.complete("1".into())
    });
}

/// Calls that share keys: who comes second waits for the first one's end.
fn keys(house: &House) {
    house.function("keyed", |task| if dice(5) == 0 { fail(task, true) } else { task.complete(task.args()) });
    house.function("asks", |task| {
        let begin: usize = std::str::from_utf8(task.args().as_bytes()).unwrap_or("[0]")[1..2].parse().unwrap_or(0);
        let step = 1 + begin % 2;
        for round in 0..3 {
            let key = |number: usize| format!("k{}", (begin + number * step + round) % KEYS);
            let options = |number| CallOptions { idempotency_key: Some(key(number)), ..CallOptions::default() };
            let ops: Vec<_> = (0..KEYS)
                .map(|number| task.spawn_call("keyed", "[]".into(), options(number)))
                .collect::<Result<_>>()?;
            task.await_ops(&ops, WaitMode::All, None)?;
        }
        task.complete("1".into())
    });
}

fn house(url: &str) -> (House, Worker) {
    let house = House::at(url);
    trees(&house);
    keys(&house);
    let policy = RetryPolicy { max_attempts: 2, initial_delay: 0.005, ..RetryPolicy::default() };
    let options = FunctionOptions {
        timeout: Some(Duration::from_millis(20)),
        retry_policy: Some(policy),
        ..FunctionOptions::default()
    };
    house.function_with("slow", options, |task| {
        thread::sleep(Duration::from_millis(dice(40) as u64));
        task.complete("1".into())
    });
    let worker = house.worker_with(WorkerOptions {
        max_concurrency: 12,
        lease_duration: Duration::from_millis(600),
        heartbeat_interval: Some(Duration::from_millis(20)),
        poll_interval: Duration::from_millis(20),
        poll_interval_max: Duration::from_millis(50),
        ..WorkerOptions::default()
    });
    (house, worker)
}

fn dispatch(house: &House) -> Id {
    let options = match dice(6) {
        0 => DispatchOptions { max_duration: Some(Duration::from_millis(60)), ..DispatchOptions::default() },
        _ => DispatchOptions { task: TaskOptions::default(), ..DispatchOptions::default() },
    };
    let (function, args) = match dice(5) {
        0 => ("asks", format!("[{}]", dice(KEYS))),
        1 => ("slow", "[]".to_owned()),
        _ => ("tree", "[]".to_owned()),
    };
    house.on(house.executor.dispatch(function, Payload::from(args), options)).unwrap()
}

fn is_over(house: &House, id: Id) -> bool {
    house.on(house.executor.state(id)).is_ok_and(|snapshot| snapshot.execution.state.is_terminal())
}

/// What the server has counted, when all others have gone: they tell it at their end.
fn deadlocks(server: &Server) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut conn = PgConnection::connect(&server.url).await.unwrap();
        let others =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        while sqlx::query(others).fetch_one(&mut conn).await.unwrap().get::<i64, _>(0) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let counted = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        sqlx::query(counted).fetch_one(&mut conn).await.unwrap().get(0)
    })
}

#[test]
fn nobody_waits_in_a_circle() {
    let server = Server::new("circles", "deadlock_timeout = 20ms\nlog_lock_waits = off");
    let url = schema_of(&server.url, "");
    let houses: Vec<(House, Worker)> = (0..HOUSES).map(|_| house(&url)).collect();
    let over = AtomicBool::new(false);
    let begin = Instant::now();
    thread::scope(|scope| {
        let mut feeders = Vec::new();
        for (house, _) in &houses {
            // Sweeps at a rate that no worker has.
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    house.on(house.backend.sweep("nobody")).unwrap();
                    thread::sleep(Duration::from_millis(1));
                }
            });
            feeders.push(scope.spawn(|| {
                let mut open: Vec<Id> = Vec::new();
                while begin.elapsed() < LASTS {
                    open.retain(|id| !is_over(house, *id));
                    while open.len() < TREES / HOUSES / 4 {
                        open.push(dispatch(house));
                    }
                    for id in &open {
                        let signal = NewSignal { execution: *id, name: "go".into(), payload: "1".into(), id: None };
                        // It may be over by now.
                        match dice(4) {
                            0 => drop(house.on(house.backend.signal(signal))),
                            1 if dice(4) == 0 => drop(house.on(house.backend.cancel(*id, None))),
                            _ => {}
                        }
                    }
                }
                for id in open {
                    until("what was begun is over", || is_over(house, id));
                }
            }));
        }
        let fed: Vec<_> = feeders.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, SeqCst);
        fed.into_iter().for_each(|fed| fed.unwrap());
    });
    for (house, worker) in &houses {
        house.on(worker.stop(SOON)).unwrap();
    }
    drop(houses);
    let log = std::fs::read_to_string(server.folder.join("log")).unwrap_or_default();
    let circles = deadlocks(&server);
    assert_eq!(
        circles,
        0,
        "{}",
        log.lines().filter(|line| !line.contains("checkpoint")).collect::<Vec<_>>().join("\n")
    );
}
