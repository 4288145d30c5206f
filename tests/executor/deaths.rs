//! Workers' processes that die: whose death it is, what it costs, and what of theirs is not kept waiting.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stent::backend::DeadLetterFilter;
use stent::executor::{BatchHandler, Task};
use stent::model::{
    BatchOptions, DeadLetter, FunctionOptions, Id, Payload, Result, RetryPolicy, Status, WaitSignalOptions,
    WorkerOptions,
};

use crate::house::{House, Kind, SOON, text, until};

/// Set for a worker's process: the store, and the folder that it works in.
const WORKER: &str = "STENT_TEST_DYING_WORKER";

/// Long enough for a busy machine: a worker that stands still for as long, or whose commits do, counts as dead.
const LEASE: Duration = Duration::from_secs(4);

fn options(slots: usize) -> WorkerOptions {
    WorkerOptions {
        max_concurrency: slots,
        lease_duration: LEASE,
        poll_interval: Duration::from_millis(50),
        poll_interval_max: Duration::from_millis(100),
        ..WorkerOptions::default()
    }
}

/// Outside of the store: a line for each body that runs.
fn ran(folder: &Path, task: &Task) {
    let mut file = OpenOptions::new().append(true).create(true).open(folder.join("ran")).unwrap();
    let info = task.info();
    file.write_all(format!("{} {} {}\n", info.function, info.execution_id, info.attempt).as_bytes()).unwrap();
}

/// Runs until it is let go, or killed.
fn held(folder: &Path, task: &Task) -> Result<()> {
    ran(folder, task);
    while !folder.join("go").exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    task.complete(Payload::null())
}

fn harmless(folder: &Path, task: &Task) -> Result<()> {
    ran(folder, task);
    std::thread::sleep(Duration::from_millis(15));
    task.complete(Payload::null())
}

fn deadly(folder: &Path, task: &Task) -> Result<()> {
    ran(folder, task);
    std::process::abort()
}

fn waiting(_: &Path, task: &Task) -> Result<()> {
    task.wait_signal("go", WaitSignalOptions::default())?;
    task.complete(Payload::null())
}

/// One of them is deadly: whose first argument is true.
fn batch(folder: &Path, tasks: &[Task]) -> Status {
    tasks.iter().for_each(|task| ran(folder, task));
    if tasks.iter().any(|task| text(&task.args()) == "[true]") {
        std::process::abort();
    }
    tasks.iter().for_each(|task| task.complete(Payload::null()).unwrap());
    Status::Ok
}

struct Batches(PathBuf);

impl BatchHandler for Batches {
    fn run(&self, tasks: &[Task]) -> Status {
        batch(&self.0, tasks)
    }
}

type Body = fn(&Path, &Task) -> Result<()>;

fn functions(house: &House, folder: &Path) {
    let policy = |max_attempts, max_deaths| RetryPolicy { max_attempts, max_deaths, ..RetryPolicy::default() };
    for (name, policy, body) in [
        ("held", policy(1, 3), held as Body),
        ("harmless", policy(1, 1), harmless),
        ("deadly", policy(1, 3), deadly),
        ("deadly twice", policy(9, 2), deadly),
        ("waiting", policy(1, 3), waiting),
    ] {
        let folder = folder.to_owned();
        let options = FunctionOptions { retry_policy: Some(policy), ..FunctionOptions::default() };
        house.function_with(name, options, move |task| body(&folder, task));
    }
    let options = FunctionOptions { retry_policy: Some(policy(1, 2)), ..FunctionOptions::default() };
    let handler = Arc::new(Batches(folder.to_owned()));
    house.executor.register_batch("batch", options, BatchOptions::default(), handler).unwrap();
}

/// Not a test of its own: the process of the others' workers, which works until whoever started it is gone.
#[test]
fn a_workers_process() {
    let Ok(told) = std::env::var(WORKER) else { return };
    let parts: Vec<&str> = told.split('\n').collect();
    let house = House::at(parts[0]);
    functions(&house, Path::new(parts[1]));
    let _worker = house.worker_with(options(4));
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        // SIGKILL. It may be dead already.
        let _dead = self.0.kill();
        self.0.wait().unwrap();
    }
}

