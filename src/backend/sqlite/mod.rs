//! The SQLite store: a file (or memory), one connection that writes with group commit, and others that read. Which
//! statements an operation runs is in [`crate::backend::sql`].
//!
//! SQLite is spoken to directly (`conn`), and answers at once, so a statement costs what it costs SQLite: it is prepared
//! once for a connection's life, a batch is a loop of bind, step and reset, and rows are read where they lie
//! (`session`). What the flow does in a transaction is a future that never waits; it is polled to its end where it is
//! begun. The writing connection commits the work of many callers in one transaction, on its own thread or on that of a
//! caller who may block and finds it free (`writer`). Readers are connections that are lent (`readers`).
//!
//! A host's SQLite that has loaded the library runs the same statements on its own connection (`extension`).
//!
//! Before the first file is opened, SQLite's locks are made open-file-description locks (`file_locks`), so that another
//! copy of SQLite in this process can't drop them. Leases carry the number of the machine's boot and the time since that
//! boot, so setting the clock moves none; so do the ends of durations, while dates go by the wall clock (`clock`).

mod api;
mod busy;
mod changes;
mod clock;
mod conn;
mod connect;
mod copy;
mod error;
pub mod extension;
mod file_locks;
mod files;
mod log;
mod options;
mod readers;
mod session;
mod table;
#[cfg(test)]
mod tests;
mod transaction;
mod watch;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, oneshot};

use self::clock::Clock;
use self::conn::Connection;
use self::copy::Copy;
use self::log::{Keeper, Log};
use self::options::Location;
use self::readers::Readers;
use self::session::{Statements, Time};
use self::transaction::{Transactions, at_once};
use self::watch::Watch;
use self::writer::{Seat, Writer};
use crate::backend::sql::Sql;
use crate::backend::sql::catalog::SharedCatalog;
use crate::backend::sql::database::{Answered, Body, Database, Failed, Looking};
use crate::backend::sql::listeners::Listeners;
use crate::backend::{LogSize, Notice, SchemaVersion};
use crate::model::Result;
pub use crate::model::{SqliteOptions, Synchronous};
use crate::threads;

/// How long another process's commit may go unheard of before the file is looked at again. To read it costs a twentieth
/// of that.
const UNHEARD: Duration = Duration::from_millis(2);

/// A store on a SQLite file.
pub type Sqlite = Sql<File>;

/// An open SQLite file.
pub struct File {
    location: Location,
    /// None in memory.
    log: Option<Log>,
    writer: Writer,
    /// None for a database in memory: it belongs to its one connection, which then reads as well.
    readers: Option<Readers>,
    catalog: Arc<SharedCatalog>,
    listeners: Listeners,
    /// How long a caller waits for a lock.
    busy_timeout: Duration,
    /// Others' commits; none in memory, where there are no others.
    watch: Mutex<Option<Watch>>,
    /// How its connections tell the time.
    time: Time,
}

impl Sqlite {
    /// Opens or creates the file, and brings its schema up to date. Must be called on a tokio runtime, which the
    /// backend uses as long as it is open.
    pub async fn open(url: &str, options: SqliteOptions) -> Result<Arc<Self>> {
        Self::open_by(Clock::default(), url, options).await
    }

    /// The version of the schema that is there. Creates nothing and changes nothing. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// As [`Sqlite::open`]: what is another program's, or newer than this library, is refused.
    pub async fn schema(url: &str, options: SqliteOptions) -> Result<SchemaVersion> {
        let location = options::locate(url)?;
        // One opening at a time.
        let _turn = connect::turn(&location, &options).await?;
        connect::schema(&location, &options)
    }

    async fn open_by(clock: Clock, url: &str, options: SqliteOptions) -> Result<Arc<Self>> {
        let location = options::locate(url)?;
        let busy_timeout = options.busy_timeout;
        let (catalog, listeners) = (Arc::<SharedCatalog>::default(), Listeners::default());
        let turn = connect::turn(&location, &options).await?;
        let open = {
            let (location, catalog, clock) = (location.clone(), catalog.clone(), clock.clone());
            move || {
                let (conn, boot) = connect::writer(&location, &options, &clock, turn)?;
                let log = match &location {
                    Location::Memory => None,
                    Location::File(path) => Some(Log::of(path)),
                };
                let mut transactions = Transactions::new(conn, &boot, clock.clone(), catalog);
                // From here on, what others commit is news.
                transactions.look();
                let time = Time { clock, boot: boot.number, reading: None };
                let readers = match &location {
                    Location::Memory => None,
                    Location::File(_) => Some(Readers::new(location.clone(), options.readers)),
                };
                let (changes, keeper) = (transactions.changes(), log.clone().map(Keeper::new));
                Ok((Seat { transactions, keeper }, (log, changes, time, readers)))
            }
        };
        let (writer, (log, changes, time, readers)) = Writer::start(open, listeners.clone(), busy_timeout).await?;
        let watch = match &location {
            Location::Memory => None,
            Location::File(path) => Watch::start(path, writer.clone(), changes, listeners.clone()),
        };
        let watch = Mutex::new(watch);
        let file = File { location, log, writer, readers, catalog, listeners, busy_timeout, watch, time };
        Ok(Arc::new(Self::new(file)))
    }
}

