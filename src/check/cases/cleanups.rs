//! A function with a cleanup is run once more after its execution was cancelled or timed out; until it ends, or the time is
//! over, the execution is cancelling.

use std::time::Duration;

use stent::backend::{Claimed, Commands, ExecutionFilter, Outcome, Renew, Request, Response, Verdict};
use stent::model::{DispatchOptions, ExecutionState, FunctionOptions, Id, Status, Task, TaskState, WaitMode};

use super::house::*;

cases! {
    what_it_had_issued_is_over_and_what_it_asks_for_is_done,
    it_begins_when_nobody_holds_a_lease,
    who_runs_gives_up_first,
    what_has_not_begun_has_nothing_to_clean_up,
    it_is_told_as_cancelling,
    another_cancel_changes_nothing,
    its_time_is_bounded,
    what_runs_when_its_time_is_over_gives_up,
    whose_worker_dies_goes_on_at_another,
    it_is_tried_again_and_leaves_a_letter,
    what_is_below_it_ends_with_it,
    a_root_that_a_tool_has_ended_has_nothing_to_clean_up,
    signals_reach_it,
    the_compensation_comes_after_it,
    one_that_timed_out_has_one_too,
}

fn cleans(time: Duration) -> FunctionOptions {
    FunctionOptions { cleanup: Some(time), ..tries(3) }
}

/// `root` has a cleanup, `child` has none.
async fn worker(store: &Store, time: Duration) {
    store.worker_with("w", vec![("root", cleans(time)), ("child", FunctionOptions::default())]).await;
}

/// One that waits for a timer, which is its only operation.
async fn waiting(store: &Store) -> Claimed {
    let root = store.root("root").await;
    store.suspend(&root, spawns([timer(&root, 1, HOUR)]), WaitMode::All, &[1], 0).await;
    root
}

async fn cancel(store: &Store, execution: Id) {
    store.backend.cancel(execution, Some("no more".to_owned())).await.must();
}

/// One that was cancelled where it waited, and its root, which is claimed for the cleanup.
async fn cleaning(store: &Store) -> Claimed {
    let root = waiting(store).await;
    cancel(store, root.task.execution_id).await;
    store.take().await
}

async fn what_it_had_issued_is_over_and_what_it_asks_for_is_done(store: Store) {
    worker(&store, HOUR).await;
    let root = store.root("root").await;
    let execution = root.task.execution_id;
    store.record(&root, spawns([step(&root, 1, Ok("1"))]), Outcome::Hold).await;
    let waits = [timer(&root, 2, HOUR), wait_for(&root, 3, "go", None), call(&root, 4, "child")];
    store.suspend(&root, spawns(waits), WaitMode::All, &[2, 3, 4], 1).await;
    cancel(&store, execution).await;
    store.is(execution, ExecutionState::Cancelling).await;
    let again = store.take().await;
    assert_eq!((again.task.id, again.cleanup, again.ops), (root.task.id, Some(4), 4));
    assert!(again.task.fence > root.task.fence && again.deadline.is_none());
    let told: Vec<_> = store.journal(root.task.id).await.iter().map(|op| (op.op, op.state, op.arrival)).collect();
    let over = |op: u32| (op, TaskState::Cancelled, Some(u64::from(op)));
    assert_eq!(told, [(1, TaskState::Completed, Some(1)), over(2), over(3), over(4)]);
    let (_, latest) = store.record(&again, spawns([call(&again, 5, "child")]), Outcome::Hold).await;
    assert_eq!(latest, 4);
    store.suspend(&again, Commands::default(), WaitMode::All, &[5], 4).await;
    let child = store.take().await;
    assert_eq!((child.task.parent_task_id, child.cleanup), (Some(root.task.id), None));
    store.complete(&child, "5").await;
    let last = store.take().await;
    assert_eq!((last.task.id, last.cleanup), (root.task.id, Some(4)));
    assert_eq!(store.journal(root.task.id).await.last().must().arrival, Some(5));
    store.record(&last, counting(1), completed("\"clean\"")).await;
    let ended = store.snapshot(execution).await;
    assert_eq!((ended.execution.state, ended.cancel_reason.as_deref()), (ExecutionState::Cancelled, Some("no more")));
    assert_eq!(ended.execution.result.as_ref().map(text), Some("\"clean\""));
    assert!(ended.execution.completed_at.is_some() && ended.counters.len() == 1);
    assert_eq!(store.state(root.task.id).await, TaskState::Cancelled);
    // The same end again, as after an answer that was lost.
    assert!(is_recorded(&store.say(&last, counting(1), completed("\"clean\"")).await));
    assert_eq!(store.counters(execution).await["n"], stent::model::Number::Integer(1));
    is_status(store.backend.cancel(execution, None).await, Status::Conflict, "cancelled already");
    store.idle().await;
}

