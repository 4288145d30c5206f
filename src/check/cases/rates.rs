//! `rate` and `rate_per_key` are exact, across all workers, whatever becomes of the attempts that start; and who waits starts
//! at the moment at which he may.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stent::backend::{Commands, NewPause, Pausable};
use stent::model::{
    DispatchOptions, ExecutionState, FunctionOptions, Id, Rate, RetryPolicy, TaskOptions, Timestamp, WaitMode,
};

use super::house::*;
use super::slots::has_slots;

cases! {
    a_burst_starts_and_no_more,
    a_burst_of_a_key_starts_and_no_more,
    keys_have_buckets_of_their_own,
    without_a_key_there_is_no_rate_of_keys,
    a_retry_is_a_start,
    a_retry_of_a_key_is_a_start,
    what_goes_on_after_a_wait_is_no_start,
    what_goes_on_after_a_wait_is_no_start_of_its_key,
    what_a_worker_left_starts_again,
    what_a_worker_left_of_a_key_starts_again,
    the_next_starts_at_its_moment,
    the_next_of_a_key_starts_at_its_moment,
    in_no_stretch_of_time_more_start,
    in_no_stretch_of_time_more_of_a_key_start,
    who_waits_starts_by_priority_and_then_in_order,
    who_waits_for_his_key_starts_by_priority_and_then_in_order,
    a_cancel_takes_no_token,
    a_pause_takes_no_token,
    others_do_not_wait_for_a_rate,
    the_limits_of_running_tasks_hold_beside_it,
    nothing_of_it_waits_at_a_worker,
    a_rate_comes_changes_and_goes,
}

/// So many at once, and then none for long.
fn burst(burst: u32) -> Option<Rate> {
    Some(Rate { limit: 1, period: 10_000.0, burst })
}

fn one_in(period: f64) -> Option<Rate> {
    Some(Rate { limit: 1, period, burst: 1 })
}

fn of_function(rate: Option<Rate>) -> FunctionOptions {
    let policy = RetryPolicy { max_attempts: 9, max_deaths: 1_000, initial_delay: 0.0, ..RetryPolicy::default() };
    FunctionOptions { rate, retry_policy: Some(policy), ..FunctionOptions::default() }
}

fn of_keys(rate: Option<Rate>) -> FunctionOptions {
    FunctionOptions { rate_per_key: rate, ..of_function(None) }
}

fn with(key: Option<&str>, priority: i64) -> DispatchOptions {
    let task =
        TaskOptions { priority: Some(priority), concurrency_key: key.map(str::to_owned), ..TaskOptions::default() };
    DispatchOptions { task, ..DispatchOptions::default() }
}

/// As many executions of `f`, in this order.
async fn many(store: &Store, key: Option<&str>, count: usize) -> Vec<Id> {
    let executions = (0..count).map(|_| new_execution("f", "[]", with(key, 0))).collect();
    store.backend.dispatch(executions).await.must()
}

/// Does the store have rates? Then `w` runs `f` by these.
async fn rated(store: &Store, options: &FunctionOptions) -> bool {
    has_slots(store, "w", vec![("f", options.clone())]).await
}

async fn bursts(store: Store, options: FunctionOptions, key: Option<&str>) {
    if !rated(&store, &options).await {
        return;
    }
    many(&store, key, 6).await;
    let taken = store.claim("w", 9).await;
    assert_eq!(taken.len(), 3);
    for one in &taken {
        store.complete(one, "1").await;
    }
    store.sweep().await;
    store.idle().await;
}

async fn a_burst_starts_and_no_more(store: Store) {
    bursts(store, of_function(burst(3)), None).await;
}

async fn a_burst_of_a_key_starts_and_no_more(store: Store) {
    bursts(store, of_keys(burst(3)), Some("a")).await;
}

async fn keys_have_buckets_of_their_own(store: Store) {
    if !has_slots(&store, "w", vec![("f", of_keys(burst(2))), ("g", of_keys(burst(2)))]).await {
        return;
    }
    many(&store, Some("a"), 3).await;
    many(&store, Some("b"), 1).await;
    for _ in 0..3 {
        store.start_with("g", "[]", with(Some("a"), 0)).await.must();
    }
    assert_eq!(store.claim("w", 9).await.len(), 2 + 1 + 2);
    store.idle().await;
}

async fn without_a_key_there_is_no_rate_of_keys(store: Store) {
    if rated(&store, &of_keys(burst(1))).await {
        many(&store, None, 4).await;
        assert_eq!(store.claim("w", 9).await.len(), 4);
    }
}

