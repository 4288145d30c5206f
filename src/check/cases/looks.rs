//! What people look for in a store. A store that is not the library's own need not answer.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use stent::backend::{Commands, OldFilter, Outcome, Request, TaskFilter};
use stent::model::{
    DispatchOptions, Failure, FunctionOptions, Id, Result, Status, Task, TaskKind, TaskState, Timestamp, WaitMode,
};

use super::house::*;

cases! {
    tasks_are_found_page_by_page,
    what_runs_what_is_due_and_what_is_parked_is_at_hand,
    signals_come_in_the_order_of_sending,
    functions_and_workers_are_known,
    what_a_cleanup_would_take_is_counted_and_stays,
    health_tells_of_what_is_wrong,
    what_is_over_is_forgotten_by_its_id,
    functions_are_forgotten_by_their_names,
    what_waits_for_its_time_begins_when_it_is_hastened,
    attempts_that_failed_are_kept,
}

/// The answer, if the store gives any.
fn told<T: Debug>(answer: Result<T>) -> Option<T> {
    match answer {
        Err(why) if why.status() == Status::Unsupported => None,
        answer => Some(answer.must()),
    }
}

async fn tasks_are_found_page_by_page(store: Store) {
    store.worker("w", &["f", "g"]).await;
    let mut roots = Vec::new();
    for n in 0..7 {
        roots.push(root_of(store.start(if n == 3 { "g" } else { "f" }).await));
    }
    let all = TaskFilter { limit: 100, ..TaskFilter::default() };
    let Some(found) = told(store.backend.tasks(all.clone()).await) else { return };
    let ids = |tasks: &[stent::model::Task]| tasks.iter().map(|task| task.id).collect::<Vec<Id>>();
    roots.sort_unstable();
    roots.reverse();
    assert_eq!(ids(&found), roots);

    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = store.backend.tasks(TaskFilter { after, limit: 3, ..TaskFilter::default() }).await.must();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        paged.extend(ids(&page));
    }
    assert_eq!(paged, roots);

    let running = only(store.claim("w", 1).await).task;
    let wanted = TaskFilter { state: Some(TaskState::Running), ..all.clone() };
    assert_eq!(only(store.backend.tasks(wanted).await.must()), store.task(running.id).await);
    let wanted = TaskFilter { function: Some("g".to_owned()), ..all.clone() };
    assert_eq!(only(store.backend.tasks(wanted).await.must()).step_name, "g");
    let wanted = TaskFilter { queue: Some("none".to_owned()), ..all.clone() };
    assert_eq!(store.backend.tasks(wanted).await.must().len(), 0);
    let wanted = TaskFilter { function: Some("a\0b".to_owned()), ..all };
    assert_eq!(store.backend.tasks(wanted).await.must_fail().status(), Status::Invalid);
}

async fn what_runs_what_is_due_and_what_is_parked_is_at_hand(store: Store) {
    store.worker("w", &["f"]).await;
    let [sleeps, parks, runs] = [store.root("f").await, store.root("f").await, store.root("f").await];
    let (long, short) = (timer(&sleeps, 1, HOUR), timer(&sleeps, 2, HOUR / 2));
    let (late, soon) = (long.id, short.id);
    store.suspend(&sleeps, spawns([long, short]), WaitMode::All, &[1, 2], 0).await;
    store.record(&parks, Commands::default(), parked(Some("1"))).await;
    store.start("f").await;
    let Some(found) = told(store.backend.at_hand(10).await) else { return };
    let of = |part: &str| -> Vec<Id> { found.iter().filter(|one| one.part == part).map(|one| one.task).collect() };
    assert_eq!((of("running"), of("due"), of("parked")), (vec![runs.task.id], vec![soon, late], vec![parks.task.id]));
    let one = |id: Id| only(found.iter().filter(|one| one.task == id).collect());
    assert_eq!(one(runs.task.id).worker_id.as_deref(), Some("w"));
    let (created, due) = (one(late).created_at, one(late).due.unwrap_or(Timestamp::from_micros(0)));
    assert!(due.since(created) > HOUR - SOON && due.since(created) < HOUR + SOON, "{created} {due}");
    let least = store.backend.at_hand(1).await.must();
    assert_eq!(least.iter().filter(|one| one.part == "due").map(|one| one.task).collect::<Vec<_>>(), [soon]);
}

async fn signals_come_in_the_order_of_sending(store: Store) {
    let (one, other) = (store.start("f").await, store.start("f").await);
    for (execution, name, payload) in [(one, "b", "1"), (other, "b", "2"), (one, "a", "3"), (one, "b", "4")] {
        store.send(execution, name, payload).await;
    }
    let Some(found) = told(store.backend.signals(one, 100).await) else { return };
    let named: Vec<_> = found.iter().map(|signal| (signal.name.as_str(), signal.payload.as_bytes())).collect();
    assert_eq!(named, [("b", &b"1"[..]), ("a", b"3"), ("b", b"4")]);
    assert_eq!(store.backend.signals(one, 2).await.must(), found[..2]);
    assert_eq!(store.backend.signals(Id::now_v7(), 2).await.must().len(), 0);
}

