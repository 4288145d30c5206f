//! Results, dead letters, signals, counters, state values.

use super::*;
use crate::model::{DeadLetter, Number, Signal};
use std::collections::BTreeMap;

#[tokio::test]
async fn results_are_kept_until_their_time_is_over() {
    on_both(async |store| {
        let value = |bytes: &str| Payload::from(bytes);
        let get = async |key: &str| match store.call(Request::GetCachedResult { key: key.into() }).await.unwrap() {
            Response::Payload(value) => value,
            other => panic!("{other:?}"),
        };
        let set = |key: &str, bytes: &str, ttl| Request::SetCachedResult { key: key.into(), value: value(bytes), ttl };
        assert_eq!(get("k").await, None);
        store.ok(set("k", "1", None)).await;
        store.ok(set("k", "2", Some(60.0))).await;
        assert_eq!(get("k").await, Some(value("2")));
        store.ok(set("k", "3", Some(0.0))).await;
        assert_eq!(get("k").await, None);
        is(&store.refused(set("k", "4", Some(-1.0))).await, Status::Invalid, "ttl is -1");

        let get = async |key: &str| store.call(Request::GetIdempotencyResult { key: key.into() }).await.unwrap();
        let set =
            |bytes: &str, ttl| Request::SetIdempotencyResult { key: "k".into(), value: Payload::from(bytes), ttl };
        assert_eq!(get("k").await, Response::Payload(None));
        store.ok(set("1", Some(60.0))).await;
        store.ok(set("", None)).await;
        assert_eq!(get("k").await, Response::Payload(Some(value(""))));
        store.ok(set("1", Some(0.0))).await;
        assert_eq!(get("k").await, Response::Payload(None));
    })
    .await;
}

#[tokio::test]
async fn dead_letters_are_whole_records() {
    on_both(async |store| {
        let dead = Task { state: TaskState::Failed, error: Some(failure()), fence: 3, ..task(id()) };
        let put =
            |task: &Task, reason: &str| Request::MoveTaskToDeadLetter { task: task.clone(), reason: reason.into() };
        let get = async |task: Id| match store.call(Request::GetDeadTask { task_id: task }).await.unwrap() {
            Response::DeadLetter(found) => found,
            other => panic!("{other:?}"),
        };
        assert_eq!(get(dead.id).await, None);
        store.ok(put(&dead, "first")).await;
        store.ok(put(&dead, "second")).await;
        let found = get(dead.id).await.unwrap();
        assert_eq!((&found.task, found.reason.as_str()), (&dead, "second"));

        let others: Vec<Task> = (0..60).map(|_| task(id())).collect();
        for other in &others {
            store.ok(put(other, "r")).await;
        }
        let list = async |limit| match store.call(Request::ListDeadTasks { limit }).await.unwrap() {
            Response::DeadLetters(found) => found,
            other => panic!("{other:?}"),
        };
        let all: Vec<DeadLetter> = list(100).await;
        assert!(all.windows(2).all(|w| (w[0].moved_at, w[0].task.id) > (w[1].moved_at, w[1].task.id)));
        assert_eq!(list(50).await, all[..50]);
        assert_eq!(store.call(Request::CountDeadTasks {}).await, Ok(Response::Count(61)));

        let delete = Request::DeleteDeadTask { task_id: dead.id };
        assert_eq!(store.call(delete.clone()).await, Ok(Response::Flag(true)));
        assert_eq!(store.call(delete).await, Ok(Response::Flag(false)));
        let clean = async |time| store.call(Request::CleanupDeadLetters { older_than: time }).await;
        assert_eq!(clean(all[60].moved_at).await, Ok(Response::Count(0)));
        assert_eq!(clean(now().after(SECOND)).await, Ok(Response::Count(60)));
    })
    .await;
}

#[tokio::test]
async fn signals_are_a_log() {
    on_both(async |store| {
        let parent = execution(ExecutionState::Running);
        store.ok(Request::CreateExecution { execution: parent.clone() }).await;
        let signal = |payload: &str, id: Option<&str>, consumed: bool| Request::CreateSignal {
            signal: Signal {
                execution_id: parent.id,
                name: "paid".into(),
                payload: Payload::from(payload),
                created_at: now(),
                consumed,
                consumed_at: None,
                id: id.map(str::to_owned),
                sequence: 0,
            },
        };
        let get = async |name: &str| match store
            .call(Request::GetSignal { execution_id: parent.id, name: name.into() })
            .await
            .unwrap()
        {
            Response::Signal(found) => {
                found.map(|s| (String::from_utf8_lossy(s.payload.as_bytes()).into_owned(), s.consumed))
            }
            other => panic!("{other:?}"),
        };
        let is_now = |payload: &str, consumed| Some((payload.to_owned(), consumed));
        assert_eq!(get("paid").await, None);
        store.ok(signal("1", Some("x"), false)).await;
        store.ok(signal("1 again", Some("x"), false)).await;
        store.ok(signal("2", None, false)).await;
        assert_eq!(get("paid").await, is_now("1", false));
        assert_eq!(get("other").await, None);
        store.ok(signal("", None, true)).await;
        assert_eq!(get("paid").await, is_now("2", false));
        store.ok(signal("", None, true)).await;
        assert_eq!(get("paid").await, is_now("2", true));
        store.ok(signal("3", None, true)).await;
        assert_eq!(get("paid").await, is_now("3", true));

        let Request::CreateSignal { signal } = signal("1", None, false) else { unreachable!() };
        let lost = Request::CreateSignal { signal: Signal { execution_id: id(), ..signal } };
        is(&store.refused(lost).await, Status::NotFound, "there is no execution");
    })
    .await;
}

