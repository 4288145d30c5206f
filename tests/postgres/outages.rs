//! A server that goes away in the middle of work, and comes back.

use std::thread::sleep;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use stent::model::{Id, Status};

use crate::house::{House, until};
use crate::orders;
use crate::postgres::{Server, fresh_url, schema_of, shared};
use crate::proxy::Proxy;

/// As long as the caller repeats what fails and may be repeated.
fn persistently<T>(mut call: impl FnMut() -> stent::model::Result<T>) -> T {
    let begin = Instant::now();
    loop {
        match call() {
            Ok(value) => return value,
            Err(why) => {
                assert!(why.is_retryable() && why.status() == Status::Backend, "{why}");
                assert!(begin.elapsed() < Duration::from_secs(60), "still {why}");
            }
        }
    }
}

fn send_all(house: &House, ids: &[Id]) {
    for id in ids {
        persistently(|| house.on(house.executor.signal(orders::signal(*id))));
    }
}

/// Killed twice in the middle of a drain; the second time another one takes over, and no connection of the pool is left.
#[test]
fn a_drain_goes_on_when_the_server_comes_back() {
    let mut server = Server::new("outage", "");
    let proxy = Proxy::new(&server.url);
    let house = House::at(&schema_of(&proxy.url(&server.url), "&connect_timeout=1"));
    let bodies = orders::register(&house);
    let worker = house.worker(8);
    let ids: Vec<Id> = (0..60).map(|_| house.dispatch("order", "[]")).collect();
    for round in 1..=2 {
        until("some is done, and some is not", || bodies.count() > round * 60);
        server.crash();
        let before = proxy.connections();
        let begin = Instant::now();
        let why = house.on(house.executor.dispatch("order", "[]".into(), Default::default())).unwrap_err();
        let (took, asked) = (begin.elapsed(), proxy.connections() - before);
        assert!(why.is_retryable() && why.status() == Status::Backend, "{why}");
        assert!(took > Duration::from_millis(500) && took < Duration::from_secs(5), "{took:?}");
        until("the worker has found out", || worker.status().trouble.is_some());
        println!("in {took:?} without a server {asked} connections were tried");
        // With backoff, not as fast as it goes.
        assert!(asked < 60, "{asked} connections were tried in {took:?}");
        if round == 2 {
            server.move_away();
            proxy.turn_to(&server.url);
        }
        server.begin();
    }
    send_all(&house, &ids);
    bodies.check(&house, &ids);
    until("the trouble is over", || worker.status().trouble.is_none());
    house.on(worker.stop(Some(Duration::from_secs(10)))).unwrap();
}

/// Every connection, of the pool and the listener's, again and again.
#[test]
fn a_drain_goes_on_when_connections_are_ended() {
    let url = fresh_url("&connect_timeout=5&application_name=ended_in_a_drain");
    let house = House::at(&url);
    let bodies = orders::register(&house);
    let _worker = house.worker(8);
    let ids: Vec<Id> = (0..60).map(|_| house.dispatch("order", "[]")).collect();
    let mut conn = house.on(PgConnection::connect(&shared().url)).unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ended_in_a_drain'";
    let mut ended = 0;
    let (now, later) = ids.split_at(50);
    for few in now.chunks(2) {
        ended += house.on(conn.fetch_all(sqlx::raw_sql(AssertSqlSafe(cut)))).unwrap().len();
        send_all(&house, few);
        sleep(Duration::from_millis(20));
    }
    assert!(ended > 20, "{ended}");
    send_all(&house, later);
    bodies.check(&house, &ids);
}

/// Nobody listens there: that is said, and soon.
#[test]
fn a_refused_connection_is_told_at_once() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for host in ["127.0.0.1", "127.0.0.1,127.0.0.1"] {
        let begin = std::time::Instant::now();
        let url = format!("postgresql:///d?host={host}&port={port}&user=u&connect_timeout=600");
        let why = runtime.block_on(stent::backend::postgres::Postgres::open(&url)).err().unwrap();
        assert!(begin.elapsed() < std::time::Duration::from_secs(60), "{why}");
        assert!(why.message().contains("nobody listens there") && why.is_retryable(), "{why}");
        assert!(!why.message().contains("max_size"), "{why}");
    }
}
