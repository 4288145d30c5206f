//! Raw updates are outside the fence, but they raise it, and where they end something they wake who waits.

use stent::backend::{Commands, Renew, Request, Verdict};
use stent::model::{Execution, ExecutionState, Status, Task, TaskState, WaitMode};

use super::house::*;

cases! {
    an_update_takes_the_task_from_its_holder,
    an_end_from_outside_wakes_and_ends_what_is_below,
    an_end_never_changes_and_may_be_repeated,
    a_waiting_task_made_pending_is_not_woken_again,
    an_execution_ended_from_outside_is_left_alone,
}

async fn update(store: &Store, task: Task) {
    store.backend.call(Request::UpdateTask { task }).await.must();
}

async fn an_update_takes_the_task_from_its_holder(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    update(&store, Task { state: TaskState::Pending, worker_id: None, lease_expires_at: None, ..root.task.clone() })
        .await;
    assert_eq!(store.say(&root, counting(1), completed("1")).await, Verdict::LeaseLost);
    let renew = Renew { worker_id: "w".into(), held: vec![held(&root)], lease: LEASE };
    assert_eq!(store.backend.renew(renew).await.must().lost, [root.task.id]);
    let again = store.take().await;
    assert!(again.task.fence > root.task.fence + 1);
    store.complete(&again, "1").await;
}

async fn an_end_from_outside_wakes_and_ends_what_is_below(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let (root, child) = store.waiting_parent().await;
    store.suspend(&child, spawns([call(&child, 1, "child"), timer(&child, 2, HOUR)]), WaitMode::All, &[1, 2], 0).await;
    let below = store.take().await;
    update(&store, Task { state: TaskState::Completed, result: Some("7".into()), ..store.task(child.task.id).await })
        .await;
    assert_eq!(store.say(&below, counting(1), completed("1")).await, Verdict::LeaseLost);
    let left = store.tasks(root.task.execution_id).await;
    assert_eq!(left.iter().filter(|task| task.state == TaskState::Cancelled).count(), 2);
    let again = store.take().await;
    assert_eq!(again.task.id, root.task.id);
    assert_eq!(text(only(store.journal(root.task.id).await).result.as_ref().must()), "7");
}

async fn an_end_never_changes_and_may_be_repeated(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    store.complete(&root, "1").await;
    let stored = store.task(root.task.id).await;
    update(&store, stored.clone()).await;
    assert_eq!(store.task(root.task.id).await, stored);
    for other in [
        Task { state: TaskState::Failed, error: Some(failure()), result: None, ..stored.clone() },
        Task { state: TaskState::Pending, ..stored.clone() },
        Task { result: Some("2".into()), ..stored.clone() },
    ] {
        is_status(store.backend.call(Request::UpdateTask { task: other }).await, Status::Conflict, "never changes");
    }
    assert_eq!(store.task(root.task.id).await, stored);
    store.is(root.task.execution_id, ExecutionState::Completed).await;
}

async fn a_waiting_task_made_pending_is_not_woken_again(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let (root, child) = store.waiting_parent().await;
    update(&store, Task { state: TaskState::Pending, ..store.task(root.task.id).await }).await;
    let again = store.take().await;
    assert_eq!(again.task.id, root.task.id);
    store.complete(&child, "1").await;
    store.idle().await;
    // What came is in its journal, and it may wait again.
    store.suspend(&again, Commands::default(), WaitMode::All, &[1], 0).await;
    store.take().await;
}

async fn an_execution_ended_from_outside_is_left_alone(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let id = root.task.execution_id;
    let ended = Execution { state: ExecutionState::Failed, error: Some(failure()), ..store.execution(id).await };
    store.backend.call(Request::UpdateExecution { execution: ended }).await.must();
    assert!(!is_recorded(&store.say(&root, counting(1), completed("1")).await));
    store.is(id, ExecutionState::Failed).await;
    store.sweep().await;
    store.idle().await;
    assert!(store.counters(id).await.is_empty());
}