async fn retried(store: Store, options: FunctionOptions, key: Option<&str>) {
    if !rated(&store, &options).await {
        return;
    }
    many(&store, key, 1).await;
    for _ in 0..2 {
        let taken = store.take().await;
        store.record(&taken, Commands::default(), retry(Duration::ZERO)).await;
    }
    store.idle().await;
}

async fn a_retry_is_a_start(store: Store) {
    retried(store, of_function(burst(2)), None).await;
}

async fn a_retry_of_a_key_is_a_start(store: Store) {
    retried(store, of_keys(burst(2)), Some("a")).await;
}

async fn goes_on(store: Store, options: FunctionOptions, key: Option<&str>) {
    if !rated(&store, &options).await {
        return;
    }
    let all = many(&store, key, 2).await;
    let mut taken = store.take().await;
    for op in 1..4 {
        store.suspend(&taken, spawns([wait_for(&taken, op, "go", None)]), WaitMode::All, &[op], op as u64 - 1).await;
        store.idle().await;
        store.send(all[0], "go", "1").await;
        taken = store.take().await;
        assert_eq!(taken.task.execution_id, all[0]);
    }
    store.complete(&taken, "1").await;
    store.idle().await;
}

async fn what_goes_on_after_a_wait_is_no_start(store: Store) {
    goes_on(store, of_function(burst(1)), None).await;
}

async fn what_goes_on_after_a_wait_is_no_start_of_its_key(store: Store) {
    goes_on(store, of_keys(burst(1)), Some("a")).await;
}

async fn left(store: Store, options: FunctionOptions, key: Option<&str>) {
    if !rated(&store, &options).await {
        return;
    }
    many(&store, key, 1).await;
    for _ in 0..2 {
        store.die().await;
        store.worker_with("w", vec![("f", options.clone())]).await;
    }
    store.idle().await;
}

async fn what_a_worker_left_starts_again(store: Store) {
    left(store, of_function(burst(2)), None).await;
}

async fn what_a_worker_left_of_a_key_starts_again(store: Store) {
    left(store, of_keys(burst(2)), Some("a")).await;
}

async fn started(store: &Store, execution: Id) -> Option<Timestamp> {
    store.task(root_of(execution)).await.started_at
}

async fn at_its_moment(store: Store, options: FunctionOptions, key: Option<&str>) {
    const EVERY: Duration = Duration::from_secs(1);
    if !rated(&store, &options).await {
        return;
    }
    let all = many(&store, key, 3).await;
    store.take().await;
    let mut before = started(&store, all[0]).await.unwrap();
    for next in &all[1..] {
        store.idle().await;
        let swept = store.backend.sweep("w").await.must();
        let due = swept.next_due.expect("the next token's time is known");
        assert!(due <= EVERY, "{due:?}");
        store.until("a token is there", async |store| !store.claim("w", 1).await.is_empty()).await;
        let at = started(&store, *next).await.unwrap();
        assert!(at.since(before) >= EVERY, "{:?}", at.since(before));
        before = at;
    }
}

async fn the_next_starts_at_its_moment(store: Store) {
    at_its_moment(store, of_function(one_in(1.0)), None).await;
}

async fn the_next_of_a_key_starts_at_its_moment(store: Store) {
    if !rated(&store, &of_keys(one_in(1.0))).await {
        return;
    }
    many(&store, Some("b"), 1).await;
    let waits = only(many(&store, Some("b"), 1).await);
    let first = store.take().await;
    let why = only(store.backend.slot_waits(waits, 9).await.must());
    assert!(why.is_for_token() && why.concurrency_key.as_deref() == Some("b"), "{why:?}");
    let next = why.next_at.expect("it is known when the next may start");
    let from = started(&store, first.task.execution_id).await.unwrap();
    store.until("its token is there", async |store| !store.claim("w", 1).await.is_empty()).await;
    assert!(started(&store, waits).await.unwrap() >= next && next > from, "{next} after {from}");
    at_its_moment(store, of_keys(one_in(1.0)), Some("a")).await;
}

