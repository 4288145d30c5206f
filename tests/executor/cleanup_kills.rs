//! Workers that are killed in the midst of a cleanup: it goes on at another, within its time.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use stent::model::{CallOptions, ExecutionState, Id, Status, TaskKind, WaitSignalOptions, WorkerOptions};

use crate::cleanups::{LONG, Notes, cleans, noted};
use crate::house::{House, Kind, SOON, until};

/// Set for the worker that dies: the store that it works on.
const KILLED: &str = "STENT_TEST_CLEANUP_STORE";
const KILL: &str = "cleanup_kills::one_whose_worker_is_killed_in_its_midst_goes_on_at_another";
const MIDST: &str = "in the midst of the cleanup";

/// Undoes in three steps; `between` is called after the first.
fn three_steps(house: &House, time: Duration, notes: &Notes, between: impl Fn() + Send + Sync + 'static) {
    house.function("refund", noted(notes, "refund"));
    let log = notes.clone();
    house.function_with("order", cleans(time), move |task| {
        let told = task.wait_signal("never", WaitSignalOptions::default()).map(drop);
        if told.as_ref().is_err_and(|error| error.status() == Status::Cancelled) {
            log.add("told");
            task.call("refund", "[1]".into(), CallOptions::default())?;
            between();
            task.call("refund", "[2]".into(), CallOptions::default())?;
            task.sleep(Duration::from_millis(1), None)?;
            log.add("clean");
        }
        told
    });
}

/// Soon taken for dead.
fn mortal() -> WorkerOptions {
    WorkerOptions {
        max_concurrency: 4,
        lease_duration: Duration::from_secs(2),
        poll_interval: Duration::from_millis(50),
        poll_interval_max: Duration::from_millis(100),
        ..WorkerOptions::default()
    }
}

/// The worker's process: it says when it is in the midst of the cleanup, and goes no further.
fn be_killed(place: &str) {
    let house = House::at(place);
    let time = std::env::var("STENT_TEST_CLEANUP_TIME").unwrap().parse().unwrap();
    three_steps(&house, Duration::from_millis(time), &Notes::default(), || {
        println!("\n{MIDST}");
        loop {
            std::thread::park();
        }
    });
    let _worker = house.worker_with(mortal());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    std::process::exit(0);
}

fn victim(place: &str, time: Duration) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", KILL, "--nocapture"])
        .env(KILLED, place)
        .env("STENT_TEST_CLEANUP_TIME", time.as_millis().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A store, and an execution of it whose worker was killed in the midst of its cleanup.
fn killed_in_its_midst(time: Duration, cancelled: impl FnOnce()) -> (Option<tempfile::TempDir>, House, Id) {
    let (folder, place) = match crate::KIND {
        Kind::Sqlite | Kind::Protocol(_) => {
            let folder = tempfile::tempdir().unwrap();
            let place = folder.path().join("store.db").to_str().unwrap().to_owned();
            (Some(folder), place)
        }
        Kind::Postgres { fresh_url, .. } => (None, fresh_url()),
    };
    let house = House::at(&place);
    let mut victim = victim(&place, time);
    let said = BufReader::new(victim.stdout.take().unwrap()).lines();
    let (midst, in_its_midst) = channel();
    std::thread::spawn(move || {
        let is_there = said.map_while(std::result::Result::ok).any(|line| line == MIDST);
        midst.send(is_there)
    });
    let id = house.dispatch("order", "[]");
    until("it waits", || house.tasks(id).iter().any(|task| task.kind == TaskKind::Signal));
    house.until_waits(id);
    cancelled();
    house.cancel(id);
    let is_there = in_its_midst.recv_timeout(SOON.unwrap());
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(is_there, Ok(true));
    (folder, house, id)
}

#[test]
fn one_whose_worker_is_killed_in_its_midst_goes_on_at_another() {
    if let Ok(place) = std::env::var(KILLED) {
        return be_killed(&place);
    }
    let (_folder, house, id) = killed_in_its_midst(LONG, || ());
    assert_eq!(house.execution(id).state, ExecutionState::Cancelling);
    let notes = Notes::default();
    three_steps(&house, LONG, &notes, || ());
    let _worker = house.worker(4);
    assert_eq!(house.until_ended(id).state, ExecutionState::Cancelled);
    // What was done is not done again, and the rest is.
    assert_eq!(notes.all().iter().filter(|note| *note == "refund").count(), 1, "{:?}", notes.all());
    assert!(notes.has("told") && notes.has("clean"));
    assert_eq!(house.state(id).cancel_reason.as_deref(), Some("no stock"));
}

#[test]
fn one_whose_worker_is_killed_ends_in_its_time_where_nobody_can_go_on() {
    const TIME: Duration = Duration::from_secs(6);
    let began = std::cell::Cell::new(Instant::now());
    let (_folder, house, id) = killed_in_its_midst(TIME, || began.set(Instant::now()));
    // A worker that has none of its functions.
    house.echo("other");
    let _worker = house.worker_with(mortal());
    assert_eq!(house.until_ended(id).state, ExecutionState::Cancelled);
    assert!(began.get().elapsed() >= TIME);
    assert!(house.tasks(id).iter().all(|task| task.state.is_terminal()));
}
