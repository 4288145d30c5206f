//! Errors of first hours: functions that nobody has registered, options that don't exist, attempts that fail.

use std::time::Duration;

use stent::backend::{NewPause, Pausable};
use stent::executor::LogRecord;
use stent::model::{CallOptions, Detail, Error, Failure, Level, Status, TaskOptions};

use crate::house::{Count, House, Kind, SOON, tries, until};

/// What a wait says that takes no time.
fn in_vain(house: &House, execution: stent::model::Id) -> Error {
    let error = house.on(house.executor.wait(execution, Some(Duration::ZERO))).unwrap_err();
    assert_eq!(error.status(), Status::Timeout);
    error
}

fn warned(house: &House, of: &str) -> Vec<LogRecord> {
    let lines = house.lines.lock().unwrap();
    let wanted = lines.iter().filter(|(level, record)| *level == Level::Warn && record.message.contains(of));
    wanted.map(|(_, record)| record.clone()).collect()
}

fn field(record: &LogRecord, name: &str) -> String {
    record.fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

#[test]
fn a_wait_for_what_nobody_has_registered_says_so() {
    let house = House::new();
    let alone = house.dispatch("chrage", "[]");
    let error = in_vain(&house, alone);
    // A store that answers the protocol alone keeps no list of workers.
    let rest =
        if matches!(crate::KIND, Kind::Protocol(_)) { "" } else { ", nor any other function, and none is running" };
    assert!(error.message().ends_with(&format!("no worker has registered 'chrage'{rest}")), "{error}");
    house.echo("charge");
    house.echo("refund");
    let _worker = house.worker(1);
    let told = || in_vain(&house, alone).message().to_owned();
    let said = "no worker has registered 'chrage'; did you mean 'charge'? These have been registered: charge, refund";
    until("it knows of the worker", || told().ends_with(said));
    let error = in_vain(&house, alone);
    assert!(matches!(&error.details()["function"], Detail::Text(name) if name == "chrage"), "{error:?}");
    assert!(matches!(&error.details()["registered"], Detail::List(names) if names.len() == 2), "{error:?}");
    // The log has it once, however often somebody asks.
    assert_eq!(warned(&house, "no worker has registered 'chrage'").len(), 1);
    assert_eq!(in_vain(&house, alone).message(), error.message());
    assert_eq!(warned(&house, "no worker has registered 'chrage'").len(), 1);
}

#[test]
fn a_call_of_what_nobody_has_registered_is_told_by_the_wait_for_its_caller() {
    let house = House::new();
    house.function("parent", |task| task.complete(task.call("chrage", "[]".into(), CallOptions::default())?));
    let _worker = house.worker(1);
    let parent = house.dispatch("parent", "[]");
    let said = "tasks wait on this store: no worker has registered 'chrage'; these have been registered: parent";
    until("its call waits", || in_vain(&house, parent).message().ends_with(said));
}

#[test]
fn a_wait_for_what_is_paused_says_so() {
    if matches!(crate::KIND, Kind::Protocol(_)) {
        return;
    }
    let house = House::new();
    house.echo("charge");
    house.function("parent", |task| task.complete(task.call("charge", "[]".into(), CallOptions::default())?));
    let _worker = house.worker(1);
    let pause = |what: Pausable, reason: &str| {
        let (reason, by) = (Some(reason.to_owned()), Some("ann".to_owned()));
        match house.on(house.executor.pause(NewPause { what, reason, by })) {
            Err(why) if why.status() == Status::Unsupported => false,
            paused => {
                paused.unwrap();
                true
            }
        }
    };
    if !pause(Pausable::Function("charge".to_owned()), "no funds") {
        return;
    }
    let (charge, parent) = (house.dispatch("charge", "[]"), house.dispatch("parent", "[]"));
    let told = |of| in_vain(&house, of).message().to_owned();
    let told_of_charge = told(charge);
    assert!(told_of_charge.contains("the function 'charge' is paused since "), "{told_of_charge}");
    assert!(told_of_charge.ends_with(" by ann: no funds"), "{told_of_charge}");
    until("its call waits", || told(parent).contains("on this store the function 'charge' is paused since "));
    house.on(house.executor.unpause(Pausable::Function("charge".to_owned()))).unwrap();
    house.result(charge).unwrap();
    house.result(parent).unwrap();
    let why = house.on(house.executor.unpause(Pausable::Function("charge".to_owned()))).unwrap_err();
    assert_eq!(why.status(), Status::NotFound);
    assert_eq!(house.on(house.executor.pauses()).unwrap(), []);
}

/// Also where nobody waits for it.
#[test]
fn a_worker_tells_the_log_of_tasks_that_nobody_can_run() {
    let house = House::new();
    house.dispatch("chrage", "[]");
    house.echo("charge");
    let _worker = house.worker(1);
    until("the log has it", || !warned(&house, "tasks wait: no worker has registered 'chrage'").is_empty());
}

#[test]
fn a_wait_for_what_a_worker_has_says_nothing_of_it() {
    let house = House::new();
    house.function("signalled", |task| {
        task.wait_signal("go", stent::model::WaitSignalOptions::default())?;
        task.complete("1".into())
    });
    let worker = house.worker(1);
    let id = house.dispatch("signalled", "[]");
    until("it waits", || in_vain(&house, id).message().contains("running") && worker.status().held == 0);
    let error = in_vain(&house, id);
    assert!(error.message().ends_with("is still running"), "{error}");
    assert!(!error.details().contains_key("function"));
}

#[test]
fn an_attempt_that_fails_is_a_warning_with_what_follows() {
    let house = House::new();
    house.function_with("flaky", tries(2), |task| task.fail(Failure::new("Oops", "it broke")));
    let _worker = house.worker(1);
    let id = house.dispatch("flaky", "[]");
    house.result(id).unwrap_err();
    until("its letter is told", || {
        house.lines.lock().unwrap().iter().any(|(_, line)| line.message.contains("dead-lettered"))
    });
    let lines = warned(&house, "the attempt failed, and another follows in 10ms: Oops: it broke");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let of = |name| field(&lines[0], name);
    assert_eq!([of("function"), of("attempt"), of("error")], ["flaky", "1", "Oops"]);
    assert_eq!(of("execution"), id.to_string());
    assert!(of("retry_at").contains('T'), "{lines:?}");
}

/// It would be no better the next time.
#[test]
fn a_misused_option_in_a_handler_is_final() {
    let house = House::new();
    let runs = Count::default();
    let run = runs.clone();
    house.echo("child");
    house.function_with("parent", tries(3), move |task| {
        run.up();
        let queue = Some("with\na line".to_owned());
        let options = CallOptions { task: TaskOptions { queue, ..TaskOptions::default() }, ..CallOptions::default() };
        task.complete(task.call("child", "[]".into(), options)?)
    });
    let _worker = house.worker(1);
    let id = house.dispatch("parent", "[]");
    let error = house.on(house.executor.result(id, SOON)).unwrap_err();
    assert_eq!(error.failure().unwrap().kind, "INVALID");
    assert!(!error.failure().unwrap().retryable, "{error:?}");
    assert_eq!(runs.get(), 1);
}
