//! Waiting: suspensions, fan-outs, races, timers, signals.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stent::backend::NewSignal;
use stent::model::{CallOptions, Id, Status, WaitMode, WaitSignalOptions, WorkerOptions};

use crate::house::{Count, House, text, tries, until};

fn send(house: &House, execution: Id, name: &str, payload: &str) {
    let signal = NewSignal { execution, name: name.into(), payload: payload.into(), id: None };
    house.on(house.executor.signal(signal)).unwrap();
}

#[test]
fn a_workflow_of_calls_in_sequence() {
    let house = House::new();
    let children = Count::default();
    let counted = children.clone();
    house.function("child", move |task| {
        counted.up();
        task.complete(task.args())
    });
    house.function("parent", |task| {
        for number in 0..5 {
            let args = format!("[{number}]");
            let result = task.call("child", args.as_str().into(), CallOptions::default())?;
            assert_eq!(text(&result), args);
        }
        task.complete("\"done\"".into())
    });
    let _worker = house.worker(4);
    assert_eq!(text(&house.run("parent", "[]").unwrap()), "\"done\"");
    assert_eq!(children.get(), 5);
}

#[test]
fn one_slot_runs_a_workflow_nested_ten_deep() {
    let house = House::new();
    for depth in 0..10 {
        let next = format!("level{}", depth + 1);
        house.function(&format!("level{depth}"), move |task| {
            let below = task.call(&next, "[]".into(), CallOptions::default())?;
            task.complete(format!("[{}]", text(&below)).into())
        });
    }
    house.function("level10", |task| task.complete("0".into()));
    let _worker =
        house.worker_with(WorkerOptions { max_concurrency: 1, prefetch: Some(0), ..WorkerOptions::default() });
    let id = house.dispatch("level0", "[]");
    // A store that answers the protocol alone is asked again and again, at longer and longer intervals, at each level.
    let result = house.on(house.executor.result(id, Some(Duration::from_secs(120))));
    assert_eq!(text(&result.unwrap()), "[[[[[[[[[[0]]]]]]]]]]");
}

#[test]
fn a_fan_out_is_joined_in_order_and_resumed_a_handful_of_times() {
    let house = House::new();
    let runs = Count::default();
    house.echo("child");
    let counted = runs.clone();
    house.function("parent", move |task| {
        counted.up();
        let args = (0..crate::KIND.many(3000)).map(|number| format!("[{number}]").into()).collect();
        let results = task.map("child", args, CallOptions::default())?;
        for (number, result) in results.iter().enumerate() {
            assert_eq!(text(result), format!("[{number}]"));
        }
        task.complete(results.len().to_string().into())
    });
    let _worker = house.worker(64);
    assert_eq!(text(&house.run("parent", "[]").unwrap()), crate::KIND.many(3000).to_string());
    assert!(runs.get() <= 5, "the parent ran {} times", runs.get());
}

#[test]
fn the_first_of_a_race_wins_in_every_run_and_the_loser_is_cancelled() {
    let house = House::new();
    house.function("fast", |task| task.complete("\"fast\"".into()));
    house.function("race", |task| {
        let slow = task.spawn_sleep(Duration::from_secs(3600), None)?;
        let fast = task.spawn_call("fast", "[]".into(), CallOptions::default())?;
        let first = task.await_ops(&[slow, fast], WaitMode::Any, None)?;
        assert_eq!(first, fast);
        task.cancel_op(slow)?;
        assert_eq!(task.await_ops(&[slow], WaitMode::All, None)?, slow);
        assert_eq!(task.result(slow).unwrap_err().status(), Status::Cancelled);
        task.complete(task.result(fast)?)
    });
    let _worker = house.worker(4);
    assert_eq!(text(&house.run("race", "[]").unwrap()), "\"fast\"");
}

/// Long enough for the second to begin.
const NAP: Duration = Duration::from_secs(1);

