//! "Not now": an attempt that is put off, and is none; and when the first of all attempts began.

use std::time::Duration;

use stent::backend::{Claimed, Commands, Outcome};
use stent::model::{ExecutionState, FunctionOptions, RetryPolicy, TaskState, WaitMode};

use super::house::*;

cases! {
    what_is_put_off_keeps_its_journal_and_is_charged_nothing,
    what_is_put_off_waits_for_its_time,
    what_is_put_off_goes_on_with_its_operations,
    a_time_out_is_counted_anew_after_it,
    what_is_put_off_can_be_cancelled,
    the_first_beginning_is_kept_as_long_as_the_task_goes_on,
    a_new_start_begins_the_time_anew,
    children_that_run_again_begin_anew,
    the_time_for_retries_counts_where_waiting_takes_too_long,
    a_list_of_delays_is_kept,
}

async fn what_is_put_off_keeps_its_journal_and_is_charged_nothing(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    assert_eq!(root.snoozes, 0);
    let commands = Commands { spawns: vec![step(&root, 1, Ok("1"))], heartbeat: Some("7".into()), ..counting(1) };
    store.record(&root, commands, snooze(Duration::ZERO)).await;
    let again = store.take().await;
    assert_eq!((again.task.id, again.task.retries, again.attempt()), (root.task.id, 0, 1));
    assert_eq!((again.ops, again.effects, again.run, again.snoozes), (1, 1, 0, 1));
    assert_eq!((text(again.heartbeat.as_ref().must()), &again.task.error), ("7", &None));
    assert_eq!(only(store.journal(root.task.id).await).arrival, Some(1));
    store.record(&again, Commands::default(), snooze(Duration::ZERO)).await;
    let third = store.take().await;
    assert_eq!((third.task.retries, third.snoozes), (0, 2));
    // A failure does not begin the count anew.
    store.record(&third, Commands::default(), retry(Duration::ZERO)).await;
    let last = store.take().await;
    assert_eq!((last.task.retries, last.snoozes), (1, 2));
    store.complete(&last, "1").await;
    store.is(root.task.execution_id, ExecutionState::Completed).await;
}

async fn what_is_put_off_waits_for_its_time(store: Store) {
    store.worker("w", &["root"]).await;
    let (soon, late) = (store.root("root").await, store.root("root").await);
    store.record(&late, Commands::default(), snooze(HOUR)).await;
    store.record(&soon, Commands::default(), snooze(Duration::from_millis(20))).await;
    store.until("the time is over", async |store| store.backend.stats().await.must().scheduled == 1).await;
    let taken = store.take().await;
    assert_eq!(taken.task.id, soon.task.id);
    assert!(taken.claimed_at >= taken.task.scheduled_for.must());
    assert_eq!(store.state(late.task.id).await, TaskState::Pending);
    store.idle().await;
}

async fn what_is_put_off_goes_on_with_its_operations(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    store.record(&root, spawns([call(&root, 1, "child")]), snooze(HOUR)).await;
    let child = store.take().await;
    store.complete(&child, "\"done\"").await;
    // That its operation has ended is no reason to begin before the time.
    store.idle().await;
    assert_eq!(only(store.journal(root.task.id).await).state, TaskState::Completed);
}

async fn a_time_out_is_counted_anew_after_it(store: Store) {
    let timed = FunctionOptions { timeout: Some(HOUR), ..FunctionOptions::default() };
    store.worker_with("w", vec![("root", timed)]).await;
    let root = store.root("root").await;
    store.record(&root, spawns([step(&root, 1, Ok("1"))]), snooze(Duration::from_millis(20))).await;
    store.until("the time is over", async |store| store.backend.stats().await.must().scheduled == 0).await;
    let again = store.take().await;
    assert!(again.deadline.must() > root.deadline.must());
    assert!(again.begins());
}

async fn what_is_put_off_can_be_cancelled(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    store.record(&root, Commands::default(), snooze(HOUR)).await;
    store.backend.cancel(root.task.execution_id, None).await.must();
    store.sweep().await;
    store.is(root.task.execution_id, ExecutionState::Cancelled).await;
    store.idle().await;
}

/// Claimed again after an outcome.
async fn after(store: &Store, of: &Claimed, outcome: Outcome) -> Claimed {
    store.record(of, Commands::default(), outcome).await;
    store.take().await
}

