//! On a custom store that answers the engine's operations itself.

use std::time::Duration;

use crate::around::around;
use crate::house::{House, until};

/// Such a store keeps no list of functions: this process's own workers tell, where there are no others.
#[test]
fn a_wait_for_what_nobody_has_registered_says_so() {
    let house = House::with(|store| around(store, true));
    let id = house.dispatch("chrage", "[]");
    let told = || house.on(house.executor.wait(id, Some(Duration::ZERO))).unwrap_err().message().to_owned();
    assert!(
        told().ends_with("no worker has registered 'chrage', nor any other function, and none is running"),
        "{}",
        told()
    );
    house.echo("charge");
    let worker = house.worker(1);
    let said = "no worker has registered 'chrage'; did you mean 'charge'? These have been registered: charge";
    until("it knows of the worker", || told().ends_with(said));
    house.on(worker.stop(None)).unwrap();
    until("it knows that it is gone", || told().ends_with("and none is running"));
}
