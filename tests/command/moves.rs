//! Executions go from store to store while they go on.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use stent::executor::Task;
use stent::model::{CallOptions, ExecutionState, Payload, Result, WaitSignalOptions};

use crate::house::{House, postgres, sqlite, stent, until, until_mut};

/// What the steps of workflows did, a line for each.
#[derive(Clone)]
struct Deeds(PathBuf);

impl Deeds {
    fn new(folder: &Path) -> Self {
        Self(folder.join("deeds"))
    }

    fn done(&self, what: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.0).unwrap();
        file.write_all(format!("{what}\n").as_bytes()).unwrap();
    }

    fn counted(&self) -> BTreeMap<String, usize> {
        let mut counted = BTreeMap::new();
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().for_each(|deed| *counted.entry(deed.to_owned()).or_default() += 1);
        counted
    }

    fn has(&self, what: &str) -> bool {
        self.counted().contains_key(what)
    }

    #[track_caller]
    fn once_each(&self, many: usize) {
        let counted = self.counted();
        assert!(counted.len() == many && counted.values().all(|times| *times == 1), "{counted:?}");
    }
}

/// A step of a handler's own, which writes down that it ran.
fn step(task: &Task, deeds: &Deeds, what: &str) -> Result<()> {
    let begun = task.step_begin(what, None)?;
    if begun.recorded {
        return Ok(());
    }
    deeds.done(what);
    task.step_end(begun.op, Ok(Payload::null()))
}

/// Workflows that do a bit, sleep, do a bit, wait for a signal, and do the rest.
fn furnish(house: &House, deeds: &Deeds) {
    let own = deeds.clone();
    house.function("work", move |task| {
        own.done(&format!("work {}", String::from_utf8_lossy(task.args().as_bytes())));
        task.complete(task.args())
    });
    let own = deeds.clone();
    house.function("journey", move |task| {
        step(task, &own, "first")?;
        task.call("work", "[1]".into(), CallOptions::default())?;
        task.sleep(Duration::from_secs(2), None)?;
        step(task, &own, "second")?;
        let said = task.wait_signal("go", WaitSignalOptions::default())?;
        task.call("work", "[2]".into(), CallOptions::default())?;
        task.complete(said)
    });
    let own = deeds.clone();
    house.function("short", move |task| {
        let name = String::from_utf8_lossy(task.args().as_bytes()).into_owned();
        step(task, &own, &format!("before {name}"))?;
        task.wait_signal("go", WaitSignalOptions::default())?;
        step(task, &own, &format!("after {name}"))?;
        task.complete(Payload::null())
    });
}

/// Exports all that goes on in the one store, and imports it into the other.
fn move_all(from: &House, to: &House, file: &Path) {
    let _old = fs::remove_file(file);
    let name = file.to_str().unwrap();
    from.say(&["export", "--all", "--output", name]).ok();
    to.say(&["import", name]).ok();
    // Again: nothing happens.
    assert!(to.say(&["import", name]).ok().out.contains("1 was there already"));
    from.say(&["exported", "done", "--all", "--yes"]).ok();
}

#[test]
fn a_workflow_goes_from_sqlite_to_postgres_and_back_while_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (deeds, file) = (Deeds::new(folder.path()), folder.path().join("lines"));
    let (here, there) = (House::new(sqlite), House::new(postgres));
    furnish(&here, &deeds);
    furnish(&there, &deeds);
    let _worker = here.worker();
    let id = here.dispatch("journey");
    let key = id.to_string();
    until("the first half is done", || deeds.has("work [1]"));

    // It sleeps. Nobody is there for it until the other store has a worker.
    move_all(&here, &there, &file);
    assert!(here.say(&["list"]).ok().out.contains("No executions"));
    assert_eq!(here.say(&["show", &key]).code, 3);
    assert_eq!(here.say(&["signal", &key, "go"]).code, 3);
    assert!(there.say(&["--json", "list"]).ok().out.contains(&key));
    assert!(!deeds.has("second"));
    let worker = there.worker();
    until("it wakes up", || deeds.has("second"));

    // It waits for a signal, and comes back to a worker that still has in memory how it was there before.
    move_all(&there, &here, &file);
    here.say(&["signal", &key, "go", "\"went\""]).ok();
    let said = here.say(&["wait", &key, "--timeout", "30s"]).ok();
    assert!(said.out.contains("went"), "{said:?}");
    deeds.once_each(4);
    assert!(there.say(&["list"]).ok().out.contains("No executions"));
    drop(worker);

    // What is over is copied.
    let line = here.say(&["export", &key]).ok().out;
    fs::write(&file, &line).unwrap();
    there.say(&["import", file.to_str().unwrap()]).ok();
    let states = [&here, &there].map(|house| house.end_of(id));
    assert_eq!(states, [ExecutionState::Completed; 2]);
}

fn is_over(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_some()
}

