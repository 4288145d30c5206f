//! One of everything, with every field filled.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::backend::{Depth, Pause, Replayed, Request, Response, ScheduleCounts, SlotWait, Snapshot, StoreStats};
use crate::model::*;

pub(super) fn id(last: u8) -> Id {
    execution_id(Timestamp::from_micros(1_700_000_000_000_000), [last; 10])
}

pub(super) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_123_456 + seconds * 1_000_000)
}

pub(super) fn failure() -> Failure {
    Failure {
        kind: "CardDeclined".into(),
        message: "card 42 was declined".into(),
        code: Some("51".into()),
        retryable: false,
        retry_after: Some(RetryAfter::For(Duration::from_millis(2500))),
        details: Some(Payload::from(r#"{"bank": "north","tries":[1,2.50]}"#)),
        stack: Some("at charge (orders.js:7)".into()),
    }
}

pub(super) fn retry_policy() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 5,
        max_deaths: 4,
        backoff_factor: 2.0,
        initial_delay: 1.0,
        max_delay: 60.0,
        delays: vec![0.5, 30.0],
        jitter: 0.0,
        max_elapsed: Some(3600.0),
        retry_for: vec!["Timeout".into()],
        no_retry_for: vec!["Fatal".into()],
        retry_children: true,
    }
}

pub(super) fn progress() -> ProgressEntry {
    ProgressEntry {
        step: "charge#1".into(),
        status: ProgressStatus::CacheHit,
        started_at: Some(time(1)),
        completed_at: Some(time(2)),
        detail: Some(Payload::from("\"half\"")),
    }
}

pub(super) fn execution() -> Execution {
    Execution {
        id: id(1),
        root_function: "order".into(),
        state: ExecutionState::TimedOut,
        args: Payload::from("[12345678901234567890.10, \"ü\"]"),
        kwargs: Payload::from("{\"dry\":true}"),
        retries: 2,
        created_at: time(0),
        started_at: Some(time(1)),
        completed_at: Some(time(9)),
        expiry_at: Some(time(60)),
        progress: vec![progress()],
        tags: vec!["eu".into(), "gpu".into()],
        priority: -3,
        queue: Some("slow".into()),
        result: Some(Payload::from(vec![0xff, 0x00])),
        error: Some(failure()),
    }
}

/// As [`execution`], and null wherever a field may be.
pub(super) fn bare_execution() -> Execution {
    Execution {
        state: ExecutionState::Pending,
        args: Payload::empty_array(),
        kwargs: Payload::empty_object(),
        retries: 0,
        started_at: None,
        completed_at: None,
        expiry_at: None,
        progress: Vec::new(),
        tags: Vec::new(),
        priority: 0,
        queue: None,
        result: None,
        error: None,
        ..execution()
    }
}

pub(super) fn task() -> Task {
    Task {
        id: child_id(id(1), 0, "charge#1"),
        execution_id: id(1),
        step_name: "charge".into(),
        kind: TaskKind::Activity,
        parent_task_id: Some(id(1)),
        state: TaskState::Running,
        args: Payload::from("[1]"),
        kwargs: Payload::empty_object(),
        retries: 1,
        created_at: time(0),
        tags: vec!["eu".into()],
        priority: 7,
        queue: Some("slow".into()),
        retry_policy: Some(retry_policy()),
        result: Some(Payload::from("{\"ok\":true}")),
        error: Some(failure()),
        started_at: Some(time(1)),
        completed_at: Some(time(2)),
        worker_id: Some("worker-1".into()),
        lease_expires_at: Some(time(31)),
        idempotency_key: Some("order-42".into()),
        scheduled_for: Some(time(3)),
        fence: 4,
        step_key: Some("charge#1".into()),
    }
}

pub(super) fn signal() -> Signal {
    Signal {
        execution_id: id(1),
        name: "approved".into(),
        payload: Payload::from("{\"by\":\"Ann\"}"),
        created_at: time(0),
        consumed: true,
        consumed_at: Some(time(1)),
        id: Some("mail-17".into()),
        sequence: 12,
    }
}

pub(super) fn dead_letter() -> DeadLetter {
    DeadLetter { task: task(), reason: "3 of 3 attempts failed".into(), moved_at: time(5) }
}

pub(super) fn snapshot() -> Snapshot {
    Snapshot {
        execution: execution(),
        counters: counters(),
        state: values(),
        replay_of: Some(id(2)),
        cancel_reason: Some("no stock".into()),
    }
}

pub(super) fn stats() -> StoreStats {
    StoreStats {
        executions: BTreeMap::from([("pending", 3), ("completed", 4)]),
        tasks: BTreeMap::from([("waiting", 5)]),
        ready: vec![Depth { queue: None, function: "charge".into(), count: 3, oldest: Duration::from_millis(1500) }],
        scheduled: 1,
        dead_letters: 2,
        parked: 3,
        workers: 4,
        paused: vec![pause()],
        schedules: ScheduleCounts { active: 5, paused: 1, waiting: 2, broken: 1, late: Duration::from_millis(250) },
        waiting_for_slots: BTreeMap::from([("charge".into(), 6)]),
    }
}

pub(super) fn pause() -> Pause {
    let (reason, by) = (Some("no stock".into()), Some("ann".into()));
    Pause { queue: Some("orders".into()), function: None, since: time(1), reason, by, running: 2 }
}

