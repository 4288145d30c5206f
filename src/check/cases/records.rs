//! The protocol's executions and tasks are kept as they were written, completely and in order.

use std::time::Duration;

use stent::backend::{Request, Response};
use stent::model::{
    Execution, ExecutionState, Failure, Id, Payload, RetryAfter, RetryPolicy, Status, Task, TaskKind, TaskState,
    Timestamp,
};

use super::house::*;

cases! {
    an_execution_comes_back_as_it_was_written,
    a_task_comes_back_as_it_was_written,
    what_is_not_there_is_null_and_cant_be_changed,
    an_existing_id_is_a_conflict,
    an_execution_with_its_root_is_both_or_neither,
    many_tasks_are_all_or_nothing,
    an_update_replaces_what_may_change,
    a_tasks_update_replaces_its_fields,
    executions_are_listed_newest_first,
    tasks_are_listed_newest_first,
    an_executions_tasks_are_listed_in_order_of_creation,
    counts_are_by_state_and_queue,
    progress_stays_in_order,
}

pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).must();
    Timestamp::from_micros(i64::try_from(since.as_micros()).must())
}

/// Later than all records of earlier cases and of the store's own clock.
fn future() -> Timestamp {
    now().after(Duration::from_secs(60 * 365 * 86_400))
}

pub fn execution() -> Execution {
    Execution {
        id: Id::now_v7(),
        root_function: "f".into(),
        state: ExecutionState::Pending,
        args: "[]".into(),
        kwargs: "{}".into(),
        retries: 0,
        created_at: now(),
        started_at: None,
        completed_at: None,
        expiry_at: None,
        progress: Vec::new(),
        tags: Vec::new(),
        priority: 0,
        queue: None,
        result: None,
        error: None,
    }
}

/// An activity in a queue of its own, so that nobody else's claim takes it.
pub fn task(execution: Id) -> Task {
    Task { queue: Some(format!("q-{execution}")), ..Task::new(Id::now_v7(), execution, TaskKind::Activity, "g", now()) }
}

pub async fn ask(store: &Store, request: Request) -> Response {
    store.backend.call(request).await.must()
}

pub async fn ok(store: &Store, request: Request) {
    assert_eq!(ask(store, request).await, Response::Nothing);
}

async fn refused(store: &Store, request: Request, status: Status) {
    let why = store.backend.call(request).await.must_fail();
    assert_eq!(why.status(), status, "{why}");
}

pub async fn get(store: &Store, id: Id) -> Option<Execution> {
    match ask(store, Request::GetExecution { execution_id: id }).await {
        Response::Execution(found) => found.map(|found| *found),
        other => panic!("{other:?}"),
    }
}

pub async fn get_task(store: &Store, id: Id) -> Option<Task> {
    match ask(store, Request::GetTask { task_id: id }).await {
        Response::Task(found) => found.map(|found| *found),
        other => panic!("{other:?}"),
    }
}

pub async fn count(store: &Store, request: Request) -> u64 {
    match ask(store, request).await {
        Response::Count(count) => count,
        other => panic!("{other:?}"),
    }
}

/// An execution that is there.
pub async fn there(store: &Store) -> Execution {
    let execution = execution();
    ok(store, Request::CreateExecution { execution: execution.clone() }).await;
    execution
}

