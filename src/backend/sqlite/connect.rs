//! Opens the file: locks, pragmas, schema.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use rustix::fs::Access;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _, SqliteConnection};
use tokio::sync::Mutex;

use super::clock::{self, Clock, was_set};
use super::options::Location;
use super::{deaf, error, file_locks, files};
use crate::model::{BATCH_MAX, Error, Result, SqliteOptions, Synchronous, shown};

/// Every migration, in order; the schema's version is their number. Never changed once released.
const MIGRATIONS: [&str; 6] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_letters.sql"),
    include_str!("migrations/0003_opened.sql"),
    include_str!("migrations/0004_deaths.sql"),
    include_str!("migrations/0005_durations.sql"),
    include_str!("migrations/0006_cleanups.sql"),
];

/// Compiled statements kept for each connection: more than there are files in `sql/`.
const STATEMENTS: usize = 256;

/// Rows buffered between SQLite's thread and the reader: enough for a whole batch, so that the thread never waits.
const ROWS: usize = 2 * BATCH_MAX;

/// How long SQLite itself waits for a lock on connections that are in use. Whose time is longer asks again: so no caller
/// waits in a queue for the time of another, and steps begin anew. The writer's is `sql/busy_timeout_short.sql`.
const STEP: Duration = Duration::from_millis(20);

/// SQLite counts it as milliseconds in 31 bits: 24 days are as good as for ever.
const BUSY_LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// One opening at a time in this process. Two of them on a new file would both upgrade a lock that they share, and with
/// locks of open file descriptions (see [`file_locks`]) neither could.
static OPENING: Mutex<()> = Mutex::const_new(());

/// Nothing in here makes SQLite look into the file: if something is wrong with it, `prepare` is to find it, and the
/// connection is closed before the error is told.
fn options(location: &Location, busy_timeout: Duration) -> SqliteConnectOptions {
    let common = SqliteConnectOptions::new()
        .busy_timeout(busy_timeout.min(BUSY_LONGEST))
        .foreign_keys(false)
        .statement_cache_capacity(STATEMENTS)
        .row_buffer_size(ROWS)
        .disable_statement_logging();
    match location {
        Location::Memory => common.in_memory(true),
        Location::File(path) => common.filename(path).create_if_missing(true),
    }
}

const fn synchronous(chosen: Synchronous) -> &'static str {
    match chosen {
        Synchronous::Full => "PRAGMA synchronous = FULL",
        Synchronous::Normal => "PRAGMA synchronous = NORMAL",
        Synchronous::Off => "PRAGMA synchronous = OFF",
    }
}

/// A boot of the machine, as the file knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Boot {
    /// A lease of another one has ended.
    pub number: i64,
    /// When it began, as the wall clock has it.
    pub began: i64,
}

/// The connection that writes, with the schema in place, and this boot.
pub(super) async fn writer(
    location: &Location,
    chosen: &SqliteOptions,
    clock: &Clock,
) -> Result<(SqliteConnection, Boot)> {
    open(location, chosen, clock).await.map_err(|why| why.doing(&format!("open {}", describe(location))))
}

async fn open(location: &Location, chosen: &SqliteOptions, clock: &Clock) -> Result<(SqliteConnection, Boot)> {
    file_locks::install()?;
    deaf::install();
    let deadline = Instant::now() + chosen.busy_timeout;
    // The time of those before is not this caller's.
    let Ok(_one_at_a_time) = tokio::time::timeout_at(deadline.into(), OPENING.lock()).await else {
        return Err(error::locked());
    };
    if let Location::File(path) = location {
        look_at(path)?;
        files::create(path, chosen.file_mode)?;
    }
    let left = deadline.saturating_duration_since(Instant::now());
    let mut conn = options(location, left).connect().await.map_err(error::map("connect"))?;
    match prepare(&mut conn, location, chosen, clock, deadline).await {
        Ok(boot) => Ok((conn, boot)),
        Err(why) => {
            // The first error is the one to report.
            let _closed = conn.close().await;
            Err(why)
        }
    }
}

/// Connections that only read, and hardly wait for a lock; none for a database in memory, which belongs to its one connection.
pub(super) fn readers(location: &Location, chosen: &SqliteOptions) -> Option<SqlitePool> {
    match location {
        Location::Memory => None,
        Location::File(_) => Some(
            SqlitePoolOptions::new()
                .max_connections(chosen.readers.max(1))
                .idle_timeout(Duration::from_secs(60))
                .test_before_acquire(false)
                .connect_lazy_with(options(location, STEP).create_if_missing(false).pragma("query_only", "ON")),
        ),
    }
}

/// A connection that reads for long.
pub(super) async fn reader(location: &Location, patience: Duration) -> Result<SqliteConnection> {
    options(location, patience).create_if_missing(false).connect().await.map_err(error::map("connect"))
}

