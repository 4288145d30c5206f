//! Many workers on several stores at once, with cancels, signals and sweeps in between: no call fails, nothing is left
//! behind, and no two ends of a parent have the same number.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use rand::seq::IndexedRandom as _;
use stent::backend::{Claimed, Commands, Transition};
use stent::model::{ExecutionState, Id, Status, TaskKind, TaskState, WaitMode};

use super::house::*;

cases! {
    nothing_is_lost_in_a_crowd,
}

const EXECUTIONS: usize = 60;
const CHILDREN: u32 = 8;

pub async fn nothing_is_lost_in_a_crowd(store: Store) {
    let flag = Flag::default();
    let stop = flag.shared();
    let mut ids = Vec::new();
    for _ in 0..EXECUTIONS {
        ids.push(store.start("root").await);
    }
    let ids = Arc::new(ids);
    let mut tasks = Vec::new();
    for number in 0..6 {
        let store = if number % 2 == 0 { store.clone() } else { store.another().await };
        let worker = format!("w{number}");
        store.worker(&worker, &["root", "child"]).await;
        tasks.push(beside(work(store.clone(), worker.clone(), Arc::clone(&stop))));
        if number < 3 {
            tasks.push(beside(sweep(store.clone(), worker, Arc::clone(&stop))));
            tasks.push(beside(disturb(store, Arc::clone(&ids), Arc::clone(&stop))));
        }
    }
    for id in ids.iter() {
        store.until("the execution is over", async |store| store.execution(*id).await.state.is_terminal()).await;
    }
    flag.raise();
    for task in tasks {
        task.await.must();
    }
    for id in ids.iter() {
        let state = store.execution(*id).await.state;
        store.sweep().await;
        let mut arrivals = Vec::new();
        for task in store.tasks(*id).await {
            assert!(task.state.is_terminal(), "{task:?} is left in an execution that is {state}");
            assert!(state != ExecutionState::Completed || task.state == TaskState::Completed, "{task:?}");
        }
        for entry in store.journal(root_of(*id)).await {
            arrivals.extend(entry.arrival);
        }
        let count = arrivals.len();
        arrivals.sort_unstable();
        arrivals.dedup();
        assert_eq!(arrivals.len(), count, "two ends have one number");
        if state == ExecutionState::Completed {
            assert_eq!(count, CHILDREN as usize + 2);
        }
    }
}

async fn work(store: Store, worker: String, stop: Arc<AtomicBool>) {
    let mut said: Vec<Transition> = Vec::new();
    while !stop.load(SeqCst) {
        let (_, claimed) = store.backend.advance(said.split_off(0), Some(claim(&worker, 7, LEASE))).await.must();
        if claimed.is_empty() {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        said.extend(claimed.iter().map(turn));
    }
}

fn turn(task: &Claimed) -> Transition {
    if task.task.kind != TaskKind::Orchestrator || task.ops > 0 {
        return saying(task, Commands::default(), completed("1"));
    }
    let mut all: Vec<_> = (1..=CHILDREN).map(|op| call(task, op, "child")).collect();
    all.push(wait_for(task, CHILDREN + 1, "go", None));
    all.push(timer(task, CHILDREN + 2, Duration::from_millis(5)));
    let ops: Vec<_> = (1..=CHILDREN + 2).collect();
    saying(task, spawns(all), suspended(WaitMode::All, &ops, 0))
}

async fn sweep(store: Store, worker: String, stop: Arc<AtomicBool>) {
    while !stop.load(SeqCst) {
        store.backend.sweep(&worker).await.must();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sends signals to all, and cancels a few.
async fn disturb(store: Store, ids: Arc<Vec<Id>>, stop: Arc<AtomicBool>) {
    let mut turns = 0;
    while !stop.load(SeqCst) {
        let id = *ids.choose(&mut rand::rng()).must();
        turns += 1;
        let done = if turns % 40 == 0 {
            store.backend.cancel(id, None).await
        } else {
            store.backend.signal(signal(id, "go", "1")).await
        };
        assert!(done.is_ok() || done.as_ref().is_err_and(|why| why.status() == Status::Conflict), "{done:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