fn full_failure() -> Failure {
    Failure {
        kind: "CardDeclined".into(),
        message: "card \"42\" was declined: ü\n".into(),
        code: Some("51".into()),
        retryable: false,
        retry_after: Some(RetryAfter::For(std::time::Duration::from_millis(2500))),
        details: Some(Payload::from(r#"{"b": 1,"a":[2.50]}"#)),
        stack: Some("at charge".into()),
    }
}

async fn an_execution_comes_back_as_it_was_written(store: Store) {
    let bare = there(&store).await;
    assert_eq!(get(&store, bare.id).await, Some(bare));
    let full = Execution {
        state: ExecutionState::Failed,
        args: Payload::from(r#"[12345678901234567890.10, "ü\u0000", {"b": 1,"a":[ ]}]"#),
        kwargs: Payload::from(r#"{"z": null}"#),
        retries: 2,
        started_at: Some(now()),
        completed_at: Some(now().after(Duration::from_micros(1))),
        expiry_at: Some(future()),
        progress: vec![progress("one"), progress("two")],
        tags: vec!["eu".into(), "gpu".into()],
        priority: -3,
        queue: Some("slow".into()),
        error: Some(full_failure()),
        ..execution()
    };
    ok(&store, Request::CreateExecution { execution: full.clone() }).await;
    assert_eq!(get(&store, full.id).await, Some(full));
    let bytes = Execution {
        state: ExecutionState::Completed,
        result: Some(Payload::from(vec![0xff, 0x00, 0x7f])),
        completed_at: Some(now()),
        ..execution()
    };
    ok(&store, Request::CreateExecution { execution: bytes.clone() }).await;
    assert_eq!(get(&store, bytes.id).await, Some(bytes));
}

async fn a_task_comes_back_as_it_was_written(store: Store) {
    let execution = there(&store).await;
    let bare = task(execution.id);
    ok(&store, Request::CreateTask { task: bare.clone() }).await;
    assert_eq!(get_task(&store, bare.id).await, Some(bare.clone()));
    let full = Task {
        state: TaskState::Failed,
        parent_task_id: Some(bare.id),
        args: Payload::from(r#"[1.00, "x"]"#),
        kwargs: Payload::from(r#"{"a":1}"#),
        retries: 1,
        tags: vec!["eu".into()],
        priority: 7,
        retry_policy: Some(RetryPolicy {
            max_attempts: 9,
            retry_for: vec!["Timeout".into()],
            ..RetryPolicy::default()
        }),
        error: Some(full_failure()),
        started_at: Some(now()),
        completed_at: Some(now()),
        worker_id: Some("w".into()),
        idempotency_key: Some("order-42".into()),
        step_key: Some("g#1".into()),
        ..task(execution.id)
    };
    ok(&store, Request::CreateTask { task: full.clone() }).await;
    assert_eq!(get_task(&store, full.id).await, Some(full));
}

async fn what_is_not_there_is_null_and_cant_be_changed(store: Store) {
    assert_eq!(get(&store, Id::now_v7()).await, None);
    assert_eq!(get_task(&store, Id::now_v7()).await, None);
    let tasks = ask(&store, Request::ListTasksForExecution { execution_id: Id::now_v7() }).await;
    assert_eq!(tasks, Response::Tasks(Vec::new()));
    refused(&store, Request::UpdateExecution { execution: execution() }, Status::NotFound).await;
    refused(&store, Request::UpdateTask { task: task(Id::now_v7()) }, Status::NotFound).await;
}

async fn an_existing_id_is_a_conflict(store: Store) {
    let execution = there(&store).await;
    let other = Execution { priority: 9, ..execution.clone() };
    refused(&store, Request::CreateExecution { execution: other.clone() }, Status::Conflict).await;
    let root = Task { kind: TaskKind::Orchestrator, ..task(execution.id) };
    refused(&store, Request::CreateExecutionWithRootTask { execution: other, task: root.clone() }, Status::Conflict)
        .await;
    assert_eq!((get(&store, execution.id).await, get_task(&store, root.id).await), (Some(execution.clone()), None));
    let one = task(execution.id);
    ok(&store, Request::CreateTask { task: one.clone() }).await;
    refused(&store, Request::CreateTask { task: Task { priority: 9, ..one.clone() } }, Status::Conflict).await;
    assert_eq!(get_task(&store, one.id).await, Some(one));
}

async fn an_execution_with_its_root_is_both_or_neither(store: Store) {
    let (execution, other) = (execution(), there(&store).await);
    let root = Task { kind: TaskKind::Orchestrator, ..task(execution.id) };
    let taken = Task { id: root.id, ..task(other.id) };
    ok(&store, Request::CreateTask { task: taken }).await;
    let both = Request::CreateExecutionWithRootTask { execution: execution.clone(), task: root.clone() };
    refused(&store, both, Status::Conflict).await;
    assert_eq!(get(&store, execution.id).await, None);
    let root = Task { id: Id::now_v7(), ..root };
    ok(&store, Request::CreateExecutionWithRootTask { execution: execution.clone(), task: root.clone() }).await;
    assert_eq!((get(&store, execution.id).await, get_task(&store, root.id).await), (Some(execution), Some(root)));
}

async fn many_tasks_are_all_or_nothing(store: Store) {
    let execution = there(&store).await;
    let tasks: Vec<Task> = (0..5).map(|_| task(execution.id)).collect();
    ok(&store, Request::CreateTask { task: tasks[3].clone() }).await;
    refused(&store, Request::CreateTasks { tasks: tasks.clone() }, Status::Conflict).await;
    for (number, one) in tasks.iter().enumerate() {
        assert_eq!(get_task(&store, one.id).await.is_some(), number == 3, "task {number}");
    }
    let others: Vec<Task> = (0..5).map(|_| task(execution.id)).collect();
    ok(&store, Request::CreateTasks { tasks: others.clone() }).await;
    for one in others {
        assert_eq!(get_task(&store, one.id).await, Some(one));
    }
    ok(&store, Request::CreateTasks { tasks: Vec::new() }).await;
}

async fn an_update_replaces_what_may_change(store: Store) {
    let first = Execution { progress: vec![progress("one")], ..execution() };
    ok(&store, Request::CreateExecution { execution: first.clone() }).await;
    let changed = Execution {
        state: ExecutionState::Completed,
        retries: 3,
        started_at: Some(now()),
        completed_at: Some(now()),
        result: Some("7".into()),
        tags: vec!["x".into()],
        priority: 5,
        queue: Some("other".into()),
        ..first.clone()
    };
    let asked = Execution { created_at: future(), progress: Vec::new(), ..changed.clone() };
    ok(&store, Request::UpdateExecution { execution: asked }).await;
    assert_eq!(get(&store, first.id).await, Some(changed));
}

async fn a_tasks_update_replaces_its_fields(store: Store) {
    let execution = there(&store).await;
    let first = task(execution.id);
    ok(&store, Request::CreateTask { task: first.clone() }).await;
    let changed = Task {
        state: TaskState::Running,
        retries: 2,
        error: Some(full_failure()),
        started_at: Some(now()),
        worker_id: Some("w".into()),
        lease_expires_at: Some(now().after(LEASE)),
        ..first.clone()
    };
    ok(&store, Request::UpdateTask { task: changed.clone() }).await;
    let found = get_task(&store, first.id).await.must();
    assert_eq!(Task { fence: 0, ..found }, changed);
    let ended = Task {
        state: TaskState::Completed,
        result: Some("[1]".into()),
        error: None,
        completed_at: Some(now()),
        lease_expires_at: None,
        ..changed
    };
    ok(&store, Request::UpdateTask { task: ended.clone() }).await;
    let found = get_task(&store, first.id).await.must();
    assert_eq!(Task { fence: 0, ..found }, ended);
}

async fn executions_are_listed_newest_first(store: Store) {
    let time = future();
    let mut expected = Vec::new();
    for number in 0..6 {
        // Two of each instant: their ids decide.
        let created_at = time.after(Duration::from_secs(number / 2));
        let state = if number % 3 == 0 { ExecutionState::TimedOut } else { ExecutionState::Pending };
        let completed_at = (number % 3 == 0).then_some(created_at);
        expected.push(Execution { created_at, state, completed_at, progress: vec![progress("one")], ..execution() });
    }
    for execution in &expected {
        ok(&store, Request::CreateExecution { execution: execution.clone() }).await;
        if execution.state == ExecutionState::Pending {
            let ended = Execution { state: ExecutionState::Cancelled, completed_at: Some(now()), ..execution.clone() };
            ok(&store, Request::UpdateExecution { execution: ended }).await;
        }
    }
    expected.sort_by_key(|record| std::cmp::Reverse((record.created_at, record.id)));
    let list = async |limit, offset, state| match ask(&store, Request::ListExecutions { limit, offset, state }).await {
        Response::Executions(found) => {
            assert!(found.iter().all(|execution| execution.progress.is_empty()), "lists are without progress");
            found.into_iter().map(|execution| execution.id).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let ids: Vec<Id> = expected.iter().map(|execution| execution.id).collect();
    assert_eq!(list(6, 0, None).await, ids);
    assert_eq!(list(2, 3, None).await, ids[3..5]);
    assert_eq!(list(0, 0, None).await, [] as [Id; 0]);
    let timed: Vec<Id> =
        expected.iter().filter(|one| one.state == ExecutionState::TimedOut).map(|one| one.id).collect();
    assert_eq!(list(2, 0, Some(ExecutionState::TimedOut)).await, timed);
}

async fn tasks_are_listed_newest_first(store: Store) {
    let execution = there(&store).await;
    let time = future();
    let mut expected: Vec<Task> = (0..6)
        .map(|number| Task {
            created_at: time.after(Duration::from_secs(number / 2)),
            state: if number % 3 == 0 { TaskState::Cancelled } else { TaskState::Failed },
            completed_at: Some(now()),
            ..task(execution.id)
        })
        .collect();
    ok(&store, Request::CreateTasks { tasks: expected.clone() }).await;
    expected.sort_by_key(|record| std::cmp::Reverse((record.created_at, record.id)));
    let list = async |limit, offset, state| match ask(&store, Request::ListTasks { limit, offset, state }).await {
        Response::Tasks(found) => found.into_iter().map(|task| task.id).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let ids: Vec<Id> = expected.iter().map(|task| task.id).collect();
    assert_eq!(list(6, 0, None).await, ids);
    assert_eq!(list(3, 2, None).await, ids[2..5]);
    let some: Vec<Id> = expected.iter().filter(|task| task.state == TaskState::Cancelled).map(|task| task.id).collect();
    assert_eq!(list(2, 0, Some(TaskState::Cancelled)).await, some);
}

async fn an_executions_tasks_are_listed_in_order_of_creation(store: Store) {
    let (execution, other) = (there(&store).await, there(&store).await);
    let time = now();
    let mut expected: Vec<Task> = (0..7)
        .map(|number| Task { created_at: time.after(Duration::from_micros(7 - number / 2)), ..task(execution.id) })
        .collect();
    ok(&store, Request::CreateTasks { tasks: expected.clone() }).await;
    ok(&store, Request::CreateTask { task: task(other.id) }).await;
    expected.sort_by_key(|task| (task.created_at, task.id));
    assert_eq!(store.tasks(execution.id).await, expected);
}

async fn counts_are_by_state_and_queue(store: Store) {
    let executions = async |state| count(&store, Request::CountExecutions { state }).await;
    let (all, failed) = (executions(None).await, executions(Some(ExecutionState::TimedOut)).await);
    let execution = there(&store).await;
    let ended = Execution { state: ExecutionState::TimedOut, completed_at: Some(now()), ..super::records::execution() };
    ok(&store, Request::CreateExecution { execution: ended }).await;
    assert_eq!(executions(None).await, all + 2);
    assert_eq!(executions(Some(ExecutionState::TimedOut)).await, failed + 1);
    let mine = task(execution.id).queue;
    let tasks =
        async |queue: &Option<String>, state| count(&store, Request::CountTasks { queue: queue.clone(), state }).await;
    let before = tasks(&None, None).await;
    for state in [TaskState::Pending, TaskState::Pending, TaskState::Failed] {
        let completed_at = state.is_terminal().then(now);
        ok(&store, Request::CreateTask { task: Task { state, completed_at, ..task(execution.id) } }).await;
    }
    assert_eq!(tasks(&None, None).await, before + 3);
    assert_eq!((tasks(&mine, None).await, tasks(&mine, Some(TaskState::Pending)).await), (3, 2));
    assert_eq!(tasks(&mine, Some(TaskState::Completed)).await, 0);
}

async fn progress_stays_in_order(store: Store) {
    let execution = there(&store).await;
    for step in ["b", "a", "c"] {
        ok(&store, Request::AppendProgress { execution_id: execution.id, progress: progress(step) }).await;
    }
    let told: Vec<String> =
        get(&store, execution.id).await.must().progress.into_iter().map(|entry| entry.step).collect();
    assert_eq!(told, ["b", "a", "c"]);
}
