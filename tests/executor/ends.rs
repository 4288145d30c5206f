//! How tasks end, and what follows.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use stent::backend::DeadLetterFilter;
use stent::executor::Task;
use stent::model::{
    CallOptions, DispatchOptions, ExecutionState, Failure, FunctionOptions, Payload, RetryPolicy, Status, WaitMode,
};

use crate::house::{Count, House, SOON, text, tries, until};

#[test]
fn a_completed_execution_has_its_result() {
    let house = House::new();
    house.echo("echo");
    let _worker = house.worker(4);
    assert_eq!(text(&house.run("echo", "[1,2]").unwrap()), "[1,2]");
}

#[test]
fn a_failure_is_retried_and_then_dead_lettered() {
    let house = House::new();
    let (runs, good) = (Count::default(), Count::default());
    let counted = runs.clone();
    house.function_with("bad", tries(3), move |task| {
        counted.up();
        task.fail(Failure::new("Oops", "it broke"))
    });
    let counted = good.clone();
    house.function_with("flaky", tries(3), move |task| {
        assert_eq!(task.info().attempt as usize, counted.up());
        if task.info().attempt < 3 { task.fail(Failure::new("Oops", "not yet")) } else { task.complete("1".into()) }
    });
    let _worker = house.worker(4);
    let error = house.run("bad", "[]").unwrap_err();
    assert_eq!((error.status(), error.failure().unwrap().kind.as_str()), (Status::Failed, "Oops"));
    // The failure could have been tried again; what has failed stays so, however often it is asked.
    assert!(error.failure().unwrap().retryable && !error.is_retryable());
    assert_eq!(runs.get(), 3);
    let letters = house.on(house.executor.dead_letters(DeadLetterFilter { limit: 10, ..Default::default() })).unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].reason.contains("3 of 3 attempts"), "{}", letters[0].reason);
    assert_eq!(text(&house.run("flaky", "[]").unwrap()), "1");
    assert_eq!(good.get(), 3);
}

#[test]
fn a_childs_failure_goes_up_without_a_second_letter() {
    let house = House::new();
    let parents = Count::default();
    house.function_with("child", tries(2), |task| task.fail(Failure::new("Oops", "child")));
    let counted = parents.clone();
    house.function_with("parent", tries(5), move |task| {
        counted.up();
        task.complete(task.call("child", "[]".into(), CallOptions::default())?)
    });
    let _worker = house.worker(4);
    let error = house.run("parent", "[]").unwrap_err();
    assert_eq!(error.failure().unwrap().message, "child");
    assert_eq!(parents.get(), 2);
    let letters = house.on(house.executor.dead_letters(DeadLetterFilter { limit: 10, ..Default::default() })).unwrap();
    assert_eq!(letters.iter().map(|letter| letter.task.step_name.as_str()).collect::<Vec<_>>(), ["child"]);
}

#[test]
fn retry_children_opens_the_failed_child_again() {
    let house = House::new();
    let runs = Count::default();
    let counted = runs.clone();
    house.function_with("child", tries(1), move |task| {
        if counted.up() == 1 { task.fail(Failure::new("Oops", "child")) } else { task.complete("7".into()) }
    });
    let policy = RetryPolicy { retry_children: true, initial_delay: 0.01, ..RetryPolicy::default() };
    let options = FunctionOptions { retry_policy: Some(policy), ..FunctionOptions::default() };
    house.function_with("parent", options, |task| {
        task.complete(task.call("child", "[]".into(), CallOptions::default())?)
    });
    let _worker = house.worker(4);
    assert_eq!(text(&house.run("parent", "[]").unwrap()), "7");
    assert_eq!(runs.get(), 2);
}

#[test]
fn retry_children_reaches_the_child_that_failed_below() {
    let house = House::new();
    let (failing, fine) = (Count::default(), Count::default());
    let counted = failing.clone();
    house.function_with("fails once", tries(1), move |task| {
        if counted.up() == 1 { task.fail(Failure::new("Oops", "below")) } else { task.complete("7".into()) }
    });
    let counted = fine.clone();
    house.function("fine", move |task| {
        counted.up();
        task.complete("1".into())
    });
    house.function_with("middle", tries(1), |task| {
        task.call("fine", "[]".into(), CallOptions::default())?;
        // Still waited for when the other one fails, and asked for again.
        let sleep = task.spawn_sleep(Duration::from_millis(50), None)?;
        let result = task.call("fails once", "[]".into(), CallOptions::default())?;
        task.await_ops(&[sleep], WaitMode::All, None)?;
        task.complete(result)
    });
    let policy = RetryPolicy { retry_children: true, initial_delay: 0.01, ..RetryPolicy::default() };
    let options = FunctionOptions { retry_policy: Some(policy), ..FunctionOptions::default() };
    house.function_with("root", options, |task| {
        task.complete(task.call("middle", "[]".into(), CallOptions::default())?)
    });
    let _worker = house.worker(4);
    assert_eq!(text(&house.run("root", "[]").unwrap()), "7");
    assert_eq!((failing.get(), fine.get()), (2, 1));
}

