//! A transaction: one connection of the pool, the server's clock, the catalog, and the hints that go out with the
//! commit.
//!
//! Locks are taken in one order, each kind by id: advisory locks (signals of an execution), executions, waits (of
//! those to whom something is delivered), tasks, idempotency keys, limits of functions, the catalog. What is taken out
//! of this order is taken only if nobody has it. A deadlock that is possible all the same ends by PostgreSQL choosing
//! one, which is tried again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::batch::{Batch, Query};
use super::catalog::Catalog;
use super::conn::Conn;
use super::error;
use super::pool::Pool;
use crate::backend::Notice;
use crate::model::{Error, Id, Result, Route, Timestamp};

pub(super) struct Tx {
    pub conn: Conn,
    pub catalog: Arc<Catalog>,
    /// The server's clock at the beginning of the transaction.
    pub now: Timestamp,
    pub pool: Arc<Pool>,
    /// A route that nobody has used before; it is made outside, and the transaction begins again.
    pub missing: Option<Route>,
    server_process: i64,
    open: bool,
    hints: Hints,
}

/// What goes out when the transaction commits.
#[derive(Default)]
struct Hints {
    work: bool,
    served: Option<String>,
    due: Option<Duration>,
    ended: Vec<Id>,
    cancelling: Vec<Id>,
    lost: Vec<Id>,
    arrived: BTreeSet<Id>,
}

/// What an advisory lock is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lock<'a> {
    /// Sending and waiting for signals of an execution.
    Signals(Id),
    /// The number of a function's tasks that may run at once.
    Limit(&'a str),
    /// Tasks that wait for the owner of their key: two at once could wait for each other.
    Joins,
    /// What time brings: one sweep at a time.
    Sweep,
    Schema,
}

impl Lock<'_> {
    pub fn key(self, schema: &str) -> i64 {
        let mut hash = Sha256::new();
        hash.update(b"stent\0");
        hash.update(schema.as_bytes());
        match self {
            Self::Signals(execution) => {
                hash.update(b"\0signals\0");
                hash.update(execution.as_bytes());
            }
            Self::Limit(function) => {
                hash.update(b"\0limit\0");
                hash.update(function.as_bytes());
            }
            Self::Joins => hash.update(b"\0joins"),
            Self::Sweep => hash.update(b"\0sweep"),
            Self::Schema => hash.update(b"\0schema"),
        }
        let mut key = [0; 8];
        key.copy_from_slice(&hash.finalize()[..8]);
        i64::from_be_bytes(key)
    }
}

impl Tx {
    /// On a connection that turns out to be cut, another one is tried: nothing has been done yet.
    pub async fn begin(pool: &Arc<Pool>) -> Result<Self> {
        let mut tries = pool.size() + 1;
        loop {
            tries -= 1;
            let conn = pool.acquire().await?;
            match Self::begin_on(conn, pool).await {
                Err(why) if tries > 0 && error::is_cut(&why) => {}
                done => return done,
            }
        }
    }

    async fn begin_on(conn: Conn, pool: &Arc<Pool>) -> Result<Self> {
        let mut tx = Self {
            conn,
            catalog: Arc::default(),
            now: Timestamp::default(),
            pool: pool.clone(),
            missing: None,
            server_process: 0,
            open: true,
            hints: Hints::default(),
        };
        let rows = tx
            .conn
            .fetch_all(sqlx::raw_sql(AssertSqlSafe(pool.begin())))
            .await
            .map_err(error::map("begin a transaction"))?;
        let Some(row) = rows.last() else {
            return Err(Error::backend("begin a transaction: the table 'catalog' has lost its row"));
        };
        tx.now = Timestamp::from_micros(row.get(0));
        tx.server_process = row.get(2);
        tx.catalog = pool.catalog.at(row.get(1), &mut tx.conn).await?;
        Ok(tx)
    }

    pub async fn commit(&mut self) -> Result<()> {
        self.conn.execute(sqlx::raw_sql("COMMIT")).await.map_err(error::map("commit"))?;
        self.open = false;
        if self.pool.has_served(self.server_process, self.conn.statements()) {
            self.conn.close_on_drop();
        }
        Ok(())
    }

    /// A connection that can't even roll back is not used again.
    pub async fn rollback(mut self) {
        if self.conn.execute(sqlx::raw_sql("ROLLBACK")).await.is_ok() {
            self.open = false;
        }
    }

    /// A time for a new row: later than any given before, so that rows made together keep their order.
    pub fn next_time(&mut self) -> Timestamp {
        self.now = Timestamp::from_micros(self.now.micros() + 1);
        self.now
    }

