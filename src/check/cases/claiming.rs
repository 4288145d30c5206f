//! The protocol's claim: atomic, in order, only of tasks that may be claimed; and its leases.

use std::collections::BTreeMap;
use std::time::Duration;

use stent::backend::{Request, Response};
use stent::model::{Execution, Id, Task, TaskKind, TaskState, Timestamp};

use super::house::*;
use super::records::{get_task, now, ok, task, there};

cases! {
    a_claim_sets_what_it_should_and_takes_each_once,
    the_order_is_priority_then_age_then_id,
    queues_decide,
    tags_decide,
    what_may_not_run_is_not_taken,
    schedules_are_judged_by_now,
    a_lease_that_ended_is_taken_over,
    a_live_lease_is_respected,
    limits_count_live_leases,
    only_the_holder_renews,
    many_claimers_never_share,
}

/// A claim in the execution's own queue.
struct Asks {
    worker: &'static str,
    tags: Option<Vec<String>>,
    now: Option<Timestamp>,
    lease: f64,
    limits: BTreeMap<String, u32>,
}

const PLAIN: Asks = Asks { worker: "w", tags: None, now: None, lease: 600.0, limits: BTreeMap::new() };

async fn claim(store: &Store, of: &Execution, asks: Asks) -> Option<Task> {
    let request = Request::ClaimNextTask {
        worker_id: asks.worker.to_owned(),
        queues: Some(vec![format!("q-{}", of.id)]),
        tags: asks.tags,
        now: asks.now,
        lease_duration: asks.lease,
        concurrency_limits: asks.limits,
    };
    match store.backend.call(request).await.must() {
        Response::Task(task) => task.map(|task| *task),
        other => panic!("{other:?}"),
    }
}

async fn create(store: &Store, tasks: &[Task]) {
    ok(store, Request::CreateTasks { tasks: tasks.to_vec() }).await;
}

async fn a_claim_sets_what_it_should_and_takes_each_once(store: Store) {
    let execution = there(&store).await;
    let one = task(execution.id);
    create(&store, std::slice::from_ref(&one)).await;
    let taken = claim(&store, &execution, PLAIN).await.must();
    assert_eq!((taken.id, taken.state, taken.worker_id.as_deref()), (one.id, TaskState::Running, Some("w")));
    let (ends, started) = (taken.lease_expires_at.must(), taken.started_at.must());
    assert!(ends.since(now()) > Duration::from_secs(300) && ends.since(now()) < Duration::from_secs(900), "{ends}");
    assert!(now().since(started) < Duration::from_secs(300), "{started}");
    assert_eq!(claim(&store, &execution, PLAIN).await, None);
    let found = get_task(&store, one.id).await.must();
    assert_eq!((found.state, found.worker_id), (TaskState::Running, taken.worker_id));
}

async fn the_order_is_priority_then_age_then_id(store: Store) {
    let execution = there(&store).await;
    let time = now().before(Duration::from_secs(60));
    let mut tasks: Vec<Task> = (0..12)
        .map(|number| Task {
            priority: [0, 5, -3, 5][number % 4],
            created_at: time.after(Duration::from_secs(number as u64 / 6)),
            ..task(execution.id)
        })
        .collect();
    create(&store, &tasks).await;
    tasks.sort_by_key(|task| (-task.priority, task.created_at, task.id));
    for expected in tasks {
        let taken = claim(&store, &execution, PLAIN).await.must();
        assert_eq!((taken.priority, taken.created_at, taken.id), (expected.priority, expected.created_at, expected.id));
    }
}

async fn queues_decide(store: Store) {
    let (one, other) = (there(&store).await, there(&store).await);
    create(&store, &[task(one.id)]).await;
    assert_eq!(claim(&store, &other, PLAIN).await, None);
    let homeless = Task { queue: None, ..task(other.id) };
    create(&store, std::slice::from_ref(&homeless)).await;
    // Without a queue of its own it is everybody's.
    assert_eq!(claim(&store, &other, PLAIN).await.must().id, homeless.id);
    assert_eq!(claim(&store, &one, PLAIN).await.must().execution_id, one.id);
}

