//! Every operation of the engine with an answer to it, every field filled somewhere, in the order of the table.

use std::time::Duration;

use serde::Serialize;

use super::samples::*;
use crate::backend::*;
use crate::codec::engine::{Advanced, EngineRequest, Found};
use crate::codec::to_json;
use crate::model::*;

const SECOND: Duration = Duration::from_secs(1);

fn task_options() -> TaskOptions {
    TaskOptions {
        queue: Some("slow".into()),
        tags: Some(vec!["eu".into()]),
        priority: Some(-3),
        priority_ageing: Some(30 * SECOND),
        retry_policy: Some(retry_policy()),
        timeout: Some(SECOND),
        cached: Some(true),
        cache_ttl: Some(60 * SECOND),
        concurrency_key: Some("customer-7".into()),
        fairness_key: Some("customer-7".into()),
        fairness_weight: Some(2.5),
    }
}

fn schedule() -> Schedule {
    let options = DispatchOptions { id: None, idempotency_key: None, unique_key: None, delay: None, ..dispatch() };
    Schedule {
        args: Payload::from("[\"all\"]"),
        options: DispatchOptions {
            idempotency_reuse: KeyReuse::default(),
            unique_for: None,
            unique_while: None,
            unique_existing: Existing::default(),
            ..options
        },
        time_zone: "Europe/Berlin".into(),
        start: Some(time(0)),
        end: Some(time(99)),
        jitter: 30 * SECOND,
        overlap: Overlap::QueueOne,
        owner: Some("billing".into()),
        time_argument: Some("at".into()),
        ..Schedule::new("nightly", "charge", When::Cron("30 2 * * MON-FRI".into()))
    }
}

fn schedule_filter() -> ScheduleFilter {
    ScheduleFilter {
        name: Some("nightly".into()),
        owner: Some("billing".into()),
        function: Some("charge".into()),
        after: Some("hourly".into()),
        limit: 10,
        next: 1,
        last: 1,
    }
}

fn tick() -> Tick {
    let (kind, state) = (TickKind::Backfilled, TickState::Started);
    Tick { at: time(1), kind, state, execution_id: Some(id(2)), decided_at: time(2) }
}

fn kept_schedule() -> KeptSchedule {
    KeptSchedule {
        schedule: schedule(),
        created_at: time(0),
        updated_at: time(1),
        paused_at: Some(time(2)),
        pause_note: Some("holidays".into()),
        next_at: Some(time(3)),
        due_at: Some(time(4)),
        last_execution_id: Some(id(2)),
        running: true,
        waiting: 1,
        trouble: Some("cron has seven fields".into()),
        next: vec![time(3)],
        last: vec![tick()],
    }
}

fn swept() -> Swept {
    let ticks = TickCounts { started: 1, waiting: 1, skipped: 2, missed: 1 };
    Swept { changed: 3, more: true, next_due: Some(SECOND / 4), ticks }
}

