//! The SQLite dialect: a file (or memory), one writer with group commit, readers beside it. What is asked of the tables,
//! and what follows, is in [`crate::backend::sql`].
//!
//! The one writing connection commits many callers' work in one transaction. A statement crosses a thread to get to SQLite,
//! so one statement does much: sets go in as JSON arrays, and no hot path has a loop of statements.
//!
//! Before the first file is opened, SQLite's locks are made open-file-description locks (`file_locks`), so that another
//! copy of SQLite in this process can't drop them. Leases carry the number of the machine's boot and the time since that
//! boot, so setting the clock moves none.

mod changes;
mod clock;
mod connect;
mod deaf;
mod error;
mod file_locks;
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

use self::options::Location;
use self::session::{Statements, Time};
use self::transaction::Transactions;
use self::watch::Watch;
use self::writer::Writer;
use crate::backend::Notice;
use crate::backend::sql::Sql;
use crate::backend::sql::catalog::SharedCatalog;
use crate::backend::sql::database::{Database, Failed, Look, Work};
use crate::backend::sql::listeners::Listeners;
use crate::backend::sql::tx::Tx;
use crate::model::Result;
pub use crate::model::{SqliteOptions, Synchronous};

/// A store on a SQLite file.
pub type Sqlite = Sql<File>;

/// An open SQLite file.
pub struct File {
    writer: Writer,
    /// None for a database in memory: it belongs to its one connection, which then reads as well.
    readers: Option<SqlitePool>,
    catalog: Arc<SharedCatalog>,
    listeners: Listeners,
    /// Others' commits; none in memory, where there are no others.
    watch: Mutex<Option<Watch>>,
    /// The number of this boot: a lease of another one has ended.
    boot: i64,
}

impl Sqlite {
    /// Opens or creates the file, and brings its schema up to date. Must be called on a tokio runtime, which the
    /// backend uses as long as it is open.
    pub async fn open(url: &str, options: SqliteOptions) -> Result<Arc<Self>> {
        let location = options::locate(url)?;
        let (conn, boot) = connect::writer(&location, &options).await?;
        let readers = connect::readers(&location, &options);
        let (catalog, listeners) = (Arc::<SharedCatalog>::default(), Listeners::default());
        let mut transactions = Transactions::new(conn, boot, catalog.clone(), options.busy_timeout);
        // From here on, what others commit is news.
        transactions.look().await;
        let changes = transactions.changes();
        let writer = Writer::start(transactions, listeners.clone());
        let watch = match &location {
            Location::Memory => None,
            Location::File(path) => Watch::start(path, writer.clone(), changes, listeners.clone()),
        };
        Ok(Arc::new(Self::new(File { writer, readers, catalog, listeners, boot, watch: Mutex::new(watch) })))
    }
}

impl File {
    fn time(&self) -> Time {
        Time { boot: self.boot, reading: None }
    }
}

/// A look as a job of the writer.
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

    fn catalog(&self) -> &SharedCatalog {
        &self.catalog
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// As a job of the writer, beside others in one transaction: when another job spoils it, each is tried alone. A commit
    /// is never in doubt.
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

    /// Beside the writer. In memory the reading is a job of the writer, inside its transaction.
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
        let mut conn = pool.acquire().await.map_err(error::map("take a reading connection"))?;
        if !together {
            return look(&mut Statements { conn, time: self.time() }, request).await;
        }
        let conn = conn.begin().await.map_err(error::map("begin to read"))?;
        let mut session = Statements { conn, time: self.time() };
        let result = look(&mut session, request).await?;
        session.conn.commit().await.map_err(error::map("end reading"))?;
        Ok(result)
    }

    async fn check_schema(&self) -> Result<()> {
        match &self.readers {
            Some(pool) => {
                let mut conn = pool.acquire().await.map_err(error::map("take a reading connection"))?;
                connect::check_schema(&mut conn).await
            }
            // Nobody else can raise the schema of what is in memory: only whether it is open is asked.
            None => self.writer.look().await,
        }
    }

    /// Commits what was asked for, and lets go of the file. Readers go first: the last connection to close is the one
    /// that moves the log into the file, and it must be the one that may write.
    async fn close(&self) -> Result<()> {
        drop(self.watch.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(pool) = &self.readers {
            pool.close().await;
        }
        self.writer.close().await
    }
}
