//! Updates by the protocol need no fence, but they raise it, and if they end a task its parent is woken.

use stent::backend::{Claimed, Commands, Outcome, Renew, Request, Response, Verdict};
use stent::model::{
    Execution, ExecutionState, FunctionOptions, Id, Status, Task, TaskKind, TaskState, Timestamp, WaitMode,
};

use super::house::*;
use super::records::{execution, get, get_task, ok, task, there};

cases! {
    what_is_over_has_ended_at_some_time,
    an_update_takes_the_task_from_its_holder,
    an_end_from_outside_wakes_and_ends_what_is_below,
    an_end_never_changes_and_may_be_repeated,
    a_waiting_task_made_pending_is_not_woken_again,
    an_execution_ended_from_outside_is_left_alone,
    a_task_that_nobody_would_run_is_refused,
    a_task_waits_for_its_execution,
    no_task_is_its_own_ancestor,
    a_task_that_does_not_run_has_no_lease,
    a_lease_that_ends_after_its_execution_ends_its_task,
    only_what_is_over_has_a_time_of_its_end,
    a_letter_is_of_its_tasks_execution,
    a_time_out_goes_on_when_the_protocol_claims,
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

fn activity(execution: Id) -> Task {
    Task::new(Id::now_v7(), execution, TaskKind::Activity, "child", Timestamp::from_micros(1))
}

async fn create(store: &Store, tasks: Vec<Task>) -> stent::model::Result<()> {
    let request = match <[Task; 1]>::try_from(tasks) {
        Ok([task]) => Request::CreateTask { task },
        Err(tasks) => Request::CreateTasks { tasks },
    };
    store.backend.call(request).await.map(drop)
}

async fn a_task_that_nobody_would_run_is_refused(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let (ended, cancelling) = (store.root("root").await, store.root("root").await);
    store.complete(&ended, "1").await;
    store.backend.cancel(cancelling.task.execution_id, None).await.must();
    let goes_on = store.root("root").await;
    for over in [ended.task.execution_id, cancelling.task.execution_id] {
        for state in [TaskState::Pending, TaskState::Running, TaskState::Waiting] {
            let task = Task { state, ..activity(over) };
            is_status(create(&store, vec![task.clone()]).await, Status::Conflict, "so nobody would run it");
            let both = vec![activity(goes_on.task.execution_id), task.clone()];
            is_status(create(&store, both.clone()).await, Status::Conflict, "so nobody would run it");
            for refused in both {
                let found = store.backend.call(Request::GetTask { task_id: refused.id }).await.must();
                assert_eq!(found, Response::Task(None));
            }
        }
    }
    // A record of what was done is no work.
    create(&store, vec![Task { state: TaskState::Completed, ..activity(ended.task.execution_id) }]).await.must();
    let record = store.execution(ended.task.execution_id).await;
    let execution = Execution { id: Id::now_v7(), progress: Vec::new(), ..record };
    let task = Task { kind: TaskKind::Orchestrator, ..activity(execution.id) };
    let both = Request::CreateExecutionWithRootTask { execution, task };
    is_status(store.backend.call(both).await, Status::Conflict, "so nobody would run it");
    store.idle().await;
    assert!(store.backend.stats().await.must().ready.is_empty(), "what can't be claimed is not ready");
}

/// A tool may make them in this order. Nobody runs a task of no execution, so it is not ready.
async fn a_task_waits_for_its_execution(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let execution = Execution { state: ExecutionState::Pending, ..execution() };
    let early = activity(execution.id);
    let nobodys = Task { step_name: "nobody".into(), ..activity(Id::now_v7()) };
    let later = Task { scheduled_for: Some(Timestamp::from_micros(1)), priority: -1, ..activity(execution.id) };
    create(&store, vec![early.clone(), nobodys.clone(), later.clone()]).await.must();
    store.idle().await;
    let ready = async || store.backend.stats().await.must().ready;
    assert_eq!(ready().await, [], "what can't be claimed is not ready");
    // Not every store can tell.
    if let Ok(unserved) = store.backend.unserved().await {
        assert!(unserved.functions.is_empty(), "a worker with its function would not run it: {unserved:?}");
    }
    ok(&store, Request::CreateExecution { execution: execution.clone() }).await;
    let [depth] = <[_; 1]>::try_from(ready().await).must();
    assert_eq!((depth.function.as_str(), depth.count), ("child", 2));
    for task in [early, later] {
        let taken = store.claim("w", 1).await;
        assert_eq!(taken.iter().map(|taken| taken.task.id).collect::<Vec<_>>(), [task.id]);
        store.complete(&taken[0], "1").await;
    }
    store.idle().await;
    assert_eq!(ready().await, []);
    // What the protocol claims is whatever nobody is known to forbid.
    update(&store, Task { state: TaskState::Cancelled, ..nobodys }).await;
}

async fn no_task_is_its_own_ancestor(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    let below = |id: Id, parent: Id| Task { id, parent_task_id: Some(parent), ..activity(root.task.execution_id) };
    let [a, b, c] = [1, 2, 3].map(|_| Id::now_v7());
    is_status(create(&store, vec![below(a, a)]).await, Status::Invalid, "its own ancestor");
    is_status(create(&store, vec![below(a, b), below(b, c), below(c, a)]).await, Status::Invalid, "its own ancestor");
    // One after the other: the last one would close the circle.
    create(&store, vec![below(a, b)]).await.must();
    create(&store, vec![below(b, c)]).await.must();
    is_status(create(&store, vec![below(c, a)]).await, Status::Invalid, "its own ancestor");
    let letter = Request::MoveTaskToDeadLetter { task: below(c, c), reason: "by hand".into() };
    is_status(store.backend.call(letter).await, Status::Invalid, "its own ancestor");
    create(&store, vec![below(c, root.task.id)]).await.must();
    store.complete(&root, "1").await;
}

async fn a_task_that_does_not_run_has_no_lease(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let over = Timestamp::from_micros(1);
    let leased = |task: Task, state| Task { state, worker_id: Some("w".into()), lease_expires_at: Some(over), ..task };
    let (root, child) = store.waiting_parent().await;
    let execution = root.task.execution_id;
    let waiting = Task { scheduled_for: None, ..store.task(root.task.id).await };
    update(&store, leased(waiting, TaskState::Waiting)).await;
    update(&store, leased(child.task.clone(), TaskState::Failed)).await;
    let ended = [TaskState::Completed, TaskState::Failed, TaskState::Cancelled, TaskState::Waiting];
    create(&store, ended.map(|state| leased(activity(execution), state)).into()).await.must();
    let told = store.task(child.task.id).await;
    assert_eq!((told.lease_expires_at, told.worker_id.as_deref()), (Some(over), Some("w")), "the record is as written");
    let swept = store.backend.sweep("w").await.must();
    assert_eq!((swept.changed, swept.more), (0, false), "there is nothing to sweep: {swept:?}");
    assert!(swept.next_due.is_none_or(|wait| !wait.is_zero()), "nothing is due: {swept:?}");
    // The worker lives, and is known.
    assert_eq!(store.take().await.task.id, root.task.id);
    update(&store, leased(store.task(root.task.id).await, TaskState::Waiting)).await;
    store.backend.cancel(execution, None).await.must();
    store.is(execution, ExecutionState::Cancelled).await;
}

async fn a_lease_that_ends_after_its_execution_ends_its_task(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    // A tool's own task, that nobody's end takes along.
    let task = Task { state: TaskState::Running, worker_id: Some("gone".into()), ..activity(root.task.execution_id) };
    create(&store, vec![task.clone()]).await.must();
    store.complete(&root, "1").await;
    update(&store, Task { lease_expires_at: Some(Timestamp::from_micros(1)), ..task.clone() }).await;
    store.sweep().await;
    assert_eq!(store.state(task.id).await, TaskState::Cancelled);
    assert!(store.backend.stats().await.must().ready.is_empty(), "what can't be claimed is not ready");
}

/// Without a time it would never be cleaned up.
async fn what_is_over_has_ended_at_some_time(store: Store) {
    let over = Execution { state: ExecutionState::Completed, ..execution() };
    ok(&store, Request::CreateExecution { execution: over.clone() }).await;
    assert!(get(&store, over.id).await.must().completed_at.is_some());

    let going = there(&store).await;
    ok(&store, Request::UpdateExecution { execution: Execution { state: ExecutionState::Failed, ..going.clone() } })
        .await;
    assert!(get(&store, going.id).await.must().completed_at.is_some());

    let of = there(&store).await;
    let (new, old) = (Task { state: TaskState::Completed, ..task(of.id) }, task(of.id));
    ok(&store, Request::CreateTasks { tasks: vec![new.clone(), old.clone()] }).await;
    ok(&store, Request::UpdateTask { task: Task { state: TaskState::Cancelled, ..old.clone() } }).await;
    for id in [new.id, old.id] {
        assert!(get_task(&store, id).await.must().completed_at.is_some());
    }
}

async fn only_what_is_over_has_a_time_of_its_end(store: Store) {
    let past = Some(Timestamp::from_micros(1));
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let record = store.execution(root.task.execution_id).await;
    store.complete(&root, "1").await;
    let made = |state, completed_at| Execution { id: Id::now_v7(), state, completed_at, ..record.clone() };
    let late = |execution: Execution| Execution { expiry_at: past, ..execution };
    let cancelling = made(ExecutionState::Cancelling, past);
    let expired = late(made(ExecutionState::Pending, past));
    let over = late(made(ExecutionState::Completed, None));
    let ended = made(ExecutionState::Pending, None);
    for execution in [&cancelling, &expired, &over, &ended] {
        store.backend.call(Request::CreateExecution { execution: execution.clone() }).await.must();
    }
    let ended = late(Execution { state: ExecutionState::Failed, ..ended });
    store.backend.call(Request::UpdateExecution { execution: ended.clone() }).await.must();
    store.sweep().await;
    store.is(cancelling.id, ExecutionState::Cancelled).await;
    store.is(expired.id, ExecutionState::TimedOut).await;
    for (id, state) in [(over.id, ExecutionState::Completed), (ended.id, ExecutionState::Failed)] {
        let found = store.execution(id).await;
        assert_eq!(found.state, state, "an end never changes");
        assert!(found.completed_at.is_some_and(|at| Some(at) != past), "it ended, so there is a time: {found:?}");
    }
}

async fn a_letter_is_of_its_tasks_execution(store: Store) {
    store.worker("w", &["root"]).await;
    let (root, other) = (store.root("root").await, store.root("root").await);
    let put = async |task: Task| store.backend.call(Request::MoveTaskToDeadLetter { task, reason: "r".into() }).await;
    let wrong = Task { execution_id: other.task.execution_id, ..root.task.clone() };
    is_status(put(wrong).await, Status::Conflict, "the dead letter names execution");
    assert!(store.letters().await.is_empty());
    put(root.task.clone()).await.must();
    assert_eq!(only(store.letters().await).task.execution_id, root.task.execution_id);
    store.complete(&root, "1").await;
    store.complete(&other, "1").await;
}

async fn a_time_out_goes_on_when_the_protocol_claims(store: Store) {
    let timed = FunctionOptions { timeout: Some(HOUR), ..FunctionOptions::default() };
    store.worker_with("w", vec![("root", timed), ("child", FunctionOptions::default())]).await;
    let (root, child) = store.waiting_parent().await;
    store.complete(&child, "1").await;
    let request = Request::ClaimNextTask {
        worker_id: "w".into(),
        queues: None,
        tags: None,
        now: None,
        lease_duration: 600.0,
        concurrency_limits: Default::default(),
    };
    let Response::Task(Some(task)) = store.backend.call(request).await.must() else { panic!("nothing to claim") };
    assert_eq!(task.id, root.task.id);
    let held = Claimed { task: *task, ..root.clone() };
    // It has operations: what begins anew is no attempt.
    if store.say(&held, Commands::default(), Outcome::Release).await == Verdict::LeaseLost {
        // A store that has only the protocol's operations claims in its own way.
        return;
    }
    assert_eq!(store.take().await.deadline, root.deadline);
}
