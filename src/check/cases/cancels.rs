//! A cancel reaches the whole tree; what is written after it is refused.

use stent::backend::{Commands, NewSignal, Outcome, Renew, Request, Verdict};
use stent::model::{DispatchOptions, ExecutionState, FunctionOptions, Id, Status, Task, TaskKind, TaskState, WaitMode};

use super::house::*;

cases! {
    nothing_is_claimed_or_recorded_any_more,
    it_is_over_when_nobody_holds_a_lease,
    what_waits_is_cancelled_at_once,
    what_is_below_a_running_task_is_cancelled_at_once,
    compensation_is_dispatched_once,
    each_has_a_compensation_of_its_own,
    a_worker_that_died_ends_it_too,
    a_renewal_tells_of_it,
    only_what_goes_on_can_be_cancelled,
    large_trees_are_cancelled_in_batches,
    a_task_of_no_execution_goes_with_its_parent,
    others_are_left_alone,
    cancel_and_end_race_to_one_end,
}

fn undone_by(function: &str) -> DispatchOptions {
    DispatchOptions { on_cancel: Some(function.to_owned()), ..DispatchOptions::default() }
}

async fn cancel(store: &Store, execution: Id) {
    store.backend.cancel(execution, Some("no more".to_owned())).await.must();
}

async fn nothing_is_claimed_or_recorded_any_more(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let outcomes = [
        Outcome::Hold,
        completed("1"),
        retry(HOUR),
        snooze(HOUR),
        dead("it broke"),
        Outcome::PassUp { failure: failure() },
        suspended(WaitMode::All, &[1], 0),
        Outcome::Release,
        parked(None),
        Outcome::Continue { args: "[]".into(), seen: 0 },
    ];
    for outcome in outcomes {
        let root = store.root("root").await;
        let execution = root.task.execution_id;
        store.hold(&root, spawns([call(&root, 9, "child")])).await;
        cancel(&store, execution).await;
        store.is(execution, ExecutionState::Cancelling).await;
        assert_eq!(store.backend.cancelled_among(vec![execution]).await.must(), [execution]);
        store.idle().await;
        let late = Commands { spawns: vec![call(&root, 10, "child"), step(&root, 11, Ok("1"))], ..counting(1) };
        assert_eq!(store.say(&root, late, outcome.clone()).await, Verdict::Cancelled, "{outcome:?}");
        let snapshot = store.snapshot(execution).await;
        assert!(snapshot.counters.is_empty() && snapshot.execution.result.is_none());
        assert_eq!(store.tasks(execution).await.len(), 2);
        store.idle().await;
        // Only who goes on has not given the lease back.
        let over = if outcome == Outcome::Hold { ExecutionState::Cancelling } else { ExecutionState::Cancelled };
        assert_eq!(snapshot.execution.state, over);
        assert!(store.letters().await.is_empty());
    }
}

async fn it_is_over_when_nobody_holds_a_lease(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    let execution = root.task.execution_id;
    store.suspend(&root, spawns([call(&root, 1, "child"), call(&root, 2, "child")]), WaitMode::All, &[1, 2], 0).await;
    let children = store.claim("w", 2).await;
    cancel(&store, execution).await;
    assert_eq!(store.state(root.task.id).await, TaskState::Cancelled);
    for (child, over) in children.iter().zip([ExecutionState::Cancelling, ExecutionState::Cancelled]) {
        store.sweep().await;
        store.is(execution, ExecutionState::Cancelling).await;
        assert_eq!(store.say(child, counting(1), completed("1")).await, Verdict::Cancelled);
        store.is(execution, over).await;
        assert_eq!(store.state(child.task.id).await, TaskState::Cancelled);
    }
    let snapshot = store.snapshot(execution).await;
    assert!(snapshot.execution.completed_at.is_some() && snapshot.counters.is_empty());
    assert_eq!(snapshot.cancel_reason.as_deref(), Some("no more"));
    // Terminal states stay.
    assert_eq!(store.say(&children[0], counting(1), completed("1")).await, Verdict::LeaseLost);
    store.is(execution, ExecutionState::Cancelled).await;
}

async fn what_waits_is_cancelled_at_once(store: Store) {
    store.worker("w", &["root"]).await;
    let pending = store.start("root").await;
    cancel(&store, pending).await;
    store.is(pending, ExecutionState::Cancelled).await;
    let root = store.root("root").await;
    let waits = [timer(&root, 1, HOUR), wait_for(&root, 2, "go", None), call(&root, 3, "nobody")];
    store.suspend(&root, spawns(waits), WaitMode::All, &[1, 2, 3], 0).await;
    cancel(&store, root.task.execution_id).await;
    store.is(root.task.execution_id, ExecutionState::Cancelled).await;
    assert!(store.tasks(root.task.execution_id).await.iter().all(|task| task.state == TaskState::Cancelled));
    assert_eq!(store.backend.sweep("w").await.must().next_due, None);
}