#[test]
fn ok_without_an_outcome_panics_and_lost_references_are_failures() {
    let house = House::new();
    house.function_with("silent", tries(1), |_| Ok(()));
    house.function_with("panics", tries(1), |_| panic!("boom {}", 7));
    house.executor.register("drops", tries(1), Some(std::sync::Arc::new(|_: &Task| Status::Pending))).unwrap();
    let _worker = house.worker(4);
    let failure = |function: &str| house.run(function, "[]").unwrap_err().failure().unwrap().clone();
    assert_eq!(failure("silent").kind, "NoOutcome");
    assert_eq!(failure("drops").kind, "NoOutcome");
    let panic = failure("panics");
    assert_eq!((panic.kind.as_str(), panic.message.as_str()), ("Panic", "the handler panicked: boom 7"));
}

#[test]
fn a_deferred_task_is_ended_from_another_thread_and_keeps_its_slot() {
    let house = House::new();
    let (send, receive) = channel::<Task>();
    let send = Mutex::new(send);
    let handler = move |task: &Task| {
        send.lock().unwrap().send(task.clone()).unwrap();
        Status::Pending
    };
    house.executor.register("later", FunctionOptions::default(), Some(std::sync::Arc::new(handler))).unwrap();
    let worker = house.worker(1);
    let (first, second) = (house.dispatch("later", "[1]"), house.dispatch("later", "[2]"));
    let task = receive.recv_timeout(SOON.unwrap()).unwrap();
    assert!(receive.recv_timeout(Duration::from_millis(50)).is_err());
    assert_eq!(worker.status().running, 1);
    task.complete("\"a\"".into()).unwrap();
    assert_eq!(task.complete("\"b\"".into()).unwrap_err().status(), Status::Closed);
    let task = receive.recv_timeout(SOON.unwrap()).unwrap();
    task.fail(Failure::new("Oops", "no").final_()).unwrap();
    assert_eq!(text(&house.result(first).unwrap()), "\"a\"");
    assert_eq!(house.result(second).unwrap_err().status(), Status::Failed);
    until("the slot is free", || worker.status().running == 0);
}

#[test]
fn an_attempt_that_takes_too_long_times_out_and_keeps_its_slot() {
    let house = House::new();
    let options = FunctionOptions { timeout: Some(Duration::from_millis(50)), ..tries(2) };
    house.function_with("slow", options, |task| {
        while !task.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(task.complete("1".into()).unwrap_err().status(), Status::LeaseLost);
        Ok(())
    });
    let worker = house.worker(1);
    let error = house.run("slow", "[]").unwrap_err();
    assert_eq!(error.failure().unwrap().kind, "Timeout");
    until("the slot is free", || worker.status().running == 0);
    assert_eq!(house.on(house.executor.stats()).unwrap().metrics.counters.timeouts, 2);
}

#[test]
fn cancel_reaches_a_running_handler_and_its_result_is_refused() {
    let house = House::new();
    let (started, hear) = channel();
    let (started, status) = (Mutex::new(started), std::sync::Arc::new(Mutex::new(None)));
    let seen = std::sync::Arc::clone(&status);
    house.function("endless", move |task| {
        started.lock().unwrap().send(()).unwrap();
        while !task.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        *seen.lock().unwrap() = Some(task.complete("1".into()).unwrap_err().status());
        task.progress("1".into())
    });
    let _worker = house.worker(2);
    let id = house.dispatch("endless", "[]");
    hear.recv_timeout(SOON.unwrap()).unwrap();
    house.on(house.executor.cancel(id, Some("no more".into()))).unwrap();
    let error = house.result(id).unwrap_err();
    assert_eq!(error.status(), Status::Cancelled);
    assert!(error.message().contains("no more"), "{error}");
    until("it was told", || *status.lock().unwrap() == Some(Status::Cancelled));
}

