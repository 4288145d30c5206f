//! Eight processes on one store: a limit holds over all of them, every task runs once, and each process runs what it has
//! code for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stent::executor::Task;
use stent::model::{FunctionOptions, Id, WorkerOptions};

use crate::house::House;
use crate::postgres::fresh_url;

/// Set for a worker's process: the test's name, the store, the witness and the process's number.
const WORKER: &str = "STENT_TEST_WORKER";
const PROCESSES: usize = 8;
const LIMIT: u32 = 3;
const LIMITED: usize = 90;
const OTHERS: usize = 40;
const PATIENCE: Duration = Duration::from_secs(60);

/// Outside of the store: a line when a body begins, and one when it ends. Lines of one file are in the order of their
/// writing, whoever writes them.
fn witness(place: &Path, what: &str, number: usize, task: &Task) {
    let mut file = OpenOptions::new().append(true).create(true).open(place).unwrap();
    let info = task.info();
    file.write_all(format!("{what} {} {number} {}\n", info.function, info.task_id).as_bytes()).unwrap();
}

/// Works until whoever started it is gone.
fn be_a_worker(told: &str) {
    let parts: Vec<&str> = told.split('\n').collect();
    let (store, place, number) = (parts[0], PathBuf::from(parts[1]), parts[2].parse::<usize>().unwrap());
    let house = House::at(store);
    let half = if number < PROCESSES / 2 { "first_half" } else { "second_half" };
    for name in ["limited", "shared", half] {
        let place = place.clone();
        let max_concurrent = (name == "limited").then_some(LIMIT);
        house.function_with(name, FunctionOptions { max_concurrent, ..FunctionOptions::default() }, move |task| {
            witness(&place, "begin", number, task);
            // Long enough for others to come into its way: on a busy machine those are late.
            let begin = Instant::now();
            std::thread::sleep(Duration::from_millis(15));
            while name == "limited" && most_at_once(&place) < LIMIT && begin.elapsed() < Duration::from_secs(3) {
                std::thread::sleep(Duration::from_millis(5));
            }
            witness(&place, "end", number, task);
            task.complete(task.args())
        });
    }
    let options = WorkerOptions {
        // Fewer than the limit: no process can use it up alone.
        max_concurrency: LIMIT as usize - 1,
        poll_interval: Duration::from_millis(200),
        poll_interval_max: Duration::from_millis(400),
        ..WorkerOptions::default()
    };
    let _worker = house.worker_with(options);
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

struct Workers(Vec<Child>);

impl Workers {
    fn start(test: &str, store: &str, place: &Path) -> Self {
        let start = |number| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", test, "--nocapture"])
                .env(WORKER, format!("{store}\n{}\n{number}", place.display()))
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        Self((0..PROCESSES).map(start).collect())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            drop(worker.stdin.take());
        }
        for worker in &mut self.0 {
            worker.wait().unwrap();
        }
    }
}

/// In how many processes each function ran at least: nobody takes it all.
const SPREAD: [(&str, usize); 4] = [("limited", 2), ("shared", 3), ("first_half", 2), ("second_half", 2)];

/// The processes in which each function ran.
fn processes_of(place: &Path) -> BTreeMap<String, BTreeSet<usize>> {
    let told = fs::read_to_string(place).unwrap_or_default();
    let mut ran = BTreeMap::<String, BTreeSet<usize>>::new();
    for line in told.lines().filter(|line| line.starts_with("begin ")) {
        if let [_, function, number, _] = line.split(' ').collect::<Vec<_>>()[..] {
            ran.entry(function.to_owned()).or_default().insert(number.parse().unwrap());
        }
    }
    ran
}

fn is_spread(place: &Path) -> bool {
    let ran = processes_of(place);
    SPREAD.iter().all(|(function, least)| ran.get(*function).is_some_and(|processes| processes.len() >= *least))
}

fn most_at_once(place: &Path) -> u32 {
    let told = fs::read_to_string(place).unwrap_or_default();
    let (mut running, mut most) = (0, 0);
    for line in told.lines().filter(|line| line.contains(" limited ")) {
        running = if line.starts_with("begin") { running + 1 } else { running - 1 };
        most = most.max(running);
    }
    most
}

fn eight_processes_keep_to_a_limit(test: &str, store: &str) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("witness");
    let house = House::at(store);
    let workers = Workers::start(test, store, &place);
    let mut wanted = Vec::new();
    let begin = Instant::now();
    // Until the limit was used to the full, and by some; processes begin when they can.
    while (most_at_once(&place) < LIMIT || !is_spread(&place)) && begin.elapsed() < PATIENCE {
        let work = [("limited", LIMITED), ("shared", OTHERS), ("first_half", OTHERS), ("second_half", OTHERS)];
        let ids: Vec<Id> = work
            .into_iter()
            .flat_map(|(name, count)| (0..count).map(move |number| (name, number)))
            .map(|(name, number)| house.dispatch(name, &format!("[{number}]")))
            .collect();
        for id in &ids {
            house.result(*id).unwrap();
        }
        wanted.extend(ids);
    }
    drop(workers);

    assert_eq!(most_at_once(&place), LIMIT, "so many of a limit of {LIMIT} ran at once");
    let ran = processes_of(&place);
    let mut seen = BTreeSet::new();
    let told = fs::read_to_string(&place).unwrap();
    for line in told.lines() {
        let [what, _, _, task] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(seen.insert((what, task.parse::<Id>().unwrap())), "ran twice: {line}");
    }
    assert_eq!(seen.len(), 2 * wanted.len());
    let half = PROCESSES / 2;
    assert!(ran["first_half"].iter().all(|number| *number < half), "{ran:?}");
    assert!(ran["second_half"].iter().all(|number| *number >= half), "{ran:?}");
    assert!(is_spread(&place), "{ran:?}");
}

fn process_or(test: impl FnOnce()) {
    match std::env::var(WORKER) {
        Ok(told) => be_a_worker(&told),
        Err(_) => test(),
    }
}

#[test]
fn eight_processes_on_postgresql() {
    process_or(|| eight_processes_keep_to_a_limit("processes::eight_processes_on_postgresql", &fresh_url("")));
}

#[test]
fn eight_processes_on_one_file() {
    process_or(|| {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store.db");
        eight_processes_keep_to_a_limit("processes::eight_processes_on_one_file", store.to_str().unwrap());
    });
}
