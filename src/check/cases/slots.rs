//! `max_concurrent_per_key` is exact for each key, across all workers, whatever becomes of the tasks that hold its slots.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stent::backend::{Claimed, Commands, Function, NewWorker, SlotWait};
use stent::model::{
    CallOptions, DispatchOptions, ExecutionState, FunctionOptions, Id, Status, TaskOptions, TaskState, WaitMode,
};

use super::house::*;

cases! {
    each_key_has_slots_of_its_own,
    without_a_key_there_is_no_limit,
    the_limit_of_a_key_holds_across_stores_and_workers,
    who_waits_is_served_by_priority_and_then_in_order,
    what_is_suspended_holds_no_slot,
    what_waits_for_a_retry_holds_no_slot,
    a_delay_holds_no_slot,
    what_is_given_back_keeps_its_slot,
    a_lease_that_ends_keeps_its_slot,
    what_is_parked_holds_no_slot,
    a_dead_letter_frees_its_slot,
    a_cancel_frees_a_slot_and_a_place_in_the_line,
    the_children_of_a_parent_that_fails_free_theirs,
    calls_have_keys_too,
    other_functions_with_the_key_are_not_counted,
    the_whole_limit_of_the_function_holds_beside_it,
    a_pause_keeps_the_slot,
    what_leaves_the_store_frees_its_slot,
    what_is_forked_waits_for_a_slot,
    what_is_done_over_frees_its_slot,
    many_that_wait_and_end_at_once,
}

pub fn per_key(most: u32) -> FunctionOptions {
    let policy = stent::model::RetryPolicy { max_attempts: 5, initial_delay: 0.0, ..Default::default() };
    FunctionOptions { max_concurrent_per_key: Some(most), retry_policy: Some(policy), ..FunctionOptions::default() }
}

/// False: the store has no slots.
pub async fn has_slots(store: &Store, worker: &str, functions: Vec<(&str, FunctionOptions)>) -> bool {
    let functions = functions.into_iter().map(|(name, options)| Function { name: name.to_owned(), options });
    let new = NewWorker {
        worker_id: worker.to_owned(),
        queues: Vec::new(),
        tags: Vec::new(),
        functions: functions.collect(),
        queue_rates: BTreeMap::new(),
    };
    match store.backend.register_worker(new).await {
        Err(why) if why.status() == Status::Unsupported => false,
        registered => {
            registered.must();
            true
        }
    }
}

fn keyed(key: &str) -> DispatchOptions {
    DispatchOptions { task: of_key(key), ..DispatchOptions::default() }
}

fn of_key(key: &str) -> TaskOptions {
    TaskOptions { concurrency_key: Some(key.to_owned()), ..TaskOptions::default() }
}

async fn start(store: &Store, function: &str, key: &str) -> Id {
    store.start_with(function, "[]", keyed(key)).await.must()
}

pub async fn many(store: &Store, key: &str, count: usize) {
    let executions = (0..count).map(|_| new_execution("f", "[]", keyed(key))).collect();
    store.backend.dispatch(executions).await.must();
}

/// How many run of each key.
#[derive(Default)]
struct Running(Mutex<HashMap<String, i64>>);

impl Running {
    fn change(&self, key: String, by: i64) -> i64 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all.entry(key).or_default();
        *of += by;
        *of
    }
}

async fn each_key_has_slots_of_its_own(store: Store) {
    if !has_slots(&store, "w", vec![("f", per_key(2))]).await {
        return;
    }
    many(&store, "a", 3).await;
    many(&store, "b", 1).await;
    let taken = store.claim("w", 9).await;
    assert_eq!(taken.len(), 3);
    store.idle().await;
    store.complete(&taken[0], "1").await;
    let last = store.take().await;
    store.idle().await;
    for one in taken[1..].iter().chain([&last]) {
        store.complete(one, "1").await;
    }
    store.idle().await;
}

async fn without_a_key_there_is_no_limit(store: Store) {
    if !has_slots(&store, "w", vec![("f", per_key(1)), ("g", FunctionOptions::default())]).await {
        return;
    }
    store.start("f").await;
    store.start("f").await;
    // Nor is there one for a function that has none.
    start(&store, "g", "a").await;
    start(&store, "g", "a").await;
    assert_eq!(store.claim("w", 9).await.len(), 4);
}

