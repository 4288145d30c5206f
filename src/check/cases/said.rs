//! What handlers report (progress, counters, values): in order, exact, once.

use std::time::Duration;

use stent::backend::{Commands, Outcome};
use stent::model::{Failure, Number, ProgressEntry, Status};

use super::house::*;

cases! {
    texts_are_carried_whatever_is_in_them,
    effects_are_counted_so_that_a_replay_skips_them,
    an_attempt_without_a_journal_is_heard_in_full,
    counters_are_exact_under_concurrency,
    integers_stay_integers,
    a_sum_that_no_number_holds_is_refused,
    the_last_state_and_heartbeat_stand,
    progress_is_in_order,
}

async fn effects_are_counted_so_that_a_replay_skips_them(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let commands = Commands {
        progress: vec![progress("one"), progress("two")],
        state: vec![("k".to_owned(), "1".into())],
        ..counting(1)
    };
    store.hold(&root, commands).await;
    store.hold(&root, Commands { spawns: vec![step(&root, 1, Ok("1"))], ..counting(1) }).await;
    store.release(&root).await;
    assert_eq!(store.take().await.effects, 5);
}

/// It replays nothing, so its first words are not those of the attempt before.
async fn an_attempt_without_a_journal_is_heard_in_full(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let say = |what: &str| Commands {
        state: vec![(what.to_owned(), "1".into())],
        progress: vec![progress(what)],
        ..counting(1)
    };
    store.record(&root, say("first"), retry(Duration::ZERO)).await;
    let again = store.take().await;
    assert_eq!((again.ops, again.effects), (0, 0));
    store.hold(&again, say("second")).await;
    // And now it has a journal, of which this is the beginning.
    store.hold(&again, spawns([step(&again, 1, Ok("1"))])).await;
    store.release(&again).await;
    assert_eq!(store.take().await.effects, 3);
    let snapshot = store.snapshot(root.task.execution_id).await;
    assert_eq!(snapshot.state.keys().collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!(snapshot.counters["n"], Number::Integer(2));
    let said = snapshot.execution.progress.iter().filter(|entry| ["first", "second"].contains(&entry.step.as_str()));
    assert_eq!(said.count(), 2);
}

async fn counters_are_exact_under_concurrency(store: Store) {
    const TASKS: usize = 8;
    const EACH: i64 = 25;
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    store.hold(&root, spawns((1..=TASKS as u32).map(|op| call(&root, op, "child")))).await;
    let mut adding = Vec::new();
    for (number, child) in store.claim("w", TASKS).await.into_iter().enumerate() {
        let store = if number % 2 == 0 { store.clone() } else { store.another().await };
        adding.push(beside(async move {
            for amount in 1..=EACH {
                store.hold(&child, counting(amount)).await;
            }
        }));
    }
    for one in adding {
        one.await.must();
    }
    let sum = TASKS as i64 * EACH * (EACH + 1) / 2;
    assert_eq!(store.counters(root.task.execution_id).await["n"], Number::Integer(sum));
}

async fn integers_stay_integers(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let add = |amount| Commands { counters: vec![("n".to_owned(), amount)], ..Commands::default() };
    let big = 9_007_199_254_740_993;
    store.hold(&root, add(Number::Integer(big))).await;
    store.hold(&root, add(Number::Integer(1))).await;
    assert_eq!(store.counters(root.task.execution_id).await["n"], Number::Integer(big + 1));
    store.hold(&root, add(Number::Real(0.5))).await;
    assert!(matches!(store.counters(root.task.execution_id).await["n"], Number::Real(_)));
}

async fn the_last_state_and_heartbeat_stand(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    for number in 1..=3 {
        let commands = Commands {
            state: vec![("k".to_owned(), "0".into()), ("k".to_owned(), format!("{number}").into())],
            heartbeat: (number < 3).then(|| format!("{number}").into()),
            ..Commands::default()
        };
        store.hold(&root, commands).await;
    }
    assert_eq!(text(&store.snapshot(root.task.execution_id).await.state["k"]), "3");
    store.release(&root).await;
    assert_eq!(text(store.take().await.heartbeat.as_ref().must()), "2");
}

async fn progress_is_in_order(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    let say = |from: u32| Commands {
        progress: (from..from + 3).map(|number| progress(&number.to_string())).collect(),
        ..Commands::default()
    };
    store.hold(&root, say(0)).await;
    store.record(&root, say(3), Outcome::Release).await;
    let told = store.execution(root.task.execution_id).await.progress;
    let said = told.iter().map(|entry: &ProgressEntry| entry.step.as_str()).filter(|step| *step != "root");
    assert_eq!(said.collect::<Vec<_>>(), ["0", "1", "2", "3", "4", "5"]);
}

/// No store holds every text as it is: what it can't hold it escapes, or keeps as bytes.
async fn texts_are_carried_whatever_is_in_them(store: Store) {
    const TEXT: &str = "a\0b \u{7f}0; \u{10} ü 日本語 🦀";
    store.worker("w", &["root"]).await;
    let failure = Failure { code: Some(TEXT.into()), stack: Some(TEXT.into()), ..Failure::new(TEXT, TEXT) };
    let root = store.root("root").await;
    let line = ProgressEntry { step: TEXT.into(), ..progress("one") };
    store.hold(&root, Commands { progress: vec![line.clone()], ..Commands::default() }).await;
    let dead = Outcome::DeadLetter { failure: failure.clone(), reason: TEXT.into() };
    store.record(&root, Commands::default(), dead).await;
    let letter = only(store.letters().await);
    assert_eq!((letter.reason.as_str(), letter.task.error.as_ref()), (TEXT, Some(&failure)));
    let snapshot = store.snapshot(root.task.execution_id).await;
    assert_eq!(snapshot.execution.error, Some(failure.clone()));
    assert!(snapshot.execution.progress.iter().any(|told| told.step == TEXT), "{snapshot:#?}");

    let root = store.root("root").await;
    store
        .record(&root, Commands::default(), Outcome::Retry { failure: failure.clone(), delay: HOUR, reopen: false })
        .await;
    assert_eq!(store.task(root.task.id).await.error, Some(failure));
    store.backend.cancel(root.task.execution_id, Some(TEXT.to_owned())).await.must();
    assert_eq!(store.snapshot(root.task.execution_id).await.cancel_reason.as_deref(), Some(TEXT));
}

async fn a_sum_that_no_number_holds_is_refused(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    for sign in [1.0, -1.0] {
        let name = format!("big{sign}");
        let add =
            |amount| Commands { counters: vec![(name.clone(), Number::Real(sign * amount))], ..Commands::default() };
        store.hold(&root, add(1.7e308)).await;
        let refused = store.backend.advance(vec![saying(&root, add(1.7e308), Outcome::Hold)], None).await.must_fail();
        assert_eq!((refused.status(), refused.is_retryable()), (Status::Invalid, false), "{refused}");
        assert!(refused.message().contains(&format!("'{name}'")), "it names the counter: {refused}");
        let counters = store.snapshot(root.task.execution_id).await.counters;
        assert_eq!(counters[&name], Number::Real(sign * 1.7e308), "it keeps its value");
        store.hold(&root, add(-1.7e308)).await;
    }
    store.complete(&root, "1").await;
}
