//! A handler says that nobody of its key, or of its function, is to start for a while; what goes on is not held.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use stent::backend::{Claimed, Commands, Function, NewWorker, Outcome, Transition, Verdict};
use stent::model::{
    DispatchOptions, FunctionOptions, Hold, HoldOf, Id, Rate, TaskOptions, TaskState, Timestamp, WaitMode,
};

use super::house::*;

cases! {
    a_key_that_is_held_starts_nobody_and_others_start,
    a_function_that_is_held_starts_nobody_and_others_start,
    without_a_key_nobody_is_held_by_one,
    whoever_is_held_starts_at_the_end,
    a_longer_hold_stands,
    it_is_recorded_with_whatever_the_attempt_comes_to,
    who_has_lost_his_lease_holds_nobody,
    what_goes_on_is_not_held,
    what_begins_again_is_held,
    a_claim_that_comes_with_it_finds_nobody,
    limits_and_rates_hold_beside_it,
    it_is_known_who_waits_and_until_when,
    it_is_known_what_of_a_function_or_a_queue_is_waited_for,
    all_stores_know_of_it_and_of_its_end,
}

/// Longer than what is done meanwhile.
/// Longer than what is due in other cases.
const LONG: Duration = Duration::from_secs(10_000);
const SHORT: Duration = Duration::from_millis(300);

fn keyed(key: Option<&str>) -> DispatchOptions {
    let task = TaskOptions { concurrency_key: key.map(str::to_owned), ..TaskOptions::default() };
    DispatchOptions { task, ..DispatchOptions::default() }
}

async fn many(store: &Store, function: &str, key: Option<&str>, count: usize) -> Vec<Id> {
    let executions = (0..count).map(|_| new_execution(function, "[]", keyed(key))).collect();
    store.backend.dispatch(executions).await.must()
}

fn holding(of: HoldOf, delay: Duration) -> Commands {
    Commands { holds: vec![Hold { of, delay }], ..Commands::default() }
}

async fn ends(store: &Store, of: &Claimed, hold: HoldOf, delay: Duration) {
    store.record(of, holding(hold, delay), completed("1")).await;
}

/// The functions of those that begin now, sorted.
async fn functions(store: &Store) -> Vec<String> {
    let mut names: Vec<String> = store.claim("w", 9).await.into_iter().map(|one| one.task.step_name).collect();
    names.sort_unstable();
    names
}

async fn take_one(store: &Store) -> Claimed {
    only(store.claim("w", 1).await)
}

/// Both functions, if the store can hold.
async fn holds(store: &Store) -> bool {
    store.worker("w", &["f", "other"]).await;
    store.backend.holds()
}

async fn a_key_that_is_held_starts_nobody_and_others_start(store: Store) {
    if !holds(&store).await {
        return;
    }
    // The second one is ready when the first one says it, and the third comes later.
    many(&store, "f", Some("a"), 2).await;
    let first = take_one(&store).await;
    ends(&store, &first, HoldOf::Key, LONG).await;
    many(&store, "f", Some("a"), 1).await;
    store.idle().await;
    many(&store, "f", Some("b"), 1).await;
    many(&store, "f", None, 1).await;
    many(&store, "other", Some("a"), 1).await;
    assert_eq!(functions(&store).await, ["f", "f", "other"]);
    store.sweep().await;
    store.idle().await;
}

async fn a_function_that_is_held_starts_nobody_and_others_start(store: Store) {
    if !holds(&store).await {
        return;
    }
    many(&store, "f", None, 2).await;
    let first = take_one(&store).await;
    ends(&store, &first, HoldOf::Function, LONG).await;
    many(&store, "f", Some("a"), 1).await;
    store.idle().await;
    many(&store, "other", None, 2).await;
    assert_eq!(functions(&store).await, ["other", "other"]);
    store.sweep().await;
    store.idle().await;
}

async fn without_a_key_nobody_is_held_by_one(store: Store) {
    if !holds(&store).await {
        return;
    }
    many(&store, "f", None, 2).await;
    let first = take_one(&store).await;
    ends(&store, &first, HoldOf::Key, LONG).await;
    many(&store, "f", Some("a"), 1).await;
    assert_eq!(functions(&store).await, ["f", "f"]);
}

/// Waits until somebody begins, and ends him.
async fn next(store: &Store) -> Claimed {
    let found = Mutex::default();
    store
        .until("somebody starts", async |store| {
            let claimed = store.claim("w", 1).await.pop();
            let begins = claimed.is_some();
            *found.lock().unwrap_or_else(PoisonError::into_inner) = claimed;
            begins
        })
        .await;
    let next = found.into_inner().unwrap_or_else(PoisonError::into_inner).must();
    store.complete(&next, "1").await;
    next
}

/// When the task has ended.
async fn ended(store: &Store, of: &Claimed) -> Timestamp {
    store.task(of.task.id).await.completed_at.must()
}