async fn functions_and_workers_are_known(store: Store) {
    let slow =
        FunctionOptions { queue: Some("slow".to_owned()), max_concurrent: Some(2), ..FunctionOptions::default() };
    store.register("v", &["slow"], &["x"], vec![("g", slow.clone())]).await;
    store.register("w", &[], &[], vec![("f", FunctionOptions::default())]).await;
    store.start("f").await;
    store.take().await;
    store.start("f").await;
    let Some(found) = told(store.backend.registered().await) else { return };
    assert_eq!((found.ready[0].function.as_str(), found.ready[0].count), ("f", 1));
    assert_eq!(found.functions, [("f".to_owned(), FunctionOptions::default()), ("g".to_owned(), slow)]);
    let workers: Vec<_> =
        found.workers.iter().map(|w| (w.worker_id.as_str(), w.queues.clone(), w.tags.clone(), w.running)).collect();
    assert_eq!(workers, [("v", strings(&["slow"]), strings(&["x"]), 0), ("w", vec![], vec![], 1)]);
    store.backend.remove_worker("v").await.must();
    assert_eq!(only(store.backend.registered().await.must().workers).worker_id, "w");
}

async fn what_a_cleanup_would_take_is_counted_and_stays(store: Store) {
    store.worker_with("w", vec![("f", tries(1))]).await;
    for _ in 0..3 {
        let root = store.root("f").await;
        store.complete(&root, "1").await;
    }
    let failed = store.root("f").await;
    store.record(&failed, Commands::default(), dead("it broke")).await;
    store.start("f").await;
    let never = Timestamp::from_micros(0);
    let soon = store.execution(failed.task.execution_id).await.created_at.after(Duration::from_secs(3600));
    let filter = OldFilter { executions: soon, dead_letters: Some(soon), limit: 100 };
    let Some(old) = told(store.backend.old(filter).await) else { return };
    assert_eq!((old.executions, old.dead_letters), (3, 1));
    let old = store.backend.old(OldFilter { limit: 2, dead_letters: None, ..filter }).await.must();
    assert_eq!((old.executions, old.dead_letters), (2, 0));
    let old = store.backend.old(OldFilter { executions: never, dead_letters: Some(never), limit: 2 }).await.must();
    assert_eq!((old.executions, old.dead_letters), (0, 0));
    let cleaned = store.backend.call(stent::backend::Request::CleanupExecutions { older_than: soon }).await.must();
    assert_eq!(cleaned, stent::backend::Response::Count(3));
}

async fn health_tells_of_what_is_wrong(store: Store) {
    store.worker("w", &["f"]).await;
    let Some(health) = told(store.backend.health().await) else { return };
    let part = |health: &stent::backend::Health, part: &str| {
        health.signs.iter().filter(|sign| sign.part == part).map(|sign| sign.amount).sum::<i64>()
    };
    let good: Vec<_> = health.signs.iter().filter(|sign| sign.part == "index" && sign.amount == 1).collect();
    assert!(health.indexes.len() > 10);
    for index in &health.indexes {
        assert!(good.iter().any(|sign| sign.name == *index), "{index}");
    }
    assert_eq!((part(&health, "lease"), part(&health, "parked"), part(&health, "due")), (0, 0, 0));
    assert!(part(&health, "file") + part(&health, "table") > 0);
    store.start("f").await;
    store.claim_with(claim("w", 10, DYING)).await;
    let start = Instant::now();
    // Without a sweep, which would take it back.
    while part(&store.backend.health().await.must(), "lease") == 0 {
        assert!(start.elapsed() < SOON, "the lease does not end");
    }
    let health = store.backend.health().await.must();
    let lease = only(health.signs.iter().filter(|sign| sign.part == "lease").collect());
    assert_eq!((lease.name.as_str(), lease.amount, lease.since.is_some()), ("w", 1, true));
    assert_eq!(part(&health, "stray"), 0);
    let made =
        |state| Task { state, ..Task::new(Id::now_v7(), Id::now_v7(), TaskKind::Activity, "f", Timestamp::default()) };
    let tasks = vec![made(TaskState::Pending), made(TaskState::Running), made(TaskState::Completed)];
    store.backend.call(Request::CreateTasks { tasks }).await.must();
    assert_eq!(part(&store.backend.health().await.must(), "stray"), 2);
}

async fn what_is_over_is_forgotten_by_its_id(store: Store) {
    store.worker_with("w", vec![("f", tries(1))]).await;
    let (over, failed) = (store.root("f").await, store.root("f").await);
    store.hold(&over, spawns([wait_for(&over, 1, "go", None), timer(&over, 2, HOUR)])).await;
    store.complete(&over, "1").await;
    store.record(&failed, Commands::default(), dead("it broke")).await;
    let other = store.root("f").await;
    store.complete(&other, "2").await;
    let going = store.start("f").await;
    let all = [&over, &failed].map(|of| of.task.execution_id).into_iter().chain([going, Id::now_v7()]);
    let Some(forgotten) = told(store.backend.forget_executions(all.collect()).await) else { return };
    assert_eq!(forgotten, 1, "a letter keeps its execution, and what goes on stays");
    assert_eq!(store.tasks(over.task.execution_id).await, []);
    assert!(store.backend.snapshot(over.task.execution_id).await.must().is_none());
    for kept in [failed.task.execution_id, other.task.execution_id, going] {
        assert_eq!(store.tasks(kept).await.len(), 1);
    }
}