async fn what_is_below_a_running_task_is_cancelled_at_once(store: Store) {
    store.worker("w", &["root", "child", "below"]).await;
    let (root, child) = store.waiting_parent().await;
    store.hold(&child, spawns([call(&child, 1, "below"), timer(&child, 2, HOUR)])).await;
    let below = store.take().await;
    store.suspend(&below, spawns([timer(&below, 1, HOUR)]), WaitMode::All, &[1], 0).await;
    cancel(&store, root.task.execution_id).await;
    for task in store.tasks(root.task.execution_id).await {
        let expected = if task.id == child.task.id { TaskState::Running } else { TaskState::Cancelled };
        assert_eq!(task.state, expected, "{task:#?}");
    }
}

async fn compensation_is_dispatched_once(store: Store) {
    store.worker("w", &["root", "undo"]).await;
    let idle = store.start_with("root", "[1]", undone_by("undo")).await.must();
    cancel(&store, idle).await;
    cancel_again(&store, idle).await;
    let undo = store.take().await;
    assert_eq!((undo.task.step_name.as_str(), undo.task.parent_task_id), ("undo", None));
    assert_ne!(undo.task.execution_id, idle);
    assert!(text(&undo.task.args).contains(&idle.to_string()), "{:?}", undo.task.args);
    store.complete(&undo, "1").await;

    let held = store.start_with("root", "[1]", undone_by("undo")).await.must();
    let root = store.take().await;
    cancel(&store, held).await;
    store.sweep().await;
    store.idle().await;
    assert_eq!(store.say(&root, Commands::default(), completed("1")).await, Verdict::Cancelled);
    assert_eq!(store.say(&root, Commands::default(), completed("1")).await, Verdict::LeaseLost);
    store.sweep().await;
    assert_eq!(store.take().await.task.step_name, "undo");
    store.idle().await;

    let completes = store.start_with("root", "[1]", undone_by("undo")).await.must();
    let root = store.take().await;
    store.complete(&root, "1").await;
    store.is(completes, ExecutionState::Completed).await;
    store.idle().await;
}

/// Idempotent is the compensation for the same execution, not for any.
async fn each_has_a_compensation_of_its_own(store: Store) {
    let idempotent = FunctionOptions { idempotent: true, ..FunctionOptions::default() };
    store.worker_with("w", vec![("root", FunctionOptions::default()), ("undo", idempotent)]).await;
    let mut ended = Vec::new();
    for _ in 0..2 {
        ended.push(store.start_with("root", "[1]", undone_by("undo")).await.must());
        cancel(&store, *ended.last().must()).await;
    }
    store.sweep().await;
    let undone: Vec<String> = store.claim("w", 10).await.iter().map(|undo| text(&undo.task.args).to_owned()).collect();
    assert_eq!(undone.len(), 2, "{undone:#?}");
    assert!(ended.iter().all(|id| undone.iter().any(|args| args.contains(&id.to_string()))), "{undone:#?}");
}

async fn cancel_again(store: &Store, execution: Id) {
    is_status(store.backend.cancel(execution, None).await, Status::Conflict, "cancelled already");
}

async fn a_worker_that_died_ends_it_too(store: Store) {
    store.worker("w", &["root", "undo"]).await;
    let execution = store.start_with("root", "[1]", undone_by("undo")).await.must();
    let root = only(store.claim_with(claim("w", 1, DYING)).await);
    cancel(&store, execution).await;
    store.until_execution(execution, ExecutionState::Cancelled).await;
    assert_eq!(store.state(root.task.id).await, TaskState::Cancelled);
    store.sweep().await;
    assert_eq!(store.take().await.task.step_name, "undo");
    assert!(store.letters().await.is_empty());
}

async fn a_renewal_tells_of_it(store: Store) {
    store.worker("w", &["root"]).await;
    let (one, two) = (store.root("root").await, store.root("root").await);
    cancel(&store, one.task.execution_id).await;
    let renew = Renew { worker_id: "w".into(), held: vec![held(&one), held(&two)], lease: LEASE };
    let renewed = store.backend.renew(renew).await.must();
    assert_eq!((renewed.lost, renewed.cancelled), (vec![], vec![one.task.id]));
}

