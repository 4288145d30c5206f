//! A mismatch parks the task without charging an attempt, until other code or an explicit resume frees it.

use stent::model::{ExecutionState, FunctionOptions, Id, Status, TaskState};

use super::house::*;

cases! {
    a_parked_task_waits_with_its_reason,
    a_resume_lets_it_go_on,
    another_version_lets_it_go_on,
    the_same_version_does_not,
    a_parked_task_ends_with_its_execution,
}

fn version(version: &str) -> FunctionOptions {
    FunctionOptions { version: Some(version.to_owned()), ..tries(1) }
}

async fn one_parked(store: &Store) -> Id {
    store.worker_with("w", vec![("root", version("1"))]).await;
    let root = store.root("root").await;
    store.record(&root, spawns([step(&root, 1, Ok("1"))]), parked(Some("1"))).await;
    root.task.id
}

async fn a_parked_task_waits_with_its_reason(store: Store) {
    let root = one_parked(&store).await;
    store.sweep().await;
    store.idle().await;
    let row = store.task(root).await;
    assert_eq!((row.state, row.retries, row.lease_expires_at), (TaskState::Waiting, 0, None));
    assert_eq!(row.error.must().kind, "Nondeterminism");
    assert_eq!(store.backend.stats().await.must().parked, 1);
    assert!(store.letters().await.is_empty());
}

async fn a_resume_lets_it_go_on(store: Store) {
    let root = one_parked(&store).await;
    store.backend.resume(root).await.must();
    let again = store.take().await;
    assert_eq!((again.task.id, again.task.retries, again.crashes), (root, 0, 0));
    assert_eq!((again.task.error.as_ref(), again.ops), (None, 1));
    is_status(store.backend.resume(root).await, Status::Conflict, "not parked");
    is_status(store.backend.resume(Id::now_v7()).await, Status::NotFound, "no task");
    store.complete(&again, "1").await;
    is_status(store.backend.resume(root).await, Status::Conflict, "completed");
}

async fn another_version_lets_it_go_on(store: Store) {
    let root = one_parked(&store).await;
    let other = store.another().await;
    other.worker_with("v", vec![("root", version("2"))]).await;
    other.backend.sweep("v").await.must();
    // It goes to the worker that has it, and to nobody else.
    store.idle().await;
    let again = other.take_as("v").await;
    assert_eq!((again.task.id, again.task.retries), (root, 0));
    assert_eq!(store.backend.stats().await.must().parked, 0);
}

async fn the_same_version_does_not(store: Store) {
    let root = one_parked(&store).await;
    store.worker_with("v", vec![("root", version("1")), ("other", version("2"))]).await;
    store.backend.sweep("v").await.must();
    assert_eq!(store.claim("v", 9).await, []);
    assert_eq!(store.state(root).await, TaskState::Waiting);
}

async fn a_parked_task_ends_with_its_execution(store: Store) {
    let root = one_parked(&store).await;
    let execution = store.task(root).await.execution_id;
    store.backend.cancel(execution, None).await.must();
    store.is(execution, ExecutionState::Cancelled).await;
    assert_eq!(store.backend.stats().await.must().parked, 0);
    is_status(store.backend.resume(root).await, Status::Conflict, "cancelled");
}
