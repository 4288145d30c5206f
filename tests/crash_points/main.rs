//! A worker dies before and after each of its writes, one point after the other, and another one goes on: whatever the
//! point, each workflow ends alike, with the same results, the same recorded operations, and each effect once. Nothing
//! of the dead one's is left alive: its runtime is gone, its calls neither reach the store nor come back.
//!
//! `STENT_WORKFLOW=fan_out` runs one of the workflows, and `STENT_POINTS=1` all points; without it every so-many-th is
//! enough.

mod corpus;
#[path = "../common/lent.rs"]
mod lent;
mod mortal;
mod picture;
#[path = "../common/postgres.rs"]
mod postgres;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use stent::backend::postgres::Postgres;
use stent::backend::sqlite::Sqlite;
use stent::backend::{NewSignal, Request, Response, ScheduleFilter, SharedBackend};
use stent::codec::CanonicalJson;
use stent::executor::{Executor, LogRecord, Logger, Worker};
use stent::model::{
    DispatchOptions, ExecutionState, Id, Level, Overlap, Schedule, SqliteOptions, Synchronous, TaskKind, TaskState,
    Timestamp, When, WorkerOptions,
};
use tokio::runtime::Runtime;

use corpus::{CORPUS, Workflow};
use mortal::{Mortal, Point};

/// A dead worker's tasks are taken over after this; no shorter, for the machine may be loaded.
const LEASE: Duration = Duration::from_millis(1500);

/// Nearly all of a run is waiting for a lease's end.
const AT_ONCE: usize = 16;

/// How often it is looked whether it is over.
const LOOK: Duration = Duration::from_millis(20);

/// From one point that is tried to the next.
const STRIDE: usize = 3;

const PATIENCE: Duration = Duration::from_secs(60);

struct Silent;

impl Logger for Silent {
    fn log(&self, _: Level, _: &LogRecord) {}
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Processes die here, and no machines.
async fn open(place: &str) -> SharedBackend {
    if place.starts_with("postgresql:") {
        return Postgres::open(place).await.unwrap();
    }
    // Many are made at once, and each is opened by two.
    let busy_timeout = Duration::from_secs(60);
    let options = SqliteOptions { synchronous: Synchronous::Off, busy_timeout, ..SqliteOptions::default() };
    Sqlite::open(place, options).await.unwrap()
}

fn executor(store: SharedBackend, runtime: &Runtime) -> Executor {
    Executor::new(store, Arc::new(CanonicalJson), runtime.handle().clone(), Arc::new(Silent))
}

fn work(executor: &Executor) -> Worker {
    corpus::register(executor);
    let options = WorkerOptions {
        max_concurrency: 4,
        lease_duration: LEASE,
        poll_interval: Duration::from_millis(50),
        poll_interval_max: Duration::from_millis(100),
        queue_rates: [("rated".to_owned(), Some(corpus::rate()))].into(),
        ..WorkerOptions::default()
    };
    executor.start_worker(options, None).unwrap()
}

/// Always the same, so that what follows from it is.
const ID: Id = Id::from_u128(0x018f_3c1e_7b5a_7c3d_9e4f_0123_4567_89ab);

/// One life, and maybe another one. The answer: how it ended, and where the first one could have died.
fn run(place: &str, workflow: &Workflow, end: Option<Point>, tears: bool) -> (String, Vec<Point>) {
    let living = runtime();
    let store = living.block_on(open(place));
    let client = executor(Arc::clone(&store), &living);
    living.block_on(begin(&client, workflow));

    let dying = runtime();
    let mortal = Arc::new(Mortal::new(dying.block_on(open(place)), end, tears));
    let first = executor(Arc::clone(&mortal) as SharedBackend, &dying);
    let worker = work(&first);
    let start = Instant::now();
    while !mortal.is_dead() && !living.block_on(is_over(&store, workflow)) {
        assert!(start.elapsed() < PATIENCE, "{} does not end", workflow.function);
        std::thread::sleep(LOOK);
    }
    let points = mortal.points();
    let is_dead = mortal.is_dead();
    dying.shutdown_background();
    {
        let _context = living.enter();
        mortal.bury();
        drop((worker, first));
    }

    if is_dead {
        let second = executor(Arc::clone(&store), &living);
        let worker = work(&second);
        while !living.block_on(is_over(&store, workflow)) {
            assert!(start.elapsed() < PATIENCE, "{} does not go on after {end:?}", workflow.function);
            std::thread::sleep(LOOK);
        }
        living.block_on(worker.stop(Some(PATIENCE))).unwrap();
    }
    let told = living.block_on(picture::picture(&store));
    living.block_on(store.call(Request::Close {})).unwrap();
    living.shutdown_background();
    (told, points)
}

async fn begin(client: &Executor, workflow: &Workflow) {
    if workflow.ticks > 0 {
        return begin_to_tick(client, workflow).await;
    }
    let options = DispatchOptions {
        id: Some(ID),
        on_cancel: workflow.on_cancel.map(str::to_owned),
        ..DispatchOptions::default()
    };
    client.dispatch(workflow.function, workflow.args.into(), options).await.unwrap();
    for number in 0..workflow.signals {
        let payload = number.to_string().into();
        client.signal(NewSignal { execution: ID, name: "go".to_owned(), payload, id: None }).await.unwrap();
    }
}

/// Soon, and shortly after each other: a sweep finds a tick due, or one that has waited.
async fn begin_to_tick(client: &Executor, workflow: &Workflow) {
    let mut soon = Duration::from_millis(250);
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        let first = Timestamp::from_micros(i64::try_from(now).unwrap()).after(soon);
        let times = (0..workflow.ticks).map(|number| first.after(Duration::from_millis(100) * number as u32));
        let queued = Schedule {
            args: workflow.args.into(),
            overlap: Overlap::QueueAll,
            catch_up: Duration::from_secs(3600),
            ..Schedule::new("soon", workflow.function, When::Times(times.collect()))
        };
        client.put_schedule(queued).await.unwrap();
        let kept = client.schedules(ScheduleFilter::default()).await.unwrap().remove(0);
        if kept.next_at == Some(first) {
            return;
        }
        // It took so long that the first one was over: it is put anew, and nobody was there to start anything.
        soon *= 2;
    }
}