pub(super) fn describe(location: &Location) -> String {
    match location {
        Location::Memory => "the SQLite database in memory".to_owned(),
        Location::File(path) => format!("the SQLite file {}", shown(&path.to_string_lossy())),
    }
}

/// Bytes: one page of the smallest size.
const SHORTEST: u64 = 512;

/// Finds what is wrong with the file without opening it. Only SQLite may open it: closing another descriptor would drop
/// the locks that another copy of SQLite in this process has on it.
fn look_at(path: &Path) -> Result<()> {
    // The log is beside the file itself, not beside a link to it.
    let real = fs::canonicalize(path);
    let path = real.as_deref().unwrap_or(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Error::backend(format!(
            "the folder {} does not exist, or is no folder; create it first",
            shown(&folder.to_string_lossy())
        )));
    }
    check_writable("the folder", folder)?;
    let length = match fs::metadata(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => 0,
        Err(why) => return Err(Error::backend(format!("the file can't be looked at: {why}"))),
        Ok(file) if file.is_dir() => {
            return Err(Error::backend("it is a folder; give the path of a file, which is created if it is not there"));
        }
        Ok(file) if !file.is_file() => {
            return Err(Error::backend("it is no file but a device, a pipe or a socket; give the path of a file"));
        }
        Ok(file) => {
            check_writable("the file", path)?;
            file.len()
        }
    };
    if (1..SHORTEST).contains(&length) {
        // SQLite would take it for a new database and overwrite it.
        return Err(Error::backend(format!(
            "it has {length} bytes and is not a SQLite database, or has been cut off; give Stent a path of its own (nothing \
             was changed)"
        )));
    }
    let log = beside(path, "-wal");
    match fs::metadata(&log) {
        // SQLite would take the file for a new database and delete the log, with everything that was committed to it.
        Ok(found) if length == 0 && found.len() > 0 => Err(Error::backend(format!(
            "the file is empty or gone, but its log {} has {} bytes: the file has been cut off or moved away from its log; \
             put it back, or move the log away to begin with a new file (nothing was changed)",
            log.display(),
            found.len()
        ))),
        _ => Ok(()),
    }
}

fn check_writable(what: &str, path: &Path) -> Result<()> {
    rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK).map_err(|why| {
        Error::backend(format!(
            "{what} {} can't be read and written by this process: {why}; give it access to both the file and its folder, \
             where SQLite keeps the log",
            path.display()
        ))
    })
}

/// A file that SQLite keeps beside the database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Brings the schema up to date under the write lock and finds the number of this boot. Safe from several processes at
/// once, and again and again. What is not Stent's, or newer, is found before anything is written.
async fn prepare(
    conn: &mut SqliteConnection,
    location: &Location,
    chosen: &SqliteOptions,
    clock: &Clock,
    deadline: Instant,
) -> Result<Boot> {
    schema_version(conn).await?;
    for sql in [include_str!("sql/writer_settings.sql"), synchronous(chosen.synchronous)] {
        conn.execute(sqlx::raw_sql(sql)).await.map_err(error::map("set up the connection"))?;
    }
    if let Location::File(_) = location {
        log_ahead(conn, deadline).await?;
    }
    patiently(conn, "BEGIN IMMEDIATE", deadline).await.map_err(|why| why.doing("lock the file for the schema"))?;
    let outcome = async {
        migrate(conn, clock).await?;
        boot(conn, clock).await
    }
    .await;
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = conn.execute(end).await.map_err(error::map("commit the schema"));
    let boot = outcome?;
    ended?;
    conn.execute(sqlx::raw_sql(include_str!("sql/busy_timeout_short.sql")))
        .await
        .map_err(error::map("set up the connection"))?;
    Ok(boot)
}

/// Runs a statement that takes the write lock, as long as another process has it. SQLite itself waits in longer and
/// longer steps, up to 100 ms, and so loses to everybody who has just begun to wait; the writer's own `busy_timeout` is
/// short, and its steps begin anew.
async fn patiently(conn: &mut SqliteConnection, sql: &'static str, deadline: Instant) -> Result<()> {
    loop {
        match conn.execute(sqlx::raw_sql(sql)).await.map_err(error::translate) {
            // There are locks for which SQLite does not wait at all.
            Err(why) if error::is_busy(&why) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            done => return done.map(drop),
        }
    }
}

/// Puts the file into WAL mode. While another process does the same, SQLite says that it is locked without waiting.
async fn log_ahead(conn: &mut SqliteConnection, deadline: Instant) -> Result<()> {
    const PAUSE: Duration = Duration::from_millis(10);
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut *conn).await.map_err(error::map("switch to WAL"))
        {
            Ok(row) => {
                let mode: String = row.get(0);
                if mode == "wal" {
                    return Ok(());
                }
                return Err(Error::backend(format!(
                    "SQLite can't keep a write-ahead log for it (journal_mode stays '{mode}'): the file system has no \
                     shared memory, as with network drives; put the file on a local disk"
                )));
            }
            Err(why) if error::is_busy(&why) && Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            Err(why) => return Err(why),
        }
    }
}