fn dispatch() -> DispatchOptions {
    DispatchOptions {
        id: Some(id(1)),
        kwargs: Some(Payload::from("{\"dry\":true}")),
        delay: Some(SECOND),
        expiry: Some(2 * SECOND),
        max_duration: None,
        idempotency_key: Some("order-42".into()),
        idempotency_reuse: KeyReuse::Never,
        unique_key: Some("customer-7".into()),
        unique_for: Some(60 * SECOND),
        unique_while: Some(KeyWhile::Pending),
        unique_existing: Existing::Refuse,
        debounce: None,
        debounce_max: None,
        on_cancel: Some("refund".into()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        task: task_options(),
    }
}

fn call() -> CallOptions {
    CallOptions {
        key: Some("mine".into()),
        kwargs: Some(Payload::from("{\"dry\":true}")),
        delay: Some(SECOND),
        idempotency_key: Some("order-42".into()),
        cache_key: Some("cart".into()),
        task: task_options(),
    }
}

fn function() -> FunctionOptions {
    FunctionOptions {
        queue: Some("slow".into()),
        tags: vec!["eu".into()],
        priority: Some(7),
        priority_ageing: Some(SECOND),
        retry_policy: Some(retry_policy()),
        timeout: Some(SECOND),
        version: Some("2".into()),
        max_concurrent: Some(5),
        max_concurrent_per_key: Some(2),
        rate: Some(Rate { limit: 100, period: 60.0, burst: 10 }),
        rate_per_key: Some(Rate { limit: 5, period: 1.0, burst: 1 }),
        cached: true,
        cache_ttl: Some(SECOND),
        idempotent: true,
        cleanup: Some(SECOND),
    }
}

pub(super) fn held() -> Held {
    Held { task: task().id, execution: id(1), parent: Some(id(1)), fence: 4 }
}

fn spawns() -> Vec<Spawn> {
    let activity = SpawnKind::Activity {
        args: Payload::from("[1]"),
        options: Box::new(call()),
        args_hash: Some([0xa5; 32]),
        registered: None,
    };
    let step = |outcome| SpawnKind::Step { started_at: time(1), outcome };
    let kinds = [
        activity,
        SpawnKind::Timer { delay: SECOND },
        SpawnKind::Signal { timeout: Some(SECOND) },
        step(Ok(Payload::null())),
        step(Err(failure())),
    ];
    let spawn = |(number, what)| {
        let op = number as u32 + 1;
        let key = format!("charge#{op}");
        Spawn { id: child_id(id(1), 0, &key), op, key, name: "charge".into(), what }
    };
    kinds.into_iter().enumerate().map(spawn).collect()
}

fn commands() -> Commands {
    Commands {
        spawns: spawns(),
        cancels: vec![Cancel { op: 2, id: id(2) }],
        progress: vec![progress()],
        counters: vec![("lines".into(), Number::Integer(i64::MAX)), ("share".into(), Number::Real(0.5))],
        state: vec![("cart".into(), Payload::from("[1, 2]"))],
        heartbeat: Some(Payload::from("7")),
        begun: Some(8),
        holds: vec![Hold { of: HoldOf::Key, delay: 30 * SECOND }],
        from: Some(Extent { ops: 1, effects: 2 }),
    }
}

pub(super) fn slot() -> CacheSlot {
    CacheSlot { key: "cart".into(), ttl: Some(SECOND) }
}

fn outcomes() -> Vec<Outcome> {
    let (failure, args) = (failure(), Payload::from("[2]"));
    vec![
        Outcome::Hold,
        Outcome::Complete { result: Payload::null(), cache: Some(slot()), cache_hit: true },
        Outcome::Retry { failure: failure.clone(), delay: SECOND, reopen: true },
        Outcome::Snooze { delay: SECOND },
        Outcome::DeadLetter { failure: failure.clone(), reason: "tired".into() },
        Outcome::PassUp { failure: failure.clone() },
        Outcome::Suspend { mode: WaitMode::Any, ops: [1, 2, 3, 9].into_iter().collect(), known: 2 },
        Outcome::Release,
        Outcome::Park { failure, version: Some("1".into()) },
        Outcome::Continue { args, seen: 3 },
    ]
}

fn transitions() -> Vec<Transition> {
    let transition = |(number, outcome)| Transition {
        held: held(),
        commands: if number == 0 { commands() } else { Commands::default() },
        outcome,
    };
    outcomes().into_iter().enumerate().map(transition).collect()
}

pub(super) fn claimed() -> Claimed {
    Claimed {
        task: task(),
        run: 1,
        ops: 2,
        effects: 3,
        opened: Some(2),
        heartbeat: Some(Payload::from("7")),
        crashes: 1,
        deaths: 2,
        snoozes: 7,
        first_started_at: Some(time(1)),
        begun: Some(8),
        company: Some(8),
        deadline: Some(time(9)),
        cache: Some(slot()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        cleanup: Some(1),
        claimed_at: time(1),
    }
}

fn verdicts() -> Vec<Verdict> {
    let refused = Error::conflict("another run of the key goes on").retryable(true);
    vec![
        Verdict::Recorded { arrivals: vec![(4, 1), (5, 2)], latest: 2 },
        Verdict::LeaseLost,
        Verdict::Cancelled,
        Verdict::Refused(refused),
    ]
}

pub(super) fn entry() -> JournalEntry {
    JournalEntry {
        op: 1,
        id: task().id,
        key: "charge#1".into(),
        name: "charge".into(),
        kind: TaskKind::Activity,
        args: Payload::from("[1]"),
        kwargs: Payload::empty_object(),
        state: TaskState::Completed,
        result: Some(Payload::from("7")),
        error: Some(failure()),
        arrival: Some(3),
        completed_at: Some(time(2)),
    }
}

fn notices() -> Vec<Notice> {
    vec![
        Notice::Work { served: Some("worker-1".into()) },
        Notice::Due(SECOND),
        Notice::Ended(vec![id(1)]),
        Notice::Cancelling(vec![id(1)]),
        Notice::Lost(vec![task().id]),
        Notice::Arrived(vec![task().id]),
        Notice::Foreign,
    ]
}

fn execution_filter() -> ExecutionFilter {
    ExecutionFilter {
        state: Some(ExecutionState::Running),
        function: Some("order".into()),
        queue: Some("slow".into()),
        tag: Some("eu".into()),
        created_after: Some(time(0)),
        created_before: Some(time(1)),
        limit: 5,
        offset: 2,
    }
}

fn letter_filter() -> DeadLetterFilter {
    DeadLetterFilter {
        task: Some(task().id),
        execution: Some(id(1)),
        function: Some("charge".into()),
        limit: 5,
        offset: 2,
    }
}

fn text<T: Serialize + ?Sized>(value: &T) -> String {
    to_json(value)
}

pub(super) fn operations() -> Vec<(EngineRequest, String)> {
    use EngineRequest as E;
    let (execution_id, worker_id) = (id(1), "worker-1".to_owned());
    let new = NewExecution {
        id: id(1),
        function: "order".into(),
        args: Payload::from("[1]"),
        options: dispatch(),
        args_hash: [7; 32],
        registered: Some(function().into()),
    };
    let worker = NewWorker {
        worker_id: worker_id.clone(),
        queues: vec!["slow".into()],
        tags: vec!["eu".into()],
        functions: vec![Function { name: "charge".into(), options: function() }],
        queue_rates: [("mail".into(), Some(Rate { limit: 10, period: 60.0, burst: 3 })), ("slow".into(), None)].into(),
    };
    let claim = Claim { worker_id: worker_id.clone(), count: 16, limited: 2, begin: 8, slots: 8, lease: 30 * SECOND };
    let signal = NewSignal {
        execution: id(1),
        name: "approved".into(),
        payload: Payload::from("{\"by\":\"Ann\"}"),
        id: Some("mail-17".into()),
    };
    let debounced = NewExecution {
        id: id(2),
        options: DispatchOptions {
            unique_key: Some("customer-7".into()),
            debounce: Some(5 * SECOND),
            debounce_max: Some(60 * SECOND),
            ..DispatchOptions::default()
        },
        ..new.clone()
    };
    let null = || "null".to_owned();
    vec![
        (E::Dispatch { executions: vec![new, debounced] }, text(&[id(1), id(2)])),
        (E::RegisterWorker { worker }, null()),
        (E::RemoveWorker { worker_id: worker_id.clone() }, null()),
        (
            E::Advance { transitions: transitions(), claim: Some(claim) },
            text(&Advanced { verdicts: verdicts(), claimed: vec![claimed()] }),
        ),
        (E::Journals { requests: vec![JournalRequest { task: id(1), after: 2 }] }, text(&[[entry()]])),
        (
            E::Cached { keys: vec!["cart".into(), "other".into()] },
            text(&[Some(Found { value: Payload::null() }), None]),
        ),
        (
            E::Renew { renew: Renew { worker_id: worker_id.clone(), held: vec![held()], lease: 30 * SECOND } },
            text(&Renewed { lost: vec![id(2)], cancelled: vec![id(3)] }),
        ),
        (E::Sweep { worker_id }, text(&swept())),
        (E::Cancel { execution_id, reason: Some("no stock".into()) }, null()),
        (E::Signal { signal }, null()),
        (E::EndedAmong { executions: vec![id(1), id(2)] }, text(&[id(2)])),
        (E::CancelledAmong { executions: vec![id(1), id(2)] }, text(&[id(1)])),
        (E::Snapshot { execution_id }, text(&snapshot())),
        (E::List { filter: execution_filter() }, text(&[bare_execution()])),
        (E::DeadLetters { filter: letter_filter() }, text(&[dead_letter()])),
        (E::ReplayDeadLetter { task_id: task().id, new_execution_id: id(3) }, text(&replayed())),
        (E::Resume { task_id: task().id }, null()),
        (E::Stats {}, text(&stats())),
        (
            E::Pause {
                queue: Some("orders".into()),
                function: None,
                reason: Some("no stock".into()),
                by: Some("ann".into()),
            },
            null(),
        ),
        (E::Unpause { queue: None, function: Some("charge".into()) }, null()),
        (E::Pauses {}, text(&[pause()])),
        (E::SlotWaits { execution_id, limit: 20 }, text(&[slot_wait()])),
        (E::PutSchedules { schedules: vec![schedule()], only_of: Some("billing".into()) }, null()),
        (E::Schedules { filter: schedule_filter() }, text(&[kept_schedule()])),
        (
            E::ChangeSchedule {
                name: "nightly".into(),
                change: ScheduleChange::Backfill { from: time(0), to: time(9), overlap: Overlap::QueueAll },
            },
            text(&[tick()]),
        ),
        (E::WaitForWork { timeout: 5 * SECOND }, text(&notices())),
    ]
}
