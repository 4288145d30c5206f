//! The writer's transactions, one after the other on one connection.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, Row as _, SqliteConnection};

use super::changes::Changes;
use super::clock::Reading;
use super::session::{Statements, Time};
use super::{clock, connect, error};
use crate::backend::sql::catalog::{Catalog, SharedCatalog};
use crate::model::{Error, Result, Timestamp};

pub(super) struct Transactions {
    pub session: Statements<Box<SqliteConnection>>,
    pub shared: Arc<SharedCatalog>,
    /// The newest time that was given to a row.
    pub last: Timestamp,
    patience: Duration,
    data_version: Option<i64>,
    changes: Arc<Changes>,
}

impl Transactions {
    /// `patience`: how long a transaction waits for another process's.
    pub fn new(conn: SqliteConnection, boot: i64, shared: Arc<SharedCatalog>, patience: Duration) -> Self {
        Self {
            session: Statements { conn: Box::new(conn), time: Time { boot, reading: None } },
            shared,
            last: clock::read().wall,
            patience,
            data_version: None,
            changes: Arc::default(),
        }
    }

    /// The commits of other processes that this connection has noticed.
    pub fn changes(&self) -> Arc<Changes> {
        self.changes.clone()
    }

    /// The transaction's time, and its catalog.
    pub async fn begin(&mut self) -> Result<(Timestamp, Arc<Catalog>)> {
        let begun = self.try_to_begin().await;
        if begun.is_err() {
            self.rollback().await;
        }
        begun.map_err(|why| why.doing("begin a transaction"))
    }

    async fn try_to_begin(&mut self) -> Result<(Timestamp, Arc<Catalog>)> {
        let sql = "BEGIN IMMEDIATE; SELECT version AS found FROM catalog; PRAGMA data_version";
        let rows = connect::patiently(&mut self.session.conn, sql, self.patience).await?;
        let [catalog, data] = rows.as_slice() else {
            return Err(Error::backend("the table 'catalog' has lost its row"));
        };
        let (version, data_version): (i64, i64) = (catalog.get(0), data.get(0));
        self.saw(data_version);
        let reading = clock::read();
        // Never backwards within one writer: arrivals and their times go the same way.
        self.last = reading.wall.max(self.last);
        // Leases are told by how far they are from the transaction's time, whatever the wall clock says.
        self.session.time.reading = Some(Reading { wall: self.last, ..reading });
        let catalog = self.shared.at(version, &mut self.session).await?;
        Ok((self.last, catalog))
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
            Ok(_) => Ok(()),
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
