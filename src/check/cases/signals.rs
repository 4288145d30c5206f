//! Signals are a log: in order, each taken once, by the oldest wait.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::Rng as _;
use stent::backend::{Commands, NewSignal, Outcome};
use stent::model::{Id, Op, Status, TaskState, WaitMode};

use super::house::*;

cases! {
    they_are_taken_in_order_before_and_after_the_wait,
    waits_are_served_in_order_of_issue,
    an_id_counts_once,
    names_are_apart,
    a_wait_that_finds_one_does_not_sleep,
    they_go_to_an_execution_that_goes_on,
    a_wait_that_timed_out_takes_nothing,
    a_time_out_and_a_take_are_never_both,
    a_cancelled_wait_gives_back_what_nobody_has_seen,
    a_cancelled_wait_that_took_nothing_leaves_it_to_the_next,
    concurrent_sends_are_all_kept,
}

async fn taken(store: &Store, task: Id) -> Vec<String> {
    let journal = store.journal(task).await;
    journal.iter().filter_map(|entry| entry.result.as_ref()).map(|payload| text(payload).to_owned()).collect()
}

async fn they_are_taken_in_order_before_and_after_the_wait(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let execution = root.task.execution_id;
    store.send(execution, "go", "1").await;
    store.send(execution, "go", "2").await;
    store.hold(&root, spawns([wait_for(&root, 1, "go", None)])).await;
    store.send(execution, "go", "3").await;
    store.hold(&root, spawns([wait_for(&root, 2, "go", None), wait_for(&root, 3, "go", None)])).await;
    let last = spawns([wait_for(&root, 4, "go", None)]);
    store.suspend(&root, last, WaitMode::All, &[4], 3).await;
    store.idle().await;
    store.send(execution, "go", "4").await;
    assert_eq!(store.take().await.task.id, root.task.id);
    assert_eq!(taken(&store, root.task.id).await, ["1", "2", "3", "4"]);
}

async fn waits_are_served_in_order_of_issue(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    let execution = root.task.execution_id;
    store.hold(&root, spawns([call(&root, 1, "child"), wait_for(&root, 2, "go", None)])).await;
    let child = store.take().await;
    store.hold(&child, spawns([wait_for(&child, 1, "go", None)])).await;
    store.hold(&root, spawns([wait_for(&root, 3, "go", None)])).await;
    for payload in ["1", "2", "3"] {
        store.send(execution, "go", payload).await;
    }
    assert_eq!(taken(&store, root.task.id).await, ["1", "3"]);
    assert_eq!(taken(&store, child.task.id).await, ["2"]);
}

async fn an_id_counts_once(store: Store) {
    store.worker("w", &["root"]).await;
    let (one, two) = (store.root("root").await, store.root("root").await);
    let send = async |execution, name: &str, id: &str, payload: &str| {
        let signal = NewSignal { id: Some(id.to_owned()), ..signal(execution, name, payload) };
        store.backend.signal(signal).await.must();
    };
    store.hold(&one, spawns([wait_for(&one, 1, "go", None)])).await;
    for payload in ["1", "2"] {
        send(one.task.execution_id, "go", "a", payload).await;
    }
    send(one.task.execution_id, "go", "b", "3").await;
    send(one.task.execution_id, "go", "a", "4").await;
    send(one.task.execution_id, "other", "a", "5").await;
    send(two.task.execution_id, "go", "a", "6").await;
    let more = [wait_for(&one, 2, "go", None), wait_for(&one, 3, "other", None), wait_for(&one, 4, "go", None)];
    store.hold(&one, spawns(more)).await;
    store.hold(&two, spawns([wait_for(&two, 1, "go", None)])).await;
    assert_eq!(taken(&store, one.task.id).await, ["1", "3", "5"]);
    assert_eq!(taken(&store, two.task.id).await, ["6"]);
}

async fn names_are_apart(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    store.hold(&root, spawns([wait_for(&root, 1, "a", None), wait_for(&root, 2, "b", None)])).await;
    store.send(root.task.execution_id, "b", "\"b\"").await;
    store.send(root.task.execution_id, "c", "\"c\"").await;
    assert_eq!(taken(&store, root.task.id).await, ["\"b\""]);
    store.send(root.task.execution_id, "a", "\"a\"").await;
    assert_eq!(taken(&store, root.task.id).await, ["\"a\"", "\"b\""]);
}

async fn a_wait_that_finds_one_does_not_sleep(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    store.send(root.task.execution_id, "go", "1").await;
    let wait = spawns([wait_for(&root, 1, "go", None)]);
    store.suspend(&root, wait, WaitMode::All, &[1], 0).await;
    assert_eq!(store.take().await.task.id, root.task.id);
}

async fn they_go_to_an_execution_that_goes_on(store: Store) {
    store.worker("w", &["root"]).await;
    is_status(store.backend.signal(signal(Id::now_v7(), "go", "1")).await, Status::NotFound, "no execution");
    let root = store.root("root").await;
    let ended = root.task.execution_id;
    store.complete(&root, "1").await;
    is_status(store.backend.signal(signal(ended, "go", "1")).await, Status::Conflict, "completed");
    let cancelling = store.root("root").await.task.execution_id;
    store.backend.cancel(cancelling, None).await.must();
    is_status(store.backend.signal(signal(cancelling, "go", "1")).await, Status::Conflict, "cancelling");
    // Not yet begun is not ended.
    let pending = store.start("root").await;
    store.send(pending, "go", "1").await;
}

