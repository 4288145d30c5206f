//! The PostgreSQL dialect: a pool of connections, each transaction on one of them, for many workers on many machines. What
//! is asked of the tables, and what follows, is in [`crate::backend::sql`].
//!
//! The clock of a transaction is the server's, read with `BEGIN`, and so is the version of the catalog (functions, routes,
//! workers), which is kept in memory. Sets go in as arrays, one for each column, that `unnest` puts together.
//!
//! **Plans.** Every session asks for generic plans and for indexes, so that a plan depends neither on the first parameters
//! nor on what the server believes of new tables. A plan that is kept must be right whatever the tables become: to a server
//! that has just vacuumed an empty table, reading all of it costs nothing, and an hour later the same plan reads a million
//! rows. So the texts leave it no choice: a join of a batch with a table by its key is `t.id = ANY (ARRAY[b.id])`, of which
//! no order can be made; one by a partial index is a `LATERAL … OFFSET 0`; no index has an id behind other columns. A test
//! reads the plans of empty, vacuumed tables.
//!
//! **Cancels.** A cancel marks what runs in the tree (`tasks.stopped`). A result that was on its way is either there before
//! the cancel, or finds the mark, whatever its statement saw when it began. So results need no lock on the execution.
//!
//! **Routes** that are new are made in a transaction of their own, and the one that wanted it begins again.
//!
//! **Silence.** Every answer is waited for in one place, [`conn::Conn`], and for a time ([`silence`]). sqlx lets nobody set
//! TCP's own keepalive; the server is told to watch its side.
//!
//! **Behind a pooler** (`statement_cache=0`) a session keeps nothing: settings are `SET LOCAL` in each transaction,
//! statements have no names, advisory locks are those of transactions anyway, and nobody listens.
//!
//! **Hints** go to other processes by `NOTIFY`, gathered and sent outside of the transactions at most every few
//! milliseconds, on the one connection that listens.

mod conn;
mod connect;
mod error;
mod hosts;
mod notices;
mod options;
mod pool;
mod rights;
mod service;
mod session;
mod silence;
#[cfg(test)]
mod tests;
mod time;
mod tls;
mod transaction;
mod words;
mod written;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Executor as _};
use tokio::sync::broadcast;

use self::notices::Notices;
use self::options::Dsn;
use self::pool::{Pool, SharedPool};
use self::session::Statements;
use self::transaction::Transaction;
use crate::backend::Notice;
use crate::backend::sql::catalog::SharedCatalog;
use crate::backend::sql::database::{Database, Doubt, Failed, Look, Work};
use crate::backend::sql::patience::{Patience, in_doubt, is_cut};
use crate::backend::sql::{Sql, routes};
use crate::model::{Error, Result, Route};

/// How often a transaction is tried that others are in the way of.
const TRIES: u32 = 12;

/// While no hints are heard: how long another's cancel may go unheard of before the server is asked.
const UNHEARD: Duration = Duration::from_millis(20);

/// A store in a PostgreSQL database, as one schema of it.
pub type Postgres = Sql<Server>;

/// A PostgreSQL server, and one schema there.
pub struct Server {
    pool: SharedPool,
    notices: Notices,
}

impl Postgres {
    /// Connects, and creates the schema or brings it up to date. Must be called on a tokio runtime, which the backend
    /// uses as long as it is open.
    pub async fn open(url: &str) -> Result<Arc<Self>> {
        let mut dsn = Dsn::parse(url)?;
        dsn.find().await.map_err(|why| why.doing(&format!("open {}", dsn.describe())))?;
        connect::prepare(&dsn).await?;
        let pool = Arc::new(Pool::new(&dsn));
        let notices = Notices::start(&dsn);
        tokio::spawn(Pool::keep(Arc::downgrade(&pool), dsn.min_size));
        Ok(Arc::new(Self::new(Server { pool, notices })))
    }
}

impl Server {
    /// One try: begins, works, commits.
    async fn try_to_write<R, Q, F>(&self, request: &Arc<Q>, work: &F) -> std::result::Result<R, Refused<R>>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Work<Q, R>,
    {
        let mut transaction = Transaction::begin(&self.pool).await.map_err(Refused::before)?;
        let mut tx = transaction.tx();
        let outcome = work(&mut tx, request.clone()).await;
        let (notices, missing) = (tx.take_notices(), tx.missing.take());
        drop(tx);
        let failed = match outcome {
            Ok(result) => match transaction.commit().await {
                Ok(()) => {
                    drop(transaction);
                    self.notices.tell(notices);
                    return Ok(result);
                }
                // A commit that brought no good answer.
                Err(why) if is_cut(&why) => Failed { why: in_doubt(why), in_doubt: Some(Doubt { result, notices }) },
                Err(why) => why.into(),
            },
            Err(why) => why.into(),
        };
        transaction.rollback().await;
        Err(Refused { failed, missing })
    }

