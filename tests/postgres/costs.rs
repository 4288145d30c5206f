//! What an execution costs the server, with bounds, so that it does not grow unseen: rows written, index entries, WAL,
//! dead rows.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use stent::model::{DispatchOptions, DispatchRequest};

use crate::house::{House, until};
use crate::postgres::{Server, schema_of};

const COUNT: i64 = 2_000;

/// Rows of a table: inserted, updated, updated without a new index entry, dead.
#[derive(Debug, PartialEq)]
struct Rows {
    inserted: i64,
    updated: i64,
    hot: i64,
    dead: i64,
}

struct Meter {
    conn: PgConnection,
    schema: String,
}

impl Meter {
    async fn one(&mut self, sql: String) -> sqlx::postgres::PgRow {
        self.conn.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap()
    }

    async fn wal(&mut self) -> i64 {
        self.one("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint".to_owned()).await.get(0)
    }

    async fn rows(&mut self, table: &str) -> Rows {
        let sql = format!(
            "SELECT n_tup_ins, n_tup_upd, n_tup_hot_upd, n_dead_tup FROM pg_stat_user_tables WHERE schemaname = '{}' AND \
             relname = '{table}'",
            self.schema
        );
        let row = self.one(sql).await;
        Rows { inserted: row.get(0), updated: row.get(1), hot: row.get(2), dead: row.get(3) }
    }

    async fn indexes(&mut self, table: &str) -> i64 {
        let schema = &self.schema;
        let sql = format!("SELECT count(*) FROM pg_indexes WHERE schemaname = '{schema}' AND tablename = '{table}'");
        self.one(sql).await.get(0)
    }
}

#[test]
fn an_execution_costs_no_more_than_this() {
    // Without what comes by the clock: whole pages after a checkpoint, vacuums.
    let server = Server::new("costs", "full_page_writes = off\nautovacuum = off\n");
    let url = schema_of(&server.url, "");
    let house = House::at(&url);
    house.echo("echo");
    let conn = house.on(PgConnection::connect(&server.url)).unwrap();
    let schema = url.split("schema=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let meter = std::cell::RefCell::new(Meter { conn, schema });
    let rows = |table: &str| house.on(meter.borrow_mut().rows(table));

    let before = house.on(meter.borrow_mut().wal());
    let request =
        DispatchRequest { function: "echo".to_owned(), args: "[1]".into(), options: DispatchOptions::default() };
    let ids = house.on(house.executor.dispatch_many(vec![request; COUNT as usize])).unwrap();
    let worker = house.worker(64);
    for id in ids {
        house.result(id).unwrap();
    }
    until("the worker holds nothing", || worker.status().held == 0);
    let wal = (house.on(meter.borrow_mut().wal()) - before) / COUNT;

    // The server counts late.
    until("all is counted", || rows("tasks").updated >= 2 * COUNT && rows("executions").updated >= COUNT);
    let (tasks, executions) = (rows("tasks"), rows("executions"));
    println!("WAL {wal} bytes an execution; tasks {tasks:?}; executions {executions:?}");
    assert_eq!((tasks.inserted, tasks.updated), (COUNT, 2 * COUNT), "a claim and an end");
    assert_eq!((executions.inserted, executions.updated), (COUNT, COUNT), "an end, and no start");
    // Nearly all; fewer on a machine that is busy, where the second transaction in flight keeps the first one's dead on
    // their pages. Before ends touched no index there were none.
    assert!(executions.hot > executions.updated * 6 / 10, "ends leave no index entries: {executions:?}");
    assert!(tasks.dead + executions.dead <= 5 * COUNT / 2, "{tasks:?} {executions:?}");
    assert!(wal <= WAL_MAX, "{wal} bytes of WAL for an execution");
    // An index more is a cost for each of them: a claim and an end write an entry where its predicate holds.
    let mut meter = meter.borrow_mut();
    // One of them is for strays alone, one for tasks with a concurrency_key, and three for those of queues that are shared out:
    // no other task has an entry there.
    assert_eq!(house.on(meter.indexes("tasks")), 16);
    assert_eq!(house.on(meter.indexes("executions")), 6);
}

/// Bytes: dispatched, started and ended, the result kept.
const WAL_MAX: i64 = 2_000;
