//! What is recorded is not done again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stent::model::{CallOptions, Error, Failure, Number, Payload, Status, WaitSignalOptions};

use crate::house::{Count, House, text, tries, until};

#[test]
fn a_step_runs_once_though_its_handler_runs_again() {
    let house = House::new();
    let (steps, runs) = (Count::default(), Count::default());
    let (step, run) = (steps.clone(), runs.clone());
    house.function_with("worker", tries(3), move |task| {
        let begun = task.step_begin("charge", None)?;
        if !begun.recorded {
            step.up();
            task.step_end(begun.op, Ok("42".into()))?;
        }
        if run.up() == 1 {
            return task.fail(Failure::new("Oops", "after the step"));
        }
        task.complete(task.result(begun.op)?)
    });
    let _worker = house.worker(2);
    assert_eq!(text(&house.run("worker", "[]").unwrap()), "42");
    assert_eq!((steps.get(), runs.get()), (1, 2));
}

#[test]
fn what_a_handler_says_is_shown_while_it_runs_and_recorded_once() {
    let house = House::new();
    house.function("talker", |task| {
        task.progress("\"half\"".into())?;
        task.counter_add("lines", Number::Integer(2))?;
        task.state_set("where", "\"here\"".into())?;
        let go = task.wait_signal("go", WaitSignalOptions::default())?;
        task.counter_add("lines", Number::Integer(3))?;
        while !task.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        task.complete(go)
    });
    let worker = house.worker(2);
    let id = house.dispatch("talker", "[]");
    let lines = || house.on(house.executor.state(id)).unwrap().counters.get("lines").copied();
    until("the first lines are there", || lines() == Some(Number::Integer(2)));
    let signal = stent::backend::NewSignal { execution: id, name: "go".into(), payload: "1".into(), id: None };
    house.on(house.executor.signal(signal)).unwrap();
    until("the second run's lines are there", || lines() == Some(Number::Integer(5)));
    let snapshot = house.on(house.executor.state(id)).unwrap();
    assert_eq!(text(&snapshot.state["where"]), "\"here\"");
    let half = Payload::from("\"half\"");
    let said = snapshot.execution.progress.iter().filter(|entry| entry.detail.as_ref() == Some(&half)).count();
    assert_eq!(said, 1);
    house.on(house.executor.cancel(id, None)).unwrap();
    until("the slot is free", || worker.status().running == 0);
}

#[test]
fn values_are_the_same_in_every_run() {
    let house = House::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    house.echo("child");
    let record = Arc::clone(&seen);
    house.function("parent", move |task| {
        record.lock().unwrap().push((task.now()?, task.random()?, task.uuid()?));
        task.call("child", "[]".into(), CallOptions::default())?;
        task.complete("1".into())
    });
    let _worker = house.worker(2);
    house.run("parent", "[]").unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn a_mismatch_parks_the_task_and_a_resume_lets_it_go_on() {
    let house = House::new();
    let runs = Count::default();
    house.echo("a");
    house.echo("b");
    let run = runs.clone();
    house.function("changes", move |task| {
        let (function, args) = if run.up() == 2 { ("b", "[2]") } else { ("a", "[1]") };
        let options = CallOptions { key: Some("the call".into()), ..CallOptions::default() };
        task.complete(task.call(function, args.into(), options)?)
    });
    let _worker = house.worker(2);
    let id = house.dispatch("changes", "[]");
    until("it is parked", || house.on(house.executor.stats()).unwrap().store.parked == 1);
    let root = stent::model::child_id(id, 0, "root");
    house.on(house.executor.resume(root)).unwrap();
    assert_eq!(text(&house.result(id).unwrap()), "[1]");
    assert_eq!(runs.get(), 3);
}

#[test]
fn after_a_suspension_every_call_says_so_and_a_host_that_swallows_it_does_no_harm() {
    let house = House::new();
    house.echo("child");
    house.function_with("swallows", tries(1), |task| {
        let first = task.call("child", "[1]".into(), CallOptions::default());
        if first.as_ref().is_err_and(|error| error.status() == Status::Suspend) {
            assert_eq!(task.progress("1".into()).unwrap_err().status(), Status::Suspend);
            assert_eq!(task.complete("0".into()).unwrap_err().status(), Status::Suspend);
            return Err(Error::invalid("swallowed"));
        }
        task.complete(first?)
    });
    let _worker = house.worker(2);
    assert_eq!(text(&house.run("swallows", "[]").unwrap()), "[1]");
}