async fn whoever_is_held_starts_at_the_end(store: Store) {
    if !holds(&store).await {
        return;
    }
    for of in [HoldOf::Key, HoldOf::Function] {
        let all = many(&store, "f", Some("a"), 2).await;
        let first = take_one(&store).await;
        // Long enough that it goes on while the others are asked for.
        let hold = 5 * SHORT;
        ends(&store, &first, of, hold).await;
        store.idle().await;
        let due = store.backend.sweep("w").await.must().next_due.must();
        assert!(due <= hold, "{due:?}");
        let second = next(&store).await;
        assert_eq!(second.task.execution_id, all[1]);
        let waited = second.claimed_at.since(ended(&store, &first).await);
        assert!(waited >= hold, "{of}: {waited:?}");
        // It is over for all.
        many(&store, "f", Some("a"), 1).await;
        next(&store).await;
    }
}

async fn a_longer_hold_stands(store: Store) {
    if !holds(&store).await {
        return;
    }
    for of in [HoldOf::Key, HoldOf::Function] {
        for (one, other) in [(SHORT, 2 * SHORT), (2 * SHORT, SHORT)] {
            many(&store, "f", Some("a"), 3).await;
            let mut taken = store.claim("w", 2).await;
            let (second, first) = (taken.pop().must(), taken.pop().must());
            ends(&store, &first, of, one).await;
            ends(&store, &second, of, other).await;
            let longer = if one > other { &first } else { &second };
            let third = next(&store).await;
            let waited = third.claimed_at.since(ended(&store, longer).await);
            assert!(waited >= 2 * SHORT, "{of}: {waited:?} of {one:?} and {other:?}");
        }
    }
}

async fn it_is_recorded_with_whatever_the_attempt_comes_to(store: Store) {
    if !holds(&store).await {
        return;
    }
    let outcomes = [
        retry(Duration::ZERO),
        snooze(Duration::ZERO),
        dead("over"),
        completed("1"),
        Outcome::Release,
        Outcome::Continue { args: "[]".into(), seen: 0 },
    ];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let key = format!("k{number}");
        many(&store, "f", Some(&key), 2).await;
        let first = take_one(&store).await;
        let goes_on = matches!(outcome, Outcome::Continue { .. });
        store.record(&first, holding(HoldOf::Key, LONG), outcome).await;
        if goes_on {
            assert_eq!(store.take().await.task.id, first.task.id);
        }
        store.idle().await;
    }
}

async fn who_has_lost_his_lease_holds_nobody(store: Store) {
    if !holds(&store).await {
        return;
    }
    many(&store, "f", Some("a"), 2).await;
    let mut first = take_one(&store).await;
    first.task.fence += 1;
    for of in [HoldOf::Key, HoldOf::Function] {
        assert_eq!(store.say(&first, holding(of, LONG), completed("1")).await, Verdict::LeaseLost);
    }
    assert_eq!(functions(&store).await, ["f"]);
}

async fn what_goes_on_is_not_held(store: Store) {
    if !holds(&store).await {
        return;
    }
    for of in [HoldOf::Key, HoldOf::Function] {
        let key = of.as_str();
        let all = many(&store, "f", Some(key), 2).await;
        let mut taken = store.claim("w", 2).await;
        let (second, first) = (taken.pop().must(), taken.pop().must());
        store.suspend(&first, spawns([wait_for(&first, 1, "go", None)]), WaitMode::All, &[1], 0).await;
        ends(&store, &second, of, LONG).await;
        many(&store, "f", Some(key), 1).await;
        store.idle().await;
        store.send(all[0], "go", "1").await;
        let again = take_one(&store).await;
        assert_eq!(again.task.execution_id, all[0]);
        store.complete(&again, "1").await;
        store.idle().await;
    }
}

/// Since its worker has given it back, or has died.
async fn what_begins_again_is_held(store: Store) {
    if !holds(&store).await {
        return;
    }
    for of in [HoldOf::Key, HoldOf::Function] {
        let key = of.as_str();
        for dies in [false, true] {
            many(&store, "f", Some(key), 2).await;
            let first = take_one(&store).await;
            let lease = if dies { Duration::from_millis(1) } else { LEASE };
            let second = only(store.claim_with(claim("w", 1, lease)).await);
            ends(&store, &first, of, SHORT).await;
            let until = ended(&store, &first).await;
            if dies {
                let id = second.task.id;
                store.until("the lease has ended", async |store| store.state(id).await != TaskState::Running).await;
            } else {
                store.release(&second).await;
            }
            let again = next(&store).await;
            assert_eq!(again.task.id, second.task.id);
            let waited = again.claimed_at.since(until);
            assert!(waited >= SHORT, "{of}, dies {dies}: {waited:?}");
        }
    }
}

async fn a_claim_that_comes_with_it_finds_nobody(store: Store) {
    if !holds(&store).await {
        return;
    }
    for of in [HoldOf::Key, HoldOf::Function] {
        many(&store, "f", Some(of.as_str()), 3).await;
        let first = take_one(&store).await;
        let transition = Transition { held: held(&first), commands: holding(of, LONG), outcome: retry(Duration::ZERO) };
        let (verdicts, claimed) = store.backend.advance(vec![transition], Some(claim("w", 9, LEASE))).await.must();
        assert!(is_recorded(&only(verdicts)));
        assert_eq!(claimed.len(), 0, "{of}");
    }
}