#[test]
fn sleeping_costs_no_slot() {
    let house = House::new();
    house.echo("quick");
    // Those that have begun, until the first of them has slept.
    let begun = Arc::new(Mutex::new((BTreeSet::new(), false)));
    let log = Arc::clone(&begun);
    house.function("sleeper", move |task| {
        let mut seen = log.lock().unwrap();
        if !seen.1 {
            seen.0.insert(task.info().execution_id);
        }
        drop(seen);
        task.sleep(NAP, None)?;
        log.lock().unwrap().1 = true;
        task.complete("1".into())
    });
    let start = Instant::now();
    let ids: Vec<Id> = (0..20).map(|_| house.dispatch("sleeper", "[]")).collect();
    let _worker = house.worker(1);
    until("all sleep", || house.on(house.executor.stats()).unwrap().metrics.counters.suspended == 20);
    assert_eq!(text(&house.run("quick", "[]").unwrap()), "[]");
    for id in ids {
        house.result(id).unwrap();
    }
    assert!(start.elapsed() >= NAP, "{:?}", start.elapsed());
    // One after the other in the one slot the second would begin when the first has slept.
    assert!(begun.lock().unwrap().0.len() > 1, "they sleep in their slot");
}

#[test]
fn signals_are_taken_in_order_whether_they_come_before_or_after_the_wait() {
    let house = House::new();
    house.function("waits", |task| {
        let a = task.wait_signal("go", WaitSignalOptions::default())?;
        let b = task.wait_signal("go", WaitSignalOptions::default())?;
        task.complete(format!("[{},{}]", text(&a), text(&b)).into())
    });
    let id = house.dispatch("waits", "[]");
    send(&house, id, "go", "1");
    let _worker = house.worker(2);
    until("it waits", || house.on(house.executor.stats()).unwrap().metrics.counters.suspended >= 1);
    send(&house, id, "go", "2");
    assert_eq!(text(&house.result(id).unwrap()), "[1,2]");
}

#[test]
fn a_wait_for_a_signal_times_out_as_a_failure() {
    let house = House::new();
    house.function_with("waits", tries(1), |task| {
        let options = WaitSignalOptions { timeout: Some(Duration::from_millis(50)), key: None };
        task.wait_signal("never", options).map(drop)
    });
    let _worker = house.worker(2);
    assert_eq!(house.run("waits", "[]").unwrap_err().failure().unwrap().kind, "SignalTimeout");
}

#[test]
fn a_handler_that_holds_gets_the_result_in_the_same_run() {
    let house = House::new();
    let runs = Count::default();
    house.echo("child");
    let counted = runs.clone();
    house.function("parent", move |task| {
        counted.up();
        for number in 0..3 {
            task.call("child", format!("[{number}]").into(), CallOptions::default())?;
        }
        task.complete("1".into())
    });
    let options = WorkerOptions { max_concurrency: 4, hold: Duration::from_secs(10), ..WorkerOptions::default() };
    let _worker = house.worker_with(options);
    assert_eq!(text(&house.run("parent", "[]").unwrap()), "1");
    assert_eq!(runs.get(), 1);
}

#[test]
fn waiting_for_an_execution_ends_by_wake_up_or_time() {
    let house = House::new();
    house.function("waits", |task| {
        let payload = task.wait_signal("go", WaitSignalOptions::default())?;
        task.complete(payload)
    });
    let _worker = house.worker(2);
    let id = house.dispatch("waits", "[]");
    let early = house.on(house.executor.wait(id, Some(Duration::from_millis(30)))).unwrap_err();
    assert_eq!((early.status(), early.is_retryable()), (Status::Timeout, true));
    assert_eq!(house.on(house.executor.wait(Id::from_u128(7), None)).unwrap_err().status(), Status::NotFound);
    send(&house, id, "go", "5");
    assert_eq!(text(&house.result(id).unwrap()), "5");
}
