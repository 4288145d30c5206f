//! Workers claim only what they can run, best first; tasks that they can't run don't hide others.

use stent::model::{CallOptions, DispatchOptions, FunctionOptions, Id, TaskOptions};

use super::house::*;

cases! {
    queues_tags_and_functions_decide,
    what_a_worker_cannot_take_hides_nothing,
    the_order_is_priority_then_age,
    a_claim_takes_no_more_than_it_asks_for,
    what_is_scheduled_later_is_not_taken,
    two_workers_never_take_the_same,
    a_new_route_is_seen_by_those_who_run_already,
}

fn to(queue: Option<&str>, tags: &[&str], priority: i64) -> DispatchOptions {
    let task = TaskOptions {
        queue: queue.map(str::to_owned),
        tags: Some(strings(tags)),
        priority: Some(priority),
        ..TaskOptions::default()
    };
    DispatchOptions { task, ..DispatchOptions::default() }
}

async fn queues_tags_and_functions_decide(store: Store) {
    let plain = || vec![("f", FunctionOptions::default())];
    for (worker, queues, tags) in [
        ("any", &[][..], &[][..]),
        ("a", &["a"], &[]),
        ("ab", &["a", "b"], &[]),
        ("x", &[], &["x"]),
        ("b and y", &["b"], &["y"]),
    ] {
        store.register(worker, queues, tags, plain()).await;
    }
    store.register("other", &[], &[], vec![("g", FunctionOptions::default())]).await;
    for (queue, tags, takers) in [
        (None, &[][..], &["any", "a", "ab", "x", "b and y"][..]),
        (Some("a"), &[], &["any", "a", "ab", "x"]),
        (Some("b"), &[], &["any", "ab", "x", "b and y"]),
        (Some("c"), &[], &["any", "x"]),
        (None, &["x"], &["any", "a", "ab", "x"]),
        (None, &["x", "y"], &["any", "a", "ab", "x", "b and y"]),
        (Some("b"), &["z"], &["any", "ab"]),
    ] {
        let id = store.start_with("f", "[]", to(queue, tags, 0)).await.must();
        for worker in ["other", "any", "a", "ab", "x", "b and y"] {
            let taken = store.claim(worker, 9).await;
            assert_eq!(!taken.is_empty(), takers.contains(&worker), "{worker} and {queue:?} {tags:?}");
            for claimed in taken {
                assert_eq!((claimed.task.execution_id, claimed.task.worker_id.as_deref()), (id, Some(worker)));
                store.release(&claimed).await;
            }
        }
        store.backend.cancel(id, None).await.must();
    }
}

async fn what_a_worker_cannot_take_hides_nothing(store: Store) {
    store.register("w", &["a"], &["x"], vec![("f", FunctionOptions::default())]).await;
    let mut others = Vec::new();
    for _ in 0..100 {
        others.push(new_execution("g", "[]", to(None, &[], 9)));
        others.push(new_execution("f", "[]", to(Some("b"), &[], 9)));
        others.push(new_execution("f", "[]", to(Some("a"), &["y"], 9)));
    }
    store.backend.dispatch(others).await.must();
    let own = store.start_with("f", "[]", to(Some("a"), &["x"], 0)).await.must();
    assert_eq!(only(store.claim("w", 1).await).task.execution_id, own);
}

async fn the_order_is_priority_then_age(store: Store) {
    store.worker("w", &["f", "g"]).await;
    let mut expected: Vec<(i64, usize, Id)> = Vec::new();
    for number in 0..24 {
        let priority = [0, 5, -3, 5][number % 4];
        let queue = [None, Some("a"), Some("b")][number % 3];
        let function = ["f", "g"][number % 2];
        let id = store.start_with(function, "[]", to(queue, &[], priority)).await.must();
        expected.push((-priority, number, id));
    }
    expected.sort_unstable();
    let expected: Vec<Id> = expected.into_iter().map(|(_, _, id)| id).collect();
    let mut order = Vec::new();
    for count in [1, 2, 5, 16] {
        order.extend(store.claim("w", count).await.iter().map(|claimed| claimed.task.execution_id));
    }
    assert_eq!(order, expected);
}

async fn a_claim_takes_no_more_than_it_asks_for(store: Store) {
    store.worker("w", &["f", "g"]).await;
    for number in 0..9 {
        store.start(["f", "g"][number % 2]).await;
    }
    for (count, taken) in [(0, 0), (1, 1), (3, 3), (99, 5), (99, 0)] {
        assert_eq!(store.claim("w", count).await.len(), taken);
    }
}

async fn what_is_scheduled_later_is_not_taken(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    let later = |delay| CallOptions { delay: Some(delay), ..CallOptions::default() };
    let commands = spawns([
        call_with(&root, 1, "child", "[]", later(HOUR)),
        call_with(&root, 2, "child", "[]", later(std::time::Duration::ZERO)),
    ]);
    store.hold(&root, commands).await;
    store.sweep().await;
    assert_eq!(store.take().await.task.step_key.as_deref(), Some("child#2"));
}

async fn two_workers_never_take_the_same(store: Store) {
    const TASKS: usize = 200;
    let other = store.another().await;
    store.worker("one", &["f"]).await;
    other.worker("two", &["f"]).await;
    let executions = (0..TASKS).map(|_| new_execution("f", "[]", DispatchOptions::default())).collect();
    store.backend.dispatch(executions).await.must();
    let take_all = |store: Store, worker: &'static str| {
        beside(async move {
            let mut ids = Vec::new();
            loop {
                let taken = store.claim(worker, 7).await;
                if taken.is_empty() {
                    return ids;
                }
                ids.extend(taken.into_iter().map(|claimed| claimed.task.id));
            }
        })
    };
    let (one, two) = (take_all(store.clone(), "one"), take_all(other.clone(), "two"));
    let mut all = one.await.must();
    all.extend(two.await.must());
    assert_eq!(all.len(), TASKS);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), TASKS);
}

async fn a_new_route_is_seen_by_those_who_run_already(store: Store) {
    let other = store.another().await;
    store.worker("w", &["f"]).await;
    store.idle().await;
    let id = other.start_with("f", "[]", to(Some("new"), &["new"], 0)).await.must();
    assert_eq!(store.take().await.task.execution_id, id);
}
