//! Commits whose answer gets lost: what was said stands once, and nobody's body runs again because of it.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use stent::backend::postgres::Postgres;
use stent::backend::{
    Backend as _, Claim, Claimed, Commands, DeadLetterFilter, Function, Held, JournalRequest, NewExecution, NewSignal,
    NewWorker, Outcome, Request, Response, SharedBackend, Spawn, SpawnKind, Transition, Verdict,
};
use stent::codec::CanonicalJson;
use stent::model::{
    Canonical as _, DispatchOptions, ExecutionState, Failure, FunctionOptions, Id, Number, OpSet, Payload,
    ProgressEntry, ProgressStatus, Status, TaskState, Timestamp, WaitMode, child_id, execution_id,
};

use crate::house::House;
use crate::orders;
use crate::postgres::{fresh_url, shared};
use crate::proxy::Proxy;

const HOUR: Duration = Duration::from_secs(3600);

/// A store behind a proxy, and the same without.
struct Site {
    proxy: Proxy,
    store: Arc<Postgres>,
    direct: SharedBackend,
}

async fn site() -> Site {
    site_with("&notify=off").await
}

async fn site_with(options: &str) -> Site {
    let proxy = Proxy::new(&shared().url);
    let url = fresh_url(options);
    let store = Postgres::open(&proxy.url(&url)).await.unwrap();
    let direct = Postgres::open(&url).await.unwrap();
    Site { proxy, store, direct }
}

impl Site {
    async fn worker(&self) {
        let function = Function { name: "f".to_owned(), options: FunctionOptions::default() };
        let worker = NewWorker {
            worker_id: "w".to_owned(),
            queues: Vec::new(),
            tags: Vec::new(),
            functions: vec![function],
            queue_rates: [].into(),
        };
        self.store.register_worker(worker).await.unwrap();
    }

    async fn start(&self) -> Id {
        let new = new_execution();
        self.direct.dispatch(vec![new.clone()]).await.unwrap();
        new.id
    }

    async fn claim(&self) -> stent::model::Result<Vec<Claimed>> {
        self.store.advance(Vec::new(), Some(claim())).await.map(|(_, claimed)| claimed)
    }

    async fn task(&self, id: Id) -> stent::model::Task {
        match self.direct.call(Request::GetTask { task_id: id }).await.unwrap() {
            Response::Task(Some(task)) => *task,
            other => panic!("{other:?}"),
        }
    }

    /// How many signals there are, by taking them.
    async fn signals(&self, execution: Id) -> u64 {
        for taken in 0.. {
            let get = Request::GetSignal { execution_id: execution, name: "go".to_owned() };
            match self.direct.call(get).await.unwrap() {
                Response::Signal(Some(signal)) if !signal.consumed => {
                    let signal = stent::model::Signal { consumed: true, ..signal };
                    self.direct.call(Request::CreateSignal { signal }).await.unwrap();
                }
                _ => return taken,
            }
        }
        unreachable!("there are not so many")
    }

    async fn count(&self) -> u64 {
        match self.direct.call(Request::CountExecutions { state: None }).await.unwrap() {
            Response::Count(count) => count,
            other => panic!("{other:?}"),
        }
    }
}

fn claim() -> Claim {
    Claim { worker_id: "w".to_owned(), count: 2, limited: 0, begin: 2, slots: 4, lease: HOUR }
}

fn new_execution() -> NewExecution {
    let args: Payload = "[1]".into();
    let args_hash = CanonicalJson.hash(&args, &Payload::empty_object());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let id = execution_id(Timestamp::from_micros(now.as_micros() as i64), rand::random());
    NewExecution {
        id,
        function: "f".to_owned(),
        args,
        options: DispatchOptions::default(),
        args_hash,
        registered: None,
    }
}

fn said(of: &Claimed, commands: Commands, outcome: Outcome) -> Vec<Transition> {
    let task = &of.task;
    let held = Held { task: task.id, execution: task.execution_id, parent: None, fence: task.fence };
    vec![Transition { held, commands, outcome }]
}

