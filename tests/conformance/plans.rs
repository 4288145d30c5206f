//! How SQLite carries the statements out: every one of them prepares, and those that are asked all the time look at
//! nothing but what they need.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Executor as _, Row as _, SqlSafeStr as _, SqliteConnection};

use crate::house::*;
use crate::places::*;
use crate::sqlite::beside;

fn statement(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend/sqlite/sql");
    fs::read_to_string(folder.join(format!("{name}.sql"))).unwrap()
}

/// What `EXPLAIN QUERY PLAN` says, a line for each step.
async fn plan(conn: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let rows = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(conn).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail")).collect()
}

#[test]
fn every_statement_prepares() {
    run(Place::SqliteFile, async |store: Store| {
        let mut conn = beside(&store).await;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend/sqlite/sql");
        let mut seen = 0;
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            // It calls a function of the extension's, whose tests run it.
            if path.ends_with("apply.sql") {
                continue;
            }
            let sql = fs::read_to_string(&path).unwrap();
            conn.prepare(AssertSqlSafe(sql).into_sql_str())
                .await
                .unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            seen += 1;
        }
        assert!(seen > 100);
    });
}

/// A table is read from end to end: `SCAN tasks`, but not `SCAN tasks USING INDEX`, and not of a batch's JSON or a pragma's
/// answer.
fn is_scan(step: &str) -> bool {
    let tables = ["tasks", "executions", "signals", "waits", "t", "e", "s", "w", "c", "r"];
    tables.iter().any(|table| {
        let other = step.contains("USING") || step.contains("VIRTUAL TABLE");
        step == format!("SCAN {table}") || (step.starts_with(&format!("SCAN {table} ")) && !other)
    })
}

/// The statements of the engine's loop, and the indexes that each must go by.
const GROWTH: &[(&str, &[&str])] = &[
    ("tasks_claim", &["tasks_ready"]),
    ("tasks_best", &["tasks_ready"]),
    ("tasks_count_limited", &["tasks_limited"]),
    ("tasks_due", &["tasks_due"]),
    ("tasks_leases_ended", &["tasks_leased"]),
    ("due_next", &["tasks_due", "tasks_leased", "executions_by_expiry", "tasks_parked", "executions_ending"]),
    ("due_next", &["executions_cleaning"]),
    ("executions_cleanup_over", &["executions_cleaning"]),
    ("executions_clean_up", &["tasks_leased"]),
    ("tasks_rest", &[]),
    ("tasks_undelivered", &["tasks_journal"]),
    ("tasks_clean_up", &["tasks_journal"]),
    ("executions_expire", &["executions_by_expiry"]),
    ("executions_closable", &["executions_ending", "tasks_leased"]),
    ("journals", &["tasks_journal"]),
    ("tasks_arrived_since", &["tasks_journal"]),
    ("tasks_cancel_below", &["tasks_journal"]),
    ("tasks_unpark", &["tasks_parked"]),
    ("tasks_leave_lane", &["tasks_ready"]),
    ("tasks_joining", &["tasks_joining"]),
    ("signal_take", &["signals_in_order"]),
    ("signal_wait_oldest", &["tasks_awaiting_signals"]),
    ("signal_waits_unseen", &["tasks_journal"]),
    ("tasks_move", &[]),
    ("tasks_end", &[]),
    ("tasks_wake", &[]),
    ("tasks_renew", &[]),
    ("tasks_ready", &[]),
    ("tasks_retry", &[]),
    ("tasks_standing", &[]),
    ("tasks_get", &[]),
    ("waits_get", &[]),
    ("waits_save", &[]),
    ("executions_start", &[]),
    ("executions_end", &[]),
    ("executions_roots", &[]),
    ("executions_tasks", &["tasks_by_execution"]),
    ("tasks_expected", &["tasks_journal"]),
    ("tasks_circle", &[]),
    ("executions_over", &[]),
    ("executions_list_old", &["executions_by_completion", "dead_letters_by_execution"]),
    ("executions_count_old", &["executions_by_completion", "dead_letters_by_execution"]),
    ("tasks_find", &["sqlite_autoindex_tasks_1"]),
    ("signals_list", &["signals_in_order"]),
    ("slot_waits", &["tasks_by_execution", "tasks_slots"]),
    ("rate_waits", &["tasks_by_execution"]),
    ("slots_waiting", &["tasks_slots"]),
    ("health", &["tasks_leased", "tasks_parked", "tasks_due", "executions_ending"]),
    ("tasks_at_hand", &["tasks_leased", "tasks_due", "tasks_parked"]),
    ("functions_unserved", &["tasks_ready"]),
];