async fn the_limit_of_a_key_holds_across_stores_and_workers(store: Store) {
    const LIMIT: u32 = 2;
    const KEYS: usize = 3;
    const TASKS: usize = 60;
    if !has_slots(&store, "w", vec![("f", per_key(LIMIT))]).await {
        return;
    }
    let other = store.another().await;
    let mut key_of = HashMap::new();
    for number in 0..TASKS {
        let key = format!("k{}", number % KEYS);
        key_of.insert(start(&store, "f", &key).await, key);
    }
    let key_of = Arc::new(key_of);
    let (running, done) = (Arc::new(Running::default()), Arc::new(AtomicUsize::new(0)));
    let mut workers = Vec::new();
    for number in 0..4 {
        let store = if number % 2 == 0 { store.clone() } else { other.clone() };
        let worker = format!("w{number}");
        store.worker_with(&worker, vec![("f", per_key(LIMIT))]).await;
        let (running, done, key_of) = (Arc::clone(&running), Arc::clone(&done), Arc::clone(&key_of));
        workers.push(beside(async move {
            let mut turn = 0;
            while done.load(SeqCst) < TASKS {
                let taken = store.claim(&worker, 10).await;
                let key = |one: &Claimed| key_of[&one.task.execution_id].clone();
                for one in &taken {
                    let now = running.change(key(one), 1);
                    assert!(now <= i64::from(LIMIT), "{now} at once");
                }
                if taken.is_empty() {
                    tokio::time::sleep(Duration::from_micros(300)).await;
                }
                for one in &taken {
                    tokio::task::yield_now().await;
                    // Before the commit: another may take its place as soon as it is there.
                    running.change(key(one), -1);
                    turn += 1;
                    match turn % 5 {
                        0 if one.task.retries < 2 => {
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
        }));
    }
    for worker in workers {
        worker.await.must();
    }
    assert_eq!(done.load(SeqCst), TASKS);
}

async fn who_waits_is_served_by_priority_and_then_in_order(store: Store) {
    if !has_slots(&store, "w", vec![("f", per_key(1))]).await {
        return;
    }
    let with = async |priority| {
        let task = TaskOptions { priority: Some(priority), ..of_key("a") };
        store.start_with("f", "[]", DispatchOptions { task, ..DispatchOptions::default() }).await.must()
    };
    let first = with(0).await;
    let (second, third, best) = (with(0).await, with(0).await, with(5).await);
    let mut order = Vec::new();
    for _ in 0..4 {
        let taken = store.take().await;
        order.push(taken.task.execution_id);
        store.complete(&taken, "1").await;
    }
    assert_eq!(order, [first, best, second, third]);
}

/// Two of a key with one slot: the first is claimed.
async fn two(store: &Store) -> Option<(Claimed, Id)> {
    if !has_slots(store, "w", vec![("f", per_key(1))]).await {
        return None;
    }
    start(store, "f", "a").await;
    let second = start(store, "f", "a").await;
    let first = store.take().await;
    store.idle().await;
    Some((first, second))
}

async fn what_is_suspended_holds_no_slot(store: Store) {
    let Some((first, second)) = two(&store).await else { return };
    store.suspend(&first, spawns([wait_for(&first, 1, "go", None)]), WaitMode::All, &[1], 0).await;
    let next = store.take().await;
    assert_eq!(next.task.execution_id, second);
    // Woken, it waits like any other.
    store.send(first.task.execution_id, "go", "1").await;
    store.idle().await;
    store.complete(&next, "1").await;
    let again = store.take().await;
    assert_eq!(again.task.id, first.task.id);
    store.complete(&again, "1").await;
}

/// Until its task waits for a slot.
async fn waits(store: &Store, execution: Id) -> SlotWait {
    let waits = async |store: &Store| store.backend.slot_waits(execution, 9).await.must();
    store.until("it waits for a slot", async |store| !waits(store).await.is_empty()).await;
    only(waits(store).await)
}

async fn what_waits_for_a_retry_holds_no_slot(store: Store) {
    let Some((first, second)) = two(&store).await else { return };
    store.record(&first, Commands::default(), retry(Duration::from_millis(30))).await;
    let next = store.take().await;
    assert_eq!(next.task.execution_id, second);
    waits(&store, first.task.execution_id).await;
    store.idle().await;
    store.complete(&next, "1").await;
    assert_eq!(store.take().await.task.id, first.task.id);
}

async fn a_delay_holds_no_slot(store: Store) {
    if !has_slots(&store, "w", vec![("f", per_key(1))]).await {
        return;
    }
    let delay = Some(Duration::from_millis(30));
    let later = store.start_with("f", "[]", DispatchOptions { delay, ..keyed("a") }).await.must();
    let now = start(&store, "f", "a").await;
    let first = store.take().await;
    assert_eq!(first.task.execution_id, now);
    let wait = waits(&store, later).await;
    assert_eq!((wait.task, wait.function.as_str(), wait.concurrency_key.as_deref()), (root_of(later), "f", Some("a")));
    assert_eq!((wait.max_concurrent_per_key, wait.held), (Some(1), 1));
    store.idle().await;
    store.complete(&first, "1").await;
    assert_eq!(store.take().await.task.execution_id, later);
}

async fn what_is_given_back_keeps_its_slot(store: Store) {
    let Some((first, _)) = two(&store).await else { return };
    store.release(&first).await;
    let again = store.take().await;
    assert_eq!(again.task.id, first.task.id);
    store.idle().await;
}

async fn a_lease_that_ends_keeps_its_slot(store: Store) {
    if !has_slots(&store, "w", vec![("f", per_key(1))]).await {
        return;
    }
    start(&store, "f", "a").await;
    start(&store, "f", "a").await;
    let dead = store.die().await;
    // The sweep took its worker for dead.
    store.worker_with("w", vec![("f", per_key(1))]).await;
    let again = store.take().await;
    assert_eq!(again.task.id, dead.task.id);
    store.idle().await;
    store.complete(&again, "1").await;
    assert_ne!(store.take().await.task.id, dead.task.id);
}

async fn what_is_parked_holds_no_slot(store: Store) {
    let Some((first, second)) = two(&store).await else { return };
    store.record(&first, Commands::default(), parked(Some("1"))).await;
    let next = store.take().await;
    assert_eq!(next.task.execution_id, second);
    store.backend.resume(first.task.id).await.must();
    store.idle().await;
    store.complete(&next, "1").await;
    assert_eq!(store.take().await.task.id, first.task.id);
}

async fn a_dead_letter_frees_its_slot(store: Store) {
    let Some((first, second)) = two(&store).await else { return };
    store.fail(&first).await;
    let next = store.take().await;
    assert_eq!(next.task.execution_id, second);
    let replayed = store.backend.replay_dead_letter(first.task.id, Id::now_v7()).await.must();
    store.idle().await;
    store.complete(&next, "1").await;
    assert_eq!(store.take().await.task.execution_id, replayed.execution);
}

async fn a_cancel_frees_a_slot_and_a_place_in_the_line(store: Store) {
    let Some((first, second)) = two(&store).await else { return };
    let third = start(&store, "f", "a").await;
    store.backend.cancel(second, None).await.must();
    store.until_execution(second, ExecutionState::Cancelled).await;
    store.idle().await;
    store.backend.cancel(first.task.execution_id, None).await.must();
    // Its handler still runs.
    store.idle().await;
    store.say(&first, Commands::default(), completed("1")).await;
    store.until_execution(first.task.execution_id, ExecutionState::Cancelled).await;
    let last = store.take().await;
    assert_eq!(last.task.execution_id, third);
    // And one that is ready, and that nobody holds.
    let fourth = start(&store, "f", "a").await;
    store.release(&last).await;
    store.backend.cancel(third, None).await.must();
    store.until_execution(third, ExecutionState::Cancelled).await;
    assert_eq!(store.take().await.task.execution_id, fourth);
}

fn call_of(parent: &Claimed, op: u32, key: &str) -> stent::backend::Spawn {
    call_with(parent, op, "f", "[]", CallOptions { task: of_key(key), ..CallOptions::default() })
}

async fn the_children_of_a_parent_that_fails_free_theirs(store: Store) {
    if !has_slots(&store, "w", vec![("f", per_key(1)), ("root", FunctionOptions::default())]).await {
        return;
    }
    let root = store.root("root").await;
    store.hold(&root, spawns([call_of(&root, 1, "a"), call_of(&root, 2, "a"), call_of(&root, 3, "b")])).await;
    let own = start(&store, "f", "a").await;
    assert_eq!(store.claim("w", 9).await.len(), 2, "one of each key");
    store.fail(&root).await;
    let next = store.take().await;
    assert_eq!(next.task.execution_id, own);
}

async fn calls_have_keys_too(store: Store) {
    if !has_slots(&store, "w", vec![("f", per_key(1)), ("root", FunctionOptions::default())]).await {
        return;
    }
    let root = store.root("root").await;
    store.suspend(&root, spawns([call_of(&root, 1, "a"), call_of(&root, 2, "a")]), WaitMode::All, &[1, 2], 0).await;
    let first = store.take().await;
    // It is ready in the transaction that ends the first, which may claim it.
    let transition = saying(&first, Commands::default(), completed("1"));
    let (_, claimed) = store.backend.advance(vec![transition], Some(claim("w", 9, LEASE))).await.must();
    let second = only(claimed);
    assert_eq!(second.task.step_name, "f");
    store.complete(&second, "2").await;
    assert_eq!(store.take().await.task.id, root.task.id);
}

async fn other_functions_with_the_key_are_not_counted(store: Store) {
    if !has_slots(&store, "w", vec![("f", per_key(1)), ("g", per_key(1))]).await {
        return;
    }
    for function in ["f", "f", "g", "g"] {
        start(&store, function, "a").await;
    }
    let mut taken: Vec<String> = store.claim("w", 9).await.into_iter().map(|claimed| claimed.task.step_name).collect();
    taken.sort_unstable();
    assert_eq!(taken, ["f", "g"]);
}

async fn the_whole_limit_of_the_function_holds_beside_it(store: Store) {
    let both = FunctionOptions { max_concurrent: Some(2), ..per_key(1) };
    if !has_slots(&store, "w", vec![("f", both)]).await {
        return;
    }
    for key in ["a", "b", "c", "a"] {
        start(&store, "f", key).await;
    }
    let taken = store.claim("w", 9).await;
    assert_eq!(taken.len(), 2);
    store.idle().await;
    store.complete(&taken[0], "1").await;
    store.take().await;
    store.idle().await;
}

async fn a_pause_keeps_the_slot(store: Store) {
    let Some((first, second)) = two(&store).await else { return };
    let what = stent::backend::Pausable::Function("f".to_owned());
    store.backend.pause(stent::backend::NewPause { what: what.clone(), reason: None, by: None }).await.must();
    store.complete(&first, "1").await;
    store.idle().await;
    store.backend.unpause(what).await.must();
    assert_eq!(store.take().await.task.execution_id, second);
    store.idle().await;
}

async fn what_leaves_the_store_frees_its_slot(store: Store) {
    let Some((first, second)) = two(&store).await else { return };
    store.release(&first).await;
    // The one that waits goes and comes back: it waits again.
    let away = match store.backend.export(second, false).await {
        Err(why) if why.status() == Status::Unsupported => return,
        exported => exported.must(),
    };
    assert!(away.line.contains("concurrency_key"), "{}", away.line);
    store.backend.settle(second, stent::backend::Fenced::TakeBack).await.must();
    // The one that holds the slot goes.
    let holder = first.task.execution_id;
    store.backend.export(holder, false).await.must();
    let next = store.take().await;
    assert_eq!(next.task.execution_id, second);
    store.backend.settle(holder, stent::backend::Fenced::TakeBack).await.must();
    store.idle().await;
    store.complete(&next, "1").await;
    assert_eq!(store.take().await.task.execution_id, holder);
}

async fn what_is_forked_waits_for_a_slot(store: Store) {
    if !has_slots(&store, "w", vec![("f", per_key(1)), ("root", FunctionOptions::default())]).await {
        return;
    }
    let root = store.root("root").await;
    store.suspend(&root, spawns([call_of(&root, 1, "a")]), WaitMode::All, &[1], 0).await;
    let child = store.take().await;
    store.fail(&child).await;
    let again = store.take().await;
    store.fail(&again).await;
    let other = start(&store, "f", "a").await;
    let busy = store.take().await;
    assert_eq!(busy.task.execution_id, other);
    store.backend.replay_dead_letter(child.task.id, Id::now_v7()).await.must();
    // Its root runs again, and calls anew.
    let fork = store.take().await;
    assert_eq!(fork.task.step_name, "root");
    store.suspend(&fork, spawns([call_of(&fork, 1, "a")]), WaitMode::All, &[1], 0).await;
    store.idle().await;
    store.complete(&busy, "1").await;
    assert_eq!(store.take().await.task.step_name, "f");
}

async fn what_is_done_over_frees_its_slot(store: Store) {
    let Some((first, second)) = two(&store).await else { return };
    // A tool ends it.
    let task = store.task(first.task.id).await;
    let ended = stent::model::Task { state: TaskState::Completed, result: Some("1".into()), ..task };
    store.backend.call(stent::backend::Request::UpdateTask { task: ended }).await.must();
    assert_eq!(store.take().await.task.execution_id, second);
}

async fn many_that_wait_and_end_at_once(store: Store) {
    if !has_slots(&store, "w", vec![("f", per_key(2)), ("root", FunctionOptions::default())]).await {
        return;
    }
    let root = store.root("root").await;
    let calls: Vec<_> = (1..=40).map(|op| call_of(&root, op, &format!("k{}", op % 4))).collect();
    let ops: Vec<u32> = (1..=40).collect();
    store.suspend(&root, spawns(calls), WaitMode::All, &ops, 0).await;
    let mut done = 0;
    loop {
        let taken = store.claim("w", 50).await;
        if taken.iter().any(|one| one.task.id == root.task.id) {
            break;
        }
        assert_eq!(taken.len(), 8.min(40 - done), "two of each key");
        done += taken.len();
        let ends = taken.iter().map(|one| saying(one, Commands::default(), completed("1"))).collect();
        assert!(store.say_all(ends).await.iter().all(is_recorded));
    }
    assert_eq!(done, 40);
}
