//! The replay of a dead letter: a new execution with the journal up to the failure, in which the failed path runs
//! again.

use stent::backend::{Claimed, Commands, Outcome, Request};
use stent::model::{ExecutionState, FunctionOptions, Id, Number, Status, TaskState, WaitMode};

use super::house::*;

cases! {
    the_failed_path_runs_again_and_nothing_else,
    the_old_execution_stays_as_it_is,
    a_failed_root_runs_again_with_its_journal,
    untaken_signals_and_what_was_told_come_along,
    what_was_said_with_the_end_is_said_once,
    only_a_letter_is_replayed,
    what_the_handler_had_seen_fail_is_kept,
    what_no_worker_runs_is_not_replayed,
}

/// root ← (done, middle ← (done, fails)); everything ended. The letter's task.
async fn failed(store: &Store) -> (Id, Id) {
    let tried = |name| (name, tries(1));
    store.worker_with("w", vec![tried("root"), tried("done"), tried("middle"), tried("fails")]).await;
    let root = store.root("root").await;
    let commands = Commands { spawns: vec![call(&root, 1, "done"), call(&root, 2, "middle")], ..counting(3) };
    store.suspend(&root, commands, WaitMode::All, &[1, 2], 0).await;
    let taken = store.claim("w", 9).await;
    let of = |name: &str| taken.iter().find(|claimed| claimed.task.step_name == name).must();
    store.complete(of("done"), "1").await;
    let middle = of("middle");
    let below = [step(middle, 1, Ok("\"step\"")), call(middle, 2, "fails"), timer(middle, 3, HOUR)];
    store.suspend(middle, spawns(below), WaitMode::All, &[2], 0).await;
    let fails = store.take().await;
    store.record(&fails, spawns([step(&fails, 1, Ok("\"below\""))]), dead("it broke")).await;
    for _ in ["middle", "root"] {
        let up = store.take().await;
        store.record(&up, Commands::default(), Outcome::PassUp { failure: failure() }).await;
    }
    let execution = root.task.execution_id;
    store.is(execution, ExecutionState::Failed).await;
    (execution, fails.task.id)
}

async fn replay(store: &Store, letter: Id) -> Id {
    let new = Id::now_v7();
    let replayed = store.backend.replay_dead_letter(letter, new).await.must();
    assert_eq!(replayed.execution, new);
    new
}

async fn the_failed_path_runs_again_and_nothing_else(store: Store) {
    let (old, letter) = failed(&store).await;
    let new = Id::now_v7();
    let replayed = store.backend.replay_dead_letter(letter, new).await.must();
    assert_eq!((replayed.execution, replayed.replay_of), (new, old));
    assert!(store.letters().await.is_empty());
    let snapshot = store.snapshot(new).await;
    assert_eq!((snapshot.replay_of, snapshot.execution.state), (Some(old), ExecutionState::Pending));

    let mut taken = store.claim("w", 9).await;
    taken.sort_by_key(|claimed| claimed.task.step_name.clone());
    let names: Vec<&str> = taken.iter().map(|claimed| claimed.task.step_name.as_str()).collect();
    assert_eq!(names, ["fails", "middle", "root"]);
    let [fails, middle, root] = taken.as_slice() else { panic!() };
    assert_eq!(root.task.id, root_of(new));
    assert_eq!([fails.opened, middle.opened, root.opened], [None, Some(2), Some(2)]);
    for claimed in &taken {
        assert_eq!((claimed.task.execution_id, claimed.task.retries, &claimed.task.error), (new, 0, &None));
    }
    // Completed work is not repeated: it is in the journals, under the ids that a replay asks for.
    let journal = store.journal(root.task.id).await;
    assert_eq!((journal[0].id, journal[0].state), (call(root, 1, "done").id, TaskState::Completed));
    assert_eq!((journal[1].id, journal[1].state, journal[1].arrival), (middle.task.id, TaskState::Running, None));
    assert_eq!(middle.task.id, call(root, 2, "middle").id);
    let journal = store.journal(middle.task.id).await;
    assert_eq!((text(journal[0].result.as_ref().must()), journal[1].id), ("\"step\"", fails.task.id));
    // The timer was cancelled with its parent: the replay asks for it anew.
    assert_eq!(journal.len(), 2);
    assert_eq!(text(only(store.journal(fails.task.id).await).result.as_ref().must()), "\"below\"");
    finish(&store, fails, middle, root).await;
    store.is(new, ExecutionState::Completed).await;
}

async fn finish(store: &Store, fails: &Claimed, middle: &Claimed, root: &Claimed) {
    store.suspend(root, Commands::default(), WaitMode::All, &[2], 1).await;
    store.suspend(middle, spawns([timer(middle, 3, HOUR)]), WaitMode::All, &[2], 1).await;
    store.complete(fails, "7").await;
    for name in ["middle", "root"] {
        let up = store.take().await;
        assert_eq!(up.task.step_name, name);
        store.complete(&up, "8").await;
    }
}

async fn the_old_execution_stays_as_it_is(store: Store) {
    let (old, letter) = failed(&store).await;
    let before = (store.snapshot(old).await, store.tasks(old).await);
    let new = replay(&store, letter).await;
    for claimed in store.claim("w", 9).await {
        store.say(&claimed, counting(1), dead("again")).await;
    }
    store.is(new, ExecutionState::Failed).await;
    assert_eq!((store.snapshot(old).await, store.tasks(old).await), before);
    is_status(store.backend.replay_dead_letter(letter, Id::now_v7()).await, Status::NotFound, "no dead letter");
}

