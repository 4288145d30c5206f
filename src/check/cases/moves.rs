//! Executions that go from store to store. A store that is not the library's own need not let them go.

use std::time::Duration;

use stent::backend::{Commands, Exported, Fenced, Imported, NewExecution, Parcel, Request, Response, Verdict};
use stent::codec;
use stent::model::{DispatchOptions, ExecutionState, Id, Status, TaskOptions, TaskState, WaitMode};

use super::house::*;

cases! {
    what_is_exported_is_nowhere_until_it_is_taken_back,
    what_is_exported_goes_on_where_it_is_imported,
    what_a_worker_holds_stays_unless_it_is_taken,
    what_is_over_is_copied,
    what_is_imported_comes_in_once,
    what_would_wait_for_ever_stays,
    everything_of_it_travels,
    what_has_left_is_not_begun_again,
    what_was_put_off_is_so_where_it_goes,
}

/// The line, if the store lets executions go.
async fn export(store: &Store, execution: Id) -> Option<String> {
    match store.backend.export(execution, false).await {
        Err(why) if why.status() == Status::Unsupported => None,
        exported => {
            let Exported { line, ended } = exported.must();
            assert!(!ended && !line.contains('\n'), "{line}");
            Some(line)
        }
    }
}

fn parcel(line: &str) -> Parcel {
    codec::from_json("line", line).must()
}

/// The same execution, as another store would know it: none of its ids is the old one.
fn renamed(line: &str) -> Parcel {
    let mut text = line.to_owned();
    let old = parcel(line);
    let ids = old.tasks.iter().map(|of| of.task.id);
    for id in ids.chain([old.execution.id]) {
        text = text.replace(&id.to_string(), &Id::now_v7().to_string());
    }
    parcel(&text)
}

async fn stored(store: &Store, execution: Id) -> bool {
    let request = Request::GetExecution { execution_id: execution };
    !matches!(store.backend.call(request).await.must(), Response::Execution(None))
}

async fn what_is_exported_is_nowhere_until_it_is_taken_back(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    let (execution, id) = (root.task.execution_id, root.task.id);
    let spawned = spawns([
        call(&root, 1, "child"),
        timer(&root, 2, Duration::from_millis(1)),
        wait_for(&root, 3, "go", Some(Duration::from_secs(3600))),
    ]);
    store.suspend(&root, spawned, WaitMode::All, &[1, 2, 3], 0).await;
    let Some(line) = export(&store, execution).await else { return };

    assert!(!stored(&store, execution).await);
    assert_eq!(store.tasks(execution).await, []);
    assert!(store.backend.snapshot(execution).await.must().is_none());
    store.sweep().await;
    store.idle().await;
    is_status(store.backend.signal(signal(execution, "go", "1")).await, Status::NotFound, "");
    is_status(store.backend.cancel(execution, None).await, Status::NotFound, "");
    // Whoever exported it and died before it was written gets it again.
    assert_eq!(store.backend.export(execution, false).await.must().line, line);
    let departed = store.backend.departed(100_000).await.must();
    assert!(departed.iter().any(|one| one.execution_id == execution && one.bytes == line.len() as u64));
    // Not by a mistake.
    is_status(store.backend.import(parcel(&line)).await, Status::Conflict, "exported from this very store");

    store.backend.settle(execution, Fenced::TakeBack).await.must();
    store.backend.settle(execution, Fenced::TakeBack).await.must();
    is_status(store.backend.settle(execution, Fenced::LetGo).await, Status::NotFound, "");
    assert!(!store.backend.departed(100_000).await.must().iter().any(|one| one.execution_id == execution));
    let child = store.take().await;
    assert_eq!(child.task.step_name, "child");
    store.complete(&child, "\"done\"").await;
    store.send(execution, "go", "\"went\"").await;
    store
        .until("the timer fires", async |store| {
            store.sweep().await;
            store.state(id).await == TaskState::Pending
        })
        .await;
    let again = store.take().await;
    assert!(again.task.id == id && again.task.fence > root.task.fence + 1 && again.ops == 3, "{again:?}");
    let journal = store.journal(id).await;
    assert!(journal.iter().all(|entry| entry.state == TaskState::Completed), "{journal:?}");
    store.complete(&again, "1").await;
    store.is(execution, ExecutionState::Completed).await;
}

