//! A queue's rate is exact, over all workers and whatever functions its tasks are of; and who waits starts at the moment at
//! which he may.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use stent::backend::{Claim, Claimed, Commands, Function, NewPause, NewWorker, Pausable, Request, Response};
use stent::model::{
    DispatchOptions, ExecutionState, FunctionOptions, Id, Rate, RetryPolicy, Status, TaskOptions, Timestamp, WaitMode,
};

use super::house::*;

cases! {
    a_burst_starts_and_no_more_whatever_the_functions,
    a_retry_and_what_a_worker_left_are_starts,
    what_goes_on_after_a_wait_is_no_start,
    the_next_starts_at_its_moment,
    in_no_stretch_of_time_more_start,
    who_waits_starts_by_priority_and_then_in_order,
    a_cancel_and_a_pause_take_no_token,
    others_do_not_wait_for_it,
    rates_of_functions_and_keys_hold_beside_it,
    limits_of_running_tasks_hold_beside_it,
    who_waits_for_something_else_takes_no_token,
    nothing_of_it_waits_at_a_worker,
    the_protocols_claim_takes_tokens,
    a_rate_comes_changes_and_goes,
    another_worker_changes_nothing_of_queues_that_it_does_not_name,
    all_stores_know_of_it,
}

fn queue() -> String {
    format!("rated-{:032x}", rand::random::<u128>())
}

/// So many at once, and then none for long.
fn burst(burst: u32) -> Rate {
    Rate { limit: 1, period: 10_000.0, burst }
}

fn one_in(period: f64) -> Rate {
    Rate { limit: 1, period, burst: 1 }
}

fn tried() -> FunctionOptions {
    let policy = RetryPolicy { max_attempts: 9, max_deaths: 1_000, initial_delay: 0.0, ..RetryPolicy::default() };
    FunctionOptions { retry_policy: Some(policy), ..FunctionOptions::default() }
}

fn into(queue: &str, priority: i64) -> DispatchOptions {
    let task = TaskOptions { queue: Some(queue.to_owned()), priority: Some(priority), ..TaskOptions::default() };
    DispatchOptions { task, ..DispatchOptions::default() }
}

async fn many(store: &Store, function: &str, queue: &str, count: usize) -> Vec<Id> {
    let executions = (0..count).map(|_| new_execution(function, "[]", into(queue, 0))).collect();
    store.backend.dispatch(executions).await.must()
}

