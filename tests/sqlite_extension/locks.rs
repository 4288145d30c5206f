//! The library and a host's SQLite have the same file open in one process: neither drops the other's locks.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::api::Api;
use crate::host::{Host, Store, said, shell};

/// What another process says when it wants to write.
fn another(store: &Store, sql: &str) -> String {
    said(&shell(&store.path, sql))
}

#[test]
fn closing_the_file_here_drops_no_lock_of_the_hosts() {
    let store = Store::new();
    let host = Host::open(&store.path);
    host.rows("CREATE TABLE orders (job TEXT)");
    for _ in 0..3 {
        host.rows("BEGIN IMMEDIATE; INSERT INTO orders VALUES (stent_dispatch('send'))");
        assert!(another(&store, "BEGIN IMMEDIATE").contains("database is locked"));
        drop(Api::open(&store.path));
        let said = another(&store, "BEGIN IMMEDIATE");
        assert!(said.contains("database is locked"), "another process has the host's lock: {said}");
        host.rows("COMMIT");
    }
    assert_eq!(another(&store, "SELECT count(*) FROM orders, executions").trim(), "9");
}

#[test]
fn what_both_and_others_commit_is_there() {
    const ROUNDS: u32 = 60;
    let store = Store::new();
    Host::plain(&store.path).rows("CREATE TABLE orders (job TEXT)");
    let (done, elsewhere, here) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        // Opens and closes the file all the time; who is the last to close it deletes its log.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(another(&store, ".timeout 60000\nINSERT INTO orders VALUES ('elsewhere')"), "");
                elsewhere.fetch_add(1, Ordering::Relaxed);
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let api = Api::open(&store.path);
                api.dispatch(Some("here"), None, None).unwrap();
                here.fetch_add(1, Ordering::Relaxed);
            }
        });
        let host = Host::open(&store.path);
        host.wait_for_locks(60_000);
        for _ in 0..ROUNDS {
            host.rows("BEGIN IMMEDIATE; INSERT INTO orders VALUES (stent_dispatch('send')); COMMIT");
            let again = Host::open(&store.path);
            again.wait_for_locks(60_000);
            again.rows("SELECT stent_dispatch('again')");
        }
        done.store(true, Ordering::Relaxed);
    });
    let count = |sql: &str| another(&store, sql).trim().to_owned();
    assert_eq!(count("PRAGMA integrity_check"), "ok");
    let expected = format!("{ROUNDS} {} {ROUNDS} {ROUNDS} {}", elsewhere.into_inner(), here.into_inner());
    let of = |what: &str| format!("(SELECT count(*) FROM {what})");
    let found = ["orders WHERE job <> 'elsewhere'", "orders WHERE job = 'elsewhere'"].map(of).to_vec();
    let functions =
        ["send", "again", "here"].map(|name| of(&format!("executions WHERE root_function = '{name}'"))).to_vec();
    assert_eq!(count(&format!("SELECT {}", [found, functions].concat().join(" || ' ' || "))), expected);
}
