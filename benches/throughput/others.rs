//! What the rows of others cost: the same backlogs are drained on an empty store, and beside a million executions that
//! are over, a million that are scheduled for later, and a million in a queue of which this worker takes nothing.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use stent::model::{DispatchOptions, Id, TaskOptions};

use crate::Size;
use crate::drain::{drain_activities, drain_executions};
use crate::report::{Report, thousands};
use crate::stage::{Result, Stage, noop};
use crate::stores::{Place, Store};

const BACKLOG: usize = 30_000;

/// Their ids, by numbers that no other execution has: roots have the same, with another beginning.
const SQLITE: &str = "
    WITH RECURSIVE n (n) AS (SELECT ?2 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < ?2 + ?3)
    INSERT INTO executions (id, root_task_id, root_function, state, priority, created_at, started_at, completed_at, queue,
        result)
    SELECT unhex(printf('0100%028x', n.n)), unhex(printf('0200%028x', n.n)), e.root_function, e.state, e.priority,
        e.created_at + n.n - ?2, e.started_at, e.completed_at + n.n - ?2, e.queue, e.result
    FROM executions AS e CROSS JOIN n
    WHERE e.id = ?1;
    WITH RECURSIVE n (n) AS (SELECT ?2 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < ?2 + ?3)
    INSERT INTO tasks (id, execution_id, step_name, kind, state, lane, route, priority, created_at, due_at, scheduled_for,
        fence, started_at, completed_at, queue, result)
    SELECT unhex(printf('0200%028x', n.n)), unhex(printf('0100%028x', n.n)), t.step_name, t.kind, t.state, t.lane, t.route,
        t.priority, t.created_at + n.n - ?2, t.due_at, t.scheduled_for, t.fence, t.started_at, t.completed_at, t.queue,
        t.result
    FROM tasks AS t CROSS JOIN n
    WHERE t.execution_id = ?1";

const POSTGRES: [&str; 2] = [
    "INSERT INTO executions (id, root_task_id, root_function, state, priority, created_at, started_at, completed_at, queue,
        result)
    SELECT ('0100' || lpad(to_hex(n), 28, '0'))::uuid, ('0200' || lpad(to_hex(n), 28, '0'))::uuid, e.root_function,
        e.state, e.priority, e.created_at + (n - $2) * interval '1 microsecond', e.started_at,
        e.completed_at + (n - $2) * interval '1 microsecond', e.queue, e.result
    FROM executions AS e CROSS JOIN generate_series($2::bigint, $2 + $3::bigint - 1) AS s (n)
    WHERE e.id = $1::uuid",
    "INSERT INTO tasks (id, execution_id, step_name, kind, state, lane, route, priority, created_at, due_at, scheduled_for,
        fence, started_at, completed_at, queue, result)
    SELECT ('0200' || lpad(to_hex(n), 28, '0'))::uuid, ('0100' || lpad(to_hex(n), 28, '0'))::uuid, t.step_name, t.kind,
        t.state, t.lane, t.route, t.priority, t.created_at + (n - $2) * interval '1 microsecond', t.due_at,
        t.scheduled_for, t.fence, t.started_at, t.completed_at, t.queue, t.result
    FROM tasks AS t CROSS JOIN generate_series($2::bigint, $2 + $3::bigint - 1) AS s (n)
    WHERE t.execution_id = $1::uuid",
];

pub fn run(report: &mut Report, store: &Store, size: Size) -> Result<()> {
    let count = size.of(1_000_000);
    let empty = drained(store, size, 0)?;
    let beside = drained(store, size, count)?;
    report.line(
        &format!("three times {} other executions", thousands(count as f64)),
        &format!("{:.0} s", beside.loading.as_secs_f64()),
        "to load them",
    );
    for (what, alone, loaded) in
        [("executions", empty.executions, beside.executions), ("activities", empty.activities, beside.activities)]
    {
        report.line(
            &format!("drain {} {what} beside them", thousands(size.of(BACKLOG) as f64)),
            &format!("{} /s", thousands(loaded)),
            &format!("{} /s on an empty store: {:+.0}%", thousands(alone), 100.0 * (loaded / alone - 1.0)),
        );
    }
    Ok(())
}

struct Drained {
    loading: Duration,
    executions: f64,
    activities: f64,
}

/// The rates on a store that has so many others of each kind.
fn drained(store: &Store, size: Size, others: usize) -> Result<Drained> {
    let place = store.place()?;
    let mut stage = Stage::at(&place.url)?;
    let start = Instant::now();
    if others > 0 {
        load(&stage, &place, others)?;
        stage.fresh_executor();
    }
    let loading = start.elapsed();
    let count = size.of(BACKLOG);
    let (_, executions) = drain_executions(&stage, count)?;
    stage.fresh_executor();
    let (_, activities) = drain_activities(&mut stage, count / 1_000)?;
    stage.runtime.block_on(place.clear())?;
    let rate = |time: Duration| count as f64 / time.as_secs_f64();
    Ok(Drained { loading, executions: rate(executions), activities: rate(activities) })
}

/// One of each kind goes the usual way; the others are made like it.
fn load(stage: &Stage, place: &Place, count: usize) -> Result<()> {
    stage.register("noop", noop)?;
    let worker = stage.worker(1)?;
    let over = stage.dispatch("noop", "[]")?;
    stage.wait_all(&[over])?;
    stage.stop(&worker)?;
    let month = Duration::from_secs(30 * 86_400);
    let later = stage.dispatch_with("noop", "[]", DispatchOptions { delay: Some(month), ..Default::default() })?;
    let task = TaskOptions { queue: Some("elsewhere".to_owned()), ..Default::default() };
    let elsewhere = stage.dispatch_with("noop", "[]", DispatchOptions { task, ..Default::default() })?;
    let models = [over, later, elsewhere];
    stage.runtime.block_on(async {
        match place.postgres().await? {
            None => multiply_in_sqlite(&place.url, models, count as i64).await?,
            Some(mut conn) => {
                for (kind, model) in models.iter().enumerate() {
                    for statement in POSTGRES {
                        sqlx::query(statement)
                            .bind(model)
                            .bind((kind * count) as i64)
                            .bind(count as i64)
                            .execute(&mut conn)
                            .await?;
                    }
                }
                // What the server does by itself when tables have grown.
                sqlx::raw_sql("VACUUM (ANALYZE) executions").execute(&mut conn).await?;
                sqlx::raw_sql("VACUUM (ANALYZE) tasks").execute(&mut conn).await?;
                sqlx::raw_sql("CHECKPOINT").execute(&mut conn).await?;
                conn.close().await?;
            }
        }
        Ok(())
    })
}

async fn multiply_in_sqlite(path: &str, models: [Id; 3], count: i64) -> Result<(), sqlx::Error> {
    let mut conn = SqliteConnection::connect(path).await?;
    for (kind, model) in models.iter().enumerate() {
        for statement in SQLITE.split(';') {
            sqlx::query(AssertSqlSafe(statement))
                .bind(model.as_bytes().as_slice())
                .bind(kind as i64 * count)
                .bind(count)
                .execute(&mut conn)
                .await?;
        }
    }
    conn.close().await
}