/// The schema's version; 0 for a new file. Refuses a file that is not Stent's, or of a newer version than this library.
async fn schema_version(conn: &mut SqliteConnection) -> Result<i64> {
    let map = error::map("read the schema");
    let tables = sqlx::query(include_str!("sql/schema_tables.sql")).fetch_all(&mut *conn).await.map_err(&map)?;
    let tables: Vec<String> = tables.iter().map(|row| row.get("name")).collect();
    if tables.iter().any(|name| name == "stent_schema") {
        let row = sqlx::query(include_str!("sql/schema_version.sql")).fetch_one(&mut *conn).await.map_err(&map)?;
        let found = row.get::<Option<i64>, _>("version").unwrap_or(0);
        return refuse_newer(found).map(|()| found);
    }
    if tables.is_empty() {
        return Ok(0);
    }
    let named = tables.iter().take(5).map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    Err(Error::backend(format!(
        "the file is another program's: it has tables of its own ({named}) and none of Stent's; give Stent a file of its \
         own (nothing was changed)"
    ))
    .with("tables", tables))
}

fn refuse_newer(found: i64) -> Result<()> {
    let known = MIGRATIONS.len() as i64;
    if found <= known {
        return Ok(());
    }
    Err(Error::backend(format!(
        "the file has schema version {found}, and this library knows versions up to {known}; use a newer library (nothing \
         was changed)"
    ))
    .with("schema_version", found)
    .with("known_version", known))
}

async fn migrate(conn: &mut SqliteConnection, clock: &Clock) -> Result<()> {
    let found = schema_version(conn).await?;
    let map = error::map("create the schema");
    if found == 0 {
        conn.execute(include_str!("sql/schema_create.sql")).await.map_err(&map)?;
    }
    for (version, migration) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        conn.execute(sqlx::raw_sql(migration)).await.map_err(&map)?;
        sqlx::query(include_str!("sql/schema_applied.sql"))
            .bind::<i64>(version)
            .bind(clock.read().wall.to_string())
            .execute(&mut *conn)
            .await
            .map_err(&map)?;
    }
    Ok(())
}

/// Checks the schema's version, which a newer library may have raised since the file was opened.
pub(super) async fn check_schema(conn: &mut SqliteConnection) -> Result<()> {
    let row = sqlx::query(include_str!("sql/schema_version.sql"))
        .fetch_one(conn)
        .await
        .map_err(error::map("read the schema's version"))?;
    refuse_newer(row.get::<Option<i64>, _>("version").unwrap_or(0))
}

/// Finds the number of this boot. What waits for the end of a duration does so by the time since one boot: if that was
/// another, from here on by the wall clock, as that boot saw it last.
async fn boot(conn: &mut SqliteConnection, clock: &Clock) -> Result<Boot> {
    let boot_id = clock::boot_id()?;
    let map = error::map("number this boot");
    sqlx::query(include_str!("sql/boot_insert.sql")).bind(&boot_id).execute(&mut *conn).await.map_err(&map)?;
    let row =
        sqlx::query(include_str!("sql/boot_number.sql")).bind(&boot_id).fetch_one(&mut *conn).await.map_err(&map)?;
    let mut boot = Boot { number: row.get(0), began: clock.read().began() };
    let last = sqlx::query(include_str!("sql/boot_last.sql")).fetch_optional(&mut *conn).await.map_err(&map)?;
    match last.map(|row| Boot { number: row.get("number"), began: row.get("began") }) {
        Some(last) if last.number != boot.number => {
            // Deadlines are found by what is due.
            for sql in [
                include_str!("sql/deadlines_carry_over.sql"),
                include_str!("sql/tasks_carry_over.sql"),
                include_str!("sql/executions_carry_over.sql"),
                include_str!("sql/cleanups_carry_over.sql"),
            ] {
                sqlx::query(sql).bind(last.began).execute(&mut *conn).await.map_err(&map)?;
            }
        }
        // As other processes have it.
        Some(last) if !was_set(last.began, boot.began) => boot.began = last.began,
        _ => {}
    }
    record_boot(conn, &boot).await?;
    Ok(boot)
}

/// Notes that all ends of durations are of this boot, and when it began.
pub(super) async fn record_boot(conn: &mut SqliteConnection, boot: &Boot) -> Result<()> {
    let query = sqlx::query(include_str!("sql/boot_began.sql")).bind(boot.number).bind(boot.began);
    query.execute(conn).await.map(drop).map_err(error::map("note when this boot began"))
}
