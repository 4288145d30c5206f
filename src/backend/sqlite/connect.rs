//! Opening the file: its locks, its pragmas, its schema.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _, SqliteConnection};

use super::options::{Location, SqliteOptions, Synchronous};
use super::{clock, error, file_locks};
use crate::model::{Error, Result};

/// Every migration, in order; the schema's version is their number. Never changed once released.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_initial.sql")];

/// Compiled statements kept for each connection: more than there are files in `sql/`.
const STATEMENTS: usize = 256;

fn options(location: &Location, options: &SqliteOptions) -> SqliteConnectOptions {
    let synchronous = match options.synchronous {
        Synchronous::Full => SqliteSynchronous::Full,
        Synchronous::Normal => SqliteSynchronous::Normal,
        Synchronous::Off => SqliteSynchronous::Off,
    };
    let common = SqliteConnectOptions::new()
        .busy_timeout(options.busy_timeout)
        .synchronous(synchronous)
        .foreign_keys(false)
        .locking_mode(SqliteLockingMode::Normal)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    match location {
        Location::Memory => common.in_memory(true),
        Location::File(path) => common.filename(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal),
    }
}

/// The connection that writes, with the schema in place. `boot` is the number of this boot.
pub(super) async fn writer(location: &Location, chosen: &SqliteOptions) -> Result<(SqliteConnection, i64)> {
    file_locks::install()?;
    if let Location::File(path) = location {
        check_folder(path)?;
    }
    let doing = || format!("open {}", describe(location));
    let mut conn =
        options(location, chosen).connect().await.map_err(error::map("connect")).map_err(|why| why.doing(&doing()))?;
    match prepare(&mut conn).await {
        Ok(boot) => Ok((conn, boot)),
        Err(why) => {
            // The first error is the one to tell.
            let _closed = conn.close().await;
            Err(why.doing(&doing()))
        }
    }
}

/// Connections that only read; none for a database in memory, which belongs to its one connection.
pub(super) fn readers(location: &Location, chosen: &SqliteOptions) -> Option<SqlitePool> {
    match location {
        Location::Memory => None,
        Location::File(_) => Some(
            SqlitePoolOptions::new()
                .max_connections(chosen.readers.max(1))
                .idle_timeout(Duration::from_secs(60))
                .test_before_acquire(false)
                .connect_lazy_with(options(location, chosen).create_if_missing(false).pragma("query_only", "ON")),
        ),
    }
}

pub(super) fn describe(location: &Location) -> String {
    match location {
        Location::Memory => "the SQLite database in memory".to_owned(),
        Location::File(path) => format!("the SQLite file {}", path.display()),
    }
}

fn check_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => Err(Error::backend(format!(
            "open the SQLite file {}: the folder {} does not exist; create it first",
            path.display(),
            folder.display()
        ))),
        _ => Ok(()),
    }
}

/// Brings the schema up to date under the write lock and finds the number of this boot. Safe from several processes at
/// once, and again and again.
pub(super) async fn prepare(conn: &mut SqliteConnection) -> Result<i64> {
    conn.execute(sqlx::raw_sql(
        "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000",
    ))
    .await
    .map_err(error::map("set up the connection"))?;
    conn.execute("BEGIN IMMEDIATE").await.map_err(error::map("lock the file for the schema"))?;
    let outcome = async {
        migrate(conn).await?;
        boot(conn).await
    }
    .await;
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = conn.execute(end).await.map_err(error::map("commit the schema"));
    let boot = outcome?;
    ended?;
    Ok(boot)
}

async fn migrate(conn: &mut SqliteConnection) -> Result<()> {
    let map = error::map("read the schema");
    let known = MIGRATIONS.len() as i64;
    let tables = sqlx::query(include_str!("sql/schema_tables.sql")).fetch_all(&mut *conn).await.map_err(&map)?;
    let tables: Vec<String> = tables.iter().map(|row| row.get(0)).collect();
    let found = if tables.iter().any(|name| name == "stent_schema") {
        let row = sqlx::query("SELECT max(version) FROM stent_schema").fetch_one(&mut *conn).await.map_err(&map)?;
        row.get::<Option<i64>, _>(0).unwrap_or(0)
    } else if let Some(name) = tables.first() {
        return Err(Error::backend(format!(
            "the file is another program's: it has a table '{name}' that is not Stent's; give Stent a file of its own"
        ))
        .with("table", name.as_str()));
    } else {
        0
    };
    if found > known {
        return Err(Error::backend(format!(
            "the file has schema version {found}, and this library knows versions up to {known}; use a newer library \
             (nothing was changed)"
        ))
        .with("schema_version", found)
        .with("known_version", known));
    }
    let map = error::map("create the schema");
    if found == 0 {
        conn.execute("CREATE TABLE IF NOT EXISTS stent_schema (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL)")
            .await
            .map_err(&map)?;
    }
    for version in found + 1..=known {
        conn.execute(sqlx::raw_sql(MIGRATIONS[version as usize - 1])).await.map_err(&map)?;
        let applied_at = clock::read().wall.to_string();
        sqlx::query("INSERT INTO stent_schema (version, applied_at) VALUES (?1, ?2)")
            .bind(version)
            .bind(applied_at)
            .execute(&mut *conn)
            .await
            .map_err(&map)?;
    }
    Ok(())
}

async fn boot(conn: &mut SqliteConnection) -> Result<i64> {
    let boot_id = clock::boot_id()?;
    let map = error::map("number this boot");
    sqlx::query(include_str!("sql/boot_insert.sql")).bind(&boot_id).execute(&mut *conn).await.map_err(&map)?;
    let row =
        sqlx::query(include_str!("sql/boot_number.sql")).bind(&boot_id).fetch_one(&mut *conn).await.map_err(&map)?;
    Ok(row.get(0))
}