async fn only_what_goes_on_can_be_cancelled(store: Store) {
    store.worker("w", &["root"]).await;
    is_status(store.backend.cancel(Id::now_v7(), None).await, Status::NotFound, "no execution");
    let root = store.root("root").await;
    let execution = root.task.execution_id;
    cancel(&store, execution).await;
    // The same wish again.
    store.backend.cancel(execution, Some("another reason".to_owned())).await.must();
    assert_eq!(store.snapshot(execution).await.cancel_reason.as_deref(), Some("no more"));
    store.say(&root, Commands::default(), Outcome::Release).await;
    cancel_again(&store, execution).await;
    let root = store.root("root").await;
    store.complete(&root, "1").await;
    is_status(store.backend.cancel(root.task.execution_id, None).await, Status::Conflict, "completed already");
}

async fn large_trees_are_cancelled_in_batches(store: Store) {
    const CHILDREN: u32 = 5000;
    store.worker("w", &["root", "child", "other"]).await;
    let root = store.root("root").await;
    let execution = root.task.execution_id;
    let ops: Vec<u32> = (1..=CHILDREN).collect();
    for some in ops.chunks(1000) {
        store.hold(&root, spawns(some.iter().map(|op| call(&root, *op, "child")))).await;
    }
    let parents = store.claim("w", 2).await;
    for parent in &parents {
        store
            .suspend(parent, spawns([call(parent, 1, "child"), timer(parent, 2, HOUR)]), WaitMode::All, &[1, 2], 0)
            .await;
    }
    store.suspend(&root, Commands::default(), WaitMode::All, &ops, 0).await;
    let other = store.start("other").await;
    cancel(&store, execution).await;
    store.is(execution, ExecutionState::Cancelling).await;
    // From the first commit on nothing of it is taken, and others are.
    assert_eq!(store.take().await.task.execution_id, other);
    let left =
        async |store: &Store| store.tasks(execution).await.iter().filter(|task| !task.state.is_terminal()).count();
    let mut before = left(&store).await;
    assert!(before > CHILDREN as usize / 2);
    while store.execution(execution).await.state == ExecutionState::Cancelling {
        store.idle().await;
        store.backend.sweep("w").await.must();
        let now = left(&store).await;
        assert!(before - now <= 3000, "{} in one transaction", before - now);
        assert!(now < before || now == 0, "it makes no progress at {now}");
        before = now;
    }
    assert_eq!(left(&store).await, 0);
    store.is(execution, ExecutionState::Cancelled).await;
}

/// A tool has made it.
async fn a_task_of_no_execution_goes_with_its_parent(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let (id, execution) = (Id::now_v7(), Id::now_v7());
    let made = Task::new(id, execution, TaskKind::Activity, "nobody", root.task.created_at);
    let task = Task { parent_task_id: Some(root.task.id), ..made };
    store.backend.call(Request::CreateTask { task }).await.must();
    store.hold(&root, spawns([timer(&root, 1, HOUR)])).await;
    cancel(&store, root.task.execution_id).await;
    store.say(&root, Commands::default(), completed("1")).await;
    store.sweep().await;
    assert_eq!(store.state(id).await, TaskState::Cancelled);
    store.is(root.task.execution_id, ExecutionState::Cancelled).await;
}

async fn others_are_left_alone(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let (one, one_child) = store.waiting_parent().await;
    let (two, two_child) = store.waiting_parent().await;
    cancel(&store, one.task.execution_id).await;
    store.sweep().await;
    assert_eq!(store.say(&one_child, Commands::default(), completed("1")).await, Verdict::Cancelled);
    store.complete(&two_child, "1").await;
    let two = {
        assert_eq!(store.state(two.task.id).await, TaskState::Pending);
        store.take().await
    };
    let signal = NewSignal { id: None, ..signal(two.task.execution_id, "go", "1") };
    store.backend.signal(signal).await.must();
    store.complete(&two, "1").await;
    store.is(two.task.execution_id, ExecutionState::Completed).await;
}

async fn cancel_and_end_race_to_one_end(store: Store) {
    const RACES: usize = 30;
    store.worker("w", &["root", "undo"]).await;
    let executions = (0..RACES).map(|_| new_execution("root", "[]", undone_by("undo"))).collect();
    store.backend.dispatch(executions).await.must();
    let other = store.another().await;
    let mut cancelled = 0;
    for root in store.claim("w", RACES).await {
        let execution = root.task.execution_id;
        let (verdict, wish) =
            tokio::join!(store.say(&root, counting(1), completed("1")), other.backend.cancel(execution, None));
        let state = store.execution(execution).await.state;
        match verdict {
            Verdict::Recorded { .. } => {
                assert_eq!(state, ExecutionState::Completed);
                assert_eq!(wish.must_fail().status(), Status::Conflict);
            }
            Verdict::Cancelled => {
                wish.must();
                cancelled += 1;
                assert_eq!(state, ExecutionState::Cancelled);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.claim("w", 2 * RACES).await.len(), cancelled);
}
