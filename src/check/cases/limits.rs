//! `max_concurrent` is exact, across all workers, counted from live leases.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use stent::backend::{Claim, Claimed, Commands};
use stent::model::{DispatchOptions, FunctionOptions, TaskOptions, WaitMode};

use super::house::*;

cases! {
    no_more_than_the_limit_are_held,
    the_limit_holds_across_stores_and_workers,
    what_waits_does_not_count,
    a_dead_worker_frees_its_share,
    others_do_not_wait_for_a_limited_function,
    limited_functions_are_not_prefetched,
    what_runs_already_counts_when_a_limit_comes,
    what_waits_for_one_worker_is_limited_too,
    a_parked_task_is_limited_when_it_goes_on,
    the_best_begin_first_whatever_their_function,
}

fn at_most(max: u32) -> FunctionOptions {
    FunctionOptions { max_concurrent: Some(max), ..FunctionOptions::default() }
}

async fn many(store: &Store, function: &str, count: usize) {
    let executions = (0..count).map(|_| new_execution(function, "[]", DispatchOptions::default())).collect();
    store.backend.dispatch(executions).await.must();
}

async fn no_more_than_the_limit_are_held(store: Store) {
    store.worker_with("w", vec![("f", at_most(2))]).await;
    many(&store, "f", 5).await;
    let taken = store.claim("w", 9).await;
    assert_eq!(taken.len(), 2);
    store.idle().await;
    store.complete(&taken[0], "1").await;
    let third = store.take().await;
    store.idle().await;
    store.release(&third).await;
    store.fail(&taken[1]).await;
    assert_eq!(store.claim("w", 9).await.len(), 2);
}

async fn the_limit_holds_across_stores_and_workers(store: Store) {
    const LIMIT: i64 = 3;
    const TASKS: usize = 60;
    let other = store.another().await;
    store.worker_with("w", vec![("f", at_most(LIMIT as u32))]).await;
    many(&store, "f", TASKS).await;
    let (running, done) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut workers = Vec::new();
    for number in 0..4 {
        let store = if number % 2 == 0 { store.clone() } else { other.clone() };
        let worker = format!("w{number}");
        store.worker_with(&worker, vec![("f", at_most(LIMIT as u32))]).await;
        let (running, done) = (Arc::clone(&running), Arc::clone(&done));
        workers.push(beside(async move {
            while done.load(SeqCst) < TASKS {
                let taken = store.claim(&worker, 10).await;
                let now = running.fetch_add(taken.len() as i64, SeqCst) + taken.len() as i64;
                assert!(now <= LIMIT, "{now} at once");
                if taken.is_empty() {
                    tokio::time::sleep(Duration::from_micros(300)).await;
                }
                for one in &taken {
                    tokio::task::yield_now().await;
                    // Before the commit: another may take its place as soon as it is there.
                    running.fetch_sub(1, SeqCst);
                    store.complete(one, "1").await;
                    done.fetch_add(1, SeqCst);
                }
            }
        }));
    }
    for worker in workers {
        worker.await.must();
    }
    assert_eq!(done.load(SeqCst), TASKS);
}

async fn what_waits_does_not_count(store: Store) {
    store.worker_with("w", vec![("f", at_most(1))]).await;
    many(&store, "f", 2).await;
    let first = store.take().await;
    store.suspend(&first, spawns([timer(&first, 1, HOUR)]), WaitMode::All, &[1], 0).await;
    let second = store.take().await;
    assert_ne!(second.task.id, first.task.id);
}

async fn a_dead_worker_frees_its_share(store: Store) {
    store.worker_with("w", vec![("f", at_most(1))]).await;
    many(&store, "f", 2).await;
    let dead = only(store.claim_with(claim("w", 9, DYING)).await);
    // The lease is over, swept or not.
    let start = std::time::Instant::now();
    let next = loop {
        let taken = store.claim("w", 9).await;
        if !taken.is_empty() {
            break only(taken);
        }
        assert!(start.elapsed() < SOON);
    };
    assert_ne!(next.task.id, dead.task.id);
}