async fn tags_decide(store: Store) {
    let execution = there(&store).await;
    let tagged = Task { tags: strings(&["x", "y"]), ..task(execution.id) };
    create(&store, std::slice::from_ref(&tagged)).await;
    let with = |tags: &[&str]| Asks { tags: Some(strings(tags)), ..PLAIN };
    assert_eq!(claim(&store, &execution, with(&["z"])).await, None);
    assert_eq!(claim(&store, &execution, with(&["z", "y"])).await.must().id, tagged.id);
    let plain = task(execution.id);
    create(&store, std::slice::from_ref(&plain)).await;
    assert_eq!(claim(&store, &execution, with(&["z"])).await.must().id, plain.id);
    let again = Task { id: Id::now_v7(), ..tagged };
    create(&store, std::slice::from_ref(&again)).await;
    assert_eq!(claim(&store, &execution, PLAIN).await.must().id, again.id);
}

async fn what_may_not_run_is_not_taken(store: Store) {
    let execution = there(&store).await;
    let tasks: Vec<Task> = TaskState::ALL
        .iter()
        .filter(|state| !matches!(state, TaskState::Pending | TaskState::Running))
        .map(|state| {
            let completed_at = state.is_terminal().then(now);
            Task { state: *state, completed_at, ..task(execution.id) }
        })
        .chain([Task { kind: TaskKind::Signal, ..task(execution.id) }])
        .collect();
    create(&store, &tasks).await;
    assert_eq!(claim(&store, &execution, PLAIN).await, None);
}

async fn schedules_are_judged_by_now(store: Store) {
    let execution = there(&store).await;
    let due = now().after(HOUR);
    let later = Task { scheduled_for: Some(due), ..task(execution.id) };
    create(&store, std::slice::from_ref(&later)).await;
    assert_eq!(claim(&store, &execution, PLAIN).await, None);
    let at = |now| Asks { now: Some(now), ..PLAIN };
    assert_eq!(claim(&store, &execution, at(due.before(Duration::from_secs(1)))).await, None);
    assert_eq!(claim(&store, &execution, at(due.after(Duration::from_secs(1)))).await.must().id, later.id);
}