async fn the_first_beginning_is_kept_as_long_as_the_task_goes_on(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    let first = root.first_started_at.must();
    assert_eq!((Some(first), root.begins()), (root.task.started_at, true));
    let second = after(&store, &root, retry(Duration::ZERO)).await;
    assert_eq!((second.first_started_at, second.begins()), (Some(first), true));
    assert!(second.task.started_at.must() > first);
    let third = after(&store, &second, snooze(Duration::ZERO)).await;
    assert_eq!((third.first_started_at, third.begins()), (Some(first), true));
    // Who waited goes on with its attempt.
    store.suspend(&third, spawns([call(&third, 1, "child")]), WaitMode::All, &[1], 0).await;
    let child = store.take().await;
    assert!(child.first_started_at.must() > first);
    store.complete(&child, "1").await;
    let woken = store.take().await;
    assert_eq!((woken.first_started_at, woken.begins()), (Some(first), false));
    store.hold(&woken, begins(1)).await;
    store.release(&woken).await;
    let dying = only(store.claim_with(claim("w", 10, DYING)).await);
    assert_eq!((dying.first_started_at, dying.begins()), (Some(first), false));
    store.until("the lease has ended", async |store| store.state(dying.task.id).await != TaskState::Running).await;
    assert_eq!(store.take().await.first_started_at, Some(first));
}

async fn a_new_start_begins_the_time_anew(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let new = after(&store, &root, Outcome::Continue { args: "[1]".into(), seen: 0 }).await;
    assert!(new.first_started_at.must() > root.first_started_at.must());
    let again = after(&store, &new, retry(Duration::ZERO)).await;
    assert_eq!(again.first_started_at, new.first_started_at);
}

async fn children_that_run_again_begin_anew(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let (root, child) = store.waiting_parent().await;
    let again = after(&store, &child, snooze(Duration::ZERO)).await;
    store.fail(&again).await;
    let root = {
        let up = store.take().await;
        assert_eq!(up.task.id, root.task.id);
        up
    };
    let reopen = Outcome::Retry { failure: failure(), delay: HOUR, reopen: true };
    let child = after(&store, &root, reopen).await;
    assert_eq!((child.snoozes, child.task.retries), (0, 0));
    assert!(child.first_started_at.must() > again.first_started_at.must());
}

async fn the_time_for_retries_counts_where_waiting_takes_too_long(store: Store) {
    let policy = RetryPolicy { max_elapsed: Some(0.001), initial_delay: 0.0, ..RetryPolicy::default() };
    let timeout = Some(Duration::from_millis(5));
    let timed = FunctionOptions { timeout, retry_policy: Some(policy), ..FunctionOptions::default() };
    store.worker_with("w", vec![("root", timed)]).await;
    let root = store.root("root").await;
    let waiting = spawns([wait_for(&root, 1, "never", None)]);
    store.suspend(&root, waiting, WaitMode::All, &[1], 0).await;
    store.until("the attempt has timed out", async |store| store.state(root.task.id).await == TaskState::Failed).await;
    let letter = only(store.letters().await);
    assert!(letter.reason.contains("max_elapsed"), "{}", letter.reason);
    assert_eq!(letter.task.error.must().kind, "Timeout");
}

async fn a_list_of_delays_is_kept(store: Store) {
    let policy = RetryPolicy {
        delays: vec![0.0, 3600.0],
        max_attempts: 9,
        jitter: 0.0,
        max_elapsed: Some(86_400.0),
        ..RetryPolicy::default()
    };
    let timeout = Some(Duration::from_millis(5));
    let timed = FunctionOptions { timeout, retry_policy: Some(policy.clone()), ..FunctionOptions::default() };
    store.worker_with("w", vec![("root", timed)]).await;
    let mut root = store.root("root").await;
    assert_eq!(root.task.retry_policy.clone().unwrap_or(policy.clone()), policy);
    // The first delay is none, and the second an hour.
    for retries in [1, 2] {
        let waiting = if retries == 1 { spawns([wait_for(&root, 1, "never", None)]) } else { Commands::default() };
        store.suspend(&root, waiting, WaitMode::All, &[1], 0).await;
        store.until("it has timed out", async |store| store.task(root.task.id).await.retries == retries).await;
        if retries == 1 {
            root = store.take().await;
        }
    }
    store.idle().await;
    let task = store.task(root.task.id).await;
    assert!(task.scheduled_for.must().since(root.claimed_at) > Duration::from_secs(3000));
}