#[test]
fn what_is_asked_all_the_time_goes_by_an_index() {
    run(Place::SqliteFile, async |store: Store| {
        let mut conn = beside(&store).await;
        for (name, indexes) in GROWTH {
            let steps = plan(&mut conn, &statement(name)).await;
            let shown = steps.join("\n");
            assert!(!steps.iter().any(|step| is_scan(step)), "{name}.sql reads a table from end to end:\n{shown}");
            for index in *indexes {
                assert!(steps.iter().any(|step| step.contains(index)), "{name}.sql does not go by {index}:\n{shown}");
            }
        }
    });
}

/// The best of a lane are read in the index's own order: a backlog behind them is not sorted, nor looked at.
#[test]
fn a_backlog_is_not_sorted_by_a_claim() {
    run(Place::SqliteFile, async |store: Store| {
        let mut conn = beside(&store).await;
        let claim = statement("tasks_claim");
        // What is asked for one lane, of which the statement has a list.
        let (_, rest) = claim.split_once("c.rowid IN (").unwrap();
        let (one_lane, _) = rest.split_once(")\n    ORDER BY c.priority").unwrap();
        let one_lane = &one_lane.replace("l.value", "?1");
        let steps = plan(&mut conn, one_lane).await;
        assert!(
            steps.iter().any(|step| step.starts_with("SEARCH t USING") && step.contains("tasks_ready (lane=?)")),
            "{steps:?}"
        );
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
    });
}

/// Instructions of SQLite's machine, in thousands, that a statement takes with these values.
async fn thousands(conn: &mut SqliteConnection, sql: &str, values: &[&str]) -> (usize, Vec<SqliteRow>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    conn.lock_handle().await.unwrap().set_progress_handler(1000, move || {
        counted.fetch_add(1, SeqCst);
        true
    });
    let query =
        values.iter().fold(sqlx::query(AssertSqlSafe(sql.to_owned())), |query, value| query.bind(value.to_string()));
    let rows = query.fetch_all(&mut *conn).await.unwrap();
    conn.lock_handle().await.unwrap().remove_progress_handler();
    (count.load(SeqCst), rows)
}

/// Who waits for a slot of a key is not looked at: neither when one is given back, nor when one more comes.
#[test]
fn a_slot_is_given_without_a_look_at_who_waits() {
    run(Place::SqliteFile, async |store: Store| {
        let mut conn = beside(&store).await;
        let many = "
            INSERT INTO functions (name, max_concurrent_per_key) VALUES ('f', 1);
            WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100000)
            INSERT INTO tasks (id, execution_id, lane, route, created_at, state, kind, step_name, concurrency_key)
            SELECT randomblob(16), x'07', 1, 1, n, 'pending', 'activity', 'f', 'a' FROM s";
        let of =
            "SELECT count(*) FROM tasks WHERE slot = 1 UNION ALL SELECT count(*) FROM tasks WHERE lane IS NOT NULL";
        for before in [many, "ANALYZE"] {
            sqlx::raw_sql(AssertSqlSafe(before)).execute(&mut conn).await.unwrap();
            for sql in [
                "UPDATE tasks SET state = 'completed', lane = NULL
                 WHERE step_name = 'f' AND concurrency_key = 'a' AND slot = 1",
                "INSERT INTO tasks (id, execution_id, lane, route, created_at, state, kind, step_name, concurrency_key)
                 VALUES (randomblob(16), x'07', 1, 1, 7, 'pending', 'activity', 'f', 'a')",
            ] {
                let (thousands, _) = thousands(&mut conn, sql, &[]).await;
                assert!(thousands < 5, "{thousands} thousands of instructions, after {before}: {sql}");
                let held = sqlx::raw_sql(of).fetch_all(&mut conn).await.unwrap();
                assert!(held.iter().all(|row| row.get::<i64, _>(0) == 1), "one has the slot");
            }
        }
    });
}

/// Nor is what waits in a queue that is shared out, when one more comes.
#[test]
fn a_place_is_given_without_a_look_at_what_waits() {
    run(Place::SqliteFile, async |store: Store| {
        let mut conn = beside(&store).await;
        let many = "
            INSERT INTO routes (id, function) VALUES (1, 'f'), (2, 'g'), (3, '');
            WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100000)
            INSERT INTO tasks (id, execution_id, lane, route, created_at, state, kind, step_name, fairness_key)
            SELECT randomblob(16), x'07', 1, 1, n, 'pending', 'activity', 'f', CASE WHEN n % 2 = 0 THEN 'a' ELSE n END FROM s";
        for before in [many, "ANALYZE"] {
            sqlx::raw_sql(AssertSqlSafe(before)).execute(&mut conn).await.unwrap();
            for (lane, key) in [(1, "a"), (1, "7"), (1, "new"), (2, "new")] {
                let sql = format!(
                    "INSERT INTO tasks (id, execution_id, lane, route, created_at, state, kind, step_name, fairness_key)
                     VALUES (randomblob(16), x'07', {lane}, {lane}, 7, 'pending', 'activity', 'f', '{key}')"
                );
                let (thousands, _) = thousands(&mut conn, &sql, &[]).await;
                assert!(thousands < 5, "{thousands} thousands of instructions, after {before}: {sql}");
            }
            let placed = "SELECT count(*) FROM tasks WHERE shared_at IS NULL";
            let held = sqlx::raw_sql(placed).fetch_all(&mut conn).await.unwrap();
            assert!(held.iter().all(|row| row.get::<i64, _>(0) == 0), "all have a place");
        }
    });
}

