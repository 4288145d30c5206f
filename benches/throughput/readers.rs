//! A backlog that is drained while others read: on PostgreSQL four whose transactions overlap, so that an old snapshot is
//! there all the time; on SQLite one whose transaction is open throughout.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tokio::task::JoinSet;

use crate::Size;
use crate::drain::drain_executions;
use crate::report::{Report, thousands};
use crate::stage::{Result, Stage};
use crate::stores::{Place, Store};

const READERS: u32 = 4;

/// So long is each of the transactions.
const LONG: Duration = Duration::from_secs(4);

const READ: &str = "SELECT count(*), sum(priority) FROM tasks";

pub fn run(report: &mut Report, store: &Store, size: Size) -> Result<()> {
    let count = size.of(100_000);
    let quiet = drained(store, count, false)?;
    let beside = drained(store, count, true)?;
    let what = match store {
        Store::Sqlite => "one long reader".to_owned(),
        Store::Postgres(_) => format!("{READERS} readers of {} s each", LONG.as_secs()),
    };
    report.line(
        &format!("drain {} executions beside {what}", thousands(count as f64)),
        &format!("{} /s", thousands(beside)),
        &format!("{:.0}% of the rate without", 100.0 * beside / quiet),
    );
    Ok(())
}

fn drained(store: &Store, count: usize, beside: bool) -> Result<f64> {
    let place = store.place()?;
    let stage = Stage::at(&place.url)?;
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    if beside {
        stage.runtime.block_on(read(&place, &over, &mut readers))?;
    }
    let (_, took) = drain_executions(&stage, count)?;
    over.store(true, Ordering::Relaxed);
    stage.runtime.block_on(async {
        while let Some(reader) = readers.join_next().await {
            reader??;
        }
        place.clear().await
    })?;
    Ok(count as f64 / took.as_secs_f64())
}

async fn read(place: &Place, over: &Arc<AtomicBool>, readers: &mut JoinSet<Result<(), sqlx::Error>>) -> Result<()> {
    let Some(first) = place.postgres().await? else {
        let mut conn = SqliteConnection::connect(&place.url).await?;
        conn.execute(sqlx::raw_sql("BEGIN; SELECT count(*) FROM tasks")).await?;
        let over = Arc::clone(over);
        readers.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                conn.execute(READ).await?;
                tokio::time::sleep(LONG / READERS).await;
            }
            conn.close().await
        });
        return Ok(());
    };
    let mut conns = vec![first];
    while conns.len() < READERS as usize {
        conns.extend(place.postgres().await?);
    }
    for (conn, number) in conns.into_iter().zip(0..) {
        let (over, mut conn) = (Arc::clone(over), conn);
        readers.spawn(async move {
            tokio::time::sleep(number * LONG / READERS).await;
            while !over.load(Ordering::Relaxed) {
                conn.execute(sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ")).await?;
                conn.execute(READ).await?;
                tokio::time::sleep(LONG).await;
                conn.execute("COMMIT").await?;
            }
            conn.close().await
        });
    }
    Ok(())
}
