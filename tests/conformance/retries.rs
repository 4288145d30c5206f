//! A failed attempt is tried again with its journal; failed children are opened again when that is asked for.

use std::time::Duration;

use stent::backend::{Commands, Outcome};
use stent::model::{FunctionOptions, TaskState};

use crate::house::*;

cases! {
    a_retry_counts_and_keeps_the_journal,
    a_retry_waits_for_its_delay,
    failed_children_are_opened_again,
    without_being_asked_they_stay_failed,
    a_failure_passed_up_makes_no_letter,
}

async fn a_retry_counts_and_keeps_the_journal(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let commands = Commands { spawns: vec![step(&root, 1, Ok("1"))], heartbeat: Some("7".into()), ..counting(1) };
    store.record(&root, commands, retry(Duration::ZERO)).await;
    let again = store.take().await;
    assert_eq!((again.task.id, again.task.retries), (root.task.id, 1));
    assert_eq!((again.ops, again.effects, again.run), (1, 1, 0));
    assert_eq!(text(again.heartbeat.as_ref().unwrap()), "7");
    assert_eq!(again.task.error, Some(failure()));
    assert_eq!(only(store.journal(root.task.id).await).arrival, Some(1));
    store.record(&again, Commands::default(), retry(Duration::ZERO)).await;
    assert_eq!(store.take().await.task.retries, 2);
}

async fn a_retry_waits_for_its_delay(store: Store) {
    store.worker("w", &["root"]).await;
    let (soon, late) = (store.root("root").await, store.root("root").await);
    store.record(&late, Commands::default(), retry(HOUR)).await;
    store.record(&soon, Commands::default(), retry(Duration::from_millis(20))).await;
    store.until("the delay is over", async |store| store.backend.stats().await.unwrap().scheduled == 1).await;
    let taken = store.take().await;
    assert_eq!(taken.task.id, soon.task.id);
    assert!(taken.claimed_at >= taken.task.scheduled_for.unwrap());
    assert_eq!(store.state(late.task.id).await, TaskState::Pending);
}

async fn failed_children_are_opened_again(store: Store) {
    store.worker_with("w", vec![("root", FunctionOptions::default()), ("child", tries(1))]).await;
    let root = store.root("root").await;
    let commands = spawns([
        call(&root, 1, "child"),
        call(&root, 2, "child"),
        step(&root, 3, Err(failure())),
        step(&root, 4, Ok("4")),
        wait_for(&root, 5, "never", Some(Duration::from_micros(1))),
    ]);
    store.hold(&root, commands).await;
    let children = store.claim("w", 9).await;
    store.fail(&children[0]).await;
    store.complete(&children[1], "2").await;
    store.until("the wait has timed out", async |store| store.journal(root.task.id).await[4].arrival.is_some()).await;
    assert_eq!(store.letters().await.len(), 1);

    let reopen = Outcome::Retry { failure: failure(), delay: HOUR, reopen: true };
    store.record(&root, Commands::default(), reopen).await;
    assert!(store.letters().await.is_empty());
    let journal = store.journal(root.task.id).await;
    let standing: Vec<_> = journal.iter().map(|entry| (entry.op, entry.state, entry.arrival)).collect();
    // What succeeded stays; the failed child runs again in its place; failed steps and waits are made anew.
    assert_eq!(standing.len(), 3);
    assert_eq!(standing[0], (1, TaskState::Pending, None));
    assert_eq!((standing[1].0, standing[1].1), (2, TaskState::Completed));
    assert_eq!((standing[2].0, standing[2].1), (4, TaskState::Completed));
    let child = store.take().await;
    assert_eq!((child.task.id, child.task.retries), (children[0].task.id, 0));
    assert!(child.task.fence > children[0].task.fence);
    store.complete(&child, "1").await;
    let latest = store.journal(root.task.id).await.iter().filter_map(|entry| entry.arrival).max();
    assert_eq!(store.journal(root.task.id).await[0].arrival, latest);
}

async fn without_being_asked_they_stay_failed(store: Store) {
    store.worker_with("w", vec![("root", FunctionOptions::default()), ("child", tries(1))]).await;
    let (_, child) = store.waiting_parent().await;
    store.fail(&child).await;
    let root = store.take().await;
    store.record(&root, Commands::default(), retry(Duration::ZERO)).await;
    assert_eq!(store.take().await.task.id, root.task.id);
    assert_eq!(only(store.journal(root.task.id).await).state, TaskState::Failed);
    assert_eq!(store.letters().await.len(), 1);
}

async fn a_failure_passed_up_makes_no_letter(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let (root, child) = store.waiting_parent().await;
    store.fail(&child).await;
    let again = store.take().await;
    store.record(&again, Commands::default(), Outcome::PassUp { failure: failure() }).await;
    assert_eq!(only(store.letters().await).task.id, child.task.id);
    let root = store.task(root.task.id).await;
    assert_eq!((root.state, root.error), (TaskState::Failed, Some(failure())));
}
