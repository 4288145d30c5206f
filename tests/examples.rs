//! The examples compile without a warning and do what they say.

#[path = "common/c_programs.rs"]
mod c_programs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use c_programs::{compile, finish, root};
use tempfile::TempDir;

fn source(name: &str) -> PathBuf {
    root().join("examples_c").join(name)
}

/// The order example, in a folder of its own.
fn order_workflow() -> (PathBuf, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let entries = fs::read_dir(root().join("examples_c")).expect("examples_c");
    let files = entries.map(|entry| entry.expect("examples_c").path());
    let is_part = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("order_") && name.ends_with(".c")
    };
    let parts: Vec<PathBuf> = files.filter(is_part).collect();
    (compile(folder.path(), "order_workflow", &parts), folder)
}

fn order(program: &Path, folder: &TempDir, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words).current_dir(folder).env("TMPDIR", folder.path());
    command
}

fn orders() -> String {
    source("orders.json").to_str().expect("a path in UTF-8").to_owned()
}

/// A worker dies of SIGKILL in the middle of a charge, and every step is recorded once. The program checks what it
/// promises, and says by its exit code whether all of it held.
#[test]
fn the_demo_keeps_its_promises() {
    let (program, folder) = order_workflow();
    let said = finish(&mut order(&program, &folder, &["demo", &orders(), "demo"]));
    assert!(said.contains("kill -9") && said.contains("yes  every step is recorded once"), "{said}");
    assert!(!said.contains("NO "), "{said}");
}

/// Workers are killed and frozen at random while orders run.
#[test]
fn orders_survive_random_kills() {
    let (program, folder) = order_workflow();
    let said = finish(&mut order(&program, &folder, &["soak", &orders(), "8"]));
    assert!(said.contains("yes  every step is recorded once") && !said.contains("NO "), "{said}");
}

/// What a person does by hand: submit, approve, look.
#[test]
fn orders_can_be_submitted_approved_and_looked_at() {
    let (program, folder) = order_workflow();
    let submitted = finish(&mut order(&program, &folder, &["submit", "orders.db", &orders()]));
    assert_eq!(submitted.lines().count(), 4, "{submitted}");
    let again = finish(&mut order(&program, &folder, &["submit", "orders.db", &orders()]));
    assert_eq!(again, submitted, "an order's number is its idempotency key");
    finish(&mut order(&program, &folder, &["approve", "orders.db", "SO-10483", "yes"]));
    let status = finish(&mut order(&program, &folder, &["status", "orders.db"]));
    assert_eq!(status.lines().count(), 4, "{status}");
    let unknown = order(&program, &folder, &["approve", "orders.db", "SO-1", "yes"]).output().expect("it runs");
    assert!(!unknown.status.success(), "an order that is not there can't be approved");
}

/// The store in memory, compiled to a folder of its own.
fn custom_backend() -> (PathBuf, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (compile(folder.path(), "custom_backend", &[source("custom_backend.c"), source("custom_main.c")]), folder)
}

/// What came of it is said so that people understand it.
fn is_sound(said: &str) {
    assert!(said.contains("  yes   records/an_existing_id_is_a_conflict\n"), "{said}");
    assert!(said.contains(" 0 failed, at the level of the protocol.") && !said.contains("  NO "), "{said}");
    assert!(said.contains("  - Fence: ") && said.contains(r#"{"served": {"bread": "rye"}, "to": "you"}"#), "{said}");
}

#[test]
fn the_custom_backend_passes_the_check_and_runs_a_workflow() {
    let (program, _folder) = custom_backend();
    let said = finish(Command::new("timeout").arg("120").arg(&program));
    is_sound(&said);
    let part = finish(Command::new("timeout").arg("120").arg(&program).arg("claiming/"));
    assert!(part.starts_with("  yes   claiming/") && !part.contains("records/"), "{part}");
}

#[test]
fn the_custom_backend_under_valgrind() {
    let (program, _folder) = custom_backend();
    let valgrind = ["--quiet", "--error-exitcode=99", "--fair-sched=yes", "--leak-check=full"];
    let leaks = ["--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect"];
    let mut checked = Command::new("timeout");
    is_sound(&finish(checked.args(["300", "valgrind"]).args(valgrind).args(leaks).arg(&program)));
}

#[test]
fn a_fan_out_is_joined() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = compile(folder.path(), "fan_out", &[source("fan_out.c")]);
    let said = finish(Command::new(&program).args(["2000", "fan_out.db"]).current_dir(&folder));
    assert!(said.starts_with("2000 children joined"), "{said}");
}
