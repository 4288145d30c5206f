//! The pool of connections, and their settings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor as _};

use super::charset::Charset;
use super::conn::Conn;
use super::error;
use super::hosts::{self, Hosts};
use super::options::Dsn;
use super::session::Statements;
use super::silence::{Limits, Silences, in_time};
use crate::backend::sql::catalog::SharedCatalog;
use crate::model::{Error, Result};

/// Settings of each session. Plans are generic and use indexes: not made for the first parameters, nor from the
/// statistics of tables that were just created. Bitmap scans have no order: with one a claim would read and sort its
/// whole backlog.
pub(super) const SETTINGS: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
    ("client_min_messages", "warning"),
];

/// A server that refuses says so sooner than this.
const REFUSED: Duration = Duration::from_millis(250);

/// How long a connection is waited for before another server is looked for, where several are named.
const LOOK: Duration = Duration::from_millis(500);

/// TCP keepalive of the server, so that it notices clients that have vanished. Behind a pooler its client is the
/// pooler.
const KEEPALIVE: &[(&str, &str)] =
    &[("tcp_keepalives_idle", "30"), ("tcp_keepalives_interval", "10"), ("tcp_keepalives_count", "3")];

/// How often it is checked that the minimum number of connections is open.
const KEEP: Duration = Duration::from_secs(5);

/// How long to wait for connections in use when a pool is closed.
const CLOSE: Duration = Duration::from_secs(5);

pub(super) struct Pool {
    connections: PgPool,
    hosts: Hosts,
    pub catalog: Arc<SharedCatalog>,
    schema: Arc<str>,
    charset: Charset,
    begin: String,
    begin_reading: String,
    keeps_session: bool,
    patience: Duration,
    limits: Limits,
    silences: Arc<Silences>,
    max_queries: u64,
    /// Statements run, by the server's process id.
    served: Mutex<HashMap<i64, u64>>,
}

impl Pool {
    pub fn new(dsn: &Dsn, charset: Charset) -> Self {
        let limits = dsn.limits();
        let (session, each) = if dsn.keeps_session() {
            let settings = settings(&dsn.schema, "SET");
            (Some(format!("{settings}{}{}", times(false, limits), set("SET", KEEPALIVE))), String::new())
        } else {
            (None, format!("{}{}", settings(&dsn.schema, "SET LOCAL"), times(true, limits)))
        };
        let silences = Arc::<Silences>::default();
        let doubts = silences.clone();
        let catalog = Arc::<SharedCatalog>::default();
        let shared = catalog.clone();
        let must_be_writable = dsn.hosts.must_be_writable();
        let connections = options(dsn)
            .after_connect(move |conn, _| {
                let session = session.clone();
                // Perhaps to another server.
                shared.places.forget();
                shared.tides.forget();
                // The pool tries again, perhaps with another server by then.
                let refused = "the server is read-only: a standby, perhaps";
                Box::pin(async move {
                    let begun = async {
                        if must_be_writable && !hosts::is_writable(conn).await? {
                            return Err(sqlx::Error::Configuration(refused.into()));
                        }
                        if let Some(session) = session {
                            conn.execute(sqlx::raw_sql(AssertSqlSafe(session))).await?;
                        }
                        Ok(())
                    };
                    in_time(limits.short, begun).await
                })
            })
            .before_acquire(move |conn, about| {
                let doubts = doubts.clone();
                Box::pin(async move { doubts.check(conn, about.idle_for, limits).await })
            })
            .connect_lazy_with(dsn.connection.clone());
        Self {
            connections,
            hosts: dsn.hosts.clone(),
            catalog,
            begin: format!(
                "BEGIN; {each}SELECT (extract(epoch FROM now()) * 1000000)::bigint, version, pg_backend_pid()::bigint FROM \
                 catalog"
            ),
            begin_reading: format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {each}"),
            schema: dsn.schema.as_str().into(),
            charset,
            keeps_session: dsn.keeps_session(),
            patience: dsn.connect_timeout,
            limits,
            silences,
            max_queries: dsn.max_queries,
            served: Mutex::default(),
        }
    }