/// Looks once.
fn look_once(conn: &mut Connection, time: Time, together: bool, look: &Looking) -> Result<Answered> {
    if !together {
        return at_once(look(&mut Statements { conn, time }));
    }
    conn.query("BEGIN", &[]).map_err(|why| why.doing("begin to read"))?;
    let result = at_once(look(&mut Statements { conn: &mut *conn, time }));
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = conn.query(end, &[]).map_err(|why| why.doing("end reading"));
    result.and_then(|result| ended.map(|_| result))
}

/// Makes a read a job of the writer.
fn in_writer(look: Looking) -> Body {
    Arc::new(move |tx| look(tx.session()))
}

impl Database for File {
    const NAME: &'static str = "sqlite";

    const MIGRATIONS: &'static [&'static str] = &connect::MIGRATIONS;

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.listeners.subscribe()
    }

    fn tell(&self, notices: Vec<Notice>) {
        self.listeners.tell(notices);
    }

    fn heard(&self) -> u64 {
        self.listeners.heard()
    }

    /// Others' commits are heard of a little late, and all alike. In memory there are no others.
    fn unheard_for(&self) -> Option<Duration> {
        self.readers.as_ref().map(|_| UNHEARD)
    }

    fn catalog(&self) -> &SharedCatalog {
        &self.catalog
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// A job of the writer, in one transaction with others; if another job makes the transaction fail, each is tried
    /// alone. The answer to a commit is never lost.
    async fn write_once(&self, _until: Instant, work: Body) -> std::result::Result<Answered, Failed> {
        Ok(self.writer.run(work).await?)
    }

    /// Reads on a connection of its own. In memory it is a job of the writer, inside its transaction.
    async fn read_once(&self, together: bool, look: Looking) -> Result<Answered> {
        let Some(readers) = &self.readers else {
            return self.writer.run(in_writer(look)).await;
        };
        let (time, patience) = (self.time.clone(), self.busy_timeout);
        let read = move |conn: &mut Connection| {
            let deadline = Instant::now() + patience;
            loop {
                match look_once(conn, time.clone(), together, &look) {
                    Err(why) if error::is_busy(&why) && Instant::now() < deadline => {
                        thread::sleep(Duration::from_millis(1));
                    }
                    done => return done,
                }
            }
        };
        readers.read(read).await
    }

    async fn check_schema(&self) -> Result<()> {
        match &self.readers {
            Some(readers) => readers.read(connect::check_schema).await,
            // Nobody else can raise the schema of a database in memory; this only checks that it is open.
            None => self.writer.look().await,
        }
    }

    fn log_size(&self) -> Option<LogSize> {
        self.log.as_ref().map(Log::size)
    }

    /// On a connection of its own, so that nobody waits for it; in memory there is only the writer's.
    async fn backup(&self, path: &str) -> Result<()> {
        let copy = Copy::begin(path.as_ref()).map_err(|why| why.doing("backup"))?;
        let filled = match &self.location {
            Location::Memory => self.writer.copy(copy).await,
            Location::File(_) => {
                let (location, patience) = (self.location.clone(), self.busy_timeout);
                let (reply, filled) = oneshot::channel();
                let fill = move || {
                    let filled = connect::copier(&location, patience).and_then(|mut conn| {
                        let filled = copy.fill(&mut conn);
                        let closed = conn.close().map_err(|why| why.doing("close the connection"));
                        filled.and(closed).map(|()| copy)
                    });
                    let _gone = reply.send(filled);
                };
                threads::spawn("stent-copy", None, fill).map_err(|why| error::no_thread(&why))?;
                filled.await.unwrap_or_else(|_| Err(error::closed()))
            }
        };
        match filled {
            Ok(copy) => copy.finish().await,
            Err(why) => Err(why),
        }
        .map_err(|why| why.doing("backup"))
    }

    /// Commits what was asked for, and closes the file. Readers are closed first: the last connection to close
    /// checkpoints the log, and must be the one that may write.
    async fn close(&self) -> Result<()> {
        drop(self.watch.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(readers) = &self.readers {
            readers.close().await;
        }
        self.writer.close().await
    }
}
