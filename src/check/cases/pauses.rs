//! A paused queue or function: nothing of it is claimed until it is unpaused, by nobody; all else goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use stent::backend::{Claimed, Commands, NewPause, Notice, Pausable, Request, Response};
use stent::model::{CallOptions, DispatchOptions, FunctionOptions, Id, Status, TaskOptions, TaskState, WaitMode};

use super::house::*;

cases! {
    a_paused_queue_waits,
    a_paused_function_waits,
    a_limited_function_waits,
    what_is_held_goes_on_and_what_it_calls_waits,
    what_its_own_worker_would_resume_waits,
    what_is_woken_in_a_pause_waits,
    a_parked_task_that_is_freed_waits,
    a_route_that_is_new_waits,
    the_protocols_claim_is_held_back_too,
    it_is_told_who_pauses_and_why,
    a_pause_holds_when_it_has_returned,
    an_end_of_a_pause_is_told,
}

/// No other store user has it.
fn queue() -> String {
    format!("paused-{}", Id::now_v7())
}

fn of_queue(queue: &str) -> Pausable {
    Pausable::Queue(queue.to_owned())
}

fn of_function(function: &str) -> Pausable {
    Pausable::Function(function.to_owned())
}

/// False: the store can't.
async fn pause(store: &Store, what: Pausable) -> bool {
    match store.backend.pause(NewPause { what, reason: None, by: None }).await {
        Err(why) if why.status() == Status::Unsupported => false,
        paused => {
            paused.must();
            true
        }
    }
}

fn into(queue: &str) -> DispatchOptions {
    let task = TaskOptions { queue: Some(queue.to_owned()), ..TaskOptions::default() };
    DispatchOptions { task, ..DispatchOptions::default() }
}

fn functions(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|one| one.task.step_name.as_str()).collect()
}

