//! What a store itself does here: the bare rate of commits, through the same driver.

use std::time::Instant;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor as _, SqliteConnection};
use tokio::task::JoinSet;

use crate::Size;
use crate::report::{Ceiling, Report, thousands};
use crate::stage::{Result, runtime};
use crate::stores::{Place, Store};

const BATCH: usize = 100;
const CLIENTS: usize = 16;

pub fn run(report: &mut Report, store: &Store, size: Size) -> Result<()> {
    let place = store.place()?;
    let runtime = runtime()?;
    // From spawned tasks, as the engine does: from the thread that blocks a statement takes longer.
    let ceiling = match store {
        Store::Sqlite => runtime.block_on(runtime.spawn(sqlite(place.url.clone(), size)))??,
        Store::Postgres(_) => runtime.block_on(postgres(&place, size))?,
    };
    runtime.block_on(place.clear())?;
    report.ceiling = ceiling;
    let rate = |what: &str, rate: f64| report.line(what, &format!("{} /s", thousands(rate)), "");
    rate("the store alone: commits of one row", ceiling.single);
    if let Some(clients) = ceiling.clients {
        rate(&format!("the store alone: commits of one row, {CLIENTS} clients"), clients);
    }
    rate("the store alone: rows in commits of 100", ceiling.hundred);
    Ok(())
}

async fn sqlite(path: String, size: Size) -> Result<Ceiling, sqlx::Error> {
    let mut conn = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await?;
    sqlx::query("CREATE TABLE rows (id INTEGER PRIMARY KEY, payload BLOB)").execute(&mut conn).await?;
    let single = sqlite_rate(&mut conn, size.of(10_000), 1).await?;
    let hundred = sqlite_rate(&mut conn, size.of(200_000), BATCH).await?;
    conn.close().await?;
    Ok(Ceiling { single, clients: None, hundred })
}

/// Rows in a second, `batch` of them in each commit.
async fn sqlite_rate(conn: &mut SqliteConnection, rows: usize, batch: usize) -> Result<f64, sqlx::Error> {
    let payloads = format!("[{}]", vec!["\"0123456789abcdef\""; batch].join(","));
    let start = Instant::now();
    for _ in 0..rows / batch {
        sqlx::query("INSERT INTO rows (payload) SELECT value FROM json_each(?1)")
            .bind(&payloads)
            .execute(&mut *conn)
            .await?;
    }
    Ok((rows / batch * batch) as f64 / start.elapsed().as_secs_f64())
}

async fn postgres(place: &Place, size: Size) -> Result<Ceiling> {
    let connect = async || place.postgres().await?.ok_or_else(|| Box::<dyn std::error::Error>::from("no server"));
    let mut conn = connect().await?;
    let schema = place.url.rsplit('=').next().unwrap_or_default().to_owned();
    conn.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "CREATE SCHEMA {schema}; CREATE TABLE rows (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload bytea)"
    ))))
    .await?;
    let single = postgres_rate(vec![conn], size.of(10_000), 1).await?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(connect().await?);
    }
    let clients = postgres_rate(clients, size.of(40_000), 1).await?;
    let hundred = postgres_rate(vec![connect().await?], size.of(200_000), BATCH).await?;
    Ok(Ceiling { single, clients: Some(clients), hundred })
}

/// As [`sqlite_rate`], the rows shared out among clients.
async fn postgres_rate(clients: Vec<PgConnection>, rows: usize, batch: usize) -> Result<f64> {
    let payloads = vec![b"0123456789abcdef".to_vec(); batch];
    let commits = rows / batch / clients.len();
    let total = (commits * batch * clients.len()) as f64;
    let mut running = JoinSet::new();
    let start = Instant::now();
    for mut conn in clients {
        let payloads = payloads.clone();
        running.spawn(async move {
            for _ in 0..commits {
                sqlx::query("INSERT INTO rows (payload) SELECT payload FROM unnest($1::bytea[]) AS b (payload)")
                    .bind(&payloads)
                    .execute(&mut conn)
                    .await?;
            }
            Ok::<_, sqlx::Error>(())
        });
    }
    while let Some(client) = running.join_next().await {
        client??;
    }
    Ok(total / start.elapsed().as_secs_f64())
}
