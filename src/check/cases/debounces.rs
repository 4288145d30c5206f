//! A dispatch with a `debounce` starts when no other with its key has come for so long, with the last one's arguments.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stent::backend::Claimed;
use stent::model::{DispatchOptions, ExecutionState, FunctionOptions, Id, Payload, Status, TaskOptions};

use super::house::*;
use super::slots::{has_slots, per_key};

cases! {
    the_last_arguments_win_after_a_quiet_time,
    it_starts_no_later_than_so_long_after_the_first,
    what_a_worker_has_is_not_changed,
    each_gives_its_own_time_until_it_is_ended,
    of_many_in_one_batch_the_last_wins,
    one_that_is_cancelled_is_waited_for_no_more,
    functions_and_keys_have_rows_of_their_own,
    the_one_that_waits_holds_no_slot,
    what_belongs_to_its_arguments_is_refused,
    no_last_arguments_are_lost,
}

const MOMENT: Duration = Duration::from_millis(1);

fn quiet(key: &str, quiet: Duration) -> DispatchOptions {
    DispatchOptions { unique_key: Some(key.to_owned()), debounce: Some(quiet), ..DispatchOptions::default() }
}

fn at_most(key: &str, time: Duration, most: Duration) -> DispatchOptions {
    DispatchOptions { debounce_max: Some(most), ..quiet(key, time) }
}

/// `None`: the store has no unique keys.
async fn first(store: &Store, args: &str, options: DispatchOptions) -> Option<Id> {
    match store.start_with("root", args, options).await {
        Err(why) if why.status() == Status::Unsupported => None,
        started => Some(started.must()),
    }
}

async fn next(store: &Store, args: &str, options: DispatchOptions) -> Id {
    store.start_with("root", args, options).await.must()
}

