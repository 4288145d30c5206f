//! A `unique_key` has one execution at a time, or one in a window of time, however many dispatch at once.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use stent::backend::{Commands, Request};
use stent::model::{DispatchOptions, ExecutionState, Existing, Id, KeyWhile, Result, Status, Timestamp, WaitMode};

use super::house::*;

cases! {
    while_one_goes_on_no_other_starts,
    each_end_frees_the_key,
    a_key_is_its_functions,
    of_two_in_one_batch_the_first_starts,
    who_wants_no_other_is_told_whose_it_is,
    in_a_window_one_starts,
    a_window_that_is_over_lets_another_start,
    all_that_had_the_key_must_be_over,
    while_pending_is_until_a_worker_has_it,
    a_window_and_a_state_are_both_waited_for,
    of_many_at_once_one_starts,
    an_idempotency_key_comes_first,
    what_is_cleaned_up_has_no_key,
    what_a_window_answers_is_there_until_it_is_over,
    a_copy_has_no_key,
}

fn unique(key: &str) -> DispatchOptions {
    DispatchOptions { unique_key: Some(key.to_owned()), ..DispatchOptions::default() }
}

fn once_in(key: &str, window: Duration) -> DispatchOptions {
    DispatchOptions { unique_for: Some(window), ..unique(key) }
}

/// `None`: the store has no unique keys.
async fn first(store: &Store, function: &str, options: DispatchOptions) -> Option<Id> {
    match store.start_with(function, "[]", options).await {
        Err(why) if why.status() == Status::Unsupported => None,
        started => Some(started.must()),
    }
}

async fn next(store: &Store, function: &str, options: DispatchOptions) -> Id {
    store.start_with(function, "[]", options).await.must()
}

async fn while_one_goes_on_no_other_starts(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let Some(id) = first(&store, "root", unique("k")).await else { return };
    let other = store.another().await;
    for store in [&store, &other] {
        assert_eq!(next(store, "root", unique("k")).await, id, "pending");
    }
    let root = store.take().await;
    store.idle().await;
    assert_eq!(next(&other, "root", unique("k")).await, id, "running");
    store.suspend(&root, spawns([call(&root, 1, "child")]), WaitMode::All, &[1], 0).await;
    assert_eq!(next(&other, "root", unique("k")).await, id, "waiting");
    let child = store.take().await;
    store.complete(&child, "1").await;
    let root = store.take().await;
    assert_eq!(next(&other, "root", unique("k")).await, id, "running again");
    store.complete(&root, "1").await;
    store.idle().await;
    let new = next(&other, "root", unique("k")).await;
    assert_ne!(new, id);
    assert_eq!(next(&store, "root", unique("k")).await, new);
}

async fn each_end_frees_the_key(store: Store) {
    store.worker("w", &["root"]).await;
    let Some(mut id) = first(&store, "root", unique("k")).await else { return };
    for end in 0..6 {
        let state = match end {
            0 => {
                let root = store.take().await;
                store.complete(&root, "1").await;
                ExecutionState::Completed
            }
            1 => {
                let root = store.take().await;
                store.fail(&root).await;
                assert_eq!(store.letters().await.len(), 1);
                ExecutionState::Failed
            }
            2 => {
                store.backend.cancel(id, None).await.must();
                store.until_execution(id, ExecutionState::Cancelled).await;
                ExecutionState::Cancelled
            }
            3 => {
                let root = store.take().await;
                store.backend.cancel(id, None).await.must();
                assert_eq!(root.task.execution_id, id);
                store.say(&root, Commands::default(), completed("1")).await;
                store.until_execution(id, ExecutionState::Cancelled).await;
                ExecutionState::Cancelled
            }
            4 => {
                store.expire(id).await;
                store.until_execution(id, ExecutionState::TimedOut).await;
                ExecutionState::TimedOut
            }
            _ => {
                let root = store.take().await;
                store.fail(&root).await;
                ExecutionState::Failed
            }
        };
        store.is(id, state).await;
        let new = next(&store, "root", unique("k")).await;
        assert!(new != id, "{state}");
        assert_eq!(next(&store, "root", unique("k")).await, new, "{state}");
        id = new;
    }
}

async fn a_key_is_its_functions(store: Store) {
    let Some(id) = first(&store, "root", unique("k")).await else { return };
    assert_ne!(next(&store, "other", unique("k")).await, id);
    assert_ne!(next(&store, "root", unique("l")).await, id);
    assert_ne!(store.start("root").await, id);
    assert_eq!(next(&store, "root", unique("k")).await, id);
}

async fn of_two_in_one_batch_the_first_starts(store: Store) {
    store.worker("w", &["root"]).await;
    let new = |key, args| new_execution("root", args, unique(key));
    let (one, other, again) = (new("k", "[1]"), new("l", "[2]"), new("k", "[3]"));
    let ids = match store.backend.dispatch(vec![one.clone(), other.clone(), again]).await {
        Err(why) if why.status() == Status::Unsupported => return,
        ids => ids.must(),
    };
    assert_eq!(ids, [one.id, other.id, one.id]);
    assert_eq!(store.claim("w", 9).await.len(), 2);
}

