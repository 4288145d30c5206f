//! Only the holder of the newest lease may record.

use stent::backend::{Claimed, Commands, Held, Outcome, Renew, Verdict};
use stent::model::{Number, TaskState, WaitMode};

use super::house::*;

cases! {
    an_old_fence_writes_nothing,
    an_old_fence_does_not_renew,
    a_fence_grows_with_every_claim,
    a_repeated_end_is_recorded_once,
    old_and_new_holders_may_speak_in_one_batch,
    one_holder_may_speak_twice_in_one_batch,
    a_task_that_is_not_held_takes_no_word,
}

/// A task whose first holder died, and the second: both as they see it.
async fn two_holders(store: &Store) -> (Claimed, Claimed) {
    store.worker("w", &["root", "child"]).await;
    store.start("root").await;
    let old = store.die().await;
    let new = store.take().await;
    assert_eq!(old.task.id, new.task.id);
    (old, new)
}

fn every_outcome() -> Vec<Outcome> {
    vec![
        Outcome::Hold,
        completed("1"),
        retry(HOUR),
        snooze(HOUR),
        dead("it broke"),
        Outcome::PassUp { failure: failure() },
        suspended(WaitMode::All, &[1], 0),
        Outcome::Release,
        parked(Some("2")),
        Outcome::Continue { args: "[2]".into(), seen: 0 },
    ]
}

async fn an_old_fence_writes_nothing(store: Store) {
    let (old, new) = two_holders(&store).await;
    let before = store.picture(new.task.execution_id).await;
    for outcome in every_outcome() {
        for commands in [Commands::default(), everything(&old)] {
            assert_eq!(store.say(&old, commands, outcome.clone()).await, Verdict::LeaseLost, "{outcome:?}");
        }
    }
    assert_eq!(store.picture(new.task.execution_id).await, before);
    store.idle().await;
    store.complete(&new, "\"new\"").await;
    assert_eq!(result(&store.task(new.task.id).await), "\"new\"");
    for outcome in every_outcome() {
        assert_eq!(store.say(&old, everything(&old), outcome).await, Verdict::LeaseLost);
    }
    assert_eq!(result(&store.task(new.task.id).await), "\"new\"");
}

async fn an_old_fence_does_not_renew(store: Store) {
    let (old, new) = two_holders(&store).await;
    let before = store.picture(new.task.execution_id).await;
    let renew = async |held: Vec<Held>| {
        let renew = Renew { worker_id: "w".to_owned(), held, lease: 2 * LEASE };
        store.backend.renew(renew).await.must()
    };
    assert_eq!(renew(vec![held(&old)]).await.lost, [old.task.id]);
    assert_eq!(store.picture(new.task.execution_id).await, before);
    assert_eq!(renew(vec![held(&new)]).await, stent::backend::Renewed::default());
    assert!(store.task(new.task.id).await.lease_expires_at > new.task.lease_expires_at);
    store.complete(&new, "1").await;
    assert_eq!(renew(vec![held(&new)]).await.lost, [new.task.id]);
}

async fn a_fence_grows_with_every_claim(store: Store) {
    store.worker("w", &["root"]).await;
    store.start("root").await;
    let mut last = 0;
    for _ in 0..4 {
        let taken = store.take().await;
        assert!(taken.task.fence > last);
        last = taken.task.fence;
        store.release(&taken).await;
    }
}

async fn a_repeated_end_is_recorded_once(store: Store) {
    store.worker("w", &["root"]).await;
    for end in [completed("1"), dead("it broke"), Outcome::PassUp { failure: failure() }] {
        let root = store.root("root").await;
        assert!(is_recorded(&store.say(&root, counting(1), end.clone()).await));
        let once = store.picture(root.task.execution_id).await;
        // As after a commit whose answer was lost.
        assert!(is_recorded(&store.say(&root, counting(1), end.clone()).await));
        assert_eq!(store.picture(root.task.execution_id).await, once);
        assert_eq!(store.say(&root, counting(1), Outcome::Hold).await, Verdict::LeaseLost);
    }
    let root = store.root("root").await;
    store.complete(&root, "1").await;
    let once = store.picture(root.task.execution_id).await;
    assert_eq!(store.say(&root, counting(1), dead("late")).await, Verdict::LeaseLost);
    assert_eq!(store.picture(root.task.execution_id).await, once);
}

async fn old_and_new_holders_may_speak_in_one_batch(store: Store) {
    for old_first in [true, false] {
        let (old, new) = two_holders(&store).await;
        let mut holds = vec![saying(&old, counting(1), Outcome::Hold), saying(&new, counting(10), Outcome::Hold)];
        let mut ends =
            vec![saying(&old, counting(1), completed("\"old\"")), saying(&new, counting(10), completed("\"new\""))];
        if !old_first {
            holds.reverse();
            ends.reverse();
        }
        for transitions in [holds, ends] {
            let verdicts = store.say_all(transitions).await;
            let (refused, recorded) = if old_first { (0, 1) } else { (1, 0) };
            assert_eq!(verdicts[refused], Verdict::LeaseLost);
            assert!(is_recorded(&verdicts[recorded]), "{verdicts:?}");
        }
        let execution = store.execution(new.task.execution_id).await;
        assert_eq!(text(&execution.result.must()), "\"new\"");
        assert_eq!(result(&store.task(new.task.id).await), "\"new\"");
        assert_eq!(store.counters(new.task.execution_id).await["n"], Number::Integer(20));
    }
}

async fn one_holder_may_speak_twice_in_one_batch(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    let first = Commands { spawns: vec![step(&root, 1, Ok("1"))], ..counting(1) };
    let second = Commands { spawns: vec![step(&root, 2, Ok("2"))], ..counting(2) };
    let verdicts = store
        .say_all(vec![
            saying(&root, first, Outcome::Hold),
            saying(&root, second, Outcome::Hold),
            saying(&root, counting(4), Outcome::Release),
            saying(&root, counting(8), Outcome::Hold),
        ])
        .await;
    assert_eq!(verdicts[0], Verdict::Recorded { arrivals: vec![(1, 1)], latest: 1 });
    assert_eq!(verdicts[1], Verdict::Recorded { arrivals: vec![(2, 2)], latest: 2 });
    assert!(is_recorded(&verdicts[2]));
    assert_eq!(verdicts[3], Verdict::LeaseLost);
    assert_eq!(store.counters(root.task.execution_id).await["n"], Number::Integer(7));
    let again = store.take().await;
    assert_eq!((again.ops, again.effects), (2, 3));
}

async fn a_task_that_is_not_held_takes_no_word(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let nobody = Claimed { task: stent::model::Task { id: stent::model::Id::now_v7(), ..root.task.clone() }, ..root };
    assert_eq!(store.say(&nobody, counting(1), completed("1")).await, Verdict::LeaseLost);
    let root = Claimed { task: store.task(root_of(nobody.task.execution_id)).await, ..nobody };
    store.release(&root).await;
    for outcome in every_outcome() {
        // The fence is the newest, and nobody holds the task.
        assert_eq!(store.say(&root, counting(1), outcome).await, Verdict::LeaseLost);
    }
    assert_eq!(store.state(root.task.id).await, TaskState::Pending);
    assert!(store.counters(root.task.execution_id).await.is_empty());
}
