//! Unique keys, where many processes dispatch and are killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use stent::backend::ExecutionFilter;
use stent::model::{DispatchOptions, Id, Status, WorkerOptions};

use crate::house::{House, Kind, text, until};

/// Set for a process that dispatches until it is killed: the store.
const DISPATCHER: &str = "STENT_TEST_UNIQUE_STORE";
const TEST: &str = "unique::of_all_processes_one_starts_it_at_a_time_though_they_are_killed";
const PROCESSES: usize = 4;
const KILLS: usize = 8;
/// So many executions one after the other, at least.
const ENDED: usize = 40;

fn unique() -> DispatchOptions {
    DispatchOptions { unique_key: Some("nightly".to_owned()), ..DispatchOptions::default() }
}

fn dispatch(house: &House, options: DispatchOptions) -> stent::model::Result<Id> {
    house.on(house.executor.dispatch("import", "[1]".into(), options))
}

fn be_a_dispatcher(place: &str) {
    let house = House::at(place);
    for number in 0.. {
        match dispatch(&house, unique()) {
            Ok(_) => {}
            // Another process had the file's lock for too long: SQLite's writers are many.
            Err(why) if why.is_retryable() => {}
            Err(why) => panic!("{why}"),
        }
        if number == 0 {
            println!("\nit dispatches");
        }
    }
}

struct Dispatchers(Vec<(Child, BufReader<ChildStdout>)>);

impl Dispatchers {
    fn start(place: &str) -> (Child, BufReader<ChildStdout>) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(DISPATCHER, place)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        (child, said)
    }

    /// Kills one, once it has dispatched.
    fn kill_one(&mut self) {
        let (mut child, said) = self.0.remove(0);
        let began = said.lines().map_while(std::result::Result::ok).any(|line| line == "it dispatches");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(began, "it has ended by itself");
    }
}

impl Drop for Dispatchers {
    fn drop(&mut self) {
        for (child, _) in &mut self.0 {
            // It may be dead already, where the test has failed.
            let _dead = child.kill();
            let _status = child.wait();
        }
    }
}

/// Of the last executions of the function: how many are not over.
fn unfinished(house: &House) -> usize {
    let filter = ExecutionFilter { function: Some("import".to_owned()), limit: 50, ..ExecutionFilter::default() };
    let last = house.on(house.backend.list(filter)).unwrap();
    last.iter().filter(|one| !one.state.is_terminal()).count()
}

#[test]
fn of_all_processes_one_starts_it_at_a_time_though_they_are_killed() {
    if let Ok(place) = std::env::var(DISPATCHER) {
        return be_a_dispatcher(&place);
    }
    let folder = tempfile::tempdir().unwrap();
    let place = match crate::KIND {
        Kind::Sqlite | Kind::Protocol(_) => folder.path().join("store.db").to_str().unwrap().to_owned(),
        Kind::Postgres { fresh_url, .. } => fresh_url(),
    };
    let house = House::at(&place);
    let ended = std::sync::Arc::new(crate::house::Count::default());
    let count = ended.clone();
    house.function("import", move |task| {
        count.up();
        task.complete(task.args())
    });
    let worker =
        WorkerOptions { max_concurrency: 4, poll_interval: Duration::from_millis(20), ..WorkerOptions::default() };
    let _worker = house.worker_with(worker);
    let mut dispatchers = Dispatchers((0..PROCESSES).map(|_| Dispatchers::start(&place)).collect());
    for kill in 1..=KILLS {
        until("more have run", || {
            let several = unfinished(&house);
            assert!(several <= 1, "{several} of one key at once");
            ended.get() >= ENDED * kill / KILLS
        });
        dispatchers.kill_one();
        dispatchers.0.push(Dispatchers::start(&place));
    }
    drop(dispatchers);
    // What the dead had begun holds nothing up.
    let last = dispatch(&house, unique()).unwrap();
    house.result(last).unwrap();
    until("all is over", || unfinished(&house) == 0);
    let new = dispatch(&house, unique()).unwrap();
    assert_ne!(new, last);
    house.result(new).unwrap();
    let refuse = stent::model::Existing::Refuse;
    let hour = Some(Duration::from_secs(3600));
    let why = dispatch(&house, DispatchOptions { unique_existing: refuse, unique_for: hour, ..unique() }).unwrap_err();
    assert_eq!(why.status(), Status::Conflict);
    assert_eq!(why.details().get("execution_id"), Some(&new.to_string().into()));
}

/// A dispatcher's calls of a key of its own come one after the other, beside claims: each is overtaken by a later one or runs,
/// once, and the last one runs. Of a key that all of them share, somebody's last one runs.
#[test]
fn the_last_arguments_are_always_run() {
    const DISPATCHERS: usize = 4;
    const EACH: usize = 60;
    let house = House::new();
    let runs = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let ran = runs.clone();
    house.function("index", move |task| {
        ran.lock().unwrap().push(text(&task.args()).to_owned());
        task.complete("null".into())
    });
    let worker =
        WorkerOptions { max_concurrency: 4, poll_interval: Duration::from_millis(5), ..WorkerOptions::default() };
    let _worker = house.worker_with(worker);
    let debounced = |key: &str, args: String, quiet| {
        let options = DispatchOptions {
            unique_key: Some(key.to_owned()),
            debounce: Some(Duration::from_micros(quiet)),
            debounce_max: Some(Duration::from_millis(4)),
            ..DispatchOptions::default()
        };
        loop {
            match house.on(house.executor.dispatch("index", args.as_str().into(), options.clone())) {
                Ok(id) => return id,
                Err(why) => assert!(why.is_retryable(), "{why}"),
            }
        }
    };
    let last: Vec<[Id; 2]> = std::thread::scope(|scope| {
        let dispatchers: Vec<_> = (0..DISPATCHERS)
            .map(|number| {
                let debounced = &debounced;
                scope.spawn(move || {
                    let mut ids = None;
                    for time in 1..=EACH {
                        let own = debounced(&number.to_string(), format!("[\"own\",{number},{time}]"), 200);
                        let shared = debounced("shared", format!("[\"shared\",{number},{time}]"), 900);
                        ids = Some([own, shared]);
                    }
                    ids.unwrap()
                })
            })
            .collect();
        dispatchers.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for id in last.into_iter().flatten() {
        house.result(id).unwrap();
    }
    let mut runs = runs.lock().unwrap().clone();
    let lasts =
        |key: &str| (0..DISPATCHERS).filter(|number| runs.contains(&format!("[\"{key}\",{number},{EACH}]"))).count();
    assert_eq!(lasts("own"), DISPATCHERS, "{runs:?}");
    assert!(lasts("shared") > 0, "{runs:?}");
    let count = runs.len();
    runs.sort();
    runs.dedup();
    assert_eq!(runs.len(), count, "each at most once");
}
