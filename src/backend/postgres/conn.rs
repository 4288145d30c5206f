//! A connection from the pool. All statements go through it, so it is the one place that limits how long an answer may
//! take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::error::BoxDynError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Either, Execute, Executor, Postgres, SqlStr};
use tokio::runtime::Handle;

use super::silence::{Limits, Silences, Timed, in_time, silence};

#[derive(Debug)]
pub(super) struct Conn {
    conn: PoolConnection<Postgres>,
    /// False behind a pooler: the next transaction runs in another session of the server, which does not have the
    /// statements that this one has prepared.
    keeps_session: bool,
    statements: u64,
    limits: Limits,
    /// The time limit of the next statements.
    limit: Duration,
    /// An answer did not come in time. Nothing more is sent.
    silent: bool,
    closing: bool,
    silences: Arc<Silences>,
}

impl Conn {
    pub fn new(conn: PoolConnection<Postgres>, keeps_session: bool, limits: Limits, silences: Arc<Silences>) -> Self {
        Self { conn, keeps_session, statements: 0, limits, limit: limits.call, silent: false, closing: false, silences }
    }

    /// Statements run since the connection was taken from the pool.
    pub fn statements(&self) -> u64 {
        self.statements
    }

    /// From now on answers may take as long as a call.
    pub fn patient(&mut self) {
        self.limit = self.limits.call;
    }

    /// From now on answers may take only as long as what waits for no lock.
    pub fn impatient(&mut self) {
        self.limit = self.limits.short;
    }

    /// From now on answers may take this long.
    pub fn wait_for(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// The connection is closed instead of going back to the pool.
    pub fn close_on_drop(&mut self) {
        self.conn.close_on_drop();
        self.closing = true;
    }
}

/// Returns the connection to the pool, which pings it first. The ping has a time limit, as a dead connection would
/// otherwise occupy its place in the pool.
impl Drop for Conn {
    fn drop(&mut self) {
        if self.closing && !self.silent {
            return;
        }
        let back = self.conn.return_to_pool();
        // If `back` is dropped before it is polled, it closes the socket at once.
        if let Ok(runtime) = Handle::try_current()
            && !self.silent
        {
            let (limit, silences, begin) = (self.limits.short, self.silences.clone(), Instant::now());
            runtime.spawn(
                async move {
                    if tokio::time::timeout(limit, back).await.is_err() {
                        silences.since(begin);
                    }
                }
                .boxed(),
            );
        }
    }
}

impl<'c> Executor<'c> for &'c mut Conn {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let Conn { conn, keeps_session, statements, limit, silent, silences, .. } = self;
        let limit = *limit;
        if *silent {
            return stream::once(async move { Err(silence(limit)) }).boxed();
        }
        *statements += 1;
        let named = *keeps_session && query.persistent();
        let begin = Instant::now();
        let answers = conn.fetch_many(Named { query, named });
        Timed::new(answers, limit, move || {
            *silent = true;
            silences.since(begin);
        })
        .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let mut answers = self.fetch_many(query);
        Box::pin(async move {
            let mut first = None;
            // Read to the end: an error may follow a row.
            while let Some(answer) = answers.try_next().await? {
                first = first.or(answer.right());
            }
            Ok(first)
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        let limit = self.limit;
        let prepared = self.conn.prepare_with(sql, parameters);
        Box::pin(in_time(limit, prepared))
    }
}

/// A statement that is prepared under a name on the server, or is unnamed and replaced by the next one. Without a
/// statement cache sqlx would name it anyway, and never deallocate the name.
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
