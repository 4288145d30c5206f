use super::*;
use crate::model::RetryPolicy;

fn full(execution: Id) -> Task {
    Task {
        kind: TaskKind::Step,
        parent_task_id: Some(id()),
        state: TaskState::Failed,
        args: Payload::from(vec![0xfe]),
        kwargs: Payload::from("{\"x\": 1}"),
        retries: 3,
        tags: vec!["z".into(), "a".into()],
        priority: 9,
        queue: Some("q".into()),
        retry_policy: Some(RetryPolicy { max_attempts: 9, ..RetryPolicy::default() }),
        result: Some(Payload::from("")),
        error: Some(failure()),
        started_at: Some(now()),
        completed_at: Some(now()),
        worker_id: Some("w".into()),
        lease_expires_at: Some(now()),
        idempotency_key: Some("k".into()),
        scheduled_for: Some(now()),
        fence: 12,
        step_key: Some("charge#1".into()),
        ..task(execution)
    }
}

#[tokio::test]
async fn records_come_back_as_they_were_written() {
    on_both(async |store| {
        let one = full(id());
        store.ok(Request::CreateTask { task: one.clone() }).await;
        assert_eq!(store.task(one.id).await.as_ref(), Some(&one));
        assert_eq!(store.task(id()).await, None);
        let why = store.refused(Request::CreateTask { task: one.clone() }).await;
        is(&why, Status::Conflict, &format!("one with the id {} exists already", one.id));
        let nameless = Task { step_name: String::new(), ..task(id()) };
        is(&store.refused(Request::CreateTask { task: nameless }).await, Status::Invalid, "step_name is empty");
    })
    .await;
}

#[tokio::test]
async fn many_are_all_or_nothing() {
    on_both(async |store| {
        let execution = id();
        let mut tasks: Vec<Task> = (0..2500).map(|_| task(execution)).collect();
        let taken = task(execution);
        store.ok(Request::CreateTask { task: taken.clone() }).await;
        tasks.push(Task { step_name: "again".into(), ..taken.clone() });
        let why = store.refused(Request::CreateTasks { tasks: tasks.clone() }).await;
        is(&why, Status::Conflict, &taken.id.to_string());
        let count = async || store.call(Request::CountTasks { queue: None, state: None }).await;
        assert_eq!(count().await, Ok(Response::Count(1)));
        tasks[2500] = tasks[0].clone();
        is(&store.refused(Request::CreateTasks { tasks: tasks.clone() }).await, Status::Conflict, "given twice");
        tasks.pop();
        store.ok(Request::CreateTasks { tasks }).await;
        assert_eq!(count().await, Ok(Response::Count(2501)));
        store.ok(Request::CreateTasks { tasks: Vec::new() }).await;
    })
    .await;
}

#[tokio::test]
async fn lists_and_counts() {
    on_both(async |store| {
        let (execution, time) = (id(), now());
        let mut all = Vec::new();
        for n in 0..9u32 {
            let mut new = task(if n < 6 { execution } else { id() });
            new.created_at = time.after(n % 2 * SECOND);
            new.queue = (n % 3 == 0).then(|| "q".to_owned());
            new.state = if n == 8 { TaskState::Cancelled } else { TaskState::Pending };
            new.completed_at = new.state.is_terminal().then_some(time);
            store.ok(Request::CreateTask { task: new.clone() }).await;
            all.push(new);
        }
        let tasks = async |request| match store.call(request).await.unwrap() {
            Response::Tasks(found) => found,
            other => panic!("{other:?}"),
        };
        let mut own: Vec<Task> = all[..6].to_vec();
        own.sort_by_key(|t| (t.created_at, t.id));
        assert_eq!(tasks(Request::ListTasksForExecution { execution_id: execution }).await, own);
        all.sort_by_key(|t| std::cmp::Reverse((t.created_at, t.id)));
        assert_eq!(tasks(Request::ListTasks { limit: 4, offset: 3, state: None }).await, all[3..7]);
        let state = Some(TaskState::Cancelled);
        assert_eq!(tasks(Request::ListTasks { limit: 4, offset: 0, state }).await.len(), 1);
        for (queue, state, count) in [
            (None, None, 9),
            (Some("q"), None, 3),
            (Some("q"), Some(TaskState::Pending), 3),
            (None, state, 1),
            (Some("x"), None, 0),
        ] {
            let request = Request::CountTasks { queue: queue.map(str::to_owned), state };
            assert_eq!(store.call(request).await, Ok(Response::Count(count)));
        }
    })
    .await;
}