async fn a_lease_that_ended_is_taken_over(store: Store) {
    let execution = there(&store).await;
    let one = task(execution.id);
    create(&store, std::slice::from_ref(&one)).await;
    claim(&store, &execution, Asks { lease: 0.001, ..PLAIN }).await.must();
    let start = std::time::Instant::now();
    let taken = loop {
        if let Some(taken) = claim(&store, &execution, Asks { worker: "v", ..PLAIN }).await {
            break taken;
        }
        assert!(start.elapsed() < SOON, "the lease has ended, and nobody may take the task over");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!((taken.id, taken.state, taken.worker_id.as_deref()), (one.id, TaskState::Running, Some("v")));
    // The one who had it has lost it.
    let renew = Request::RenewTaskLease { task_id: one.id, worker_id: "w".into(), lease_duration: 60.0 };
    assert_eq!(store.backend.call(renew).await.must(), Response::Flag(false));
}

async fn a_live_lease_is_respected(store: Store) {
    let execution = there(&store).await;
    create(&store, &[task(execution.id)]).await;
    let taken = claim(&store, &execution, Asks { lease: 60.0, ..PLAIN }).await.must();
    let at = |seconds| Asks { worker: "v", now: Some(now().after(Duration::from_secs(seconds))), ..PLAIN };
    assert_eq!(claim(&store, &execution, at(30)).await, None);
    let renew = Request::RenewTaskLease { task_id: taken.id, worker_id: "w".into(), lease_duration: 600.0 };
    assert_eq!(store.backend.call(renew).await.must(), Response::Flag(true));
    assert!(get_task(&store, taken.id).await.must().lease_expires_at > taken.lease_expires_at);
    assert_eq!(claim(&store, &execution, at(120)).await, None);
    assert_eq!(claim(&store, &execution, at(1200)).await.must().id, taken.id);
}

async fn limits_count_live_leases(store: Store) {
    let execution = there(&store).await;
    let tasks: Vec<Task> = (0..4).map(|_| task(execution.id)).collect();
    create(&store, &tasks).await;
    let limited = |lease| Asks { lease, limits: BTreeMap::from([("g".to_owned(), 2)]), ..PLAIN };
    claim(&store, &execution, limited(600.0)).await.must();
    claim(&store, &execution, limited(600.0)).await.must();
    assert_eq!(claim(&store, &execution, limited(600.0)).await, None);
    // A function that has no limit is not held back.
    create(&store, &[Task { step_name: "h".into(), ..task(execution.id) }]).await;
    assert_eq!(claim(&store, &execution, limited(600.0)).await.must().step_name, "h");
    // What has ended, or whose lease has, does not count.
    let running = store.tasks(execution.id).await;
    let one = running.iter().find(|task| task.state == TaskState::Running && task.step_name == "g").must();
    let ended = Task {
        state: TaskState::Completed,
        result: Some("1".into()),
        completed_at: Some(now()),
        lease_expires_at: None,
        ..one.clone()
    };
    ok(&store, Request::UpdateTask { task: ended }).await;
    claim(&store, &execution, limited(600.0)).await.must();
    assert_eq!(claim(&store, &execution, limited(600.0)).await, None);
}

async fn only_the_holder_renews(store: Store) {
    let execution = there(&store).await;
    let one = task(execution.id);
    create(&store, std::slice::from_ref(&one)).await;
    let renew = async |worker: &str| {
        let request = Request::RenewTaskLease { task_id: one.id, worker_id: worker.to_owned(), lease_duration: 60.0 };
        store.backend.call(request).await.must()
    };
    assert_eq!(renew("w").await, Response::Flag(false));
    claim(&store, &execution, PLAIN).await.must();
    assert_eq!((renew("w").await, renew("v").await), (Response::Flag(true), Response::Flag(false)));
    let ended = Task {
        state: TaskState::Completed,
        result: Some("1".into()),
        completed_at: Some(now()),
        lease_expires_at: None,
        ..one.clone()
    };
    ok(&store, Request::UpdateTask { task: ended }).await;
    assert_eq!(renew("w").await, Response::Flag(false));
    let nothing = Request::RenewTaskLease { task_id: Id::now_v7(), worker_id: "w".into(), lease_duration: 60.0 };
    assert_eq!(store.backend.call(nothing).await.must(), Response::Flag(false));
}

async fn many_claimers_never_share(store: Store) {
    const TASKS: usize = 60;
    const CLAIMERS: usize = 6;
    let execution = there(&store).await;
    let tasks: Vec<Task> = (0..TASKS).map(|_| task(execution.id)).collect();
    create(&store, &tasks).await;
    let claimers: Vec<_> = (0..CLAIMERS)
        .map(|number| {
            let (store, execution) = (store.clone(), execution.clone());
            let worker = ["a", "b", "c", "d", "e", "f"][number % CLAIMERS];
            beside(async move {
                let mut taken = Vec::new();
                while let Some(task) = claim(&store, &execution, Asks { worker, ..PLAIN }).await {
                    assert_eq!(task.worker_id.as_deref(), Some(worker));
                    taken.push(task.id);
                }
                taken
            })
        })
        .collect();
    let mut all = Vec::new();
    for claimer in claimers {
        all.extend(claimer.await.must());
    }
    let claims = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!((claims, all.len()), (TASKS, TASKS), "each task is claimed once");
}