/// Takes the one that may start soon.
async fn taken(store: &Store, worker: &str) -> Claimed {
    let found = Mutex::new(Vec::new());
    store
        .until("it may start", async |store| {
            let claimed = store.claim(worker, 9).await;
            let any = !claimed.is_empty();
            found.lock().unwrap_or_else(PoisonError::into_inner).extend(claimed);
            any
        })
        .await;
    only(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

async fn the_last_arguments_win_after_a_quiet_time(store: Store) {
    store.worker("w", &["root"]).await;
    let named = DispatchOptions { kwargs: Some(Payload::from(r#"{"a":1}"#)), ..quiet("k", HOUR) };
    let Some(id) = first(&store, "[1]", named).await else { return };
    let other = store.another().await;
    assert_eq!(next(&other, "[2]", quiet("k", HOUR)).await, id);
    store.idle().await;
    let due = store.task(root_of(id)).await.scheduled_for.expect("it waits for its time");
    assert_eq!(next(&other, "[3]", quiet("k", MOMENT)).await, id);
    assert!(store.task(root_of(id)).await.scheduled_for.expect("it waits for its time") < due);
    let root = taken(&store, "w").await;
    assert_eq!((root.task.execution_id, text(&root.task.args), text(&root.task.kwargs)), (id, "[3]", "{}"));
    let execution = store.execution(id).await;
    assert_eq!((text(&execution.args), text(&execution.kwargs)), ("[3]", "{}"));
    store.complete(&root, "1").await;
    store.idle().await;
    assert_ne!(next(&store, "[4]", quiet("k", HOUR)).await, id);
}

async fn it_starts_no_later_than_so_long_after_the_first(store: Store) {
    store.worker("w", &["root"]).await;
    let Some(id) = first(&store, "[1]", quiet("k", HOUR)).await else { return };
    let created = store.execution(id).await.created_at;
    assert_eq!(next(&store, "[2]", at_most("k", HOUR, 2 * HOUR)).await, id);
    assert_eq!(next(&store, "[3]", at_most("k", 2 * HOUR, HOUR)).await, id);
    let due = store.task(root_of(id)).await.scheduled_for.expect("it waits for its time");
    let late = due.since(created.after(HOUR)).max(created.after(HOUR).since(due));
    assert!(late < Duration::from_secs(60), "an hour after the first: {due}, {created}");
    store.idle().await;
    assert_eq!(next(&store, "[4]", at_most("k", HOUR, Duration::from_micros(1))).await, id);
    let root = store.take().await;
    assert_eq!((root.task.execution_id, text(&root.task.args)), (id, "[4]"));
    // The first one's time is bounded, too.
    let id = next(&store, "[5]", at_most("k", HOUR, MOMENT)).await;
    assert_eq!(taken(&store, "w").await.task.execution_id, id);
}

async fn each_gives_its_own_time_until_it_is_ended(store: Store) {
    store.worker("w", &["root"]).await;
    let ended = |time| DispatchOptions { expiry: Some(time), ..quiet("k", HOUR) };
    let Some(id) = first(&store, "[1]", ended(2 * HOUR)).await else { return };
    let begun = store.execution(id).await.created_at;
    let expires = async |options| {
        assert_eq!(next(&store, "[2]", options).await, id);
        store.execution(id).await.expiry_at.map(|at| at.since(begun).as_secs() / HOUR.as_secs())
    };
    assert_eq!(expires(ended(4 * HOUR)).await, Some(4));
    assert_eq!(expires(quiet("k", HOUR)).await, None);
    let lasting = DispatchOptions { max_duration: Some(2 * HOUR), ..quiet("k", 3 * HOUR) };
    assert_eq!(expires(lasting).await, Some(5));
    // The one that it was first given is over.
    let soon = DispatchOptions { expiry: Some(2 * MOMENT), ..quiet("k", MOMENT) };
    assert_eq!(expires(soon).await, Some(0));
    assert_eq!(expires(ended(2 * HOUR)).await, Some(2));
    store.sweep().await;
    store.is(id, ExecutionState::Pending).await;
}

async fn what_a_worker_has_is_not_changed(store: Store) {
    store.worker("w", &["root"]).await;
    for (key, is_given_back) in [("k", false), ("l", true)] {
        let Some(id) = first(&store, "[1]", quiet(key, MOMENT)).await else { return };
        let root = taken(&store, "w").await;
        if is_given_back {
            store.release(&root).await;
        }
        let after = next(&store, "[2]", quiet(key, MOMENT)).await;
        assert!(after != id, "its arguments would be lost");
        assert_eq!(next(&store, "[3]", quiet(key, HOUR)).await, after);
        assert_eq!(text(&store.execution(id).await.args), "[1]");
        if is_given_back {
            let root = taken(&store, "w").await;
            assert_eq!((root.task.execution_id, text(&root.task.args)), (id, "[1]"));
        }
    }
}

async fn of_many_in_one_batch_the_last_wins(store: Store) {
    store.worker("w", &["root"]).await;
    let new = |key, args| new_execution("root", args, quiet(key, MOMENT));
    let (one, other) = (new("k", "[1]"), new("l", "[2]"));
    let batch = vec![one.clone(), other.clone(), new("k", "[3]"), new("k", "[4]")];
    let ids = match store.backend.dispatch(batch).await {
        Err(why) if why.status() == Status::Unsupported => return,
        ids => ids.must(),
    };
    assert_eq!(ids, [one.id, other.id, one.id, one.id]);
    assert_eq!(text(&store.execution(one.id).await.args), "[4]");
    assert_eq!(text(&store.execution(other.id).await.args), "[2]");
}

async fn one_that_is_cancelled_is_waited_for_no_more(store: Store) {
    store.worker("w", &["root"]).await;
    let Some(id) = first(&store, "[1]", quiet("k", HOUR)).await else { return };
    store.backend.cancel(id, None).await.must();
    let new = next(&store, "[2]", quiet("k", MOMENT)).await;
    assert_ne!(new, id);
    store.until_execution(id, ExecutionState::Cancelled).await;
    assert_eq!(text(&store.execution(id).await.args), "[1]");
    assert_eq!(taken(&store, "w").await.task.execution_id, new);
}

async fn functions_and_keys_have_rows_of_their_own(store: Store) {
    let Some(id) = first(&store, "[1]", quiet("k", HOUR)).await else { return };
    assert_ne!(next(&store, "[2]", quiet("l", HOUR)).await, id);
    assert_ne!(store.start_with("other", "[2]", quiet("k", HOUR)).await.must(), id);
    // One that is dispatched without it has the key as ever; it had no time to wait for, and gets one.
    let plain = || DispatchOptions { unique_key: Some("m".to_owned()), ..DispatchOptions::default() };
    let ready = next(&store, "[3]", plain()).await;
    assert_eq!(next(&store, "[4]", quiet("m", HOUR)).await, ready);
    assert_eq!(next(&store, "[5]", plain()).await, ready);
    assert_eq!(text(&store.execution(ready).await.args), "[4]");
    store.worker("w", &["root", "other"]).await;
    store.idle().await;
}

async fn the_one_that_waits_holds_no_slot(store: Store) {
    if !has_slots(&store, "w", vec![("root", per_key(1))]).await {
        return;
    }
    let keyed = |options| {
        let task = TaskOptions { concurrency_key: Some("a".to_owned()), ..TaskOptions::default() };
        DispatchOptions { task, ..options }
    };
    let Some(id) = first(&store, "[1]", keyed(quiet("k", MOMENT))).await else { return };
    let beside = next(&store, "[2]", keyed(DispatchOptions::default())).await;
    let root = store.take().await;
    assert_eq!(root.task.execution_id, beside);
    store.until("it waits for the slot", async |store| !store.backend.slot_waits(id, 9).await.must().is_empty()).await;
    // From there it goes back to wait for its time, and from its time to the slot.
    assert_eq!(next(&store, "[3]", keyed(quiet("k", HOUR))).await, id);
    store.complete(&root, "1").await;
    store.idle().await;
    assert_eq!(next(&store, "[4]", keyed(at_most("k", HOUR, Duration::from_micros(1)))).await, id);
    let root = store.take().await;
    assert_eq!((root.task.execution_id, text(&root.task.args)), (id, "[4]"));
}

async fn what_belongs_to_its_arguments_is_refused(store: Store) {
    let functions = [
        ("idempotent", FunctionOptions { idempotent: true, ..FunctionOptions::default() }),
        ("cached", FunctionOptions { cached: true, ..FunctionOptions::default() }),
    ];
    store.worker_with("w", functions.to_vec()).await;
    for (function, _) in functions {
        match store.start_with(function, "[1]", quiet("k", HOUR)).await {
            Err(why) if why.status() == Status::Unsupported => return,
            refused => is_status(refused, Status::Invalid, "leave out debounce"),
        }
        store.start_with(function, "[1]", DispatchOptions::default()).await.must();
    }
}

/// Workers claim while others dispatch: whatever is claimed has newer arguments than what was claimed before, and the last
/// of all are claimed.
async fn no_last_arguments_are_lost(store: Store) {
    const DISPATCHES: usize = 120;
    store.worker("w", &["root"]).await;
    let Some(_) = first(&store, "[0]", quiet("k", MOMENT)).await else { return };
    let (other, sent) = (store.another().await, Arc::new(AtomicUsize::new(0)));
    let dispatched = Arc::clone(&sent);
    let dispatcher = beside(async move {
        for number in 1..=DISPATCHES {
            let options = at_most("k", Duration::from_micros(300), Duration::from_millis(2));
            next(&other, &format!("[{number}]"), options).await;
            dispatched.store(number, SeqCst);
        }
    });
    let (mut last, mut claims, begin) = (None, 0, Instant::now());
    while last != Some(DISPATCHES) {
        assert!(
            begin.elapsed() < super::house::SOON,
            "{last:?} of {DISPATCHES} was the last, with {} sent",
            sent.load(SeqCst)
        );
        for claimed in store.claim("w", 9).await {
            let number = text(&claimed.task.args).trim_matches(['[', ']']).parse().ok();
            assert!(number > last || last.is_none(), "{number:?} after {last:?}");
            store.complete(&claimed, "1").await;
            (last, claims) = (number, claims + 1);
        }
        store.sweep().await;
    }
    dispatcher.await.must();
    store.idle().await;
    assert!(claims > 1, "nothing was claimed in between");
}
