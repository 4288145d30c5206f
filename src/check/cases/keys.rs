//! Idempotency keys: the first task owns the key, and later ones wait for it.

use stent::backend::{Claimed, Commands, NewExecution, Outcome, Request, Spawn, Verdict};
use stent::model::{CallOptions, DispatchOptions, FunctionOptions, KeyReuse, Status, Task, TaskState, WaitMode};

use super::house::*;

cases! {
    a_second_dispatch_is_the_first_ones_execution,
    a_key_is_its_functions,
    two_in_one_batch,
    an_id_that_exists_is_refused_beside_keys,
    an_owner_that_failed_gives_the_key_away,
    an_owner_that_failed_may_keep_the_key,
    a_joiner_gets_the_owners_result,
    if_the_owner_fails_the_first_joiner_runs,
    if_the_owner_is_cancelled_a_joiner_runs,
    if_the_owners_parent_ends_a_joiner_runs,
    a_recorded_result_is_there_at_once,
    other_arguments_are_a_conflict,
    a_join_that_would_wait_for_itself_is_a_conflict,
    a_key_outlives_the_run_that_used_it,
    an_idempotent_function_needs_no_key,
}

fn keyed(key: &str) -> DispatchOptions {
    DispatchOptions { idempotency_key: Some(key.to_owned()), ..DispatchOptions::default() }
}

fn keyed_call(parent: &Claimed, op: u32, args: &str) -> Spawn {
    let options = CallOptions { idempotency_key: Some("k".to_owned()), ..CallOptions::default() };
    call_with(parent, op, "child", args, options)
}

async fn a_second_dispatch_is_the_first_ones_execution(store: Store) {
    store.worker("w", &["root"]).await;
    let first = store.start_with("root", "[1]", keyed("k")).await.must();
    assert_eq!(store.start_with("root", "[1]", keyed("k")).await.must(), first);
    is_status(store.start_with("root", "[2]", keyed("k")).await, Status::Conflict, "other arguments");
    let other = store.another().await;
    assert_eq!(other.start_with("root", "[1]", keyed("k")).await.must(), first);
    let root = store.take().await;
    assert_eq!(store.start_with("root", "[1]", keyed("k")).await.must(), first);
    store.complete(&root, "1").await;
    assert_eq!(store.start_with("root", "[1]", keyed("k")).await.must(), first);
    store.idle().await;
}

async fn a_key_is_its_functions(store: Store) {
    let first = store.start_with("root", "[1]", keyed("k")).await.must();
    assert_ne!(store.start_with("other", "[1]", keyed("k")).await.must(), first);
    assert_ne!(store.start_with("root", "[1]", keyed("l")).await.must(), first);
}

async fn two_in_one_batch(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let (one, two) = (new_execution("root", "[1]", keyed("k")), new_execution("root", "[1]", keyed("k")));
    let ids = store.backend.dispatch(vec![one.clone(), two]).await.must();
    assert_eq!(ids, [one.id, one.id]);
    let root = store.take().await;
    store
        .suspend(&root, spawns([keyed_call(&root, 1, "[]"), keyed_call(&root, 2, "[]")]), WaitMode::All, &[1, 2], 0)
        .await;
    let child = store.take().await;
    store.complete(&child, "7").await;
    let again = store.take().await;
    let results: Vec<_> = store.journal(again.task.id).await.into_iter().map(|entry| entry.result.must()).collect();
    assert_eq!(results.iter().map(text).collect::<Vec<_>>(), ["7", "7"]);
}

async fn an_id_that_exists_is_refused_beside_keys(store: Store) {
    store.worker("w", &["root", "other"]).await;
    let taken = store.root("other").await;
    store.complete(&taken, "1").await;
    let fresh = new_execution("root", "[1]", keyed("k"));
    let id = fresh.id;
    let again = NewExecution { id: taken.task.execution_id, ..new_execution("root", "[2]", keyed("l")) };
    is_status(store.backend.dispatch(vec![fresh, again]).await, Status::Conflict, "exists already");
    assert_eq!(store.backend.snapshot(id).await.must(), None);
    // Nothing is left of the keys.
    for (key, args) in [("k", "[3]"), ("l", "[4]")] {
        assert_ne!(store.start_with("root", args, keyed(key)).await.must(), taken.task.execution_id);
    }
}

async fn an_owner_that_failed_gives_the_key_away(store: Store) {
    store.worker("w", &["root"]).await;
    let first = store.start_with("root", "[1]", keyed("k")).await.must();
    let root = store.take().await;
    store.fail(&root).await;
    let second = store.start_with("root", "[1]", keyed("k")).await.must();
    assert_ne!(second, first);
    assert_eq!(store.take().await.task.execution_id, second);
}

