//! What a drained execution costs the server and this process, counted: rows, WAL, commits, time on a processor.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};

use crate::Size;
use crate::drain::drain_executions;
use crate::process;
use crate::report::{Report, thousands};
use crate::stage::{Result, Stage};
use crate::stores::Store;

/// It counts sooner than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the server has counted so far.
#[derive(Clone, Copy, Default)]
pub struct Counted {
    pub wal: i64,
    commits: i64,
    /// Where the server counts them: with `pg_stat_statements`.
    statements: Option<i64>,
}

/// What the tables have seen since they were made.
pub struct Rows {
    written: i64,
    hot: i64,
    pub dead: i64,
}

pub async fn counted(conn: &mut PgConnection) -> Result<Counted> {
    let sql = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, xact_commit FROM pg_stat_database WHERE datname = \
               current_database()";
    let row = sqlx::query(sql).fetch_one(&mut *conn).await?;
    let sum = "SELECT sum(calls)::bigint FROM public.pg_stat_statements";
    let statements = sqlx::query(sum).fetch_one(conn).await.ok().and_then(|row| row.get(0));
    Ok(Counted { wal: row.get(0), commits: row.get(1), statements })
}

pub async fn rows(conn: &mut PgConnection) -> Result<Rows> {
    let sql = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint, sum(n_tup_hot_upd)::bigint, sum(n_dead_tup)::bigint \
               FROM pg_stat_user_tables WHERE schemaname = current_schema()";
    let row = sqlx::query(sql).fetch_one(conn).await?;
    Ok(Rows { written: row.get(0), hot: row.get(1), dead: row.get(2) })
}

/// The server counts what a session has done some seconds later, when that is idle.
pub async fn until_counted(conn: &mut PgConnection, count: i64) -> Result<()> {
    let sql = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname = 'tasks'";
    let begin = Instant::now();
    while sqlx::query(sql).fetch_one(&mut *conn).await?.get::<i64, _>(0) < 2 * count {
        if begin.elapsed() > PATIENCE {
            return Err("the server has not counted the updates of all tasks".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// PostgreSQL only: SQLite counts nothing.
pub fn run(report: &mut Report, store: &Store, size: Size) -> Result<()> {
    let count = size.of(100_000);
    let place = store.place()?;
    let stage = Stage::at(&place.url)?;
    if let Some(mut conn) = stage.runtime.block_on(place.postgres())? {
        let before = stage.runtime.block_on(counted(&mut conn))?;
        let (cpu, switches) = process::used();
        drain_executions(&stage, count)?;
        let (cpu, switches) = {
            let (now, more) = process::used();
            (now.saturating_sub(cpu), more - switches)
        };
        let (after, rows) = stage.runtime.block_on(async {
            until_counted(&mut conn, count as i64).await?;
            Ok::<_, Box<dyn std::error::Error>>((counted(&mut conn).await?, rows(&mut conn).await?))
        })?;
        let each = |total: i64| total as f64 / count as f64;
        let what = format!("{} executions, dispatched and drained: each", thousands(count as f64));
        report.line(&what, &format!("{:.0} bytes of WAL", each(after.wal - before.wal)), &{
            let statements = after.statements.zip(before.statements).map_or_else(
                || "statements not counted (no pg_stat_statements)".to_owned(),
                |(after, before)| format!("{:.3} statements", each(after - before)),
            );
            format!("{:.3} commits, {statements}", each(after.commits - before.commits))
        });
        report.line(
            &what,
            &format!("{:.1} rows written", each(rows.written)),
            &format!("{:.1} of them HOT updates; {:.1} dead rows left", each(rows.hot), each(rows.dead)),
        );
        report.line(
            &what,
            &format!("{:.1} us of this CPU", cpu.as_secs_f64() * 1e6 / count as f64),
            &format!("{:.2} context switches", switches as f64 / count as f64),
        );
        stage.runtime.block_on(conn.close())?;
    }
    stage.runtime.block_on(place.clear())
}
