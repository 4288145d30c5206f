//! The PostgreSQL backend: the twin of the SQLite one, file by file, for many workers on many machines.

mod advance;
mod batch;
mod cancel;
mod catalog;
mod claim;
mod conn;
mod connect;
mod dead_letters;
mod dispatch;
mod doubt;
mod ended;
mod ends;
mod engine;
mod error;
mod fork;
mod idempotency;
mod idle;
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
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::sync::broadcast;

use self::conn::Conn;
use self::doubt::{Doubt, Doubts, Failed, Fate};
use self::idle::Idle;
use self::notices::Notices;
use self::options::Dsn;
use self::pool::{Pool, SharedPool};
use self::tx::Tx;
use crate::backend::{Request, Response};
use crate::model::{Error, Result};

/// Hints kept for a listener that is slow; one that lags looks for itself.
const NOTICES_MAX: usize = 1024;

/// How often a transaction is tried that others are in the way of.
const TRIES: u32 = 12;

/// Between two tries when the connection was cut, at first.
const PAUSE: Duration = Duration::from_millis(20);

/// A PostgreSQL database, as one schema of it.
pub struct Postgres {
    pool: SharedPool,
    doubts: Doubts,
    idle: Idle,
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
        let notices = Notices::start(&dsn, local);
        tokio::spawn(pool.clone().fill(dsn.min_size));
        Ok(Arc::new(Self { pool, doubts: Doubts::default(), idle: Idle::default(), notices }))
    }

    /// A transaction that writes. `work` may be called again: when other transactions are in the way, when it needs a
    /// route that is new, and when the connection was cut before the commit.
    async fn write<R, Q, F>(&self, request: Q, work: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut Tx, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + 'static,
    {
        self.write_until(self.deadline(), &Arc::new(request), &work).await.map_err(|failed| failed.why)
    }

    /// As [`Postgres::write`]. When the answer to the commit was lost, `again` records what is not recorded yet; it is
    /// given what came with the commit.
    async fn write_surely<R, Q, F, G>(&self, request: Q, work: F, again: G) -> Result<R>
    where
        R: Send + Sync + 'static,
        Q: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut Tx, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + 'static,
        G: for<'t> Fn(&'t mut Tx, Arc<(Arc<Q>, R)>) -> BoxFuture<'t, Result<R>> + Send + 'static,
    {
        let request = Arc::new(request);
        let deadline = self.deadline();
        let mut outcome = self.write_until(deadline, &request, &work).await;
        let mut patience = Patience::until(deadline);
        loop {
            let (why, doubt) = match outcome {
                Err(Failed { why, in_doubt: Some(doubt) }) => (why, doubt),
                done => return done.map_err(|failed| failed.why),
            };
            if !patience.allows(&why).await {
                return Err(why);
            }
            let Doubt { result, notices } = doubt;
            let said = Arc::new((request.clone(), result));
            outcome = match self.write_until(deadline, &said, &again).await {
                Ok(result) => {
                    self.notices.tell(notices);
                    return Ok(result);
                }
                // The doubt stays.
                Err(Failed { why, in_doubt: None }) if why.is_retryable() => return Err(error::in_doubt(why)),
                other => other,
            };
        }
    }

    /// As [`Postgres::write`], for what can't be known again. When the answer to the commit was lost, the server is asked
    /// what became of the transaction; its number costs a journey more.
    async fn write_exactly<R, Q, F>(&self, request: Q, work: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut Tx, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + Sync + 'static,
    {
        let request = Arc::new(request);
        let deadline = self.deadline();
        let mut patience = Patience::until(deadline);
        let numbered = numbered(work);
        loop {
            match self.write_until(deadline, &request, &numbered).await {
                Ok((result, _)) => return Ok(result),
                Err(Failed { why, in_doubt: None }) => return Err(why),
                Err(Failed { why, in_doubt: Some(Doubt { result: (result, number), notices }) }) => {
                    match self.fate(number, deadline).await {
                        Fate::Recorded => {
                            self.notices.tell(notices);
                            return Ok(result);
                        }
                        Fate::Nothing if patience.allows(&why).await => {}
                        Fate::Nothing | Fate::Open | Fate::Unknown => return Err(why),
                    }
                }
            }
        }
    }

    /// What became of a transaction; none has a number that wrote nothing.
    async fn fate(&self, number: Option<i64>, deadline: Instant) -> Fate {
        let Some(number) = number else { return Fate::Recorded };
        let mut pause = PAUSE;
        loop {
            let fate = self
                .read(number, |conn, number| Box::pin(async move { doubt::fate(conn, *number).await }))
                .await
                .unwrap_or(Fate::Unknown);
            if fate != Fate::Open || Instant::now() >= deadline {
                return fate;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// How long a call tries.
    fn deadline(&self) -> Instant {
        Instant::now() + self.pool.patience()
    }

    async fn write_until<R, Q, F>(
        &self,
        deadline: Instant,
        request: &Arc<Q>,
        work: &F,
    ) -> std::result::Result<R, Failed<R>>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut Tx, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + 'static,
    {
        let mut tries = TRIES;
        let mut cut = Patience::until(deadline);
        loop {
            let mut tx = match Tx::begin(&self.pool).await {
                Err(why) if cut.allows(&why).await => continue,
                begun => begun?,
            };
            let outcome = match work(&mut tx, request.clone()).await {
                Ok(result) => match tx.commit().await {
                    Ok(()) => Ok(result),
                    Err(why) => Err(Failed::commit(why, Doubt { result, notices: tx.take_notices() })),
                },
                Err(why) => Err(why.into()),
            };
            match outcome {
                Ok(result) => {
                    let notices = tx.take_notices();
                    drop(tx);
                    self.notices.tell(notices);
                    return Ok(result);
                }
                Err(mut failed) => {
                    let missing = tx.missing.take();
                    tx.rollback().await;
                    if let Some(route) = missing {
                        match routes::make(&self.pool, &route).await {
                            Ok(()) => continue,
                            Err(why) => failed = why.into(),
                        }
                    }
                    if error::is_collision(&failed.why) && tries > 1 {
                        tries -= 1;
                        let pause = Duration::from_micros(rand::random_range(500..5_000));
                        tokio::time::sleep(pause * (TRIES - tries)).await;
                    } else if failed.in_doubt.is_some() || !cut.allows(&failed.why).await {
                        return Err(failed);
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
        F: for<'t> Fn(&'t mut Conn, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + 'static,
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
        F: for<'t> Fn(&'t mut Conn, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + 'static,
    {
        self.read_after(Some(self.pool.begin_reading()), request, work).await
    }

    async fn read_after<R, Q, F>(&self, begin: Option<String>, request: Q, work: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: for<'t> Fn(&'t mut Conn, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + 'static,
    {
        let request = Arc::new(request);
        let mut tries = self.pool.size() + 1;
        let mut cut = Patience::until(self.deadline());
        loop {
            let conn = match self.pool.acquire().await {
                Err(why) if cut.allows(&why).await => continue,
                acquired => acquired?,
            };
            match (Reading { conn, open: true }).run(begin.clone(), request.clone(), &work).await {
                // Reading again does no harm; those that were idle may all be cut.
                Err(why) if tries > 0 && error::is_cut(&why) => tries -= 1,
                Err(why) if cut.allows(&why).await => {}
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

/// A result with the number of its transaction.
type Numbered<R> = (R, Option<i64>);

/// Work that also tells the number of its transaction.
fn numbered<R, Q, F>(
    work: F,
) -> impl for<'t> Fn(&'t mut Tx, Arc<Q>) -> BoxFuture<'t, Result<Numbered<R>>> + Send + Sync + 'static
where
    R: Send + 'static,
    Q: Send + Sync + 'static,
    F: for<'t> Fn(&'t mut Tx, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + Sync + 'static,
{
    let work = Arc::new(work);
    move |tx, request| {
        let work = work.clone();
        Box::pin(async move {
            let result = work(tx, request).await?;
            Ok((result, doubt::number(tx).await?))
        })
    }
}

/// How long a call goes on when connections are cut, one after the other.
struct Patience {
    deadline: Instant,
    pause: Duration,
}

impl Patience {
    fn until(deadline: Instant) -> Self {
        Self { deadline, pause: PAUSE }
    }

    /// True, after a pause: try again.
    async fn allows(&mut self, why: &Error) -> bool {
        let goes_on = error::is_cut(why) && Instant::now() < self.deadline;
        if goes_on {
            tokio::time::sleep(self.pause).await;
            self.pause *= 2;
        }
        goes_on
    }
}

/// A connection that reads, in a transaction.
struct Reading {
    conn: Conn,
    open: bool,
}

impl Reading {
    async fn run<R, Q, F>(&mut self, begin: Option<String>, request: Arc<Q>, work: &F) -> Result<R>
    where
        F: for<'t> Fn(&'t mut Conn, Arc<Q>) -> BoxFuture<'t, Result<R>>,
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