#[test]
fn a_result_is_kept_for_calls_with_the_same_arguments() {
    let house = House::new();
    let runs = Count::default();
    let counted = runs.clone();
    let options = FunctionOptions { cached: true, ..FunctionOptions::default() };
    house.function_with("costly", options, move |task| {
        counted.up();
        task.complete(task.args())
    });
    let _worker = house.worker(4);
    assert_eq!(text(&house.run("costly", "[{\"a\":1,\"b\":2}]").unwrap()), "[{\"a\":1,\"b\":2}]");
    assert_eq!(text(&house.run("costly", "[{\"b\":2,\"a\":1}]").unwrap()), "[{\"a\":1,\"b\":2}]");
    assert_eq!(runs.get(), 1);
    assert_eq!(text(&house.run("costly", "[3]").unwrap()), "[3]");
    assert_eq!(house.on(house.executor.stats()).unwrap().metrics.counters.cache_hits, 1);
}

#[test]
fn a_dispatch_with_the_key_of_a_call_gets_the_calls_result() {
    let house = House::new();
    let (runs, go) = (Count::default(), Count::default());
    let (run, wait) = (runs.clone(), go.clone());
    house.function("work", move |task| {
        run.up();
        while wait.get() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        task.complete("7".into())
    });
    house.function("parent", |task| {
        let options = CallOptions { idempotency_key: Some("k".into()), ..CallOptions::default() };
        task.complete(task.call("work", "[]".into(), options)?)
    });
    let _worker = house.worker(4);
    let parent = house.dispatch("parent", "[]");
    until("the call runs", || runs.get() == 1);
    let options = DispatchOptions { idempotency_key: Some("k".into()), ..DispatchOptions::default() };
    let joined = house.on(house.executor.dispatch("work", "[]".into(), options)).unwrap();
    assert_ne!(joined, parent);
    go.up();
    assert_eq!((text(&house.result(joined).unwrap()), text(&house.result(parent).unwrap())), ("7", "7"));
    assert_eq!(runs.get(), 1);
}

#[test]
fn a_replayed_letter_runs_again_and_what_was_done_does_not() {
    let house = House::new();
    let (failing, fine) = (Count::default(), Count::default());
    let counted = failing.clone();
    house.function_with("fails once", tries(1), move |task| {
        if counted.up() == 1 { task.fail(Failure::new("Oops", "")) } else { task.complete("7".into()) }
    });
    let counted = fine.clone();
    house.function("fine", move |task| {
        counted.up();
        task.complete("1".into())
    });
    house.function_with("root", tries(1), |task| {
        task.call("fine", "[]".into(), CallOptions::default())?;
        task.complete(task.call("fails once", "[]".into(), CallOptions::default())?)
    });
    let _worker = house.worker(4);
    assert!(house.run("root", "[]").is_err());
    let letters = house.on(house.executor.dead_letters(DeadLetterFilter { limit: 10, ..Default::default() })).unwrap();
    let replayed = house.on(house.executor.replay_dead_letter(letters[0].task.id)).unwrap();
    assert_eq!(replayed.replay_of, letters[0].task.execution_id);
    assert_eq!(text(&house.result(replayed.execution).unwrap()), "7");
    assert_eq!((failing.get(), fine.get()), (2, 1));
    let steps = house.on(house.executor.state(replayed.execution)).unwrap().execution.progress;
    let steps: Vec<&str> = steps.iter().map(|line| line.step.as_str()).collect();
    assert!(["root", "fine", "fails once"].iter().all(|name| steps.contains(name)), "{steps:?}");
}

#[test]
fn continue_starts_over_with_new_arguments() {
    let house = House::new();
    house.echo("child");
    house.function("loops", |task| {
        let args = task.args();
        let child = task.call("child", args.clone(), CallOptions::default())?;
        match text(&args) {
            "[3]" => task.complete(child),
            "[2]" => task.continue_with("[3]".into()),
            _ => task.continue_with("[2]".into()),
        }
    });
    let _worker = house.worker(2);
    assert_eq!(text(&house.run("loops", "[1]").unwrap()), "[3]");
}

#[test]
fn an_execution_that_takes_too_long_times_out() {
    let house = House::new();
    house.function("sleepy", |task| {
        task.sleep(Duration::from_secs(3600), None)?;
        task.complete("1".into())
    });
    let _worker = house.worker(2);
    let options = DispatchOptions { max_duration: Some(Duration::from_millis(100)), ..DispatchOptions::default() };
    let id = house.on(house.executor.dispatch("sleepy", Payload::empty_array(), options)).unwrap();
    assert_eq!(house.result(id).unwrap_err().status(), Status::Timeout);
    assert_eq!(house.on(house.executor.state(id)).unwrap().execution.state, ExecutionState::TimedOut);
}
