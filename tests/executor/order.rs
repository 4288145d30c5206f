//! Code that changes while its tasks are in flight, and what later attempts say.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use stent::backend::{DeadLetterFilter, Request, Response};
use stent::executor::Task;
use stent::model::{
    CallOptions, Failure, FunctionOptions, Id, Number, Result, RetryPolicy, Status, Task as Record, WaitMode,
    WaitSignalOptions,
};

use crate::house::{Count, House, text, tries, until};

const NAP: Duration = Duration::from_millis(30);

fn call(task: &Task, function: &str) -> Result<()> {
    task.call(function, "[]".into(), CallOptions::default()).map(drop)
}

fn root(house: &House, execution: Id) -> Record {
    let task_id = stent::model::child_id(execution, 0, "root");
    let Response::Task(Some(task)) = house.on(house.backend.call(Request::GetTask { task_id })).unwrap() else {
        panic!("there is no root task of {execution}")
    };
    *task
}

fn parked(house: &House) -> u64 {
    house.on(house.executor.stats()).unwrap().store.parked
}

/// Calls `a`, sleeps and calls `b`; in the sleep its code becomes another one. It is parked, with the recorded operation and
/// what comes in its place; it goes on when it is resumed with code that fits, and has used up nothing.
fn changes_in_its_sleep(code: impl Fn(&Task) -> Result<()> + Send + Sync + 'static, recorded: &str, instead: &str) {
    let house = House::new();
    for name in ["a", "b", "c"] {
        house.echo(name);
    }
    let (changed, mended) = (AtomicBool::new(false), Arc::new(AtomicBool::new(false)));
    let fits = Arc::clone(&mended);
    house.function_with("flow", tries(1), move |task| {
        if changed.load(SeqCst) && !fits.load(SeqCst) {
            code(task)?;
            return task.complete("\"other\"".into());
        }
        call(task, "a")?;
        let nap = task.spawn_sleep(NAP, None)?;
        changed.store(true, SeqCst);
        task.await_ops(&[nap], WaitMode::All, None)?;
        call(task, "b")?;
        task.complete("\"done\"".into())
    });
    let _worker = house.worker(2);
    let id = house.dispatch("flow", "[]");
    until("it is parked", || parked(&house) == 1);
    let task = root(&house, id);
    let why = task.error.unwrap();
    assert_eq!((why.kind.as_str(), task.retries), ("Nondeterminism", 0));
    assert!(why.message.contains(&format!("was recorded as {recorded}")), "{}", why.message);
    assert!(why.message.contains(instead), "{}", why.message);
    mended.store(true, SeqCst);
    house.on(house.executor.resume(task.id)).unwrap();
    assert_eq!(text(&house.result(id).unwrap()), "\"done\"");
}

/// It may come from a setting or from a clock. The end that is recorded stands.
#[test]
fn a_sleep_or_a_time_out_of_another_length_fits() {
    const LONG: Duration = Duration::from_secs(3_600);
    let house = House::new();
    house.echo("a");
    let again = AtomicBool::new(false);
    house.function_with("flow", tries(1), move |task| {
        let long = again.swap(true, SeqCst);
        let (nap, patience) = if long { (LONG, LONG) } else { (NAP, NAP / 2) };
        let options = WaitSignalOptions { timeout: Some(patience), ..WaitSignalOptions::default() };
        let nap = task.spawn_sleep(nap, None)?;
        match task.wait_signal("never", options) {
            Err(why) if why.status() == Status::Failed => {}
            other => return other.map(drop),
        }
        task.await_ops(&[nap], WaitMode::All, None)?;
        call(task, "a")?;
        task.complete("\"in time\"".into())
    });
    let _worker = house.worker(2);
    let id = house.dispatch("flow", "[]");
    assert_eq!(text(&house.result(id).unwrap()), "\"in time\"");
    assert_eq!(parked(&house), 0);
}

#[test]
fn operations_that_change_places_stop_the_task() {
    let code = |task: &Task| {
        call(task, "b")?;
        task.sleep(NAP, None)?;
        call(task, "a")
    };
    changes_in_its_sleep(code, "activity \"a\" with args []", "b#1 is asked for");
}

#[test]
fn an_operation_before_the_others_stops_the_task() {
    let code = |task: &Task| {
        call(task, "c")?;
        call(task, "a")?;
        task.sleep(NAP, None)?;
        call(task, "b")
    };
    changes_in_its_sleep(code, "activity \"a\" with args []", "c#1 is asked for");
}

#[test]
fn an_operation_that_is_left_out_stops_the_task() {
    let code = |task: &Task| {
        task.sleep(NAP, None)?;
        call(task, "b")
    };
    changes_in_its_sleep(code, "activity \"a\" with args []", "sleep#1 is asked for");
}

#[test]
fn a_handler_that_ends_before_its_record_does_is_stopped() {
    changes_in_its_sleep(|task| call(task, "a"), "timer \"sleep\"", "comes the end of the handler");
}

