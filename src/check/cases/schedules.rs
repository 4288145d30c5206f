//! Schedules. A store that is not the library's own need not keep them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use stent::backend::{
    Commands, ExecutionFilter, KeptSchedule, PutSchedules, ScheduleChange, ScheduleFilter, Tick, TickCounts, Verdict,
};
use stent::model::{
    ExecutionState, FunctionOptions, Id, Overlap, Schedule, Status, TickKind, TickState, Timestamp, When,
};

use super::house::*;

cases! {
    a_tick_starts_its_function_once,
    whoever_sweeps_at_once_starts_a_tick_once,
    a_sweep_tells_when_the_next_tick_is_due,
    what_is_asked_for_reaches_the_execution,
    a_tick_joins_no_other,
    overlap_leaves_out_or_waits_in_order,
    overlap_cancels_what_runs,
    a_pause_starts_nothing,
    a_schedule_that_is_put_again_goes_on,
    an_owner_removes_what_it_has_no_more,
    what_is_over_is_filled_in_once,
    a_tick_stays_started_though_its_schedule_is_made_anew,
    what_became_of_ticks_is_told,
    what_is_deleted_starts_nothing,
}

const OFTEN: Duration = Duration::from_millis(100);
const NEVER: &str = "9000-01-01T00:00:00Z";

fn schedule(name: &str, when: When) -> Schedule {
    Schedule::new(name, "f", when)
}

fn never(name: &str) -> Schedule {
    schedule(name, When::Times(vec![NEVER.parse().must()]))
}

/// False: the store keeps none.
async fn put(store: &Store, schedules: Vec<Schedule>) -> bool {
    match store.backend.put_schedules(PutSchedules { schedules, only_of: None }).await {
        Err(why) if why.status() == Status::Unsupported => false,
        done => {
            done.must();
            true
        }
    }
}

async fn kept(store: &Store, name: &str) -> KeptSchedule {
    let filter = ScheduleFilter { name: Some(name.to_owned()), last: 100, ..ScheduleFilter::default() };
    only(store.backend.schedules(filter).await.must())
}

async fn change(store: &Store, change: ScheduleChange) -> Vec<Tick> {
    store.backend.change_schedule("s", change).await.must()
}

async fn trigger(store: &Store, overlap: Option<Overlap>) -> Tick {
    only(change(store, ScheduleChange::Trigger { overlap }).await)
}

fn started(ticks: &[Tick]) -> Vec<Id> {
    ticks.iter().filter_map(|tick| tick.execution_id).collect()
}

/// Where the schedule's tick of this time was started.
async fn execution_of(store: &Store, at: Timestamp) -> Id {
    let ticks = kept(store, "s").await.last;
    ticks.iter().find(|tick| tick.at == at).must().execution_id.must()
}

/// Executions of the function.
async fn executions(store: &Store) -> BTreeSet<Id> {
    let filter = ExecutionFilter { limit: 1000, ..ExecutionFilter::default() };
    store.backend.list(filter).await.must().into_iter().map(|execution| execution.id).collect()
}

async fn a_tick_starts_its_function_once(store: Store) {
    store.worker("w", &["f"]).await;
    if !put(&store, vec![schedule("s", When::Every(OFTEN))]).await {
        return;
    }
    let before = kept(&store, "s").await;
    let (first, due) = (before.next_at.must(), before.due_at.must());
    assert_eq!((first, before.next.first()), (due, Some(&first)));
    store.until("it has ticked", async |store| !executions(store).await.is_empty()).await;
    let task = store.take().await;
    let after = kept(&store, "s").await;
    let tick = after.last.last().must();
    assert_eq!((tick.at, tick.kind, tick.state), (first, TickKind::Scheduled, TickState::Started));
    assert_eq!(tick.execution_id, Some(task.task.execution_id));
    assert!(tick.decided_at >= first, "{tick:?}");
    assert!(after.next_at.must() > first);
    // It runs, so the next ones are left out.
    store.until("one is left out", async |store| kept(store, "s").await.last[0].state == TickState::Skipped).await;
    assert_eq!(executions(&store).await.len(), 1);
    store.complete(&task, "1").await;
    store.until("it has ticked again", async |store| executions(store).await.len() == 2).await;
}