async fn what_is_exported_goes_on_where_it_is_imported(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let (root, child) = store.waiting_parent().await;
    store.release(&child).await;
    let before = store.execution(root.task.execution_id).await;
    let Some(line) = export(&store, root.task.execution_id).await else { return };
    store.backend.settle(root.task.execution_id, Fenced::LetGo).await.must();
    store.backend.settle(root.task.execution_id, Fenced::LetGo).await.must();
    is_status(store.backend.settle(root.task.execution_id, Fenced::TakeBack).await, Status::NotFound, "");
    let gone = store.backend.export(root.task.execution_id, false).await;
    is_status(gone, Status::NotFound, "imported elsewhere");

    let there = renamed(&line);
    assert_eq!(store.backend.import(there.clone()).await.must(), Imported::Done);
    assert_eq!(store.backend.import(there.clone()).await.must(), Imported::WasThere);
    let told = store.execution(there.execution.id).await;
    assert_eq!((told.state, told.started_at), (ExecutionState::Running, before.started_at));
    assert!(told.started_at.is_some());
    let child = store.take().await;
    store.complete(&child, "\"done\"").await;
    let root = store.take().await;
    assert_eq!(root.task.execution_id, there.execution.id);
    store.complete(&root, "2").await;
    assert_eq!(store.backend.import(there.clone()).await.must(), Imported::WasThere);
    store.is(there.execution.id, ExecutionState::Completed).await;
}

async fn what_was_put_off_is_so_where_it_goes(store: Store) {
    store.worker("w", &["f"]).await;
    let root = store.root("f").await;
    let execution = root.task.execution_id;
    store.record(&root, Commands::default(), snooze(Duration::ZERO)).await;
    let Some(_line) = export(&store, execution).await else { return };
    store.backend.settle(execution, Fenced::TakeBack).await.must();
    let again = store.take().await;
    assert_eq!((again.snoozes, again.first_started_at), (1, root.task.started_at));
    store.complete(&again, "1").await;
}

async fn what_a_worker_holds_stays_unless_it_is_taken(store: Store) {
    store.worker("w", &["f"]).await;
    let root = store.root("f").await;
    let execution = root.task.execution_id;
    let why = match store.backend.export(execution, false).await {
        Err(why) if why.status() == Status::Unsupported => return,
        refused => refused.must_fail(),
    };
    assert!(why.status() == Status::Conflict && why.details().contains_key("later"), "{why:?}");
    // Nothing has happened.
    store.hold(&root, counting(1)).await;
    store.backend.export(execution, true).await.must();
    assert_eq!(store.say(&root, counting(1), completed("1")).await, Verdict::LeaseLost);
    store.backend.settle(execution, Fenced::TakeBack).await.must();
    assert_eq!(store.say(&root, counting(1), completed("1")).await, Verdict::LeaseLost);
    let again = store.take().await;
    assert_eq!((again.task.retries, again.deaths, again.crashes), (0, 0, 0));
    store.complete(&again, "2").await;
    assert_eq!(store.counters(execution).await.len(), 1);
}

async fn what_is_over_is_copied(store: Store) {
    store.worker("w", &["f"]).await;
    let root = store.root("f").await;
    let execution = root.task.execution_id;
    store.complete(&root, "7").await;
    let Exported { line, ended } = match store.backend.export(execution, false).await {
        Err(why) if why.status() == Status::Unsupported => return,
        exported => exported.must(),
    };
    assert!(ended);
    store.is(execution, ExecutionState::Completed).await;
    assert_eq!(store.backend.import(parcel(&line)).await.must(), Imported::WasThere);
    let copy = renamed(&line);
    let id = copy.execution.id;
    assert_eq!(store.backend.import(copy).await.must(), Imported::Done);
    let (old, new) = (store.execution(execution).await, store.execution(id).await);
    assert_eq!((old.result, old.completed_at, old.created_at), (new.result, new.completed_at, new.created_at));
}

async fn what_is_imported_comes_in_once(store: Store) {
    store.worker("w", &["f"]).await;
    let execution = store.start("f").await;
    let Some(line) = export(&store, execution).await else { return };
    let there = renamed(&line);
    assert_eq!(store.backend.import(there.clone()).await.must(), Imported::Done);
    let onwards = store.backend.export(there.execution.id, false).await.must().line;
    assert_eq!(parcel(&onwards).moves, there.moves + 1);
    store.backend.settle(there.execution.id, Fenced::LetGo).await.must();
    is_status(store.backend.import(there.clone()).await, Status::Conflict, "an older one");
    // It comes back from where it has gone.
    let back = Parcel { moves: there.moves + 2, ..there.clone() };
    assert_eq!(store.backend.import(back).await.must(), Imported::Done);
    is_status(store.backend.import(there.clone()).await, Status::Conflict, "not from this export");
    store.complete(&store.take().await, "1").await;
    is_status(store.backend.import(Parcel { stent_export: 99, ..there.clone() }).await, Status::Invalid, "form 99");
    let mut torn = renamed(&line);
    torn.tasks[0].task.execution_id = Id::now_v7();
    is_status(store.backend.import(torn.clone()).await, Status::Invalid, "names execution");
    assert!(!stored(&store, torn.execution.id).await);
    store.idle().await;
}