#[test]
fn a_handler_that_waits_before_its_record_does_is_stopped() {
    let house = House::new();
    let runs = Count::default();
    let run = runs.clone();
    house.echo("a");
    house.function("flow", move |task| {
        let nap = task.spawn_sleep(Duration::from_secs(600), None)?;
        let other = if run.up() == 2 { nap } else { task.spawn_call("a", "[]".into(), CallOptions::default())? };
        task.await_ops(&[nap, other], WaitMode::Any, None)?;
        task.complete("1".into())
    });
    let _worker = house.worker(2);
    let id = house.dispatch("flow", "[]");
    until("it is parked", || parked(&house) == 1);
    let why = root(&house, id).error.unwrap();
    assert!(why.message.contains("operation a#1 was recorded as activity \"a\""), "{}", why.message);
    assert!(why.message.contains("in its place comes a wait for operation sleep#1"), "{}", why.message);
}

#[test]
fn an_attempt_that_fails_before_its_record_ends_is_a_failed_attempt() {
    let house = House::new();
    let (runs, steps) = (Count::default(), Count::default());
    let (run, step) = (runs.clone(), steps.clone());
    house.function_with("worker", tries(3), move |task| {
        let run = run.up();
        for (name, fails_in) in [("first", 2), ("second", 1)] {
            if run == fails_in {
                return task.fail(Failure::new("Oops", name));
            }
            let begun = task.step_begin(name, None)?;
            if !begun.recorded {
                step.up();
                task.step_end(begun.op, Ok("1".into()))?;
            }
        }
        task.complete("1".into())
    });
    let _worker = house.worker(2);
    house.run("worker", "[]").unwrap();
    assert_eq!((runs.get(), steps.get()), (3, 2));
}

/// It fails once.
fn flaky(house: &House) {
    let runs = Count::default();
    house.function_with("flaky", tries(1), move |task| match runs.up() {
        1 => task.fail(Failure::new("Unlucky", "this time")),
        _ => task.complete("1".into()),
    });
}

/// What made up for a failed child is not asked for again, once that has been opened again and completes.
fn saga(task: &Task) -> Result<()> {
    match call(task, "flaky") {
        Ok(()) => {
            call(task, "next")?;
            task.complete("\"done\"".into())
        }
        Err(error) if error.status() == Status::Failed => {
            call(task, "undo")?;
            task.fail(error.failure().unwrap().clone())
        }
        Err(error) => Err(error),
    }
}

#[test]
fn a_handler_may_go_another_way_after_a_child_that_was_opened_again() {
    let house = House::new();
    flaky(&house);
    house.echo("undo");
    house.echo("next");
    let policy = RetryPolicy {
        max_attempts: 2,
        initial_delay: 0.01,
        jitter: 0.0,
        retry_children: true,
        ..RetryPolicy::default()
    };
    house.function_with("saga", FunctionOptions { retry_policy: Some(policy), ..FunctionOptions::default() }, saga);
    let _worker = house.worker(2);
    assert_eq!(text(&house.run("saga", "[]").unwrap()), "\"done\"");
}

#[test]
fn a_handler_may_go_another_way_after_what_a_dead_letters_replay_runs_again() {
    let house = House::new();
    flaky(&house);
    house.echo("undo");
    house.echo("next");
    house.function("saga", saga);
    let _worker = house.worker(2);
    house.run("saga", "[]").unwrap_err();
    let letters = house.on(house.executor.dead_letters(DeadLetterFilter { limit: 10, ..Default::default() })).unwrap();
    assert_eq!(letters.len(), 1);
    let replayed = house.on(house.executor.replay_dead_letter(letters[0].task.id)).unwrap();
    assert_eq!(text(&house.result(replayed.execution).unwrap()), "\"done\"");
}

#[test]
fn a_later_attempt_without_a_journal_is_heard() {
    let house = House::new();
    let runs = Count::default();
    house.function_with("talker", tries(2), move |task| {
        let first = runs.up() == 1;
        let what = if first { "phase" } else { "result" };
        task.progress(format!("\"{what}\"").as_str().into())?;
        task.counter_add("said", Number::Integer(1))?;
        task.state_set(what, "1".into())?;
        if first { task.fail(Failure::new("Oops", "after it spoke")) } else { task.complete("1".into()) }
    });
    let _worker = house.worker(2);
    let id = house.dispatch("talker", "[]");
    house.result(id).unwrap();
    let snapshot = house.on(house.executor.state(id)).unwrap();
    assert_eq!(snapshot.state.keys().collect::<Vec<_>>(), ["phase", "result"]);
    assert_eq!(snapshot.counters["said"], Number::Integer(2));
    let said: Vec<_> = snapshot.execution.progress.iter().filter_map(|entry| entry.detail.as_ref()).map(text).collect();
    assert_eq!(said, ["\"phase\"", "\"result\""]);
}