async fn it_begins_when_nobody_holds_a_lease(store: Store) {
    worker(&store, HOUR).await;
    let (root, child) = store.waiting_parent().await;
    cancel(&store, root.task.execution_id).await;
    store.sweep().await;
    store.idle().await;
    assert!(!store.state(root.task.id).await.is_terminal());
    assert_eq!(store.say(&child, counting(1), completed("1")).await, Verdict::Cancelled);
    store.sweep().await;
    let again = store.take().await;
    assert_eq!((again.task.id, again.cleanup), (root.task.id, Some(1)));
    assert_eq!(only(store.journal(root.task.id).await).state, TaskState::Cancelled);
    store.complete(&again, "1").await;
    store.is(root.task.execution_id, ExecutionState::Cancelled).await;
}

async fn who_runs_gives_up_first(store: Store) {
    worker(&store, HOUR).await;
    for outcome in [suspended(WaitMode::All, &[1], 0), completed("1"), retry(HOUR), Outcome::Release] {
        let root = store.root("root").await;
        let execution = root.task.execution_id;
        store.hold(&root, spawns([step(&root, 1, Ok("1"))])).await;
        cancel(&store, execution).await;
        assert_eq!(store.backend.cancelled_among(vec![execution]).await.must(), [execution]);
        store.sweep().await;
        store.idle().await;
        assert_eq!(store.say(&root, counting(1), outcome.clone()).await, Verdict::Cancelled, "{outcome:?}");
        store.is(execution, ExecutionState::Cancelling).await;
        store.sweep().await;
        let again = store.take().await;
        assert_eq!((again.task.id, again.cleanup, again.task.retries), (root.task.id, Some(1), 0));
        assert_eq!(store.say(&root, counting(1), outcome).await, Verdict::LeaseLost);
        store.record(&again, counting(10), completed("1")).await;
        assert_eq!(store.counters(execution).await["n"], stent::model::Number::Integer(10));
        store.is(execution, ExecutionState::Cancelled).await;
    }
}

async fn what_has_not_begun_has_nothing_to_clean_up(store: Store) {
    worker(&store, HOUR).await;
    let pending = store.start("root").await;
    let options = DispatchOptions { delay: Some(HOUR), ..DispatchOptions::default() };
    let delayed = store.start_with("root", "[]", options).await.must();
    for execution in [pending, delayed] {
        cancel(&store, execution).await;
        store.is(execution, ExecutionState::Cancelled).await;
    }
    store.idle().await;
}

async fn it_is_told_as_cancelling(store: Store) {
    worker(&store, HOUR).await;
    let root = cleaning(&store).await;
    let id = root.task.execution_id;
    let count = async |state| match store.backend.call(Request::CountExecutions { state: Some(state) }).await.must() {
        Response::Count(count) => count,
        other => panic!("{other:?}"),
    };
    let listed = async |state| {
        let filter = ExecutionFilter { state: Some(state), limit: 100, ..ExecutionFilter::default() };
        let engine = store.backend.list(filter).await.must();
        let request = Request::ListExecutions { limit: 100, offset: 0, state: Some(state) };
        let Response::Executions(protocol) = store.backend.call(request).await.must() else { panic!("a list is due") };
        let has = |list: &[stent::model::Execution]| list.iter().any(|execution| execution.id == id);
        (has(&engine), has(&protocol), count(state).await > 0)
    };
    assert_eq!(listed(ExecutionState::Cancelling).await, (true, true, true));
    assert_eq!(listed(ExecutionState::Running).await, (false, false, false));
    let told = store.snapshot(id).await;
    assert_eq!((told.execution.state, told.execution.completed_at), (ExecutionState::Cancelling, None));
    let stats = store.backend.stats().await.must();
    assert_eq!(stats.executions.get("running"), None);
    assert!(stats.executions["cancelling"] > 0);
    store.complete(&root, "1").await;
    store.is(id, ExecutionState::Cancelled).await;
}