async fn whoever_sweeps_at_once_starts_a_tick_once(store: Store) {
    store.worker("w", &["f"]).await;
    let often = Schedule { overlap: Overlap::Allow, ..schedule("s", When::Every(OFTEN)) };
    if !put(&store, vec![often]).await {
        return;
    }
    let others = [store.another().await, store.another().await, store.clone()];
    let sweeping = async |store: &Store| {
        while executions(store).await.len() < 8 {
            store.backend.sweep("w").await.must();
            tokio::task::yield_now().await;
        }
    };
    let all = others.iter().map(sweeping);
    let done = tokio::time::timeout(SOON, futures_util::future::join_all(all)).await;
    assert!(done.is_ok(), "not eight ticks in {SOON:?}");
    let ticks = kept(&store, "s").await.last;
    let ids = started(&ticks);
    assert!(ticks.iter().all(|tick| tick.state == TickState::Started), "{ticks:?}");
    assert_eq!(ids.iter().copied().collect::<BTreeSet<_>>(), executions(&store).await);
    let times: Vec<Timestamp> = ticks.iter().rev().map(|tick| tick.at).collect();
    assert!(times.windows(2).all(|two| two[1].since(two[0]) == OFTEN), "none is left out: {times:?}");
}

async fn a_sweep_tells_when_the_next_tick_is_due(store: Store) {
    store.worker("w", &["f"]).await;
    if !put(&store, vec![schedule("s", When::Every(HOUR)), never("other")]).await {
        return;
    }
    let swept = store.backend.sweep("w").await.must();
    let due = swept.next_due.must();
    assert!(swept.changed == 0 && due <= HOUR && due > Duration::ZERO, "{swept:?}");
    let stats = store.backend.stats().await.must().schedules;
    assert_eq!((stats.active, stats.paused, stats.waiting, stats.late), (2, 0, 0, Duration::ZERO));
}

async fn what_is_asked_for_reaches_the_execution(store: Store) {
    store.worker("w", &["f"]).await;
    let mut asked = never("s");
    asked.args = "[1,\"two\"]".into();
    asked.time_argument = Some("at".to_owned());
    asked.options.kwargs = Some("{\"b\":2}".into());
    asked.options.task.priority = Some(7);
    asked.options.task.tags = Some(vec!["x".to_owned()]);
    asked.options.expiry = Some(HOUR);
    if !put(&store, vec![asked]).await {
        return;
    }
    let tick = trigger(&store, None).await;
    let execution = store.execution(tick.execution_id.must()).await;
    assert_eq!((execution.root_function.as_str(), execution.priority), ("f", 7));
    assert_eq!((execution.args.as_bytes(), execution.tags), (&b"[1,\"two\"]"[..], vec!["x".to_owned()]));
    assert_eq!(execution.kwargs, format!("{{\"at\":\"{}\",\"b\":2}}", tick.at).as_str().into());
    assert!(execution.expiry_at.is_some());
}

async fn a_tick_joins_no_other(store: Store) {
    let idempotent = FunctionOptions { idempotent: true, ..FunctionOptions::default() };
    store.worker_with("w", vec![("f", idempotent)]).await;
    if !put(&store, vec![never("s")]).await {
        return;
    }
    for _ in 0..2 {
        let tick = trigger(&store, None).await;
        let task = store.take().await;
        assert_eq!(Some(task.task.execution_id), tick.execution_id);
        store.complete(&task, "1").await;
    }
    assert_eq!(executions(&store).await.len(), 2);
}

async fn overlap_leaves_out_or_waits_in_order(store: Store) {
    store.worker("w", &["f"]).await;
    if !put(&store, vec![never("s")]).await {
        return;
    }
    let first = trigger(&store, None).await;
    assert_eq!(first.state, TickState::Started);
    for (overlap, expected) in [
        (None, TickState::Skipped),
        (Some(Overlap::QueueOne), TickState::Waiting),
        (Some(Overlap::QueueOne), TickState::Skipped),
        (Some(Overlap::QueueAll), TickState::Waiting),
    ] {
        assert_eq!(trigger(&store, overlap).await.state, expected, "{overlap:?}");
    }
    let beside = trigger(&store, Some(Overlap::Allow)).await;
    let told = kept(&store, "s").await;
    assert_eq!((told.waiting, told.running, told.last_execution_id), (2, true, beside.execution_id));
    assert_eq!(store.backend.stats().await.must().schedules.waiting, 2);
    let waiting: Vec<Timestamp> =
        told.last.iter().rev().filter(|tick| tick.state == TickState::Waiting).map(|tick| tick.at).collect();
    assert_eq!(waiting.len(), 2);
    // The last one that was started is the one that is waited for.
    let both = store.claim("w", 10).await;
    assert_eq!(both.len(), 2);
    for task in &both {
        store.complete(task, "1").await;
    }
    for at in waiting {
        store.sweep().await;
        let next = store.take().await;
        assert_eq!(next.task.execution_id, execution_of(&store, at).await);
        store.idle().await;
        store.complete(&next, "1").await;
    }
    store.sweep().await;
    store.idle().await;
    let over = kept(&store, "s").await;
    assert_eq!((over.waiting, over.running), (0, false));
    assert_eq!(over.last.iter().filter(|tick| tick.state == TickState::Started).count(), 4);
}

