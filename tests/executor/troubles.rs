//! A store that fails, leases that are lost, hints that never come.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stent::backend::{DeadLetterFilter, Request, Response};
use stent::executor::WorkerState;
use stent::model::{
    CallOptions, DispatchOptions, DispatchRequest, ERROR_TEXT_MAX, Error, Failure, Number, Status, TaskState,
    WaitSignalOptions, WorkerOptions, child_id,
};

use crate::flaky::flaky_house;
use crate::house::{Count, House, SOON, text, tries, until};

fn letters_of(function: &str) -> DeadLetterFilter {
    DeadLetterFilter { function: Some(function.to_owned()), limit: 10, ..DeadLetterFilter::default() }
}

/// Of many that are dispatched, the first stand; of those whose answer was lost nobody says that they don't.
#[test]
fn a_dispatch_of_many_says_how_far_it_came() {
    let (house, flaky) = flaky_house();
    let doubt = Error::backend("the connection is cut").retryable(true).with("commit", "in doubt");
    for (error, told) in [
        (Error::backend("no room"), "the first 1000 requests are started, the next ones are not"),
        (doubt, "the first 1000 requests are started; whether the next ones are is not known"),
    ] {
        flaky.dispatches.lock().unwrap().extend([None, Some(error)]);
        let request = DispatchRequest { function: "f".into(), args: "[]".into(), options: DispatchOptions::default() };
        let requests = vec![request; 1001];
        let why = house.on(house.executor.dispatch_many(requests)).unwrap_err();
        assert!(why.message().contains(told), "{why:?}");
        assert_eq!(why.details().get("dispatched"), Some(&1000.into()), "{why:?}");
    }
}

/// DESIGN, law 2: the handler's body is not run again because a commit failed.
#[test]
fn a_failed_commit_is_repeated_and_the_handler_is_not() {
    let (house, flaky) = flaky_house();
    let runs = Count::default();
    let run = runs.clone();
    house.function("once", move |task| {
        run.up();
        task.complete("1".into())
    });
    let busy = || Error::backend("the store is busy").retryable(true);
    // Refused, refused, recorded without an answer, recorded again.
    flaky.fails.lock().unwrap().extend([(busy(), false), (busy(), false), (busy(), true)]);
    let worker = house.worker(2);
    assert_eq!(text(&house.run("once", "[]").unwrap()), "1");
    assert_eq!(runs.get(), 1);
    until("the worker has its answer", || flaky.fails.lock().unwrap().is_empty() && worker.status().held == 0);
    assert_eq!(worker.status().trouble, None);
    assert_eq!(house.on(house.executor.stats()).unwrap().metrics.counters.lost_leases, 0);
}

#[test]
fn a_result_that_cant_be_recorded_fails_its_own_task_only() {
    let (house, flaky) = flaky_house();
    *flaky.poison.lock().unwrap() = Some("[13]".into());
    house.function_with("echo", tries(5), |task| task.complete(task.args()));
    let ids: Vec<_> = (10..16).map(|number| house.dispatch("echo", &format!("[{number}]"))).collect();
    let _worker = house.worker(8);
    for (id, number) in ids.into_iter().zip(10..16) {
        match house.result(id) {
            Ok(result) => assert_eq!(text(&result), format!("[{number}]")),
            Err(error) => {
                assert_eq!(number, 13);
                assert_eq!(error.failure().unwrap().kind, "BACKEND");
                assert!(error.message().contains("a row can't be written"), "{error}");
            }
        }
    }
}