async fn a_wait_that_timed_out_takes_nothing(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let (short, long) =
        (wait_for(&root, 1, "go", Some(Duration::from_millis(1))), wait_for(&root, 2, "go", Some(HOUR)));
    store.suspend(&root, spawns([short, long]), WaitMode::Any, &[1, 2], 0).await;
    store.until("the wait has timed out", async |store| store.journal(root.task.id).await[0].arrival.is_some()).await;
    let again = store.take().await;
    let journal = store.journal(root.task.id).await;
    assert_eq!(
        (journal[0].state, journal[0].error.as_ref().must().kind.as_str()),
        (TaskState::Failed, "SignalTimeout")
    );
    store.send(root.task.execution_id, "go", "1").await;
    let journal = store.journal(again.task.id).await;
    assert_eq!((journal[0].result.clone(), journal[1].state), (None, TaskState::Completed));
    // What was taken in time does not time out later.
    store.sweep().await;
    assert_eq!(store.journal(again.task.id).await, journal);
}

async fn a_time_out_and_a_take_are_never_both(store: Store) {
    const WAITS: u32 = 40;
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let execution = root.task.execution_id;
    let waits = (1..=WAITS).map(|op| wait_for(&root, op, "go", Some(Duration::from_micros(500) * op)));
    store.hold(&root, spawns(waits)).await;
    let sending = beside({
        let store = store.another().await;
        async move {
            for number in 0..WAITS / 2 {
                store.send(execution, "go", &number.to_string()).await;
                let pause = rand::rng().random_range(0..1500);
                tokio::time::sleep(Duration::from_micros(pause)).await;
            }
        }
    });
    let over = async |store: &Store| store.journal(root.task.id).await.iter().all(|entry| entry.arrival.is_some());
    store.until("all waits are over", over).await;
    sending.await.must();
    let journal = store.journal(root.task.id).await;
    let arrivals: BTreeSet<u64> = journal.iter().filter_map(|entry| entry.arrival).collect();
    assert_eq!(arrivals.len(), WAITS as usize);
    // The rest was kept, in order, for the waits to come.
    let more = (1..=WAITS / 2).map(|op| wait_for(&root, WAITS + op, "go", None));
    store.hold(&root, spawns(more)).await;
    let numbers: Vec<u32> = taken(&store, root.task.id).await.iter().map(|text| text.parse().must()).collect();
    assert_eq!(numbers, (0..WAITS / 2).collect::<Vec<_>>());
}

async fn a_cancelled_wait_gives_back_what_nobody_has_seen(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let execution = root.task.execution_id;
    let first = wait_for(&root, 1, "go", None);
    store.hold(&root, spawns([first.clone()])).await;
    store.send(execution, "go", "1").await;
    store.send(execution, "go", "2").await;
    let (arrivals, latest) = store.hold(&root, cancels(&[&first])).await;
    let entry = only(store.journal(root.task.id).await);
    assert_eq!((entry.state, entry.result), (TaskState::Cancelled, None));
    // It arrives anew, after all that came before.
    let arrival = entry.arrival.filter(|arrival| *arrival > 1).must();
    assert_eq!((arrivals, latest), (vec![(1, arrival)], arrival));
    // It is again the oldest.
    store.hold(&root, spawns([wait_for(&root, 2, "go", None), wait_for(&root, 3, "go", None)])).await;
    assert_eq!(taken(&store, root.task.id).await, ["1", "2"]);
    // To a wait that is there already it goes at once.
    let (four, five) = (wait_for(&root, 4, "go", None), wait_for(&root, 5, "go", None));
    store.hold(&root, spawns([four.clone(), five])).await;
    store.send(execution, "go", "4").await;
    store.hold(&root, cancels(&[&four])).await;
    let journal = store.journal(root.task.id).await;
    assert_eq!((journal[3].state, journal[4].state), (TaskState::Cancelled, TaskState::Completed));
    assert_eq!(text(journal[4].result.as_ref().must()), "4");
}

async fn a_cancelled_wait_that_took_nothing_leaves_it_to_the_next(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let first = wait_for(&root, 1, "go", None);
    store.hold(&root, spawns([first.clone(), wait_for(&root, 2, "go", None)])).await;
    store.hold(&root, cancels(&[&first])).await;
    store.send(root.task.execution_id, "go", "1").await;
    let journal = store.journal(root.task.id).await;
    assert_eq!((journal[0].state, journal[1].state), (TaskState::Cancelled, TaskState::Completed));
}

async fn concurrent_sends_are_all_kept(store: Store) {
    const SENDERS: u32 = 6;
    const EACH: u32 = 10;
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let execution = root.task.execution_id;
    let mut sending = Vec::new();
    for sender in 0..SENDERS {
        let store = if sender % 2 == 0 { store.clone() } else { store.another().await };
        sending.push(beside(async move {
            for number in 0..EACH {
                store.send(execution, "go", &(sender * EACH + number).to_string()).await;
            }
        }));
    }
    let ops: Vec<Op> = (1..=SENDERS * EACH).collect();
    for some in ops.chunks(7) {
        store.hold(&root, spawns(some.iter().map(|op| wait_for(&root, *op, "go", None)))).await;
    }
    store.record(&root, Commands::default(), suspended(WaitMode::All, &ops, 0)).await;
    for sender in sending {
        sender.await.must();
    }
    let root = store.take().await;
    let all = taken(&store, root.task.id).await;
    let all: Vec<u32> = all.iter().map(|text| text.parse().must()).collect();
    assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), (0..SENDERS * EACH).collect());
    // Each sender's own in its order.
    for sender in 0..SENDERS {
        let own: Vec<u32> = all.iter().copied().filter(|number| number / EACH == sender).collect();
        assert!(own.is_sorted(), "{own:?}");
    }
    store.record(&root, Commands::default(), Outcome::Release).await;
}