async fn a_failed_root_runs_again_with_its_journal(store: Store) {
    store.worker_with("w", vec![("root", tries(1)), ("child", FunctionOptions::default())]).await;
    let root = store.root("root").await;
    store.hold(&root, spawns([step(&root, 1, Ok("1")), call(&root, 2, "child")])).await;
    store.fail(&root).await;
    let new = replay(&store, root.task.id).await;
    let again = store.take().await;
    assert_eq!(again.task.id, root_of(new));
    assert_eq!(only(store.journal(again.task.id).await).op, 1);
    // The next arrival goes on from there.
    let (arrivals, _) = store.hold(&again, spawns([step(&again, 2, Ok("2"))])).await;
    assert_eq!(arrivals, [(2, 2)]);
    // Another replay of the replay.
    store.fail(&again).await;
    let third = replay(&store, again.task.id).await;
    assert_eq!(store.snapshot(third).await.replay_of, Some(new));
    assert_eq!(store.journal(root_of(third)).await.len(), 2);
}

async fn untaken_signals_and_what_was_told_come_along(store: Store) {
    store.worker_with("w", vec![("root", tries(1))]).await;
    let root = store.root("root").await;
    let old = root.task.execution_id;
    store.send(old, "go", "1").await;
    store.send(old, "go", "2").await;
    let commands = Commands {
        spawns: vec![wait_for(&root, 1, "go", None)],
        state: vec![("where".to_owned(), "\"here\"".into())],
        progress: vec![progress("half")],
        ..counting(3)
    };
    store.record(&root, commands, Outcome::Hold).await;
    store.fail(&root).await;
    let new = replay(&store, root.task.id).await;
    let snapshot = store.snapshot(new).await;
    assert_eq!(snapshot.counters["n"], Number::Integer(3));
    assert_eq!(text(&snapshot.state["where"]), "\"here\"");
    let again = store.take().await;
    // What was said is not said again.
    assert_eq!(again.effects, 3);
    assert_eq!(text(only(store.journal(again.task.id).await).result.as_ref().must()), "1");
    store.hold(&again, spawns([wait_for(&again, 2, "go", None), wait_for(&again, 3, "go", None)])).await;
    let journal = store.journal(again.task.id).await;
    assert_eq!(text(journal[1].result.as_ref().must()), "2");
    assert_eq!(journal[2].state, TaskState::Waiting);
}

async fn what_was_said_with_the_end_is_said_once(store: Store) {
    store.worker_with("w", vec![("root", tries(1))]).await;
    let root = store.root("root").await;
    let last = Commands { spawns: vec![step(&root, 1, Ok("1"))], progress: vec![progress("half")], ..counting(3) };
    store.say(&root, last, dead("it broke")).await;
    replay(&store, root.task.id).await;
    let again = store.take().await;
    assert_eq!((again.ops, again.effects), (1, 2));
    assert_eq!(only(store.journal(again.task.id).await).op, 1);
    // So the next one has another number.
    let (arrivals, _) = store.hold(&again, spawns([step(&again, 2, Ok("2"))])).await;
    assert_eq!(arrivals, [(2, 2)]);
}

async fn only_a_letter_is_replayed(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    store.complete(&root, "1").await;
    for id in [root.task.id, Id::now_v7()] {
        is_status(store.backend.replay_dead_letter(id, Id::now_v7()).await, Status::NotFound, "no dead letter");
    }
}

async fn what_the_handler_had_seen_fail_is_kept(store: Store) {
    store.worker_with("w", vec![("root", tries(1)), ("child", tries(1))]).await;
    let root = store.root("root").await;
    store.hold(&root, spawns([call(&root, 1, "child"), call(&root, 2, "child"), call(&root, 3, "child")])).await;
    let children = store.claim("w", 9).await;
    // The first failure was handled; the second is the one that the root died of; the third came later.
    for child in &children {
        store.fail(child).await;
    }
    store.record(&root, Commands::default(), Outcome::PassUp { failure: failure() }).await;
    let new = replay(&store, children[1].task.id).await;
    let journal = store.journal(root_of(new)).await;
    let standing: Vec<_> = journal.iter().map(|entry| (entry.op, entry.state)).collect();
    assert_eq!(standing, [(1, TaskState::Failed), (2, TaskState::Pending)]);
    assert_eq!(store.letters().await.len(), 2);
}

async fn what_no_worker_runs_is_not_replayed(store: Store) {
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    store.hold(&root, spawns([step(&root, 1, Ok("1"))])).await;
    let step = store.task(step(&root, 1, Ok("1")).id).await;
    store.backend.call(Request::MoveTaskToDeadLetter { task: step.clone(), reason: "by hand".into() }).await.must();
    let new = Id::now_v7();
    is_status(store.backend.replay_dead_letter(step.id, new).await, Status::Conflict, "no worker runs it by itself");
    assert_eq!(only(store.letters().await).task.id, step.id, "the letter stays");
    assert_eq!(store.backend.snapshot(new).await.must(), None);
    store.complete(&root, "1").await;
    store.idle().await;
}
