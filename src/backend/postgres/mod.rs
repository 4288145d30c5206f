//! The PostgreSQL store: a pool of connections, each transaction on one of them, for workers on many machines. Which
//! statements an operation runs is in [`crate::backend::sql`].
//!
//! The clock of a transaction is the server's, read with `BEGIN`, together with the version of the catalog (functions,
//! routes, workers), which is kept in memory. Batches go in as arrays, one for each column, which `unnest` turns into
//! rows.
//!
//! **Plans.** Every session asks for generic plans and prefers indexes, so that a plan depends neither on its first
//! parameters nor on early statistics. A cached plan must stay good whatever size the tables get: just after an empty
//! table was vacuumed a sequential scan seems free, and an hour later the same plan reads a million rows. So the texts
//! leave the planner no choice. A batch is joined with a table by its key as `t.id = ANY (ARRAY[b.id])`, for which no
//! hash or merge join exists; a join by a partial index is a `LATERAL … OFFSET 0`; no index has an id after other
//! columns. A test reads the plans of empty, vacuumed tables.
//!
//! **Old snapshots** (a report, a forgotten transaction) keep all rows that were dead since, and their index entries. A
//! process remembers where in each lane the living begin, and from when on something may be due, and looks from there:
//! `places` and `tides` in [`super::sql`]. Whatever makes a task ready writes by which transaction (`tasks.readied`), so
//! that a claim finds what has become ready before that place.
//!
//! **Updates** of executions, which are their ends, touch no indexed column and find room on their page: they leave no index
//! entry behind. A start writes to the root's row alone (`opened_at`), and whoever reads an execution that is not over looks
//! there; what a tool writes over its record counts from then on, and what the root had said is taken back. A claim and an
//! end of a task write two and one. A dispatch that needs nothing looked up is one statement, and a worker has two
//! transactions at the server at once.
//!
//! **Cancels.** A cancel sets `tasks.stopped` on all running tasks of the execution. A result that is written at the
//! same time either commits before the cancel, or sees `stopped`, because the row is checked again after waiting for
//! its lock. So writing results needs no lock on the execution.
//!
//! **Routes** that are new are created in a transaction of their own; the transaction that needs one begins again.
//!
//! **Time limits.** Every answer is awaited in one place, [`conn::Conn`], with a time limit (see [`silence`]). sqlx
//! can't set TCP keepalive on the client's side; the server is asked to use it on its own.
//!
//! **Plain SQL.** Functions in the schema ([`functions`]) dispatch in a transaction of the caller's, which may stay open for as
//! long as its owner likes. So nobody waits for it but who needs the same key or the same new route: the catalog's version is
//! raised at its commit, and signals and cancels are noted in `requests`, begin at the commit, and are carried out by the next
//! sweep.
//!
//! **Text** that a database can't hold is escaped ([`charset`]).
//!
//! **Behind a pooler** (`statement_cache=0`) a session keeps nothing: settings are `SET LOCAL` in each transaction,
//! statements have no names, advisory locks are those of transactions anyway, and nobody listens.
//!
//! **Hints** go to other processes by `NOTIFY`. They are gathered, and sent outside the transactions at most every few
//! milliseconds, on the connection that also listens.

mod charset;
mod conn;
mod connect;
mod error;
mod functions;
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

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::sync::broadcast;

use self::notices::Notices;
use self::options::Dsn;
use self::pool::{Pool, SharedPool};
use self::session::Statements;
use self::transaction::Transaction;
use crate::backend::sql::call::Call;
use crate::backend::sql::catalog::SharedCatalog;
use crate::backend::sql::database::{Answered, Body, Database, Doubt, Failed, Looking};
use crate::backend::sql::patience::{Patience, in_doubt, is_cut};
use crate::backend::sql::row::Row;
use crate::backend::sql::session::Session as _;
use crate::backend::sql::{Sql, routes};
use crate::backend::{Notice, SchemaVersion};
use crate::model::{Error, Id, Result, Route, Status};

/// How often a transaction that conflicts with others is tried.
const TRIES: u32 = 12;

/// While no hints are heard: how long another's cancel may go unheard of before the server is asked.
const UNHEARD: Duration = Duration::from_millis(20);

/// A store in one schema of a PostgreSQL database.
pub type Postgres = Sql<Server>;

/// One schema on a PostgreSQL server.
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
        let charset = connect::prepare(&dsn).await?;
        let pool = Arc::new(Pool::new(&dsn, charset));
        let notices = Notices::start(&dsn);
        tokio::spawn(Pool::keep(Arc::downgrade(&pool), dsn.min_size).boxed());
        Ok(Arc::new(Self::new(Server { pool, notices })))
    }
}

impl Postgres {
    /// The version of the schema that is there. Creates nothing and changes nothing. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// As [`Postgres::open`]: what is another program's, or newer than this library, is refused.
    pub async fn schema(url: &str) -> Result<SchemaVersion> {
        let mut dsn = Dsn::parse(url)?;
        dsn.find().await.map_err(|why| why.doing(&format!("open {}", dsn.describe())))?;
        connect::look(&dsn).await
    }
}

