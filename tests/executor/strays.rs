//! Handlers that go on after their lease was over.

use std::time::Duration;

use stent::model::{FunctionOptions, WorkerOptions};

use crate::house::{Count, House, SOON, text, tries, until};

/// The only slot is kept by one that never returns: what is ready behind it goes elsewhere, and nothing more is taken.
#[test]
fn a_handler_that_goes_on_without_its_lease_keeps_its_slot_and_nothing_else() {
    let house = House::new();
    let (started, gate) = (Count::default(), Count::default());
    let (run, open) = (started.clone(), gate.clone());
    let limited = FunctionOptions { timeout: Some(Duration::from_secs(2)), ..tries(1) };
    house.function_with("stuck", limited, move |_| {
        run.up();
        while open.get() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    });
    house.echo("echo");
    let lease_duration = Duration::from_millis(500);
    // It claims both of them at once: the second is there before the first one's time is over.
    let (stuck, behind) = (house.dispatch("stuck", "[]"), house.dispatch("echo", "[1]"));
    let worker = house.worker_with(WorkerOptions { max_concurrency: 1, lease_duration, ..WorkerOptions::default() });
    until("the slot is taken", || started.get() == 1);
    until("one is ready behind it", || worker.status().prefetched == 1);
    house.result(stuck).unwrap_err();
    until("it has gone back", || worker.status().held == 0);
    let after = house.dispatch("echo", "[2]");
    until("it is told of", || worker.status().trouble.is_some());
    let trouble = worker.status().trouble.unwrap();
    assert!(trouble.starts_with("handlers: go on long after") && trouble.contains("stuck (task "), "{trouble}");
    assert_eq!(worker.status().held, 0);
    let other = house.worker(1);
    for (id, args) in [(behind, "[1]"), (after, "[2]")] {
        assert_eq!(text(&house.result(id).unwrap()), args);
    }
    house.on(other.stop(SOON)).unwrap();
    gate.up();
    until("it is over", || worker.status().trouble.is_none());
    house.run("echo", "[3]").unwrap();
    house.on(worker.stop(SOON)).unwrap();
}
