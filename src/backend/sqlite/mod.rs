//! The SQLite store: a file (or memory), one connection that writes with group commit, and others that read. Which
//! statements an operation runs is in [`crate::backend::sql`].
//!
//! The writing connection commits the work of many callers in one transaction. Each statement is sent to SQLite's
//! thread and back, so one statement does much: batches go in as JSON arrays, and no hot path runs statements in a
//! loop.
//!
//! Before the first file is opened, SQLite's locks are made open-file-description locks (`file_locks`), so that another
//! copy of SQLite in this process can't drop them. Leases carry the number of the machine's boot and the time since that
//! boot, so setting the clock moves none; so do the ends of durations, while dates go by the wall clock (`clock`).

mod changes;
mod clock;
mod connect;
mod copy;
mod deaf;
mod error;
mod file_locks;
mod files;
mod log;
mod options;
mod session;
#[cfg(test)]
mod tests;
mod transaction;
mod watch;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use sqlx::sqlite::SqlitePool;
use tokio::sync::broadcast;

use self::clock::Clock;
use self::copy::Copy;
use self::log::{Keeper, Log};
use self::options::Location;
use self::session::{Statements, Time};
use self::transaction::Transactions;
use self::watch::Watch;
use self::writer::Writer;
use crate::backend::sql::Sql;
use crate::backend::sql::catalog::SharedCatalog;
use crate::backend::sql::database::{Database, Failed, Look, Work};
use crate::backend::sql::listeners::Listeners;
use crate::backend::sql::tx::Tx;
use crate::backend::{LogSize, Notice};
use crate::model::Result;
pub use crate::model::{SqliteOptions, Synchronous};

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
    readers: Option<SqlitePool>,
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

    async fn open_by(clock: Clock, url: &str, options: SqliteOptions) -> Result<Arc<Self>> {
        let location = options::locate(url)?;
        let busy_timeout = options.busy_timeout;
        let (conn, boot) = connect::writer(&location, &options, &clock).await?;
        let readers = connect::readers(&location, &options);
        let (catalog, listeners) = (Arc::<SharedCatalog>::default(), Listeners::default());
        let log = match &location {
            Location::Memory => None,
            Location::File(path) => Some(Log::of(path)),
        };
        let keeper = log.clone().map(Keeper::new);
        let mut transactions = Transactions::new(conn, &boot, clock.clone(), catalog.clone());
        // From here on, what others commit is news.
        transactions.look().await;
        let changes = transactions.changes();
        let writer = Writer::start(transactions, keeper, listeners.clone(), options.busy_timeout);
        let watch = match &location {
            Location::Memory => None,
            Location::File(path) => Watch::start(path, writer.clone(), changes, listeners.clone()),
        };
        let time = Time { clock, boot: boot.number, reading: None };
        let watch = Mutex::new(watch);
        let file = File { location, log, writer, readers, catalog, listeners, busy_timeout, watch, time };
        Ok(Arc::new(Self::new(file)))
    }
}

impl File {
    /// Looks once.
    async fn look<R, Q, F>(&self, pool: &SqlitePool, together: bool, request: Arc<Q>, look: &F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Look<Q, R>,
    {
        let mut conn = pool.acquire().await.map_err(error::map("take a reading connection"))?;
        if !together {
            return look(&mut Statements { conn, time: self.time.clone() }, request).await;
        }
        let conn = conn.begin().await.map_err(error::map("begin to read"))?;
        let mut session = Statements { conn, time: self.time.clone() };
        let result = look(&mut session, request).await?;
        session.conn.commit().await.map_err(error::map("end reading"))?;
        Ok(result)
    }
}

/// Makes a read a job of the writer.
fn in_writer<R, Q, F: Look<Q, R>>(look: F) -> impl Work<Q, R>
where
    R: 'static,
    Q: 'static,
{
    move |tx: &mut Tx<'_>, request: Arc<Q>| look(tx.session(), request)
}

impl Database for File {
    const NAME: &'static str = "sqlite";

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
    async fn write_once<R, Q, F>(
        &self,
        _until: Instant,
        request: Arc<Q>,
        work: Arc<F>,
    ) -> std::result::Result<R, Failed<R>>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Work<Q, R>,
    {
        Ok(self.writer.run(request, work).await?)
    }

    /// Reads on a connection of its own. In memory it is a job of the writer, inside its transaction.
    async fn read_once<R, Q, F>(&self, together: bool, request: Q, look: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Look<Q, R>,
    {
        let request = Arc::new(request);
        let Some(pool) = &self.readers else {
            let work = in_writer(look);
            return self.writer.run(request, Arc::new(work)).await;
        };
        let deadline = Instant::now() + self.busy_timeout;
        loop {
            match self.look(pool, together, request.clone(), &look).await {
                Err(why) if error::is_busy(&why) && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                done => return done,
            }
        }
    }

    async fn check_schema(&self) -> Result<()> {
        match &self.readers {
            Some(pool) => {
                let mut conn = pool.acquire().await.map_err(error::map("take a reading connection"))?;
                connect::check_schema(&mut conn).await
            }
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
                let mut conn = connect::reader(&self.location, self.busy_timeout).await?;
                let filled = copy.fill(&mut conn).await;
                let closed = conn.close().await.map_err(error::map("close the connection"));
                filled.and(closed).map(|()| copy)
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
        if let Some(pool) = &self.readers {
            pool.close().await;
        }
        self.writer.close().await
    }
}
