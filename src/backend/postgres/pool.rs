//! The connections, and how each of them is set up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor as _};

use super::conn::Conn;
use super::error;
use super::hosts::{self, Hosts};
use super::options::Dsn;
use super::session::Statements;
use crate::backend::sql::catalog::SharedCatalog;
use crate::model::Result;

/// Every statement is one for an index, and its plan is made once: not from the first parameters that it meets, nor from
/// what the server believes of tables that have just been created. A bitmap has no order: by one, a claim would read its
/// whole backlog and sort it.
const SETTINGS: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
    ("client_min_messages", "warning"),
    // Of a client that was cut off in the middle the server takes the locks away.
    ("idle_in_transaction_session_timeout", "60000"),
];

/// How long a connection is waited for before another server is looked for, where several are named.
const LOOK: Duration = Duration::from_millis(500);

pub(super) struct Pool {
    connections: PgPool,
    hosts: Hosts,
    pub catalog: SharedCatalog,
    schema: Arc<str>,
    begin: String,
    begin_reading: String,
    keeps_session: bool,
    patience: Duration,
    max_queries: u64,
    /// Statements by the number of the server's process.
    served: Mutex<HashMap<i64, u64>>,
}

impl Pool {
    pub fn new(dsn: &Dsn) -> Self {
        let settings = settings(&dsn.schema, if dsn.keeps_session() { "SET" } else { "SET LOCAL" });
        let (session, each) = if dsn.keeps_session() { (Some(settings), String::new()) } else { (None, settings) };
        let must_be_writable = dsn.hosts.must_be_writable();
        let connections = options(dsn)
            .after_connect(move |conn, _| {
                let session = session.clone();
                // The pool tries again, and by then perhaps another server.
                let refused = "the server is read-only: a standby, perhaps";
                Box::pin(async move {
                    if must_be_writable && !hosts::is_writable(conn).await? {
                        return Err(sqlx::Error::Configuration(refused.into()));
                    }
                    if let Some(session) = session {
                        conn.execute(sqlx::raw_sql(AssertSqlSafe(session))).await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(dsn.connection.clone());
        Self {
            connections,
            hosts: dsn.hosts.clone(),
            catalog: SharedCatalog::default(),
            begin: format!(
                "BEGIN; {each}SELECT (extract(epoch FROM now()) * 1000000)::bigint, version, pg_backend_pid()::bigint FROM \
                 catalog"
            ),
            begin_reading: format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {each}"),
            schema: dsn.schema.as_str().into(),
            keeps_session: dsn.keeps_session(),
            patience: dsn.connect_timeout,
            max_queries: dsn.max_queries,
            served: Mutex::default(),
        }
    }

    pub fn keeps_session(&self) -> bool {
        self.keeps_session
    }

    /// How long a call waits for the server.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    pub fn size(&self) -> u32 {
        self.connections.options().get_max_connections()
    }

    pub fn begin(&self) -> String {
        self.begin.clone()
    }

    pub fn begin_reading(&self) -> String {
        self.begin_reading.clone()
    }

    /// A connection for statements.
    pub async fn session(&self) -> Result<Statements> {
        let conn = self.acquire().await.map_err(error::connecting)?;
        Ok(Statements { conn: Conn::new(conn, self.keeps_session), schema: self.schema.clone() })
    }

    /// Of several servers, another may serve by now: whoever waits for a connection looks.
    async fn acquire(&self) -> sqlx::Result<PoolConnection<sqlx::Postgres>> {
        if !self.hosts.is_choice() {
            return self.connections.acquire().await;
        }
        let taken = tokio::select! {
            biased;
            taken = self.connections.acquire() => taken,
            () = self.follow() => Err(sqlx::Error::PoolTimedOut),
        };
        if taken.is_err() {
            self.look().await;
        }
        taken
    }

    /// Looks for the server that serves as long as it is waited for.
    async fn follow(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look().await;
        }
    }

    async fn look(&self) {
        if let Ok(Some(found)) = self.hosts.find(self.patience).await {
            self.connections.set_connect_options(found);
        }
    }

    /// Makes the connections that are to be kept. One that can't be made is for the call that needs it to tell of.
    pub async fn fill(self: Arc<Self>, count: u32) {
        let made = join_all((0..count).map(|_| self.connections.acquire())).await;
        drop(made);
    }

    /// Counts the statements of a connection. True: it has run as many as it should, and is to be replaced.
    pub fn has_served(&self, server_process: i64, statements: u64) -> bool {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let count = served.entry(server_process).or_default();
        *count += statements;
        let enough = *count >= self.max_queries;
        if enough {
            served.remove(&server_process);
        }
        enough
    }

    pub async fn close(&self) {
        self.connections.close().await;
    }
}

fn options(dsn: &Dsn) -> PgPoolOptions {
    PgPoolOptions::new()
        .min_connections(dsn.min_size)
        .max_connections(dsn.max_size)
        .acquire_timeout(dsn.connect_timeout)
        .idle_timeout((!dsn.max_inactive_connection_lifetime.is_zero()).then_some(dsn.max_inactive_connection_lifetime))
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// A pool of one connection, beside the others: for what listens or sets up the schema.
pub(super) fn single(dsn: &Dsn, connection: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(dsn.connect_timeout)
        .test_before_acquire(false)
        .connect_lazy_with(connection)
}

pub(super) fn settings(schema: &str, set: &str) -> String {
    let path = format!("{set} search_path TO {}; ", quoted(schema));
    SETTINGS.iter().fold(path, |text, (name, value)| format!("{text}{set} {name} TO '{value}'; "))
}

/// A name as an identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) type SharedPool = Arc<Pool>;
