//! The SQLite backend: a file (or memory), one writer with group commit, readers beside it.

mod advance;
mod batch;
mod cancel;
mod catalog;
mod claim;
mod clock;
mod connect;
mod dead_letters;
mod dispatch;
mod ended;
mod ends;
mod engine;
mod error;
mod file_locks;
mod fork;
mod idempotency;
mod insert;
mod journal;
mod list;
mod options;
mod protocol;
mod register;
mod restart;
mod routes;
mod rows;
mod signals;
mod snapshot;
mod spawn;
mod stats;
mod sweep;
#[cfg(test)]
mod tests;
mod trees;
mod tx;
mod waits;
mod watch;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use sqlx::sqlite::SqlitePool;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::broadcast;

use self::options::Location;
use self::tx::Tx;
use self::watch::Watch;
use self::writer::Writer;
use crate::backend::{Notice, Request, Response};
use crate::model::Result;
pub use crate::model::{SqliteOptions, Synchronous};

/// Hints kept for a listener that is slow; one that lags looks for itself.
const NOTICES_MAX: usize = 1024;

/// An open SQLite file.
pub struct Sqlite {
    writer: Writer,
    /// None for a database in memory: it belongs to its one connection, which then reads as well.
    readers: Option<SqlitePool>,
    notices: broadcast::Sender<Notice>,
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
        let (notices, _) = broadcast::channel(NOTICES_MAX);
        let mut tx = Tx::new(conn, boot, options.busy_timeout);
        // From here on, what others commit is news.
        tx.look().await;
        let changes = tx.changes();
        let writer = Writer::start(tx, notices.clone());
        let watch = match &location {
            Location::Memory => None,
            Location::File(path) => Watch::start(path, writer.clone(), changes, notices.clone()),
        };
        Ok(Arc::new(Self { writer, readers, notices, boot, watch: Mutex::new(watch) }))
    }

    /// A transaction that writes. `work` may be called twice: when another job spoils the transaction that it
    /// shares, each is tried alone.
    async fn write<R, Q, F>(&self, request: Q, work: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut Tx, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + 'static,
    {
        self.writer.run(request, work).await
    }

    /// Reads beside the writer; one statement sees one state of the store.
    async fn read<R, Q, F>(&self, request: Q, work: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut SqliteConnection, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + 'static,
    {
        match &self.readers {
            Some(pool) => {
                let mut conn = pool.acquire().await.map_err(error::map("take a reading connection"))?;
                work(&mut conn, Arc::new(request)).await
            }
            None => self.writer.run(request, move |tx, request| work(&mut tx.conn, request)).await,
        }
    }

    /// As [`Sqlite::read`], but all of `work`'s statements see one state of the store.
    async fn read_together<R, Q, F>(&self, request: Q, work: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut SqliteConnection, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + 'static,
    {
        // In memory the reading is a job of the writer, inside its transaction.
        let Some(pool) = &self.readers else { return self.read(request, work).await };
        let mut conn = pool.acquire().await.map_err(error::map("take a reading connection"))?;
        let mut together = conn.begin().await.map_err(error::map("begin to read"))?;
        let result = work(&mut together, Arc::new(request)).await?;
        together.commit().await.map_err(error::map("end reading"))?;
        Ok(result)
    }

    /// One operation of the protocol.
    pub async fn call(&self, request: Request) -> Result<Response> {
        protocol::call(self, request).await
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
