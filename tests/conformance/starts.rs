//! PostgreSQL: an execution that runs is told by its root, and no row of its own says so.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};
use stent::backend::{ExecutionFilter, Fenced, Parcel, Request};
use stent::codec;
use stent::model::{DispatchOptions, ExecutionState, TaskOptions, Timestamp, WaitMode};

use crate::house::*;
use crate::places::at;
use crate::server::{beside, on_new, statement};

/// A start is written to the root's row alone, and told by whoever is asked.
#[test]
fn what_runs_is_told_without_a_row_of_its_own() {
    on_new(async |url| {
        let store = at(&url).await;
        store.worker("w", &["root"]).await;
        let (root, other) = (store.root("root").await, store.root("root").await);
        let waiting = store.start("root").await;
        let mut conn = beside(&url).await;
        let sql = "SELECT count(*) FROM executions WHERE state = 'pending' AND started_at IS NULL";
        let written: i64 = conn.fetch_one(sqlx::raw_sql(sql)).await.unwrap().get(0);
        assert_eq!(written, 3);
        let since = root.task.started_at;
        let id = root.task.execution_id;
        for told in [store.execution(id).await, store.snapshot(id).await.execution] {
            assert_eq!((told.state, told.started_at), (ExecutionState::Running, since));
        }
        let stats = store.backend.stats().await.unwrap().executions;
        assert_eq!((stats.get("running"), stats.get("pending")), (Some(&2), Some(&1)));
        let list = async |state| {
            let filter = ExecutionFilter { state: Some(state), limit: 10, ..ExecutionFilter::default() };
            store.backend.list(filter).await.unwrap()
        };
        assert_eq!(list(ExecutionState::Running).await.len(), 2);
        let pending = list(ExecutionState::Pending).await;
        assert_eq!(pending.iter().map(|execution| execution.id).collect::<Vec<_>>(), [waiting]);
        // It stays so when the attempt is over, and when the execution is.
        store.release(&root).await;
        let again = store.claim("w", 1).await.remove(0);
        assert_eq!(again.task.execution_id, id);
        store.complete(&again, "1").await;
        let told = store.execution(id).await;
        assert_eq!((told.state, told.started_at), (ExecutionState::Completed, since));
        let id = other.task.execution_id;
        store.backend.cancel(id, None).await.unwrap();
        let told = store.execution(id).await;
        assert_eq!((told.state, told.started_at), (ExecutionState::Cancelling, other.task.started_at));
    });
}

/// What a tool writes over an execution's record is what is read, whatever its root had said.
#[test]
fn a_record_that_is_written_over_tells_its_own_start() {
    on_new(async |url| {
        let store = at(&url).await;
        store.worker("w", &["root"]).await;
        let root = store.root("root").await;
        let id = root.task.execution_id;
        let mut record = store.execution(id).await;
        for (state, started_at) in [
            (ExecutionState::Pending, Some(record.created_at)),
            (ExecutionState::Pending, None),
            (ExecutionState::Running, None),
            (ExecutionState::Running, Some(record.created_at)),
            (ExecutionState::Running, None),
        ] {
            (record.state, record.started_at) = (state, started_at);
            store.backend.call(Request::UpdateExecution { execution: record.clone() }).await.unwrap();
            let told = store.execution(id).await;
            assert_eq!((told.state, told.started_at), (state, started_at));
        }
        store.complete(&root, "1").await;
        let told = store.execution(id).await;
        assert_eq!((told.state, told.started_at), (ExecutionState::Completed, None));
        // Nor does it say so of one that a tool ends.
        let mut record = store.execution(store.root("root").await.task.execution_id).await;
        (record.state, record.started_at) = (ExecutionState::Completed, None);
        store.backend.call(Request::UpdateExecution { execution: record.clone() }).await.unwrap();
        let told = store.execution(record.id).await;
        assert_eq!((told.state, told.started_at), (ExecutionState::Completed, None));
    });
}

/// An older library, which runs beside this one until it is replaced, ends an execution without a word of its start.
#[test]
fn one_that_an_older_library_has_ended_still_tells_its_start() {
    on_new(async |url| {
        let store = at(&url).await;
        store.worker("w", &["root"]).await;
        let root = store.root("root").await;
        let mut conn = beside(&url).await;
        conn.execute("UPDATE executions SET state = 'completed', completed_at = now()").await.unwrap();
        let told = store.execution(root.task.execution_id).await;
        assert_eq!((told.state, told.started_at), (ExecutionState::Completed, root.task.started_at));
    });
}

