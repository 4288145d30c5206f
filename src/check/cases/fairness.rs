//! A queue is shared out among fairness keys, whatever waits of each.

use std::collections::BTreeMap;
use std::time::Duration;

use stent::backend::{Claimed, Fenced};
use stent::model::{CallOptions, DispatchOptions, FunctionOptions, Id, Status, TaskOptions, WaitMode};

use super::house::*;

cases! {
    a_backlog_of_one_key_delays_no_other,
    weights_are_kept,
    who_was_idle_gains_no_credit,
    who_used_what_was_idle_is_not_punished,
    a_key_s_tasks_keep_their_order,
    functions_of_a_queue_are_shared_out_together,
    those_without_a_key_are_one_of_the_keys,
    queues_without_keys_are_as_ever,
    what_is_tried_again_is_not_charged_twice,
    what_is_tried_again_turns_back_no_time,
    a_delay_saves_up_nothing,
    a_call_has_its_parent_s_key,
    priorities_come_before_shares,
    a_claim_s_order_is_that_of_the_shares,
    dispatchers_beside_each_other_get_one_share,
    what_moves_keeps_its_key,
    what_is_forked_keeps_its_key,
    with_slots_of_keys_what_is_ready_is_shared_out,
}

/// A queue that is shared out stays so: those of other cases are not.
const QUEUE: &str = "shared";

fn in_queue() -> TaskOptions {
    TaskOptions { queue: Some(QUEUE.to_owned()), ..TaskOptions::default() }
}

fn of(key: &str) -> DispatchOptions {
    weighing(key, None)
}

fn weighing(key: &str, fairness_weight: Option<f64>) -> DispatchOptions {
    let task = TaskOptions { fairness_key: Some(key.to_owned()), fairness_weight, ..in_queue() };
    DispatchOptions { task, ..DispatchOptions::default() }
}

/// False: the store has no shares.
pub async fn has_shares(store: &Store) -> bool {
    store.worker("w", &["f", "g", "root"]).await;
    let probe = TaskOptions { queue: Some("probe".into()), ..of("probe").task };
    match store.start_with("probe", "[]", DispatchOptions { task: probe, ..DispatchOptions::default() }).await {
        Err(why) if why.status() == Status::Unsupported => false,
        started => {
            started.must();
            true
        }
    }
}

async fn many(store: &Store, function: &str, count: usize, options: &DispatchOptions) -> Vec<Id> {
    let executions = (0..count).map(|_| new_execution(function, "[]", options.clone())).collect();
    store.backend.dispatch(executions).await.must()
}

/// The first of what is ready.
pub async fn next(store: &Store) -> Claimed {
    only(store.claim("w", 1).await)
}