impl Server {
    /// One try: begin, work, commit.
    async fn try_to_write(&self, learned: &BTreeSet<Id>, work: &Body) -> std::result::Result<Answered, Refused> {
        let begun = Instant::now();
        let mut transaction = Transaction::begin(&self.pool).await.map_err(Refused::before)?;
        let mut tx = transaction.tx().knowing(learned.clone());
        let outcome = work(&mut tx).await;
        let (notices, missing, learned, notes, early) =
            (tx.take_notices(), tx.missing.take(), tx.take_learned(), tx.take_notes(), tx.early);
        drop(tx);
        let failed = match outcome {
            Ok(result) => {
                let committed = transaction.commit().await;
                self.pool.catalog.tides.written(begun, early);
                match committed {
                    Ok(()) => {
                        drop(transaction);
                        self.pool.catalog.places.put(notes);
                        self.notices.tell(notices);
                        return Ok(result);
                    }
                    // The connection was cut during the commit.
                    Err(why) if is_cut(&why) => {
                        Failed { why: in_doubt(why), in_doubt: Some(Doubt { result, notices }) }
                    }
                    Err(why) => why.into(),
                }
            }
            Err(why) => why.into(),
        };
        transaction.rollback().await;
        Err(Refused { failed, missing, learned })
    }

    /// Creates a route in a transaction of its own, so that others that need it don't wait for the end of a longer one.
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

/// Why a try failed.
struct Refused {
    failed: Failed,
    /// The route that it needed and that does not exist yet.
    missing: Option<Route>,
    /// It would have had to wait out of the order of locks; with what the next try locks first.
    learned: Option<BTreeSet<Id>>,
}

impl Refused {
    /// The transaction could not be begun.
    fn before(why: Error) -> Self {
        Self { failed: why.into(), missing: None, learned: None }
    }
}

impl Database for Server {
    const NAME: &'static str = "postgres";

    const MIGRATIONS: &'static [&'static str] = &connect::MIGRATIONS;

    const HAS_JOURNEYS: bool = true;

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

    /// Calls, sweeps and renewals have connections of their own.
    fn writers(&self) -> usize {
        if self.pool.size() > 4 { 2 } else { 1 }
    }

    fn catalog(&self) -> &SharedCatalog {
        &self.pool.catalog
    }

    fn patience(&self) -> Duration {
        self.pool.patience()
    }

    async fn write_once(&self, until: Instant, work: Body) -> std::result::Result<Answered, Failed> {
        let mut tries = TRIES;
        let begin = Instant::now();
        let mut cut = Patience::until(until);
        let mut learned = BTreeSet::new();
        loop {
            let failed = match self.try_to_write(&learned, &work).await {
                Ok(result) => return Ok(result),
                Err(Refused { missing: Some(route), .. }) => match self.make(&route).await {
                    Ok(()) => continue,
                    Err(why) => why.into(),
                },
                Err(Refused { failed, learned: None, .. }) => failed,
                Err(Refused { failed, learned: Some(more), .. }) => {
                    let before = learned.len();
                    learned.extend(more);
                    // The next try waits for them in their order, and so needs no pause.
                    if learned.len() > before {
                        continue;
                    }
                    failed
                }
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

    async fn read_once(&self, together: bool, look: Looking) -> Result<Answered> {
        // If the session keeps its settings, a single statement needs no transaction.
        let begin = (together || !self.pool.keeps_session()).then(|| self.pool.begin_reading());
        let mut tries = self.pool.size() + 1;
        let deadline = Instant::now() + self.patience();
        let mut cut = Patience::until(deadline);
        loop {
            let session = match self.pool.session().await {
                Err(why) if cut.allows(&why).await => continue,
                taken => taken?,
            };
            match (Reading { session, open: true }).run(begin.clone(), &look).await {
                // A read can be repeated. All idle connections of the pool may have been cut, so each may be tried.
                Err(why) if tries > 0 && is_cut(&why) && Instant::now() < deadline => tries -= 1,
                Err(why) if cut.allows(&why).await => {}
                done => return done,
            }
        }
    }

    async fn at_once(&self, call: &Call<'_>) -> Result<Option<Vec<Row>>> {
        // Behind a pooler its settings are a transaction's.
        if !self.pool.keeps_session() {
            return Ok(None);
        }
        let Ok(session) = self.pool.session().await else { return Ok(None) };
        let mut alone = Reading { session, open: true };
        let outcome = alone.session.run(call).await;
        alone.open = outcome.as_ref().is_err_and(is_cut);
        outcome.map(|answer| Some(answer.rows))
    }

    async fn check_schema(&self) -> Result<()> {
        let session = self.pool.session().await?;
        let mut reading = Reading { session, open: true };
        reading.begin(self.pool.begin_reading()).await?;
        let checked = connect::check_schema(&mut reading.session.conn).await;
        reading.end().await;
        checked.map(drop)
    }

    async fn backup(&self, _path: &str) -> Result<()> {
        Err(Error::new(
            Status::Unsupported,
            "backup: a PostgreSQL database is backed up with its own tools, while workers are busy: pg_dump (with \
             --schema for a schema of its own), or pg_basebackup with an archive of the log",
        ))
    }

    async fn close(&self) -> Result<()> {
        self.notices.stop();
        self.pool.close().await;
        Ok(())
    }
}

/// A connection that reads, in a transaction or alone, or runs a statement that is a transaction by itself.
struct Reading {
    session: Statements,
    /// If this is still true when it is dropped, the connection is closed.
    open: bool,
}

impl Reading {
    async fn run(&mut self, begin: Option<String>, look: &Looking) -> Result<Answered> {
        let Some(begin) = begin else {
            let outcome = look(&mut self.session).await;
            self.open = outcome.as_ref().is_err_and(is_cut);
            return outcome;
        };
        self.begin(begin).await?;
        let outcome = look(&mut self.session).await;
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