fn on<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // What waits for it is compiled once, and not for each test.
    let test: Pin<&mut dyn Future<Output = ()>> = pin!(test);
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(40), test).await.expect("the test hangs") });
}

#[test]
fn a_dispatch_answers_the_execution_that_it_made() {
    on(async {
        let site = site().await;
        let new = new_execution();
        site.proxy.lose_next(2);
        assert_eq!(site.store.dispatch(vec![new.clone()]).await.unwrap(), [new.id]);
        assert_eq!((site.count().await, site.proxy.lost()), (1, 2));
        // By the caller, the same id is another's.
        let why = site.store.dispatch(vec![new.clone()]).await.unwrap_err();
        assert_eq!(why.status(), Status::Conflict);

        // Some of them with a key, one of which is taken.
        let keyed = |key: &str| {
            let options = DispatchOptions { idempotency_key: Some(key.to_owned()), ..DispatchOptions::default() };
            NewExecution { options, ..new_execution() }
        };
        let first = keyed("k");
        site.store.dispatch(vec![first.clone()]).await.unwrap();
        let batch = vec![keyed("k"), new_execution(), keyed("other")];
        site.proxy.lose_next(1);
        let answers = site.store.dispatch(batch.clone()).await.unwrap();
        assert_eq!(answers, [first.id, batch[1].id, batch[2].id]);
        assert_eq!((site.count().await, site.proxy.lost()), (4, 3));
    });
}

/// Its key is taken when it is said again: by itself.
#[test]
fn a_unique_dispatch_answers_the_execution_that_it_made() {
    on(async {
        let site = site().await;
        let alone = DispatchOptions {
            unique_key: Some("k".to_owned()),
            unique_existing: stent::model::Existing::Refuse,
            ..DispatchOptions::default()
        };
        let batch = vec![NewExecution { options: alone.clone(), ..new_execution() }, new_execution()];
        site.proxy.lose_next(1);
        let answers = site.store.dispatch(batch.clone()).await.unwrap();
        assert_eq!(answers, [batch[0].id, batch[1].id]);
        assert_eq!((site.count().await, site.proxy.lost()), (2, 1));
        let other = vec![NewExecution { options: alone, ..new_execution() }];
        assert_eq!(site.store.dispatch(other).await.unwrap_err().status(), Status::Conflict);
    });
}

/// What was given its arguments has ended when they are given again: they are not run twice.
#[test]
fn a_debounced_dispatch_finds_the_execution_that_it_changed() {
    on(async {
        let site = site().await;
        let quiet = |most| NewExecution {
            options: DispatchOptions {
                unique_key: Some("k".to_owned()),
                debounce: Some(Duration::from_secs(3600)),
                debounce_max: Some(most),
                ..DispatchOptions::default()
            },
            ..new_execution()
        };
        let first = site.store.dispatch(vec![quiet(Duration::from_secs(3600))]).await.unwrap();
        site.proxy.lose_next(1);
        let worker = NewWorker {
            worker_id: "other".to_owned(),
            queues: Vec::new(),
            tags: Vec::new(),
            functions: vec![stent::backend::Function {
                name: new_execution().function,
                options: FunctionOptions::default(),
            }],
            queue_rates: [].into(),
        };
        site.store.register_worker(worker).await.unwrap();
        let answers = site.store.dispatch(vec![quiet(Duration::from_micros(1))]).await.unwrap();
        assert_eq!(answers, first);
        assert_eq!((site.count().await, site.proxy.lost()), (1, 1));
    });
}

/// The statement that is its own transaction is carried out, and from then on nobody hears of the server.
#[test]
fn a_dispatch_that_may_be_recorded_is_told_as_in_doubt() {
    on(async {
        let site = site_with("&notify=off&connect_timeout=1").await;
        site.worker().await;
        // Its route is made, the catalog read, and the statement prepared.
        for _ in 0..2 {
            site.store.dispatch(vec![new_execution()]).await.unwrap();
        }
        site.proxy.until_quiet();
        site.proxy.lose_executed(u64::MAX);
        let why = site.store.dispatch(vec![new_execution()]).await.unwrap_err();
        assert_eq!(site.count().await, 3);
        assert_eq!(why.details().get("commit"), Some(&"in doubt".into()), "{why:?}");
        assert!(why.is_retryable() && why.message().contains("is not known"), "{why:?}");
    });
}

