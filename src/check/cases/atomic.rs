//! A transition is one transaction, and one that is refused or fails does not affect others.

use std::time::Duration;

use stent::backend::{CacheSlot, Commands, Outcome, Verdict};
use stent::model::{ExecutionState, Number, Status, TaskState, WaitMode};

use super::house::*;

cases! {
    an_end_and_all_that_follows_from_it,
    a_dead_letter_comes_with_the_end,
    a_refused_transition_spoils_no_other,
    a_transaction_that_fails_leaves_nothing,
    one_that_fails_spoils_no_other_that_commits_with_it,
    results_and_the_next_claim_travel_together,
    a_dispatch_is_all_or_nothing,
}

async fn an_end_and_all_that_follows_from_it(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let (root, child) = store.waiting_parent().await;
    let slot = CacheSlot { key: "child/key".to_owned(), ttl: None };
    let commands = Commands {
        spawns: vec![step(&child, 1, Ok("\"a step\""))],
        progress: vec![progress("half")],
        state: vec![("where".to_owned(), "\"here\"".into())],
        ..counting(3)
    };
    store.record(&child, commands, Outcome::Complete { result: "7".into(), cache: Some(slot), cache_hit: false }).await;
    let snapshot = store.snapshot(root.task.execution_id).await;
    assert_eq!(snapshot.counters["n"], Number::Integer(3));
    assert_eq!(text(&snapshot.state["where"]), "\"here\"");
    assert!(snapshot.execution.progress.iter().any(|entry| entry.step == "half"));
    assert_eq!(text(only(store.backend.cached(vec!["child/key".to_owned()]).await.must()).as_ref().must()), "7");
    assert_eq!(text(only(store.journal(child.task.id).await).result.as_ref().must()), "\"a step\"");
    let child = store.task(child.task.id).await;
    assert_eq!(result(&child), "7");
    assert_eq!((child.lease_expires_at, child.completed_at.is_some()), (None, true));
    let root = store.take().await;
    store.complete(&root, "8").await;
    let execution = store.execution(root.task.execution_id).await;
    assert_eq!((execution.state, text(&execution.result.must())), (ExecutionState::Completed, "8"));
    assert!(execution.completed_at.is_some());
}

async fn a_dead_letter_comes_with_the_end(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    store.record(&root, counting(1), dead("it broke often")).await;
    let letter = only(store.letters().await);
    assert_eq!((letter.task.id, letter.reason.as_str()), (root.task.id, "it broke often"));
    assert_eq!((letter.task.state, letter.task.error.clone()), (TaskState::Failed, Some(failure())));
    let execution = store.execution(root.task.execution_id).await;
    assert_eq!((execution.state, execution.error), (ExecutionState::Failed, Some(failure())));
}

async fn a_refused_transition_spoils_no_other(store: Store) {
    store.worker("w", &["root"]).await;
    let stale = store.root("root").await;
    store.complete(&stale, "1").await;
    let cancelled = store.root("root").await;
    store.backend.cancel(cancelled.task.execution_id, None).await.must();
    let (first, last) = (store.root("root").await, store.root("root").await);
    let verdicts = store
        .say_all(vec![
            saying(&first, counting(1), completed("1")),
            saying(&stale, counting(1), retry(Duration::ZERO)),
            saying(&cancelled, counting(1), completed("1")),
            saying(&last, counting(1), retry(Duration::ZERO)),
        ])
        .await;
    assert!(is_recorded(&verdicts[0]) && is_recorded(&verdicts[3]), "{verdicts:?}");
    assert_eq!(verdicts[1..3], [Verdict::LeaseLost, Verdict::Cancelled]);
    store.is(first.task.execution_id, ExecutionState::Completed).await;
    assert_eq!(store.take().await.task.id, last.task.id);
    for refused in [stale, cancelled] {
        assert!(store.counters(refused.task.execution_id).await.is_empty());
    }
}

async fn a_transaction_that_fails_leaves_nothing(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    let before = store.picture(root.task.execution_id).await;
    let transitions = vec![saying(&root, everything(&root), suspended(WaitMode::All, &[1], 0))];
    let refused = store.backend.advance(transitions.clone(), Some(claim("stranger", 1, LEASE))).await;
    is_status(refused, Status::NotFound, "stranger");
    assert_eq!(store.picture(root.task.execution_id).await, before);
    store.idle().await;
    assert!(is_recorded(&only(store.say_all(transitions).await)));
}

async fn one_that_fails_spoils_no_other_that_commits_with_it(store: Store) {
    store.worker("w", &["root"]).await;
    let executions = (0..40).map(|_| new_execution("root", "[]", Default::default())).collect();
    store.backend.dispatch(executions).await.must();
    let taken = store.claim("w", 40).await;
    let jobs: Vec<_> = taken
        .iter()
        .enumerate()
        .map(|(number, root)| {
            let (store, root) = (store.clone(), root.clone());
            beside(async move {
                let asks = (number % 4 == 0).then(|| claim("stranger", 1, LEASE));
                store.backend.advance(vec![saying(&root, counting(1), completed("1"))], asks).await
            })
        })
        .collect();
    for (number, job) in jobs.into_iter().enumerate() {
        let outcome = job.await.must();
        let execution = taken[number].task.execution_id;
        if number % 4 == 0 {
            is_status(outcome, Status::NotFound, "stranger");
            store.is(execution, ExecutionState::Running).await;
            assert!(store.counters(execution).await.is_empty());
        } else {
            assert!(is_recorded(&only(outcome.must().0)));
            store.is(execution, ExecutionState::Completed).await;
            assert_eq!(store.counters(execution).await["n"], Number::Integer(1));
        }
    }
}

async fn results_and_the_next_claim_travel_together(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let (root, child) = store.waiting_parent().await;
    let asks = Some(claim("w", 1, LEASE));
    let (verdicts, claimed) =
        store.backend.advance(vec![saying(&child, Commands::default(), completed("1"))], asks).await.must();
    assert!(is_recorded(&only(verdicts)));
    // What the transition made ready is there to be taken.
    assert_eq!(only(claimed).task.id, root.task.id);
}

async fn a_dispatch_is_all_or_nothing(store: Store) {
    store.worker("w", &["root"]).await;
    let taken = store.start("root").await;
    let fresh = new_execution("root", "[]", Default::default());
    let id = fresh.id;
    let again = stent::backend::NewExecution { id: taken, ..fresh.clone() };
    is_status(store.backend.dispatch(vec![fresh, again]).await, Status::Conflict, "exists already");
    assert_eq!(store.backend.snapshot(id).await.must(), None);
    assert_eq!(store.take().await.task.execution_id, taken);
}