async fn others_do_not_wait_for_a_limited_function(store: Store) {
    store.worker_with("w", vec![("f", at_most(1)), ("g", FunctionOptions::default()), ("h", at_most(1))]).await;
    many(&store, "f", 5).await;
    many(&store, "g", 2).await;
    many(&store, "h", 2).await;
    let mut taken: Vec<String> = store.claim("w", 9).await.into_iter().map(|claimed| claimed.task.step_name).collect();
    taken.sort_unstable();
    assert_eq!(taken, ["f", "g", "g", "h"]);
}

async fn limited_functions_are_not_prefetched(store: Store) {
    store.worker_with("w", vec![("f", at_most(5)), ("g", FunctionOptions::default())]).await;
    many(&store, "f", 5).await;
    many(&store, "g", 5).await;
    let asked = Claim { limited: 2, ..claim("w", 4, LEASE) };
    let taken = store.claim_with(asked).await;
    let of = |name: &str| taken.iter().filter(|claimed| claimed.task.step_name == name).count();
    assert_eq!((of("f"), of("g")), (2, 4));
    let none = Claim { limited: 0, ..claim("w", 4, LEASE) };
    assert!(store.claim_with(none).await.iter().all(|claimed| claimed.task.step_name == "g"));
}

async fn what_runs_already_counts_when_a_limit_comes(store: Store) {
    store.worker("w", &["f"]).await;
    many(&store, "f", 4).await;
    let running = store.claim("w", 2).await;
    store.worker_with("w", vec![("f", at_most(2))]).await;
    store.idle().await;
    store.complete(&running[0], "1").await;
    store.take().await;
    store.idle().await;
}

async fn what_waits_for_one_worker_is_limited_too(store: Store) {
    store.worker("w", &["f", "child"]).await;
    many(&store, "f", 2).await;
    let both = store.claim("w", 2).await;
    for one in &both {
        store.suspend(one, spawns([wait_for(one, 1, "go", None)]), WaitMode::All, &[1], 0).await;
        // From now on it may be taken, by the worker that suspended it first.
        store.send(one.task.execution_id, "go", "1").await;
    }
    store.worker_with("w", vec![("f", at_most(1))]).await;
    let one: Claimed = store.take().await;
    store.idle().await;
    // Suspended and woken under the limit it is limited as well.
    store.suspend(&one, spawns([step(&one, 2, Ok("2"))]), WaitMode::All, &[2], 1).await;
    let again = store.take().await;
    store.idle().await;
    store.complete(&again, "1").await;
    store.take().await;
}

async fn a_parked_task_is_limited_when_it_goes_on(store: Store) {
    let version = |version: &str| FunctionOptions { version: Some(version.to_owned()), ..at_most(1) };
    store.worker_with("w", vec![("f", version("1"))]).await;
    many(&store, "f", 2).await;
    for _ in 0..2 {
        let taken = store.take().await;
        store.record(&taken, Commands::default(), parked(Some("1"))).await;
    }
    store.idle().await;
    store.worker_with("w", vec![("f", version("2"))]).await;
    store.sweep().await;
    let one = store.take().await;
    store.idle().await;
    store.complete(&one, "1").await;
    store.take().await;
}

async fn the_best_begin_first_whatever_their_function(store: Store) {
    let free = FunctionOptions::default;
    store.worker_with("w", vec![("a", at_most(2)), ("b", at_most(1)), ("c", free())]).await;
    let start = async |function: &str, priority| {
        let task = TaskOptions { priority: Some(priority), ..TaskOptions::default() };
        store.start_with(function, "[]", DispatchOptions { task, ..DispatchOptions::default() }).await.must()
    };
    start("a", 1).await;
    start("b", 9).await;
    start("b", 8).await;
    start("c", 5).await;
    start("a", 7).await;
    let mut begun = Vec::new();
    for _ in 0..4 {
        // One slot is free. What has no limit may wait at the worker, if there are better ones.
        let taken = store.claim("w", 1).await;
        let first = taken.iter().find(|claimed| claimed.begun.is_some()).must();
        begun.push((first.task.step_name.clone(), first.task.priority));
        for claimed in &taken {
            if claimed.task.id == first.task.id && begun.len() != 1 {
                store.complete(claimed, "1").await;
            } else if claimed.task.id != first.task.id {
                store.release(claimed).await;
            }
        }
    }
    // The second of `b` is over the limit as long as the first one runs.
    let expected = [("b", 9), ("a", 7), ("c", 5), ("a", 1)].map(|(function, priority)| (function.to_owned(), priority));
    assert_eq!(begun, expected);
}
