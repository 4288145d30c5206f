//! Timers, delays, time-outs and expiry. Any worker sweeps for the whole store, in bounded batches.

use std::time::Duration;

use stent::backend::Commands;
use stent::model::{CallOptions, DispatchOptions, ExecutionState, FunctionOptions, TaskState, WaitMode};

use super::house::*;

cases! {
    a_timer_fires_as_a_recorded_end,
    the_wake_time_is_fixed_at_first_issue,
    a_delayed_task_is_not_taken_before_its_time,
    a_sweep_tells_when_the_next_is_due,
    an_attempt_that_waits_too_long_times_out,
    the_wait_of_an_attempt_that_is_over_wakes_nobody,
    a_time_out_counts_waits_and_begins_anew_with_a_retry,
    an_execution_expires,
    what_has_expired_does_not_begin,
    what_is_due_is_taken_in_bounded_batches,
    any_worker_sweeps_for_the_whole_store,
}

const SOON_DUE: Duration = Duration::from_millis(40);

async fn a_timer_fires_as_a_recorded_end(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let sleep = timer(&root, 1, SOON_DUE);
    store.suspend(&root, spawns([sleep.clone()]), WaitMode::All, &[1], 0).await;
    let issued = store.task(sleep.id).await.created_at;
    store.until_task(root.task.id, TaskState::Pending).await;
    let entry = only(store.journal(root.task.id).await);
    assert_eq!((entry.state, entry.arrival), (TaskState::Completed, Some(1)));
    assert!(entry.completed_at.must().since(issued) >= SOON_DUE - Duration::from_millis(1));
    assert_eq!(store.take().await.task.id, root.task.id);
}

async fn the_wake_time_is_fixed_at_first_issue(store: Store) {
    store.worker("w", &["root"]).await;
    store.start("root").await;
    let first = store.claim("w", 1).await.remove(0);
    store.suspend(&first, spawns([timer(&first, 1, SOON_DUE)]), WaitMode::Any, &[1, 7], 0).await;
    store.until_task(first.task.id, TaskState::Pending).await;
    let again = store.take().await;
    let before = store.journal(again.task.id).await;
    // A replay that asks for it again, with another time, changes nothing.
    store.suspend(&again, spawns([timer(&again, 1, HOUR)]), WaitMode::All, &[1], 0).await;
    assert_eq!(store.journal(again.task.id).await, before);
    assert_eq!(store.take().await.task.id, again.task.id);

    let other = store.root("root").await;
    store.hold(&other, spawns([timer(&other, 1, SOON_DUE)])).await;
    store.suspend(&other, spawns([timer(&other, 1, HOUR)]), WaitMode::All, &[1], 0).await;
    store.until_task(other.task.id, TaskState::Pending).await;
}

async fn a_delayed_task_is_not_taken_before_its_time(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let delayed = DispatchOptions { delay: Some(HOUR), ..DispatchOptions::default() };
    let never = store.start_with("root", "[]", delayed).await.must();
    let root = store.root("root").await;
    let options = CallOptions { delay: Some(SOON_DUE), ..CallOptions::default() };
    let child = call_with(&root, 1, "child", "[]", options);
    store.hold(&root, spawns([child.clone()])).await;
    let row = store.task(child.id).await;
    let due = row.scheduled_for.must();
    assert!(due.since(row.created_at) >= SOON_DUE - Duration::from_millis(1));
    let early = store.claim("w", 9).await;
    let taken = if early.is_empty() {
        store.until("it may be taken", async |store| store.backend.stats().await.must().scheduled == 1).await;
        store.take().await
    } else {
        only(early)
    };
    assert_eq!(taken.task.id, child.id);
    assert!(taken.claimed_at >= due);
    store.is(never, ExecutionState::Pending).await;
}

async fn a_sweep_tells_when_the_next_is_due(store: Store) {
    store.worker("w", &["root"]).await;
    let nothing = store.backend.sweep("w").await.must();
    assert_eq!((nothing.changed, nothing.more, nothing.next_due), (0, false, None));
    let root = store.root("root").await;
    let lease = store.backend.sweep("w").await.must().next_due.must();
    assert!(lease <= LEASE && lease > LEASE / 2);
    store.suspend(&root, spawns([timer(&root, 1, HOUR)]), WaitMode::All, &[1], 0).await;
    let due = store.backend.sweep("w").await.must().next_due.must();
    assert!(due <= HOUR && due > HOUR / 2, "{due:?}");
}

fn timed(timeout: Duration, attempts: u32) -> FunctionOptions {
    FunctionOptions { timeout: Some(timeout), ..tries(attempts) }
}

