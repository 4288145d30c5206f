//! Whatever ends a task: its parent is woken, its execution ends with its root, and nothing below it goes on.

use std::time::Duration;

use stent::backend::{Claimed, Commands, Outcome, Request, Verdict};
use stent::model::{ExecutionState, FunctionOptions, Task, TaskKind, TaskState, WaitMode};

use super::house::*;

cases! {
    a_parent_hears_of_every_end,
    an_execution_ends_as_its_root_does,
    a_parent_hears_of_timers_and_signals,
    what_is_unfinished_below_is_cancelled,
    what_is_below_a_failed_child_is_cancelled,
    what_is_started_in_the_batch_that_ends_its_parent_is_cancelled,
    an_ending_task_starts_nothing_more,
    large_trees_end_in_batches,
}

/// How a child may end, what does it, and what becomes of it.
#[derive(Clone, Copy, Debug)]
enum By {
    Complete,
    DeadLetter,
    PassUp,
    Crash,
    TimeOut,
    RawComplete,
    RawFail,
    RawCancel,
}

const WAYS: [(By, TaskState); 8] = [
    (By::Complete, TaskState::Completed),
    (By::DeadLetter, TaskState::Failed),
    (By::PassUp, TaskState::Failed),
    (By::Crash, TaskState::Failed),
    (By::TimeOut, TaskState::Failed),
    (By::RawComplete, TaskState::Completed),
    (By::RawFail, TaskState::Failed),
    (By::RawCancel, TaskState::Cancelled),
];

/// Functions that die at once and have little time.
async fn frail(store: &Store) {
    let timed = FunctionOptions { timeout: Some(Duration::from_millis(1)), ..deaths(1) };
    let functions = vec![("root", deaths(1)), ("child", deaths(1)), ("timed", timed)];
    store.worker_with("w", functions).await;
}