/// Nor is who waits for a token: neither when one starts, nor when the next token comes.
#[test]
fn a_token_is_given_without_a_look_at_who_waits() {
    run(Place::SqliteFile, async |store: Store| {
        let mut conn = beside(&store).await;
        let many = "
            INSERT INTO functions (name, key_interval, key_burst) VALUES ('f', 3600000000, 1);
            WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100000)
            INSERT INTO tasks (id, execution_id, lane, route, created_at, state, kind, step_name, concurrency_key)
            SELECT randomblob(16), x'07', 1, 1, n, 'pending', 'activity', 'f', 'a' FROM s";
        let of =
            "SELECT count(*) FROM tasks WHERE slot = 3 UNION ALL SELECT count(*) FROM tasks WHERE lane IS NOT NULL";
        for before in [many, "ANALYZE"] {
            sqlx::raw_sql(AssertSqlSafe(before)).execute(&mut conn).await.unwrap();
            for (sql, ready) in [
                (
                    "UPDATE tasks SET state = 'running', lane = NULL, started_at = unixepoch() * 1000000
                     WHERE step_name = 'f' AND concurrency_key = 'a' AND slot = 3",
                    0,
                ),
                ("INSERT INTO slots_to_fill (function, concurrency_key) VALUES ('f', 'a')", 0),
                ("UPDATE key_rates SET full_at = 0", 0),
                ("INSERT INTO slots_to_fill (function, concurrency_key) VALUES ('f', 'a')", 1),
            ] {
                let (thousands, _) = thousands(&mut conn, sql, &[]).await;
                assert!(thousands < 5, "{thousands} thousands of instructions, after {before}: {sql}");
                let held = sqlx::raw_sql(of).fetch_all(&mut conn).await.unwrap();
                assert!(held.iter().all(|row| row.get::<i64, _>(0) == ready), "{ready} may start: {sql}");
            }
        }
    });
}

/// A worker of limited functions pays nothing for what is there for others, be it ready or running.
#[test]
fn a_claim_of_limited_functions_reads_nothing_of_others() {
    run(Place::SqliteFile, async |store: Store| {
        let mut conn = beside(&store).await;
        let elsewhere = "
            INSERT INTO executions (id, root_function, state, created_at) VALUES (x'07', 'f', 'running', 1);
            WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100000)
            INSERT INTO tasks (id, execution_id, lane, route, created_at, state, kind, step_name, limited, lease_boot, lease_until)
            SELECT
                randomblob(16), x'07', CASE WHEN n > 50000 THEN 1 + n % 3 END, 1 + n % 3, n,
                CASE WHEN n > 50000 THEN 'pending' ELSE 'running' END, 'activity', 'other',
                CASE WHEN n <= 50000 THEN 1 END, CASE WHEN n <= 50000 THEN 1 END, CASE WHEN n <= 50000 THEN 1000 END
            FROM s;
            WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 5)
            INSERT INTO tasks (id, execution_id, lane, route, created_at, state, kind, step_name)
            SELECT randomblob(16), x'07', 7, 7, n, 'pending', 'activity', 'ours' FROM s";
        for before in [elsewhere, "ANALYZE"] {
            sqlx::raw_sql(AssertSqlSafe(before)).execute(&mut conn).await.unwrap();
            for (name, index, values, found) in [
                ("tasks_best", "tasks_ready", &["[7]", "8", "8"][..], 5),
                ("tasks_count_limited", "tasks_limited", &["[\"ours\"]", "", "1", "0"], 0),
            ] {
                let steps = plan(&mut conn, &statement(name)).await;
                assert!(!steps.iter().any(|step| is_scan(step)), "{name}, after {before}: {steps:#?}");
                assert!(steps.iter().any(|step| step.contains(index)), "{name}, after {before}: {steps:#?}");
                let (thousands, rows) = thousands(&mut conn, &statement(name), values).await;
                assert_eq!(rows.len(), found, "{name}");
                assert!(
                    thousands < 10,
                    "{name} takes {thousands} thousands of instructions, after {before}: {steps:#?}"
                );
            }
        }
    });
}