async fn functions_are_forgotten_by_their_names(store: Store) {
    let slow = FunctionOptions { queue: Some("slow".to_owned()), ..FunctionOptions::default() };
    store.register("w", &[], &[], vec![("f", slow.clone()), ("g", slow.clone())]).await;
    if told(store.backend.forget_functions(strings(&["f", "none"])).await).is_none() {
        return;
    }
    assert_eq!(store.backend.registered().await.must().functions, [("g".to_owned(), slow)]);
    let (forgotten, known) = (store.start("f").await, store.start("g").await);
    assert_eq!(store.execution(forgotten).await.queue, None);
    assert_eq!(store.execution(known).await.queue.as_deref(), Some("slow"));
}

async fn what_waits_for_its_time_begins_when_it_is_hastened(store: Store) {
    store.worker_with("w", vec![("f", tries(5)), ("g", tries(5))]).await;
    let (later, parked_, sleeps) = (store.root("f").await, store.root("f").await, store.root("f").await);
    store.record(&later, Commands::default(), retry(HOUR)).await;
    store.record(&parked_, Commands::default(), parked(None)).await;
    store.suspend(&sleeps, spawns([timer(&sleeps, 1, HOUR)]), WaitMode::All, &[1], 0).await;
    let delayed = DispatchOptions { delay: Some(HOUR), ..DispatchOptions::default() };
    let delayed = root_of(store.start_with("g", "[]", delayed).await.must());
    store.idle().await;
    let timer = store.tasks(sleeps.task.execution_id).await.iter().map(|task| task.id).max().must();
    let all = [later.task.id, parked_.task.id, sleeps.task.id, timer, delayed, Id::now_v7()];
    let Some(mut hastened) = told(store.backend.hasten(all.to_vec()).await) else { return };
    hastened.sort_unstable();
    let mut due = vec![later.task.id, delayed];
    due.sort_unstable();
    assert_eq!(hastened, due, "parked tasks, sleeps and timers have their own ends");
    let again = store.claim("w", 9).await;
    assert_eq!(again.iter().map(|one| one.task.retries).sum::<u32>(), 1, "no attempt is charged for it");
    assert_eq!(again.len(), 2);
    assert_eq!(store.backend.hasten(all.to_vec()).await.must().len(), 0, "they run");
    store.sweep().await;
    store.idle().await;
    let cancelled = store.root("f").await;
    store.record(&cancelled, Commands::default(), retry(HOUR)).await;
    store.backend.cancel(cancelled.task.execution_id, None).await.must();
    assert_eq!(store.backend.hasten(vec![cancelled.task.id]).await.must().len(), 0);
}

async fn attempts_that_failed_are_kept(store: Store) {
    store.worker_with("w", vec![("f", tries(100)), ("g", tries(100))]).await;
    let (root, well) = (store.root("f").await, store.root("g").await);
    store.complete(&well, "1").await;
    let execution = root.task.execution_id;
    let Some(none) = told(store.backend.attempts(execution).await) else { return };
    assert_eq!((none.len(), store.backend.attempts(well.task.execution_id).await.must().len()), (0, 0));
    let mut at = root;
    for round in 0..60 {
        let failure = Failure::new("Oops", format!("round {round}: \"quoted\"\n{}", "é".repeat(200)));
        store.record(&at, Commands::default(), Outcome::Retry { failure, delay: Duration::ZERO, reopen: false }).await;
        at = store.take().await;
    }
    let kept = store.backend.attempts(execution).await.must();
    assert!((10..=40).contains(&kept.len()), "{}", kept.len());
    for (number, attempt) in kept.iter().enumerate() {
        let said = format!("round {}: \"quoted\"\né", 59 - number);
        assert!(attempt.message.starts_with(&said), "{attempt:?}");
        assert_eq!(
            (attempt.task, attempt.kind.as_str(), attempt.worker_id.as_deref()),
            (at.task.id, "Oops", Some("w"))
        );
        assert!(attempt.started_at.must() <= attempt.ended_at, "{attempt:?}");
    }
    assert!(kept.windows(2).all(|two| two[0].ended_at >= two[1].ended_at));
    // A worker's death is the end of an attempt, too.
    store.release(&at).await;
    let taken = store.claim_with(claim("w", 1, DYING)).await;
    store.until("it is taken back", async |store| store.state(at.task.id).await == TaskState::Pending).await;
    assert_eq!(taken.len(), 1);
    let after = store.backend.attempts(execution).await.must();
    assert_ne!(after[0], kept[0]);
    assert_eq!(after[1].message, kept[0].message);
}