async fn an_owner_that_failed_may_keep_the_key(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let once = || DispatchOptions { idempotency_reuse: KeyReuse::Never, ..keyed("k") };
    let first = store.start_with("root", "[1]", once()).await.must();
    let root = store.take().await;
    assert_eq!(store.start_with("root", "[1]", once()).await.must(), first);
    store.fail(&root).await;
    for _ in 0..2 {
        assert_eq!(store.start_with("root", "[1]", once()).await.must(), first);
    }
    is_status(store.start_with("root", "[2]", once()).await, Status::Conflict, "other arguments");
    store.idle().await;
    // Who does not say so starts anew, and a key that a call has had leads to no execution.
    let second = store.start_with("root", "[1]", keyed("k")).await.must();
    assert_ne!(second, first);
    let root = store.take().await;
    store.suspend(&root, spawns([keyed_call(&root, 1, "[]")]), WaitMode::All, &[1], 0).await;
    let child = store.take().await;
    store.fail(&child).await;
    let third = store.start_with("child", "[]", once()).await.must();
    assert!(store.claim("w", 9).await.iter().any(|claimed| claimed.task.execution_id == third));
}

/// Two parents whose calls have one key: the owner, taken; the one who joined; and their parents, who wait.
async fn joined(store: &Store, count: usize) -> (Claimed, Vec<Claimed>) {
    store.worker("w", &["root", "child"]).await;
    let mut parents = Vec::new();
    for _ in 0..count {
        let root = store.root("root").await;
        parents.push(root);
    }
    for root in &parents {
        store.suspend(root, spawns([keyed_call(root, 1, "[]")]), WaitMode::All, &[1], 0).await;
    }
    let owner = store.take().await;
    assert_eq!(owner.task.parent_task_id, Some(parents[0].task.id));
    (owner, parents)
}

async fn a_joiner_gets_the_owners_result(store: Store) {
    let (owner, parents) = joined(&store, 3).await;
    store.idle().await;
    for root in &parents[1..] {
        assert_eq!(only(store.journal(root.task.id).await).state, TaskState::Waiting);
    }
    store.complete(&owner, "7").await;
    assert_eq!(store.claim("w", 9).await.len(), 3);
    for root in &parents {
        let entry = only(store.journal(root.task.id).await);
        assert_eq!((text(entry.result.as_ref().must()), entry.arrival), ("7", Some(1)));
    }
}

async fn if_the_owner_fails_the_first_joiner_runs(store: Store) {
    let (owner, parents) = joined(&store, 3).await;
    store.fail(&owner).await;
    let mut taken = store.claim("w", 9).await;
    taken.sort_by_key(|claimed| claimed.task.step_name.clone());
    let [heir, failed] = taken.as_slice() else { panic!("{taken:#?}") };
    assert_eq!(failed.task.id, parents[0].task.id);
    assert_eq!(heir.task.parent_task_id, Some(parents[1].task.id));
    assert_eq!(store.state(parents[2].task.id).await, TaskState::Waiting);
    store.complete(heir, "8").await;
    assert_eq!(store.claim("w", 9).await.len(), 2);
    for root in &parents[1..] {
        assert_eq!(text(only(store.journal(root.task.id).await).result.as_ref().must()), "8");
    }
}

async fn if_the_owner_is_cancelled_a_joiner_runs(store: Store) {
    let (owner, parents) = joined(&store, 2).await;
    store.release(&owner).await;
    store.backend.cancel(parents[0].task.execution_id, None).await.must();
    let heir = store.take().await;
    assert_eq!(heir.task.parent_task_id, Some(parents[1].task.id));
    store.complete(&heir, "8").await;
    assert_eq!(store.take().await.task.id, parents[1].task.id);
}

async fn if_the_owners_parent_ends_a_joiner_runs(store: Store) {
    let (owner, parents) = joined(&store, 2).await;
    let ended = Task { state: TaskState::Failed, ..store.task(parents[0].task.id).await };
    store.backend.call(Request::UpdateTask { task: ended }).await.must();
    assert_eq!(store.say(&owner, Commands::default(), completed("7")).await, Verdict::LeaseLost);
    assert_eq!(store.take().await.task.parent_task_id, Some(parents[1].task.id));
}