/// Begins the command, and kills it when so much has come about.
fn kill_when(house: &House, args: &[&str], far_enough: impl Fn() -> bool) {
    let mut command = stent();
    command.arg("--db").arg(&house.url).args(args).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    until_mut("it is in the midst of it, or over", || far_enough() || is_over(&mut child));
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Killed wherever it is, the command loses nothing, and nothing runs twice.
#[test]
fn no_death_of_the_command_loses_or_doubles_an_execution() {
    const MANY: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let (deeds, file) = (Deeds::new(folder.path()), folder.path().join("lines"));
    let name = file.to_str().unwrap();
    let (here, there) = (House::new(sqlite), House::new(postgres));
    furnish(&here, &deeds);
    furnish(&there, &deeds);
    let worker = here.worker();
    let ids: Vec<String> = (0..MANY).map(|n| here.dispatch_with("short", &format!("[{n}]")).to_string()).collect();
    until("all wait for their signals", || deeds.counted().len() == MANY);

    let lines = || fs::read_to_string(&file).unwrap_or_default().lines().count();
    let running = |house: &House| house.count(ExecutionState::Running);
    let mut deaths = 0;
    while running(&here) > 0 {
        let _old = fs::remove_file(&file);
        kill_when(&here, &["export", "--all", "--output", name], || lines() > 3 * deaths);
        deaths += 1;
    }
    assert!(deaths > 2, "it was never killed in the midst");
    let all = here.say(&["export", "--fenced"]).ok().out;
    assert_eq!(all.lines().count(), MANY);
    fs::write(&file, &all).unwrap();

    let mut deaths = 0;
    while running(&there) < MANY as u64 {
        let before = running(&there);
        kill_when(&there, &["import", name], || running(&there) > before + deaths);
        deaths += 1;
    }
    assert!(deaths > 2, "it was never killed in the midst");
    assert!(there.say(&["import", name]).ok().out.contains("were there already"));

    // A line that is torn says so, and does nothing.
    fs::write(&file, &all[..all.len() / 2]).unwrap();
    let said = there.say(&["import", name]);
    assert!(said.code == 2 && said.err.contains("line "), "{said:?}");
    here.say(&["exported", "done", "--all", "--yes"]).ok();
    drop(worker);

    let _worker = there.worker();
    ids.iter().for_each(|id| drop(there.say(&["signal", id, "go"]).ok()));
    until("all are over", || there.count(ExecutionState::Completed) == MANY as u64);
    deeds.once_each(2 * MANY);
}

#[test]
fn what_was_never_imported_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let deeds = Deeds::new(folder.path());
    let house = House::new(sqlite);
    furnish(&house, &deeds);
    let id = house.dispatch_with("short", "[0]").to_string();
    let line = house.say(&["export", &id]).ok();
    assert!(line.err.contains("fenced"), "{line:?}");
    assert_eq!(house.say(&["export", &id]).ok().out, line.out);
    let list = house.say(&["--json", "exported", "list"]).ok().json();
    assert_eq!(list["exported"][0]["execution_id"], *id, "{list}");
    let file = folder.path().join("line");
    fs::write(&file, &line.out).unwrap();
    let said = house.say(&["import", file.to_str().unwrap()]);
    assert!(said.code == 4 && said.err.contains("this very store"), "{said:?}");
    for what in ["back", "done"] {
        let said = house.say(&["exported", what, &id]);
        assert!(said.code == 6 && said.err.contains("--yes"), "{said:?}");
    }
    house.say(&["exported", "back", &id, "--yes"]).ok();
    assert!(house.say(&["exported", "list"]).ok().out.contains("Nothing is on its way"));
    let _worker = house.worker();
    house.say(&["signal", &id, "go"]).ok();
    house.say(&["wait", &id, "--timeout", "30s"]).ok();
    deeds.once_each(2);
    assert_eq!(house.say(&["export"]).code, 2);
    assert_eq!(house.say(&["export", "01890000-0000-7000-8000-000000000000"]).code, 3);
}

/// A worker is at it: it stays, or the worker loses it.
#[test]
fn what_a_worker_is_at_is_waited_for() {
    let house = House::new(sqlite);
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let (open, deeds) = (gate.clone(), Deeds::new(folder.path()));
    let own = deeds.clone();
    house.function("busy", move |task| {
        own.done("begun");
        until("the gate opens", || open.exists());
        task.complete(Payload::null())
    });
    let _worker = house.worker();
    let id = house.dispatch("busy").to_string();
    until("it runs", || deeds.has("begun"));
    let said = house.say(&["export", &id, "--wait", "50ms"]);
    assert!(said.code == 4 && said.err.contains("is running task"), "{said:?}");
    house.say(&["export", &id, "--anyway"]).ok();
    house.say(&["exported", "back", &id, "--yes"]).ok();
    fs::write(&gate, "").unwrap();
    house.say(&["wait", &id, "--timeout", "30s"]).ok();
}