async fn an_attempt_that_waits_too_long_times_out(store: Store) {
    store.worker_with("w", vec![("root", timed(SOON_DUE, 2))]).await;
    let root = store.root("root").await;
    assert!(root.deadline.must().since(root.claimed_at) == SOON_DUE);
    store.suspend(&root, spawns([timer(&root, 1, HOUR)]), WaitMode::All, &[1], 0).await;
    store.until_task(root.task.id, TaskState::Pending).await;
    let again = store.take().await;
    assert_eq!((again.task.retries, again.task.error.clone().must().kind.as_str()), (1, "Timeout"));
    // The journal is kept, and what it waited for goes on.
    assert_eq!(only(store.journal(root.task.id).await).state, TaskState::Waiting);
    store.suspend(&again, Commands::default(), WaitMode::All, &[1], 0).await;
    store.until_execution(root.task.execution_id, ExecutionState::Failed).await;
    let letter = only(store.letters().await);
    assert_eq!((letter.task.id, letter.task.error.must().kind.as_str()), (root.task.id, "Timeout"));
    assert_eq!(store.state(timer(&root, 1, HOUR).id).await, TaskState::Cancelled);
}

async fn the_wait_of_an_attempt_that_is_over_wakes_nobody(store: Store) {
    store.worker_with("w", vec![("root", timed(SOON_DUE, 9)), ("child", FunctionOptions::default())]).await;
    let (root, child) = store.waiting_parent().await;
    store.until_task(root.task.id, TaskState::Pending).await;
    let again = store.take().await;
    store.complete(&child, "1").await;
    store.idle().await;
    assert_eq!(store.state(root.task.id).await, TaskState::Running);
    // It still holds its lease.
    store.complete(&again, "2").await;
    assert_eq!(result(&store.task(root.task.id).await), "2");
}

async fn a_time_out_counts_waits_and_begins_anew_with_a_retry(store: Store) {
    store.worker_with("w", vec![("root", timed(HOUR, 3)), ("child", FunctionOptions::default())]).await;
    let (root, child) = store.waiting_parent().await;
    store.complete(&child, "1").await;
    let resumed = store.take().await;
    assert_eq!(resumed.deadline, root.deadline);
    store.record(&resumed, Commands::default(), retry(Duration::ZERO)).await;
    assert!(store.take().await.deadline > root.deadline);
}

async fn an_execution_expires(store: Store) {
    store.worker("w", &["root", "child", "undo"]).await;
    let expiring =
        DispatchOptions { expiry: Some(SOON_DUE), on_cancel: Some("undo".into()), ..DispatchOptions::default() };
    let idle = store.start_with("root", "[1]", expiring.clone()).await.must();
    store.until_execution(idle, ExecutionState::TimedOut).await;
    assert_eq!(store.take().await.task.step_name, "undo");

    // However long that takes, this one is running when its time is over.
    let later = DispatchOptions { expiry: Some(HOUR), ..expiring };
    let execution = store.start_with("root", "[2]", later).await.must();
    let root = store.take().await;
    store.hold(&root, spawns([call(&root, 1, "child")])).await;
    store.expire(execution).await;
    store.until_execution(execution, ExecutionState::Cancelling).await;
    assert!(store.execution(execution).await.completed_at.is_none());
    store.idle().await;
    let late = store.say(&root, counting(1), completed("1")).await;
    assert_eq!(late, stent::backend::Verdict::Cancelled);
    let snapshot = store.snapshot(execution).await;
    assert_eq!(snapshot.execution.state, ExecutionState::TimedOut);
    assert!(snapshot.execution.completed_at.is_some() && snapshot.counters.is_empty());
    assert_eq!(store.take().await.task.step_name, "undo");
}

/// After an outage, before any sweep: neither its root nor a child of it.
async fn what_has_expired_does_not_begin(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    store.suspend(&root, spawns([call(&root, 1, "child")]), WaitMode::Any, &[1], 0).await;
    let begun = root.task.execution_id;
    let idle = store.start("root").await;
    for execution in [begun, idle] {
        store.expire(execution).await;
    }
    store.idle().await;
    for execution in [begun, idle] {
        store.until_execution(execution, ExecutionState::TimedOut).await;
    }
}

async fn what_is_due_is_taken_in_bounded_batches(store: Store) {
    const TIMERS: u32 = 1200;
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let timers = (1..=TIMERS).map(|op| timer(&root, op, Duration::from_micros(1)));
    store.suspend(&root, spawns(timers), WaitMode::All, &(1..=TIMERS).collect::<Vec<_>>(), 0).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut fired = 0;
    loop {
        let swept = store.backend.sweep("w").await.must();
        assert!(swept.changed <= 1000, "{} in one transaction", swept.changed);
        fired += swept.changed;
        if !swept.more {
            break;
        }
    }
    assert!(fired >= u64::from(TIMERS));
    assert_eq!(store.take().await.task.id, root.task.id);
}

async fn any_worker_sweeps_for_the_whole_store(store: Store) {
    let queue = FunctionOptions { queue: Some("there".into()), ..FunctionOptions::default() };
    store.register("other", &["elsewhere"], &["x"], vec![("another", FunctionOptions::default())]).await;
    store.register("w", &["there"], &[], vec![("root", queue)]).await;
    let root = store.root("root").await;
    store.suspend(&root, spawns([timer(&root, 1, Duration::from_micros(1))]), WaitMode::All, &[1], 0).await;
    let other = store.another().await;
    let pending = async |_: &Store| {
        other.backend.sweep("other").await.must();
        other.state(root.task.id).await == TaskState::Pending
    };
    let start = std::time::Instant::now();
    while !pending(&other).await {
        assert!(start.elapsed() < SOON);
    }
}
