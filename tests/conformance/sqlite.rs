//! What only SQLite's files show: its clock, its boots, and that nothing is left behind in a table.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, SqliteConnection};
use stent::backend::{Commands, Outcome, Request};
use stent::model::{TaskState, Timestamp};

use crate::house::*;
use crate::places::*;

/// A connection beside the store's own.
pub async fn beside(store: &Store) -> SqliteConnection {
    SqliteConnectOptions::new().filename(store.path()).connect().await.unwrap()
}

async fn change(store: &Store, sql: &str) {
    let mut conn = beside(store).await;
    let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
    assert!(done.rows_affected() > 0, "{sql}");
}

async fn count(store: &Store, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut beside(store).await).await.unwrap().get(0)
}

#[test]
fn another_boots_lease_has_ended() {
    run(Place::SqliteFile, async |store: Store| {
        store.worker("w", &["root"]).await;
        for other in ["lease_boot + 1", "lease_boot - 1"] {
            let root = store.root("root").await;
            store.sweep().await;
            assert_eq!(store.state(root.task.id).await, TaskState::Running);
            change(&store, &format!("UPDATE tasks SET lease_boot = {other} WHERE lease_boot IS NOT NULL")).await;
            assert!(store.backend.sweep("w").await.unwrap().changed > 0);
            let again = store.take().await;
            assert_eq!((again.task.id, again.crashes), (root.task.id, 1));
            store.complete(&again, "1").await;
        }
    });
}

#[test]
fn setting_the_clock_moves_no_lease() {
    run(Place::SqliteFile, async |store: Store| {
        store.worker("w", &["root"]).await;
        let root = store.root("root").await;
        // As if the clock had been set forward by years: by the wall the lease was over long ago.
        change(&store, "UPDATE tasks SET lease_expires_at = 1").await;
        store.sweep().await;
        assert_eq!(store.state(root.task.id).await, TaskState::Running);
        // And back: by the wall it has years to go.
        change(&store, &format!("UPDATE tasks SET lease_expires_at = {}, lease_until = 1", i64::MAX / 2)).await;
        store.sweep().await;
        assert_eq!(store.take().await.crashes, 1);
    });
}

#[test]
fn a_unique_key_that_means_nothing_any_more_is_deleted() {
    run(Place::SqliteFile, async |store: Store| {
        store.worker("w", &["root"]).await;
        let unique = |key: &str| stent::model::DispatchOptions { unique_key: Some(key.into()), ..Default::default() };
        for key in ["a", "b"] {
            store.start_with("root", "[]", unique(key)).await.unwrap();
            let root = store.take().await;
            store.complete(&root, "1").await;
        }
        store.start_with("root", "[]", unique("c")).await.unwrap();
        let cleanup = Request::CleanupExecutions { older_than: Timestamp::from_micros(0) };
        store.backend.call(cleanup.clone()).await.unwrap();
        assert_eq!(count(&store, "unique_keys").await, 3, "they are kept for a while");
        change(&store, "UPDATE unique_keys SET expires_at = 1 WHERE key <> 'root/a'").await;
        store.backend.call(cleanup).await.unwrap();
        assert_eq!(count(&store, "unique_keys").await, 2);
        assert_eq!(count(&store, "unique_keys WHERE key = 'root/b'").await, 0);
    });
}

/// What an older library wrote of a window is its end alone, where that is longer than a key is kept anyway.
#[test]
fn a_store_made_before_windows_were_written_keeps_what_they_answer() {
    run(Place::SqliteFile, async |store: Store| {
        store.worker("w", &["root"]).await;
        let within = |window| stent::model::DispatchOptions {
            unique_key: Some("k".into()),
            unique_for: Some(window),
            ..Default::default()
        };
        let id = store.start_with("root", "[]", within(2 * HOUR)).await.unwrap();
        let root = store.take().await;
        store.complete(&root, "1").await;
        let before = "DROP INDEX unique_keys_in_window; ALTER TABLE unique_keys DROP COLUMN window_ends_at; \
                      DROP TABLE unique_earlier; DELETE FROM stent_schema WHERE version = 20";
        sqlx::raw_sql(before).execute(&mut beside(&store).await).await.unwrap();
        let store = store.another().await;
        let older_than = Timestamp::from_micros(i64::MAX / 2);
        store.backend.call(Request::CleanupExecutions { older_than }).await.unwrap();
        assert_eq!(store.start_with("root", "[]", within(2 * HOUR)).await.unwrap(), id);
        store.is(id, stent::model::ExecutionState::Completed).await;
        assert_eq!(count(&store, "unique_earlier").await, 0);
    });
}

#[test]
fn a_cleaned_store_is_empty() {
    const TABLES: [&str; 11] = [
        "executions",
        "tasks",
        "waits",
        "signals",
        "execution_progress",
        "execution_counters",
        "execution_state",
        "unfinished_trees",
        "idempotency",
        "cache",
        "dead_letters",
    ];
    run(Place::SqliteFile, async |store: Store| {
        store.worker("w", &["root", "child"]).await;
        for end in [completed("1"), Outcome::PassUp { failure: failure() }] {
            let root = store.root("root").await;
            store.send(root.task.execution_id, "go", "1").await;
            store.hold(&root, everything(&root)).await;
            let child = store.take().await;
            store.record(&child, spawns([step(&child, 1, Ok("1"))]), completed("1")).await;
            // A run before the last one leaves nothing either.
            store.record(&root, Commands::default(), Outcome::Continue { args: "[]".into(), seen: 0 }).await;
            let root = store.take().await;
            store.hold(&root, spawns((1..1200).map(|op| timer(&root, op, HOUR)))).await;
            store.record(&root, Commands::default(), end).await;
        }
        store.sweep().await;
        let older_than = Timestamp::from_micros(i64::MAX / 2);
        store.backend.call(Request::CleanupExecutions { older_than }).await.unwrap();
        for table in TABLES {
            assert_eq!(count(&store, table).await, 0, "rows are left in {table}");
        }
    });
}