async fn a_paused_queue_waits(store: Store) {
    let queue = queue();
    let other = store.another().await;
    store.worker("w", &["f", "g"]).await;
    other.worker("v", &["f", "g"]).await;
    store.start_with("f", "[]", into(&queue)).await.must();
    if !pause(&store, of_queue(&queue)).await {
        return;
    }
    store.start_with("f", "[]", into(&queue)).await.must();
    store.start("g").await;
    store.start_with("g", "[]", into(&format!("{queue}-2"))).await.must();
    assert_eq!(functions(&store.claim("w", 9).await), ["g", "g"]);
    store.sweep().await;
    assert_eq!(other.claim("v", 9).await, []);
    other.backend.unpause(of_queue(&queue)).await.must();
    // A store may know for a moment, from its sweep, that there is nothing, until it hears of the other's commit.
    let start = Instant::now();
    let taken = loop {
        let taken = store.claim("w", 9).await;
        if !taken.is_empty() {
            break taken;
        }
        assert!(start.elapsed() < SOON, "nothing is claimed after the pause");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(functions(&taken), ["f", "f"]);
}

async fn a_paused_function_waits(store: Store) {
    let queue = queue();
    store.worker("w", &["f", "g"]).await;
    if !pause(&store, of_function("f")).await {
        return;
    }
    store.start("f").await;
    store.start_with("f", "[]", into(&queue)).await.must();
    store.start_with("g", "[]", into(&queue)).await.must();
    assert_eq!(functions(&store.claim("w", 9).await), ["g"]);
    store.backend.unpause(of_function("f")).await.must();
    assert_eq!(functions(&store.claim("w", 9).await), ["f", "f"]);
}

async fn a_limited_function_waits(store: Store) {
    let limited = FunctionOptions { max_concurrent: Some(2), ..FunctionOptions::default() };
    store.worker_with("w", vec![("f", limited)]).await;
    if !pause(&store, of_function("f")).await {
        return;
    }
    store.start("f").await;
    store.idle().await;
    store.backend.unpause(of_function("f")).await.must();
    store.take().await;
}

async fn what_is_held_goes_on_and_what_it_calls_waits(store: Store) {
    store.worker("w", &["root", "child", "free"]).await;
    let root = store.root("root").await;
    if !pause(&store, of_function("child")).await || !pause(&store, of_function("root")).await {
        return;
    }
    // It records, is renewed, and suspends.
    store.hold(&root, spawns([call(&root, 1, "child")])).await;
    let renew = stent::backend::Renew { worker_id: "w".to_owned(), held: vec![held(&root)], lease: LEASE };
    assert_eq!(store.backend.renew(renew).await.must(), stent::backend::Renewed::default());
    store.suspend(&root, spawns([call(&root, 2, "free")]), WaitMode::All, &[2], 0).await;
    let free = store.take().await;
    assert_eq!(free.task.step_name, "free");
    store.complete(&free, "1").await;
    // It has what it waits for, and is of a paused function.
    store.idle().await;
    store.backend.unpause(of_function("root")).await.must();
    let again = store.take().await;
    assert_eq!(again.task.id, root.task.id);
    store.idle().await;
    store.complete(&again, "1").await;
}

/// Of a task that `w` has suspended, while there is another worker.
async fn suspended_by_w(store: &Store) -> Claimed {
    store.worker("w", &["root"]).await;
    store.worker("v", &["root"]).await;
    let root = store.root("root").await;
    store.suspend(&root, spawns([wait_for(&root, 1, "go", None)]), WaitMode::All, &[1], 0).await;
    root
}

async fn what_its_own_worker_would_resume_waits(store: Store) {
    let root = suspended_by_w(&store).await;
    store.send(root.task.execution_id, "go", "1").await;
    if !pause(&store, of_function("root")).await {
        return;
    }
    store.idle().await;
    assert_eq!(store.claim("v", 9).await, []);
    store.backend.unpause(of_function("root")).await.must();
    assert_eq!(store.take_as("v").await.task.id, root.task.id);
}

async fn what_is_woken_in_a_pause_waits(store: Store) {
    let root = suspended_by_w(&store).await;
    if !pause(&store, of_function("root")).await {
        return;
    }
    store.send(root.task.execution_id, "go", "1").await;
    store.idle().await;
    assert_eq!(store.claim("v", 9).await, []);
    store.backend.unpause(of_function("root")).await.must();
    assert_eq!(store.take().await.task.id, root.task.id);
}

async fn a_parked_task_that_is_freed_waits(store: Store) {
    let version = |version: &str| FunctionOptions { version: Some(version.to_owned()), ..tries(1) };
    store.worker_with("w", vec![("root", version("1"))]).await;
    let root = store.root("root").await;
    store.record(&root, Commands::default(), parked(Some("1"))).await;
    if !pause(&store, of_function("root")).await {
        return;
    }
    store.worker_with("v", vec![("root", version("2"))]).await;
    store.backend.sweep("v").await.must();
    assert_eq!(store.state(root.task.id).await, TaskState::Pending);
    assert_eq!(store.claim("v", 9).await, []);
    store.backend.unpause(of_function("root")).await.must();
    assert_eq!(store.take_as("v").await.task.id, root.task.id);
}

/// The queue is paused before anything was ever in it.
async fn a_route_that_is_new_waits(store: Store) {
    let queue = queue();
    store.worker("w", &["f", "root"]).await;
    if !pause(&store, of_queue(&queue)).await {
        return;
    }
    let root = store.root("root").await;
    let options = CallOptions { task: into(&queue).task, ..CallOptions::default() };
    store.suspend(&root, spawns([call_with(&root, 1, "f", "[]", options)]), WaitMode::All, &[1], 0).await;
    store.start_with("root", "[]", into(&queue)).await.must();
    store.idle().await;
    store.backend.unpause(of_queue(&queue)).await.must();
    assert_eq!(store.claim("w", 9).await.len(), 2);
}

async fn the_protocols_claim_is_held_back_too(store: Store) {
    let queue = queue();
    let next = async |queues: Option<Vec<String>>| {
        let claim = Request::ClaimNextTask {
            worker_id: "w".to_owned(),
            queues,
            tags: None,
            now: None,
            lease_duration: 600.0,
            concurrency_limits: std::collections::BTreeMap::default(),
        };
        match store.backend.call(claim).await.must() {
            Response::Task(task) => task.map(|task| task.step_name),
            other => panic!("{other:?}"),
        }
    };
    store.worker("w", &["f"]).await;
    store.start_with("f", "[]", into(&queue)).await.must();
    if !pause(&store, of_queue(&queue)).await {
        return;
    }
    assert_eq!(next(Some(vec![queue.clone()])).await, None);
    store.backend.unpause(of_queue(&queue)).await.must();
    assert_eq!(next(Some(vec![queue.clone()])).await.as_deref(), Some("f"));
}

async fn it_is_told_who_pauses_and_why(store: Store) {
    let queue = queue();
    store.worker("w", &["f"]).await;
    store.start_with("f", "[]", into(&queue)).await.must();
    let held = store.take().await;
    let mut new =
        NewPause { what: of_queue(&queue), reason: Some("the disk is full".to_owned()), by: Some("ann".to_owned()) };
    match store.backend.pause(new.clone()).await {
        Err(why) if why.status() == Status::Unsupported => return,
        paused => paused.must(),
    }
    let found = only(store.backend.pauses().await.must());
    assert_eq!((found.queue.as_deref(), found.function.as_deref(), found.running), (Some(queue.as_str()), None, 1));
    assert_eq!((found.reason.as_deref(), found.by.as_deref()), (Some("the disk is full"), Some("ann")));
    // Again: the reason is another, the beginning stays.
    (new.reason, new.by) = (Some("it is still full".to_owned()), None);
    store.backend.pause(new).await.must();
    store.complete(&held, "1").await;
    let again = only(store.backend.pauses().await.must());
    assert_eq!((again.since, again.running, again.by), (found.since, 0, None));
    assert_eq!(again.reason.as_deref(), Some("it is still full"));
    pause(&store, of_function("f")).await;
    let both = store.backend.pauses().await.must();
    assert_eq!(both.iter().map(|one| one.function.as_deref()).collect::<Vec<_>>(), [None, Some("f")]);
    store.backend.unpause(of_queue(&queue)).await.must();
    store.backend.unpause(of_function("f")).await.must();
    assert_eq!(store.backend.pauses().await.must(), []);
    is_status(store.backend.unpause(of_queue(&queue)).await, Status::NotFound, "is not paused");
}

/// Workers claim and end as fast as they can while it is paused: nothing is claimed after that.
async fn a_pause_holds_when_it_has_returned(store: Store) {
    let queue = queue();
    let other = store.another().await;
    let over = Flag::default();
    let mut workers = Vec::new();
    for number in 0..4 {
        let store = if number % 2 == 0 { store.clone() } else { other.clone() };
        let worker = format!("w{number}");
        store.worker(&worker, &["f"]).await;
        let over: Arc<AtomicBool> = over.shared();
        workers.push(beside(async move {
            while !over.load(SeqCst) {
                for one in store.claim(&worker, 2).await {
                    store.release(&one).await;
                }
            }
        }));
    }
    for _ in 0..20 {
        store.start_with("f", "[]", into(&queue)).await.must();
    }
    for _ in 0..10 {
        let fences = async || {
            let filter = stent::backend::ExecutionFilter { limit: 100, ..Default::default() };
            let mut fences = Vec::new();
            for execution in store.backend.list(filter).await.must() {
                fences.push((execution.id, store.task(root_of(execution.id)).await.fence));
            }
            fences
        };
        let before = fences().await;
        let start = Instant::now();
        while fences().await == before {
            assert!(start.elapsed() < SOON, "nobody claims");
        }
        if !pause(&store, of_queue(&queue)).await {
            break;
        }
        let paused = fences().await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(fences().await, paused, "claimed in a pause");
        store.backend.unpause(of_queue(&queue)).await.must();
    }
    over.raise();
    for worker in workers {
        worker.await.must();
    }
}

async fn an_end_of_a_pause_is_told(store: Store) {
    store.worker("w", &["f"]).await;
    if !pause(&store, of_function("f")).await {
        return;
    }
    store.start("f").await;
    let mut notices = store.backend.notices();
    store.backend.unpause(of_function("f")).await.must();
    let heard = async {
        loop {
            if matches!(notices.recv().await.must(), Notice::Work { .. } | Notice::Foreign) {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, heard).await.must();
    store.take().await;
}
