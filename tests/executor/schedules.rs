//! Schedules and the workers that start what they say: in time, once, whatever is killed.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use stent::backend::{ExecutionFilter, KeptSchedule, PutSchedules, ScheduleChange, ScheduleFilter, Tick};
use stent::model::{ExecutionState, Id, Overlap, Schedule, TickState, Timestamp, When, WorkerOptions, tick_id};

use crate::flaky::flaky_house;
use crate::house::{Count, House, Kind, SOON, until};

/// Polls would find what is due only much later.
fn idle() -> WorkerOptions {
    let long = Duration::from_secs(3600);
    WorkerOptions { poll_interval: long, poll_interval_max: long, ..WorkerOptions::default() }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

fn every(name: &str, millis: u64) -> Schedule {
    Schedule::new(name, "tick", When::Every(Duration::from_millis(millis)))
}

fn kept(house: &House, last: u32) -> KeptSchedule {
    let filter = ScheduleFilter { last, ..ScheduleFilter::default() };
    house.on(house.executor.schedules(filter)).unwrap().remove(0)
}

fn executions(house: &House) -> Vec<(Id, ExecutionState)> {
    let filter = ExecutionFilter { limit: 10_000, ..ExecutionFilter::default() };
    let found = house.on(house.executor.list(filter)).unwrap();
    found.into_iter().map(|execution| (execution.id, execution.state)).collect()
}

/// Whoever polled would find the next one in an hour: a worker that looks at its time alone starts them one by one, and looks
/// no more often than that.
#[test]
fn an_idle_worker_wakes_up_for_each_tick() {
    const TICKS: usize = 5;
    let house = House::new();
    let runs = Count::default();
    let count = runs.clone();
    house.function("tick", move |task| {
        count.up();
        task.complete("1".into())
    });
    let _worker = house.worker_with(idle());
    let beside = Schedule { overlap: Overlap::Allow, ..every("s", 400) };
    house.on(house.executor.put_schedule(beside)).unwrap();
    until("it has ticked", || runs.get() >= TICKS);
    let sweeps = house.on(house.executor.stats()).unwrap().metrics.counters.sweeps;
    let told = kept(&house, 100);
    let times: Vec<Timestamp> = told.last.iter().rev().map(|tick| tick.at).collect();
    let expected = (0..times.len()).map(|number| times[0].after(Duration::from_millis(400) * number as u32));
    assert_eq!(times, expected.collect::<Vec<_>>());
    assert!(times.len() >= TICKS, "{times:?}");
    let started = |tick: &Tick| tick.state == TickState::Started && tick.decided_at >= tick.at;
    assert!(told.last.iter().all(started), "{:?}", told.last);
    // A look finds the tick, another one what follows; and those in between that clocks differ.
    assert!(sweeps <= 6 * times.len() as u64 + 6, "{sweeps} looks for {} ticks", times.len());
}

#[test]
fn what_waits_starts_when_the_other_has_ended() {
    let house = House::new();
    let (runs, open) = (Count::default(), Arc::new(Mutex::new(0)));
    let (count, gate) = (runs.clone(), Arc::clone(&open));
    house.function("tick", move |task| {
        let number = count.up();
        until("it may end", || *gate.lock().unwrap() >= number);
        task.complete("1".into())
    });
    let _worker = house.worker_with(idle());
    let listed = When::Times(vec!["9000-01-01T00:00:00Z".parse().unwrap()]);
    let queued = Schedule { overlap: Overlap::QueueAll, ..Schedule::new("s", "tick", listed) };
    house.on(house.executor.put_schedule(queued)).unwrap();
    for _ in 0..3 {
        house.on(house.executor.change_schedule("s", ScheduleChange::Trigger { overlap: None })).unwrap();
    }
    for number in 1..=3 {
        until("the next one runs", || runs.get() == number);
        *open.lock().unwrap() = number;
    }
    until("all have ended", || executions(&house).iter().all(|(_, state)| state.is_terminal()));
    assert_eq!((runs.get(), kept(&house, 9).waiting), (3, 0));
}

#[test]
fn what_a_worker_declares_is_there_and_what_it_declares_no_more_is_not() {
    let house = House::new();
    house.echo("tick");
    let of = |schedule: Schedule| Schedule { owner: Some("app".to_owned()), ..schedule };
    let names = || -> Vec<String> {
        let found = house.on(house.executor.schedules(ScheduleFilter::default())).unwrap();
        found.into_iter().map(|kept| kept.schedule.name).collect()
    };
    house.on(house.executor.put_schedule(every("by hand", 3_600_000))).unwrap();
    let first = PutSchedules { schedules: vec![of(every("a", 3_600_000)), of(every("b", 3_600_000))], only_of: None };
    house.executor.declare_schedules("app", first).unwrap();
    assert_eq!(names(), ["by hand"]);
    let worker = house.worker(1);
    assert_eq!(names(), ["a", "b", "by hand"]);
    house.on(worker.stop(SOON)).unwrap();
    let next = PutSchedules { schedules: vec![of(every("b", 3_600_000))], only_of: Some("app".to_owned()) };
    house.executor.declare_schedules("app", next).unwrap();
    let _worker = house.worker(1);
    assert_eq!(names(), ["b", "by hand"]);
    let wrong = PutSchedules { schedules: vec![every("c", 3_600_000)], only_of: None };
    assert!(house.executor.declare_schedules("app", wrong).unwrap_err().message().contains("'c'"));
}

#[test]
fn what_nobody_was_there_for_is_caught_up() {
    let house = House::new();
    house.echo("tick");
    let all = Schedule { overlap: Overlap::Allow, catch_up: Duration::from_secs(3600), ..every("s", 200) };
    house.on(house.backend.put_schedules(PutSchedules { schedules: vec![all], only_of: None })).unwrap();
    let listed = || house.on(house.backend.schedules(ScheduleFilter { last: 100, ..ScheduleFilter::default() }));
    let first = listed().unwrap().remove(0).next_at.unwrap();
    until("some are over", || now().since(first) > Duration::from_secs(1));
    assert_eq!(listed().unwrap().remove(0).last, []);
    let _worker = house.worker(4);
    until("it has caught up", || listed().unwrap().remove(0).last.len() >= 6);
    let ticks = listed().unwrap().remove(0).last;
    assert_eq!(ticks.last().unwrap().at, first);
    assert!(ticks.iter().all(|tick| tick.state == TickState::Started), "{ticks:?}");
}

#[test]
fn what_an_owner_is_refused_keeps_nobody_elses_from_being_put() {
    let (house, flaky) = flaky_house();
    house.echo("tick");
    *flaky.refuses_owner.lock().unwrap() = Some("a".to_owned());
    for owner in ["a", "b"] {
        let schedule = Schedule { owner: Some(owner.to_owned()), ..every(&format!("of {owner}"), 3_600_000) };
        house.executor.declare_schedules(owner, PutSchedules { schedules: vec![schedule], only_of: None }).unwrap();
    }
    let worker = house.worker(1);
    assert_eq!(kept(&house, 0).schedule.name, "of b");
    assert!(worker.status().trouble.unwrap().contains("not these"));
    assert_eq!(house.run("tick", "[1]").unwrap(), "[1]".into());
}

#[test]
fn what_was_due_while_the_store_was_away_is_caught_up() {
    const STEP: Duration = Duration::from_millis(400);
    let (house, flaky) = flaky_house();
    let runs = Count::default();
    let count = runs.clone();
    house.function("tick", move |task| {
        count.up();
        task.complete("1".into())
    });
    flaky.no_sweeps.store(true, SeqCst);
    let all = Schedule { overlap: Overlap::Allow, ..every("s", 400) };
    house.on(house.executor.put_schedule(all)).unwrap();
    let first = kept(&house, 0).next_at.unwrap();
    let _worker = house.worker_with(mortal());
    until("it has come in vain", || now().since(first) > 5 * STEP && flaky.swept_in_vain.load(SeqCst) > 2);
    assert_eq!((kept(&house, 9).last, runs.get()), (Vec::new(), 0));
    flaky.no_sweeps.store(false, SeqCst);
    until("it has caught up", || kept(&house, 0).next_at.unwrap() > now());
    house.on(house.executor.change_schedule("s", ScheduleChange::Pause { note: None })).unwrap();
    let ticks = kept(&house, 10_000).last;
    until("all have run", || executions(&house).iter().all(|(_, state)| state.is_terminal()));
    assert_eq!((ticks.last().unwrap().at, runs.get()), (first, ticks.len()));
    assert!(ticks.iter().all(|tick| tick.state == TickState::Started) && ticks.len() > 5, "{ticks:?}");
    assert!(ticks.windows(2).all(|two| two[0].at.since(two[1].at) == STEP), "none is left out: {ticks:?}");
    let counters = || house.on(house.executor.stats()).unwrap().metrics.counters;
    until("they are counted", || counters().ticks_started == ticks.len() as u64);
    assert_eq!(counters().ticks_missed, 0);
}

/// Set for a worker that dies: the store that it works on.
const KILLED: &str = "STENT_TEST_SCHEDULE_STORE";
const KILL: &str = "schedules::each_tick_starts_once_whoever_is_killed";
const KILLS: usize = 12;
const TICK: Duration = Duration::from_millis(100);

/// Soon taken for dead.
fn mortal() -> WorkerOptions {
    WorkerOptions {
        lease_duration: Duration::from_millis(400),
        poll_interval: Duration::from_millis(50),
        poll_interval_max: Duration::from_millis(100),
        ..WorkerOptions::default()
    }
}

fn be_killed(place: &str) {
    let house = House::at(place);
    house.function_with("tick", crate::house::tries(100), |task| task.complete("1".into()));
    let _worker = house.worker_with(mortal());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    std::process::exit(0);
}

fn victim(place: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", KILL, "--nocapture"])
        .env(KILLED, place)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn each_tick_starts_once_whoever_is_killed() {
    if let Ok(place) = std::env::var(KILLED) {
        return be_killed(&place);
    }
    let (_folder, place) = match crate::KIND {
        Kind::Sqlite | Kind::Protocol(_) => {
            let folder = tempfile::tempdir().unwrap();
            let place = folder.path().join("store.db").to_str().unwrap().to_owned();
            (Some(folder), place)
        }
        Kind::Postgres { fresh_url, .. } => (None, fresh_url()),
    };
    let house = House::at(&place);
    let all = Schedule { overlap: Overlap::Allow, catch_up: Duration::from_secs(3600), ..every("s", 100) };
    house.on(house.executor.put_schedule(all)).unwrap();
    let first = kept(&house, 0).next_at.unwrap();
    let mut victims: Vec<Child> = (0..2).map(|_| victim(&place)).collect();
    let next = || house.on(house.backend.schedules(ScheduleFilter::default())).unwrap().remove(0).next_at.unwrap();
    for number in 0..KILLS {
        // Around a tick: it is in the midst of one, or just before, or behind.
        let (seen, start) = (next(), Instant::now());
        while next() < seen.after(TICK) {
            assert!(start.elapsed() < SOON.unwrap(), "nobody starts the tick of {seen}");
            std::thread::sleep(Duration::from_micros(500 + 400 * number as u64));
        }
        let mut old = std::mem::replace(&mut victims[number % 2], victim(&place));
        old.kill().unwrap();
        old.wait().unwrap();
    }
    house.on(house.executor.change_schedule("s", ScheduleChange::Pause { note: None })).unwrap();
    for mut victim in victims {
        victim.kill().unwrap();
        victim.wait().unwrap();
    }
    house.function("tick", |task| task.complete("1".into()));
    let _worker = house.worker_with(mortal());
    until("all have ended", || executions(&house).iter().all(|(_, state)| state.is_terminal()));
    let ticks = kept(&house, 10_000).last;
    let started: BTreeSet<Id> = executions(&house).into_iter().map(|(id, _)| id).collect();
    let newest = ticks[0].at;
    let count = newest.since(first).as_millis() / TICK.as_millis() + 1;
    let expected: BTreeSet<Id> =
        (0..count).map(|number| tick_id("s", first.after(TICK * u32::try_from(number).unwrap()))).collect();
    assert_eq!(started, expected, "{count} ticks, each once");
    assert!(ticks.iter().all(|tick| tick.state == TickState::Started), "{ticks:?}");
    assert!(executions(&house).iter().all(|(_, state)| *state == ExecutionState::Completed));
    println!("{count} ticks, {KILLS} kills");
}
