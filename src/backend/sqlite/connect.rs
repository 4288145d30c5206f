//! Opens the file: locks, pragmas, schema.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use rustix::fs::Access;
use tokio::sync::{Mutex, MutexGuard};

use super::clock::{self, Clock, was_set};
use super::conn::{self, Connection, Missing, Table};
use super::options::Location;
use super::{error, file_locks, files};
use crate::backend::SchemaVersion;
use crate::model::{Error, Result, SqliteOptions, Synchronous, shown};

/// Every migration, in order; the schema's version is their number. Never changed once released.
pub(super) const MIGRATIONS: [&str; 20] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_letters.sql"),
    include_str!("migrations/0003_opened.sql"),
    include_str!("migrations/0004_deaths.sql"),
    include_str!("migrations/0005_durations.sql"),
    include_str!("migrations/0006_cleanups.sql"),
    include_str!("migrations/0007_moves.sql"),
    include_str!("migrations/0008_strays.sql"),
    include_str!("migrations/0009_pauses.sql"),
    include_str!("migrations/0010_schedules.sql"),
    include_str!("migrations/0011_retries.sql"),
    include_str!("migrations/0012_slots.sql"),
    include_str!("migrations/0013_rates.sql"),
    include_str!("migrations/0014_aside.sql"),
    include_str!("migrations/0015_unique.sql"),
    include_str!("migrations/0016_debounce.sql"),
    include_str!("migrations/0017_fairness.sql"),
    include_str!("migrations/0018_holds.sql"),
    include_str!("migrations/0019_queue_rates.sql"),
    include_str!("migrations/0020_unique_earlier.sql"),
];

/// How long a statement waits for a lock on connections that are in use. Whose time is longer asks again: so no caller
/// waits in a queue for the time of another.
const STEP: Duration = Duration::from_millis(20);

/// One opening at a time in this process. Two of them on a new file would both upgrade a lock that they share, and with
/// locks of open file descriptions (see [`file_locks`]) neither could.
static OPENING: Mutex<()> = Mutex::const_new(());