const fn function(way: By, usual: &'static str) -> &'static str {
    match way {
        By::TimeOut => "timed",
        _ => usual,
    }
}

/// Takes the only task that is there, and ends it.
async fn end(store: &Store, way: By) -> Task {
    let raw = async |of: &Claimed, state| {
        let record = Task {
            state,
            completed_at: Some(of.claimed_at),
            result: (state == TaskState::Completed).then(|| "7".into()),
            error: (state == TaskState::Failed).then(failure),
            lease_expires_at: None,
            ..of.task.clone()
        };
        store.backend.call(Request::UpdateTask { task: record }).await.must();
    };
    if let By::Crash = way {
        return store.die().await.task;
    }
    let taken = store.take().await;
    match way {
        By::Complete => store.complete(&taken, "7").await,
        By::DeadLetter => store.fail(&taken).await,
        By::PassUp => {
            store.record(&taken, Commands::default(), Outcome::PassUp { failure: failure() }).await;
        }
        By::TimeOut => {
            store.suspend(&taken, spawns([timer(&taken, 1, HOUR)]), WaitMode::All, &[1], 0).await;
            store.until_task(taken.task.id, TaskState::Failed).await;
        }
        By::RawComplete => raw(&taken, TaskState::Completed).await,
        By::RawFail => raw(&taken, TaskState::Failed).await,
        By::RawCancel => raw(&taken, TaskState::Cancelled).await,
        By::Crash => {}
    }
    taken.task
}

async fn a_parent_hears_of_every_end(store: Store) {
    frail(&store).await;
    for (way, state) in WAYS {
        let root = store.root("root").await;
        let child = call(&root, 1, function(way, "child"));
        store.suspend(&root, spawns([child]), WaitMode::All, &[1], 0).await;
        let child = end(&store, way).await;
        assert_eq!(store.state(child.id).await, state, "{way:?}");
        frail(&store).await;
        let again = store.take().await;
        assert_eq!(again.task.id, root.task.id, "{way:?}");
        let entry = only(store.journal(root.task.id).await);
        assert_eq!((entry.state, entry.arrival), (state, Some(1)), "{way:?}");
        assert_eq!(entry.result.is_some(), state == TaskState::Completed);
        assert_eq!(entry.error.is_some(), state == TaskState::Failed);
        assert!(entry.completed_at.is_some());
        store.complete(&again, "1").await;
    }
}

async fn an_execution_ends_as_its_root_does(store: Store) {
    for (way, state) in WAYS {
        frail(&store).await;
        let execution = store.start(function(way, "root")).await;
        end(&store, way).await;
        let execution = store.execution(execution).await;
        assert_eq!(execution.state.as_str(), state.as_str(), "{way:?}");
        assert!(execution.completed_at.is_some());
        assert_eq!(execution.result.is_some(), state == TaskState::Completed);
        assert_eq!(execution.error.is_some(), state == TaskState::Failed);
        assert_eq!(store.backend.ended_among(vec![execution.id]).await.must(), [execution.id]);
    }
}

async fn a_parent_hears_of_timers_and_signals(store: Store) {
    store.worker("w", &["root"]).await;
    let moment = Duration::from_millis(1);
    for way in 0..4 {
        let root = store.root("root").await;
        let spawned = match way {
            0 => timer(&root, 1, moment),
            1 => wait_for(&root, 1, "go", None),
            2 => wait_for(&root, 1, "go", Some(moment)),
            _ => step(&root, 1, Ok("1")),
        };
        store.suspend(&root, spawns([spawned]), WaitMode::All, &[1], 0).await;
        if way == 1 {
            store.send(root.task.execution_id, "go", "1").await;
        }
        store.until_task(root.task.id, TaskState::Pending).await;
        let again = store.take().await;
        store.complete(&again, "1").await;
    }
}

/// A root with a child that has operations of every kind below it, one of them running.
async fn family(store: &Store) -> (Claimed, Claimed, Claimed) {
    store.worker("w", &["root", "child", "below"]).await;
    let root = store.root("root").await;
    store.hold(&root, spawns([call(&root, 1, "child")])).await;
    let child = store.take().await;
    let below = [
        call(&child, 1, "below"),
        call(&child, 2, "nobody"),
        timer(&child, 3, HOUR),
        wait_for(&child, 4, "go", None),
        step(&child, 5, Ok("5")),
    ];
    store.hold(&child, spawns(below)).await;
    let running = store.take().await;
    store.hold(&running, spawns([call(&running, 1, "below"), timer(&running, 2, HOUR)])).await;
    (root, child, running)
}

async fn below(store: &Store, parent: &Claimed) -> Vec<Task> {
    let all = store.tasks(parent.task.execution_id).await;
    all.into_iter().filter(|task| task.parent_task_id == Some(parent.task.id)).collect()
}

async fn nothing_goes_on_below(store: &Store, child: &Claimed, running: &Claimed) {
    let (children, grandchildren) = (below(store, child).await, below(store, running).await);
    assert_eq!((children.len(), grandchildren.len()), (5, 2));
    for task in children.into_iter().chain(grandchildren) {
        let expected = if task.kind == TaskKind::Step { TaskState::Completed } else { TaskState::Cancelled };
        assert_eq!(task.state, expected, "{task:#?}");
    }
    assert_eq!(store.say(running, counting(1), completed("1")).await, Verdict::LeaseLost);
    store.worker("v", &["root", "child", "below", "nobody"]).await;
    assert_eq!(store.claim("v", 9).await, []);
    let due = store.backend.sweep("w").await.must().next_due;
    assert!(due.is_none_or(|due| due <= LEASE), "a timer is left: {due:?}");
}

async fn what_is_unfinished_below_is_cancelled(store: Store) {
    for way in [completed("1"), dead("it broke")] {
        let (root, child, running) = family(&store).await;
        store.record(&root, Commands::default(), way).await;
        assert_eq!(store.state(child.task.id).await, TaskState::Cancelled);
        assert_eq!(store.say(&child, counting(1), completed("1")).await, Verdict::LeaseLost);
        nothing_goes_on_below(&store, &child, &running).await;
        assert!(store.counters(root.task.execution_id).await.is_empty());
    }
}

async fn what_is_below_a_failed_child_is_cancelled(store: Store) {
    let (root, child, running) = family(&store).await;
    store.fail(&child).await;
    nothing_goes_on_below(&store, &child, &running).await;
    // Beside it nothing has changed.
    store.complete(&root, "1").await;
    store.is(root.task.execution_id, ExecutionState::Completed).await;
}

async fn what_is_started_in_the_batch_that_ends_its_parent_is_cancelled(store: Store) {
    for parent_first in [true, false] {
        let (root, child, _) = family(&store).await;
        let grandchild = call(&child, 6, "below");
        let mut transitions = vec![
            saying(&root, Commands::default(), completed("1")),
            saying(&child, spawns([grandchild.clone(), timer(&child, 7, HOUR)]), Outcome::Hold),
        ];
        if !parent_first {
            transitions.reverse();
        }
        store.say_all(transitions).await;
        assert_eq!(store.state(child.task.id).await, TaskState::Cancelled);
        let left: Vec<Task> = store.tasks(root.task.execution_id).await;
        let left: Vec<&Task> = left.iter().filter(|task| !task.state.is_terminal()).collect();
        assert!(left.is_empty(), "{left:#?}");
        store.idle().await;
    }
}

async fn an_ending_task_starts_nothing_more(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    store.record(&root, everything(&root), completed("1")).await;
    store.idle().await;
    // Only what it had run in place is there.
    let entry = only(store.journal(root.task.id).await);
    assert_eq!((entry.op, entry.state), (4, TaskState::Completed));
    assert_eq!(store.tasks(root.task.execution_id).await.len(), 2);
}

async fn large_trees_end_in_batches(store: Store) {
    const CHILDREN: u32 = 2500;
    store.worker("w", &["root", "child", "below"]).await;
    let root = store.root("root").await;
    store.hold(&root, spawns((1..=CHILDREN).map(|op| call(&root, op, "below")))).await;
    let parents = store.claim("w", 3).await;
    for parent in &parents {
        store.hold(parent, spawns([call(parent, 1, "below")])).await;
    }
    store.complete(&root, "1").await;
    store.is(root.task.execution_id, ExecutionState::Completed).await;
    let left = async |store: &Store| {
        store.tasks(root.task.execution_id).await.iter().filter(|task| !task.state.is_terminal()).count()
    };
    assert!(left(&store).await > 0, "all in one transaction");
    store.idle().await;
    store.until("all is cancelled", async |store| left(store).await == 0).await;
    assert_eq!(store.say(&parents[0], counting(1), completed("1")).await, Verdict::LeaseLost);
}
