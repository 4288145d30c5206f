use super::*;
use crate::backend::sql::statement::Kind;
use crate::model::{Number, ProgressEntry, ProgressStatus, Signal};

fn full() -> Execution {
    let mut full = execution(ExecutionState::Running);
    full.args = Payload::from(vec![0xff, 0]);
    full.kwargs = Payload::from(r#"{"b":1.50,"a":[]}"#);
    full.retries = 2;
    full.started_at = Some(now());
    full.expiry_at = Some(now().after(60 * SECOND));
    full.tags = vec!["b".into(), "a".into()];
    full.priority = -7;
    full.queue = Some("slow".into());
    full.progress = vec![line("first"), line("second")];
    full
}

fn line(step: &str) -> ProgressEntry {
    ProgressEntry {
        step: step.into(),
        status: ProgressStatus::Running,
        started_at: Some(now()),
        completed_at: None,
        detail: Some(Payload::from("{\"at\":1}")),
    }
}

#[tokio::test]
async fn records_come_back_as_they_were_written() {
    on_both(async |store| {
        let full = full();
        store.ok(Request::CreateExecution { execution: full.clone() }).await;
        assert_eq!(store.execution(full.id).await, Some(full.clone()));
        assert_eq!(store.execution(id()).await, None);

        let why = store.refused(Request::CreateExecution { execution: full.clone() }).await;
        is(&why, Status::Conflict, &format!("one with the id {} exists already", full.id));

        store.ok(Request::AppendProgress { execution_id: full.id, progress: line("third") }).await;
        let steps: Vec<_> = store.execution(full.id).await.unwrap().progress.into_iter().map(|p| p.step).collect();
        assert_eq!(steps, ["first", "second", "third"]);
        let why = store.refused(Request::AppendProgress { execution_id: id(), progress: line("x") }).await;
        is(&why, Status::NotFound, "there is no execution");
    })
    .await;
}

#[tokio::test]
async fn with_root_task_both_or_none() {
    on_both(async |store| {
        let parent = execution(ExecutionState::Pending);
        let root = Task { kind: TaskKind::Orchestrator, ..task(parent.id) };
        let both = |execution: &Execution, task: &Task| Request::CreateExecutionWithRootTask {
            execution: execution.clone(),
            task: task.clone(),
        };
        store.ok(both(&parent, &root)).await;
        assert_eq!(store.task(root.id).await.as_ref(), Some(&root));

        let other = execution(ExecutionState::Pending);
        let why = store.refused(both(&other, &Task { execution_id: other.id, ..root.clone() })).await;
        is(&why, Status::Conflict, &root.id.to_string());
        assert_eq!(store.execution(other.id).await, None);
        is(&store.refused(both(&other, &task(other.id))).await, Status::Invalid, "kind orchestrator");
    })
    .await;
}

#[tokio::test]
async fn updates_replace_what_may_change_and_an_end_stands() {
    on_both(async |store| {
        let first = full();
        store.ok(Request::CreateExecution { execution: first.clone() }).await;
        let mut second = Execution { id: first.id, ..execution(ExecutionState::Cancelling) };
        second.root_function = "other".into();
        second.result = Some(Payload::from("1"));
        store.ok(Request::UpdateExecution { execution: second.clone() }).await;
        let found = store.execution(first.id).await.unwrap();
        let expected = Execution {
            root_function: first.root_function.clone(),
            created_at: first.created_at,
            progress: first.progress.clone(),
            ..second.clone()
        };
        assert_eq!(found, expected);

        let why = store
            .refused(Request::UpdateExecution {
                execution: Execution { state: ExecutionState::Running, ..second.clone() },
            })
            .await;
        is(&why, Status::Conflict, "is being cancelled and can't become running");

        let ended = Execution { state: ExecutionState::Cancelled, completed_at: Some(now()), ..second };
        store.ok(Request::UpdateExecution { execution: ended.clone() }).await;
        store.ok(Request::UpdateExecution { execution: ended.clone() }).await;
        let other = Execution { state: ExecutionState::Failed, error: Some(failure()), ..ended.clone() };
        is(&store.refused(Request::UpdateExecution { execution: other }).await, Status::Conflict, "never changes");
        assert_eq!(store.execution(first.id).await.unwrap().completed_at, ended.completed_at);

        let why = store.refused(Request::UpdateExecution { execution: execution(ExecutionState::Running) }).await;
        is(&why, Status::NotFound, "there is no execution");
    })
    .await;
}

#[tokio::test]
async fn lists_are_newest_first_in_a_total_order() {
    on_both(async |store| {
        let time = now();
        let mut all = Vec::new();
        for n in 0..12 {
            let mut new = execution(if n % 3 == 0 { ExecutionState::Failed } else { ExecutionState::Pending });
            new.created_at = time.after(u32::from(n > 5) * SECOND);
            new.completed_at = new.state.is_terminal().then_some(time);
            store.ok(Request::CreateExecution { execution: new.clone() }).await;
            all.push(new);
        }
        all.sort_by_key(|e| std::cmp::Reverse((e.created_at, e.id)));
        let list = async |limit, offset, state| match store
            .call(Request::ListExecutions { limit, offset, state })
            .await
            .unwrap()
        {
            Response::Executions(found) => found,
            other => panic!("{other:?}"),
        };
        assert_eq!(list(100, 0, None).await, all);
        assert_eq!(list(5, 4, None).await, all[4..9]);
        assert!(list(0, 0, None).await.is_empty());
        let failed: Vec<_> = all.iter().filter(|e| e.state == ExecutionState::Failed).cloned().collect();
        assert_eq!(list(10, 1, Some(ExecutionState::Failed)).await, failed[1..]);
        for (state, count) in [(None, 12), (Some(ExecutionState::Failed), 4), (Some(ExecutionState::TimedOut), 0)] {
            let answer = store.call(Request::CountExecutions { state }).await;
            assert_eq!(answer, Ok(Response::Count(count)));
        }
    })
    .await;
}

#[tokio::test]
async fn cleanup_takes_old_ends_with_all_that_is_theirs() {
    on_both(async |store| {
        let limit = now();
        let old = limit.before(SECOND);
        let mut kept = Vec::new();
        for (state, completed_at) in [
            (ExecutionState::Running, None),
            (ExecutionState::Completed, Some(limit)),
            (ExecutionState::Running, Some(old)),
        ] {
            kept.push(Execution { completed_at, ..execution(state) });
        }
        let ended = ExecutionState::ALL.iter().filter(|state| state.is_terminal()).cycle();
        let gone: Vec<Execution> =
            ended.take(450).map(|state| Execution { completed_at: Some(old), ..execution(*state) }).collect();
        let done = |execution| Task { state: TaskState::Completed, ..task(execution) };
        let mut tasks: Vec<Task> = (0..4500).map(|_| done(gone[0].id)).collect();
        tasks.push(done(gone[1].id));
        let survivor = task(kept[0].id);
        tasks.push(survivor.clone());
        for execution in kept.iter().chain(&gone) {
            store.ok(Request::CreateExecution { execution: execution.clone() }).await;
        }
        let some = gone[1].id;
        store.ok(Request::CreateTasks { tasks }).await;
        store.ok(Request::AppendProgress { execution_id: some, progress: line("x") }).await;
        let counters = [("n".to_owned(), Number::Integer(1))].into();
        store.ok(Request::EnsureExecutionCounters { execution_id: some, counters }).await;
        let values = [("k".to_owned(), Payload::null())].into();
        store.ok(Request::EnsureExecutionStateValues { execution_id: some, values }).await;
        let signal = Signal {
            execution_id: some,
            name: "s".into(),
            payload: Payload::null(),
            created_at: old,
            consumed: true,
            consumed_at: None,
            id: None,
            sequence: 0,
        };
        store.ok(Request::CreateSignal { signal }).await;
        let kept_result = |key: &str, ttl| Request::SetCachedResult { key: key.into(), value: Payload::null(), ttl };
        store.ok(kept_result("over", Some(0.0))).await;
        store.ok(kept_result("stays", None)).await;

        let answer = store.call(Request::CleanupExecutions { older_than: limit }).await;
        assert_eq!(answer, Ok(Response::Count(450)));
        assert_eq!(store.call(Request::CountExecutions { state: None }).await, Ok(Response::Count(3)));
        let count = store.call(Request::CountTasks { queue: None, state: None }).await;
        assert_eq!(count, Ok(Response::Count(1)));
        assert!(store.task(survivor.id).await.is_some());
        static LEFT: Statement = statement(
            "SELECT (SELECT count(*) FROM execution_progress) + (SELECT count(*) FROM signals) \
             + (SELECT count(*) FROM execution_counters) + (SELECT count(*) FROM execution_state), \
             (SELECT group_concat(key) FROM cache)",
            &[Column { name: "rows", kind: Kind::Int }, Column { name: "kept", kind: Kind::Text }],
        );
        let left = store.run(&LEFT).await;
        assert_eq!((left[0].int("rows"), left[0].text("kept")), (Ok(0), Ok("stays")));
        assert_eq!(store.call(Request::CleanupExecutions { older_than: limit }).await, Ok(Response::Count(0)));
    })
    .await;
}
