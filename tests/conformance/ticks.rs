//! Schedules when something goes wrong: hours without anybody, a tick that breaks off half written, a schedule that can't be
//! read. Their rows are changed beside the store.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor as _};
use stent::backend::{ExecutionFilter, KeptSchedule, PutSchedules, ScheduleFilter, TickCounts};
use stent::model::{Id, Overlap, Schedule, TickState, Timestamp, When, tick_id};

use crate::house::*;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod on {
            $(mod $case {
                #[test]
                fn sqlite() {
                    crate::places::run(crate::places::Place::SqliteFile, super::super::$case);
                }

                #[test]
                fn postgres() {
                    crate::places::run(crate::places::Place::Postgres, super::super::$case);
                }
            })*
        }
    };
}

on_both! {
    hours_without_anybody_are_one_line_and_the_last_ones_are_caught_up,
    a_tick_that_breaks_off_has_started_nothing,
    what_can_t_be_read_stops_nobody_else,
}

fn is_postgres(store: &Store) -> bool {
    store.path().starts_with("postgresql:")
}

/// In the words of the database.
async fn change(store: &Store, sqlite: &str, postgres: &str) {
    if is_postgres(store) {
        crate::server::beside(store.path()).await.execute(sqlx::raw_sql(AssertSqlSafe(postgres))).await.unwrap();
    } else {
        crate::sqlite::beside(store).await.execute(sqlx::raw_sql(AssertSqlSafe(sqlite))).await.unwrap();
    }
}

/// As if the schedule had come to its tick so many seconds ago.
async fn set_back(store: &Store, name: &str, seconds: i64) {
    let micros = seconds * 1_000_000;
    let (less, interval) = (format!("- {micros}"), format!("- interval '{seconds} seconds'"));
    let set = |less: &str| {
        format!("UPDATE schedules SET next_at = next_at {less}, due_at = next_at {less} WHERE name = '{name}'")
    };
    change(store, &set(&less), &set(&interval)).await;
}

async fn put(store: &Store, schedules: Vec<Schedule>) {
    store.backend.put_schedules(PutSchedules { schedules, only_of: None }).await.unwrap();
}

async fn kept(store: &Store, name: &str) -> KeptSchedule {
    let filter = ScheduleFilter { name: Some(name.to_owned()), last: 100, ..ScheduleFilter::default() };
    only(store.backend.schedules(filter).await.unwrap())
}

/// No tick but the one that a case sets back is due while it runs.
fn daily(name: &str) -> Schedule {
    Schedule { overlap: Overlap::Allow, catch_up: 2 * DAY, ..Schedule::new(name, "f", When::Every(DAY)) }
}

async fn executions(store: &Store) -> Vec<Id> {
    let filter = ExecutionFilter { limit: 1000, ..ExecutionFilter::default() };
    let mut ids: Vec<Id> = store.backend.list(filter).await.unwrap().into_iter().map(|found| found.id).collect();
    ids.sort_unstable();
    ids
}

async fn hours_without_anybody_are_one_line_and_the_last_ones_are_caught_up(store: Store) {
    store.worker("w", &["f"]).await;
    let minutely = Schedule::new("s", "f", When::Every(MINUTE));
    put(&store, vec![Schedule { overlap: Overlap::Allow, catch_up: 5 * MINUTE, ..minutely }]).await;
    let next = kept(&store, "s").await.next_at.unwrap();
    // The next tick was three hours ago, and the store was away since.
    set_back(&store, "s", 3 * 3600).await;
    let counts = store.backend.sweep("w").await.unwrap().ticks;
    let told = kept(&store, "s").await;
    let first = next.before(Duration::from_secs(3 * 3600));
    let (missed, started): (Vec<_>, Vec<_>) = told.last.iter().partition(|tick| tick.state == TickState::Missed);
    assert_eq!(missed.iter().map(|tick| tick.at).collect::<Vec<_>>(), [first]);
    assert!(started.iter().all(|tick| tick.state == TickState::Started), "{started:?}");
    // Five minutes hold five or six of them, and those of the grace.
    assert!((5..=6).contains(&started.len()), "{started:?}");
    assert_eq!((counts.missed, counts.started), (1, started.len() as u64));
    let times: Vec<Timestamp> = started.iter().rev().map(|tick| tick.at).collect();
    assert!(times.windows(2).all(|two| two[1].since(two[0]) == MINUTE), "{times:?}");
    assert_eq!(times.last().unwrap().after(MINUTE), told.next_at.unwrap());
    assert_eq!(executions(&store).await.len(), started.len());
}

