//! Arrival numbers: unique within the parent, growing, and without gaps that are filled later.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stent::backend::{Commands, JournalEntry, JournalRequest, Outcome};
use stent::model::{Op, TaskState};

use super::house::*;

cases! {
    ends_are_numbered_in_their_order,
    steps_and_cancelled_operations_have_numbers_too,
    a_signal_that_was_there_arrives_at_once,
    what_a_commit_answers_is_what_the_journal_says,
    a_journal_is_asked_for_what_is_new,
    a_reader_never_sees_a_hole_filled,
    a_parents_numbers_are_its_own,
}

/// Operations in order of their arrival.
fn in_order(journal: &[JournalEntry]) -> Vec<Op> {
    let mut arrived: Vec<(u64, Op)> = journal.iter().filter_map(|entry| Some((entry.arrival?, entry.op))).collect();
    arrived.sort_unstable();
    let numbers: BTreeSet<u64> = arrived.iter().map(|(arrival, _)| *arrival).collect();
    assert_eq!(numbers.len(), arrived.len(), "two arrivals with one number");
    assert!(!numbers.contains(&0));
    arrived.into_iter().map(|(_, op)| op).collect()
}

async fn ends_are_numbered_in_their_order(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    let commands = spawns([
        call(&root, 1, "child"),
        call(&root, 2, "child"),
        timer(&root, 3, Duration::from_millis(1)),
        wait_for(&root, 4, "go", None),
        wait_for(&root, 5, "never", Some(Duration::from_millis(1))),
        call(&root, 6, "child"),
    ]);
    store.hold(&root, commands).await;
    let children = store.claim("w", 9).await;
    let [one, two, six] = children.as_slice() else { panic!("{children:?}") };
    store.complete(two, "2").await;
    store.send(root.task.execution_id, "go", "4").await;
    store.fail(six).await;
    store.until("time has come", async |store| in_order(&store.journal(root.task.id).await).len() == 5).await;
    store.complete(one, "1").await;
    let journal = store.journal(root.task.id).await;
    let order = in_order(&journal);
    assert_eq!(order[..3], [2, 4, 6]);
    assert_eq!(order[5], 1);
    let states: Vec<TaskState> = journal.iter().map(|entry| entry.state).collect();
    use TaskState::{Completed, Failed};
    assert_eq!(states, [Completed, Completed, Completed, Completed, Failed, Failed]);
    assert_eq!(journal[4].error.as_ref().must().kind, "SignalTimeout");
    assert_eq!(journal.iter().map(|entry| entry.op).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
}

async fn steps_and_cancelled_operations_have_numbers_too(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    let (sleep, child) = (timer(&root, 1, HOUR), call(&root, 2, "child"));
    store.hold(&root, spawns([sleep.clone(), child.clone()])).await;
    let (arrivals, latest) = store.hold(&root, spawns([step(&root, 3, Ok("3")), step(&root, 4, Err(failure()))])).await;
    assert_eq!((arrivals, latest), (vec![(3, 1), (4, 2)], 2));
    let (arrivals, latest) = store.hold(&root, cancels(&[&child, &sleep])).await;
    assert_eq!(arrivals.iter().map(|(_, number)| *number).collect::<BTreeSet<_>>(), [3, 4].into());
    assert_eq!(latest, 4);
    let journal = store.journal(root.task.id).await;
    for (op, arrival) in arrivals {
        assert_eq!(journal[op as usize - 1].arrival, Some(arrival));
    }
    let states: Vec<&str> = journal.iter().map(|entry| entry.state.as_str()).collect();
    assert_eq!(states, ["cancelled", "cancelled", "completed", "failed"]);
    // Cancelled is over: again is no news, and nobody runs it.
    assert_eq!(store.hold(&root, cancels(&[&child, &sleep])).await, (vec![], 4));
    store.idle().await;
}

async fn a_signal_that_was_there_arrives_at_once(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    store.send(root.task.execution_id, "go", "\"early\"").await;
    let (_, latest) = store.hold(&root, spawns([wait_for(&root, 1, "go", None)])).await;
    assert_eq!(latest, 1);
    let entry = only(store.journal(root.task.id).await);
    assert_eq!((entry.arrival, text(entry.result.as_ref().must())), (Some(1), "\"early\""));
}

async fn what_a_commit_answers_is_what_the_journal_says(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    store.hold(&root, spawns([call(&root, 1, "child")])).await;
    let child = store.take().await;
    // A child's end and its parent's step, in one transaction.
    let transitions = vec![
        saying(&root, spawns([step(&root, 2, Ok("2")), step(&root, 3, Ok("3"))]), Outcome::Hold),
        saying(&child, Commands::default(), completed("1")),
    ];
    let verdicts = store.say_all(transitions).await;
    let stent::backend::Verdict::Recorded { arrivals, latest } = &verdicts[0] else { panic!("{verdicts:?}") };
    let journal = store.journal(root.task.id).await;
    assert_eq!(in_order(&journal).len(), 3);
    assert_eq!(*latest, journal.iter().filter_map(|entry| entry.arrival).max().must());
    assert_eq!(arrivals.len(), 2);
    for (op, arrival) in arrivals {
        assert_eq!(journal[*op as usize - 1].arrival, Some(*arrival));
    }
    // With nothing to record, the largest number is told all the same.
    assert_eq!(store.hold(&root, Commands::default()).await, (vec![], *latest));
}

async fn a_journal_is_asked_for_what_is_new(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    store.hold(&root, spawns((1..=4).map(|op| call(&root, op, "child")))).await;
    let children = store.claim("w", 9).await;
    for child in &children[..3] {
        store.complete(child, "1").await;
    }
    let ask = |after| JournalRequest { task: root.task.id, after };
    assert_eq!(only(store.backend.journals(vec![ask(0)]).await.must()).len(), 4);
    assert_eq!(only(store.backend.journals(vec![ask(2)]).await.must()).len(), 1);
    assert_eq!(only(store.backend.journals(vec![ask(3)]).await.must()).len(), 0);
    // Several in the order of the requests; one without a journal has none.
    let child = JournalRequest { task: children[0].task.id, after: 0 };
    let sizes: Vec<usize> = store.backend.journals(vec![child, ask(1)]).await.must().iter().map(Vec::len).collect();
    assert_eq!(sizes, [0, 2]);
    // Of one task too.
    let journals = store.backend.journals(vec![ask(1), ask(0), ask(1)]).await.must();
    assert_eq!(journals.iter().map(Vec::len).collect::<Vec<_>>(), [2, 4, 2]);
}

/// While many end at once, a reader who has seen number n will never see a smaller one appear.
async fn a_reader_never_sees_a_hole_filled(store: Store) {
    const CHILDREN: u32 = 120;
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    store.hold(&root, spawns((1..=CHILDREN).map(|op| call(&root, op, "child")))).await;
    let children = store.claim("w", CHILDREN as usize).await;
    let flag = Flag::default();
    let over = flag.shared();
    let reading = beside({
        let (over, other, root) = (Arc::clone(&over), store.another().await, root.task.id);
        async move {
            let mut seen: Vec<Op> = Vec::new();
            loop {
                let last = over.load(Ordering::SeqCst);
                let now = in_order(&other.journal(root).await);
                assert_eq!(now[..seen.len()], seen[..]);
                seen = now;
                if last {
                    return seen;
                }
            }
        }
    });
    let ends: Vec<_> = children
        .chunks(10)
        .map(|some| {
            let (store, some) = (store.clone(), some.to_vec());
            beside(async move {
                for child in &some {
                    store.complete(child, "1").await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for end in ends {
        end.await.must();
    }
    flag.raise();
    assert_eq!(reading.await.must().len(), CHILDREN as usize);
}

async fn a_parents_numbers_are_its_own(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let (root, child) = store.waiting_parent().await;
    let (arrivals, _) = store.record(&child, spawns([step(&child, 1, Ok("1"))]), completed("1")).await;
    assert_eq!(arrivals, [(1, 1)]);
    for parent in [root, child] {
        assert_eq!(only(store.journal(parent.task.id).await).arrival, Some(1));
    }
}
