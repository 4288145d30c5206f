//! A function's options are in the store. A call's own come first, then the function's, then the defaults; none are the
//! parent's.

use std::sync::Arc;

use stent::backend::{NewExecution, Spawn, SpawnKind};
use stent::model::{CallOptions, DispatchOptions, FunctionOptions, RetryPolicy, Task, TaskOptions};

use super::house::*;

cases! {
    a_call_takes_from_the_function_what_it_leaves_out,
    a_dispatch_takes_from_the_function_what_it_leaves_out,
    nothing_comes_from_the_parent,
    what_nobody_has_registered_waits_with_defaults,
    a_function_may_be_declared_anew,
    another_process_sees_them,
    until_a_worker_says_more_the_dispatcher_s_registration_counts,
    until_a_worker_says_more_the_caller_s_registration_counts,
    the_dispatcher_s_registration_makes_a_dispatch_idempotent,
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
        ..TaskOptions::default()
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

async fn until_a_worker_says_more_the_dispatcher_s_registration_counts(store: Store) {
    let registered = Some(Arc::new(declared()));
    let start = async |options| {
        let new = NewExecution { registered: registered.clone(), ..new_execution("root", "[]", options) };
        only(store.backend.dispatch(vec![new]).await.must())
    };
    let early = start(DispatchOptions::default()).await;
    let own = start(DispatchOptions { task: said(), ..DispatchOptions::default() }).await;
    assert_eq!(found(&store.task(root_of(early)).await), (Some("there"), &strings(&["x"])[..], 7, Some(9)));
    assert_eq!(found(&store.task(root_of(own)).await), (Some("here"), &strings(&["y"])[..], -1, Some(2)));
    // What was used stands in the record.
    let execution = store.execution(early).await;
    assert_eq!((execution.queue.as_deref(), execution.priority), (Some("there"), 7));
    // A worker that is not for them is given none.
    store.register("w", &["here"], &["y"], vec![("root", tries(3))]).await;
    let taken = only(store.claim("w", 9).await);
    assert_eq!((taken.task.execution_id, taken.cache.is_some()), (own, false));
    // From now on the worker's word counts.
    let late = start(DispatchOptions::default()).await;
    assert_eq!(found(&store.task(root_of(late)).await), (None, &[][..], 0, Some(3)));
    store.register("all", &[], &[], vec![("root", tries(3))]).await;
    let others = store.claim("all", 9).await;
    let of = |execution| others.iter().find(|claimed| claimed.task.execution_id == execution).must();
    assert_eq!(of(early).deadline.must().since(of(early).claimed_at), HOUR);
    assert_eq!((of(late).deadline, others.len()), (None, 2));
}

async fn until_a_worker_says_more_the_caller_s_registration_counts(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let with = |mut spawn: Spawn| {
        if let SpawnKind::Activity { registered, .. } = &mut spawn.what {
            *registered = Some(Arc::new(declared()));
        }
        spawn
    };
    let early = with(call(&root, 1, "child"));
    store.hold(&root, spawns([early.clone()])).await;
    assert_eq!(found(&store.task(early.id).await), (Some("there"), &strings(&["x"])[..], 7, Some(9)));
    store.worker_with("w", vec![("root", FunctionOptions::default()), ("child", tries(3))]).await;
    let late = with(call(&root, 2, "child"));
    store.hold(&root, spawns([late.clone()])).await;
    assert_eq!(found(&store.task(late.id).await), (None, &[][..], 0, Some(3)));
}

async fn the_dispatcher_s_registration_makes_a_dispatch_idempotent(store: Store) {
    let options = FunctionOptions { idempotent: true, ..FunctionOptions::default() };
    let new = |args| NewExecution {
        registered: Some(Arc::new(options.clone())),
        ..new_execution("root", args, DispatchOptions::default())
    };
    let ids = store.backend.dispatch(vec![new("[1]"), new("[1]"), new("[2]")]).await.must();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}