#[tokio::test]
async fn counters_stay_exact() {
    on_both(async |store| {
        let parent = execution(ExecutionState::Running);
        store.ok(Request::CreateExecution { execution: parent.clone() }).await;
        let add = async |name: &str, amount| {
            let request = Request::IncrementExecutionCounter { execution_id: parent.id, name: name.into(), amount };
            store.call(request).await
        };
        let whole = |n| Number::Integer(n);
        let ensure = |pairs: &[(&str, Number)]| Request::EnsureExecutionCounters {
            execution_id: parent.id,
            counters: pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        };
        store.ok(ensure(&[("n", whole(i64::MAX - 1)), ("r", Number::Real(0.5))])).await;
        store.ok(ensure(&[("n", whole(0)), ("z", whole(0))])).await;
        assert_eq!(add("n", whole(1)).await, Ok(Response::Number(whole(i64::MAX))));
        is(&add("n", whole(1)).await.unwrap_err(), Status::Invalid, "it keeps its value");
        assert_eq!(add("r", whole(2)).await, Ok(Response::Number(Number::Real(2.5))));
        assert_eq!(add("new", whole(-3)).await, Ok(Response::Number(whole(-3))));
        assert_eq!(add("whole real", Number::Real(2.0)).await, Ok(Response::Number(Number::Real(2.0))));
        is(&add("r", Number::Real(f64::NAN)).await.unwrap_err(), Status::Invalid, "must be finite");
        let expected = BTreeMap::from([
            ("n".to_owned(), whole(i64::MAX)),
            ("r".to_owned(), Number::Real(2.5)),
            ("z".to_owned(), whole(0)),
            ("new".to_owned(), whole(-3)),
            ("whole real".to_owned(), Number::Real(2.0)),
        ]);
        let all = store.call(Request::GetExecutionCounters { execution_id: parent.id }).await;
        assert_eq!(all, Ok(Response::Counters(expected)));
        let none = store.call(Request::GetExecutionCounters { execution_id: id() }).await;
        assert_eq!(none, Ok(Response::Counters(BTreeMap::new())));
        let lost = Request::IncrementExecutionCounter { execution_id: id(), name: "n".into(), amount: whole(1) };
        is(&store.refused(lost).await, Status::NotFound, "there is no execution");
    })
    .await;
}

#[tokio::test]
async fn state_values_are_bytes() {
    on_both(async |store| {
        let parent = execution(ExecutionState::Running);
        store.ok(Request::CreateExecution { execution: parent.clone() }).await;
        let values = |bytes: &[u8]| BTreeMap::from([("k".to_owned(), Payload::from(bytes.to_vec()))]);
        let ensure =
            |bytes: &[u8]| Request::EnsureExecutionStateValues { execution_id: parent.id, values: values(bytes) };
        let get = async || store.call(Request::GetExecutionStateValues { execution_id: parent.id }).await.unwrap();
        store.ok(ensure(&[0xff])).await;
        store.ok(ensure(b"2")).await;
        assert_eq!(get().await, Response::Values(values(&[0xff])));
        let value = Payload::from("3");
        store.ok(Request::SetExecutionStateValue { execution_id: parent.id, key: "k".into(), value }).await;
        assert_eq!(get().await, Response::Values(values(b"3")));
    })
    .await;
}

#[tokio::test]
async fn init_again_is_nothing_and_closed_is_closed() {
    on_both(async |store| {
        store.ok(Request::InitDb {}).await;
        store.ok(Request::InitDb {}).await;
        store.ok(Request::CreateTask { task: task(id()) }).await;
        store.ok(Request::Close {}).await;
        store.ok(Request::Close {}).await;
        let why = store.refused(Request::CountDeadTasks {}).await;
        is(&why, Status::Closed, "closed");
        is(&store.refused(Request::CreateTask { task: task(id()) }).await, Status::Closed, "closed");
        if let Some(folder) = &store.folder {
            let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
            assert_eq!(left, ["stent.db"], "one portable file is left");
        }
    })
    .await;
}