pub(super) fn slot_wait() -> SlotWait {
    SlotWait {
        task: id(2),
        function: "charge".into(),
        concurrency_key: Some("customer-7".into()),
        queue: None,
        max_concurrent_per_key: Some(2),
        held: 2,
        rate_per_key: Some(Rate { limit: 5, period: 60.0, burst: 2 }),
        rate: None,
        next_at: Some(time(3)),
        hold_ends_at: Some(time(4)),
    }
}

pub(super) fn replayed() -> Replayed {
    Replayed { execution: id(3), replay_of: id(1) }
}

fn counters() -> BTreeMap<String, Number> {
    BTreeMap::from([("lines".into(), Number::Integer(i64::MAX)), ("share".into(), Number::Real(0.5))])
}

fn values() -> BTreeMap<String, Payload> {
    BTreeMap::from([("cart".into(), Payload::from("[1, 2]")), ("raw".into(), Payload::from(vec![0xff]))])
}

/// Every operation with an answer to it, in the order of the protocol.
pub(super) fn operations() -> Vec<(Request, Response)> {
    let (execution_id, task_id) = (id(1), task().id);
    let key = || "order-42".to_owned();
    let value = || Payload::from("{\"total\": 9.90}");
    vec![
        (Request::InitDb {}, Response::Nothing),
        (Request::Close {}, Response::Nothing),
        (Request::CreateExecution { execution: execution() }, Response::Nothing),
        (Request::CreateExecutionWithRootTask { execution: bare_execution(), task: task() }, Response::Nothing),
        (Request::GetExecution { execution_id }, Response::Execution(Some(Box::new(execution())))),
        (Request::UpdateExecution { execution: execution() }, Response::Nothing),
        (
            Request::ListExecutions { limit: 5, offset: 2, state: Some(ExecutionState::Cancelling) },
            Response::Executions(vec![bare_execution()]),
        ),
        (Request::CountExecutions { state: Some(ExecutionState::Failed) }, Response::Count(3)),
        (Request::CreateTask { task: task() }, Response::Nothing),
        (Request::CreateTasks { tasks: vec![task()] }, Response::Nothing),
        (Request::GetTask { task_id }, Response::Task(None)),
        (Request::ListTasks { limit: 5, offset: 2, state: Some(TaskState::Waiting) }, Response::Tasks(Vec::new())),
        (Request::ListTasksForExecution { execution_id }, Response::Tasks(vec![task()])),
        (Request::UpdateTask { task: task() }, Response::Nothing),
        (Request::CountTasks { queue: Some("slow".into()), state: Some(TaskState::Pending) }, Response::Count(0)),
        (
            Request::ClaimNextTask {
                worker_id: "worker-1".into(),
                queues: Some(vec!["slow".into()]),
                tags: Some(vec!["eu".into()]),
                now: Some(time(0)),
                lease_duration: 12.5,
                concurrency_limits: BTreeMap::from([("charge".into(), 2)]),
            },
            Response::Task(Some(Box::new(task()))),
        ),
        (Request::RenewTaskLease { task_id, worker_id: "worker-1".into(), lease_duration: 45.0 }, Response::Flag(true)),
        (Request::AppendProgress { execution_id, progress: progress() }, Response::Nothing),
        (Request::GetCachedResult { key: key() }, Response::Payload(Some(value()))),
        (Request::SetCachedResult { key: key(), value: value(), ttl: Some(60.0) }, Response::Nothing),
        (Request::GetIdempotencyResult { key: key() }, Response::Payload(None)),
        (Request::SetIdempotencyResult { key: key(), value: value(), ttl: Some(0.5) }, Response::Nothing),
        (Request::MoveTaskToDeadLetter { task: task(), reason: "tired".into() }, Response::Nothing),
        (Request::ListDeadTasks { limit: 5 }, Response::DeadLetters(vec![dead_letter()])),
        (Request::CountDeadTasks {}, Response::Count(1)),
        (Request::GetDeadTask { task_id }, Response::DeadLetter(Some(Box::new(dead_letter())))),
        (Request::DeleteDeadTask { task_id }, Response::Flag(false)),
        (Request::CleanupExecutions { older_than: time(0) }, Response::Count(12)),
        (Request::CleanupDeadLetters { older_than: time(0) }, Response::Count(0)),
        (Request::CreateSignal { signal: signal() }, Response::Nothing),
        (Request::GetSignal { execution_id, name: "approved".into() }, Response::Signal(Some(signal()))),
        (Request::EnsureExecutionCounters { execution_id, counters: counters() }, Response::Nothing),
        (
            Request::IncrementExecutionCounter {
                execution_id,
                name: "lines".into(),
                amount: Number::Integer(-9_007_199_254_740_993),
            },
            Response::Number(Number::Integer(9_007_199_254_740_993)),
        ),
        (Request::GetExecutionCounters { execution_id }, Response::Counters(counters())),
        (Request::EnsureExecutionStateValues { execution_id, values: values() }, Response::Nothing),
        (Request::SetExecutionStateValue { execution_id, key: "cart".into(), value: value() }, Response::Nothing),
        (Request::GetExecutionStateValues { execution_id }, Response::Values(values())),
    ]
}