async fn another_cancel_changes_nothing(store: Store) {
    worker(&store, HOUR).await;
    let root = cleaning(&store).await;
    let id = root.task.execution_id;
    store.backend.cancel(id, Some("another reason".to_owned())).await.must();
    store.sweep().await;
    assert_eq!(store.snapshot(id).await.cancel_reason.as_deref(), Some("no more"));
    let renew = Renew { worker_id: "w".into(), held: vec![held(&root)], lease: LEASE };
    let renewed = store.backend.renew(renew).await.must();
    assert_eq!((renewed.lost, renewed.cancelled), (vec![], vec![]));
    assert!(store.backend.cancelled_among(vec![id]).await.must().is_empty());
    store.hold(&root, spawns([step(&root, 2, Ok("1"))])).await;
    store.complete(&root, "1").await;
    store.is(id, ExecutionState::Cancelled).await;
}

async fn its_time_is_bounded(store: Store) {
    worker(&store, Duration::from_millis(50)).await;
    let root = waiting(&store).await;
    let id = root.task.execution_id;
    cancel(&store, id).await;
    store.is(id, ExecutionState::Cancelling).await;
    store.until_execution(id, ExecutionState::Cancelled).await;
    assert_eq!(store.state(root.task.id).await, TaskState::Cancelled);
    store.idle().await;
    assert!(store.letters().await.is_empty());
}

async fn what_runs_when_its_time_is_over_gives_up(store: Store) {
    worker(&store, Duration::from_millis(500)).await;
    let root = cleaning(&store).await;
    let id = root.task.execution_id;
    store.until("its time is over", async |store| store.backend.cancelled_among(vec![id]).await.must() == [id]).await;
    store.is(id, ExecutionState::Cancelling).await;
    let late = spawns([call(&root, 2, "child")]);
    assert_eq!(store.say(&root, late, suspended(WaitMode::All, &[2], 1)).await, Verdict::Cancelled);
    store.until_execution(id, ExecutionState::Cancelled).await;
    assert_eq!(store.tasks(id).await.len(), 2);
    store.idle().await;
}

async fn whose_worker_dies_goes_on_at_another(store: Store) {
    worker(&store, HOUR).await;
    let root = waiting(&store).await;
    let id = root.task.execution_id;
    cancel(&store, id).await;
    let dead = store.die().await;
    assert_eq!((dead.task.id, dead.cleanup), (root.task.id, Some(1)));
    store.is(id, ExecutionState::Cancelling).await;
    worker(&store, HOUR).await;
    let again = store.take().await;
    assert_eq!((again.task.id, again.cleanup, again.crashes), (root.task.id, Some(1), 1));
    assert_eq!(store.say(&dead, counting(1), completed("1")).await, Verdict::LeaseLost);
    store.complete(&again, "1").await;
    store.is(id, ExecutionState::Cancelled).await;
}

async fn it_is_tried_again_and_leaves_a_letter(store: Store) {
    worker(&store, HOUR).await;
    let root = cleaning(&store).await;
    let id = root.task.execution_id;
    store.record(&root, Commands::default(), retry(Duration::ZERO)).await;
    let again = store.take().await;
    assert_eq!((again.cleanup, again.task.retries), (Some(1), 1));
    store.fail(&again).await;
    let ended = store.execution(id).await;
    assert_eq!((ended.state, ended.error), (ExecutionState::Cancelled, Some(failure())));
    assert_eq!(store.state(root.task.id).await, TaskState::Cancelled);
    assert_eq!(only(store.letters().await).task.id, root.task.id);
}

