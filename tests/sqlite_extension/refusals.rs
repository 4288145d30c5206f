//! Where nothing can be dispatched, and what is said then.

use std::process::Command;

use crate::host::{ENTRY, Host, Store, extension, said};

const DISPATCH: &str = "SELECT stent_dispatch('send')";

fn refused(host: &Host, says: &str) {
    let (_, why) = host.refused(DISPATCH);
    assert!(why.contains(says), "{why}");
}

#[test]
fn a_file_that_is_no_store_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let host = Host::open(&path);
    refused(&host, "the main database of this connection is empty; open the connection on the store's file");
    host.rows("CREATE TABLE mine (a)");
    refused(
        &host,
        "the main database of this connection is no store of Stent's; open the connection on the store's file",
    );
    // A store that is attached is none of this connection's.
    let store = Store::new();
    host.rows(&format!("ATTACH '{}' AS jobs", store.path.display()));
    refused(&host, "the main database of this connection is no store of Stent's");
    assert_eq!(host.one("SELECT count(*) FROM main.sqlite_schema"), "1");
    assert_eq!(host.one("SELECT count(*) FROM jobs.executions"), "0");
}

#[test]
fn an_older_or_newer_schema_is_not_written_to() {
    let store = Store::new();
    let host = Host::open(&store.path);
    let version: i64 = host.one("SELECT max(version) FROM stent_schema").parse().unwrap();
    host.rows(&format!("DELETE FROM stent_schema WHERE version = {version}"));
    refused(&host, &format!("the store has schema version {}, and this library writes version {version}", version - 1));
    host.rows(&format!("INSERT INTO stent_schema VALUES ({version}, ''), ({}, '')", version + 1));
    refused(
        &host,
        &format!("the file has schema version {}, and this library knows versions up to {version}", version + 1),
    );
    host.rows(&format!("DELETE FROM stent_schema WHERE version > {version}"));
    host.rows(DISPATCH);
}

#[test]
fn a_store_without_its_log_is_not_written_to() {
    let store = Store::new();
    let host = Host::open(&store.path);
    assert_eq!(host.one("PRAGMA journal_mode = DELETE"), "delete");
    refused(&host, "the store's journal_mode is 'delete'");
    host.rows("PRAGMA journal_mode = WAL");
    host.rows(DISPATCH);
}

#[test]
fn a_temporary_table_that_hides_one_of_the_stores_is_found() {
    let store = Store::new();
    let host = Host::open(&store.path);
    host.rows("CREATE TEMP TABLE mine (a); SELECT stent_dispatch('send')");
    host.rows("CREATE TEMP VIEW tasks AS SELECT 1 AS id");
    refused(&host, "a temporary table or view 'tasks', which hides the store's table of that name");
    host.rows("DROP VIEW temp.tasks");
    host.rows(DISPATCH);
}

#[test]
fn what_may_only_be_read_is_only_read() {
    let store = Store::new();
    let host = Host::open(&store.path);
    host.rows("PRAGMA query_only = ON");
    let (code, why) = host.refused(DISPATCH);
    assert_eq!(code & 0xff, 8, "{why}");
    assert!(why.contains("can't be written"), "{why}");
    let load = format!(".load {} {ENTRY}", extension());
    let mut reading = Command::new("sqlite3");
    let output = reading.arg("-readonly").arg(&store.path).args([&load, DISPATCH]).output().unwrap();
    assert!(!output.status.success() && said(&output).contains("can't be written"), "{output:?}");
}

#[test]
fn a_trigger_that_fires_itself_ends() {
    let store = Store::new();
    let host = Host::open(&store.path);
    host.rows("CREATE TRIGGER t AFTER INSERT ON executions BEGIN SELECT stent_dispatch('again'); END");
    refused(&host, "what they write fires a trigger that calls again");
    assert_eq!(host.one("SELECT count(*) FROM executions"), "0");
    host.rows("DROP TRIGGER t");
    host.rows("CREATE TRIGGER t AFTER INSERT ON executions WHEN NEW.root_function = 'send' BEGIN SELECT stent_dispatch('too'); END");
    host.rows(DISPATCH);
    assert_eq!(host.one("SELECT group_concat(root_function) FROM executions"), "send,too");
}

#[test]
fn arguments_are_text() {
    let store = Store::new();
    let host = Host::open(&store.path);
    for (call, says) in [
        ("stent_dispatch(x'61')", "function is a blob; give it as text"),
        ("stent_dispatch('a', x'5b5d')", "args is a blob; give it as text"),
        ("stent_dispatch('a' || char(0) || 'b')", "function has a NUL character in it"),
        ("stent_dispatch(CAST(x'61ff' AS TEXT))", "function is not UTF-8: the byte at offset 1 is wrong"),
        ("stent_dispatch('a', '[\"' || hex(zeroblob(34000000)) || '\"]')", "args"),
        ("stent_dispatch()", "wrong number of arguments to function stent_dispatch()"),
        ("stent_dispatch('a', '[]', '{}', 1)", "wrong number of arguments to function stent_dispatch()"),
        ("stent_signal('a')", "wrong number of arguments to function stent_signal()"),
        ("stent_cancel()", "wrong number of arguments to function stent_cancel()"),
        ("stent_apply(1)", "stent_apply is the extension's own"),
        ("stent_apply(NULL)", "stent_apply is the extension's own"),
    ] {
        let (_, why) = host.refused(&format!("SELECT {call}"));
        assert!(why.contains(says), "{call}: {why}");
    }
    // Numbers are as they are written.
    let id = host.one("SELECT stent_dispatch('a')");
    host.rows(&format!("SELECT stent_signal('{id}', 'n', 4.5), stent_signal('{id}', 'n', 7)"));
    assert_eq!(host.rows("SELECT CAST(payload AS TEXT) FROM signals ORDER BY sequence"), [["4.5"], ["7"]]);
    assert_eq!(host.one("SELECT count(*) FROM executions"), "1");
}