async fn overlap_cancels_what_runs(store: Store) {
    store.worker("w", &["f"]).await;
    if !put(&store, vec![Schedule { overlap: Overlap::CancelRunning, ..never("s") }]).await {
        return;
    }
    let first = trigger(&store, None).await.execution_id.must();
    let task = store.take().await;
    assert_eq!(trigger(&store, None).await.state, TickState::Waiting);
    store.is(first, ExecutionState::Cancelling).await;
    assert!(!store.snapshot(first).await.cancel_reason.must().is_empty());
    let newest = trigger(&store, None).await;
    assert_eq!((newest.state, kept(&store, "s").await.waiting), (TickState::Waiting, 1));
    // It waits until nobody holds the other any more.
    store.sweep().await;
    store.idle().await;
    let late = store.say(&task, Commands::default(), completed("1")).await;
    assert_eq!(late, Verdict::Cancelled);
    store.until_execution(first, ExecutionState::Cancelled).await;
    store.sweep().await;
    assert_eq!(store.take().await.task.execution_id, execution_of(&store, newest.at).await);
    let states: Vec<TickState> = kept(&store, "s").await.last.iter().map(|tick| tick.state).collect();
    assert_eq!(states, [TickState::Started, TickState::Skipped, TickState::Started]);
}

async fn a_pause_starts_nothing(store: Store) {
    store.worker("w", &["f"]).await;
    if !put(&store, vec![schedule("s", When::Every(OFTEN))]).await {
        return;
    }
    change(&store, ScheduleChange::Pause { note: Some("holidays".to_owned()) }).await;
    let paused = kept(&store, "s").await;
    assert_eq!((paused.next_at, paused.next.len(), paused.pause_note.as_deref()), (None, 0, Some("holidays")));
    assert_eq!(store.backend.sweep("w").await.must().next_due, None);
    // Put again it stays so.
    let other = Schedule { args: "[2]".into(), ..schedule("s", When::Every(OFTEN)) };
    assert!(put(&store, vec![other]).await);
    assert_eq!(kept(&store, "s").await.paused_at, paused.paused_at);
    let counts = store.backend.stats().await.must().schedules;
    assert_eq!((counts.active, counts.paused), (0, 1));
    let tick = trigger(&store, None).await;
    assert_eq!((tick.kind, tick.state), (TickKind::Triggered, TickState::Started));
    store.complete(&store.take().await, "1").await;
    change(&store, ScheduleChange::Resume).await;
    let resumed = kept(&store, "s").await;
    assert!(resumed.paused_at.is_none() && resumed.next_at.must() > tick.at);
    store.until("it has ticked", async |store| executions(store).await.len() == 2).await;
}

async fn a_schedule_that_is_put_again_goes_on(store: Store) {
    if !put(&store, vec![schedule("s", When::Every(HOUR))]).await {
        return;
    }
    let before = kept(&store, "s").await;
    assert!(put(&store, vec![schedule("s", When::Every(HOUR))]).await);
    assert_eq!(kept(&store, "s").await, before);
    assert!(put(&store, vec![Schedule { args: "[1]".into(), ..schedule("s", When::Every(HOUR)) }]).await);
    let changed = kept(&store, "s").await;
    assert!(changed.updated_at > before.updated_at && changed.created_at == before.created_at);
    assert_eq!(changed.next_at, before.next_at);
    assert!(put(&store, vec![never("s")]).await);
    assert_eq!(kept(&store, "s").await.next_at, Some(NEVER.parse().must()));
    let over = Schedule { end: Some(Timestamp::from_micros(1)), ..schedule("s", When::Every(HOUR)) };
    assert!(put(&store, vec![over]).await);
    assert_eq!((kept(&store, "s").await.next_at, kept(&store, "s").await.next), (None, Vec::new()));
    let twice = vec![never("a"), never("a")];
    let refused = store.backend.put_schedules(PutSchedules { schedules: twice, only_of: None }).await;
    is_status(refused, Status::Invalid, "twice");
}

async fn an_owner_removes_what_it_has_no_more(store: Store) {
    let of = |name: &str, owner: &str| Schedule { owner: Some(owner.to_owned()), ..never(name) };
    let first = vec![of("a", "app"), of("b", "app"), of("c", "other"), never("d")];
    if !put(&store, first).await {
        return;
    }
    let now = PutSchedules { schedules: vec![of("b", "app"), of("e", "app")], only_of: Some("app".to_owned()) };
    store.backend.put_schedules(now).await.must();
    let names = async |filter| -> Vec<String> {
        store.backend.schedules(filter).await.must().into_iter().map(|kept| kept.schedule.name).collect()
    };
    assert_eq!(names(ScheduleFilter::default()).await, ["b", "c", "d", "e"]);
    let of_app = ScheduleFilter { owner: Some("app".to_owned()), ..ScheduleFilter::default() };
    assert_eq!(names(of_app).await, ["b", "e"]);
    let page = ScheduleFilter { after: Some("b".to_owned()), limit: 2, ..ScheduleFilter::default() };
    assert_eq!(names(page).await, ["c", "d"]);
    let of_none = ScheduleFilter { function: Some("g".to_owned()), ..ScheduleFilter::default() };
    assert!(names(of_none).await.is_empty());
}