/// What the store refuses for good, and would refuse again, is charged once and ends in a letter that says what it was.
#[test]
fn a_counter_that_no_number_holds_ends_in_a_dead_letter() {
    let house = House::new();
    let runs = Count::default();
    let run = runs.clone();
    house.function_with("counts", tries(3), move |task| {
        run.up();
        task.counter_add("small", Number::Integer(1))?;
        for _ in 0..2 {
            task.counter_add("big", Number::Real(1.7e308))?;
        }
        task.complete("1".into())
    });
    house.echo("echo");
    let worker = house.worker(2);
    let id = house.dispatch("counts", "[]");
    let other = house.dispatch("echo", "[1]");
    let error = house.result(id).unwrap_err();
    assert!(error.message().contains("'big'"), "it names the counter: {error}");
    assert_eq!(text(&house.result(other).unwrap()), "[1]");
    until("nothing of it is left", || worker.status().held == 0);
    let letters = house.on(house.executor.dead_letters(letters_of("counts"))).unwrap();
    assert!(letters.len() == 1 && letters[0].reason.contains("'big'"), "{letters:?}");
    let snapshot = house.on(house.executor.state(id)).unwrap();
    assert!(snapshot.counters.is_empty(), "what was refused is not there in part: {:?}", snapshot.counters);
    // Beside others in one batch it does not take them with it, and does not run again.
    let ids: Vec<_> = (0..8).map(|number| house.dispatch("echo", &format!("[{number}]"))).collect();
    house.run("counts", "[]").unwrap_err();
    ids.into_iter().for_each(|id| drop(house.result(id).unwrap()));
    assert_eq!(runs.get(), 2, "no handler runs twice");
}

/// One attempt, one letter, whatever the error says and however long it is.
#[test]
fn any_error_text_ends_in_a_dead_letter() {
    let house = House::new();
    let runs = Count::default();
    for (name, failure) in [
        ("message", Failure::new("Oops", "a\0b 日本語")),
        ("type", Failure::new("Oo\0ps", "日本語")),
        ("long", Failure::new("Oops", "ü".repeat(1_000_000))),
    ] {
        let run = runs.clone();
        let kept = failure.clone();
        house.function_with(name, tries(1), move |task| {
            run.up();
            task.fail(Failure { stack: Some(failure.message.clone()), ..failure.clone() })
        });
        let worker = house.worker(1);
        let error = house.run(name, "[]").unwrap_err();
        let told = error.failure().unwrap();
        assert!(told.message.len() <= ERROR_TEXT_MAX && told.stack.as_ref().unwrap().len() <= ERROR_TEXT_MAX);
        if name != "long" {
            assert_eq!((&told.kind, &told.message), (&kept.kind, &kept.message));
        }
        let letters = house.on(house.executor.dead_letters(letters_of(name))).unwrap();
        assert_eq!(letters.len(), 1, "{name}");
        assert!(letters[0].reason.len() <= ERROR_TEXT_MAX);
        house.on(worker.stop(SOON)).unwrap();
    }
    assert_eq!(runs.get(), 3);
}

/// A dead letter that can't be written: nothing runs for it again, and it is written when it can be.
#[test]
fn a_letter_that_is_refused_is_written_later_and_nothing_runs_again() {
    let (house, flaky) = flaky_house();
    flaky.no_letters.store(true, SeqCst);
    let runs = Count::default();
    let run = runs.clone();
    house.function_with("doomed", tries(2), move |task| {
        run.up();
        task.fail(Failure::new("Oops", "it broke"))
    });
    let worker = house.worker(1);
    let id = house.dispatch("doomed", "[]");
    until("its letter has been refused, and again", || flaky.refused.load(SeqCst) > 4);
    assert_eq!(runs.get(), 2);
    let state = house.on(house.executor.state(id)).unwrap().execution.state;
    assert!(!state.is_terminal(), "{state}");
    flaky.no_letters.store(false, SeqCst);
    let error = house.result(id).unwrap_err();
    assert!(error.message().contains("no letters today") && error.message().contains("it broke"), "{error}");
    assert_eq!(runs.get(), 2);
    house.on(worker.stop(SOON)).unwrap();
}

#[test]
fn a_worker_starts_when_the_store_comes_back() {
    let (house, flaky) = flaky_house();
    house.echo("echo");
    flaky.away.store(3, SeqCst);
    let worker = house.executor.start_worker(WorkerOptions::default(), None).unwrap();
    assert_eq!(worker.state(), WorkerState::Starting);
    house.run("echo", "[]").unwrap();
    assert_eq!(worker.state(), WorkerState::Ready);
    flaky.away.store(usize::MAX, SeqCst);
    let another = house.executor.start_worker(WorkerOptions::default(), None).unwrap();
    until("it has tried", || another.status().trouble.is_some());
    assert!(another.status().trouble.unwrap().contains("the store is away"));
    house.on(another.stop(SOON)).unwrap();
    assert_eq!(another.state(), WorkerState::Stopped);
}

