//! Whatever a store says, a page shows it as text.

use stent::backend::Request;
use stent::model::{
    Execution, ExecutionState, Failure, Id, Number, Payload, ProgressEntry, ProgressStatus, Signal, Task, TaskKind,
    TaskState, Timestamp, child_id,
};

use super::served::Served;
use crate::house::{House, Where, on_both};

on_both! { nothing_of_a_store_is_markup }

const HOSTILE: &str = "\"'></script></title><script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}&amp;{{7*7}}";

fn nothing_of_a_store_is_markup(place: Where) {
    let house = House::new(place);
    let at = Timestamp::from_micros(1_764_300_000_000_000);
    let id = Id::from_u128(0x019a_c89a_f000_7000_8000_0000_0000_0001);
    let json: Payload = stent::codec::to_json(&[HOSTILE, "]"]).into();
    let object: Payload = format!("{{{}:{}}}", stent::codec::to_json(HOSTILE), stent::codec::to_json(HOSTILE)).into();
    let raw: Payload = HOSTILE.into();
    let failure = Failure {
        kind: HOSTILE.to_owned(),
        message: HOSTILE.to_owned(),
        code: Some(HOSTILE.to_owned()),
        retryable: true,
        retry_after: None,
        details: Some(object.clone()),
        stack: Some(HOSTILE.to_owned()),
    };
    let execution = Execution {
        id,
        root_function: HOSTILE.to_owned(),
        state: ExecutionState::Failed,
        args: json.clone(),
        kwargs: object.clone(),
        retries: 0,
        created_at: at,
        started_at: Some(at),
        completed_at: Some(at),
        expiry_at: None,
        progress: Vec::new(),
        tags: vec![HOSTILE.to_owned()],
        priority: 1,
        queue: Some(HOSTILE.to_owned()),
        result: Some(raw.clone()),
        error: Some(failure.clone()),
    };
    let mut root = Task::new(child_id(id, 0, "root"), id, TaskKind::Orchestrator, HOSTILE, at);
    root.state = TaskState::Failed;
    root.error = Some(failure.clone());
    root.args = json.clone();
    let mut task = Task::new(child_id(root.id, 0, HOSTILE), id, TaskKind::Activity, HOSTILE, at);
    (task.parent_task_id, task.step_key) = (Some(root.id), Some(HOSTILE.to_owned()));
    (task.state, task.retries) = (TaskState::Failed, 1);
    (task.queue, task.tags) = (Some(HOSTILE.to_owned()), vec![HOSTILE.to_owned()]);
    (task.worker_id, task.idempotency_key) = (Some(HOSTILE.to_owned()), Some(HOSTILE.to_owned()));
    (task.args, task.kwargs, task.result) = (raw.clone(), object.clone(), Some(json.clone()));
    task.error = Some(failure);
    let parts = [root.id, task.id];
    house.ask(Request::CreateExecutionWithRootTask { execution, task: root });
    house.ask(Request::CreateTask { task: task.clone() });
    house.ask(Request::MoveTaskToDeadLetter { task, reason: HOSTILE.to_owned() });
    let counters = [(HOSTILE.to_owned(), Number::Integer(1))].into();
    house.ask(Request::EnsureExecutionCounters { execution_id: id, counters });
    house.ask(Request::SetExecutionStateValue { execution_id: id, key: HOSTILE.to_owned(), value: json.clone() });
    let (started_at, completed_at) = (Some(at), Some(at));
    let progress = ProgressEntry {
        step: HOSTILE.to_owned(),
        status: ProgressStatus::Running,
        started_at,
        completed_at,
        detail: Some(json),
    };
    house.ask(Request::AppendProgress { execution_id: id, progress });
    house.ask(Request::CreateSignal {
        signal: Signal {
            execution_id: id,
            name: HOSTILE.to_owned(),
            payload: raw,
            created_at: at,
            consumed: false,
            consumed_at: None,
            id: None,
            sequence: 0,
        },
    });
    // Another one that nobody can run, in a queue that nobody serves.
    let options = stent::model::DispatchOptions {
        task: stent::model::TaskOptions { queue: Some(HOSTILE.to_owned()), ..Default::default() },
        ..Default::default()
    };
    house.on(house.executor.dispatch(HOSTILE, "[]".into(), options)).unwrap();

    let served = Served::new(&house, &[]);
    let encoded: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let one = format!("/executions/{id}");
    let letter = format!("/dead-letters/{}", parts[1]);
    let pages = [
        "/",
        "/executions",
        "/tasks",
        "/dead-letters",
        "/workers",
        "/functions",
        "/queues",
        "/health",
        &one,
        &letter,
        &format!("{one}/tree"),
        &format!("{one}/journal"),
        &format!("{one}/tasks/{}", parts[0]),
        &format!("{one}/tasks/{}", parts[1]),
        &format!("/executions?function={encoded}&queue={encoded}&tag={encoded}"),
        &format!("/executions?since={encoded}"),
        &format!("/executions?id={encoded}"),
        &format!("/executions?state={encoded}"),
        &format!("/tasks?function={encoded}"),
        &format!("/dead-letters?function={encoded}"),
        &format!("/{encoded}"),
        &format!("/dispatch?function={encoded}&args={encoded}&queue={encoded}"),
        &format!("{one}/retry"),
        &format!("/dead-letters/discard?function={encoded}"),
        &format!("{one}/cancel?reason={encoded}"),
        &format!("/login?to={encoded}"),
    ];
    let plain = |what: &str, body: &str| {
        for markup in ["<script>", "<img", "onerror=alert(2)>"] {
            assert!(!body.contains(markup), "{what} has {markup}: {body}");
        }
        // A field keeps what was typed.
        assert!(!body.contains('\u{202e}') || what.contains(['%', ' ']), "{what} turns its text around");
    };
    let mut shown = 0;
    for page in pages {
        let answer = served.get(page);
        assert!(answer.status < 500, "{page}: {answer:?}");
        plain(page, &answer.body);
        shown += answer.body.matches("&lt;script&gt;").count();
    }
    assert!(shown > 60, "only {shown} of them were seen");
    let review = served.form("/dispatch", &format!("function={encoded}&args=%5B%22{encoded}%22%5D&queue={encoded}"));
    plain("the review of a dispatch", &review.body);
    let mut events = served.listen(&one);
    events.until("r-said");
    // What is downloaded is no page of ours.
    let download = served.get(&format!("/api{one}/payload?of=result")).ok();
    assert_eq!((download.body.as_str(), download.header("content-type")), (HOSTILE, Some("application/octet-stream")));
    assert!(download.header("content-disposition").unwrap().starts_with("attachment"));
    for what in ["args", "kwargs", "details", &format!("state.{encoded}"), "signal.1"] {
        served.get(&format!("/api{one}/payload?of={what}")).ok();
    }
    assert_eq!(served.get(&format!("/api{one}/payload?of=nothing")).status, 404);
}
