//! What stands in a transaction's way for a while and goes away by itself: others' locks, the server's own limits. The
//! transaction is said again; the handler is not called again.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use stent::model::WorkerOptions;

use crate::house::{Count, House, text, until};
use crate::postgres::{fresh_url, shared};
use crate::proxy::{LATE, Proxy};

fn with(setting: &str) -> String {
    fresh_url(&format!("&options=-c%20{setting}"))
}

/// A house with a function that counts its calls, and waits in them for `go`.
fn counting(url: &str) -> (House, Count, Count) {
    let house = House::at(url);
    let (ran, go) = (Count::default(), Count::default());
    let (count, gate) = (ran.clone(), go.clone());
    house.function("count", move |task| {
        count.up();
        until("it may end", || gate.get() > 0);
        task.complete(task.args())
    });
    (house, ran, go)
}

/// The lock is there for so long after it was first in the way.
const LOCKED: Duration = Duration::from_millis(1500);

/// A handler ends while somebody has a lock, for much longer than the server waits for it.
fn ends_under_a_lock(setting: &str) {
    let url = with(setting);
    let (house, ran, go) = counting(&url);
    let hour = Duration::from_secs(3600);
    let worker = house.worker_with(WorkerOptions { lease_duration: hour, ..WorkerOptions::default() });
    let id = house.dispatch("count", "[5]");
    until("it runs", || ran.get() == 1);
    let schema = url.split("schema=").nth(1).unwrap().split('&').next().unwrap();
    house.on(async {
        let mut conn = PgConnection::connect(&shared().url).await.unwrap();
        let lock = format!("BEGIN; LOCK TABLE {schema}.tasks IN EXCLUSIVE MODE");
        conn.execute(sqlx::raw_sql(AssertSqlSafe(lock))).await.unwrap();
        go.up();
        let troubled = async {
            while worker.status().trouble.is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), troubled).await.expect("the lock is in nobody's way");
        // So that it is tried again, in vain.
        tokio::time::sleep(LOCKED).await;
        conn.execute(sqlx::raw_sql("COMMIT")).await.unwrap();
    });
    assert_eq!(text(&house.result(id).unwrap()), "[5]");
    assert_eq!(ran.get(), 1, "its result was thrown away");
    until("the trouble is over", || worker.status().trouble.is_none());
}

#[test]
fn a_lock_that_is_not_waited_for() {
    ends_under_a_lock("lock_timeout%3D50ms");
}

#[test]
fn a_statement_that_takes_too_long() {
    ends_under_a_lock("statement_timeout%3D150ms");
}

/// The server takes its session away while the COMMIT is still on its way.
#[test]
fn a_transaction_that_idles_too_long() {
    // Long enough for what goes its way, on a busy machine.
    let limit = LATE / 2;
    let proxy = Proxy::new(&shared().url);
    let url = with(&format!("idle_in_transaction_session_timeout%3D{}ms", limit.as_millis()));
    let (house, ran, go) = counting(&proxy.url(&url));
    let hour = Duration::from_secs(3600);
    let _worker = house.worker_with(WorkerOptions { lease_duration: hour, ..WorkerOptions::default() });
    let id = house.dispatch("count", "[5]");
    until("it runs", || ran.get() == 1);
    proxy.late_next(4);
    go.up();
    assert_eq!(text(&house.result(id).unwrap()), "[5]");
    assert_eq!((ran.get(), proxy.left()), (1, 0));
}
