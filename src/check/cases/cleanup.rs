//! A cleanup deletes what is old and has ended, with everything that belongs to it, and nothing else.

use stent::backend::{Commands, DeadLetterFilter, Outcome, Request, Response};
use stent::model::{ExecutionState, Id, Status, Timestamp, WaitMode};

use super::house::*;

cases! {
    what_is_over_goes_with_all_that_belongs_to_it,
    what_goes_on_or_is_young_stays,
    many_go_in_batches_that_others_need_not_wait_for,
    a_letter_keeps_what_its_replay_needs,
    what_is_kept_hides_nothing_behind_it,
    dead_letters_go_by_their_own_age,
}

async fn clean(store: &Store, older_than: Timestamp) -> u64 {
    match store.backend.call(Request::CleanupExecutions { older_than }).await.must() {
        Response::Count(count) => count,
        other => panic!("{other:?}"),
    }
}

/// Later than all that has happened.
fn all() -> Timestamp {
    // The year 2100.
    Timestamp::from_micros(4_102_444_800_000_000)
}

async fn ended(store: &Store) -> Id {
    let root = store.root("root").await;
    let id = root.task.execution_id;
    store.send(id, "go", "1").await;
    store.record(&root, everything(&root), Outcome::Hold).await;
    let child = store.take().await;
    store.record(&child, spawns([step(&child, 1, Ok("1"))]), completed("1")).await;
    store.complete(&root, "1").await;
    id
}

async fn what_is_over_goes_with_all_that_belongs_to_it(store: Store) {
    clean(&store, all()).await;
    store.worker("w", &["root", "child"]).await;
    let id = ended(&store).await;
    assert_eq!(clean(&store, all()).await, 1);
    assert_eq!(store.backend.snapshot(id).await.must(), None);
    assert!(store.tasks(id).await.is_empty());
    assert_eq!(store.journal(root_of(id)).await, []);
    let ask = async |request| store.backend.call(request).await.must();
    assert_eq!(ask(Request::GetExecutionCounters { execution_id: id }).await, Response::Counters([].into()));
    assert_eq!(ask(Request::GetExecutionStateValues { execution_id: id }).await, Response::Values([].into()));
    assert_eq!(ask(Request::GetSignal { execution_id: id, name: "go".into() }).await, Response::Signal(None));
    is_status(store.backend.signal(signal(id, "go", "1")).await, Status::NotFound, "no execution");
    assert_eq!(store.backend.ended_among(vec![id]).await.must(), [id]);
}

async fn what_goes_on_or_is_young_stays(store: Store) {
    clean(&store, all()).await;
    store.worker("w", &["root", "child"]).await;
    let old = ended(&store).await;
    let between = store.execution(old).await.completed_at.must().after(std::time::Duration::from_micros(1));
    let young = ended(&store).await;
    let (waiting, child) = store.waiting_parent().await;
    let cancelling = store.root("root").await;
    store.backend.cancel(cancelling.task.execution_id, None).await.must();
    assert_eq!(clean(&store, store.execution(old).await.completed_at.must()).await, 0);
    assert_eq!(clean(&store, between).await, 1);
    assert_eq!(store.backend.snapshot(old).await.must(), None);
    store.is(young, ExecutionState::Completed).await;
    assert_eq!(clean(&store, all()).await, 1);
    store.is(cancelling.task.execution_id, ExecutionState::Cancelling).await;
    store.complete(&child, "1").await;
    assert_eq!(store.take().await.task.id, waiting.task.id);
}

