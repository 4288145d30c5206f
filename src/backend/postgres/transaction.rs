//! A transaction: one connection of the pool, the server's clock, and the catalog.

use std::sync::Arc;
use std::time::Instant;

use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::error;
use super::pool::Pool;
use super::session::Statements;
use crate::backend::sql::catalog::Catalog;
use crate::backend::sql::patience::is_cut;
use crate::backend::sql::tx::Tx;
use crate::model::{Error, Result, Timestamp};

pub(super) struct Transaction {
    session: Statements,
    pool: Arc<Pool>,
    now: Timestamp,
    catalog: Arc<Catalog>,
    server_process: i64,
    open: bool,
}

impl Transaction {
    /// On a connection that turns out to be cut, another one is tried: nothing has been done yet.
    pub async fn begin(pool: &Arc<Pool>) -> Result<Self> {
        let mut tries = pool.size() + 1;
        let deadline = Instant::now() + pool.patience();
        loop {
            tries -= 1;
            let session = pool.session().await?;
            match Self::begin_on(session, pool).await {
                Err(why) if tries > 0 && is_cut(&why) && Instant::now() < deadline => {}
                done => return done,
            }
        }
    }

    async fn begin_on(session: Statements, pool: &Arc<Pool>) -> Result<Self> {
        let mut this = Self {
            session,
            pool: pool.clone(),
            now: Timestamp::default(),
            catalog: Arc::default(),
            server_process: 0,
            open: true,
        };
        this.session.conn.impatient();
        let begin = sqlx::raw_sql(AssertSqlSafe(pool.begin()));
        let rows = this.session.conn.fetch_all(begin).await.map_err(error::map("begin a transaction"))?;
        let Some(row) = rows.last() else {
            return Err(Error::backend("begin a transaction: the table 'catalog' has lost its row"));
        };
        this.now = Timestamp::from_micros(row.get(0));
        this.server_process = row.get(2);
        this.session.conn.patient();
        this.catalog = pool.catalog.at(row.get(1), &mut this.session).await?;
        Ok(this)
    }

    /// The transaction as the flow sees it.
    pub fn tx(&mut self) -> Tx<'_> {
        Tx::new(&mut self.session, self.now, self.catalog.clone(), &self.pool.catalog)
    }

    pub async fn commit(&mut self) -> Result<()> {
        self.session.conn.execute(sqlx::raw_sql("COMMIT")).await.map_err(error::map("commit"))?;
        self.open = false;
        if self.pool.has_served(self.server_process, self.session.conn.statements()) {
            self.session.conn.close_on_drop();
        }
        Ok(())
    }

    /// A connection that can't even roll back is not used again.
    pub async fn rollback(mut self) {
        self.session.conn.impatient();
        if self.session.conn.execute(sqlx::raw_sql("ROLLBACK")).await.is_ok() {
            self.open = false;
        }
    }
}

impl Drop for Transaction {
    /// Left in the middle: the connection is in a transaction that nobody ends, and the server ends it with it.
    fn drop(&mut self) {
        if self.open {
            self.session.conn.close_on_drop();
        }
    }
}