    /// A route is made in a transaction of its own, so that no other waits for the one that needs it.
    async fn make(&self, route: &Route) -> Result<()> {
        let mut transaction = Transaction::begin(&self.pool).await?;
        let made = routes::make(&mut transaction.tx(), route).await;
        match made {
            Ok(()) => transaction.commit().await,
            Err(why) => {
                transaction.rollback().await;
                Err(why)
            }
        }
    }
}

/// Why a try did not answer.
struct Refused<R> {
    failed: Failed<R>,
    /// The route that it lacked.
    missing: Option<Route>,
}

impl<R> Refused<R> {
    /// Nothing was begun.
    fn before(why: Error) -> Self {
        Self { failed: why.into(), missing: None }
    }
}

impl Database for Server {
    const NAME: &'static str = "postgres";

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    fn tell(&self, notices: Vec<Notice>) {
        self.notices.tell(notices);
    }

    fn heard(&self) -> u64 {
        self.notices.heard()
    }

    fn unheard_for(&self) -> Option<Duration> {
        (!self.notices.hears()).then_some(UNHEARD)
    }

    fn catalog(&self) -> &SharedCatalog {
        &self.pool.catalog
    }

    fn patience(&self) -> Duration {
        self.pool.patience()
    }

    async fn write_once<R, Q, F>(
        &self,
        until: Instant,
        request: Arc<Q>,
        work: Arc<F>,
    ) -> std::result::Result<R, Failed<R>>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Work<Q, R>,
    {
        let mut tries = TRIES;
        let begin = Instant::now();
        let mut cut = Patience::until(until);
        loop {
            let failed = match self.try_to_write(&request, work.as_ref()).await {
                Ok(result) => return Ok(result),
                Err(Refused { failed, missing: None }) => failed,
                Err(Refused { missing: Some(route), .. }) => match self.make(&route).await {
                    Ok(()) => continue,
                    Err(why) => why.into(),
                },
            };
            let again = error::is_collision(&failed.why)
                || (error::is_passing(&failed.why) && begin.elapsed() < self.patience());
            if again && tries > 1 {
                tries -= 1;
                let pause = Duration::from_micros(rand::random_range(500..5_000));
                tokio::time::sleep(pause * (TRIES - tries)).await;
            } else if failed.in_doubt.is_some() || !cut.allows(&failed.why).await {
                return Err(failed);
            }
        }
    }

    async fn read_once<R, Q, F>(&self, together: bool, request: Q, look: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Look<Q, R>,
    {
        // Where a session keeps its settings, a statement alone needs no transaction.
        let begin = (together || !self.pool.keeps_session()).then(|| self.pool.begin_reading());
        let request = Arc::new(request);
        let mut tries = self.pool.size() + 1;
        let deadline = Instant::now() + self.patience();
        let mut cut = Patience::until(deadline);
        loop {
            let session = match self.pool.session().await {
                Err(why) if cut.allows(&why).await => continue,
                taken => taken?,
            };
            match (Reading { session, open: true }).run(begin.clone(), request.clone(), &look).await {
                // Reading again does no harm; those that were idle may all be cut.
                Err(why) if tries > 0 && is_cut(&why) && Instant::now() < deadline => tries -= 1,
                Err(why) if cut.allows(&why).await => {}
                done => return done,
            }
        }
    }

    async fn check_schema(&self) -> Result<()> {
        let session = self.pool.session().await?;
        let mut reading = Reading { session, open: true };
        reading.begin(self.pool.begin_reading()).await?;
        let checked = connect::check_schema(&mut reading.session.conn).await;
        reading.end().await;
        checked.map(drop)
    }

    async fn close(&self) -> Result<()> {
        self.notices.stop();
        self.pool.close().await;
        Ok(())
    }
}

/// A connection that reads, in a transaction or alone.
struct Reading {
    session: Statements,
    /// Left like this, the connection is not used again.
    open: bool,
}

impl Reading {
    async fn run<R, Q, F>(&mut self, begin: Option<String>, request: Arc<Q>, look: &F) -> Result<R>
    where
        F: Look<Q, R>,
    {
        let Some(begin) = begin else {
            let outcome = look(&mut self.session, request).await;
            self.open = outcome.as_ref().is_err_and(is_cut);
            return outcome;
        };
        self.begin(begin).await?;
        let outcome = look(&mut self.session, request).await;
        self.end().await;
        outcome
    }

    async fn begin(&mut self, begin: String) -> Result<()> {
        self.session.conn.impatient();
        let begun = self.session.conn.execute(sqlx::raw_sql(AssertSqlSafe(begin))).await;
        self.session.conn.patient();
        begun.map(drop).map_err(error::map("begin to read"))
    }

    async fn end(&mut self) {
        self.session.conn.impatient();
        self.open = self.session.conn.execute(sqlx::raw_sql("ROLLBACK")).await.is_err();
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.open {
            self.session.conn.close_on_drop();
        }
    }
}
