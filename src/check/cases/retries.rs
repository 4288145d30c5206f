//! A failed attempt is tried again with its journal; failed children are opened again when that is asked for.

use std::time::Duration;

use stent::backend::{Claimed, Commands, Outcome};
use stent::model::{FunctionOptions, TaskState, WaitMode};

use super::house::*;

cases! {
    a_retry_counts_and_keeps_the_journal,
    a_retry_waits_for_its_delay,
    failed_children_are_opened_again,
    a_failed_path_is_opened_to_its_end,
    what_was_cancelled_below_an_opened_child_is_made_anew,
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
    assert_eq!(text(again.heartbeat.as_ref().must()), "7");
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
    store.until("the delay is over", async |store| store.backend.stats().await.must().scheduled == 1).await;
    let taken = store.take().await;
    assert_eq!(taken.task.id, soon.task.id);
    assert!(taken.claimed_at >= taken.task.scheduled_for.must());
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

fn reopened() -> Outcome {
    Outcome::Retry { failure: failure(), delay: Duration::ZERO, reopen: true }
}

/// A child that fails because of its own child: both run again, or the retry would be in vain.
async fn a_failed_path_is_opened_to_its_end(store: Store) {
    let (root, child) = parent_and_child(&store).await;
    store
        .suspend(&child, spawns([call(&child, 1, "below"), call(&child, 2, "below")]), WaitMode::All, &[1, 2], 0)
        .await;
    let below = store.claim("w", 9).await;
    store.complete(&below[0], "1").await;
    store.fail(&below[1]).await;
    for _ in ["child", "root"] {
        let up = store.take().await;
        if up.task.id == root.task.id {
            store.record(&up, Commands::default(), reopened()).await;
        } else {
            store.record(&up, Commands::default(), Outcome::PassUp { failure: failure() }).await;
        }
    }
    assert!(store.letters().await.is_empty());
    let mut again = store.claim("w", 9).await;
    again.sort_by_key(|claimed| claimed.task.step_name.clone());
    let names: Vec<&str> = again.iter().map(|claimed| claimed.task.step_name.as_str()).collect();
    assert_eq!(names, ["below", "child", "root"]);
    assert_eq!(again[0].task.id, below[1].task.id);
    // Each knows where: what it issued after that may not be asked for again.
    assert_eq!(again.iter().map(|claimed| claimed.opened).collect::<Vec<_>>(), [None, Some(2), Some(1)]);
    store.suspend(&again[2], Commands::default(), WaitMode::All, &[1], 0).await;
    store.suspend(&again[1], Commands::default(), WaitMode::All, &[2], 1).await;
    store.complete(&again[0], "2").await;
    let child = store.take().await;
    let states: Vec<TaskState> = store.journal(child.task.id).await.iter().map(|entry| entry.state).collect();
    assert_eq!(states, [TaskState::Completed, TaskState::Completed]);
    store.complete(&child, "3").await;
    assert_eq!(store.take().await.task.id, root.task.id);
}

async fn parent_and_child(store: &Store) -> (Claimed, Claimed) {
    store.worker("w", &["root", "child", "below"]).await;
    store.waiting_parent().await
}

async fn what_was_cancelled_below_an_opened_child_is_made_anew(store: Store) {
    // Few, and more than one transaction cancels.
    for count in [2, 1500] {
        let (root, child) = parent_and_child(&store).await;
        let many = |child: &Claimed| spawns((1..=count).map(|op| call(child, op, "below")));
        store.hold(&child, many(&child)).await;
        let running = only(store.claim("w", 1).await);
        store.hold(&running, spawns([timer(&running, 1, HOUR)])).await;
        // With all of these unfinished it fails, and they are cancelled.
        store.fail(&child).await;
        let again = only(store.claim("w", 1).await);
        assert_eq!(again.task.id, root.task.id);
        store.record(&again, Commands::default(), reopened()).await;
        store.sweep().await;
        let mut both = store.claim("w", 9).await;
        both.sort_by_key(|claimed| claimed.task.step_name.clone());
        let [child, root] = both.as_slice() else { panic!("{both:#?}") };
        assert_eq!(store.journal(child.task.id).await, []);
        // It asks for them again, and they run.
        let ops: Vec<u32> = (1..=count).collect();
        store.suspend(child, many(child), WaitMode::All, &ops, 0).await;
        store.sweep().await;
        let below = store.claim("w", 9 + count as usize).await;
        assert_eq!(below.len(), count as usize);
        let ends = below.iter().map(|one| saying(one, Commands::default(), completed("1"))).collect();
        assert!(store.say_all(ends).await.iter().all(is_recorded));
        assert_eq!(store.take().await.task.id, child.task.id);
        store.complete(root, "1").await;
    }
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