    /// Waits for these locks, which are held until the transaction ends.
    pub async fn lock(&mut self, locks: impl IntoIterator<Item = Lock<'_>>) -> Result<()> {
        let mut keys: Vec<i64> = locks.into_iter().map(|lock| lock.key(self.pool.schema())).collect();
        if keys.is_empty() {
            return Ok(());
        }
        keys.sort_unstable();
        keys.dedup();
        sqlx::query(include_str!("sql/advisory_lock.sql"))
            .bind(keys)
            .execute(&mut self.conn)
            .await
            .map_err(error::map("wait for a lock"))?;
        Ok(())
    }

    /// False: somebody else has it.
    pub async fn try_lock(&mut self, lock: Lock<'_>) -> Result<bool> {
        let row = sqlx::query(include_str!("sql/advisory_try_lock.sql"))
            .bind(lock.key(self.pool.schema()))
            .fetch_one(&mut self.conn)
            .await
            .map_err(error::map("take a lock"))?;
        Ok(row.get("taken"))
    }

    /// Executions that this transaction is going to end.
    pub async fn lock_executions(&mut self, executions: impl IntoIterator<Item = Id>) -> Result<()> {
        let batch = Batch::of_ids(executions);
        self.run_batch("lock executions", include_str!("sql/executions_lock.sql"), batch, nothing_more).await?;
        Ok(())
    }

    /// Somebody may claim something now.
    pub fn hint_work(&mut self) {
        self.hints.work = true;
        self.hints.served = None;
    }

    /// This worker has claimed what it can take of all that there is up to now: it needs no hint.
    pub fn hint_served(&mut self, worker_id: &str) {
        self.hints.served = Some(worker_id.to_owned());
    }

    /// A sweep is due at this time.
    pub fn hint_due(&mut self, at: Timestamp) {
        let wait = at.since(self.now);
        self.hints.due = Some(self.hints.due.map_or(wait, |due| due.min(wait)));
    }

    pub fn hint_ended(&mut self, execution: Id) {
        self.hints.ended.push(execution);
    }

    pub fn hint_cancelling(&mut self, execution: Id) {
        self.hints.cancelling.push(execution);
    }

    /// A worker may be running this task, which is over.
    pub fn hint_lost(&mut self, task: Id) {
        self.hints.lost.push(task);
    }

    pub fn hint_arrived(&mut self, parent: Id) {
        self.hints.arrived.insert(parent);
    }

    pub fn take_notices(&mut self) -> Vec<Notice> {
        let hints = std::mem::take(&mut self.hints);
        let mut notices = Vec::new();
        if !hints.arrived.is_empty() {
            notices.push(Notice::Arrived(hints.arrived.into_iter().collect()));
        }
        if !hints.ended.is_empty() {
            notices.push(Notice::Ended(hints.ended));
        }
        if !hints.cancelling.is_empty() {
            notices.push(Notice::Cancelling(hints.cancelling));
        }
        if !hints.lost.is_empty() {
            notices.push(Notice::Lost(hints.lost));
        }
        if let Some(due) = hints.due {
            notices.push(Notice::Due(due));
        }
        if hints.work {
            notices.push(Notice::Work { served: hints.served });
        }
        notices
    }

    /// All rows of a statement that takes a batch as its first parameters, one for each column, and then `bind`'s.
    pub async fn fetch_batch(
        &mut self,
        doing: &'static str,
        sql: &'static str,
        batch: Batch,
        bind: impl for<'q> FnOnce(Query<'q>) -> Query<'q>,
    ) -> Result<Vec<PgRow>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let query = bind(batch.bind_to(sqlx::query(sql)));
        query.fetch_all(&mut self.conn).await.map_err(error::map(doing))
    }

    /// As [`Tx::fetch_batch`], for a statement that answers nothing: how many rows it changed.
    pub async fn run_batch(
        &mut self,
        doing: &'static str,
        sql: &'static str,
        batch: Batch,
        bind: impl for<'q> FnOnce(Query<'q>) -> Query<'q>,
    ) -> Result<u64> {
        if batch.is_empty() {
            return Ok(0);
        }
        let query = bind(batch.bind_to(sqlx::query(sql)));
        let done = query.execute(&mut self.conn).await.map_err(error::map(doing))?;
        Ok(done.rows_affected())
    }
}

impl Drop for Tx {
    /// Left in the middle: the connection is in a transaction that nobody ends, and the server ends it with it.
    fn drop(&mut self) {
        if self.open {
            self.conn.close_on_drop();
        }
    }
}

/// For a batch statement without further parameters.
pub(super) fn nothing_more(query: Query<'_>) -> Query<'_> {
    query
}
