//! The statements of docs/sql-sqlite.md, as they are printed; and how the library is named when it is loaded.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::c_programs::library;
use crate::host::{Host, Store};

const PAGE: &str = include_str!("../../docs/sql-sqlite.md");

/// The page's blocks of SQL.
fn printed() -> Vec<&'static str> {
    PAGE.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The shell on a store, where the loader finds the library.
fn shell(store: &Store, script: &str) -> (bool, String) {
    for name in ["libstent.so", "libstent.so.0"] {
        let link = store.folder().join(name);
        if !link.exists() {
            symlink(library(), link).unwrap();
        }
    }
    let mut command = Command::new("sqlite3");
    command.arg("-bail").arg(&store.path).arg(script).env("LD_LIBRARY_PATH", store.folder());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), said)
}

#[test]
fn the_pages_statements_do_what_it_says() {
    let store = Store::new();
    let blocks = printed();
    assert_eq!(blocks.len(), 2);
    let (good, said) = shell(&store, blocks[0]);
    assert!(good, "{said}");
    let host = Host::open(&store.path);
    let linked = "SELECT count(*) FROM orders AS o JOIN executions AS e ON lower(hex(e.id)) = replace(o.job, '-', '')";
    assert_eq!(host.one(linked), "1");
    host.rows(blocks[1]);
    assert_eq!(host.one("SELECT state || ', ' || cancel_reason FROM executions"), "cancelled, the order was deleted");
}

#[test]
fn it_is_loaded_by_these_names() {
    let store = Store::new();
    for name in ["libstent", "libstent.so", "libstent.so.0"] {
        let place = store.folder().join(name);
        for name in [name, place.to_str().unwrap()] {
            let load = format!("SELECT load_extension('{name}', 'stent_sqlite_init'); SELECT stent_dispatch('ship')");
            let (good, said) = shell(&store, &load);
            assert!(good, "{name}: {said}");
        }
    }
    let (good, said) = shell(&store, "SELECT load_extension('libstent.so.0')");
    assert!(!good && said.contains("sqlite3_stent_init"), "{said}");
    assert_eq!(Host::plain(&store.path).one("SELECT count(*) FROM executions"), "6");
}
