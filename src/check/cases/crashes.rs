//! Whose death a worker's death is, and what it costs; a drain costs nothing.

use std::time::Duration;

use stent::backend::{Claim, Claimed, Commands};
use stent::model::{ExecutionState, FunctionOptions, TaskState, WaitMode};

use super::house::*;

cases! {
    a_task_comes_back_when_its_lease_ends,
    a_task_that_kills_its_workers_is_dead_lettered,
    what_had_not_begun_is_charged_nothing,
    what_begins_at_once_is_known_with_the_claim,
    a_death_among_others_makes_suspects_and_no_letter,
    a_suspect_begins_when_its_worker_says_so,
    what_is_recorded_clears_a_suspect,
    what_is_recorded_begins_the_count_anew,
    what_an_attempt_says_does_not_make_up_for_its_death,
    a_release_charges_nothing,
    a_renewed_lease_does_not_end,
    a_childs_death_is_its_parents_news,
    a_live_task_is_not_rescued,
}

async fn a_task_comes_back_when_its_lease_ends(store: Store) {
    store.worker("w", &["root"]).await;
    store.start("root").await;
    let dead = store.die().await;
    let again = store.take().await;
    assert_eq!(again.task.id, dead.task.id);
    assert_eq!((again.crashes, again.task.retries), (1, 0));
    assert!(again.task.fence > dead.task.fence);
    assert!(again.task.error.as_ref().is_some_and(|error| error.kind == "WorkerDied"));
    store.complete(&again, "1").await;
    assert!(store.letters().await.is_empty());
}

async fn a_task_that_kills_its_workers_is_dead_lettered(store: Store) {
    store.worker_with("w", vec![("root", deaths(3))]).await;
    let execution = store.start("root").await;
    for crashes in 0..3 {
        let claimed = store.die().await;
        assert_eq!((claimed.crashes, claimed.deaths, claimed.task.retries), (crashes, crashes, 0));
    }
    store.idle().await;
    let letter = only(store.letters().await);
    assert!(letter.reason.contains("died 3 times in a row"), "{}", letter.reason);
    let execution = store.execution(execution).await;
    assert_eq!((execution.state, execution.error.must().kind.as_str()), (ExecutionState::Failed, "WorkerDied"));
}

/// Claims up to so many tasks for `w`, of which so many begin where four run at once, and dies.
async fn die_with(store: &Store, count: usize, begin: usize) -> Vec<Claimed> {
    let claimed = store.claim_with(Claim { begin, slots: 4, ..claim("w", count, DYING) }).await;
    for claimed in &claimed {
        store.until_task(claimed.task.id, TaskState::Pending).await;
    }
    claimed
}

async fn what_had_not_begun_is_charged_nothing(store: Store) {
    store.worker_with("w", vec![("root", deaths(1))]).await;
    store.start("root").await;
    for _ in 0..3 {
        let dead = only(die_with(&store, 1, 0).await);
        assert_eq!((dead.crashes, dead.deaths, dead.begun), (0, 0, None));
    }
    let again = store.take().await;
    assert_eq!((again.crashes, again.deaths, &again.task.error), (0, 0, &None));
    // Its body may have begun just before: it says so from now on.
    assert!(again.company.is_some());
    store.complete(&again, "1").await;
}

async fn what_begins_at_once_is_known_with_the_claim(store: Store) {
    store
        .worker_with(
            "w",
            vec![
                ("root", FunctionOptions::default()),
                ("one", FunctionOptions { max_concurrent: Some(1), ..FunctionOptions::default() }),
            ],
        )
        .await;
    for function in ["root", "root", "one"] {
        store.start(function).await;
    }
    let claimed = store.claim_with(Claim { begin: 2, slots: 4, ..claim("w", 10, LEASE) }).await;
    let begun = |function: &str| {
        let of = claimed.iter().filter(|claimed| claimed.task.step_name == function);
        of.map(|claimed| claimed.begun).collect::<Vec<_>>()
    };
    // Limited ones begin first.
    assert_eq!(begun("one"), [Some(4)]);
    assert_eq!(begun("root"), [Some(4), None]);
}

async fn a_death_among_others_makes_suspects_and_no_letter(store: Store) {
    store.worker_with("w", vec![("root", deaths(1))]).await;
    store.start("root").await;
    let first = only(die_with(&store, 1, 1).await);
    assert_eq!((first.begun, first.company), (Some(4), None));
    let second = store.claim_with(Claim { slots: 4, ..claim("w", 1, LEASE) }).await;
    let second = only(second);
    // Alone from now on; and not before its worker says so.
    assert_eq!((second.crashes, second.deaths, second.begun, second.company), (0, 1, None, Some(1)));
    assert!(second.task.error.as_ref().is_some_and(|error| error.kind == "WorkerDied"));
    store.release(&second).await;
    assert!(store.letters().await.is_empty());
    // One who runs nothing beside it needs not say so.
    assert_eq!(store.die().await.begun, Some(1));
    store.idle().await;
    assert!(only(store.letters().await).reason.contains("died 1 times in a row"));
}