async fn limits_and_rates_hold_beside_it(store: Store) {
    if !holds(&store).await {
        return;
    }
    let rate = Some(Rate { limit: 1_000, period: 1.0, burst: 9 });
    let all = [
        FunctionOptions { max_concurrent: Some(2), ..FunctionOptions::default() },
        FunctionOptions { max_concurrent_per_key: Some(2), ..FunctionOptions::default() },
        FunctionOptions { rate: rate.clone(), ..FunctionOptions::default() },
        FunctionOptions { rate_per_key: rate, ..FunctionOptions::default() },
    ];
    for (number, options) in all.into_iter().enumerate() {
        store.worker_with("w", vec![("f", options)]).await;
        for of in [HoldOf::Key, HoldOf::Function] {
            let key = format!("{of} {number}");
            many(&store, "f", Some(&key), 4).await;
            let first = only(store.claim("w", 1).await);
            ends(&store, &first, of, SHORT).await;
            store.idle().await;
            for _ in 0..3 {
                let waited = next(&store).await.claimed_at.since(ended(&store, &first).await);
                assert!(waited >= SHORT, "{key}: {waited:?}");
            }
            store.idle().await;
        }
    }
}

async fn it_is_known_who_waits_and_until_when(store: Store) {
    if !holds(&store).await {
        return;
    }
    let all = many(&store, "f", Some("a"), 2).await;
    let first = take_one(&store).await;
    ends(&store, &first, HoldOf::Key, LONG).await;
    let wait = only(store.backend.slot_waits(all[1], 9).await.must());
    assert_eq!((wait.function.as_str(), wait.concurrency_key.as_deref()), ("f", Some("a")));
    assert_eq!(wait.hold_ends_at.must().since(ended(&store, &first).await), LONG);
    assert!(!wait.is_for_token());
}

async fn it_is_known_what_of_a_function_or_a_queue_is_waited_for(store: Store) {
    if !holds(&store).await {
        return;
    }
    let why = async |execution| only(store.backend.slot_waits(execution, 9).await.must());
    let all = many(&store, "f", None, 2).await;
    assert!(store.backend.slot_waits(all[0], 9).await.must().is_empty(), "it is ready, and may start");
    let first = take_one(&store).await;
    ends(&store, &first, HoldOf::Function, LONG).await;
    let wait = why(all[1]).await;
    assert_eq!((wait.function.as_str(), wait.concurrency_key, wait.queue), ("f", None, None));
    assert_eq!(wait.hold_ends_at.must().since(ended(&store, &first).await), LONG);
    // A token in three hours, of its function and of its queue.
    let rate = Rate { limit: 1, period: 10_000.0, burst: 1 };
    let queue = format!("rated-{:032x}", rand::random::<u128>());
    let g = FunctionOptions { rate: Some(rate.clone()), ..FunctionOptions::default() };
    let worker = NewWorker {
        worker_id: "w".to_owned(),
        queues: Vec::new(),
        tags: Vec::new(),
        functions: [("g", g), ("h", FunctionOptions::default())]
            .map(|(name, options)| Function { name: name.to_owned(), options })
            .into(),
        queue_rates: [(queue.clone(), Some(rate.clone()))].into(),
    };
    store.backend.register_worker(worker).await.must();
    let mut into = keyed(None);
    into.task.queue = Some(queue.clone());
    for (function, options, of_queue) in [("g", keyed(None), None), ("h", into, Some(queue))] {
        let new = || new_execution(function, "[]", options.clone());
        let all = store.backend.dispatch(vec![new(), new()]).await.must();
        assert!(store.backend.slot_waits(all[1], 9).await.must().is_empty(), "there is a token");
        let started = take_one(&store).await;
        assert_eq!(started.task.execution_id, all[0]);
        let wait = why(all[1]).await;
        assert_eq!((wait.function.as_str(), wait.concurrency_key, wait.queue), (function, None, of_queue));
        assert_eq!((wait.rate, wait.hold_ends_at), (Some(rate.clone()), None));
        let next = wait.next_at.must().since(started.claimed_at);
        assert!(next >= Duration::from_secs(10_000) && next < Duration::from_secs(10_001), "{next:?}");
        assert!(store.backend.slot_waits(all[0], 9).await.must().is_empty(), "it runs");
    }
}

async fn all_stores_know_of_it_and_of_its_end(store: Store) {
    if !holds(&store).await {
        return;
    }
    let other = store.another().await;
    other.worker("v", &["f", "other"]).await;
    for of in [HoldOf::Key, HoldOf::Function] {
        many(&store, "f", Some("a"), 2).await;
        let first = take_one(&store).await;
        // What it has read of the store is of before.
        assert_eq!(other.claim("v", 0).await.len(), 0);
        ends(&store, &first, of, SHORT).await;
        assert_eq!(other.claim("v", 9).await.len(), 0);
        let waits = async |other: &Store| !other.claim("v", 9).await.is_empty();
        other.until("the hold is over", waits).await;
    }
}
