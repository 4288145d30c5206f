//! The PostgreSQL backend: the twin of the SQLite one, file by file, for many workers on many machines.

mod advance;
mod batch;
mod cancel;
mod catalog;
mod claim;
mod connect;
mod dead_letters;
mod dispatch;
mod ended;
mod ends;
mod engine;
mod error;
mod fork;
mod idempotency;
mod insert;
mod journal;
mod list;
mod notices;
mod options;
mod pool;
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
mod time;
mod trees;
mod tx;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Postgres as Database};
use tokio::sync::broadcast;

use self::notices::Notices;
use self::options::Dsn;
use self::pool::{Pool, SharedPool};
use self::tx::Tx;
use crate::backend::{Request, Response};
use crate::model::Result;

/// Hints kept for a listener that is slow; one that lags looks for itself.
const NOTICES_MAX: usize = 1024;

/// How often a transaction is tried that others are in the way of.
const TRIES: u32 = 12;

/// A PostgreSQL database, as one schema of it.
pub struct Postgres {
    pool: SharedPool,
    notices: Notices,
}

impl Postgres {
    /// Connects, and creates the schema or brings it up to date. Must be called on a tokio runtime, which the backend
    /// uses as long as it is open.
    pub async fn open(url: &str) -> Result<Arc<Self>> {
        let dsn = Dsn::parse(url)?;
        connect::prepare(&dsn).await?;
        let pool = Arc::new(Pool::new(&dsn));
        let (local, _) = broadcast::channel(NOTICES_MAX);
        let notices = Notices::start(&dsn, &pool, local);
        Ok(Arc::new(Self { pool, notices }))
    }

    /// A transaction that writes. `work` may be called again: when other transactions are in the way, and when it needs
    /// a route that is new.
    async fn write<R, Q, F>(&self, request: Q, work: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut Tx, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + 'static,
    {
        let request = Arc::new(request);
        let mut tries = TRIES;
        loop {
            let mut tx = Tx::begin(&self.pool).await?;
            let outcome = match work(&mut tx, request.clone()).await {
                Ok(result) => tx.commit().await.map(|()| result),
                Err(why) => Err(why),
            };
            match outcome {
                Ok(result) => {
                    let notices = tx.take_notices();
                    drop(tx);
                    self.notices.tell(notices);
                    return Ok(result);
                }
                Err(why) => {
                    let missing = tx.missing.take();
                    tx.rollback().await;
                    if let Some(route) = missing {
                        routes::make(&self.pool, &route).await?;
                    } else if error::is_collision(&why) && tries > 1 {
                        tries -= 1;
                        let pause = Duration::from_micros(rand::random_range(500..5_000));
                        tokio::time::sleep(pause * (TRIES - tries)).await;
                    } else {
                        return Err(why);
                    }
                }
            }
        }
    }

    /// Reads; one statement sees one state of the store.
    async fn read<R, Q, F>(&self, request: Q, work: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut PgConnection, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + 'static,
    {
        // Where a session keeps its settings, a statement alone needs no transaction.
        let begin = (!self.pool.keeps_session()).then(|| self.pool.begin_reading());
        self.read_after(begin, request, work).await
    }

    /// As [`Postgres::read`], but all of `work`'s statements see one state of the store.
    async fn read_together<R, Q, F>(&self, request: Q, work: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut PgConnection, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + 'static,
    {
        self.read_after(Some(self.pool.begin_reading()), request, work).await
    }

    async fn read_after<R, Q, F>(&self, begin: Option<String>, request: Q, work: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut PgConnection, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + 'static,
    {
        let request = Arc::new(request);
        let mut tries = self.pool.size() + 1;
        loop {
            tries -= 1;
            let mut reading = Reading { conn: self.pool.acquire().await?, open: true };
            match reading.run(begin.clone(), request.clone(), &work).await {
                // Reading again does no harm.
                Err(why) if tries > 0 && error::is_cut(&why) => {}
                done => return done,
            }
        }
    }

    /// One operation of the protocol.
    pub async fn call(&self, request: Request) -> Result<Response> {
        protocol::call(self, request).await
    }

    async fn close(&self) -> Result<()> {
        self.notices.stop();
        self.pool.close().await;
        Ok(())
    }
}

/// A connection that reads, in a transaction.
struct Reading {
    conn: PoolConnection<Database>,
    open: bool,
}

impl Reading {
    async fn run<R, Q, F>(&mut self, begin: Option<String>, request: Arc<Q>, work: &F) -> Result<R>
    where
        F: for<'t> Fn(&'t mut PgConnection, Arc<Q>) -> BoxFuture<'t, Result<R>>,
    {
        let Some(begin) = begin else {
            let outcome = work(&mut self.conn, request).await;
            self.open = outcome.as_ref().is_err_and(error::is_cut);
            return outcome;
        };
        self.conn.execute(sqlx::raw_sql(AssertSqlSafe(begin))).await.map_err(error::map("begin to read"))?;
        let outcome = work(&mut self.conn, request).await;
        let ended = self.conn.execute(sqlx::raw_sql("ROLLBACK")).await;
        self.open = ended.is_err();
        outcome
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.open {
            self.conn.close_on_drop();
        }
    }
}
