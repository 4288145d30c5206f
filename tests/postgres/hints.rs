//! Hints from one process to another: few, on one connection, and never needed.

use std::fmt::Write as _;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use stent::model::{Id, Status, WorkerOptions};

use crate::house::{House, text, until};
use crate::orders;
use crate::postgres::{fresh_url, shared};

/// The worker does not look by itself within the test's patience.
fn asleep() -> WorkerOptions {
    let never = Duration::from_secs(3600);
    WorkerOptions { poll_interval: never, poll_interval_max: never, ..WorkerOptions::default() }
}

fn name_of(url: &str) -> &str {
    url.split("schema=").nth(1).unwrap().split('&').next().unwrap()
}

/// The sessions that listen, of a store that calls itself so.
fn listening(house: &House, conn: &mut PgConnection, name: &str) -> Vec<i32> {
    let sql =
        format!("SELECT pid FROM pg_stat_activity WHERE application_name = '{name}' AND query ~* '^LISTEN |pg_notify'");
    let rows = house.on(conn.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql)))).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// What was dispatched while nobody listened is found when somebody listens again.
#[test]
fn a_lost_listener_loses_no_work() {
    let url = fresh_url("");
    let name = name_of(&url).to_owned();
    let (here, there) = (House::at(&format!("{url}&application_name={name}")), House::at(&url));
    here.echo("echo");
    let _worker = here.worker_with(asleep());
    let mut conn = here.on(PgConnection::connect(&shared().url)).unwrap();
    let mut seen = Vec::new();
    for round in 0..3 {
        until("one session listens", || {
            let mut conn = here.on(PgConnection::connect(&shared().url)).unwrap();
            listening(&here, &mut conn, &name).len() == 1
        });
        let listener = listening(&here, &mut conn, &name)[0];
        assert!(!seen.contains(&listener), "it is the same");
        seen.push(listener);
        let sql = format!("SELECT pg_terminate_backend({listener})");
        here.on(conn.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql)))).unwrap();
        let id = there.dispatch("echo", &format!("[{round}]"));
        assert_eq!(text(&there.result(id).unwrap()), format!("[{round}]"));
    }
}

/// One message stands for many commits.
#[test]
fn hints_are_gathered() {
    const DISPATCHES: usize = 400;
    // All at once: the last of them waits for a connection for as long as the others take.
    let url = fresh_url("&connect_timeout=60&call_timeout=60");
    let channel = Sha256::digest(name_of(&url).as_bytes())[..8].iter().fold("stent_".to_owned(), |mut name, byte| {
        write!(name, "{byte:02x}").unwrap();
        name
    });
    let house = House::at(&url);
    let begun = std::time::Instant::now();
    let (messages, took) = house.on(async {
        let mut listener = PgListener::connect(&shared().url).await.unwrap();
        listener.listen(&channel).await.unwrap();
        let all = (0..DISPATCHES).map(|_| house.executor.dispatch("f", "[]".into(), Default::default()));
        let started = futures_util::future::join_all(all).await;
        assert!(started.iter().all(Result::is_ok));
        let took = begun.elapsed();
        let mut messages = 0;
        while tokio::time::timeout(Duration::from_millis(300), listener.recv()).await.is_ok() {
            messages += 1;
        }
        (messages, took)
    });
    println!("{messages} messages for {DISPATCHES} dispatches in {took:?}");
    assert!(messages > 0, "nobody was told");
    // At most one in 5 ms, in which a machine that is not busy dispatches many.
    let most = took.as_millis() as usize / 5 + 2;
    assert!(messages <= most, "{messages} messages in {took:?}");
}

/// Two processes that know of each other by polls alone.
#[test]
fn everything_works_with_notifications_off() {
    let url = fresh_url("&notify=off");
    let (here, there) = (House::at(&url), House::at(&url));
    let bodies = orders::register(&here);
    let options = WorkerOptions {
        poll_interval: Duration::from_millis(50),
        poll_interval_max: Duration::from_millis(100),
        heartbeat_interval: Some(Duration::from_millis(100)),
        ..WorkerOptions::default()
    };
    here.function("endless", |task| {
        while !task.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(stent::model::Error::new(Status::Cancelled, ""))
    });
    let worker = here.worker_with(options);
    let ids: Vec<Id> = (0..5).map(|_| there.dispatch("order", "[]")).collect();
    for id in &ids {
        there.on(there.executor.signal(orders::signal(*id))).unwrap();
    }
    bodies.check(&there, &ids);
    let endless = there.dispatch("endless", "[]");
    until("it runs", || worker.status().running == 1);
    there.on(there.executor.cancel(endless, None)).unwrap();
    assert_eq!(there.result(endless).unwrap_err().status(), Status::Cancelled);
    let mut conn = here.on(PgConnection::connect(&shared().url)).unwrap();
    assert!(listening(&here, &mut conn, name_of(&url)).is_empty());
}