async fn what_is_over_is_filled_in_once(store: Store) {
    store.worker("w", &["f"]).await;
    if !put(&store, vec![schedule("s", When::Every(HOUR))]).await {
        return;
    }
    let next = kept(&store, "s").await.next_at.must();
    let now = trigger(&store, None).await.at;
    store.complete(&store.take().await, "1").await;
    let hours = |count: u32| next.before(HOUR * count);
    let backfill =
        |from, to, overlap| store.backend.change_schedule("s", ScheduleChange::Backfill { from, to, overlap });
    let made = backfill(hours(3), now, Overlap::QueueAll).await.must();
    let states: Vec<TickState> = made.iter().map(|tick| tick.state).collect();
    assert_eq!(states, [TickState::Started, TickState::Waiting, TickState::Waiting]);
    assert_eq!(made.iter().map(|tick| tick.at).collect::<Vec<_>>(), [hours(3), hours(2), hours(1)]);
    assert!(made.iter().all(|tick| tick.kind == TickKind::Backfilled));
    // What was started or waits is left.
    let again = backfill(hours(4), now, Overlap::QueueAll).await.must();
    assert_eq!(again.iter().map(|tick| tick.at).collect::<Vec<_>>(), [hours(4)]);
    for at in [hours(3), hours(4), hours(2), hours(1)] {
        let task = store.take().await;
        assert_eq!(task.task.execution_id, execution_of(&store, at).await);
        store.complete(&task, "1").await;
        store.sweep().await;
    }
    assert_eq!(backfill(hours(4), now, Overlap::Allow).await.must(), []);
    assert_eq!(kept(&store, "s").await.next_at, Some(next));
    is_status(backfill(hours(2000), now, Overlap::Allow).await, Status::Invalid, "");
    is_status(backfill(now, next.after(HOUR), Overlap::Allow).await, Status::Invalid, "");
    assert_eq!(executions(&store).await.len(), 5);
}

async fn what_is_deleted_starts_nothing(store: Store) {
    store.worker("w", &["f"]).await;
    if !put(&store, vec![schedule("s", When::Every(OFTEN))]).await {
        return;
    }
    change(&store, ScheduleChange::Delete).await;
    assert_eq!(store.backend.sweep("w").await.must().next_due, None);
    assert_eq!(store.backend.schedules(ScheduleFilter::default()).await.must(), []);
    for asked in [
        ScheduleChange::Delete,
        ScheduleChange::Pause { note: None },
        ScheduleChange::Resume,
        ScheduleChange::Trigger { overlap: None },
    ] {
        is_status(store.backend.change_schedule("s", asked).await, Status::NotFound, "");
    }
    store.idle().await;
}

async fn a_tick_stays_started_though_its_schedule_is_made_anew(store: Store) {
    store.worker("w", &["f"]).await;
    if !put(&store, vec![schedule("s", When::Every(HOUR))]).await {
        return;
    }
    let at = kept(&store, "s").await.next_at.must().before(HOUR);
    let fill = || ScheduleChange::Backfill { from: at, to: at, overlap: Overlap::Allow };
    let first = only(change(&store, fill()).await);
    assert_eq!((first.at, first.state), (at, TickState::Started));
    store.complete(&store.take().await, "1").await;
    change(&store, ScheduleChange::Delete).await;
    assert!(put(&store, vec![schedule("s", When::Every(HOUR))]).await);
    assert_eq!(kept(&store, "s").await.last, []);
    change(&store, fill()).await;
    store.idle().await;
    assert_eq!(executions(&store).await.len(), 1);
}

async fn what_became_of_ticks_is_told(store: Store) {
    store.worker("w", &["f"]).await;
    if !put(&store, vec![Schedule { overlap: Overlap::QueueOne, ..schedule("s", When::Every(OFTEN)) }]).await {
        return;
    }
    let mut counts = TickCounts::default();
    let start = Instant::now();
    while counts.skipped == 0 {
        assert!(start.elapsed() < SOON, "none is left out: {counts:?}");
        let swept = store.backend.sweep("w").await.must();
        swept.ticks.all().into_iter().for_each(|(state, count)| counts.add(state, count));
    }
    assert_eq!((counts.started, counts.waiting, counts.missed), (1, 1, 0));
    change(&store, ScheduleChange::Pause { note: None }).await;
    store.complete(&store.take().await, "1").await;
    let ticks = store.backend.sweep("w").await.must().ticks;
    assert_eq!(ticks, TickCounts { started: 1, ..TickCounts::default() });
}