async fn a_suspect_begins_when_its_worker_says_so(store: Store) {
    store.worker_with("w", vec![("root", deaths(1))]).await;
    let execution = store.start("root").await;
    die_with(&store, 1, 1).await;
    for said in [false, true] {
        let lease = Duration::from_millis(100);
        let suspect = only(store.claim_with(Claim { slots: 4, ..claim("w", 1, lease) }).await);
        assert_eq!((suspect.begun, suspect.company), (None, Some(1)));
        if said {
            assert_eq!(store.hold(&suspect, begins(1)).await, (Vec::new(), 0));
        }
        let state = if said { TaskState::Failed } else { TaskState::Pending };
        store.until_task(suspect.task.id, state).await;
    }
    store.is(execution, ExecutionState::Failed).await;
}

async fn what_is_recorded_clears_a_suspect(store: Store) {
    store.worker_with("w", vec![("root", deaths(2))]).await;
    store.start("root").await;
    die_with(&store, 1, 1).await;
    let suspect = only(store.claim_with(Claim { slots: 4, ..claim("w", 1, LEASE) }).await);
    assert_eq!(suspect.company, Some(1));
    store.hold(&suspect, Commands { begun: Some(1), ..spawns([step(&suspect, 1, Ok("1"))]) }).await;
    store.release(&suspect).await;
    let again = store.take().await;
    assert_eq!((again.company, again.deaths), (None, 1));
    store.complete(&again, "1").await;
}

async fn what_is_recorded_begins_the_count_anew(store: Store) {
    store.worker_with("w", vec![("root", deaths(2)), ("child", FunctionOptions::default())]).await;
    let execution = store.start("root").await;
    let mut op = 0;
    type News = fn(&Claimed, u32) -> Commands;
    let news: [(&str, News); 3] = [
        ("a step", |root, op| spawns([step(root, op, Ok("1"))])),
        ("a counter", |_, _| counting(1)),
        ("a call", |root, op| spawns([call(root, op, "nobody")])),
    ];
    for (what, news) in news {
        store.die().await;
        let again = only(store.claim_with(claim("w", 10, Duration::from_millis(50))).await);
        assert_eq!(again.crashes, 1, "before {what}");
        op += 1;
        // This worker had something to say before it died too.
        store.hold(&again, news(&again, op)).await;
        store.until_task(again.task.id, TaskState::Pending).await;
        store.is(execution, ExecutionState::Running).await;
        let again = store.take().await;
        assert_eq!(again.crashes, 1, "after {what}");
        store.hold(&again, counting(1)).await;
        store.release(&again).await;
    }
    store.die().await;
    store.die().await;
    store.is(execution, ExecutionState::Failed).await;
}

/// Each attempt says it again, so it would never end.
async fn what_an_attempt_says_does_not_make_up_for_its_death(store: Store) {
    store.worker_with("w", vec![("root", deaths(2))]).await;
    let execution = store.start("root").await;
    for (crashes, then) in [(0, TaskState::Pending), (1, TaskState::Failed)] {
        let root = only(store.claim_with(claim("w", 10, Duration::from_millis(50))).await);
        assert_eq!((root.crashes, root.effects), (crashes, 0));
        store.hold(&root, counting(1)).await;
        store.until_task(root.task.id, then).await;
    }
    store.is(execution, ExecutionState::Failed).await;
}

async fn a_release_charges_nothing(store: Store) {
    store.worker_with("w", vec![("root", tries(1))]).await;
    store.start("root").await;
    for _ in 0..5 {
        let taken = store.take().await;
        assert_eq!((taken.task.retries, taken.crashes), (0, 0));
        store.release(&taken).await;
    }
    let taken = store.take().await;
    assert_eq!(taken.task.error, None);
    store.complete(&taken, "1").await;
}

async fn a_renewed_lease_does_not_end(store: Store) {
    store.worker("w", &["root"]).await;
    store.start("root").await;
    let root = only(store.claim_with(claim("w", 1, Duration::from_secs(2))).await);
    let renew = stent::backend::Renew { worker_id: "w".into(), held: vec![held(&root)], lease: LEASE };
    assert_eq!(store.backend.renew(renew).await.must(), Default::default());
    let due = store.backend.sweep("w").await.must().next_due.must();
    assert!(due > LEASE / 2);
    store.complete(&root, "1").await;
}

async fn a_childs_death_is_its_parents_news(store: Store) {
    store.worker_with("w", vec![("root", FunctionOptions::default()), ("child", deaths(1))]).await;
    let root = store.root("root").await;
    store.suspend(&root, spawns([call(&root, 1, "child")]), WaitMode::All, &[1], 0).await;
    store.die().await;
    let root = store.take().await;
    let entry = only(store.journal(root.task.id).await);
    assert_eq!((entry.state, entry.error.must().kind.as_str()), (TaskState::Failed, "WorkerDied"));
    assert_eq!(root.crashes, 0);
}

async fn a_live_task_is_not_rescued(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let other = store.another().await;
    other.worker("other", &["root"]).await;
    assert_eq!(other.backend.sweep("other").await.must().changed, 0);
    assert_eq!(other.claim("other", 9).await, []);
    store.complete(&root, "1").await;
}