/// An id that somebody else has used is a conflict, lost answer or not.
#[test]
fn another_ones_execution_is_no_answer() {
    on(async {
        let site = site().await;
        let taken = site.start().await;
        let new = NewExecution { id: taken, args: "[2]".into(), ..new_execution() };
        let why = site.store.dispatch(vec![new]).await.unwrap_err();
        assert_eq!(why.status(), Status::Conflict);
        assert_eq!(site.count().await, 1);
    });
}

#[test]
fn signals_cancels_and_replays_count_once() {
    on(async {
        let site = site().await;
        let id = site.start().await;
        let signal = |id: Id, name: Option<&str>| NewSignal {
            execution: id,
            name: "go".to_owned(),
            payload: "1".into(),
            id: name.map(str::to_owned),
        };
        // With an id of its sender's or without, and however often; the same id by the sender counts once too.
        for id_given in [Some("one"), None, Some("one")] {
            site.proxy.lose_next(2);
            site.store.signal(signal(id, id_given)).await.unwrap();
        }
        // One that did not get there is sent again.
        site.proxy.swallow_next(2);
        site.store.signal(signal(id, None)).await.unwrap();
        assert_eq!((site.signals(id).await, site.proxy.lost()), (3, 6));

        // Over at once: nobody holds it.
        site.proxy.lose_next(1);
        site.store.cancel(id, Some("enough".to_owned())).await.unwrap();
        let snapshot = site.direct.snapshot(id).await.unwrap().unwrap();
        assert_eq!(snapshot.execution.state, ExecutionState::Cancelled);
        assert_eq!(snapshot.cancel_reason.as_deref(), Some("enough"));

        site.worker().await;
        let failed = site.start().await;
        let held = site.claim().await.unwrap().remove(0);
        assert_eq!(held.task.execution_id, failed);
        let dead = Outcome::DeadLetter { failure: Failure::new("Oops", "it broke"), reason: "over".to_owned() };
        site.store.advance(said(&held, Commands::default(), dead), None).await.unwrap();
        let new = new_execution().id;
        site.proxy.lose_next(1);
        let replayed = site.store.replay_dead_letter(held.task.id, new).await.unwrap();
        assert_eq!((replayed.execution, replayed.replay_of), (new, failed));
        assert_eq!(site.count().await, 3);
        let letters = site.direct.dead_letters(DeadLetterFilter { limit: 9, ..Default::default() }).await.unwrap();
        assert_eq!(letters.len(), 0);
    });
}

/// Commands are numbered: said again, they are there.
#[test]
fn what_a_task_said_counts_once() {
    on(async {
        let site = site().await;
        site.worker().await;
        site.start().await;
        let held = site.claim().await.unwrap().remove(0);
        let mut from = stent::backend::Extent::default();
        for round in 1..=3 {
            let commands = Commands {
                spawns: vec![step(&held, 2 * round - 1), step(&held, 2 * round)],
                progress: vec![progress()],
                counters: vec![("n".to_owned(), Number::Integer(1))],
                state: vec![("s".to_owned(), round.to_string().into())],
                from: Some(from),
                ..Commands::default()
            };
            from = commands.to().unwrap();
            site.proxy.lose_next(1);
            let hold = || said(&held, commands.clone(), Outcome::Hold);
            assert!(site.store.advance(hold(), None).await.unwrap_err().is_retryable());
            for _ in 0..2 {
                let (verdicts, _) = site.store.advance(hold(), None).await.unwrap();
                let Verdict::Recorded { latest, .. } = verdicts[0] else { panic!("{verdicts:?}") };
                assert_eq!(latest, u64::from(2 * round));
            }
        }
        let snapshot = site.direct.snapshot(held.task.execution_id).await.unwrap().unwrap();
        assert_eq!(snapshot.counters["n"], Number::Integer(3));
        assert_eq!(snapshot.execution.progress.iter().filter(|entry| entry.step == "half").count(), 3);
        let journal = site.direct.journals(vec![JournalRequest { task: held.task.id, after: 0 }]).await.unwrap();
        let arrivals: Vec<_> = journal[0].iter().map(|entry| entry.arrival.unwrap()).collect();
        assert_eq!(arrivals, [1, 2, 3, 4, 5, 6]);

        // A suspension that stands, and a count that does not fit: another's word.
        let behind = Commands { from: Some(Default::default()), ..Commands::default() };
        let (verdicts, _) = site.store.advance(said(&held, behind, Outcome::Hold), None).await.unwrap();
        assert_eq!(verdicts, [Verdict::LeaseLost]);
        let wait = || Outcome::Suspend { mode: WaitMode::All, ops: OpSet::from_iter([7]), known: 6 };
        let commands = || Commands { spawns: vec![timer(&held, 7)], from: Some(from), ..Commands::default() };
        site.proxy.lose_next(1);
        assert!(site.store.advance(said(&held, commands(), wait()), None).await.is_err());
        let (verdicts, _) = site.store.advance(said(&held, commands(), wait()), None).await.unwrap();
        assert_eq!(verdicts, [Verdict::Recorded { arrivals: Vec::new(), latest: 6 }]);
        assert_eq!(site.task(held.task.id).await.state, TaskState::Waiting);
    });
}