#[tokio::test]
async fn updates_replace_their_fields_and_raise_the_fence() {
    on_both(async |store| {
        let first = Task { state: TaskState::Pending, kind: TaskKind::Activity, ..full(id()) };
        store.ok(Request::CreateTask { task: first.clone() }).await;
        let new = Task {
            id: first.id,
            state: TaskState::Waiting,
            retries: 4,
            scheduled_for: None,
            fence: 99,
            step_name: "not replaced".into(),
            ..task(id())
        };
        store.ok(Request::UpdateTask { task: new.clone() }).await;
        let expected = Task {
            state: new.state,
            result: None,
            error: None,
            retries: 4,
            started_at: None,
            completed_at: None,
            worker_id: None,
            lease_expires_at: None,
            scheduled_for: None,
            fence: 13,
            ..first.clone()
        };
        assert_eq!(store.task(first.id).await, Some(expected.clone()));

        let ended = Task { state: TaskState::Completed, result: Some(Payload::from("5")), ..expected };
        store.ok(Request::UpdateTask { task: ended.clone() }).await;
        store.ok(Request::UpdateTask { task: ended.clone() }).await;
        assert!(store.task(first.id).await.unwrap().fence > 13);
        for other in [
            Task { result: Some(Payload::from("6")), ..ended.clone() },
            Task { state: TaskState::Pending, ..ended.clone() },
        ] {
            is(&store.refused(Request::UpdateTask { task: other }).await, Status::Conflict, "never changes");
        }
        is(&store.refused(Request::UpdateTask { task: task(id()) }).await, Status::NotFound, "there is no task");
    })
    .await;
}

#[tokio::test]
async fn an_update_moves_a_task_in_and_out_of_reach() {
    on_both(async |store| {
        let one = task(id());
        store.ok(Request::CreateTask { task: one.clone() }).await;
        let set = async |state, scheduled_for, lease_expires_at| {
            let worker_id = Some("w".to_owned());
            let task = Task { state, scheduled_for, lease_expires_at, worker_id, ..one.clone() };
            store.ok(Request::UpdateTask { task }).await;
        };
        set(TaskState::Waiting, None, None).await;
        assert_eq!(store.claim(ANY).await, None);
        set(TaskState::Pending, Some(now().after(60 * SECOND)), None).await;
        assert_eq!(store.claim(ANY).await, None);
        set(TaskState::Running, None, Some(now().after(60 * SECOND))).await;
        assert_eq!(store.claim(ANY).await, None);
        set(TaskState::Running, None, Some(now().before(SECOND))).await;
        assert_eq!(store.claim(ANY).await.map(|t| (t.id, t.fence)), Some((one.id, 5)));
        set(TaskState::Pending, None, None).await;
        assert_eq!(store.claim(ANY).await.map(|t| (t.id, t.fence)), Some((one.id, 7)));
        set(TaskState::Cancelled, None, None).await;
        assert_eq!(store.claim(ANY).await, None);
    })
    .await;
}

#[tokio::test]
async fn only_the_holder_renews() {
    on_both(async |store| {
        let one = task(id());
        store.ok(Request::CreateTask { task: one.clone() }).await;
        let renew = async |worker: &str, lease_duration| {
            let request = Request::RenewTaskLease { task_id: one.id, worker_id: worker.to_owned(), lease_duration };
            store.call(request).await
        };
        assert_eq!(renew("w", 9.0).await, Ok(Response::Flag(false)));
        let claimed = store.claim(ANY).await.unwrap();
        assert_eq!(renew("other", 90.0).await, Ok(Response::Flag(false)));
        assert_eq!(renew("w", 90.0).await, Ok(Response::Flag(true)));
        let renewed = store.task(one.id).await.unwrap();
        assert!(renewed.lease_expires_at.unwrap().since(claimed.lease_expires_at.unwrap()) > 50 * SECOND);
        assert_eq!(renewed.fence, claimed.fence);
        let later = Some(now().after(60 * SECOND));
        assert_eq!(store.claim(Claim { now: later, ..ANY }).await, None);
        for wrong in [-1.0, f64::NAN, f64::INFINITY] {
            is(&renew("w", wrong).await.unwrap_err(), Status::Invalid, "lease_duration is");
        }
    })
    .await;
}

#[tokio::test]
async fn an_end_written_from_outside_is_an_end() {
    on_both(async |store| {
        let parent = execution(ExecutionState::Running);
        let root = Task { kind: TaskKind::Orchestrator, ..task(parent.id) };
        let both = Request::CreateExecutionWithRootTask { execution: parent.clone(), task: root.clone() };
        store.ok(both).await;
        let result = Some(Payload::from("7"));
        let ended = Task { state: TaskState::Completed, result: result.clone(), ..root.clone() };
        store.ok(Request::UpdateTask { task: ended }).await;
        let found = store.execution(parent.id).await.unwrap();
        assert_eq!((found.state, &found.result), (ExecutionState::Completed, &result));
        // What a client of the protocol alone does next is the same end again.
        let same = Execution { state: ExecutionState::Completed, result, ..parent };
        store.ok(Request::UpdateExecution { execution: same }).await;

        let parent = execution(ExecutionState::Running);
        let root = Task { execution_id: parent.id, id: id(), ..root };
        let both = Request::CreateExecutionWithRootTask { execution: parent.clone(), task: root.clone() };
        store.ok(both).await;
        let failed = Execution { state: ExecutionState::Failed, error: Some(failure()), ..parent };
        store.ok(Request::UpdateExecution { execution: failed }).await;
        assert_eq!(store.task(root.id).await.unwrap().state, TaskState::Cancelled);
        assert_eq!(store.claim(ANY).await, None);
    })
    .await;
}
