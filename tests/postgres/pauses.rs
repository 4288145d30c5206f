//! A pause and the transactions that have begun before it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use stent::backend::{NewPause, Pausable};

use crate::house::{House, until};
use crate::postgres::{fresh_url, shared};

fn name_of(url: &str) -> &str {
    url.split("schema=").nth(1).unwrap().split('&').next().unwrap()
}

/// A transaction that is open, and has read these tables of the store.
fn open(house: &House, schema: &str, tables: &[&str]) -> PgConnection {
    let mut conn = house.on(PgConnection::connect(&shared().url)).unwrap();
    house.on(conn.execute("BEGIN")).unwrap();
    for table in tables {
        let sql = AssertSqlSafe(format!("SELECT 1 FROM \"{schema}\".{table} LIMIT 1"));
        house.on(conn.execute(sqlx::raw_sql(sql))).unwrap();
    }
    conn
}

#[test]
fn a_pause_waits_for_who_may_claim_without_knowing_of_it_and_for_nobody_else() {
    let url = fresh_url("");
    let schema = name_of(&url).to_owned();
    let house = House::at(&format!("{url}&application_name={schema}"));
    let new = || NewPause { what: Pausable::Queue("q".to_owned()), reason: None, by: None };
    // Others' transactions, and a dump: it has read every table.
    let _stranger = open(&house, &schema, &["tasks"]);
    let _dump = open(&house, &schema, &["catalog", "stent_schema", "tasks"]);
    let start = Instant::now();
    house.on(house.backend.pause(new())).unwrap();
    assert!(start.elapsed() < Duration::from_secs(30), "it waits for a dump: {:?}", start.elapsed());

    let mut older = open(&house, &schema, &["catalog"]);
    let backend = std::sync::Arc::clone(&house.backend);
    let runtime = house.on(async { tokio::runtime::Handle::current() });
    let pausing = runtime.spawn(async move { backend.pause(new()).await });
    let conn = house.on(PgConnection::connect(&shared().url)).unwrap();
    let seen = RefCell::new((conn, BTreeSet::new()));
    // It looks again and again.
    until("it has looked often", || {
        let sql = format!(
            "SELECT query_start::text FROM pg_stat_activity WHERE application_name = '{schema}' AND query LIKE '%pg_locks%'"
        );
        let (conn, looks) = &mut *seen.borrow_mut();
        let rows = house.on(conn.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql)))).unwrap();
        looks.extend(rows.iter().map(|row| row.get::<String, _>(0)));
        looks.len() > 5
    });
    assert!(!pausing.is_finished(), "it does not wait for a transaction that has begun before");
    // Whoever begins after it is not waited for.
    let _younger = open(&house, &schema, &["catalog"]);
    house.on(older.execute("COMMIT")).unwrap();
    house.on(pausing).unwrap().unwrap();
}
