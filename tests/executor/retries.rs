//! When another attempt begins: a list of delays, a limit by time, a server that wants to be left alone, and "not now".

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stent::backend::DeadLetterFilter;
use stent::model::{CallOptions, DeadLetter, Failure, FunctionOptions, RetryAfter, RetryPolicy};

use crate::house::{Count, House, SOON, text, until};

fn with(policy: RetryPolicy) -> FunctionOptions {
    FunctionOptions { retry_policy: Some(RetryPolicy { jitter: 0.0, ..policy }), ..FunctionOptions::default() }
}

fn letters(house: &House) -> Vec<DeadLetter> {
    house.on(house.executor.dead_letters(DeadLetterFilter { limit: 10, ..Default::default() })).unwrap()
}

/// When attempts of `function` began. The function fails `failures` times, with what is asked for by `retry_after`.
fn flaky(
    house: &House,
    policy: RetryPolicy,
    failures: u32,
    retry_after: Option<RetryAfter>,
) -> Arc<Mutex<Vec<Instant>>> {
    let began = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&began);
    house.function_with("flaky", with(policy), move |task| {
        told.lock().unwrap().push(Instant::now());
        if task.info().attempt > failures {
            return task.complete("1".into());
        }
        task.fail(Failure { retry_after: retry_after.clone(), ..Failure::new("Busy", "later") })
    });
    began
}

fn pauses(began: &Mutex<Vec<Instant>>) -> Vec<Duration> {
    began.lock().unwrap().windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn each_retry_waits_for_its_own_delay_of_the_list() {
    let house = House::new();
    let policy = RetryPolicy { max_attempts: 4, delays: vec![0.3, 0.0, 0.4], ..RetryPolicy::default() };
    let began = flaky(&house, policy, 3, None);
    let _worker = house.worker(4);
    assert_eq!(text(&house.run("flaky", "[]").unwrap()), "1");
    let pauses = pauses(&began);
    assert!(pauses.len() == 3 && pauses[0].as_millis() >= 300 && pauses[2].as_millis() >= 400, "{pauses:?}");
}

#[test]
fn no_attempt_begins_before_a_server_wants_it() {
    for retry_after in [RetryAfter::For(Duration::from_secs(1)), RetryAfter::Text("1".to_owned())] {
        let house = House::new();
        let policy = RetryPolicy { initial_delay: 0.0, ..RetryPolicy::default() };
        let began = flaky(&house, policy, 1, Some(retry_after));
        let _worker = house.worker(4);
        assert_eq!(text(&house.run("flaky", "[]").unwrap()), "1");
        assert!(pauses(&began)[0].as_millis() >= 1000, "{:?}", pauses(&began));
    }
}

#[test]
fn what_nobody_can_read_loses_no_failure_and_no_retry() {
    let house = House::new();
    let policy = RetryPolicy { initial_delay: 0.0, max_attempts: 2, ..RetryPolicy::default() };
    let began = flaky(&house, policy, 9, Some(RetryAfter::Text("in a while".to_owned())));
    let _worker = house.worker(4);
    let error = house.run("flaky", "[]").unwrap_err();
    assert_eq!(error.failure(), Some(&Failure::new("Busy", "later")));
    assert_eq!(began.lock().unwrap().len(), 2);
}

#[test]
fn the_time_for_retries_ends_them() {
    let house = House::new();
    let policy =
        RetryPolicy { max_attempts: 1000, delays: vec![0.1], max_elapsed: Some(0.5), ..RetryPolicy::default() };
    let began = flaky(&house, policy, 1000, None);
    let _worker = house.worker(4);
    house.run("flaky", "[]").unwrap_err();
    let began = began.lock().unwrap();
    assert!((2..=6).contains(&began.len()), "{began:?}");
    let reason = &letters(&house)[0].reason;
    assert!(reason.contains("later than 500ms after the first attempt began (max_elapsed)"), "{reason}");
}

#[test]
fn a_retry_whose_turn_comes_too_late_does_not_begin() {
    let house = House::new();
    let policy = RetryPolicy { max_attempts: 9, delays: vec![0.2], max_elapsed: Some(1.0), ..RetryPolicy::default() };
    let began = flaky(&house, policy, 9, None);
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (entered, is_in) = std::sync::mpsc::channel();
    let (released, entered) = (Mutex::new(released), Mutex::new(entered));
    // The only slot of the only worker is taken from the first attempt's end on.
    house.function("holds", move |task| {
        entered.lock().unwrap().send(()).unwrap();
        released.lock().unwrap().recv().unwrap();
        task.complete("1".into())
    });
    let _worker = house.worker(1);
    let flaky = house.dispatch("flaky", "[]");
    let holds = house.dispatch("holds", "[]");
    is_in.recv_timeout(SOON.unwrap()).unwrap();
    let first = began.lock().unwrap()[0];
    until("the time for retries is over", || first.elapsed() > Duration::from_millis(1200));
    release.send(()).unwrap();
    house.result(holds).unwrap();
    let error = house.result(flaky).unwrap_err();
    assert_eq!(error.failure().unwrap().kind, "Busy");
    assert_eq!(began.lock().unwrap().len(), 1);
    let letters = letters(&house);
    assert!(letters[0].reason.contains("its turn came after 1s"), "{}", letters[0].reason);
}

#[test]
fn not_now_keeps_the_journal_and_charges_nothing() {
    let house = House::new();
    let (runs, children) = (Count::default(), Count::default());
    let (run, child) = (runs.clone(), children.clone());
    house.function("child", move |task| {
        child.up();
        task.complete("7".into())
    });
    house.function_with("patient", with(RetryPolicy { max_attempts: 1, ..RetryPolicy::default() }), move |task| {
        run.up();
        let found = task.call("child", "[]".into(), CallOptions::default())?;
        if task.info().snoozes < 2 {
            return task.snooze(Duration::from_millis(50));
        }
        assert_eq!(task.info().attempt, 1);
        task.complete(found)
    });
    let _worker = house.worker(4);
    assert_eq!(text(&house.run("patient", "[]").unwrap()), "7");
    assert_eq!((runs.get() >= 3, children.get()), (true, 1));
}
