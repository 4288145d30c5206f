//! The writer's transactions, one after the other on one connection.

use std::sync::Arc;

use sqlx::{Connection as _, Executor as _, Row as _, SqliteConnection};

use super::changes::Changes;
use super::clock::{Clock, Reading, was_set};
use super::connect::{self, Boot};
use super::error;
use super::session::{Statements, Time};
use crate::backend::sql::catalog::{Catalog, SharedCatalog};
use crate::model::{Error, Result, Timestamp};

pub(super) struct Transactions {
    pub session: Statements<Box<SqliteConnection>>,
    pub shared: Arc<SharedCatalog>,
    /// The newest time that was given to a row, by the wall clock as it was set then.
    pub last: Timestamp,
    /// When the boot began, as the wall clock has it since it was set last. The same number as long as it is not set, so
    /// that an instant is the same to all transactions.
    began: i64,
    /// The same, as the file has it; and as it will, when the transaction commits.
    recorded: i64,
    recording: Option<i64>,
    data_version: Option<i64>,
    changes: Arc<Changes>,
}

impl Transactions {
    pub fn new(conn: SqliteConnection, boot: &Boot, clock: Clock, shared: Arc<SharedCatalog>) -> Self {
        Self {
            session: Statements { conn: Box::new(conn), time: Time { clock, boot: boot.number, reading: None } },
            shared,
            last: Timestamp::default(),
            began: boot.began,
            recorded: boot.began,
            recording: None,
            data_version: None,
            changes: Arc::default(),
        }
    }

    /// The commits of other processes that this connection has noticed.
    pub fn changes(&self) -> Arc<Changes> {
        self.changes.clone()
    }

    /// The transaction's time, and its catalog. It hardly waits for others: who calls it does, in steps that begin anew.
    pub async fn begin(&mut self) -> Result<(Timestamp, Arc<Catalog>)> {
        let begun = self.try_to_begin().await;
        if begun.is_err() {
            self.rollback().await;
        }
        begun.map_err(|why| why.doing("begin a transaction"))
    }

    async fn try_to_begin(&mut self) -> Result<(Timestamp, Arc<Catalog>)> {
        let sql = "BEGIN IMMEDIATE; SELECT version AS found FROM catalog; PRAGMA data_version";
        let rows = self.session.conn.fetch_all(sqlx::raw_sql(sql)).await.map_err(error::translate)?;
        let [catalog, data] = rows.as_slice() else {
            return Err(Error::backend("the table 'catalog' has lost its row"));
        };
        let (version, data_version): (i64, i64) = (catalog.get(0), data.get(0));
        self.saw(data_version);
        let reading = self.session.time.clock.read();
        self.follow(reading).await?;
        // Never backwards within one writer: arrivals and their times go the same way.
        self.last = reading.wall.max(self.last);
        // Leases and durations are told by how far they are from the transaction's time, whatever the wall clock says.
        self.session.time.reading = Some(Reading { wall: self.last, boottime: self.last.micros() - self.began });
        let catalog = self.shared.at(version, &mut self.session).await?;
        Ok((self.last, catalog))
    }

    /// Notices that the clock was set: the times of rows follow it, and the file is told, for the next boot.
    async fn follow(&mut self, reading: Reading) -> Result<()> {
        let began = reading.began();
        if was_set(self.began, began) {
            self.last = Timestamp::from_micros(self.last.micros().saturating_add(began - self.began));
            self.began = began;
        }
        self.recording = (self.began != self.recorded).then_some(self.began);
        if let Some(began) = self.recording {
            let boot = Boot { number: self.session.time.boot, began };
            connect::record_boot(&mut self.session.conn, &boot).await?;
        }
        Ok(())
    }

    /// Looks whether others have committed, outside of a transaction. As with every hint, failing to is no error.
    pub async fn look(&mut self) {
        if let Ok(row) = self.session.conn.fetch_one(sqlx::raw_sql("PRAGMA data_version")).await {
            self.saw(row.get(0));
        }
    }

    /// `data_version` changes only when another connection has committed.
    fn saw(&mut self, data_version: i64) {
        let before = self.data_version.replace(data_version);
        self.changes.looked(before.is_some_and(|before| before != data_version));
    }

    pub async fn commit(&mut self) -> Result<()> {
        match self.session.conn.execute(sqlx::raw_sql("COMMIT")).await {
            Ok(_) => {
                self.recorded = self.recording.take().unwrap_or(self.recorded);
                Ok(())
            }
            Err(why) => {
                self.rollback().await;
                Err(error::map("commit")(why))
            }
        }
    }

    /// After an error SQLite may have rolled back by itself. A second ROLLBACK then fails, which does no harm.
    pub async fn rollback(&mut self) {
        let _already_rolled_back = self.session.conn.execute(sqlx::raw_sql("ROLLBACK")).await;
    }

    pub async fn close(self) -> Result<()> {
        self.session.conn.close().await.map_err(error::map("close the database"))
    }
}
