//! A function's options are in the store. A call's own come first, then the function's, then the defaults; none are the
//! parent's.

use stent::model::{CallOptions, DispatchOptions, FunctionOptions, RetryPolicy, Task, TaskOptions};

use super::house::*;

cases! {
    a_call_takes_from_the_function_what_it_leaves_out,
    a_dispatch_takes_from_the_function_what_it_leaves_out,
    nothing_comes_from_the_parent,
    what_nobody_has_registered_waits_with_defaults,
    a_function_may_be_declared_anew,
    another_process_sees_them,
}

fn declared() -> FunctionOptions {
    FunctionOptions {
        queue: Some("there".into()),
        tags: strings(&["x"]),
        priority: Some(7),
        retry_policy: Some(RetryPolicy { max_attempts: 9, ..RetryPolicy::default() }),
        timeout: Some(HOUR),
        cached: true,
        ..FunctionOptions::default()
    }
}

fn said() -> TaskOptions {
    TaskOptions {
        queue: Some("here".into()),
        tags: Some(strings(&["y"])),
        priority: Some(-1),
        retry_policy: Some(RetryPolicy { max_attempts: 2, ..RetryPolicy::default() }),
        timeout: Some(2 * HOUR),
        cached: Some(false),
        cache_ttl: None,
    }
}

/// Queue, tags, priority, attempts.
fn found(task: &Task) -> (Option<&str>, &[String], i64, Option<u32>) {
    let attempts = task.retry_policy.as_ref().map(|policy| policy.max_attempts);
    (task.queue.as_deref(), &task.tags, task.priority, attempts)
}

async fn a_call_takes_from_the_function_what_it_leaves_out(store: Store) {
    store.worker_with("w", vec![("root", FunctionOptions::default()), ("child", declared())]).await;
    let root = store.root("root").await;
    let options = CallOptions { task: said(), ..CallOptions::default() };
    let (plain, own) = (call(&root, 1, "child"), call_with(&root, 2, "child", "[]", options));
    store.hold(&root, spawns([plain.clone(), own.clone()])).await;
    assert_eq!(found(&store.task(plain.id).await), (Some("there"), &strings(&["x"])[..], 7, Some(9)));
    assert_eq!(found(&store.task(own.id).await), (Some("here"), &strings(&["y"])[..], -1, Some(2)));
    let taken = store.claim("w", 9).await;
    let of = |id| taken.iter().find(|claimed| claimed.task.id == id).must();
    let given = |id| of(id).deadline.must().since(of(id).claimed_at);
    assert_eq!((given(plain.id), given(own.id)), (HOUR, 2 * HOUR));
    assert_eq!((of(plain.id).cache.is_some(), of(own.id).cache.is_some()), (true, false));
}

async fn a_dispatch_takes_from_the_function_what_it_leaves_out(store: Store) {
    store.worker_with("w", vec![("root", declared())]).await;
    let plain = store.start("root").await;
    let options = DispatchOptions { task: said(), ..DispatchOptions::default() };
    let own = store.start_with("root", "[]", options).await.must();
    assert_eq!(found(&store.task(root_of(plain)).await), (Some("there"), &strings(&["x"])[..], 7, Some(9)));
    assert_eq!(found(&store.task(root_of(own)).await), (Some("here"), &strings(&["y"])[..], -1, Some(2)));
    let execution = store.execution(own).await;
    assert_eq!((execution.queue.as_deref(), execution.priority), (Some("here"), -1));
}

async fn nothing_comes_from_the_parent(store: Store) {
    store.worker_with("w", vec![("root", declared()), ("child", FunctionOptions::default())]).await;
    let root = store.root("root").await;
    let child = call(&root, 1, "child");
    store.hold(&root, spawns([child.clone()])).await;
    assert_eq!(found(&store.task(child.id).await), (None, &[][..], 0, None));
    assert_eq!(store.take().await.deadline, None);
}

async fn what_nobody_has_registered_waits_with_defaults(store: Store) {
    let execution = store.start("root").await;
    assert_eq!(found(&store.task(root_of(execution)).await), (None, &[][..], 0, None));
    store.worker("w", &["other"]).await;
    store.idle().await;
    // Registered later: its policy counts from now on.
    store.worker_with("w", vec![("root", deaths(1))]).await;
    store.die().await;
    assert_eq!(only(store.letters().await).task.id, root_of(execution));
}

async fn a_function_may_be_declared_anew(store: Store) {
    store.worker_with("w", vec![("root", FunctionOptions::default())]).await;
    let before = store.start("root").await;
    store.worker_with("w", vec![("root", declared())]).await;
    let after = store.start("root").await;
    assert_eq!(store.task(root_of(before)).await.queue, None);
    assert_eq!(store.task(root_of(after)).await.queue.as_deref(), Some("there"));
    assert_eq!(store.claim("w", 9).await.len(), 2);
}

async fn another_process_sees_them(store: Store) {
    let other = store.another().await;
    let early = other.start("root").await;
    store.worker_with("w", vec![("root", declared())]).await;
    let late = other.start("root").await;
    assert_eq!(other.task(root_of(early)).await.priority, 0);
    assert_eq!(other.task(root_of(late)).await.priority, 7);
    // And its work is for the worker that it does not know.
    let order: Vec<_> = store.claim("w", 9).await.iter().map(|claimed| claimed.task.execution_id).collect();
    assert_eq!(order, [late, early]);
}