/// DESIGN, law 8: correctness rests on the poll.
#[test]
fn everything_works_without_a_single_hint() {
    let (house, flaky) = flaky_house();
    flaky.mute.store(true, SeqCst);
    house.echo("child");
    house.function("parent", |task| {
        task.sleep(Duration::from_millis(20), None)?;
        task.wait_signal("go", WaitSignalOptions::default())?;
        task.complete(task.call("child", "[1]".into(), CallOptions::default())?)
    });
    let (started, hear) = channel();
    let started = Mutex::new(started);
    house.function("endless", move |task| {
        let _gone = started.lock().unwrap().send(());
        while !task.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(Error::new(Status::Cancelled, ""))
    });
    let _worker = house.worker_with(WorkerOptions {
        poll_interval: Duration::from_millis(50),
        poll_interval_max: Duration::from_millis(50),
        heartbeat_interval: Some(Duration::from_millis(50)),
        ..WorkerOptions::default()
    });
    let (id, endless) = (house.dispatch("parent", "[]"), house.dispatch("endless", "[]"));
    let signal = stent::backend::NewSignal { execution: id, name: "go".into(), payload: "1".into(), id: None };
    house.on(house.executor.signal(signal)).unwrap();
    hear.recv_timeout(SOON.unwrap()).unwrap();
    house.on(house.executor.cancel(endless, None)).unwrap();
    assert_eq!(text(&house.result(id).unwrap()), "[1]");
    assert_eq!(house.result(endless).unwrap_err().status(), Status::Cancelled);
}

/// DESIGN, law 1: nothing is written under an old fence, and the handler's next call says so.
#[test]
fn a_lost_lease_is_told_and_writes_nothing() {
    let house = House::new();
    let (started, hear) = channel();
    let started = Mutex::new(started);
    let gate = Count::default();
    let open = gate.clone();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    house.function("victim", move |task| {
        started.lock().unwrap().send(()).unwrap();
        while open.get() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let begun = task.step_begin("step", None)?;
        let ended = task.step_end(begun.op, Ok("1".into())).unwrap_err();
        let after = task.complete("\"too late\"".into()).unwrap_err();
        tell.lock().unwrap().extend([ended.status(), after.status()]);
        Err(after)
    });
    let worker = house.worker(1);
    let id = house.dispatch("victim", "[]");
    hear.recv_timeout(SOON.unwrap()).unwrap();
    let root = child_id(id, 0, "root");
    let Response::Task(Some(mut task)) = house.on(house.backend.call(Request::GetTask { task_id: root })).unwrap()
    else {
        panic!("no task")
    };
    task.state = TaskState::Completed;
    task.result = Some("\"by hand\"".into());
    house.on(house.backend.call(Request::UpdateTask { task: *task })).unwrap();
    gate.up();
    until("the slot is free", || worker.status().running == 0);
    assert_eq!(*told.lock().unwrap(), [Status::LeaseLost, Status::LeaseLost]);
    until("nothing is held", || worker.status().held == 0);
    let Response::Tasks(tasks) =
        house.on(house.backend.call(Request::ListTasksForExecution { execution_id: id })).unwrap()
    else {
        panic!("no tasks")
    };
    assert_eq!(tasks.len(), 1);
    assert_eq!(text(tasks[0].result.as_ref().unwrap()), "\"by hand\"");
}

#[test]
fn a_worker_whose_store_is_closed_stops() {
    let house = House::new();
    house.echo("echo");
    let worker = house.worker(2);
    house.run("echo", "[]").unwrap();
    house.on(house.backend.call(Request::Close {})).unwrap();
    house.on(worker.wait_state(WorkerState::Stopped, SOON)).unwrap();
}