type Rates<'a> = &'a [(&'a str, Option<Rate>)];

/// A worker that runs these functions and says this of queues. False: the store has no rates.
async fn declared(store: &Store, worker: &str, functions: &[(&str, FunctionOptions)], rates: Rates<'_>) -> bool {
    let function =
        |(name, options): &(&str, FunctionOptions)| Function { name: (*name).to_owned(), options: options.clone() };
    let new = NewWorker {
        worker_id: worker.to_owned(),
        queues: Vec::new(),
        tags: Vec::new(),
        functions: functions.iter().map(function).collect(),
        queue_rates: rates.iter().map(|(queue, rate)| ((*queue).to_owned(), rate.clone())).collect(),
    };
    match store.backend.register_worker(new).await {
        Err(why) if why.status() == Status::Unsupported => false,
        registered => {
            registered.must();
            true
        }
    }
}

/// Worker `w` runs `f` and `g`.
async fn rated(store: &Store, queue: &str, rate: Rate) -> bool {
    declared(store, "w", &[("f", tried()), ("g", tried())], &[(queue, Some(rate))]).await
}

/// The functions of those that begin now, sorted.
async fn functions(store: &Store, count: usize) -> Vec<String> {
    let mut names: Vec<String> = store.claim("w", count).await.into_iter().map(|one| one.task.step_name).collect();
    names.sort_unstable();
    names
}

async fn a_burst_starts_and_no_more_whatever_the_functions(store: Store) {
    let (queue, other) = (queue(), queue());
    if !rated(&store, &queue, burst(3)).await {
        return;
    }
    let mut all = many(&store, "f", &queue, 2).await;
    all.extend(many(&store, "g", &queue, 4).await);
    let taken = store.claim("w", 9).await;
    assert_eq!(taken.iter().map(|one| one.task.execution_id).collect::<Vec<_>>(), all[..3]);
    for one in &taken {
        store.complete(one, "1").await;
    }
    store.sweep().await;
    store.idle().await;
    // What is in another queue, or in none, is not limited.
    many(&store, "g", &other, 2).await;
    store.start("f").await;
    assert_eq!(functions(&store, 9).await, ["f", "g", "g"]);
}

async fn a_retry_and_what_a_worker_left_are_starts(store: Store) {
    let queue = queue();
    if !rated(&store, &queue, burst(4)).await {
        return;
    }
    many(&store, "f", &queue, 1).await;
    for _ in 0..2 {
        let taken = store.take().await;
        store.record(&taken, Commands::default(), retry(Duration::ZERO)).await;
    }
    for _ in 0..2 {
        store.die().await;
        assert!(rated(&store, &queue, burst(4)).await);
    }
    store.idle().await;
}

async fn what_goes_on_after_a_wait_is_no_start(store: Store) {
    let queue = queue();
    if !rated(&store, &queue, burst(1)).await {
        return;
    }
    let all = many(&store, "f", &queue, 2).await;
    let mut taken = store.take().await;
    for op in 1..4 {
        store.suspend(&taken, spawns([wait_for(&taken, op, "go", None)]), WaitMode::All, &[op], op as u64 - 1).await;
        store.idle().await;
        store.send(all[0], "go", "1").await;
        taken = store.take().await;
        assert_eq!(taken.task.execution_id, all[0]);
    }
    // Nor does it wait for those of another function that are before it.
    store.suspend(&taken, spawns([wait_for(&taken, 4, "go", None)]), WaitMode::All, &[4], 3).await;
    let first = (0..9).map(|_| new_execution("g", "[]", into(&queue, 9))).collect();
    store.backend.dispatch(first).await.must();
    store.backend.cancel(all[1], None).await.must();
    store.send(all[0], "go", "1").await;
    assert_eq!(store.take().await.task.execution_id, all[0]);
    store.idle().await;
}

async fn started(store: &Store, execution: Id) -> Option<Timestamp> {
    store.task(root_of(execution)).await.started_at
}

async fn the_next_starts_at_its_moment(store: Store) {
    const EVERY: Duration = Duration::from_secs(1);
    let queue = queue();
    if !rated(&store, &queue, one_in(1.0)).await {
        return;
    }
    let mut all = many(&store, "f", &queue, 2).await;
    all.extend(many(&store, "g", &queue, 1).await);
    store.take().await;
    let mut before = started(&store, all[0]).await.must();
    for next in &all[1..] {
        store.idle().await;
        let due = store.backend.sweep("w").await.must().next_due.must();
        assert!(due <= EVERY, "{due:?}");
        store.until("a token is there", async |store| !store.claim("w", 1).await.is_empty()).await;
        let at = started(&store, *next).await.must();
        assert!(at.since(before) >= EVERY, "{:?}", at.since(before));
        before = at;
    }
}

/// Two functions, of which one has a rate of its own, in two queues with rates: four workers on two stores take what they can,
/// and some attempts fail or are given back. All limits hold, and all ends.
async fn in_no_stretch_of_time_more_start(store: Store) {
    const EACH: usize = 20;
    let of_queues = Rate { limit: 100, period: 1.0, burst: 4 };
    let of_function = Rate { limit: 80, period: 1.0, burst: 3 };
    let queues = [queue(), queue()];
    let rates: Vec<(String, Rate)> = queues.iter().map(|queue| (queue.clone(), of_queues.clone())).collect();
    let register = async |store: &Store, worker: &str| {
        let functions = [("f", FunctionOptions { rate: Some(of_function.clone()), ..tried() }), ("g", tried())];
        let rates: Vec<_> = rates.iter().map(|(queue, rate)| (queue.as_str(), Some(rate.clone()))).collect();
        declared(store, worker, &functions, &rates).await
    };
    if !register(&store, "w").await {
        return;
    }
    let other = store.another().await;
    // What is limited together: each queue, and the function.
    let mut of: BTreeMap<Id, (usize, bool)> = BTreeMap::new();
    for (place, queue) in queues.iter().enumerate() {
        for function in ["f", "g"] {
            let all = many(&store, function, queue, EACH).await;
            of.extend(all.into_iter().map(|id| (id, (place, function == "f"))));
        }
    }
    let (done, turns) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let most = of.len();
    let mut workers = Vec::new();
    for number in 0..4 {
        let store = if number % 2 == 0 { store.clone() } else { other.clone() };
        let worker = format!("w{number}");
        assert!(register(&store, &worker).await);
        let (done, turns) = (Arc::clone(&done), Arc::clone(&turns));
        workers.push(beside(async move {
            let mut starts = Vec::new();
            while done.load(SeqCst) < most {
                let swept = store.backend.sweep(&worker).await.must();
                let taken = store.claim(&worker, 3).await;
                if taken.is_empty() {
                    tokio::time::sleep(swept.next_due.unwrap_or_default().min(Duration::from_millis(2))).await;
                }
                for one in &taken {
                    starts.push((one.task.execution_id, store.task(one.task.id).await.started_at.must()));
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
    let in_queue = |place| move |(queue, _): (usize, bool)| queue == place;
    holds(&starts, &of, &of_queues, in_queue(0));
    holds(&starts, &of, &of_queues, in_queue(1));
    holds(&starts, &of, &of_function, |(_, is_f)| is_f);
}

/// In no stretch of time more of these have started than may.
fn holds(
    starts: &[(Id, Timestamp)],
    of: &BTreeMap<Id, (usize, bool)>,
    rate: &Rate,
    counts: impl Fn((usize, bool)) -> bool,
) {
    let mut times: Vec<i64> = starts.iter().filter(|(id, _)| counts(of[id])).map(|(_, at)| at.micros()).collect();
    times.sort_unstable();
    assert!(times.len() >= 40);
    for (first, from) in times.iter().enumerate() {
        for (last, to) in times.iter().enumerate().skip(first) {
            let most = i64::from(rate.burst) + (to - from) / rate.interval();
            let count = (last - first + 1) as i64;
            assert!(count <= most, "{count} starts in {} us, where {most} may", to - from);
        }
    }
}

async fn who_waits_starts_by_priority_and_then_in_order(store: Store) {
    let queue = queue();
    if !rated(&store, &queue, one_in(0.5)).await {
        return;
    }
    let start = async |function, priority| store.start_with(function, "[]", into(&queue, priority)).await.must();
    let first = start("f", 0).await;
    assert_eq!(store.take().await.task.execution_id, first);
    let (second, third, best) = (start("g", 0).await, start("f", 0).await, start("g", 5).await);
    let mut last = first;
    for next in [best, second, third] {
        store.until("a token is there", async |store| !store.claim("w", 9).await.is_empty()).await;
        assert!(started(&store, next).await.must() > started(&store, last).await.must());
        last = next;
    }
}

async fn a_cancel_and_a_pause_take_no_token(store: Store) {
    let queue = queue();
    if !rated(&store, &queue, burst(2)).await {
        return;
    }
    let all = many(&store, "f", &queue, 3).await;
    store.backend.cancel(all[0], None).await.must();
    store.until_execution(all[0], ExecutionState::Cancelled).await;
    let what = Pausable::Queue(queue.clone());
    store.backend.pause(NewPause { what: what.clone(), reason: None, by: None }).await.must();
    store.idle().await;
    store.backend.unpause(what).await.must();
    let taken = store.claim("w", 9).await;
    assert_eq!(taken.iter().map(|one| one.task.execution_id).collect::<Vec<_>>(), all[1..]);
    many(&store, "g", &queue, 1).await;
    store.idle().await;
}

async fn others_do_not_wait_for_it(store: Store) {
    let queue = queue();
    if !rated(&store, &queue, burst(1)).await {
        return;
    }
    let executions = (0..20).map(|_| new_execution("f", "[]", into(&queue, 9))).collect();
    store.backend.dispatch(executions).await.must();
    for function in ["f", "g", "g"] {
        store.start(function).await;
    }
    assert_eq!(functions(&store, 4).await, ["f", "f", "g", "g"]);
}

fn keyed(queue: &str, key: &str) -> DispatchOptions {
    let mut options = into(queue, 0);
    options.task.concurrency_key = Some(key.to_owned());
    options
}

async fn rates_of_functions_and_keys_hold_beside_it(store: Store) {
    let queue = queue();
    let f = FunctionOptions { rate: Some(burst(3)), ..tried() };
    let g = FunctionOptions { rate_per_key: Some(burst(1)), ..tried() };
    if !declared(&store, "w", &[("f", f), ("g", g)], &[(&queue, Some(burst(5)))]).await {
        return;
    }
    many(&store, "f", &queue, 4).await;
    for key in ["a", "a", "b", "c"] {
        store.start_with("g", "[]", keyed(&queue, key)).await.must();
    }
    assert_eq!(functions(&store, 9).await, ["f", "f", "f", "g", "g"], "the function's three, and the queue's five");
    store.idle().await;
    // Outside of the queue the function's are gone as well, and the keys have some left: b's was none of the two.
    store.start("f").await;
    let mut options = keyed(&queue, "d");
    options.task.queue = None;
    store.start_with("g", "[]", options).await.must();
    assert_eq!(functions(&store, 9).await, ["g"]);
}

async fn limits_of_running_tasks_hold_beside_it(store: Store) {
    let queue = queue();
    let f = FunctionOptions { max_concurrent: Some(2), ..tried() };
    let g = FunctionOptions { max_concurrent_per_key: Some(1), ..tried() };
    if !declared(&store, "w", &[("f", f), ("g", g)], &[(&queue, Some(burst(4)))]).await {
        return;
    }
    many(&store, "f", &queue, 4).await;
    for _ in 0..3 {
        store.start_with("g", "[]", keyed(&queue, "a")).await.must();
    }
    let taken = store.claim("w", 9).await;
    assert_eq!(taken.len(), 2 + 1, "two of f, one of the key");
    store.idle().await;
    for one in &taken {
        store.complete(one, "1").await;
    }
    assert_eq!(functions(&store, 9).await, ["f"], "the queue's fourth");
    store.idle().await;
}

async fn who_waits_for_something_else_takes_no_token(store: Store) {
    let queue = queue();
    let f = FunctionOptions { rate: Some(burst(1)), ..tried() };
    if !declared(&store, "w", &[("f", f), ("g", tried())], &[(&queue, Some(burst(3)))]).await {
        return;
    }
    many(&store, "f", &queue, 3).await;
    store.take().await;
    store.idle().await;
    many(&store, "g", &queue, 3).await;
    assert_eq!(functions(&store, 9).await, ["g", "g"]);
    store.idle().await;
    // And the other way about: the function's are not taken by those who wait for the queue's.
    let other = self::queue();
    let f = FunctionOptions { rate: Some(burst(3)), ..tried() };
    assert!(declared(&store, "w", &[("f", f), ("g", tried())], &[(&other, Some(burst(1)))]).await);
    many(&store, "f", &other, 2).await;
    store.take().await;
    store.idle().await;
    many(&store, "f", &format!("{other}-free"), 2).await;
    assert_eq!(store.claim("w", 9).await.len(), 1, "of the function's three: one before, one of the queue, and this");
}

async fn nothing_of_it_waits_at_a_worker(store: Store) {
    let queue = queue();
    if !rated(&store, &queue, burst(9)).await {
        return;
    }
    many(&store, "f", &queue, 4).await;
    let more = Claim { limited: 1, begin: 1, ..claim("w", 9, LEASE) };
    let taken: Claimed = only(store.claim_with(more).await);
    store.complete(&taken, "1").await;
    assert_eq!(store.claim("w", 9).await.len(), 3);
}

async fn the_protocols_claim_takes_tokens(store: Store) {
    let (queue, other) = (queue(), queue());
    if !rated(&store, &queue, burst(2)).await {
        return;
    }
    let next = async |queue: &str| {
        let request = Request::ClaimNextTask {
            worker_id: "w".to_owned(),
            queues: Some(vec![queue.to_owned()]),
            tags: None,
            now: None,
            lease_duration: 600.0,
            concurrency_limits: BTreeMap::new(),
        };
        match store.backend.call(request).await.must() {
            Response::Task(task) => task.map(|task| task.execution_id),
            other => panic!("{other:?}"),
        }
    };
    let mut all = many(&store, "f", &queue, 1).await;
    all.extend(many(&store, "g", &queue, 2).await);
    many(&store, "g", &other, 1).await;
    assert_eq!(next(&queue).await, Some(all[0]));
    assert_eq!(next(&queue).await, Some(all[1]));
    assert_eq!(next(&queue).await, None);
    assert!(next(&other).await.is_some());
}

async fn a_rate_comes_changes_and_goes(store: Store) {
    let queue = queue();
    store.worker("w", &["f"]).await;
    many(&store, "f", &queue, 9).await;
    let running = store.claim("w", 2).await;
    assert_eq!(running.len(), 2);
    // What runs has taken no token.
    if !rated(&store, &queue, burst(2)).await {
        for one in running.iter().chain(&store.claim("w", 9).await) {
            store.complete(one, "1").await;
        }
        return;
    }
    assert_eq!(store.claim("w", 9).await.len(), 2);
    store.idle().await;
    assert!(rated(&store, &queue, burst(3)).await);
    assert_eq!(store.claim("w", 9).await.len(), 1);
    store.idle().await;
    assert!(declared(&store, "w", &[("f", tried())], &[(&queue, None)]).await);
    assert_eq!(store.claim("w", 9).await.len(), 4);
}

async fn another_worker_changes_nothing_of_queues_that_it_does_not_name(store: Store) {
    let (queue, other) = (queue(), queue());
    if !rated(&store, &queue, burst(1)).await {
        return;
    }
    assert!(declared(&store, "v", &[("f", tried())], &[(&other, Some(burst(2)))]).await);
    many(&store, "f", &queue, 2).await;
    many(&store, "g", &other, 3).await;
    assert_eq!(functions(&store, 9).await, ["f", "g", "g"]);
    store.backend.remove_worker("v").await.must();
    store.idle().await;
}

async fn all_stores_know_of_it(store: Store) {
    let queue = queue();
    let other = store.another().await;
    other.worker("v", &["f"]).await;
    // What it has read of the store is of before.
    assert_eq!(other.claim("v", 0).await.len(), 0);
    if !rated(&store, &queue, burst(2)).await {
        return;
    }
    many(&store, "f", &queue, 4).await;
    assert_eq!(store.claim("w", 1).await.len(), 1);
    assert_eq!(other.claim("v", 9).await.len(), 1);
    assert_eq!(other.claim("v", 9).await.len(), 0);
    store.idle().await;
}