/// Whose the claimed ones are, by their executions.
#[derive(Default)]
struct Book(BTreeMap<Id, &'static str>);

impl Book {
    async fn start(&mut self, store: &Store, count: usize, key: &'static str, weight: Option<f64>) {
        for id in many(store, "f", count, &weighing(key, weight)).await {
            self.0.insert(id, key);
        }
    }

    fn count(&self, claimed: &[Claimed], key: &str) -> usize {
        claimed.iter().filter(|one| self.0[&one.task.execution_id] == key).count()
    }
}

async fn a_backlog_of_one_key_delays_no_other(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    many(&store, "f", 2_000, &of("a")).await;
    assert_eq!(store.claim("w", 10).await.len(), 10);
    let one = store.start_with("f", "[]", of("b")).await.must();
    let next = store.claim("w", 2).await;
    assert!(next.iter().any(|taken| taken.task.execution_id == one), "it is among the next two");
}

async fn weights_are_kept(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let mut book = Book::default();
    book.start(&store, 300, "light", None).await;
    book.start(&store, 300, "heavy", Some(3.0)).await;
    let mut all = (0, 0);
    for _ in 0..10 {
        let taken = store.claim("w", 20).await;
        let (light, heavy) = (book.count(&taken, "light"), book.count(&taken, "heavy"));
        assert!((4..=6).contains(&light), "{light} and {heavy} of 20");
        all = (all.0 + light, all.1 + heavy);
    }
    assert!((49..=51).contains(&all.0) && all.0 + all.1 == 200, "{all:?}");
}

async fn who_was_idle_gains_no_credit(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let mut book = Book::default();
    book.start(&store, 200, "busy", None).await;
    store.claim("w", 100).await;
    // It has had none of these hundred.
    book.start(&store, 200, "idle", None).await;
    let taken = store.claim("w", 20).await;
    let idle = book.count(&taken, "idle");
    assert!((9..=11).contains(&idle), "{idle} of 20");
}

async fn who_used_what_was_idle_is_not_punished(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let mut book = Book::default();
    book.start(&store, 500, "busy", None).await;
    store.claim("w", 499).await;
    book.start(&store, 100, "new", None).await;
    book.start(&store, 100, "busy", None).await;
    let taken = store.claim("w", 20).await;
    let busy = book.count(&taken, "busy");
    assert!((9..=11).contains(&busy), "{busy} of 20");
}

async fn a_key_s_tasks_keep_their_order(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let mut started = many(&store, "f", 20, &of("a")).await;
    for _ in 0..5 {
        started.push(store.start_with("f", "[]", of("a")).await.must());
    }
    let taken: Vec<Id> = store.claim("w", 25).await.iter().map(|one| one.task.execution_id).collect();
    assert_eq!(taken, started);
}

async fn functions_of_a_queue_are_shared_out_together(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    many(&store, "f", 300, &of("a")).await;
    store.claim("w", 100).await;
    // The first of its function.
    let one = store.start_with("g", "[]", of("b")).await.must();
    let next = store.claim("w", 2).await;
    assert!(next.iter().any(|taken| taken.task.execution_id == one));
}

async fn those_without_a_key_are_one_of_the_keys(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let mut book = Book::default();
    book.start(&store, 100, "a", None).await;
    for id in many(&store, "f", 100, &DispatchOptions { task: in_queue(), ..DispatchOptions::default() }).await {
        book.0.insert(id, "");
    }
    let taken = store.claim("w", 20).await;
    let nobodys = book.count(&taken, "");
    assert!((9..=11).contains(&nobodys), "{nobodys} of 20");
}

async fn queues_without_keys_are_as_ever(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let task = TaskOptions { queue: Some("other".into()), ..TaskOptions::default() };
    let options = DispatchOptions { task, ..DispatchOptions::default() };
    let mut started = Vec::new();
    for _ in 0..5 {
        started.push(store.start_with("f", "[]", options.clone()).await.must());
    }
    let taken: Vec<Id> = store.claim("w", 5).await.iter().map(|one| one.task.execution_id).collect();
    assert_eq!(taken, started);
}

async fn what_is_tried_again_is_not_charged_twice(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    store.worker_with("w", vec![("f", tries(5))]).await;
    let first = store.start_with("f", "[]", of("a")).await.must();
    many(&store, "f", 50, &of("a")).await;
    many(&store, "f", 50, &of("b")).await;
    let taken = next(&store).await;
    assert_eq!(taken.task.execution_id, first);
    store.say(&taken, Default::default(), retry(Duration::ZERO)).await;
    assert_eq!(next(&store).await.task.execution_id, first, "it is where it was");
}

async fn what_is_tried_again_turns_back_no_time(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    store.worker_with("w", vec![("f", tries(5))]).await;
    let mut book = Book::default();
    book.start(&store, 300, "a", None).await;
    let first = next(&store).await;
    store.claim("w", 100).await;
    store.say(&first, Default::default(), retry(Duration::ZERO)).await;
    // Its old place is no beginning for others.
    book.start(&store, 100, "b", None).await;
    let taken = store.claim("w", 21).await;
    let others = book.count(&taken, "b");
    assert!((9..=11).contains(&others), "{others} of 21");
}

async fn a_delay_saves_up_nothing(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let mut book = Book::default();
    let delayed = DispatchOptions { delay: Some(Duration::from_millis(1)), ..of("late") };
    for id in many(&store, "f", 100, &delayed).await {
        book.0.insert(id, "late");
    }
    book.start(&store, 300, "now", None).await;
    store.claim("w", 50).await;
    // They are due in one sweep.
    loop {
        store.sweep().await;
        let next = store.claim("w", 1).await;
        if book.count(&next, "late") > 0 {
            break;
        }
        assert_eq!(next.len(), 1, "they are not due");
    }
    let taken = store.claim("w", 40).await;
    let late = book.count(&taken, "late");
    assert!((18..=22).contains(&late), "{late} of 40");
}

async fn a_call_has_its_parent_s_key(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    store.start_with("root", "[]", of("a")).await.must();
    let root = store.take().await;
    let options = CallOptions { task: in_queue(), ..CallOptions::default() };
    let calls: Vec<_> = (1..=100).map(|op| call_with(&root, op, "f", "[]", options.clone())).collect();
    let ops: Vec<_> = (1..=100).collect();
    store.suspend(&root, spawns(calls), WaitMode::All, &ops, 0).await;
    store.claim("w", 20).await;
    let one = store.start_with("f", "[]", of("b")).await.must();
    let more = many(&store, "f", 30, &of("a")).await;
    let next = store.claim("w", 2).await;
    assert!(next.iter().any(|taken| taken.task.execution_id == one));
    // The tree's are before what its customer has dispatched later.
    let rest = store.claim("w", 60).await;
    assert!(rest.iter().all(|taken| !more.contains(&taken.task.execution_id)));
}

async fn priorities_come_before_shares(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let urgent = |key: &str| {
        let options = of(key);
        DispatchOptions { task: TaskOptions { priority: Some(1), ..options.task }, ..options }
    };
    many(&store, "f", 20, &of("a")).await;
    let first = many(&store, "f", 10, &urgent("a")).await;
    let one = store.start_with("f", "[]", urgent("b")).await.must();
    let taken: Vec<Id> = store.claim("w", 11).await.iter().map(|taken| taken.task.execution_id).collect();
    assert!(taken.iter().all(|id| *id == one || first.contains(id)), "{taken:?}");
    assert!(taken[..2].contains(&one), "they are shared out too");
}

async fn a_claim_s_order_is_that_of_the_shares(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let mut book = Book::default();
    book.start(&store, 20, "a", None).await;
    book.start(&store, 20, "b", None).await;
    let taken = store.claim("w", 20).await;
    for pair in taken.chunks(2) {
        assert_eq!(book.count(pair, "a"), 1, "one after the other");
    }
}

async fn dispatchers_beside_each_other_get_one_share(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let other = store.another().await;
    let parts = (0..8).map(|number| {
        let store = if number % 2 == 0 { store.clone() } else { other.clone() };
        beside(async move {
            let mut started = Vec::new();
            for _ in 0..10 {
                started.extend(many(&store, "f", 3, &of("crowd")).await);
            }
            started
        })
    });
    let mut book = Book::default();
    for part in parts.collect::<Vec<_>>() {
        for id in part.await.must() {
            book.0.insert(id, "crowd");
        }
    }
    book.start(&store, 100, "one", None).await;
    let taken = store.claim("w", 40).await;
    let one = book.count(&taken, "one");
    assert!((18..=22).contains(&one), "{one} of 40");
}

async fn what_moves_keeps_its_key(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let ages = TaskOptions {
        priority: Some(4),
        priority_ageing: Some(Duration::from_secs(60)),
        ..weighing("a", Some(2.0)).task
    };
    let id = store.start_with("f", "[]", DispatchOptions { task: ages, ..DispatchOptions::default() }).await.must();
    let before = store.task(root_of(id)).await;
    let away = match store.backend.export(id, false).await {
        Err(why) if why.status() == Status::Unsupported => return,
        exported => exported.must(),
    };
    for told in ["\"fairness_key\":\"a\"", "\"fairness_weight\":2.0", "\"head_start\":240000000"] {
        assert!(away.line.contains(told), "{}", away.line);
    }
    store.backend.settle(id, Fenced::TakeBack).await.must();
    let after = store.task(root_of(id)).await;
    assert_eq!((after.priority, after.created_at), (before.priority, before.created_at));
    assert_eq!(store.take().await.task.execution_id, id);
}

async fn what_is_forked_keeps_its_key(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let failed = store.start_with("f", "[]", of("a")).await.must();
    let taken = next(&store).await;
    assert_eq!(taken.task.execution_id, failed);
    store.fail(&taken).await;
    many(&store, "f", 50, &of("a")).await;
    let fork = Id::now_v7();
    store.backend.replay_dead_letter(taken.task.id, fork).await.must();
    many(&store, "f", 50, &of("b")).await;
    // It comes after those of its key.
    let taken = store.claim("w", 90).await;
    assert!(taken.iter().all(|one| one.task.execution_id != fork));
    assert!(store.claim("w", 20).await.iter().any(|one| one.task.execution_id == fork));
}

async fn with_slots_of_keys_what_is_ready_is_shared_out(store: Store) {
    if !has_shares(&store).await {
        return;
    }
    let per_key = FunctionOptions { max_concurrent_per_key: Some(5), ..FunctionOptions::default() };
    store.worker_with("w", vec![("f", per_key)]).await;
    let slot = |key: &str| {
        let options = of(key);
        let task = TaskOptions { concurrency_key: Some(key.to_owned()), ..options.task };
        DispatchOptions { task, ..options }
    };
    many(&store, "f", 50, &slot("a")).await;
    let one = store.start_with("f", "[]", slot("b")).await.must();
    let first = store.claim("w", 2).await;
    assert!(first.iter().any(|taken| taken.task.execution_id == one));
    let more = store.claim("w", 20).await;
    assert_eq!(first.len() + more.len(), 6, "a key has five slots");
    for taken in first.iter().chain(&more) {
        store.complete(taken, "1").await;
    }
    assert_eq!(store.claim("w", 20).await.len(), 5);
}