/// Several workers on two stores take what they can; some attempts fail, some are given back, and some workers die.
async fn in_no_stretch(store: Store, options: FunctionOptions, rate: Rate, keys: &[Option<&str>]) {
    const EACH: usize = 30;
    if !rated(&store, &options).await {
        return;
    }
    let other = store.another().await;
    let mut all = Vec::new();
    for key in keys {
        all.push(many(&store, *key, EACH).await);
    }
    let (done, turns) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let most = EACH * keys.len();
    let mut workers = Vec::new();
    for number in 0..4 {
        let store = if number % 2 == 0 { store.clone() } else { other.clone() };
        let worker = format!("w{number}");
        store.worker_with(&worker, vec![("f", options.clone())]).await;
        let (done, turns, options) = (Arc::clone(&done), Arc::clone(&turns), options.clone());
        workers.push(beside(async move {
            // Of attempts that were not the last, with the task.
            let mut starts = Vec::new();
            while done.load(SeqCst) < most {
                let swept = store.backend.sweep(&worker).await.must();
                let taken = store.claim(&worker, 3).await;
                if taken.is_empty() {
                    tokio::time::sleep(swept.next_due.unwrap_or_default().min(Duration::from_millis(2))).await;
                }
                let turn = turns.fetch_add(1, SeqCst);
                if turn.is_multiple_of(9) {
                    let dead = format!("{worker}-{turn}");
                    store.worker_with(&dead, vec![("f", options.clone())]).await;
                    for one in store.claim_with(claim(&dead, 1, DYING)).await {
                        let now = store.task(one.task.id).await;
                        // Else the row is another's by now.
                        if let Some(at) = now.started_at.filter(|_| now.fence == one.task.fence) {
                            starts.push((one.task.execution_id, at));
                        }
                    }
                }
                for one in &taken {
                    let at = store.task(one.task.id).await.started_at.unwrap();
                    starts.push((one.task.execution_id, at));
                    match turns.fetch_add(1, SeqCst) % 5 {
                        0 if one.task.retries < 3 => {
                            store.record(one, Commands::default(), retry(Duration::ZERO)).await;
                        }
                        1 => store.release(one).await,
                        _ => {
                            store.complete(one, "1").await;
                            done.fetch_add(1, SeqCst);
                        }
                    }
                }
            }
            starts
        }));
    }
    let mut starts = Vec::new();
    for worker in workers {
        starts.extend(worker.await.must());
    }
    assert!(starts.len() > most, "some have started more than once");
    for of in all {
        let mut times: Vec<i64> = starts.iter().filter(|(id, _)| of.contains(id)).map(|(_, at)| at.micros()).collect();
        times.sort_unstable();
        for (first, from) in times.iter().enumerate() {
            for (last, to) in times.iter().enumerate().skip(first) {
                let most = i64::from(rate.burst) + (to - from) / rate.interval();
                let count = (last - first + 1) as i64;
                assert!(count <= most, "{count} starts in {} us, where {most} may", to - from);
            }
        }
    }
}

async fn in_no_stretch_of_time_more_start(store: Store) {
    let rate = Rate { limit: 100, period: 1.0, burst: 4 };
    in_no_stretch(store, of_function(Some(rate.clone())), rate, &[None]).await;
}

async fn in_no_stretch_of_time_more_of_a_key_start(store: Store) {
    let rate = Rate { limit: 50, period: 1.0, burst: 4 };
    in_no_stretch(store, of_keys(Some(rate.clone())), rate, &[Some("a"), Some("b"), Some("c")]).await;
}

async fn in_order(store: Store, options: FunctionOptions, key: Option<&str>) {
    if !rated(&store, &options).await {
        return;
    }
    let start = async |priority| store.start_with("f", "[]", with(key, priority)).await.must();
    let first = start(0).await;
    assert_eq!(store.take().await.task.execution_id, first);
    let (second, third, best) = (start(0).await, start(0).await, start(5).await);
    let mut order = Vec::new();
    for _ in 0..3 {
        let taken = Mutex::default();
        let claims = async |store: &Store| {
            let claimed = store.claim("w", 9).await;
            let found = !claimed.is_empty();
            *taken.lock().unwrap_or_else(PoisonError::into_inner) = claimed;
            found
        };
        store.until("a token is there", claims).await;
        order.push(only(taken.into_inner().unwrap_or_else(PoisonError::into_inner)).task.execution_id);
    }
    assert_eq!(order, [best, second, third]);
}

async fn who_waits_starts_by_priority_and_then_in_order(store: Store) {
    in_order(store, of_function(one_in(0.5)), None).await;
}

async fn who_waits_for_his_key_starts_by_priority_and_then_in_order(store: Store) {
    in_order(store, of_keys(one_in(0.5)), Some("a")).await;
}