/// Nothing in here makes SQLite look into the file: if something is wrong with it, `prepare` is to find it, and the
/// connection is closed before the error is told.
fn connect(location: &Location, missing: Missing, busy_timeout: Duration) -> Result<Connection> {
    let connected = match location {
        Location::Memory => Connection::open(c":memory:", missing, busy_timeout),
        Location::File(path) => Connection::open(&conn::path(path)?, missing, busy_timeout),
    };
    connected.map_err(|why| why.doing("connect"))
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

/// The right to open a file.
pub(super) struct Turn {
    _held: MutexGuard<'static, ()>,
    deadline: Instant,
}

/// Waits for the turn to open a file. The time of those before is not this caller's.
pub(super) async fn turn(location: &Location, chosen: &SqliteOptions) -> Result<Turn> {
    let deadline = Instant::now() + chosen.busy_timeout;
    match tokio::time::timeout_at(deadline.into(), OPENING.lock()).await {
        Ok(held) => Ok(Turn { _held: held, deadline }),
        Err(_) => Err(error::locked().doing(&opening(location))),
    }
}

fn opening(location: &Location) -> String {
    format!("open {}", describe(location))
}

/// The connection that writes, with the schema in place, and this boot. It may wait for others.
pub(super) fn writer(
    location: &Location,
    chosen: &SqliteOptions,
    clock: &Clock,
    turn: Turn,
) -> Result<(Connection, Boot)> {
    open(location, chosen, clock, turn.deadline).map_err(|why| why.doing(&opening(location)))
}

fn open(location: &Location, chosen: &SqliteOptions, clock: &Clock, deadline: Instant) -> Result<(Connection, Boot)> {
    file_locks::install()?;
    if let Location::File(path) = location {
        look_at(path)?;
        files::create(path, chosen.file_mode)?;
    }
    let left = deadline.saturating_duration_since(Instant::now());
    let mut conn = connect(location, Missing::Create, left)?;
    match prepare(&mut conn, location, chosen, clock, deadline) {
        Ok(boot) => Ok((conn, boot)),
        Err(why) => {
            // The first error is the one to report.
            let _closed = conn.close();
            Err(why)
        }
    }
}

/// The schema's version, and nothing is written: where there is no file there is none afterwards.
pub(super) fn schema(location: &Location, chosen: &SqliteOptions) -> Result<SchemaVersion> {
    let known = MIGRATIONS.len() as i64;
    let look = || match location {
        Location::Memory => Ok(0),
        Location::File(path) if !path.exists() => Ok(0),
        Location::File(path) => {
            file_locks::install()?;
            look_at(path)?;
            let mut conn = connect(location, Missing::Refuse, chosen.busy_timeout)?;
            let found = schema_version(&mut conn);
            // What was found is what matters.
            let _closed = conn.close();
            found
        }
    };
    let found = look().map_err(|why| why.doing(&opening(location)))?;
    Ok(SchemaVersion { found, known })
}

/// A connection that only reads, and hardly waits for a lock.
pub(super) fn reader(location: &Location) -> Result<Connection> {
    let mut conn = connect(location, Missing::Refuse, STEP)?;
    conn.execute("PRAGMA query_only = ON").map_err(|why| why.doing("connect"))?;
    Ok(conn)
}

/// A connection that reads for long.
pub(super) fn copier(location: &Location, patience: Duration) -> Result<Connection> {
    connect(location, Missing::Refuse, patience)
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
/// once, and again and again. What is not Stent's, or newer, is found before anything is written. Where there is nothing to
/// write, it takes no lock: others may write without pause.
fn prepare(
    conn: &mut Connection,
    location: &Location,
    chosen: &SqliteOptions,
    clock: &Clock,
    deadline: Instant,
) -> Result<Boot> {
    let found = schema_version(conn)?;
    for sql in [include_str!("sql/writer_settings.sql"), synchronous(chosen.synchronous)] {
        conn.execute(sql).map_err(|why| why.doing("set up the connection"))?;
    }
    if let Location::File(_) = location {
        log_ahead(conn, deadline)?;
    }
    let known = if found == MIGRATIONS.len() as i64 { known_boot(conn, clock)? } else { None };
    let boot = match known {
        Some(boot) => boot,
        None => {
            patiently(conn, "BEGIN IMMEDIATE", deadline).map_err(|why| why.doing("lock the file for the schema"))?;
            let outcome = migrate(conn, clock).and_then(|()| boot(conn, clock));
            let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
            let ended = conn.execute(end).map_err(|why| why.doing("commit the schema"));
            outcome.and_then(|boot| ended.map(|()| boot))?
        }
    };
    conn.busy_timeout(STEP);
    Ok(boot)
}

/// Runs a statement that takes the write lock, as long as another process has it.
fn patiently(conn: &mut Connection, sql: &'static str, deadline: Instant) -> Result<()> {
    loop {
        match conn.execute(sql) {
            // There are locks for which SQLite does not wait at all.
            Err(why) if error::is_busy(&why) && Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
            done => return done,
        }
    }
}

/// Puts the file into WAL mode. While another process does the same, SQLite says that it is locked without waiting.
fn log_ahead(conn: &mut Connection, deadline: Instant) -> Result<()> {
    const PAUSE: Duration = Duration::from_millis(10);
    loop {
        match conn.query("PRAGMA journal_mode = WAL", &[]) {
            Ok(row) => {
                let mode = row.text(0)?.unwrap_or_default();
                if mode == "wal" {
                    return Ok(());
                }
                return Err(Error::backend(format!(
                    "SQLite can't keep a write-ahead log for it (journal_mode stays '{mode}'): the file system has no \
                     shared memory, as with network drives; put the file on a local disk"
                )));
            }
            Err(why) if error::is_busy(&why) && Instant::now() < deadline => thread::sleep(PAUSE),
            Err(why) => return Err(why.doing("switch to WAL")),
        }
    }
}

/// The schema's version; 0 for a new file. Refuses a file that is not Stent's, or of a newer version than this library.
pub(super) fn schema_version(conn: &mut Connection) -> Result<i64> {
    let read = |conn: &mut Connection, sql| conn.query(sql, &[]).map_err(|why| why.doing("read the schema"));
    let found = read(conn, include_str!("sql/schema_tables.sql"))?;
    let names = (0..found.rows()).map(|row| Ok(found.text(row)?.unwrap_or_default().to_owned()));
    let tables = names.collect::<Result<Vec<String>>>()?;
    if tables.iter().any(|name| name == "stent_schema") {
        let found = read(conn, include_str!("sql/schema_version.sql"))?.int(0)?.unwrap_or(0);
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

fn migrate(conn: &mut Connection, clock: &Clock) -> Result<()> {
    let found = schema_version(conn)?;
    migrate_from(found, conn, clock).map_err(|why| why.doing("create the schema"))
}

fn migrate_from(found: i64, conn: &mut Connection, clock: &Clock) -> Result<()> {
    if found == 0 {
        conn.execute(include_str!("sql/schema_create.sql"))?;
    }
    for (version, migration) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        conn.execute(migration)?;
        let applied_at = clock.read().wall.to_string();
        let mut applied = conn.statement(include_str!("sql/schema_applied.sql"))?;
        applied.int(1, version)?;
        applied.made(2, &applied_at)?;
        applied.run(None)?;
    }
    Ok(())
}

/// Checks the schema's version, which a newer library may have raised since the file was opened.
pub(super) fn check_schema(conn: &mut Connection) -> Result<()> {
    let found = conn.query(include_str!("sql/schema_version.sql"), &[]);
    refuse_newer(found.map_err(|why| why.doing("read the schema's version"))?.int(0)?.unwrap_or(0))
}

/// This boot in a transaction of somebody else's, who has the write lock by now.
pub(super) fn this_boot(conn: &mut Connection, clock: &Clock) -> Result<Boot> {
    match known_boot(conn, clock)? {
        Some(known) => Ok(known),
        None => boot(conn, clock),
    }
}

/// Finds the number of this boot. What waits for the end of a duration does so by the time since one boot: if that was
/// another, from here on by the wall clock, as that boot saw it last.
fn boot(conn: &mut Connection, clock: &Clock) -> Result<Boot> {
    let boot = number_boot(conn, clock).map_err(|why| why.doing("number this boot"))?;
    record_boot(conn, &boot)?;
    Ok(boot)
}

/// This boot, if the file knows it, all its durations are by it, and it began when the file says.
fn known_boot(conn: &mut Connection, clock: &Clock) -> Result<Option<Boot>> {
    let doing = |why: Error| why.doing("number this boot");
    let number = numbered(conn, include_str!("sql/boot_number.sql")).map_err(doing)?;
    let last = conn.query(include_str!("sql/boot_last.sql"), &[]).map_err(doing)?;
    if number.rows() == 0 || last.rows() == 0 {
        return Ok(None);
    }
    let last = Boot { number: last.int(0)?.unwrap_or_default(), began: last.int(1)?.unwrap_or_default() };
    let is_this = number.int(0)? == Some(last.number) && !was_set(last.began, clock.read().began());
    Ok(is_this.then_some(last))
}

/// What a statement answers about this boot.
fn numbered(conn: &mut Connection, sql: &'static str) -> Result<Table> {
    let boot_id = clock::boot_id()?;
    let mut table = Table::default();
    let mut statement = conn.statement(sql)?;
    statement.made(1, &boot_id)?;
    statement.run(Some(&mut table))?;
    Ok(table)
}

fn number_boot(conn: &mut Connection, clock: &Clock) -> Result<Boot> {
    numbered(conn, include_str!("sql/boot_insert.sql"))?;
    let number = numbered(conn, include_str!("sql/boot_number.sql"))?.int(0)?.unwrap_or_default();
    let mut boot = Boot { number, began: clock.read().began() };
    let last = conn.query(include_str!("sql/boot_last.sql"), &[])?;
    if last.rows() == 0 {
        return Ok(boot);
    }
    let last = Boot { number: last.int(0)?.unwrap_or_default(), began: last.int(1)?.unwrap_or_default() };
    if last.number != boot.number {
        // Deadlines are found by what is due.
        for sql in [
            include_str!("sql/deadlines_carry_over.sql"),
            include_str!("sql/tasks_carry_over.sql"),
            include_str!("sql/executions_carry_over.sql"),
            include_str!("sql/cleanups_carry_over.sql"),
        ] {
            conn.query(sql, &[last.began])?;
        }
    } else if !was_set(last.began, boot.began) {
        // As other processes have it.
        boot.began = last.began;
    }
    Ok(boot)
}

/// Notes that all ends of durations are of this boot, and when it began.
pub(super) fn record_boot(conn: &mut Connection, boot: &Boot) -> Result<()> {
    let noted = conn.query(include_str!("sql/boot_began.sql"), &[boot.number, boot.began]);
    noted.map(drop).map_err(|why| why.doing("note when this boot began"))
}
