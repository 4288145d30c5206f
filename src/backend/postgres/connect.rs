//! Opens the store: brings its schema up to date, under a lock.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::charset::Charset;
use super::conn::Conn;
use super::options::Dsn;
use super::pool::{quoted, settings};
use super::rights::Rights;
use super::{error, functions, pool};
use crate::backend::SchemaVersion;
use crate::backend::sql::lock::Lock;
use crate::model::{Error, Result};

/// Every migration, in order; the schema's version is their number. Never changed once released.
pub(super) const MIGRATIONS: [&str; 24] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_marks.sql"),
    include_str!("migrations/0003_leases_and_letters.sql"),
    include_str!("migrations/0004_opened.sql"),
    include_str!("migrations/0005_deaths.sql"),
    include_str!("migrations/0006_cleanups.sql"),
    include_str!("migrations/0007_hot.sql"),
    include_str!("migrations/0008_moves.sql"),
    include_str!("migrations/0009_places.sql"),
    include_str!("migrations/0010_opened.sql"),
    include_str!("migrations/0011_strays.sql"),
    include_str!("migrations/0012_pauses.sql"),
    include_str!("migrations/0013_schedules.sql"),
    include_str!("migrations/0014_retries.sql"),
    include_str!("migrations/0015_requests.sql"),
    include_str!("migrations/0016_slots.sql"),
    include_str!("migrations/0017_rates.sql"),
    include_str!("migrations/0018_aside.sql"),
    include_str!("migrations/0019_unique.sql"),
    include_str!("migrations/0020_debounce.sql"),
    include_str!("migrations/0021_fairness.sql"),
    include_str!("migrations/0022_holds.sql"),
    include_str!("migrations/0023_queue_rates.sql"),
    include_str!("migrations/0024_unique_earlier.sql"),
];

/// A connection is made sooner than this, or it is looked why not.
const LOOK: Duration = Duration::from_millis(100);

/// To wait for others that bring the schema up to date, and to do it. Tables may be large.
const MIGRATION: Duration = Duration::from_secs(3600);

/// Safe from several processes at once, and again and again. What is not Stent's, or newer, is found before anything is
/// written. The answer: the characters that the database holds.
pub(super) async fn prepare(dsn: &Dsn) -> Result<Charset> {
    alone(dsn, async |conn| {
        conn.execute(sqlx::raw_sql("BEGIN")).await.map_err(error::map("begin"))?;
        if version(conn, &dsn.schema).await? < MIGRATIONS.len() as i64 {
            lock(conn, &dsn.schema).await?;
            migrate(conn, &dsn.schema).await?;
        }
        functions::bring(conn, &dsn.schema, async |conn| lock(conn, &dsn.schema).await).await?;
        let charset = Charset::look(conn).await?;
        conn.execute(sqlx::raw_sql("COMMIT")).await.map_err(error::map("commit the schema"))?;
        Ok(charset)
    })
    .await
}

/// The schema's version, and nothing is written.
pub(super) async fn look(dsn: &Dsn) -> Result<SchemaVersion> {
    alone(dsn, async |conn| {
        conn.execute(sqlx::raw_sql("BEGIN READ ONLY")).await.map_err(error::map("begin"))?;
        let found = version(conn, &dsn.schema).await?;
        conn.execute(sqlx::raw_sql("ROLLBACK")).await.map_err(error::map("end reading"))?;
        Ok(SchemaVersion { found, known: MIGRATIONS.len() as i64 })
    })
    .await
}

/// On a connection of its own.
async fn alone<R>(dsn: &Dsn, work: impl AsyncFnOnce(&mut Conn) -> Result<R>) -> Result<R> {
    // No statement is prepared here: the tables come and go.
    let connection = dsn.connection.clone().statement_cache_capacity(0);
    let single = pool::single(dsn, connection);
    let outcome = async {
        let conn = tokio::select! {
            biased;
            conn = single.acquire() => conn.map_err(error::connecting)?,
            why = refusal(dsn) => return Err(why),
        };
        work(&mut Conn::new(conn, false, dsn.limits(), Arc::default())).await
    }
    .await;
    single.close().await;
    outcome.map_err(|why: Error| why.doing(&format!("open {}", dsn.describe())))
}

