//! A connection of the pool, as every statement sees it: the one place where an answer is waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

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
    /// False behind a pooler: the next transaction is on another session of the server, which knows nothing of what this
    /// one has prepared.
    keeps_session: bool,
    statements: u64,
    limits: Limits,
    /// That of the next statements.
    limit: Duration,
    /// An answer did not come in time. Nothing is sent any more.
    silent: bool,
    closing: bool,
    silences: Arc<Silences>,
}

impl Conn {
    pub fn new(conn: PoolConnection<Postgres>, keeps_session: bool, limits: Limits, silences: Arc<Silences>) -> Self {
        Self { conn, keeps_session, statements: 0, limits, limit: limits.call, silent: false, closing: false, silences }
    }

    /// How many it has run since it was taken.
    pub fn statements(&self) -> u64 {
        self.statements
    }

    /// From now on an answer has the time of a call.
    pub fn patient(&mut self) {
        self.limit = self.limits.call;
    }

    /// From now on an answer has the time of what nobody is in the way of.
    pub fn impatient(&mut self) {
        self.limit = self.limits.short;
    }

    /// From now on an answer has this time.
    pub fn wait_for(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Not used again by anybody.
    pub fn close_on_drop(&mut self) {
        self.conn.close_on_drop();
        self.closing = true;
    }
}

/// Back to the pool, which asks for a sign of life first. That has its time too, as else a place in the pool would be
/// lost with it.
impl Drop for Conn {
    fn drop(&mut self) {
        if self.closing && !self.silent {
            return;
        }
        let back = self.conn.return_to_pool();
        // Dropped without being begun it closes the socket, at once.
        if let Ok(runtime) = Handle::try_current()
            && !self.silent
        {
            let (limit, silences, begin) = (self.limits.short, self.silences.clone(), Instant::now());
            runtime.spawn(async move {
                if tokio::time::timeout(limit, back).await.is_err() {
                    silences.since(begin);
                }
            });
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
            // To the end: an error may come behind a row.
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
