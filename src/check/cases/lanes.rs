//! Who resumes: first the worker that suspended the task, for a moment; then anyone.

use std::time::{Duration, Instant};

use stent::backend::{Claimed, Commands};
use stent::model::WaitMode;

use super::house::*;

cases! {
    the_worker_that_suspended_it_has_first_call,
    after_a_while_it_is_anyones,
    alone_it_needs_no_first_call,
    when_the_worker_is_gone_it_is_anyones,
    when_the_worker_is_dead_it_is_anyones,
    a_lane_is_not_taken_over_by_a_namesake,
    whoever_resumes_has_a_new_fence,
}

/// A task that `w` has suspended, and that is woken.
async fn woken(store: &Store) -> Claimed {
    store.worker("w", &["root"]).await;
    store.worker("v", &["root"]).await;
    let root = store.root("root").await;
    store.suspend(&root, spawns([wait_for(&root, 1, "go", None)]), WaitMode::All, &[1], 0).await;
    store.send(root.task.execution_id, "go", "1").await;
    root
}

async fn the_worker_that_suspended_it_has_first_call(store: Store) {
    let root = woken(&store).await;
    assert_eq!(store.claim("v", 9).await, []);
    assert_eq!(store.take().await.task.id, root.task.id);
}

async fn after_a_while_it_is_anyones(store: Store) {
    let root = woken(&store).await;
    let start = Instant::now();
    let taken = loop {
        let begun = start.elapsed();
        store.sweep().await;
        let taken = store.claim("v", 9).await;
        if !taken.is_empty() {
            break only(taken);
        }
        // Nobody knows whether that worker lives. If it does not, nothing is late for it.
        assert!(begun < Duration::from_millis(1500), "it is not over after {begun:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(taken.task.id, root.task.id);
    store.idle().await;
}

async fn alone_it_needs_no_first_call(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    store.suspend(&root, spawns([wait_for(&root, 1, "go", None)]), WaitMode::All, &[1], 0).await;
    store.send(root.task.execution_id, "go", "1").await;
    store.worker("v", &["root"]).await;
    assert_eq!(store.take_as("v").await.task.id, root.task.id);
}

async fn when_the_worker_is_gone_it_is_anyones(store: Store) {
    let root = woken(&store).await;
    store.backend.remove_worker("w").await.must();
    assert_eq!(store.take_as("v").await.task.id, root.task.id);
    // Unknown is no error.
    store.backend.remove_worker("w").await.must();
    store.backend.remove_worker("nobody").await.must();
}

async fn when_the_worker_is_dead_it_is_anyones(store: Store) {
    let root = woken(&store).await;
    let before = store.take().await;
    store.suspend(&before, spawns([wait_for(&before, 2, "go", None)]), WaitMode::All, &[2], 1).await;
    // It lets a lease end without a word.
    store.start("root").await;
    store.die().await;
    store.send(root.task.execution_id, "go", "2").await;
    assert_eq!(store.claim("v", 9).await.len(), 2);
}

async fn a_lane_is_not_taken_over_by_a_namesake(store: Store) {
    let root = woken(&store).await;
    store.backend.remove_worker("w").await.must();
    store.worker("w", &["other"]).await;
    store.idle().await;
    assert_eq!(store.take_as("v").await.task.id, root.task.id);
}

async fn whoever_resumes_has_a_new_fence(store: Store) {
    let root = woken(&store).await;
    let again = store.take().await;
    assert!(again.task.fence > root.task.fence);
    let late = store.say(&root, counting(1), completed("1")).await;
    assert_eq!(late, stent::backend::Verdict::LeaseLost);
    store.record(&again, Commands::default(), completed("1")).await;
}
