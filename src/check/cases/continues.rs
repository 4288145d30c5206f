//! A task that continues: the same execution with new arguments, an empty journal, and the signals that it has not
//! seen.

use stent::backend::{Claimed, Commands, Outcome, Verdict};
use stent::model::{ExecutionState, TaskState, WaitMode};

use super::house::*;

cases! {
    it_starts_over_with_an_empty_journal,
    children_of_the_old_run_can_record_nothing,
    signals_that_were_not_seen_are_there_again,
    a_large_old_run_does_no_harm_to_the_new_one,
    the_new_runs_children_are_others,
}

async fn go_on(store: &Store, root: &Claimed, args: &str, seen: u64) -> Claimed {
    store.record(root, Commands::default(), Outcome::Continue { args: args.into(), seen }).await;
    store.take().await
}

async fn it_starts_over_with_an_empty_journal(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    let commands = Commands { spawns: vec![step(&root, 1, Ok("1")), timer(&root, 2, HOUR)], ..counting(1) };
    store.hold(&root, commands).await;
    let again = go_on(&store, &root, "[2]", 1).await;
    assert_eq!((again.task.id, again.run, again.ops, again.effects), (root.task.id, 1, 0, 0));
    assert_eq!(text(&again.task.args), "[2]");
    assert!(again.task.fence > root.task.fence);
    assert_eq!(store.journal(again.task.id).await, []);
    // Arrivals are counted from the beginning, and the timer is gone.
    assert_eq!(store.hold(&again, spawns([step(&again, 1, Ok("1"))])).await, (vec![(1, 1)], 1));
    assert!(store.backend.sweep("w").await.must().next_due.must() <= LEASE);
    store.complete(&again, "2").await;
    let execution = store.execution(again.task.execution_id).await;
    assert_eq!((execution.state, text(&execution.args)), (ExecutionState::Completed, "[]"));
}

async fn children_of_the_old_run_can_record_nothing(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    store.hold(&root, spawns([call(&root, 1, "child"), call(&root, 2, "child")])).await;
    let child = only(store.claim("w", 1).await);
    store.hold(&child, spawns([timer(&child, 1, HOUR)])).await;
    let again = go_on(&store, &root, "[2]", 0).await;
    for outcome in [Outcome::Hold, completed("1"), dead("late"), Outcome::Release] {
        assert_eq!(store.say(&child, everything(&child), outcome).await, Verdict::LeaseLost);
    }
    assert_eq!(store.journal(again.task.id).await, []);
    assert!(store.letters().await.is_empty() && store.counters(again.task.execution_id).await.is_empty());
    store.idle().await;
    assert_eq!(store.tasks(again.task.execution_id).await.len(), 1);
}

async fn signals_that_were_not_seen_are_there_again(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let execution = root.task.execution_id;
    let waits = (1..=3).map(|op| wait_for(&root, op, "go", None));
    store.hold(&root, spawns(waits)).await;
    for payload in ["1", "2"] {
        store.send(execution, "go", payload).await;
    }
    // The handler was given the first, and neither the second nor the third.
    let again = go_on(&store, &root, "[2]", 1).await;
    store.send(execution, "go", "3").await;
    let waits = (1..=3).map(|op| wait_for(&again, op, "go", None));
    store.suspend(&again, spawns(waits), WaitMode::All, &[1, 2], 0).await;
    let again = store.take().await;
    let journal = store.journal(again.task.id).await;
    let taken: Vec<&str> = journal.iter().filter_map(|entry| entry.result.as_ref()).map(text).collect();
    assert_eq!(taken, ["2", "3"]);
    assert_eq!(journal[2].state, TaskState::Waiting);
}

async fn a_large_old_run_does_no_harm_to_the_new_one(store: Store) {
    const CHILDREN: u32 = 2500;
    store.worker("w", &["root", "child", "new"]).await;
    let root = store.root("root").await;
    store.hold(&root, spawns((1..=CHILDREN).map(|op| call(&root, op, "child")))).await;
    let again = go_on(&store, &root, "[2]", 0).await;
    let child = call(&again, 1, "new");
    store.suspend(&again, spawns([child.clone(), timer(&again, 2, HOUR)]), WaitMode::All, &[1], 0).await;
    store.sweep().await;
    store.sweep().await;
    assert_eq!(store.state(child.id).await, TaskState::Pending);
    let child = store.take().await;
    store.complete(&child, "1").await;
    assert_eq!(store.take().await.task.id, again.task.id);
    assert_eq!(store.tasks(again.task.execution_id).await.len(), 3);
}

async fn the_new_runs_children_are_others(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    let old = call(&root, 1, "child");
    store.hold(&root, spawns([old.clone()])).await;
    let mut child = store.take().await;
    let again = go_on(&store, &root, "[2]", 0).await;
    let new = call(&again, 1, "child");
    assert_ne!(new.id, old.id);
    store.suspend(&again, spawns([new.clone()]), WaitMode::All, &[1], 0).await;
    assert_eq!(store.say(&child, Commands::default(), completed("\"old\"")).await, Verdict::LeaseLost);
    child = store.take().await;
    assert_eq!(child.task.id, new.id);
    store.complete(&child, "\"new\"").await;
    assert_eq!(result(&store.task(new.id).await), "\"new\"");
    assert_eq!(store.take().await.task.id, again.task.id);
}