fn spawn(of: &Claimed, op: u32, name: &str, what: SpawnKind) -> Spawn {
    let key = format!("{name}#{op}");
    Spawn { id: child_id(of.task.id, of.run, &key), op, key, name: name.to_owned(), what }
}

fn step(of: &Claimed, op: u32) -> Spawn {
    spawn(of, op, "step", SpawnKind::Step { started_at: of.claimed_at, outcome: Ok("1".into()) })
}

fn timer(of: &Claimed, op: u32) -> Spawn {
    spawn(of, op, "sleep", SpawnKind::Timer { delay: HOUR })
}

fn progress() -> ProgressEntry {
    ProgressEntry {
        step: "half".to_owned(),
        status: ProgressStatus::Running,
        started_at: None,
        completed_at: None,
        detail: None,
    }
}

/// The leases that a lost answer spoke of are the worker's: its next claim has them, and only once.
#[test]
fn what_was_claimed_is_not_left_to_its_lease() {
    on(async {
        let site = site().await;
        site.worker().await;
        for _ in 0..5 {
            site.start().await;
        }
        site.proxy.lose_next(2);
        assert!(site.claim().await.unwrap_err().is_retryable());
        assert!(site.claim().await.unwrap_err().is_retryable());
        let mut claimed = Vec::new();
        for _ in 0..4 {
            claimed.extend(site.claim().await.unwrap());
        }
        let mut tasks: Vec<Id> = claimed.iter().map(|claimed| claimed.task.id).collect();
        tasks.sort_unstable();
        tasks.dedup();
        assert_eq!((tasks.len(), claimed.len()), (5, 5));
        for held in &claimed {
            let task = site.task(held.task.id).await;
            assert_eq!((task.fence, task.lease_expires_at), (held.task.fence, held.task.lease_expires_at));
        }

        // What another took meanwhile is another's; what nobody asked for any more goes back, and costs nothing.
        for _ in 0..2 {
            site.start().await;
        }
        site.proxy.lose_next(1);
        assert!(site.claim().await.is_err());
        site.store.remove_worker("w").await.unwrap();
        site.worker().await;
        let again = site.claim().await.unwrap();
        assert_eq!(again.len(), 2);
        assert!(again.iter().all(|held| held.task.fence == 2 && held.crashes == 0), "{again:?}");
    });
}

/// A whole worker, with every third answer lost: bodies run once, everything is recorded once, and nothing waits for a
/// lease to end (the lease is longer than the test's patience).
#[test]
fn no_body_runs_again_because_an_answer_was_lost() {
    let proxy = Proxy::new(&shared().url);
    let house = House::at(&proxy.url(&fresh_url("&connect_timeout=5")));
    let bodies = orders::register(&house);
    let _worker = house.worker(8);
    proxy.lose_every(3);
    let ids: Vec<Id> = (0..30).map(|_| house.dispatch("order", "[]")).collect();
    for id in &ids {
        house.on(house.executor.signal(orders::signal(*id))).unwrap();
    }
    bodies.check(&house, &ids);
    assert!(proxy.lost() > 20, "{}", proxy.lost());
}

