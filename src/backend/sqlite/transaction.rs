//! The writer's transactions, one after the other on one connection.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::changes::Changes;
use super::clock::{Clock, Reading, was_set};
use super::conn::Connection;
use super::connect::{self, Boot};
use super::session::{Statements, Time};
use crate::backend::sql::catalog::{Catalog, SharedCatalog};
use crate::model::{Error, Result, Timestamp};

pub(super) struct Transactions {
    pub session: Statements<Box<Connection>>,
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
    pub fn new(conn: Connection, boot: &Boot, clock: Clock, shared: Arc<SharedCatalog>) -> Self {
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
    pub fn begin(&mut self) -> Result<(Timestamp, Arc<Catalog>)> {
        let begun = self.try_to_begin();
        if begun.is_err() {
            self.rollback();
        }
        begun.map_err(|why| why.doing("begin a transaction"))
    }

    fn try_to_begin(&mut self) -> Result<(Timestamp, Arc<Catalog>)> {
        let conn = &mut self.session.conn;
        conn.query("BEGIN IMMEDIATE", &[])?;
        let Some(version) = conn.number(include_str!("sql/catalog_version.sql"))? else {
            return Err(Error::backend("the table 'catalog' has lost its row"));
        };
        self.read_changes()?;
        let reading = self.session.time.clock.read();
        self.follow(reading)?;
        // Never backwards within one writer: arrivals and their times go the same way.
        self.last = reading.wall.max(self.last);
        // Leases and durations are told by how far they are from the transaction's time, whatever the wall clock says.
        self.session.time.reading = Some(Reading { wall: self.last, boottime: self.last.micros() - self.began });
        let catalog = at_once(self.shared.at(version, &mut self.session))?;
        Ok((self.last, catalog))
    }

    /// Notices that the clock was set: the times of rows follow it, and the file is told, for the next boot.
    fn follow(&mut self, reading: Reading) -> Result<()> {
        let began = reading.began();
        if was_set(self.began, began) {
            self.last = Timestamp::from_micros(self.last.micros().saturating_add(began - self.began));
            self.began = began;
        }
        self.recording = (self.began != self.recorded).then_some(self.began);
        if let Some(began) = self.recording {
            let boot = Boot { number: self.session.time.boot, began };
            connect::record_boot(&mut self.session.conn, &boot)?;
        }
        Ok(())
    }

    /// Looks whether others have committed, outside of a transaction. As with every hint, failing to is no error.
    pub fn look(&mut self) {
        let _a_hint = self.read_changes();
    }

    /// `data_version` changes only when another connection has committed.
    fn read_changes(&mut self) -> Result<()> {
        if let Some(data_version) = self.session.conn.number("PRAGMA data_version")? {
            let before = self.data_version.replace(data_version);
            self.changes.looked(before.is_some_and(|before| before != data_version));
        }
        Ok(())
    }

    pub fn commit(&mut self) -> Result<()> {
        match self.session.conn.query("COMMIT", &[]) {
            Ok(_) => {
                self.recorded = self.recording.take().unwrap_or(self.recorded);
                Ok(())
            }
            Err(why) => {
                self.rollback();
                Err(why.doing("commit"))
            }
        }
    }

    /// After an error SQLite may have rolled back by itself. A second ROLLBACK then fails, which does no harm.
    pub fn rollback(&mut self) {
        let _already_rolled_back = self.session.conn.query("ROLLBACK", &[]);
    }

    pub fn close(self) -> Result<()> {
        self.session.conn.close().map_err(|why| why.doing("close the database"))
    }
}

/// What runs on a connection of this store is done when it is asked for the first time: it never waits.
pub(super) fn at_once<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    work.now_or_never().unwrap_or_else(|| Err(Error::backend("what runs in a transaction has waited")))
}
