//! What the protocol keeps besides executions and tasks: results, dead letters, signals, counters, values; and its
//! cleanup.

use std::collections::BTreeMap;
use std::time::Duration;

use stent::backend::{Request, Response};
use stent::model::{Execution, ExecutionState, Id, Number, Payload, Signal, Status, Task, TaskState, Timestamp};

use super::house::*;
use super::records::{ask, count, execution, get, get_task, now, ok, task, there};

cases! {
    keys_that_no_store_would_hold_are_refused,
    the_last_result_stands_until_its_time_is_over,
    idempotency_results_are_kept_apart,
    a_dead_letter_is_a_whole_record_and_replaced,
    signals_are_a_log,
    a_consumed_signal_gives_way_to_the_next,
    counters_are_inserted_where_absent,
    integers_stay_exact,
    counters_are_exact_with_many_at_once,
    values_are_kept_to_the_letter,
    cleanup_takes_what_ended_before,
    cleanup_takes_all_that_belongs_to_it,
    old_letters_go,
}

fn value(text: &str) -> Response {
    Response::Payload(Some(text.into()))
}

async fn the_last_result_stands_until_its_time_is_over(store: Store) {
    let key = format!("k-{}", Id::now_v7());
    let get = async |key: &str| ask(&store, Request::GetCachedResult { key: key.to_owned() }).await;
    let set = async |text: &str, ttl| {
        ok(&store, Request::SetCachedResult { key: key.clone(), value: text.into(), ttl }).await;
    };
    assert_eq!(get(&key).await, Response::Payload(None));
    set("{\"b\": 1.10,\"a\":2}", None).await;
    assert_eq!(get(&key).await, value("{\"b\": 1.10,\"a\":2}"));
    set("2", Some(600.0)).await;
    assert_eq!(get(&key).await, value("2"));
    set("3", Some(0.0)).await;
    let start = std::time::Instant::now();
    while get(&key).await != Response::Payload(None) {
        assert!(start.elapsed() < SOON, "the result's time is over, and it is still there");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    set("4", None).await;
    assert_eq!(get(&key).await, value("4"));
}

async fn idempotency_results_are_kept_apart(store: Store) {
    let key = format!("k-{}", Id::now_v7());
    ok(&store, Request::SetCachedResult { key: key.clone(), value: "1".into(), ttl: None }).await;
    assert_eq!(ask(&store, Request::GetIdempotencyResult { key: key.clone() }).await, Response::Payload(None));
    ok(&store, Request::SetIdempotencyResult { key: key.clone(), value: "2".into(), ttl: None }).await;
    assert_eq!(ask(&store, Request::GetIdempotencyResult { key: key.clone() }).await, value("2"));
    assert_eq!(ask(&store, Request::GetCachedResult { key }).await, value("1"));
}

/// A failed task of an execution that is there.
async fn failed(store: &Store) -> Task {
    let of = there(store).await;
    let failed = Task { state: TaskState::Failed, error: Some(failure()), completed_at: Some(now()), ..task(of.id) };
    ok(store, Request::CreateTask { task: failed.clone() }).await;
    failed
}

async fn a_dead_letter_is_a_whole_record_and_replaced(store: Store) {
    let (first, second) = (failed(&store).await, failed(&store).await);
    let before = count(&store, Request::CountDeadTasks {}).await;
    let bury = async |task: &Task, reason: &str| {
        ok(&store, Request::MoveTaskToDeadLetter { task: task.clone(), reason: reason.to_owned() }).await;
    };
    bury(&first, "one").await;
    bury(&second, "two").await;
    assert_eq!(count(&store, Request::CountDeadTasks {}).await, before + 2);
    let Response::DeadLetters(letters) = ask(&store, Request::ListDeadTasks { limit: 2 }).await else {
        panic!("no list")
    };
    let reasons: Vec<&str> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(reasons, ["two", "one"], "newest first");
    bury(&first, "again").await;
    assert_eq!(count(&store, Request::CountDeadTasks {}).await, before + 2);
    let found = ask(&store, Request::GetDeadTask { task_id: first.id }).await;
    let Response::DeadLetter(Some(letter)) = found else { panic!("{found:?}") };
    assert_eq!((letter.reason.as_str(), letter.task.id, &letter.task.error), ("again", first.id, &first.error));
    for there in [true, false] {
        assert_eq!(ask(&store, Request::DeleteDeadTask { task_id: first.id }).await, Response::Flag(there));
    }
    assert_eq!(ask(&store, Request::GetDeadTask { task_id: first.id }).await, Response::DeadLetter(None));
    ok(&store, Request::MoveTaskToDeadLetter { task: first.clone(), reason: "back".into() }).await;
    for id in [first.id, second.id] {
        assert_eq!(ask(&store, Request::DeleteDeadTask { task_id: id }).await, Response::Flag(true));
    }
}

fn sent(execution: Id, name: &str, payload: &str) -> Signal {
    Signal {
        execution_id: execution,
        name: name.into(),
        payload: payload.into(),
        created_at: now(),
        consumed: false,
        consumed_at: None,
        id: None,
        sequence: 0,
    }
}

/// The signal that is first in line: its payload, and whether it was consumed.
async fn first(store: &Store, execution_id: Id, name: &str) -> Option<(String, bool)> {
    match ask(store, Request::GetSignal { execution_id, name: name.to_owned() }).await {
        Response::Signal(found) => found.map(|found| (text(&found.payload).to_owned(), found.consumed)),
        other => panic!("{other:?}"),
    }
}

async fn signals_are_a_log(store: Store) {
    let (one, other) = (there(&store).await.id, there(&store).await.id);
    assert_eq!(first(&store, one, "go").await, None);
    for (execution, name, payload) in
        [(one, "go", "1"), (one, "go", "2"), (one, "stop", "3"), (other, "go", "4"), (one, "go", "5")]
    {
        ok(&store, Request::CreateSignal { signal: sent(execution, name, payload) }).await;
    }
    assert_eq!(first(&store, one, "go").await, Some(("1".to_owned(), false)));
    assert_eq!(first(&store, one, "stop").await, Some(("3".to_owned(), false)));
    assert_eq!(first(&store, other, "go").await, Some(("4".to_owned(), false)));
}

async fn a_consumed_signal_gives_way_to_the_next(store: Store) {
    let id = there(&store).await.id;
    for payload in ["1", "2", "3"] {
        ok(&store, Request::CreateSignal { signal: sent(id, "go", payload) }).await;
    }
    for (payload, next) in [("1", ("2", false)), ("2", ("3", false)), ("3", ("3", true))] {
        let signal = Signal { consumed: true, consumed_at: Some(now()), ..sent(id, "go", payload) };
        ok(&store, Request::CreateSignal { signal }).await;
        assert_eq!(first(&store, id, "go").await, Some((next.0.to_owned(), next.1)));
    }
    ok(&store, Request::CreateSignal { signal: sent(id, "go", "4") }).await;
    assert_eq!(first(&store, id, "go").await, Some(("4".to_owned(), false)));
}

async fn counters(store: &Store, execution_id: Id) -> BTreeMap<String, Number> {
    match ask(store, Request::GetExecutionCounters { execution_id }).await {
        Response::Counters(counters) => counters,
        other => panic!("{other:?}"),
    }
}

async fn add(store: &Store, execution_id: Id, name: &str, amount: Number) -> Number {
    match ask(store, Request::IncrementExecutionCounter { execution_id, name: name.to_owned(), amount }).await {
        Response::Number(number) => number,
        other => panic!("{other:?}"),
    }
}

async fn counters_are_inserted_where_absent(store: Store) {
    let execution_id = there(&store).await.id;
    assert!(counters(&store, execution_id).await.is_empty());
    let ensure = async |name: &str, number| {
        let counters = BTreeMap::from([(name.to_owned(), Number::Integer(number))]);
        ok(&store, Request::EnsureExecutionCounters { execution_id, counters }).await;
    };
    ensure("a", 5).await;
    assert_eq!(add(&store, execution_id, "a", Number::Integer(-7)).await, Number::Integer(-2));
    ensure("a", 5).await;
    ensure("b", 1).await;
    assert_eq!(add(&store, execution_id, "c", Number::Integer(3)).await, Number::Integer(3));
    let expected = [("a", -2), ("b", 1), ("c", 3)].map(|(name, number)| (name.to_owned(), Number::Integer(number)));
    assert_eq!(counters(&store, execution_id).await, BTreeMap::from(expected));
}

async fn integers_stay_exact(store: Store) {
    let id = there(&store).await.id;
    let big = 9_007_199_254_740_993;
    assert_eq!(add(&store, id, "n", Number::Integer(big)).await, Number::Integer(big));
    assert_eq!(add(&store, id, "n", Number::Integer(1)).await, Number::Integer(big + 1));
    assert_eq!(counters(&store, id).await["n"], Number::Integer(big + 1));
    assert_eq!(add(&store, id, "r", Number::Real(0.5)).await, Number::Real(0.5));
    assert_eq!(add(&store, id, "r", Number::Integer(1)).await, Number::Real(1.5));
}

async fn counters_are_exact_with_many_at_once(store: Store) {
    const ADDERS: i64 = 6;
    const EACH: i64 = 20;
    let id = there(&store).await.id;
    let adders: Vec<_> = (0..ADDERS)
        .map(|_| {
            let store = store.clone();
            beside(async move {
                for amount in 1..=EACH {
                    add(&store, id, "n", Number::Integer(amount)).await;
                }
            })
        })
        .collect();
    for adder in adders {
        adder.await.must();
    }
    assert_eq!(counters(&store, id).await["n"], Number::Integer(ADDERS * EACH * (EACH + 1) / 2));
}

async fn values_are_kept_to_the_letter(store: Store) {
    let execution_id = there(&store).await.id;
    let set = async |key: &str, value: Payload| {
        ok(&store, Request::SetExecutionStateValue { execution_id, key: key.to_owned(), value }).await;
    };
    let ensure = async |key: &str, value: &str| {
        let values = BTreeMap::from([(key.to_owned(), Payload::from(value))]);
        ok(&store, Request::EnsureExecutionStateValues { execution_id, values }).await;
    };
    ensure("a", "1").await;
    ensure("a", "2").await;
    set("b", Payload::from("{\"z\": 1.0,\"a\":[ ]}")).await;
    set("c", Payload::from(vec![0xff, 0x00])).await;
    set("b", Payload::from("[12345678901234567890.10]")).await;
    let Response::Values(values) = ask(&store, Request::GetExecutionStateValues { execution_id }).await else {
        panic!("no values")
    };
    let expected = [
        ("a", Payload::from("1")),
        ("b", Payload::from("[12345678901234567890.10]")),
        ("c", Payload::from(vec![0xff, 0x00])),
    ];
    assert_eq!(values, BTreeMap::from(expected.map(|(key, value)| (key.to_owned(), value))));
}

fn ended(completed_at: Timestamp, state: ExecutionState) -> Execution {
    Execution { state, completed_at: Some(completed_at), ..execution() }
}

/// Long ago, so that nothing else in the store is as old.
fn ago() -> Timestamp {
    now().before(Duration::from_secs(50 * 365 * 86_400))
}

async fn cleanup_takes_what_ended_before(store: Store) {
    let at = ago();
    count(&store, Request::CleanupExecutions { older_than: at }).await;
    let before = at.before(Duration::from_micros(1));
    let old = [ExecutionState::Completed, ExecutionState::Failed, ExecutionState::TimedOut, ExecutionState::Cancelled]
        .map(|state| ended(before, state));
    let young = ended(at, ExecutionState::Completed);
    let running = Execution { state: ExecutionState::Running, created_at: before, ..execution() };
    for execution in old.iter().chain([&young, &running]) {
        ok(&store, Request::CreateExecution { execution: execution.clone() }).await;
    }
    assert_eq!(count(&store, Request::CleanupExecutions { older_than: at }).await, 4);
    for execution in &old {
        assert_eq!(get(&store, execution.id).await, None);
    }
    // Strictly before; and what goes on is never old.
    assert!(get(&store, young.id).await.is_some() && get(&store, running.id).await.is_some());
    let closed = Execution { state: ExecutionState::Cancelled, completed_at: Some(before), ..running };
    ok(&store, Request::UpdateExecution { execution: closed }).await;
    assert_eq!(count(&store, Request::CleanupExecutions { older_than: at.after(HOUR) }).await, 2);
}

async fn cleanup_takes_all_that_belongs_to_it(store: Store) {
    let at = ago();
    count(&store, Request::CleanupExecutions { older_than: at }).await;
    let old = ended(at.before(HOUR), ExecutionState::Completed);
    let id = old.id;
    ok(&store, Request::CreateExecution { execution: execution_at(&old) }).await;
    let one = task(id);
    ok(&store, Request::CreateTask { task: one.clone() }).await;
    ok(&store, Request::CreateSignal { signal: sent(id, "go", "1") }).await;
    add(&store, id, "n", Number::Integer(1)).await;
    let value = Request::SetExecutionStateValue { execution_id: id, key: "k".into(), value: "1".into() };
    ok(&store, value).await;
    ok(&store, Request::AppendProgress { execution_id: id, progress: progress("one") }).await;
    let done = Task { state: TaskState::Completed, result: Some("1".into()), completed_at: Some(at), ..one.clone() };
    ok(&store, Request::UpdateTask { task: done }).await;
    ok(&store, Request::UpdateExecution { execution: old }).await;
    assert_eq!(count(&store, Request::CleanupExecutions { older_than: at }).await, 1);
    assert_eq!((get(&store, id).await, get_task(&store, one.id).await), (None, None));
    assert_eq!(first(&store, id, "go").await, None);
    assert!(counters(&store, id).await.is_empty() && store.tasks(id).await.is_empty());
    let values = ask(&store, Request::GetExecutionStateValues { execution_id: id }).await;
    assert_eq!(values, Response::Values(BTreeMap::new()));
}

/// The same, before its end.
fn execution_at(ended: &Execution) -> Execution {
    Execution { state: ExecutionState::Pending, completed_at: None, ..ended.clone() }
}

async fn old_letters_go(store: Store) {
    let task = failed(&store).await;
    ok(&store, Request::MoveTaskToDeadLetter { task: task.clone(), reason: "it broke".into() }).await;
    let found = ask(&store, Request::GetDeadTask { task_id: task.id }).await;
    let Response::DeadLetter(Some(letter)) = found else { panic!("{found:?}") };
    count(&store, Request::CleanupDeadLetters { older_than: letter.moved_at }).await;
    // Strictly before.
    assert_eq!(
        ask(&store, Request::GetDeadTask { task_id: task.id }).await,
        Response::DeadLetter(Some(letter.clone()))
    );
    let after = letter.moved_at.after(Duration::from_micros(1));
    assert!(count(&store, Request::CleanupDeadLetters { older_than: after }).await >= 1);
    assert_eq!(ask(&store, Request::GetDeadTask { task_id: task.id }).await, Response::DeadLetter(None));
}

/// Alike on every store, whatever its columns hold.
async fn keys_that_no_store_would_hold_are_refused(store: Store) {
    let (nul, long) = ("a\0b".to_owned(), "k".repeat(2_000));
    for key in [nul, long] {
        let of = there(&store).await;
        let requests = [
            Request::SetCachedResult { key: key.clone(), value: "1".into(), ttl: None },
            Request::GetCachedResult { key: key.clone() },
            Request::GetIdempotencyResult { key: key.clone() },
            Request::GetSignal { execution_id: of.id, name: key.clone() },
            Request::CountTasks { queue: Some(key.clone()), state: None },
            Request::CreateTask { task: Task { step_key: Some(key.clone()), ..task(of.id) } },
            Request::CreateTask { task: Task { idempotency_key: Some(key.clone()), ..task(of.id) } },
            Request::SetExecutionStateValue { execution_id: of.id, key, value: "1".into() },
        ];
        for request in requests {
            let why = store.backend.call(request).await.must_fail();
            assert_eq!(why.status(), Status::Invalid, "{why}");
        }
    }
}
