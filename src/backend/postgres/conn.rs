//! A connection of the pool, as every statement sees it.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::error::BoxDynError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Either, Execute, Executor, Postgres, SqlStr};

#[derive(Debug)]
pub(super) struct Conn {
    conn: PoolConnection<Postgres>,
    /// False behind a pooler: the next transaction is on another session of the server, which knows nothing of what this
    /// one has prepared.
    keeps_session: bool,
    statements: u64,
}

impl Conn {
    pub fn new(conn: PoolConnection<Postgres>, keeps_session: bool) -> Self {
        Self { conn, keeps_session, statements: 0 }
    }

    /// How many it has run since it was taken.
    pub fn statements(&self) -> u64 {
        self.statements
    }

    /// Not used again by anybody.
    pub fn close_on_drop(&mut self) {
        self.conn.close_on_drop();
    }
}

impl<'c> Executor<'c> for &'c mut Conn {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.statements += 1;
        let named = self.keeps_session && query.persistent();
        (&mut self.conn).fetch_many(Named { query, named })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.statements += 1;
        let named = self.keeps_session && query.persistent();
        (&mut self.conn).fetch_optional(Named { query, named })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        (&mut self.conn).prepare_with(sql, parameters)
    }
}

/// A statement that has a name on the server, or has none and is gone with the next one. Without a cache sqlx would name
/// it all the same, and never take the name back.
struct Named<E> {
    query: E,
    named: bool,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Named<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.named
    }
}
