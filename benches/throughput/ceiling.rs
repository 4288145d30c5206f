//! What SQLite itself does on such a file: the bare rate of commits, through the same driver.

use std::time::Instant;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use crate::Size;
use crate::report::{Ceiling, Report, thousands};
use crate::stage::{Result, folder, runtime};

const BATCH: usize = 100;

pub fn run(report: &mut Report, size: Size) -> Result<()> {
    let folder = folder()?;
    let path = folder.path().join("ceiling.db");
    let (singles, batches) = (size.of(10_000), size.of(200_000));
    let ceiling = runtime()?.block_on(async move {
        // From a spawned task, as the engine does: from the thread that blocks a statement takes twice as long.
        tokio::spawn(async move {
            let mut conn = SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .connect()
                .await?;
            sqlx::query("CREATE TABLE rows (id INTEGER PRIMARY KEY, payload BLOB)").execute(&mut conn).await?;
            let single = rate(&mut conn, singles, 1).await?;
            let hundred = rate(&mut conn, batches, BATCH).await?;
            conn.close().await?;
            Ok::<_, sqlx::Error>(Ceiling { single, hundred })
        })
        .await
    })??;
    report.ceiling = ceiling;
    report.line("the store alone: commits of one row", &format!("{} /s", thousands(ceiling.single)), "");
    report.line("the store alone: rows in commits of 100", &format!("{} /s", thousands(ceiling.hundred)), "");
    Ok(())
}

/// Rows in a second, `batch` of them in each commit.
async fn rate(conn: &mut SqliteConnection, rows: usize, batch: usize) -> Result<f64, sqlx::Error> {
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

pub fn sqlite_version() -> String {
    let version = async {
        let mut conn = SqliteConnection::connect("sqlite::memory:").await?;
        sqlx::query("SELECT sqlite_version()").fetch_one(&mut conn).await?.try_get::<String, _>(0)
    };
    runtime().ok().and_then(|runtime| runtime.block_on(version).ok()).unwrap_or_else(|| "?".to_owned())
}
