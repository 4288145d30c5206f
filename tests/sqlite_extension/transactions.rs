//! What is dispatched stands or falls with what the caller writes.

use std::sync::Barrier;

use crate::host::{BUSY, ENTRY, Host, Store, extension, shell};

const COUNTS: &str = "SELECT (SELECT count(*) FROM executions) || ' ' || (SELECT count(*) FROM tasks) || ' ' || \
    (SELECT count(*) FROM idempotency) || ' ' || (SELECT count(*) FROM orders)";

fn shop() -> (Store, Host) {
    let store = Store::new();
    let host = Host::open(&store.path);
    host.rows("CREATE TABLE orders (id INTEGER PRIMARY KEY, job TEXT UNIQUE)");
    (store, host)
}

/// As somebody else sees it.
fn seen(store: &Store) -> String {
    Host::plain(&store.path).one(COUNTS)
}

#[test]
fn a_commit_commits_all_of_it_and_a_rollback_nothing() {
    let (store, host) = shop();
    let both = "INSERT INTO orders (job) VALUES (stent_dispatch('send', '[1]'))";
    host.rows(&format!("BEGIN; {both}; SELECT stent_dispatch('pay', '[]', '{{\"idempotency_key\": \"a\"}}')"));
    assert_eq!((host.one(COUNTS), seen(&store)), ("2 2 1 1".to_owned(), "0 0 0 0".to_owned()));
    host.rows("ROLLBACK");
    assert_eq!(host.one(COUNTS), "0 0 0 0");
    host.rows(&format!("BEGIN; {both}; COMMIT"));
    assert_eq!(seen(&store), "1 1 0 1");
    // Outside of a transaction a statement is one, whatever it is.
    host.rows(both);
    host.rows("SELECT stent_dispatch('send')");
    assert_eq!(seen(&store), "3 3 0 2");
    // And fails as a whole: the second row is refused.
    let (_, why) =
        host.refused("INSERT INTO orders (job) SELECT stent_dispatch('x') UNION ALL SELECT 1 UNION ALL SELECT 1");
    assert!(why.contains("UNIQUE"), "{why}");
    assert_eq!(host.one(COUNTS), "3 3 0 2");
    assert_eq!(
        host.one("SELECT count(*) FROM orders AS o JOIN executions AS e ON lower(hex(e.id)) = replace(o.job, '-', '')"),
        "2"
    );
}

#[test]
fn savepoints_hold_it_too() {
    let (_store, host) = shop();
    host.rows("BEGIN; SELECT stent_dispatch('one'); SAVEPOINT s; SELECT stent_dispatch('two'); ROLLBACK TO s");
    // The route of `two` is gone with it, and made again.
    host.rows("SELECT stent_dispatch('three'); SELECT stent_dispatch('two'); RELEASE s; COMMIT");
    assert_eq!(host.rows("SELECT root_function FROM executions ORDER BY created_at"), [["one"], ["three"], ["two"]]);
    assert_eq!(
        host.one("SELECT count(*) FROM tasks AS t JOIN routes AS r ON r.id = t.lane AND r.function = t.step_name"),
        "3"
    );
}

#[test]
fn a_route_that_was_rolled_back_is_not_remembered() {
    let (store, host) = shop();
    host.rows("BEGIN; SELECT stent_dispatch('mine'); SELECT stent_dispatch('mine'); ROLLBACK");
    // Another connection gives the numbers that are free again to another function.
    Host::open(&store.path).rows("SELECT stent_dispatch('theirs')");
    host.rows("SELECT stent_dispatch('mine')");
    let wrong = "SELECT count(*) FROM tasks AS t JOIN routes AS r ON r.id = t.lane WHERE r.function <> t.step_name";
    assert_eq!((host.one(wrong), host.one("SELECT count(*) FROM routes")), ("0".to_owned(), "2".to_owned()));
}

#[test]
fn a_call_that_fails_leaves_nothing_of_itself_wherever_it_stands() {
    let (_store, host) = shop();
    host.rows("SELECT stent_dispatch('own', '[]', '{\"id\": \"018f3c1e-7b5a-7c3d-9e4f-0123456789aa\"}')");
    // It takes the key, and only then finds that the id is taken.
    let call =
        "stent_dispatch('new', '[]', '{\"id\": \"018f3c1e-7b5a-7c3d-9e4f-0123456789aa\", \"idempotency_key\": \"k\"}')";
    host.rows(&format!("CREATE TRIGGER t AFTER INSERT ON orders WHEN NEW.job = 'bad' BEGIN SELECT {call}; END"));
    for begins in [false, true] {
        let (begin, end) = if begins { ("BEGIN", "COMMIT") } else { ("SELECT 1", "SELECT 1") };
        for sql in [
            format!("SELECT {call}"),
            format!("INSERT INTO orders (job) VALUES ({call})"),
            format!("INSERT INTO orders (job) SELECT 'x' UNION ALL SELECT {call}"),
            format!("UPDATE catalog SET version = version WHERE {call}"),
            "INSERT INTO orders (job) VALUES ('bad')".to_owned(),
        ] {
            host.rows(begin);
            let (_, why) = host.refused(&sql);
            assert!(why.contains("one of the given ids exists already"), "{sql}: {why}");
            assert_eq!(host.one(COUNTS), "1 1 0 0", "{sql}");
            host.rows(end);
            assert_eq!(host.one(COUNTS), "1 1 0 0", "{sql}, after its end");
            assert_eq!(host.one("SELECT count(*) FROM routes WHERE function = 'new'"), "0", "{sql}");
        }
    }
    host.rows(
        &call
            .replace("stent_dispatch", "SELECT stent_dispatch")
            .replace("\"id\": \"018f3c1e-7b5a-7c3d-9e4f-0123456789aa\", ", ""),
    );
    assert_eq!(host.one(COUNTS), "2 2 1 0");
}