async fn a_cancel_takes_no_token(store: Store) {
    for (options, key) in [(of_function(burst(1)), None), (of_keys(burst(1)), Some("a"))] {
        if !rated(&store, &options).await {
            return;
        }
        let all = many(&store, key, 3).await;
        for gone in &all[..2] {
            store.backend.cancel(*gone, None).await.must();
            store.until_execution(*gone, ExecutionState::Cancelled).await;
        }
        let taken = store.take().await;
        assert_eq!(taken.task.execution_id, all[2]);
        store.complete(&taken, "1").await;
        let late = only(many(&store, key, 1).await);
        store.idle().await;
        store.backend.cancel(late, None).await.must();
        store.until_execution(late, ExecutionState::Cancelled).await;
    }
}

async fn a_pause_takes_no_token(store: Store) {
    if !rated(&store, &FunctionOptions { rate: burst(2), ..of_keys(burst(1)) }).await {
        return;
    }
    let all = many(&store, Some("a"), 2).await;
    let what = Pausable::Function("f".to_owned());
    store.backend.pause(NewPause { what: what.clone(), reason: None, by: None }).await.must();
    store.idle().await;
    store.backend.unpause(what).await.must();
    assert_eq!(store.take().await.task.execution_id, all[0]);
    store.idle().await;
    // Of the function's two there is one left, for another key.
    many(&store, Some("b"), 1).await;
    store.take().await;
    many(&store, Some("c"), 1).await;
    store.idle().await;
}

async fn others_do_not_wait_for_a_rate(store: Store) {
    if !has_slots(&store, "w", vec![("f", of_function(burst(1))), ("g", FunctionOptions::default())]).await {
        return;
    }
    store.backend.dispatch((0..20).map(|_| new_execution("f", "[]", with(None, 9))).collect()).await.must();
    for _ in 0..3 {
        store.start("g").await;
    }
    let mut functions: Vec<String> = store.claim("w", 4).await.into_iter().map(|one| one.task.step_name).collect();
    functions.sort_unstable();
    assert_eq!(functions, ["f", "g", "g", "g"]);
}

async fn the_limits_of_running_tasks_hold_beside_it(store: Store) {
    let both = FunctionOptions { max_concurrent_per_key: Some(1), max_concurrent: Some(2), ..of_keys(burst(2)) };
    if !rated(&store, &both).await {
        return;
    }
    for key in ["a", "a", "a", "b", "c"] {
        many(&store, Some(key), 1).await;
    }
    let taken = store.claim("w", 9).await;
    assert_eq!(taken.len(), 2, "one of a key, two of all");
    store.idle().await;
    for one in &taken {
        store.complete(one, "1").await;
    }
    let taken = store.claim("w", 9).await;
    assert_eq!(taken.len(), 2, "the second of a, and one of c");
    for one in &taken {
        store.complete(one, "1").await;
    }
    // The third of a waits for a token, not for a slot.
    store.idle().await;
}

async fn nothing_of_it_waits_at_a_worker(store: Store) {
    for (options, key) in [(of_function(burst(9)), None), (of_keys(burst(9)), Some("a"))] {
        if !rated(&store, &options).await {
            return;
        }
        many(&store, key, 4).await;
        let more = stent::backend::Claim { limited: 1, begin: 1, ..claim("w", 9, LEASE) };
        let taken = only(store.claim_with(more).await);
        store.complete(&taken, "1").await;
        for one in store.claim("w", 9).await {
            store.complete(&one, "1").await;
        }
    }
}

async fn a_rate_comes_changes_and_goes(store: Store) {
    type Make = fn(Option<Rate>) -> FunctionOptions;
    for (make, key) in [(of_function as Make, None), (of_keys as Make, Some("a"))] {
        store.worker("w", &["f"]).await;
        many(&store, key, 9).await;
        let running = store.claim("w", 2).await;
        assert_eq!(running.len(), 2);
        // What runs has taken no token.
        if !rated(&store, &make(burst(2))).await {
            for one in running.iter().chain(&store.claim("w", 9).await) {
                store.complete(one, "1").await;
            }
            return;
        }
        assert_eq!(store.claim("w", 9).await.len(), 2);
        store.idle().await;
        assert!(rated(&store, &make(burst(3))).await);
        assert_eq!(store.claim("w", 9).await.len(), 1);
        store.idle().await;
        assert!(rated(&store, &make(None)).await);
        assert_eq!(store.claim("w", 9).await.len(), 4);
    }
}