async fn many_go_in_batches_that_others_need_not_wait_for(store: Store) {
    clean(&store, all()).await;
    const EXECUTIONS: usize = 450;
    const CHILDREN: u32 = 2500;
    store.worker("w", &["root", "child"]).await;
    let executions = (0..EXECUTIONS).map(|_| new_execution("root", "[]", Default::default())).collect();
    store.backend.dispatch(executions).await.must();
    let roots = store.claim("w", EXECUTIONS).await;
    store.hold(&roots[0], spawns((1..=CHILDREN).map(|op| step(&roots[0], op, Ok("1"))))).await;
    let ends = roots.iter().map(|root| saying(root, Commands::default(), completed("1"))).collect();
    store.say_all(ends).await;
    let live = store.root("root").await;
    let cleaning = beside({
        let store = store.clone();
        async move { clean(&store, all()).await }
    });
    // Work goes on beside it.
    let mut said = 0;
    while !cleaning.is_finished() {
        store.hold(&live, counting(1)).await;
        said += 1;
    }
    assert_eq!(cleaning.await.must(), EXECUTIONS as u64);
    assert!(said > 0);
    assert!(store.tasks(roots[0].task.execution_id).await.is_empty());
    store.suspend(&live, spawns([step(&live, 1, Ok("1"))]), WaitMode::All, &[1], 0).await;
    store.take().await;
}

async fn a_letter_keeps_what_its_replay_needs(store: Store) {
    clean(&store, all()).await;
    store.worker("w", &["root"]).await;
    let kept = store.root("root").await;
    store.hold(&kept, spawns([step(&kept, 1, Ok("1"))])).await;
    store.fail(&kept).await;
    let gone = ended_alone(&store).await;
    assert_eq!(clean(&store, all()).await, 1);
    assert_eq!(store.backend.snapshot(gone).await.must(), None);
    let new = Id::now_v7();
    store.backend.replay_dead_letter(kept.task.id, new).await.must();
    let again = store.take().await;
    assert_eq!(only(store.journal(again.task.id).await).op, 1);
    // Nothing needs the old one any more.
    assert_eq!(clean(&store, all()).await, 1);
    assert_eq!(store.backend.snapshot(kept.task.execution_id).await.must(), None);
    store.complete(&again, "1").await;
}

/// One without a letter, that ended after others.
async fn ended_alone(store: &Store) -> Id {
    let root = store.root("root").await;
    store.complete(&root, "1").await;
    root.task.execution_id
}

async fn what_is_kept_hides_nothing_behind_it(store: Store) {
    clean(&store, all()).await;
    // More of both than one transaction looks at.
    const MANY: usize = 250;
    store.worker("w", &["root"]).await;
    for end in [dead("it broke"), completed("1")] {
        let executions = (0..MANY).map(|_| new_execution("root", "[]", Default::default())).collect();
        store.backend.dispatch(executions).await.must();
        let roots = store.claim("w", MANY).await;
        store.say_all(roots.iter().map(|root| saying(root, Commands::default(), end.clone())).collect()).await;
    }
    assert_eq!(clean(&store, all()).await, MANY as u64);
    let letters = DeadLetterFilter { limit: 1_000, ..DeadLetterFilter::default() };
    let letters = store.backend.dead_letters(letters).await.must();
    assert!(letters.len() >= MANY);
    for letter in letters {
        store.backend.call(Request::DeleteDeadTask { task_id: letter.task.id }).await.must();
    }
    assert!(clean(&store, all()).await >= MANY as u64);
}

async fn dead_letters_go_by_their_own_age(store: Store) {
    store.backend.call(Request::CleanupDeadLetters { older_than: all() }).await.must();
    clean(&store, all()).await;
    store.worker("w", &["root"]).await;
    let root = store.root("root").await;
    store.fail(&root).await;
    let letter = only(store.letters().await);
    assert_eq!(clean(&store, all()).await, 0, "the execution is the letter's");
    assert_eq!(only(store.letters().await), letter);
    let count = async |older_than| store.backend.call(Request::CleanupDeadLetters { older_than }).await.must();
    assert_eq!(count(letter.moved_at).await, Response::Count(0));
    assert_eq!(count(all()).await, Response::Count(1));
    assert!(store.letters().await.is_empty());
    assert_eq!(clean(&store, all()).await, 1);
    is_status(store.backend.replay_dead_letter(root.task.id, Id::now_v7()).await, Status::NotFound, "no dead letter");
}
