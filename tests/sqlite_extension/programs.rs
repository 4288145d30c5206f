//! Programs of other languages: Python's `sqlite3` module and SQLAlchemy over it, and Go's database/sql with a SQLite that is
//! compiled in.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::c_programs::{has, root};
use crate::host::{Host, Store, extension};

fn programs() -> PathBuf {
    root().join("tests/sqlite_extension/programs")
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{command:?}\n{said}");
    said
}

/// A Python whose `sqlite3` loads extensions, which not every build does.
fn python() -> PathBuf {
    let loads = "import sqlite3; sqlite3.connect(':memory:').enable_load_extension(True)";
    let all = ["python3", "/usr/bin/python3"].map(PathBuf::from);
    let found = all
        .into_iter()
        .find(|python| Command::new(python).args(["-c", loads]).output().is_ok_and(|said| said.status.success()));
    found.expect(
        "no Python whose sqlite3 module loads extensions; install Debian's (apt-get install python3 python3-venv)",
    )
}

/// With one more package, in a virtual environment that is kept.
fn with(module: &str, package: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(module);
    let python = place.join("bin/python");
    let imports = format!("import {module}");
    let there = || Command::new(&python).args(["-c", &imports]).output().is_ok_and(|said| said.status.success());
    if !there() {
        run(Command::new(self::python()).args(["-m", "venv", "--clear"]).arg(&place));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", package]));
    }
    python
}

#[test]
fn python_dispatches_with_its_own_rows() {
    let store = Store::new();
    let said = run(Command::new(python()).arg(programs().join("plain.py")).arg(&store.path).arg(extension()));
    assert!(said.ends_with("good\n"), "{said}");
    assert_eq!(Host::plain(&store.path).one("PRAGMA integrity_check"), "ok");
}

#[test]
fn python_works_on_the_store_in_the_same_process() {
    let store = Store::new();
    let said = run(Command::new(python()).arg(programs().join("worker.py")).arg(&store.path).arg(extension()));
    assert!(said.ends_with("good\n"), "{said}");
    assert_eq!(Host::plain(&store.path).one("PRAGMA integrity_check"), "ok");
}

#[test]
fn sqlalchemy_dispatches_in_its_sessions() {
    let store = Store::new();
    let said = run(Command::new(with("sqlalchemy", "sqlalchemy==2.0.36"))
        .arg(programs().join("orm.py"))
        .arg(&store.path)
        .arg(extension()));
    assert!(said.ends_with("good\n"), "{said}");
}

#[test]
fn go_dispatches_with_the_sqlite_that_it_has_compiled_in() {
    assert!(has("go") || Path::new("/usr/local/go/bin/go").exists(), "install Go by https://go.dev/doc/install");
    let store = Store::new();
    let mut go = Command::new("go");
    go.current_dir(programs().join("go")).args(["run", "-mod=readonly", "."]).arg(&store.path).arg(extension());
    let said = run(go.env("CGO_ENABLED", "1").env("GOFLAGS", ""));
    assert!(said.ends_with("good\n"), "{said}");
}

#[test]
fn python_s_own_transactions_record_steps() {
    let store = Store::new();
    let said = run(Command::new(python()).arg(programs().join("steps.py")).arg(&store.path).arg(extension()));
    assert!(said.ends_with("good\n"), "{said}");
    assert_eq!(Host::plain(&store.path).one("PRAGMA integrity_check"), "ok");
}

#[test]
fn python_s_binding_has_a_helper_for_it() {
    let store = Store::new();
    let mut helper = Command::new(with("cffi", "cffi==1.17.1"));
    helper.arg(programs().join("helper.py")).arg(&store.path).arg(extension());
    helper.env("PYTHONPATH", root().join("bindings/python/src"));
    let said = run(helper.env("STENT_LIB_DIR", Path::new(&extension()).parent().unwrap()));
    assert!(said.ends_with("good\n"), "{said}");
}
