//! Schemas of the tests' server that are used again. A new one costs the server more than most tests do, so what one test
//! has left in order is emptied, and is the next one's.

use std::any::Any;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use stent::backend::SharedBackend;

use super::postgres::{fresh_url, shared};

/// What is there before anybody has done anything.
const OF_A_NEW_ONE: [&str; 2] = ["stent_schema", "catalog"];

pub fn name_of(url: &str) -> &str {
    url.split("schema=").nth(1).unwrap().split('&').next().unwrap()
}

/// A connection that writes what is there, and nothing because of that.
pub async fn beside() -> PgConnection {
    let mut conn = PgConnection::connect(&shared().url).await.unwrap();
    conn.execute("SET session_replication_role TO replica").await.unwrap();
    conn
}

/// As the schema was when it was new, but for numbers that have been given.
pub async fn empty(conn: &mut PgConnection, schema: &str) {
    let tables = sqlx::query("SELECT tablename::text FROM pg_tables WHERE schemaname = $1").bind(schema);
    let tables = tables.fetch_all(&mut *conn).await.unwrap();
    let tables = tables.iter().map(|row| row.get::<String, _>(0)).filter(|name| !OF_A_NEW_ONE.contains(&name.as_str()));
    let mut sql: String = tables.map(|name| format!("DELETE FROM {schema}.{name}; ")).collect();
    // Whoever knows of functions and routes looks again.
    sql += &format!("UPDATE {schema}.catalog SET version = version + 1");
    conn.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
}

/// The same of a store that is open, and stays so: its process knows of its workers.
#[allow(dead_code, reason = "not every test program keeps stores open")]
pub async fn empty_open(store: &SharedBackend, conn: &mut PgConnection, schema: &str) {
    let workers = format!("SELECT worker_id FROM {schema}.workers");
    for worker in conn.fetch_all(sqlx::raw_sql(AssertSqlSafe(workers))).await.unwrap() {
        store.remove_worker(worker.get("worker_id")).await.unwrap();
    }
    empty(conn, schema).await;
}

/// A store that is its holder's alone, with nothing in it.
pub struct Lent {
    url: String,
}

static FREE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Who clears away.
static CLEANER: Mutex<Option<(tokio::runtime::Runtime, PgConnection)>> = Mutex::new(None);

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[allow(dead_code, reason = "not every test program borrows from others")]
impl Lent {
    pub fn new() -> Self {
        let free = held(&FREE).pop();
        let url = free.unwrap_or_else(|| {
            let url = fresh_url("");
            format!("{url}&application_name={}", name_of(&url))
        });
        Self { url }
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Its URL, and its holder.
#[allow(dead_code, reason = "not every test program lends to a house")]
pub fn lend() -> (String, Option<Box<dyn Any + Send + Sync>>) {
    let lent = Lent::new();
    (lent.url.clone(), Some(Box::new(lent)))
}

impl Drop for Lent {
    fn drop(&mut self) {
        // What has failed may go on, and may be looked at.
        if std::thread::panicking() {
            return;
        }
        let schema = name_of(&self.url);
        let mut cleaner = held(&CLEANER);
        let (runtime, conn) = cleaner.get_or_insert_with(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let conn = runtime.block_on(beside());
            (runtime, conn)
        });
        runtime.block_on(async {
            // A process's sessions outlive it for a moment.
            while end_sessions(conn, schema).await > 0 {
                tokio::task::yield_now().await;
            }
            empty(conn, schema).await;
        });
        held(&FREE).push(std::mem::take(&mut self.url));
    }
}

/// How many there were.
async fn end_sessions(conn: &mut PgConnection, schema: &str) -> usize {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";
    sqlx::query(sql).bind(schema).fetch_all(conn).await.unwrap().len()
}