struct Place {
    house: House,
    store: String,
    folder: PathBuf,
    _kept: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        // In memory where that can be: a lease must not end because a disk is busy with something else.
        let memory = Path::new("/dev/shm");
        let kept = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let folder = kept.path().to_owned();
        let store = match crate::KIND {
            Kind::Sqlite | Kind::Protocol(_) => folder.join("store.db").to_str().unwrap().to_owned(),
            Kind::Postgres { fresh_url, .. } => fresh_url(),
        };
        let house = House::at(&store);
        functions(&house, &folder);
        Self { house, store, folder, _kept: kept }
    }

    fn worker(&self) -> Worker {
        let started = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "deaths::a_workers_process", "--nocapture"])
            .env(WORKER, format!("{}\n{}", self.store, self.folder.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Worker(started.unwrap())
    }

    fn go(&self) {
        fs::write(self.folder.join("go"), "").unwrap();
    }

    /// The attempts that ran, by function and execution.
    fn runs(&self) -> BTreeMap<(String, String), Vec<u32>> {
        let mut runs: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for line in fs::read_to_string(self.folder.join("ran")).unwrap_or_default().lines() {
            let (rest, attempt) = line.rsplit_once(' ').unwrap();
            let (function, execution) = rest.rsplit_once(' ').unwrap();
            runs.entry((function.to_owned(), execution.to_owned())).or_default().push(attempt.parse().unwrap());
        }
        runs
    }

    fn runs_of(&self, function: &str, id: Id) -> Vec<u32> {
        self.runs().remove(&(function.to_owned(), id.to_string())).unwrap_or_default()
    }

    fn letters(&self) -> Vec<DeadLetter> {
        let filter = DeadLetterFilter { limit: 99, ..DeadLetterFilter::default() };
        self.house.on(self.house.executor.dead_letters(filter)).unwrap()
    }

    fn complete(&self, ids: &[Id]) {
        for id in ids {
            assert_eq!(text(&self.house.result(*id).unwrap()), "null");
        }
    }

    /// Keeps one worker going until these are over: a new one, whenever it dies. How often it died.
    fn until_over(&self, ids: &[Id]) -> usize {
        let start = Instant::now();
        let mut deaths = 0;
        let mut worker = self.worker();
        while self.house.on(self.house.backend.ended_among(ids.to_vec())).unwrap().len() < ids.len() {
            assert!(start.elapsed() < 4 * SOON.unwrap(), "still not over, after {deaths} deaths: {:#?}", self.runs());
            if worker.0.try_wait().unwrap().is_some() {
                deaths += 1;
                worker = self.worker();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        deaths
    }
}

#[test]
fn a_kill_makes_no_dead_letter_and_another_attempt_of_what_had_begun() {
    let place = Place::new();
    let ids: Vec<Id> = (0..10).map(|_| place.house.dispatch("held", "[]")).collect();
    let first = place.worker();
    until("four bodies run", || place.runs().len() == 4);
    // Four more are at the worker, and wait for a slot.
    drop(first);
    place.go();
    let _second = place.worker();
    place.complete(&ids);
    assert!(place.letters().is_empty(), "{:?}", place.letters());
    let attempts: Vec<Vec<u32>> = ids.iter().map(|id| place.runs_of("held", *id)).collect();
    assert_eq!(attempts.iter().filter(|attempts| **attempts == [1, 2]).count(), 4, "{attempts:?}");
    assert_eq!(attempts.iter().filter(|attempts| **attempts == [1]).count(), 6, "{attempts:?}");
}

#[test]
fn the_one_that_kills_its_worker_is_dead_lettered_and_no_other() {
    let place = Place::new();
    let mut ids: Vec<Id> = (0..20).map(|_| place.house.dispatch("harmless", "[]")).collect();
    let deadly = place.house.dispatch("deadly", "[]");
    ids.extend((0..20).map(|_| place.house.dispatch("harmless", "[]")));
    let all: Vec<Id> = ids.iter().copied().chain([deadly]).collect();
    let deaths = place.until_over(&all);
    place.complete(&ids);
    let letters = place.letters();
    let letter = letters.iter().map(|letter| letter.task.execution_id).collect::<Vec<_>>();
    assert_eq!(letter, [deadly], "{letters:#?}");
    assert!(letters[0].reason.contains("died 3 times in a row"), "{}", letters[0].reason);
    // Once or twice among others, then alone; more often where it had to wait too long for its turn.
    assert!((4..=9).contains(&deaths), "{deaths} deaths, {:?}", place.runs_of("deadly", deadly));
}

#[test]
fn the_one_of_a_batch_that_kills_its_worker_is_dead_lettered_and_no_other() {
    let place = Place::new();
    let all: Vec<Id> =
        (0..9).map(|n| place.house.dispatch("batch", if n == 4 { "[true]" } else { "[false]" })).collect();
    let deaths = place.until_over(&all);
    let harmless: Vec<Id> = all.iter().copied().filter(|id| *id != all[4]).collect();
    place.complete(&harmless);
    let letters = place.letters().iter().map(|letter| letter.task.execution_id).collect::<Vec<_>>();
    assert_eq!(letters, [all[4]], "{:#?}", place.letters());
    assert!((3..=7).contains(&deaths), "{deaths} deaths, {:?}", place.runs_of("batch", all[4]));
}

#[test]
fn a_function_says_how_many_deaths_it_may_cost() {
    let place = Place::new();
    let deadly = place.house.dispatch("deadly twice", "[]");
    let deaths = place.until_over(&[deadly]);
    let attempts = place.runs_of("deadly twice", deadly);
    // The first time others could have run beside it; again if it had to wait too long for its turn, on a machine that is
    // busy.
    assert!((3..=6).contains(&deaths), "{deaths} deaths");
    assert_eq!(attempts, (1..).take(deaths).collect::<Vec<u32>>());
    assert!(place.letters()[0].reason.contains("max_deaths is 2"), "{}", place.letters()[0].reason);
}

#[test]
fn what_a_dead_worker_suspended_is_woken_in_time() {
    if matches!(crate::KIND, Kind::Protocol(_)) {
        // There a waiting task is looked at now and then, whoever suspended it.
        return;
    }
    let place = Place::new();
    let ids: Vec<Id> = (0..5).map(|_| place.house.dispatch("waiting", "[]")).collect();
    let first = place.worker();
    let wait = || place.house.on(place.house.backend.stats()).unwrap().tasks.get("waiting").copied().unwrap_or(0);
    // The roots, and what they wait for.
    until("all wait", || wait() == 10);
    drop(first);
    let _second = place.house.worker_with(options(4));
    let took = ids.into_iter().map(|id| {
        let sent = Instant::now();
        let signal = stent::backend::NewSignal { execution: id, name: "go".into(), payload: "1".into(), id: None };
        place.house.on(place.house.executor.signal(signal)).unwrap();
        place.complete(&[id]);
        sent.elapsed()
    });
    // Each first call took two seconds. On a machine that is busy one may, for its own reasons.
    let took: Vec<Duration> = took.collect();
    assert!(took.iter().any(|took| *took < Duration::from_millis(1500)), "{took:?}");
}