async fn a_recorded_result_is_there_at_once(store: Store) {
    let (owner, parents) = joined(&store, 1).await;
    store.complete(&owner, "7").await;
    let first = store.take().await;
    assert_eq!(first.task.id, parents[0].task.id);
    store.complete(&first, "1").await;
    let late = store.root("root").await;
    store.suspend(&late, spawns([keyed_call(&late, 1, "[]")]), WaitMode::All, &[1], 0).await;
    assert_eq!(store.take().await.task.id, late.task.id);
    let entry = only(store.journal(late.task.id).await);
    assert_eq!((entry.state, text(entry.result.as_ref().must())), (TaskState::Completed, "7"));
}

async fn other_arguments_are_a_conflict(store: Store) {
    let (owner, _) = joined(&store, 1).await;
    let other = store.root("root").await;
    store.suspend(&other, spawns([keyed_call(&other, 1, "[2]")]), WaitMode::All, &[1], 0).await;
    assert_eq!(store.take().await.task.id, other.task.id);
    let entry = only(store.journal(other.task.id).await);
    let error = entry.error.must();
    assert_eq!((entry.state, error.kind.as_str()), (TaskState::Failed, "Conflict"));
    assert!(error.message.contains("other arguments") && !error.retryable);
    // The owner is not harmed.
    store.complete(&owner, "7").await;
}

async fn a_join_that_would_wait_for_itself_is_a_conflict(store: Store) {
    store.worker("w", &["root", "child"]).await;
    // Directly: a call below the owner, with the owner's key.
    let root = store.root("root").await;
    store.suspend(&root, spawns([keyed_call(&root, 1, "[]")]), WaitMode::All, &[1], 0).await;
    let owner = store.take().await;
    store.suspend(&owner, spawns([keyed_call(&owner, 1, "[]")]), WaitMode::All, &[1], 0).await;
    let owner = store.take().await;
    let entry = only(store.journal(owner.task.id).await);
    assert_eq!(entry.error.must().kind, "Conflict");
    store.fail(&owner).await;
    store.take().await;

    // In a ring: each would wait for the other's key.
    let call_by = |parent: &Claimed, key: &str| {
        let options = CallOptions { idempotency_key: Some(key.to_owned()), ..CallOptions::default() };
        call_with(parent, 1, "child", "[]", options)
    };
    let mut owners = Vec::new();
    for key in ["a", "b"] {
        let root = store.root("root").await;
        store.suspend(&root, spawns([call_by(&root, key)]), WaitMode::All, &[1], 0).await;
        owners.push(store.take().await);
    }
    store.suspend(&owners[0], spawns([call_by(&owners[0], "b")]), WaitMode::All, &[1], 0).await;
    store.idle().await;
    store.suspend(&owners[1], spawns([call_by(&owners[1], "a")]), WaitMode::All, &[1], 0).await;
    assert_eq!(store.take().await.task.id, owners[1].task.id);
    let entry = only(store.journal(owners[1].task.id).await);
    assert_eq!(entry.error.must().kind, "Conflict");
}

async fn a_key_outlives_the_run_that_used_it(store: Store) {
    let (owner, _) = joined(&store, 1).await;
    store.complete(&owner, "7").await;
    let root = store.take().await;
    store.record(&root, Commands::default(), Outcome::Continue { args: "[]".into(), seen: 1 }).await;
    let root = store.take().await;
    assert_eq!(store.journal(root.task.id).await, []);
    store.suspend(&root, spawns([keyed_call(&root, 1, "[]")]), WaitMode::All, &[1], 0).await;
    assert_eq!(store.take().await.task.id, root.task.id);
    assert_eq!(text(only(store.journal(root.task.id).await).result.as_ref().must()), "7");
    // And other arguments are other arguments still.
    let other = store.root("root").await;
    store.suspend(&other, spawns([keyed_call(&other, 1, "[2]")]), WaitMode::All, &[1], 0).await;
    assert_eq!(only(store.journal(other.task.id).await).error.must().kind, "Conflict");
}

async fn an_idempotent_function_needs_no_key(store: Store) {
    let idempotent = FunctionOptions { idempotent: true, ..FunctionOptions::default() };
    store.worker_with("w", vec![("root", FunctionOptions::default()), ("child", idempotent)]).await;
    let root = store.root("root").await;
    let same = |op, args| call_with(&root, op, "child", args, CallOptions::default());
    store.hold(&root, spawns([same(1, "[{\"a\":1,\"b\":2}]"), same(2, "[{\"b\":2,\"a\":1}]"), same(3, "[3]")])).await;
    let taken = store.claim("w", 9).await;
    assert_eq!(taken.len(), 2);
    for child in &taken {
        store.complete(child, text(&child.task.args)).await;
    }
    let journal = store.journal(root.task.id).await;
    assert_eq!(journal[0].result, journal[1].result);
    assert_ne!(journal[0].result, journal[2].result);
}
