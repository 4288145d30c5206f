//! Snapshots, lists by filter, statistics, sets of executions.

use super::*;
use crate::backend::sql::catalog::SIGN;
use crate::backend::{Backend as _, DeadLetterFilter, Depth, ExecutionFilter, NewWorker};
use crate::model::{Number, ProgressEntry, ProgressStatus};

/// One that has nothing, or only short tasks, has no lease to renew.
#[tokio::test]
async fn a_worker_that_renews_nothing_says_that_it_lives() {
    on_both(async |store| {
        let worker = NewWorker {
            worker_id: "w".into(),
            queues: vec![],
            tags: vec![],
            functions: vec![],
            queue_rates: [].into(),
        };
        store.sqlite.register_worker(worker).await.unwrap();
        let seen = async || store.sqlite.registered().await.unwrap().workers[0].seen_at;
        let (registered, now) = (seen().await, std::time::Instant::now());
        store.sqlite.sign("w", now).await.unwrap();
        assert_eq!(seen().await, registered, "there was one just now");
        store.sqlite.sign("w", now + SIGN).await.unwrap();
        let signed = seen().await;
        assert!(signed > registered);
        for worker in ["w", "stranger"] {
            store.sqlite.sign(worker, now + SIGN).await.unwrap();
        }
        assert_eq!(seen().await, signed);
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_tells_the_progress_of_tasks_from_their_rows() {
    on_both(async |store| {
        let time = now();
        let parent = execution(ExecutionState::Running);
        store.ok(Request::CreateExecution { execution: parent.clone() }).await;
        let states = [
            ("a", TaskState::Completed, Some(1)),
            ("b", TaskState::Failed, Some(2)),
            ("c", TaskState::Running, Some(4)),
            ("d", TaskState::Waiting, Some(5)),
            ("e", TaskState::Pending, None),
            ("f", TaskState::Cancelled, None),
        ];
        for (n, (name, state, started)) in states.into_iter().enumerate() {
            let task = Task {
                step_name: name.into(),
                state,
                created_at: time.after(if started.is_some() { 0 } else { 10 + n as u32 } * SECOND),
                started_at: started.map(|seconds| time.after(seconds * SECOND)),
                error: (state == TaskState::Failed).then(failure),
                ..task(parent.id)
            };
            store.ok(Request::CreateTask { task }).await;
        }
        let said = ProgressEntry {
            step: "said".into(),
            status: ProgressStatus::Running,
            started_at: Some(time.after(3 * SECOND)),
            completed_at: None,
            detail: Some(Payload::from("3")),
        };
        store.ok(Request::AppendProgress { execution_id: parent.id, progress: said.clone() }).await;
        let add = Request::IncrementExecutionCounter {
            execution_id: parent.id,
            name: "n".into(),
            amount: Number::Integer(2),
        };
        store.call(add).await.unwrap();
        let (key, value) = ("k".to_owned(), Payload::from("{}"));
        store.ok(Request::SetExecutionStateValue { execution_id: parent.id, key, value }).await;

        let shot = store.sqlite.snapshot(parent.id).await.unwrap().unwrap();
        let told: Vec<_> = shot.execution.progress.iter().map(|p| (p.step.as_str(), p.status.as_str())).collect();
        let expected = [
            ("a", "completed"),
            ("b", "failed"),
            ("said", "running"),
            ("c", "running"),
            ("d", "running"),
            ("e", "dispatched"),
            ("f", "failed"),
        ];
        assert_eq!(told, expected);
        assert!(shot.execution.progress[1].detail.is_some());
        assert_eq!(shot.counters["n"], Number::Integer(2));
        assert_eq!(shot.state["k"], Payload::from("{}"));
        // What handlers said is what is stored.
        assert_eq!(store.execution(parent.id).await.unwrap().progress, [said]);
        assert_eq!(store.sqlite.snapshot(id()).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn filters_choose() {
    on_both(async |store| {
        let time = now();
        let mut made = Vec::new();
        for n in 0..6u32 {
            let mut new = execution(ExecutionState::Pending);
            new.created_at = time.after(n * SECOND);
            new.root_function = format!("f{}", n % 2);
            new.queue = (n == 3).then(|| "q".into());
            new.tags = if n > 3 { vec!["x".into(), "y".into()] } else { Vec::new() };
            store.ok(Request::CreateExecution { execution: new.clone() }).await;
            let task = Task { step_name: new.root_function.clone(), ..task(new.id) };
            store.ok(Request::MoveTaskToDeadLetter { task: task.clone(), reason: "r".into() }).await;
            made.push((new.id, task.id));
        }
        let list = async |filter: ExecutionFilter| -> Vec<usize> {
            let found = store.sqlite.list(ExecutionFilter { limit: 10, ..filter }).await.unwrap();
            found.iter().map(|e| made.iter().position(|(id, _)| *id == e.id).unwrap()).collect()
        };
        let all = ExecutionFilter::default;
        assert_eq!(list(all()).await, [5, 4, 3, 2, 1, 0]);
        assert_eq!(list(ExecutionFilter { function: Some("f1".into()), offset: 1, ..all() }).await, [3, 1]);
        assert_eq!(list(ExecutionFilter { queue: Some("q".into()), ..all() }).await, [3]);
        assert_eq!(list(ExecutionFilter { tag: Some("y".into()), ..all() }).await, [5, 4]);
        let (after, before) = (Some(time.after(SECOND)), Some(time.after(4 * SECOND)));
        assert_eq!(list(ExecutionFilter { created_after: after, created_before: before, ..all() }).await, [3, 2]);

        let letters = async |filter: DeadLetterFilter| -> Vec<usize> {
            let found = store.sqlite.dead_letters(DeadLetterFilter { limit: 10, ..filter }).await.unwrap();
            found.iter().map(|d| made.iter().position(|(_, id)| *id == d.task.id).unwrap()).collect()
        };
        let all = DeadLetterFilter::default;
        assert_eq!(letters(DeadLetterFilter { function: Some("f0".into()), ..all() }).await, [4, 2, 0]);
        assert_eq!(letters(DeadLetterFilter { execution: Some(made[2].0), ..all() }).await, [2]);
        assert_eq!(letters(DeadLetterFilter { task: Some(made[1].1), ..all() }).await, [1]);
        let neither = DeadLetterFilter { task: Some(made[1].1), function: Some("f0".into()), ..all() };
        assert!(letters(neither).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn sets_of_executions_that_are_over() {
    on_both(async |store| {
        let mut ids = vec![id()];
        for state in ExecutionState::ALL {
            let new = execution(*state);
            ids.push(new.id);
            store.ok(Request::CreateExecution { execution: new }).await;
        }
        // unknown, pending, running, completed, failed, timed_out, cancelling, cancelled
        let over = store.sqlite.ended_among(ids.clone()).await.unwrap();
        assert_eq!(over, [0, 3, 4, 5, 7].map(|n| ids[n]));
        let cancelled = store.sqlite.cancelled_among(ids.clone()).await.unwrap();
        assert_eq!(cancelled, [0, 3, 4, 5, 6, 7].map(|n| ids[n]));
        assert!(store.sqlite.ended_among(Vec::new()).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn statistics_count_what_there_is() {
    on_both(async |store| {
        let parent = execution(ExecutionState::Running);
        store.ok(Request::CreateExecution { execution: parent.clone() }).await;
        let time = now();
        for n in 0..5u32 {
            let queue = (n > 2).then(|| "q".to_owned());
            let tags = if n == 0 { vec!["x".to_owned()] } else { Vec::new() };
            let created_at = time.before((100 - n) * SECOND);
            store.ok(Request::CreateTask { task: Task { queue, tags, created_at, ..task(parent.id) } }).await;
        }
        let scheduled_for = Some(time.after(60 * SECOND));
        store.ok(Request::CreateTask { task: Task { scheduled_for, ..task(parent.id) } }).await;
        store.ok(Request::CreateTask { task: Task { state: TaskState::Completed, ..task(parent.id) } }).await;
        store.ok(Request::MoveTaskToDeadLetter { task: task(parent.id), reason: "r".into() }).await;
        let found = store.sqlite.stats().await.unwrap();
        assert_eq!(found.executions, [("running", 1)].into());
        assert_eq!(found.tasks, [("pending", 6), ("completed", 1)].into());
        assert_eq!((found.scheduled, found.dead_letters, found.parked, found.workers), (1, 1, 0, 0));
        let depths: Vec<_> = found.ready.iter().map(|d: &Depth| (d.queue.as_deref(), d.count)).collect();
        assert_eq!(depths, [(None, 3), (Some("q"), 2)]);
        assert!(found.ready[0].oldest >= 100 * SECOND && found.ready[0].oldest < 160 * SECOND);
    })
    .await;
}