    pub fn keeps_session(&self) -> bool {
        self.keeps_session
    }

    /// For how long a call is repeated when connections are cut.
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

    /// Takes a connection to run statements.
    pub async fn session(&self) -> Result<Statements> {
        Ok(Statements { conn: self.take().await?, schema: self.schema.clone(), charset: self.charset })
    }

    async fn take(&self) -> Result<Conn> {
        let conn = match self.acquire().await {
            Ok(conn) => conn,
            Err(sqlx::Error::PoolTimedOut) => return Err(self.why_none().await),
            Err(why) => return Err(error::connecting(why)),
        };
        Ok(Conn::new(conn, self.keeps_session, self.limits, self.silences.clone()))
    }

    /// Why no connection came in time. A refusal comes at once; for more than that there is no time left.
    async fn why_none(&self) -> Error {
        let refused = self.hosts.why_not(REFUSED).await;
        refused.map_or_else(|| error::connecting(sqlx::Error::PoolTimedOut), |why| why.doing("take a connection"))
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
            let _late = tokio::time::timeout(self.limits.short, self.look()).await;
        }
        taken
    }

    /// Looks for the writable server again and again, until it is dropped.
    async fn follow(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look().await;
        }
    }

    async fn look(&self) {
        if let Ok(Some(found)) = self.hosts.find(self.limits.short).await {
            self.connections.set_connect_options(found);
        }
    }

    /// Keeps `count` connections open while the pool exists. Failures are left to the call that needs a connection.
    /// (sqlx's own `min_connections` would retry for minutes if the server is down, and calls would get no place in the
    /// pool.)
    pub async fn keep(pool: Weak<Self>, count: u32) {
        while let Some(pool) = pool.upgrade().filter(|pool| count > 0 && !pool.connections.is_closed()) {
            if pool.connections.size() < count {
                drop(join_all((0..count).map(|_| pool.take())).await);
            }
            drop(pool);
            tokio::time::sleep(KEEP).await;
        }
    }

    /// Counts the statements of a connection. True: it has run its maximum, and is to be replaced.
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

    /// Calls that still run after `CLOSE` go on, and their connections are closed after them.
    pub async fn close(&self) {
        let _late = tokio::time::timeout(CLOSE, self.connections.close()).await;
    }
}

fn options(dsn: &Dsn) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(dsn.max_size)
        .acquire_timeout(dsn.connect_timeout)
        .idle_timeout((!dsn.max_inactive_connection_lifetime.is_zero()).then_some(dsn.max_inactive_connection_lifetime))
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// A separate pool of one connection, to listen or to migrate the schema.
pub(super) fn single(dsn: &Dsn, connection: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(dsn.connect_timeout)
        .test_before_acquire(false)
        .connect_lazy_with(connection)
}

pub(super) fn settings(schema: &str, how: &str) -> String {
    format!("{how} search_path TO {}; {}", quoted(schema), set(how, SETTINGS))
}

/// Time limits for the server: of statements, and of transactions whose client has gone. Shorter limits that the server
/// has already are kept.
fn times(local: bool, limits: Limits) -> String {
    let millis = limits.of_server().as_millis().min(i32::MAX as u128);
    ["statement_timeout", "idle_in_transaction_session_timeout"].iter().fold(String::new(), |text, name| {
        format!(
            "{text}SELECT set_config('{name}', '{millis}', {local}) WHERE current_setting('{name}')::interval NOT BETWEEN \
             '1 ms' AND '{millis} ms'; "
        )
    })
}

fn set(how: &str, settings: &[(&str, &str)]) -> String {
    settings.iter().fold(String::new(), |text, (name, value)| format!("{text}{how} {name} TO '{value}'; "))
}

/// Quotes a name as an identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) type SharedPool = Arc<Pool>;
