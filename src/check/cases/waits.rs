//! Waits cost nothing, end once, and no wake-up is lost.

use std::collections::HashMap;
use std::time::Duration;

use rand::Rng as _;
use rand::seq::SliceRandom as _;
use stent::backend::{Claimed, Commands, Outcome};
use stent::model::{Id, Op, TaskState, WaitMode};

use super::house::*;

cases! {
    all_waits_for_every_one_and_wakes_once,
    any_waits_for_the_first_and_wakes_once,
    what_came_before_the_suspension_counts,
    what_the_task_knew_does_not_count_again,
    an_end_and_the_suspension_in_one_batch,
    a_wait_for_nothing_is_over_at_once,
    a_waiting_task_is_rows_only,
    a_fan_out_wakes_its_parent_once,
    no_wake_up_is_lost,
}

async fn parent_of(store: &Store, count: Op) -> (Claimed, Vec<Claimed>) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    store.hold(&root, spawns((1..=count).map(|op| call(&root, op, "child")))).await;
    (root, store.claim("w", count as usize).await)
}

async fn all_waits_for_every_one_and_wakes_once(store: Store) {
    let (root, children) = parent_of(&store, 3).await;
    store.suspend(&root, Commands::default(), WaitMode::All, &[1, 2, 3], 0).await;
    store.complete(&children[2], "3").await;
    store.fail(&children[0]).await;
    store.idle().await;
    store.complete(&children[1], "2").await;
    let again = store.take().await;
    assert_eq!((again.task.id, again.task.fence), (root.task.id, root.task.fence + 1));
    store.idle().await;
}

async fn any_waits_for_the_first_and_wakes_once(store: Store) {
    let (root, children) = parent_of(&store, 3).await;
    store.suspend(&root, Commands::default(), WaitMode::Any, &[1, 2], 0).await;
    store.complete(&children[2], "3").await;
    store.idle().await;
    store.complete(&children[1], "2").await;
    let again = store.take().await;
    store.complete(&children[0], "1").await;
    store.idle().await;
    assert_eq!(store.state(root.task.id).await, TaskState::Running);
    store.complete(&again, "1").await;
    store.idle().await;
}

async fn what_came_before_the_suspension_counts(store: Store) {
    let (root, children) = parent_of(&store, 2).await;
    store.complete(&children[0], "1").await;
    store.suspend(&root, Commands::default(), WaitMode::All, &[1, 2], 0).await;
    store.complete(&children[1], "2").await;
    let root = store.take().await;
    // All is there already.
    store.suspend(&root, Commands::default(), WaitMode::All, &[1, 2], 0).await;
    store.take().await;
}

async fn what_the_task_knew_does_not_count_again(store: Store) {
    let (root, children) = parent_of(&store, 3).await;
    store.complete(&children[0], "1").await;
    store.suspend(&root, Commands::default(), WaitMode::All, &[2, 3], 1).await;
    store.complete(&children[1], "2").await;
    store.idle().await;
    store.complete(&children[2], "3").await;
    store.take().await;
}

async fn an_end_and_the_suspension_in_one_batch(store: Store) {
    for suspension_first in [true, false] {
        let (root, child) = {
            store.worker("w", &["root", "child"]).await;
            let root = store.root("root").await;
            store.hold(&root, spawns([call(&root, 1, "child")])).await;
            (root, store.take().await)
        };
        let mut transitions = vec![
            saying(&root, Commands::default(), suspended(WaitMode::All, &[1], 0)),
            saying(&child, Commands::default(), completed("1")),
        ];
        if !suspension_first {
            transitions.reverse();
        }
        assert!(store.say_all(transitions).await.iter().all(is_recorded));
        let root = store.take().await;
        store.complete(&root, "1").await;
    }
}

