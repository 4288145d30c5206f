//! The SQLite backend: a file (or memory), one writer with group commit, readers beside it.

mod advance;
mod batch;
mod cancel;
mod catalog;
mod claim;
mod clock;
mod connect;
mod dispatch;
mod ends;
mod engine;
mod error;
mod file_locks;
mod fork;
mod idempotency;
mod insert;
mod journal;
mod options;
mod protocol;
mod register;
mod reports;
mod restart;
mod routes;
mod rows;
mod signals;
mod spawn;
mod sweep;
mod trees;
mod tx;
mod waits;
mod writer;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePool;
use tokio::sync::broadcast;

pub use options::{SqliteOptions, Synchronous};

use self::options::Location;
use self::tx::Tx;
use self::writer::Writer;
use crate::backend::Notice;
use crate::model::Result;

/// Hints kept for a listener that is slow; one that lags looks for itself.
const NOTICES_MAX: usize = 1024;

/// An open SQLite file.
pub struct Sqlite {
    location: Location,
    writer: Writer,
    /// None for a database in memory: it belongs to its one connection, which then reads as well.
    readers: Option<SqlitePool>,
    notices: broadcast::Sender<Notice>,
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
        let writer = Writer::start(Tx::new(conn, boot), notices.clone());
        Ok(Arc::new(Self { location, writer, readers, notices, boot }))
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
}