/// Where nobody listens the pool would go on until its time is over, and not say why.
async fn refusal(dsn: &Dsn) -> Error {
    tokio::time::sleep(LOOK).await;
    match dsn.hosts.why_not(dsn.connect_timeout).await {
        Some(why) => why,
        None => std::future::pending().await,
    }
}

/// Waits for others that create the schema, or change it.
async fn lock(conn: &mut Conn, schema: &str) -> Result<()> {
    conn.wait_for(MIGRATION);
    let locked = sqlx::query(include_str!("sql/advisory_lock.sql")).bind(vec![Lock::Schema.key(schema)]);
    locked.execute(conn).await.map(drop).map_err(error::map("wait for others that create the schema"))
}

async fn migrate(conn: &mut Conn, schema: &str) -> Result<()> {
    let map = error::map("create the schema");
    let found = version(conn, schema).await?;
    let rights = Rights::look(conn, schema).await?;
    match found {
        0 => rights.to_create()?,
        _ if found < MIGRATIONS.len() as i64 => rights.to_change(found, MIGRATIONS.len() as i64)?,
        // Another process has done it.
        _ => return Ok(()),
    }
    if !rights.found() {
        let create = format!("CREATE SCHEMA {}", quoted(schema));
        conn.execute(sqlx::raw_sql(AssertSqlSafe(create))).await.map_err(&map)?;
    }
    conn.execute(sqlx::raw_sql(AssertSqlSafe(settings(schema, "SET LOCAL")))).await.map_err(&map)?;
    if found == 0 {
        conn.execute(include_str!("sql/schema_create.sql")).await.map_err(&map)?;
    }
    for (version, migration) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        conn.execute(sqlx::raw_sql(migration)).await.map_err(&map)?;
        sqlx::query(include_str!("sql/schema_applied.sql"))
            .bind::<i64>(version)
            .execute(&mut *conn)
            .await
            .map_err(&map)?;
    }
    Ok(())
}

/// The schema's version; 0 for a new one. Refuses a schema that is not Stent's, or of a newer version than this
/// library.
async fn version(conn: &mut Conn, schema: &str) -> Result<i64> {
    let map = error::map("read the schema");
    let tables =
        sqlx::query(include_str!("sql/schema_tables.sql")).bind(schema).fetch_all(&mut *conn).await.map_err(&map)?;
    let tables: Vec<String> = tables.iter().map(|row| row.get("name")).collect();
    if tables.iter().any(|name| name == "stent_schema") {
        Rights::look(conn, schema).await?.to_work()?;
        conn.execute(sqlx::raw_sql(AssertSqlSafe(settings(schema, "SET LOCAL")))).await.map_err(&map)?;
        return check_schema(conn).await;
    }
    if tables.is_empty() {
        return Ok(0);
    }
    let named = tables.iter().take(5).map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    Err(Error::backend(format!(
        "the schema '{schema}' is another program's: it has tables of its own ({named}) and none of Stent's; give Stent a \
         schema of its own (nothing was changed)"
    ))
    .with("tables", tables))
}

/// The schema's version, which a newer library may have raised since the store was opened.
pub(super) async fn check_schema(conn: &mut Conn) -> Result<i64> {
    let row = sqlx::query(include_str!("sql/schema_version.sql"))
        .fetch_one(conn)
        .await
        .map_err(error::map("read the schema's version"))?;
    let found = row.get::<Option<i64>, _>("version").unwrap_or(0);
    let known = MIGRATIONS.len() as i64;
    if found <= known {
        return Ok(found);
    }
    Err(Error::backend(format!(
        "the schema has version {found}, and this library knows versions up to {known}; use a newer library (nothing was \
         changed)"
    ))
    .with("schema_version", found)
    .with("known_version", known))
}