async fn who_wants_no_other_is_told_whose_it_is(store: Store) {
    store.worker("w", &["root"]).await;
    let alone = |options| DispatchOptions { unique_existing: Existing::Refuse, ..options };
    let Some(id) = first(&store, "root", alone(unique("k"))).await else { return };
    let root = store.take().await;
    let why = store.start_with("root", "[]", alone(unique("k"))).await.must_fail();
    assert!(why.message().contains(&format!("is taken by execution {id}, which is not over")), "{why}");
    let fresh = new_execution("root", "[]", unique("l"));
    let both = vec![fresh.clone(), new_execution("root", "[]", alone(once_in("k", HOUR)))];
    is_status(store.backend.dispatch(both).await, Status::Conflict, "nothing was started");
    assert_eq!(store.backend.snapshot(fresh.id).await.must(), None);
    assert_ne!(next(&store, "root", unique("l")).await, fresh.id);
    store.backend.cancel(id, None).await.must();
    store.say(&root, Commands::default(), completed("1")).await;
    store.until_execution(id, ExecutionState::Cancelled).await;
    assert_ne!(next(&store, "root", alone(unique("k"))).await, id);
}

async fn in_a_window_one_starts(store: Store) {
    store.worker("w", &["root"]).await;
    let Some(id) = first(&store, "root", once_in("k", HOUR)).await else { return };
    assert_eq!(next(&store, "root", once_in("k", HOUR)).await, id);
    let root = store.take().await;
    store.complete(&root, "1").await;
    assert_eq!(next(&store.another().await, "root", once_in("k", HOUR)).await, id, "whatever has become of it");
    store.idle().await;
    // The window is the one's who asks.
    assert_ne!(next(&store, "root", unique("k")).await, id);
}

async fn a_window_that_is_over_lets_another_start(store: Store) {
    const WINDOW: Duration = Duration::from_millis(20);
    store.worker("w", &["root"]).await;
    let Some(id) = first(&store, "root", once_in("k", HOUR)).await else { return };
    let ids = Mutex::new(BTreeSet::from([id]));
    store
        .until("another has started", async |store| {
            let id = next(store, "root", once_in("k", WINDOW)).await;
            let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
            ids.insert(id);
            ids.len() == 3
        })
        .await;
    assert_eq!(store.claim("w", 9).await.len(), 3, "the first goes on");
}

async fn all_that_had_the_key_must_be_over(store: Store) {
    let no_window = || once_in("k", Duration::ZERO);
    store.worker("w", &["root"]).await;
    let Some(id) = first(&store, "root", unique("k")).await else { return };
    let one = store.take().await;
    let second = next(&store, "root", no_window()).await;
    let two = store.take().await;
    let third = next(&store, "root", no_window()).await;
    let three = store.take().await;
    assert_eq!([one.task.execution_id, two.task.execution_id, three.task.execution_id], [id, second, third]);
    assert_eq!(next(&store, "root", unique("k")).await, third, "the last one");
    store.complete(&two, "1").await;
    store.complete(&three, "1").await;
    store.idle().await;
    for store in [&store, &store.another().await] {
        assert_eq!(next(store, "root", unique("k")).await, id, "the first goes on");
    }
    let refuse = DispatchOptions { unique_existing: Existing::Refuse, ..unique("k") };
    let why = store.start_with("root", "[]", refuse).await.must_fail();
    assert!(why.message().contains(&format!("is taken by execution {id}, which is not over")), "{why}");
    store.idle().await;
    store.complete(&one, "1").await;
    let new = next(&store, "root", unique("k")).await;
    assert!(![id, second, third].contains(&new));
    assert_eq!(next(&store, "root", unique("k")).await, new);
}

async fn while_pending_is_until_a_worker_has_it(store: Store) {
    let pending = || DispatchOptions { unique_while: Some(KeyWhile::Pending), ..unique("k") };
    store.worker("w", &["root"]).await;
    let Some(id) = first(&store, "root", pending()).await else { return };
    let other = store.another().await;
    assert_eq!(next(&other, "root", pending()).await, id);
    let root = store.take().await;
    let second = next(&other, "root", pending()).await;
    assert!(second != id, "what has come since it began is not done by it");
    assert_eq!(next(&store, "root", pending()).await, second);
    let refuse = DispatchOptions { unique_existing: Existing::Refuse, ..pending() };
    is_status(store.start_with("root", "[]", refuse).await, Status::Conflict, &second.to_string());
    let last = store.take().await;
    assert_eq!((root.task.execution_id, last.task.execution_id), (id, second));
    store.release(&last).await;
    let third = next(&store, "root", pending()).await;
    assert!(third != second, "a worker has had it");
    assert_eq!(next(&store, "root", unique("k")).await, third, "each dispatch says while what");
}

