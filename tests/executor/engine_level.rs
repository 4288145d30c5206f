//! On a custom store that answers the engine's operations itself.

use std::time::Duration;

use stent::model::Status;

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

/// Nobody but the store's own functions could record it in the handler's transaction.
#[test]
fn a_step_in_a_transaction_of_the_handler_s_own_is_refused() {
    let house = House::with(|store| around(store, true));
    house.function("pay", |task| {
        let why = task.transaction_begin("charge", None).unwrap_err();
        assert_eq!(why.status(), Status::Unsupported);
        assert!(
            why.message().ends_with("needs a store on SQLite or PostgreSQL, and this one is of kind custom"),
            "{why}"
        );
        // It has not begun, and its name is free.
        assert_eq!(task.step_begin("charge", None)?.op, 1);
        task.step_end(1, Ok("1".into()))?;
        task.complete("2".into())
    });
    let _worker = house.worker(1);
    assert_eq!(house.run("pay", "[]").unwrap(), "2".into());
}
