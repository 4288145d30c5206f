//! Priorities that age starve nobody.

use std::time::Duration;

use stent::model::{CallOptions, DispatchOptions, FunctionOptions, Id, Task, TaskOptions, TaskState};

use super::fairness::{has_shares, next};
use super::house::*;
use super::records::now;

cases! {
    a_priority_ages,
    a_low_priority_that_ages_starts_though_higher_ones_come,
    in_a_shared_queue_it_starts_too,
    a_function_says_that_its_priorities_age,
    an_ageing_priority_holds_for_slots_too,
    what_is_shown_is_what_was_said,
    what_is_out_of_bounds_is_refused,
}

fn ages(priority: i64, priority_ageing: Duration) -> DispatchOptions {
    let task =
        TaskOptions { priority: Some(priority), priority_ageing: Some(priority_ageing), ..TaskOptions::default() };
    DispatchOptions { task, ..DispatchOptions::default() }
}

const MINUTE: Duration = Duration::from_secs(60);

async fn a_priority_ages(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let low = store.start_with("f", "[]", ages(-1, MINUTE)).await.must();
    let plain = store.start("f").await;
    let high = store.start_with("f", "[]", ages(1, MINUTE)).await.must();
    let higher = store.start_with("f", "[]", ages(2, MINUTE)).await.must();
    let task = TaskOptions { priority: Some(1), ..TaskOptions::default() };
    let strict = store.start_with("f", "[]", DispatchOptions { task, ..DispatchOptions::default() }).await.must();
    let taken: Vec<Id> = store.claim("w", 9).await.iter().map(|one| one.task.execution_id).collect();
    assert_eq!(taken, [strict, higher, high, plain, low]);
}

async fn a_low_priority_that_ages_starts_though_higher_ones_come(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let step = Duration::from_millis(20);
    let low = store.start_with("f", "[]", ages(0, step)).await.must();
    let mut after = 0;
    loop {
        store.start_with("f", "[]", ages(3, step)).await.must();
        let taken = next(&store).await;
        if taken.task.execution_id == low {
            break;
        }
        let waited = now().since(store.task(root_of(low)).await.created_at);
        after = waited.as_millis();
        assert!(waited < SOON, "it waits for ever");
    }
    // Three steps: until then the others are before it.
    assert!(after >= 20, "{after} ms");
}

async fn in_a_shared_queue_it_starts_too(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let whose = |options: DispatchOptions| {
        let task = TaskOptions { fairness_key: Some("a".into()), queue: Some("shared".into()), ..options.task };
        DispatchOptions { task, ..options }
    };
    let step = Duration::from_millis(20);
    let low = store.start_with("f", "[]", whose(ages(0, step))).await.must();
    let mut before = 0;
    loop {
        store.start_with("f", "[]", whose(ages(3, step))).await.must();
        if next(&store).await.task.execution_id == low {
            break;
        }
        before += 1;
        assert!(before < 20, "it waits for ever");
    }
    assert!(before > 3, "{before}");
}

async fn a_function_says_that_its_priorities_age(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let ageing = FunctionOptions {
        priority: Some(1),
        priority_ageing: Some(Duration::from_secs(3600)),
        ..FunctionOptions::default()
    };
    store.worker_with("w", vec![("f", FunctionOptions::default()), ("g", ageing)]).await;
    let plain = store.start("f").await;
    let old = store.start("g").await;
    let own = store.start_with("g", "[]", ages(-1, MINUTE)).await.must();
    let taken: Vec<Id> = store.claim("w", 9).await.iter().map(|one| one.task.execution_id).collect();
    assert_eq!(taken, [old, plain, own]);
}

async fn an_ageing_priority_holds_for_slots_too(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let per_key = FunctionOptions { max_concurrent_per_key: Some(1), ..FunctionOptions::default() };
    store.worker_with("w", vec![("f", per_key)]).await;
    let slot = |options: DispatchOptions| {
        let task = TaskOptions { concurrency_key: Some("k".into()), ..options.task };
        DispatchOptions { task, ..options }
    };
    store.start_with("f", "[]", slot(DispatchOptions::default())).await.must();
    let busy = store.take().await;
    let plain = store.start_with("f", "[]", slot(DispatchOptions::default())).await.must();
    let ahead = store.start_with("f", "[]", slot(ages(1, MINUTE))).await.must();
    store.complete(&busy, "1").await;
    let next = store.take().await;
    assert_eq!(next.task.execution_id, ahead);
    store.complete(&next, "1").await;
    assert_eq!(store.take().await.task.execution_id, plain);
}

async fn what_is_shown_is_what_was_said(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let before = now();
    let options = ages(7, Duration::from_secs(86_400));
    let task = TaskOptions { fairness_key: Some("a".into()), queue: Some("shared".into()), ..options.task };
    let id = store.start_with("f", "[]", DispatchOptions { task, ..options }).await.must();
    let shown = |task: &Task| {
        assert_eq!(task.priority, 7);
        let off = before.since(task.created_at).max(task.created_at.since(before));
        assert!(off < SOON, "made {off:?} away from when it was");
    };
    shown(&store.task(root_of(id)).await);
    shown(&only(store.tasks(id).await));
    assert_eq!(store.execution(id).await.priority, 7);
    let taken = store.take().await;
    assert_eq!((taken.task.execution_id, taken.task.state), (id, TaskState::Running));
    shown(&taken.task);
}

async fn what_is_out_of_bounds_is_refused(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    for (weight, key) in [(0.0, Some("a")), (1_000.0, Some("a")), (f64::NAN, Some("a")), (1.0, None)] {
        let task = TaskOptions {
            fairness_key: key.map(str::to_owned),
            fairness_weight: Some(weight),
            ..TaskOptions::default()
        };
        assert!(DispatchOptions { task, ..DispatchOptions::default() }.check().is_err(), "{weight}");
    }
    let call = |ageing| CallOptions { task: ages(1, ageing).task, ..CallOptions::default() };
    assert!(call(Duration::ZERO).task.check().is_err());
    assert!(call(MINUTE).task.check().is_ok());
}
