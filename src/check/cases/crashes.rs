//! Crashing is an attempt; a drain is none.

use std::time::Duration;

use stent::backend::{Claimed, Commands};
use stent::model::{ExecutionState, FunctionOptions, TaskState, WaitMode};

use super::house::*;

cases! {
    a_task_comes_back_when_its_lease_ends,
    a_task_that_kills_its_workers_is_dead_lettered,
    what_is_recorded_begins_the_count_anew,
    what_an_attempt_says_does_not_make_up_for_its_death,
    a_release_charges_nothing,
    a_renewed_lease_does_not_end,
    a_childs_death_is_its_parents_news,
    a_live_task_is_not_rescued,
}

async fn a_task_comes_back_when_its_lease_ends(store: Store) {
    store.worker("w", &["root"]).await;
    store.start("root").await;
    let dead = store.die().await;
    let again = store.take().await;
    assert_eq!(again.task.id, dead.task.id);
    assert_eq!((again.crashes, again.task.retries), (1, 0));
    assert!(again.task.fence > dead.task.fence);
    assert!(again.task.error.as_ref().is_some_and(|error| error.kind == "WorkerDied"));
    store.complete(&again, "1").await;
    assert!(store.letters().await.is_empty());
}

async fn a_task_that_kills_its_workers_is_dead_lettered(store: Store) {
    store.worker_with("w", vec![("root", tries(3))]).await;
    let execution = store.start("root").await;
    for crashes in 0..3 {
        assert_eq!(store.die().await.crashes, crashes);
    }
    store.idle().await;
    let letter = only(store.letters().await);
    assert!(letter.reason.contains("died 3 times in a row"), "{}", letter.reason);
    let execution = store.execution(execution).await;
    assert_eq!((execution.state, execution.error.must().kind.as_str()), (ExecutionState::Failed, "WorkerDied"));
}

async fn what_is_recorded_begins_the_count_anew(store: Store) {
    store.worker_with("w", vec![("root", tries(2)), ("child", FunctionOptions::default())]).await;
    let execution = store.start("root").await;
    let mut op = 0;
    type News = fn(&Claimed, u32) -> Commands;
    let news: [(&str, News); 3] = [
        ("a step", |root, op| spawns([step(root, op, Ok("1"))])),
        ("a counter", |_, _| counting(1)),
        ("a call", |root, op| spawns([call(root, op, "nobody")])),
    ];
    for (what, news) in news {
        store.die().await;
        let again = only(store.claim_with(claim("w", 10, Duration::from_millis(50))).await);
        assert_eq!(again.crashes, 1, "before {what}");
        op += 1;
        // This worker had something to say before it died too.
        store.hold(&again, news(&again, op)).await;
        store.until_task(again.task.id, TaskState::Pending).await;
        store.is(execution, ExecutionState::Running).await;
        let again = store.take().await;
        assert_eq!(again.crashes, 1, "after {what}");
        store.hold(&again, counting(1)).await;
        store.release(&again).await;
    }
    store.die().await;
    store.die().await;
    store.is(execution, ExecutionState::Failed).await;
}

/// Each attempt says it again, so it would never end.
async fn what_an_attempt_says_does_not_make_up_for_its_death(store: Store) {
    store.worker_with("w", vec![("root", tries(2))]).await;
    let execution = store.start("root").await;
    for (crashes, then) in [(0, TaskState::Pending), (1, TaskState::Failed)] {
        let root = only(store.claim_with(claim("w", 10, Duration::from_millis(50))).await);
        assert_eq!((root.crashes, root.effects), (crashes, 0));
        store.hold(&root, counting(1)).await;
        store.until_task(root.task.id, then).await;
    }
    store.is(execution, ExecutionState::Failed).await;
}

async fn a_release_charges_nothing(store: Store) {
    store.worker_with("w", vec![("root", tries(1))]).await;
    store.start("root").await;
    for _ in 0..5 {
        let taken = store.take().await;
        assert_eq!((taken.task.retries, taken.crashes), (0, 0));
        store.release(&taken).await;
    }
    let taken = store.take().await;
    assert_eq!(taken.task.error, None);
    store.complete(&taken, "1").await;
}

async fn a_renewed_lease_does_not_end(store: Store) {
    store.worker("w", &["root"]).await;
    store.start("root").await;
    let root = only(store.claim_with(claim("w", 1, Duration::from_secs(2))).await);
    let renew = stent::backend::Renew { worker_id: "w".into(), held: vec![held(&root)], lease: LEASE };
    assert_eq!(store.backend.renew(renew).await.must(), Default::default());
    let due = store.backend.sweep("w").await.must().next_due.must();
    assert!(due > LEASE / 2);
    store.complete(&root, "1").await;
}

async fn a_childs_death_is_its_parents_news(store: Store) {
    store.worker_with("w", vec![("root", FunctionOptions::default()), ("child", tries(1))]).await;
    let root = store.root("root").await;
    store.suspend(&root, spawns([call(&root, 1, "child")]), WaitMode::All, &[1], 0).await;
    store.die().await;
    let root = store.take().await;
    let entry = only(store.journal(root.task.id).await);
    assert_eq!((entry.state, entry.error.must().kind.as_str()), (TaskState::Failed, "WorkerDied"));
    assert_eq!(root.crashes, 0);
}

async fn a_live_task_is_not_rescued(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let other = store.another().await;
    other.worker("other", &["root"]).await;
    assert_eq!(other.backend.sweep("other").await.must().changed, 0);
    assert_eq!(other.claim("other", 9).await, []);
    store.complete(&root, "1").await;
}
