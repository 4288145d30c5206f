//! The examples compile without a warning and do what they say.

#[path = "common/c_programs.rs"]
mod c_programs;

use std::path::{Path, PathBuf};
use std::process::Command;

use c_programs::{compile, run};

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples_c").join(name)
}

fn order_workflow(place: &Path) -> PathBuf {
    compile(place, "order_workflow", &["order_workflow.c", "order_demo.c", "order_soak.c", "order_world.c"].map(source))
}

fn orders() -> String {
    source("orders.json").to_str().unwrap().to_owned()
}

/// A worker dies of SIGKILL in the middle of a charge, and every step is recorded once. The program checks what it
/// promises and says by its exit code whether it held.
#[test]
fn the_demo_keeps_its_promises() {
    let place = tempfile::tempdir().unwrap();
    let program = order_workflow(place.path());
    let said = run(&program, &["demo", &orders(), place.path().join("demo").to_str().unwrap()], place.path());
    assert!(said.contains("SIGKILL") && said.contains("every step is recorded once"), "{said}");
    assert!(!said.contains("NO "), "{said}");
}

/// Workers are killed and frozen at random while orders run.
#[test]
fn orders_survive_random_kills() {
    let place = tempfile::tempdir().unwrap();
    let program = order_workflow(place.path());
    let said = run(&program, &["soak", &orders(), "8"], place.path());
    assert!(said.contains("each charged once"), "{said}");
}

/// What a person does by hand: submit, approve, look, with a worker in another process.
#[test]
fn orders_can_be_submitted_approved_and_looked_at() {
    let place = tempfile::tempdir().unwrap();
    let program = order_workflow(place.path());
    let submitted = run(&program, &["submit", "orders.db", &orders()], place.path());
    assert_eq!(submitted.lines().count(), 4, "{submitted}");
    let again = run(&program, &["submit", "orders.db", &orders()], place.path());
    assert_eq!(again, submitted, "the order's number is the idempotency key");
    run(&program, &["approve", "orders.db", "SO-10483", "yes"], place.path());
    let status = run(&program, &["status", "orders.db"], place.path());
    assert_eq!(status.lines().count(), 4, "{status}");
    let unknown = Command::new(&program).args(["approve", "orders.db", "SO-1", "yes"]).current_dir(&place).output();
    assert!(!unknown.unwrap().status.success(), "an order that is not there can't be approved");
}

#[test]
fn a_fan_out_is_joined() {
    let place = tempfile::tempdir().unwrap();
    let program = compile(place.path(), "fan_out", &[source("fan_out.c")]);
    let said = run(&program, &["2000", "fan_out.db"], place.path());
    assert!(said.contains("2000 children joined"), "{said}");
}
