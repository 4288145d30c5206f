//! The writer's transaction: its connection, its clock, the catalog, and the hints that go out with the commit.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Connection as _, Executor as _, Row as _, SqliteConnection};

use super::batch::Batch;
use super::catalog::Catalog;
use super::watch::Changes;
use super::{clock, connect, error};
use crate::backend::Notice;
use crate::model::{Error, Id, Result, Timestamp};

pub(super) struct Tx {
    pub conn: SqliteConnection,
    pub catalog: Catalog,
    /// The store's clock, read at the beginning of the transaction.
    pub now: Timestamp,
    /// The clock of leases.
    pub boottime: i64,
    /// The number of this boot.
    pub boot: i64,
    patience: Duration,
    data_version: Option<i64>,
    changes: Arc<Changes>,
    hints: Hints,
}

/// What goes out when the transaction commits.
#[derive(Default)]
pub(super) struct Hints {
    pub work: bool,
    pub served: Option<String>,
    pub due: Option<Duration>,
    pub ended: Vec<Id>,
    pub cancelling: Vec<Id>,
    pub lost: Vec<Id>,
    pub arrived: BTreeSet<Id>,
}

impl Tx {
    /// `patience`: how long a transaction waits for another process's.
    pub fn new(conn: SqliteConnection, boot: i64, patience: Duration) -> Self {
        let clock::Reading { wall, boottime } = clock::read();
        Self {
            conn,
            catalog: Catalog::default(),
            now: wall,
            boottime,
            boot,
            patience,
            data_version: None,
            changes: Arc::default(),
            hints: Hints::default(),
        }
    }

    /// What this connection has seen of others' commits.
    pub fn changes(&self) -> Arc<Changes> {
        self.changes.clone()
    }

    pub async fn begin(&mut self) -> Result<()> {
        self.hints = Hints::default();
        let sql = "BEGIN IMMEDIATE; SELECT version AS found FROM catalog; PRAGMA data_version";
        let rows = match connect::patiently(&mut self.conn, sql, self.patience).await {
            Ok(rows) => rows,
            Err(why) => {
                self.rollback().await;
                return Err(why.doing("begin a transaction"));
            }
        };
        let [catalog, data] = rows.as_slice() else {
            self.rollback().await;
            return Err(Error::backend("begin a transaction: the table 'catalog' has lost its row"));
        };
        let (version, data_version): (i64, i64) = (catalog.get(0), data.get(0));
        self.saw(data_version);
        let reading = clock::read();
        // Never backwards within one writer: arrivals and their times go the same way.
        self.now = reading.wall.max(self.now);
        self.boottime = reading.boottime;
        if !self.catalog.is_current(version)
            && let Err(why) = self.catalog.load(&mut self.conn, version).await
        {
            self.rollback().await;
            return Err(why);
        }
        Ok(())
    }

    /// What this transaction changed of the catalog counts at once.
    pub async fn reload_catalog(&mut self) -> Result<()> {
        let version = self.catalog.version();
        self.catalog.load(&mut self.conn, version).await
    }

    /// Looks whether others have committed, outside of a transaction. As with every hint, failing to is no error.
    pub async fn look(&mut self) {
        if let Ok(row) = self.conn.fetch_one(sqlx::raw_sql("PRAGMA data_version")).await {
            self.saw(row.get(0));
        }
    }

    /// The number changes when another connection has committed, and only then.
    fn saw(&mut self, data_version: i64) {
        let before = self.data_version.replace(data_version);
        self.changes.looked(before.is_some_and(|before| before != data_version));
    }

    pub async fn commit(&mut self) -> Result<()> {
        match self.conn.execute(sqlx::raw_sql("COMMIT")).await {
            Ok(_) => Ok(()),
            Err(why) => {
                self.rollback().await;
                Err(error::map("commit")(why))
            }
        }
    }

    /// After an error SQLite may have rolled back by itself: a second ROLLBACK then fails, and that is fine.
    pub async fn rollback(&mut self) {
        self.hints = Hints::default();
        self.catalog.forget();
        let _already_rolled_back = self.conn.execute(sqlx::raw_sql("ROLLBACK")).await;
    }

    pub async fn close(self) -> Result<()> {
        self.conn.close().await.map_err(error::map("close the database"))
    }

    /// A time for a new row: later than any given before, so that rows made together keep their order.
    pub fn next_time(&mut self) -> Timestamp {
        self.now = Timestamp::from_micros(self.now.micros() + 1);
        self.now
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

    /// All rows of a statement that takes a batch as `?1` and `?2`, and `bind`'s parameters from `?3` on.
    pub async fn fetch_batch(
        &mut self,
        doing: &'static str,
        sql: &'static str,
        batch: Batch,
        bind: impl for<'q> FnOnce(Query<'q>) -> Query<'q>,
    ) -> Result<Vec<SqliteRow>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let (rows, arena) = batch.into_parameters();
        let query = bind(sqlx::query(sql).bind(rows).bind(arena));
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
        let (rows, arena) = batch.into_parameters();
        let query = bind(sqlx::query(sql).bind(rows).bind(arena));
        let done = query.execute(&mut self.conn).await.map_err(error::map(doing))?;
        Ok(done.rows_affected())
    }
}

pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

/// For a batch statement without further parameters.
pub(super) fn nothing_more(query: Query<'_>) -> Query<'_> {
    query
}

/// A stored id: 16 bytes, or the database is damaged.
pub(super) fn id_of(bytes: &[u8]) -> Result<Id> {
    Id::from_slice(bytes).map_err(|_| Error::backend(format!("a stored id has {} bytes instead of 16", bytes.len())))
}