/// A parked task goes on once, whatever became of the answer.
#[test]
fn a_resume_is_said_once() {
    on(async {
        let site = site().await;
        site.worker().await;
        site.start().await;
        let held = site.claim().await.unwrap().remove(0);
        let park = || Outcome::Park { failure: Failure::new("Nondeterminism", ""), version: None };
        site.store.advance(said(&held, Commands::default(), park()), None).await.unwrap();
        site.proxy.lose_next(1);
        site.store.resume(held.task.id).await.unwrap();
        assert_eq!(site.task(held.task.id).await.state, TaskState::Pending);
        // It is not parked any more, and that is no lost answer.
        let why = site.store.resume(held.task.id).await.unwrap_err();
        assert_eq!((why.status(), site.proxy.lost()), (Status::Conflict, 1));

        let held = site.claim().await.unwrap().remove(0);
        site.store.advance(said(&held, Commands::default(), park()), None).await.unwrap();
        site.proxy.swallow_next(1);
        site.store.resume(held.task.id).await.unwrap();
        assert_eq!(site.task(held.task.id).await.state, TaskState::Pending);
    });
}

/// What has no identity by which it is known again is looked up by its transaction: whatever the protocol writes is
/// written once, and answered as if nothing had been.
#[test]
fn what_the_protocol_writes_counts_once() {
    on(async {
        let site = site().await;
        site.worker().await;
        let id = site.start().await;
        let lost = async |request: Request| {
            // The first COMMIT does not get there, the answer to the second is lost.
            site.proxy.swallow_next(1);
            site.proxy.lose_next(1);
            site.store.call(request).await.unwrap()
        };
        let add = || Request::IncrementExecutionCounter {
            execution_id: id,
            name: "n".to_owned(),
            amount: Number::Integer(1),
        };
        assert_eq!(lost(add()).await, Response::Number(Number::Integer(1)));
        assert_eq!(lost(add()).await, Response::Number(Number::Integer(2)));
        lost(Request::AppendProgress { execution_id: id, progress: progress() }).await;
        let snapshot = site.direct.snapshot(id).await.unwrap().unwrap();
        assert_eq!(snapshot.execution.progress.iter().filter(|entry| entry.step == "half").count(), 1);

        let claim = Request::ClaimNextTask {
            worker_id: "outside".to_owned(),
            queues: None,
            tags: None,
            now: None,
            lease_duration: 3600.0,
            concurrency_limits: Default::default(),
        };
        let Response::Task(Some(task)) = lost(claim).await else { panic!("nothing was claimed") };
        assert_eq!((site.task(task.id).await, task.fence), (*task.clone(), 1), "it has the lease that it was told of");

        let again = stent::model::Task { id: new_execution().id, state: TaskState::Pending, ..(*task).clone() };
        lost(Request::CreateTask { task: again.clone() }).await;
        assert_eq!(site.task(again.id).await.fence, 1);
        let why = site.store.call(Request::CreateTask { task: again.clone() }).await.unwrap_err();
        assert_eq!(why.status(), Status::Conflict, "by the caller, the same id is another's");
        let done = stent::model::Task { state: TaskState::Completed, result: Some("7".into()), ..*task };
        lost(Request::UpdateTask { task: done.clone() }).await;
        assert_eq!(site.task(done.id).await.fence, 3, "an end and a record, once each");

        lost(Request::MoveTaskToDeadLetter { task: done.clone(), reason: "by hand".to_owned() }).await;
        let delete = || Request::DeleteDeadTask { task_id: done.id };
        assert_eq!(lost(delete()).await, Response::Flag(true));
        assert_eq!(lost(delete()).await, Response::Flag(false));
        // The last one too: that nothing was written is no answer that could be kept.
        assert_eq!(site.proxy.lost(), 9);
    });
}
