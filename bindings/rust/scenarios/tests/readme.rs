//! The README's first example is the file beside it, and does what it says; so does the example of a service.

mod house;

use std::fs;
use std::path::Path;
use std::process::Command;

use house::{PATIENCE, Process, example};
use stent::{BatchOptions, DispatchOptions, Executor, Failure, Function, HandlerResult, Store, Task, WorkerOptions};

#[test]
fn the_first_example_is_the_file_and_runs_as_printed() {
    let rust = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = fs::read_to_string(rust.join("README.md")).unwrap();
    let (_, rest) = readme.split_once("```rust,no_run\n").unwrap();
    let file = fs::read_to_string(rust.join("stent/examples/hello.rs")).unwrap();
    assert_eq!(rest.split_once("```").unwrap().0, file);

    let program = example("hello");
    let folder = tempfile::tempdir().unwrap();
    // Twice: the second run finds the file of the first.
    for _ in 0..2 {
        let ran = Command::new(&program).current_dir(&folder).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "hello, world!\n", "{}", String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success());
    }
    assert!(folder.path().join("hello.db").exists());
}

const GREET: Function<(String,), String> = Function::new("greet");

#[test]
fn a_test_of_ones_own_is_as_it_stands_there() {
    fn greet(_task: &Task, (name,): (String,)) -> HandlerResult<String> {
        Ok(format!("hello, {name}"))
    }

    let host = stent::testing::host(|executor| executor.register(&GREET, greet));
    assert_eq!(host.run(&GREET, ("ada".to_owned(),)).unwrap(), "hello, ada");
}

const STORE: Function<(String, u32), u32> = Function::new("store");

#[test]
fn a_batch_is_as_it_stands_there() -> stent::Result<()> {
    let executor = Executor::new(&Store::open(":memory:")?)?;
    let options = BatchOptions::new().size(500u32).wait("50ms");
    executor.register_batch(&STORE, &options, |items| {
        let outcomes = items.iter().map(|item| match &item.args {
            (name, 0) => Err(Failure::new("Refused", format!("no {name}")).not_retryable().into()),
            (_, count) => Ok(*count),
        });
        Ok(outcomes.collect())
    })?;
    let rows = [("ink".to_owned(), 3), ("gold".to_owned(), 0)];
    let started = executor.dispatch_many(&STORE, rows, &DispatchOptions::new())?;
    let worker = executor.start_worker(&WorkerOptions::new())?;
    assert_eq!(started[0].result(PATIENCE)?, 3);
    assert_eq!(started[1].result(PATIENCE).unwrap_err().failure().unwrap().message, "no gold");
    worker.stop(PATIENCE)
}

/// SIGTERM ends it when it has drained, and the next start finds what was done.
#[test]
fn the_service_drains_when_it_is_told_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db").display().to_string();
    for _ in 0..2 {
        let mut service = Process::start(&example("service"), &[&store]);
        service.expect("ink for 300");
        service.tell(libc::SIGTERM);
        service.expect("ended by signal 15");
        assert_eq!(service.code(), Some(0));
    }
}