/// Nothing goes on any more. Who is to be cancelled is so when he waits.
async fn is_over(store: &SharedBackend, workflow: &Workflow) -> bool {
    let executions = picture::executions(store).await;
    if executions.iter().all(|execution| execution.state.is_terminal()) {
        return executions.len() >= workflow.ticks.max(1 + usize::from(workflow.on_cancel.is_some()));
    }
    let waits = || async {
        let request = Request::ListTasksForExecution { execution_id: ID };
        let Response::Tasks(tasks) = store.call(request).await.unwrap() else { return false };
        tasks.iter().any(|task| task.kind == TaskKind::Signal && task.state == TaskState::Waiting)
    };
    let runs = executions.iter().any(|execution| execution.id == ID && execution.state == ExecutionState::Running);
    if workflow.on_cancel.is_some() && runs && waits().await {
        // Somebody may have been faster: it was cancelled before.
        drop(store.cancel(ID, None).await);
    }
    false
}

/// Where a store is that nobody has used yet.
trait Place {
    fn name(&self) -> &str;
}

impl Place for String {
    fn name(&self) -> &str {
        self
    }
}

impl Place for lent::Lent {
    fn name(&self) -> &str {
        self.url()
    }
}

/// All points of these workflows that end otherwise.
fn otherwise<P: Place>(
    place: impl Fn() -> P + Sync,
    workflows: &[&Workflow],
    stride: usize,
    tears: bool,
) -> Vec<String> {
    let clean: Vec<(String, Vec<Point>)> = workflows.iter().map(|one| run(place().name(), one, None, tears)).collect();
    let all: Vec<(&Workflow, &String, Point)> = workflows
        .iter()
        .zip(&clean)
        .flat_map(|(workflow, (told, points))| points.iter().map(move |point| (*workflow, told, *point)))
        .step_by(stride.max(1))
        .collect();
    let (next, problems) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((workflow, clean, point)) = all.get(next.fetch_add(1, SeqCst)) {
                    let (told, _) = run(place().name(), workflow, Some(*point), tears);
                    if told != **clean {
                        let told = format!("{} died {point:?}:\n{told}\ninstead of\n{clean}", workflow.function);
                        problems.lock().unwrap().push(told);
                    }
                }
            });
        }
    });
    println!("{} points of {} workflows", all.len(), workflows.len());
    problems.into_inner().unwrap()
}

fn at_every_write<P: Place>(place: impl Fn() -> P + Sync) {
    let only = std::env::var("STENT_WORKFLOW").ok();
    let stride = std::env::var("STENT_POINTS").map_or(STRIDE, |text| text.parse().expect("STENT_POINTS is a number"));
    let workflows: Vec<&Workflow> =
        CORPUS.iter().filter(|one| only.as_ref().is_none_or(|only| only == one.function)).collect();
    let problems = otherwise(place, &workflows, stride, false);
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// Names of files that nobody has used yet.
fn files() -> impl Fn() -> String + Sync {
    let folder = tempfile::tempdir().unwrap();
    let number = AtomicUsize::new(0);
    move || {
        let name = format!("{}.db", number.fetch_add(1, SeqCst));
        folder.path().join(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn it_ends_alike_on_sqlite() {
    at_every_write(files());
}

#[test]
fn it_ends_alike_on_postgres() {
    at_every_write(lent::Lent::new);
}

/// The test's own test: effects that are recorded apart from their task's end are found twice.
#[test]
fn transitions_that_are_torn_are_found() {
    let workflows: Vec<&Workflow> = CORPUS.iter().filter(|one| one.function == "sequence").collect();
    let problems = otherwise(files(), &workflows, 1, true);
    assert!(problems.iter().any(|told| told.contains("\"lines\": Integer(4)")), "{}", problems.join("\n\n"));
}