async fn what_would_wait_for_ever_stays(store: Store) {
    store.worker("w", &["f"]).await;
    let keyed = || DispatchOptions {
        idempotency_key: Some("once".to_owned()),
        task: TaskOptions::default(),
        ..DispatchOptions::default()
    };
    // A call that joins, of another execution.
    let owner = store.start_with("f", "[]", keyed()).await.must();
    store.take().await;
    let caller = store.root("f").await;
    let options = stent::model::CallOptions { idempotency_key: Some("once".to_owned()), ..Default::default() };
    let spawned = spawns([call_with(&caller, 1, "f", "[]", options)]);
    store.suspend(&caller, spawned, WaitMode::All, &[1], 0).await;
    for execution in [owner, caller.task.execution_id] {
        match store.backend.export(execution, true).await {
            Err(why) if why.status() == Status::Unsupported => return,
            refused => is_status(refused, Status::Conflict, "idempotency key"),
        }
    }
    store.backend.cancel(owner, None).await.must();
    is_status(store.backend.export(owner, true).await, Status::Conflict, "being cancelled");
    is_status(store.backend.export(Id::now_v7(), true).await, Status::NotFound, "there is no execution");
}

/// A store's picture of it is the same after the journey, but for what nobody holds any more.
async fn everything_of_it_travels(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let root = store.root("root").await;
    let execution = root.task.execution_id;
    store.send(execution, "other", "[1,\n 2]").await;
    store.hold(&root, everything(&root)).await;
    let opts = Commands { heartbeat: Some("\"at 3\"".into()), ..Commands::default() };
    store.hold(&root, opts).await;
    store.release(&root).await;
    // Whatever the picture shows of the next claim is shown before and after.
    let Some(line) = export(&store, execution).await else { return };
    let first = parcel(&line);
    store.backend.settle(execution, Fenced::TakeBack).await.must();
    let again = parcel(&store.backend.export(execution, false).await.must().line);
    let plain = |mut parcel: Parcel| {
        parcel.moves = 0;
        parcel.tasks.iter_mut().filter(|of| !of.task.state.is_terminal()).for_each(|of| of.task.fence = 0);
        parcel.signals.iter_mut().for_each(|of| of.signal.sequence = 0);
        // By the clock of a boot.
        let soon = |time: &mut Option<stent::model::Timestamp>| {
            *time = time.map(|time| stent::model::Timestamp::from_micros(time.micros() / 60_000_000));
        };
        parcel.tasks.iter_mut().for_each(|of| soon(&mut of.due_at));
        parcel
    };
    assert_eq!(plain(first.clone()), plain(again));
    assert!(!first.execution.progress.is_empty() && !first.counters.is_empty() && !first.state.is_empty());
    assert!(first.tasks.len() > 1 && first.signals.len() == 1, "{first:?}");
    assert_eq!(text(&first.signals[0].signal.payload), "[1,  2]");
}

async fn what_has_left_is_not_begun_again(store: Store) {
    store.worker("w", &["root", "child"]).await;
    let keyed = || DispatchOptions { idempotency_key: Some("once".to_owned()), ..DispatchOptions::default() };
    let execution = store.start_with("root", "[]", keyed()).await.must();
    let root = store.take().await;
    let by_key = || stent::model::CallOptions { idempotency_key: Some("child".to_owned()), ..Default::default() };
    store.suspend(&root, spawns([call_with(&root, 1, "child", "[]", by_key())]), WaitMode::All, &[1], 0).await;
    let Some(line) = export(&store, execution).await else { return };
    let record = parcel(&line).execution;
    let again = || new_execution("root", "[]", DispatchOptions::default());
    let same = || NewExecution { id: execution, ..again() };
    let refused = async |why: &str| {
        is_status(store.backend.dispatch(vec![same()]).await, Status::Conflict, why);
        is_status(store.backend.dispatch(vec![again(), same()]).await, Status::Conflict, why);
        is_status(store.start_with("root", "[]", keyed()).await, Status::Conflict, why);
        let created = store.backend.call(Request::CreateExecution { execution: record.clone() }).await;
        is_status(created, Status::Conflict, why);
        store.idle().await;
    };
    refused("exported back").await;
    // A call with the key of its child, which is fenced too.
    let other = store.root("root").await;
    store.suspend(&other, spawns([call_with(&other, 1, "child", "[]", by_key())]), WaitMode::All, &[1], 0).await;
    let other = store.take().await;
    let journal = store.journal(other.task.id).await;
    assert!(journal[0].state == TaskState::Failed, "{journal:?}");
    store.complete(&other, "1").await;

    store.backend.settle(execution, Fenced::TakeBack).await.must();
    assert_eq!(store.start_with("root", "[]", keyed()).await.must(), execution, "the key is its root's again");
    store.backend.export(execution, false).await.must();
    store.backend.settle(execution, Fenced::LetGo).await.must();
    refused("imported elsewhere").await;
    let back = Parcel { moves: 3, ..parcel(&line) };
    assert_eq!(store.backend.import(back).await.must(), Imported::Done);
    assert_eq!(store.start_with("root", "[]", keyed()).await.must(), execution, "it has come home");
    store.complete(&store.take().await, "2").await;
    store.complete(&store.take().await, "3").await;
    store.is(execution, ExecutionState::Completed).await;
}