/// Each write of a tick's transaction, as if the process had ended before it or behind.
async fn a_tick_that_breaks_off_has_started_nothing(store: Store) {
    store.worker("w", &["f"]).await;
    put(&store, vec![daily("s")]).await;
    let at = kept(&store, "s").await.next_at.unwrap().before(DAY);
    set_back(&store, "s", 86_400).await;
    let broken =
        "CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'it breaks off'; END $$";
    change(&store, "SELECT 1", broken).await;
    let before = kept(&store, "s").await;
    for write in ["INSERT ON executions", "INSERT ON tasks", "INSERT ON schedule_ticks", "UPDATE ON schedules"] {
        for moment in ["BEFORE", "AFTER"] {
            change(
                &store,
                &format!("CREATE TRIGGER break_off {moment} {write} BEGIN SELECT RAISE(ABORT, 'it breaks off'); END"),
                &format!("CREATE TRIGGER break_off {moment} {write} FOR EACH ROW EXECUTE FUNCTION break_off()"),
            )
            .await;
            let why = store.backend.sweep("w").await.unwrap_err();
            assert!(why.message().contains("breaks off"), "{moment} {write}: {why}");
            let table = write.split(' ').next_back().unwrap();
            change(&store, "DROP TRIGGER break_off", &format!("DROP TRIGGER break_off ON {table}")).await;
            assert_eq!(kept(&store, "s").await, before, "{moment} {write}");
            assert!(executions(&store).await.is_empty(), "{moment} {write}");
        }
    }
    store.backend.sweep("w").await.unwrap();
    assert_eq!(executions(&store).await, [tick_id("s", at)]);
    store.backend.sweep("w").await.unwrap();
    assert_eq!(executions(&store).await, [tick_id("s", at)]);
    assert_eq!(only(kept(&store, "s").await.last).state, TickState::Started);
}

/// A newer library's schedule, for one.
async fn what_can_t_be_read_stops_nobody_else(store: Store) {
    store.worker("w", &["f"]).await;
    put(&store, vec![daily("new"), daily("old")]).await;
    let write = |document: &str| {
        let set = |bytes: &str| format!("UPDATE schedules SET document = {bytes} WHERE name = 'new'");
        (set(&format!("CAST('{document}' AS BLOB)")), set(&format!("convert_to('{document}', 'UTF8')")))
    };
    let (sqlite, postgres) = write(r#"{"name":"new","function":"f","moon":"full"}"#);
    change(&store, &sqlite, &postgres).await;
    for name in ["new", "old"] {
        set_back(&store, name, 86_400).await;
    }
    let swept = store.backend.sweep("w").await.unwrap();
    assert_eq!(swept.ticks, TickCounts { started: 1, ..TickCounts::default() });
    assert!(swept.next_due.unwrap() <= MINUTE && !swept.more, "{swept:?}");
    assert_eq!(only(kept(&store, "old").await.last).state, TickState::Started);
    let told = kept(&store, "new").await;
    assert!(told.trouble.as_ref().unwrap().contains("moon") && told.last.is_empty(), "{told:?}");
    let counts = store.backend.stats().await.unwrap().schedules;
    assert_eq!((counts.active, counts.broken), (1, 1));
    // It is not due for a minute: it is looked at again, and not all the time.
    let again = store.backend.sweep("w").await.unwrap();
    assert_eq!((again.changed, again.more), (0, false));
    assert!(again.next_due.unwrap() > Duration::ZERO);
    // Whoever can read it starts it, and it is whole again.
    let (sqlite, postgres) = write(r#"{"name":"new","function":"f","every":86400,"catch_up":172800}"#);
    change(&store, &sqlite, &postgres).await;
    let due = |now: &str| format!("UPDATE schedules SET due_at = {now} WHERE name = 'new'");
    change(&store, &due("1"), &due("now()")).await;
    assert_eq!(store.backend.sweep("w").await.unwrap().ticks.started, 1);
    let told = kept(&store, "new").await;
    assert_eq!((told.trouble, only(told.last).state), (None, TickState::Started));
    assert_eq!(store.backend.stats().await.unwrap().schedules.broken, 0);
}