async fn what_is_below_it_ends_with_it(store: Store) {
    worker(&store, HOUR).await;
    let root = cleaning(&store).await;
    let id = root.task.execution_id;
    store.hold(&root, spawns([call(&root, 2, "child"), timer(&root, 3, HOUR)])).await;
    let child = store.take().await;
    store.complete(&root, "1").await;
    assert_eq!(store.say(&child, counting(1), completed("1")).await, Verdict::LeaseLost);
    store.until_execution(id, ExecutionState::Cancelled).await;
    assert!(store.tasks(id).await.iter().all(|task| task.state == TaskState::Cancelled));
    assert!(store.counters(id).await.is_empty());
}

async fn a_root_that_a_tool_has_ended_has_nothing_to_clean_up(store: Store) {
    worker(&store, HOUR).await;
    let (root, child) = store.waiting_parent().await;
    let id = root.task.execution_id;
    cancel(&store, id).await;
    let task = Task { state: TaskState::Failed, error: Some(failure()), ..store.task(root.task.id).await };
    store.backend.call(Request::UpdateTask { task }).await.must();
    // Its end has taken what it had begun.
    assert_eq!(store.say(&child, Commands::default(), completed("1")).await, Verdict::Cancelled);
    store.until_execution(id, ExecutionState::Cancelled).await;
    store.idle().await;
}

async fn signals_reach_it(store: Store) {
    worker(&store, HOUR).await;
    let root = cleaning(&store).await;
    let id = root.task.execution_id;
    store.suspend(&root, spawns([wait_for(&root, 2, "go", None)]), WaitMode::All, &[2], 1).await;
    store.idle().await;
    store.send(id, "go", "7").await;
    let again = store.take().await;
    assert_eq!(store.journal(root.task.id).await[1].result.as_ref().map(text), Some("7"));
    store.complete(&again, "1").await;
    is_status(store.backend.signal(signal(id, "go", "7")).await, Status::Conflict, "cancelled");
}

async fn the_compensation_comes_after_it(store: Store) {
    store.worker_with("w", vec![("root", cleans(HOUR)), ("undo", FunctionOptions::default())]).await;
    let options = DispatchOptions { on_cancel: Some("undo".to_owned()), ..DispatchOptions::default() };
    let id = store.start_with("root", "[1]", options).await.must();
    let root = store.take().await;
    store.suspend(&root, spawns([timer(&root, 1, HOUR)]), WaitMode::All, &[1], 0).await;
    cancel(&store, id).await;
    store.sweep().await;
    let again = store.take().await;
    assert_eq!(again.task.id, root.task.id);
    store.complete(&again, "1").await;
    let undo = store.take().await;
    assert_eq!((undo.task.step_name.as_str(), undo.cleanup), ("undo", None));
    assert!(text(&undo.task.args).contains(&id.to_string()) && text(&undo.task.args).contains("no more"));
    store.complete(&undo, "1").await;
    store.sweep().await;
    store.idle().await;
}

async fn one_that_timed_out_has_one_too(store: Store) {
    worker(&store, HOUR).await;
    let options = DispatchOptions { expiry: Some(HOUR), ..DispatchOptions::default() };
    let id = store.start_with("root", "[]", options).await.must();
    let root = store.take().await;
    store.suspend(&root, spawns([timer(&root, 1, HOUR)]), WaitMode::All, &[1], 0).await;
    store.expire(id).await;
    store.until_execution(id, ExecutionState::Cancelling).await;
    store.sweep().await;
    let again = store.take().await;
    assert_eq!((again.task.id, again.cleanup), (root.task.id, Some(1)));
    store.sweep().await;
    store.is(id, ExecutionState::Cancelling).await;
    store.complete(&again, "1").await;
    store.is(id, ExecutionState::TimedOut).await;
}