/// What has become due on the way is due when it arrives: whoever has looked at what was due before that need not look
/// again.
#[test]
fn what_is_imported_late_is_due_at_once() {
    on_new(async |url| {
        let store = at(&url).await;
        store.worker("w", &["root"]).await;
        let options = DispatchOptions { expiry: Some(Duration::from_secs(3600)), ..DispatchOptions::default() };
        store.start_with("root", "[]", options).await.unwrap();
        let root = store.take().await;
        let id = root.task.execution_id;
        store.suspend(&root, spawns([timer(&root, 1, Duration::from_secs(60))]), WaitMode::All, &[1], 0).await;
        let line = store.backend.export(id, false).await.unwrap().line;
        store.backend.settle(id, Fenced::LetGo).await.unwrap();
        let mut parcel: Parcel = codec::from_json("line", &line).unwrap();
        let long_ago = Timestamp::from_micros(parcel.execution.created_at.micros() - 86_400_000_000);
        parcel.moves += 1;
        parcel.execution.expiry_at = Some(long_ago);
        for of in parcel.tasks.iter_mut().filter(|of| of.due_at.is_some()) {
            of.due_at = Some(long_ago);
        }
        let mut conn = beside(&url).await;
        let before = number(&mut conn, "SELECT (extract(epoch FROM now()) * 1000000)::bigint").await;
        store.backend.import(parcel).await.unwrap();
        for table in ["tasks", "executions"] {
            let sql = format!("SELECT (extract(epoch FROM min(due_at)) * 1000000)::bigint FROM {table}");
            assert!(number(&mut conn, &sql).await >= before, "{table}");
        }
        store
            .until("it is given up", async |store| {
                store.sweep().await;
                store.execution(id).await.state == ExecutionState::TimedOut
            })
            .await;
        assert_eq!(store.execution(id).await.expiry_at, Some(long_ago));
    });
}

/// An attempt that suspends when its time is over is due then, and not before.
#[test]
fn what_suspends_too_late_is_due_at_once() {
    on_new(async |url| {
        let store = at(&url).await;
        store.worker("w", &["root"]).await;
        let task = TaskOptions { timeout: Some(Duration::from_secs(3600)), ..TaskOptions::default() };
        store.start_with("root", "[]", DispatchOptions { task, ..DispatchOptions::default() }).await.unwrap();
        let root = store.take().await;
        let mut conn = beside(&url).await;
        conn.execute("UPDATE tasks SET deadline_at = now() - interval '1 day'").await.unwrap();
        let before = number(&mut conn, "SELECT (extract(epoch FROM now()) * 1000000)::bigint").await;
        let spawned = spawns([timer(&root, 1, Duration::from_secs(3600))]);
        store.suspend(&root, spawned, WaitMode::All, &[1], 0).await;
        let due = "SELECT (extract(epoch FROM min(due_at)) * 1000000)::bigint FROM tasks";
        assert!(number(&mut conn, due).await >= before);
    });
}

async fn number(conn: &mut PgConnection, sql: &str) -> i64 {
    conn.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap().get(0)
}

/// A cancel does not see the claim that is not committed yet, and waits for it later on: the execution did start.
#[test]
fn a_start_beside_a_cancel_is_told() {
    on_new(async |url| {
        let store = at(&url).await;
        store.worker("w", &["root"]).await;
        let id = store.start("root").await;
        let mut conn = beside(&url).await;
        let lane: i64 = conn.fetch_one("SELECT id FROM routes WHERE function = 'root'").await.unwrap().get(0);
        let claim = format!(
            "BEGIN; PREPARE it AS {};
            EXECUTE it('{{{lane}}}', '{{NULL}}', '{{{}}}', '{{NULL}}', '{{}}', 1, 'w', now(), now() + interval '1 hour', NULL, true, 1)",
            statement("tasks_claim_from"),
            i64::MAX
        );
        conn.execute(sqlx::raw_sql(AssertSqlSafe(claim))).await.unwrap();
        let backend = store.backend.clone();
        let cancel = tokio::spawn(async move { backend.cancel(id, None).await });
        let mut look = beside(&url).await;
        // Its server process waits for the claim's.
        until_waited_for(&mut look, &mut conn).await;
        conn.execute("COMMIT").await.unwrap();
        cancel.await.unwrap().unwrap();
        let told = store.execution(id).await;
        assert_eq!(told.state, ExecutionState::Cancelling);
        assert!(told.started_at.is_some());
        let root = store.tasks(id).await.remove(0);
        let sql = "UPDATE tasks SET lease_expires_at = now() - interval '1 second' WHERE lease_expires_at IS NOT NULL";
        look.execute(sql).await.unwrap();
        store.sweep().await;
        let told = store.execution(id).await;
        assert_eq!((told.state, told.started_at), (ExecutionState::Cancelled, root.started_at));
    });
}

async fn until_waited_for(look: &mut PgConnection, holder: &mut PgConnection) {
    let pid: i32 = holder.fetch_one("SELECT pg_backend_pid()").await.unwrap().get(0);
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE {pid} = ANY(pg_blocking_pids(pid))");
    for _ in 0..6_000 {
        let waiting: i64 = look.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql.clone()))).await.unwrap().get(0);
        if waiting > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody waits for the claim");
}