#[test]
fn triggers_dispatch_unless_the_connection_trusts_no_schema() {
    let (_store, host) = shop();
    host.rows(
        "CREATE TRIGGER placed AFTER INSERT ON orders BEGIN SELECT stent_dispatch('ship', json_array(NEW.id)); END",
    );
    host.rows("INSERT INTO orders (job) VALUES ('a'), ('b')");
    assert_eq!(host.rows("SELECT last_insert_rowid(), changes()"), [["2", "2"]]);
    assert_eq!(host.rows("SELECT CAST(args AS TEXT) FROM executions ORDER BY created_at"), [["[1]"], ["[2]"]]);
    host.rows("PRAGMA trusted_schema = OFF");
    let (_, why) = host.refused("INSERT INTO orders (job) VALUES ('c')");
    assert!(why.contains("unsafe use of stent_dispatch"), "{why}");
    host.rows("SELECT stent_dispatch('by hand')");
}

#[test]
fn the_hosts_last_row_and_hooks_are_its_own() {
    let (_store, host) = shop();
    host.rows("INSERT INTO orders (id, job) VALUES (41, 'a')");
    host.rows("SELECT stent_dispatch('send'); SELECT stent_dispatch('send')");
    assert_eq!(host.one("SELECT last_insert_rowid()"), "41");
}

#[test]
fn a_process_that_is_killed_in_the_transaction_leaves_nothing() {
    let (store, host) = shop();
    let script = format!(
        ".load {} {ENTRY}\nBEGIN;\nINSERT INTO orders (job) VALUES (stent_dispatch('send'));\n.shell kill -9 $PPID\n",
        extension()
    );
    let killed = shell(&store.path, &script);
    assert!(!killed.status.success(), "{killed:?}");
    assert_eq!(host.one(COUNTS), "0 0 0 0");
    let script = script.replace(".shell", "COMMIT;\n.shell");
    let killed = shell(&store.path, &script);
    assert!(!killed.status.success(), "{killed:?}");
    assert_eq!(host.one(COUNTS), "1 1 0 1");
    assert_eq!(host.one("PRAGMA integrity_check"), "ok");
}

#[test]
fn who_has_the_lock_is_waited_for_as_the_host_says() {
    let (store, host) = shop();
    let other = Host::open(&store.path);
    other.rows("BEGIN IMMEDIATE");
    let (code, why) = host.refused("SELECT stent_dispatch('send')");
    assert_eq!(code & 0xff, BUSY, "{why}");
    assert!(why.contains("database is locked"), "{why}");
    host.rows("BEGIN");
    let (code, _) = host.refused("INSERT INTO orders (job) VALUES (stent_dispatch('send'))");
    assert_eq!(code & 0xff, BUSY);
    host.rows("ROLLBACK");
    // An old snapshot can't be written to, however long it waits.
    host.rows("BEGIN; SELECT count(*) FROM orders");
    other.rows("INSERT INTO orders (job) VALUES ('x'); COMMIT");
    host.wait_for_locks(20_000);
    let (code, why) = host.refused("SELECT stent_dispatch('send')");
    assert_eq!(code & 0xff, BUSY);
    assert!(why.contains("roll it back") && why.contains("BEGIN IMMEDIATE"), "{why}");
    host.rows("ROLLBACK; SELECT stent_dispatch('send')");
    // The lock is free within the time that the host gives.
    other.rows("BEGIN IMMEDIATE");
    let begun = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let host = Host::open(&store.path);
            host.wait_for_locks(60_000);
            begun.wait();
            host.rows("SELECT stent_dispatch('send')");
        });
        begun.wait();
        other.rows("COMMIT");
    });
    assert_eq!(host.one("SELECT count(*) FROM executions"), "2");
}

#[test]
fn a_machine_that_was_started_anew_is_numbered_in_the_hosts_transaction() {
    let (_store, host) = shop();
    host.rows("UPDATE boots SET boot_id = 'another', began = began - 3600000000");
    let delayed = "SELECT stent_dispatch('later', '[]', '{\"delay\": 60}')";
    host.rows(&format!("BEGIN; {delayed}; ROLLBACK"));
    assert_eq!(host.one("SELECT count(*) FROM boots"), "1");
    host.rows(delayed);
    assert_eq!(host.rows("SELECT number, began IS NULL FROM boots ORDER BY number"), [["1", "1"], ["2", "0"]]);
}

#[test]
fn a_database_of_the_hosts_own_is_attached_to_the_store() {
    let (store, host) = shop();
    host.rows(&format!("ATTACH '{}' AS app", store.folder().join("app.db").display()));
    host.rows("CREATE TABLE app.tasks (job TEXT)");
    host.rows("BEGIN; INSERT INTO app.tasks VALUES (stent_dispatch('send')); COMMIT");
    host.rows("BEGIN; INSERT INTO app.tasks VALUES (stent_dispatch('send')); ROLLBACK");
    assert_eq!((host.one(COUNTS), host.one("SELECT count(*) FROM app.tasks")), ("1 1 0 0".to_owned(), "1".to_owned()));
}