async fn a_window_and_a_state_are_both_waited_for(store: Store) {
    let both = |window, key_while| DispatchOptions { unique_while: Some(key_while), ..once_in("k", window) };
    store.worker("w", &["root"]).await;
    let Some(id) = first(&store, "root", both(HOUR, KeyWhile::Unfinished)).await else { return };
    let root = store.take().await;
    for (window, key_while) in
        [(Duration::ZERO, KeyWhile::Unfinished), (HOUR, KeyWhile::Pending), (HOUR, KeyWhile::Unfinished)]
    {
        assert_eq!(next(&store, "root", both(window, key_while)).await, id, "{window:?} {key_while:?}");
    }
    store.complete(&root, "1").await;
    for key_while in [KeyWhile::Pending, KeyWhile::Unfinished] {
        assert_eq!(next(&store, "root", both(HOUR, key_while)).await, id, "{key_while:?}");
    }
    store.idle().await;
    assert_ne!(next(&store, "root", both(Duration::ZERO, KeyWhile::Unfinished)).await, id);
}

async fn of_many_at_once_one_starts(store: Store) {
    const DISPATCHERS: usize = 8;
    store.worker("w", &["root"]).await;
    let Some(mut last) = first(&store, "root", unique("k0")).await else { return };
    let other = store.another().await;
    for round in 0..12 {
        let key = format!("k{}", round % 2);
        let dispatchers: Vec<_> = (0..DISPATCHERS)
            .map(|number| {
                let store = if number % 2 == 0 { store.clone() } else { other.clone() };
                // Each in an order of its own.
                let mut keys = [key.clone(), "beside".to_owned()];
                keys.rotate_left(number % 2);
                let all = keys.iter().map(|key| new_execution("root", "[]", unique(key))).collect();
                beside(async move {
                    let ids = store.backend.dispatch(all).await.must();
                    [ids[number % 2], ids[1 - number % 2]]
                })
            })
            .collect();
        let mut answers = BTreeSet::new();
        for one in dispatchers {
            answers.insert(one.await.must());
        }
        assert_eq!(answers.len(), 1, "{answers:?}");
        let started: BTreeSet<Id> = answers.into_iter().flatten().collect();
        assert!(round == 0 || !started.contains(&last));
        let claimed = store.claim("w", 99).await;
        assert_eq!(claimed.iter().map(|one| one.task.execution_id).collect::<BTreeSet<_>>(), started);
        assert_eq!(claimed.len(), 2);
        for one in &claimed {
            store.complete(one, "1").await;
        }
        last = claimed[0].task.execution_id;
    }
}

async fn an_idempotency_key_comes_first(store: Store) {
    store.worker("w", &["root"]).await;
    let both = |name: &str| DispatchOptions { idempotency_key: Some(name.to_owned()), ..unique("k") };
    let Some(id) = first(&store, "root", both("one")).await else { return };
    assert_eq!(next(&store, "root", both("two")).await, id, "the unique key is taken");
    let root = store.take().await;
    store.complete(&root, "1").await;
    let second = next(&store, "root", both("two")).await;
    assert!(second != id, "what has started nothing has not used its idempotency key");
    assert_eq!(next(&store, "root", both("one")).await, id, "a repeated request is answered as before");
    assert_eq!(next(&store, "root", both("two")).await, second);
    assert_eq!(next(&store, "root", unique("k")).await, second);
}

async fn what_is_cleaned_up_has_no_key(store: Store) {
    store.worker("w", &["root"]).await;
    let Some(id) = first(&store, "root", unique("k")).await else { return };
    let root = store.take().await;
    store.complete(&root, "1").await;
    clean_up(&store).await;
    assert_eq!(store.backend.snapshot(id).await.must(), None);
    assert_ne!(next(&store, "root", unique("k")).await, id);
}

async fn clean_up(store: &Store) {
    let older_than = Timestamp::from_micros(i64::MAX / 2);
    store.backend.call(Request::CleanupExecutions { older_than }).await.must();
}

async fn what_a_window_answers_is_there_until_it_is_over(store: Store) {
    store.worker("w", &["root"]).await;
    let Some(long) = first(&store, "root", once_in("k", HOUR)).await else { return };
    let short = next(&store, "root", once_in("l", Duration::from_millis(1))).await;
    for one in store.claim("w", 9).await {
        store.complete(&one, "1").await;
    }
    store
        .until("the short window is over, and its execution cleaned up", async |store| {
            clean_up(store).await;
            store.backend.snapshot(short).await.must().is_none()
        })
        .await;
    store.is(long, ExecutionState::Completed).await;
    assert_eq!(next(&store, "root", once_in("k", HOUR)).await, long);
    // Another has taken the key: nothing is answered with the first one any more.
    assert_ne!(next(&store, "root", unique("k")).await, long);
    clean_up(&store).await;
    assert_eq!(store.backend.snapshot(long).await.must(), None);
}

async fn a_copy_has_no_key(store: Store) {
    store.worker("w", &["root"]).await;
    let Some(id) = first(&store, "root", unique("k")).await else { return };
    let root = store.take().await;
    store.fail(&root).await;
    let new = next(&store, "root", unique("k")).await;
    let copy = new_execution("root", "[]", unique("unused")).id;
    let replayed: Result<_> = store.backend.replay_dead_letter(root_of(id), copy).await;
    replayed.must();
    assert_eq!(store.claim("w", 9).await.len(), 2);
    assert_eq!(next(&store, "root", unique("k")).await, new);
}