async fn a_wait_for_nothing_is_over_at_once(store: Store) {
    store.worker("w", &["root"]).await;
    for mode in [WaitMode::All, WaitMode::Any] {
        let root = store.root("root").await;
        store.suspend(&root, Commands::default(), mode, &[], 0).await;
        store.take().await;
    }
}

async fn a_waiting_task_is_rows_only(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let (root, _child) = store.waiting_parent().await;
    let row = store.task(root.task.id).await;
    assert_eq!((row.state, row.lease_expires_at), (TaskState::Waiting, None));
    store.sweep().await;
    assert_eq!(store.state(root.task.id).await, TaskState::Waiting);
}

async fn a_fan_out_wakes_its_parent_once(store: Store) {
    const CHILDREN: Op = 1500;
    let (root, children) = parent_of(&store, CHILDREN).await;
    let ops: Vec<Op> = (1..=CHILDREN).collect();
    store.suspend(&root, Commands::default(), WaitMode::All, &ops, 0).await;
    for some in children.chunks(250) {
        store.idle().await;
        let ends = some.iter().map(|child| saying(child, Commands::default(), completed("1"))).collect();
        assert!(store.say_all(ends).await.iter().all(is_recorded));
    }
    let again = store.take().await;
    assert_eq!((again.task.id, again.task.fence), (root.task.id, root.task.fence + 1));
    let mut arrivals: Vec<u64> = store.journal(root.task.id).await.iter().filter_map(|entry| entry.arrival).collect();
    arrivals.sort_unstable();
    arrivals.dedup();
    assert_eq!(arrivals.len(), CHILDREN as usize);
}

/// Suspensions and ends of children in every order that chance makes, by many tasks of two processes' stores.
async fn no_wake_up_is_lost(store: Store) {
    const PARENTS: usize = 60;
    let other = store.another().await;
    store.worker("w", &["root", "child"]).await;
    let executions = (0..PARENTS).map(|_| new_execution("root", "[]", Default::default())).collect();
    store.backend.dispatch(executions).await.must();
    let mut waits: HashMap<Id, (WaitMode, Vec<Op>)> = HashMap::new();
    let mut jobs: Vec<(Claimed, Commands, Outcome)> = Vec::new();
    for root in store.claim("w", PARENTS).await {
        let (mode, count, known) = {
            let mut chance = rand::rng();
            (if chance.random() { WaitMode::All } else { WaitMode::Any }, chance.random_range(1..=4), chance.random())
        };
        store.hold(&root, spawns((1..=count).map(|op| call(&root, op, "child")))).await;
        let mut children = store.claim("w", 9).await;
        let mut asked: Vec<Op> = (1..=count).collect();
        if known {
            // One has come, and the task knows of it.
            let child = children.remove(0);
            store.complete(&child, "1").await;
            asked.remove(0);
        }
        jobs.extend(children.into_iter().map(|child| (child, Commands::default(), completed("1"))));
        let suspension = suspended(mode, &asked, u64::from(known));
        waits.insert(root.task.id, (mode, asked));
        jobs.push((root, Commands::default(), suspension));
    }
    jobs.shuffle(&mut rand::rng());
    let running: Vec<_> = jobs
        .chunks(8)
        .enumerate()
        .map(|(number, some)| {
            let (some, store) = (some.to_vec(), if number % 2 == 0 { store.clone() } else { other.clone() });
            beside(async move {
                for (of, commands, outcome) in some {
                    let pause = rand::rng().random_range(0..3);
                    if pause > 0 {
                        tokio::time::sleep(Duration::from_micros(200 * pause)).await;
                    }
                    store.record(&of, commands, outcome).await;
                }
            })
        })
        .collect();
    for task in running {
        task.await.must();
    }
    // Every wait is over by now, in one wake-up each.
    let woken = store.claim("w", 10 * PARENTS).await;
    assert_eq!(woken.len(), PARENTS);
    for root in woken {
        assert!(waits.remove(&root.task.id).is_some());
        assert_eq!(root.task.fence, 2);
    }
    store.idle().await;
}
