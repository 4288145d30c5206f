//! Steps in transactions of the handler's own: what a task may do while one is open.

use std::time::Duration;

use stent::model::{CallOptions, Failure, Payload, Status};

use crate::house::House;

/// It would wait for a commit of the store's, and the transaction may have the store's lock.
#[test]
fn a_durable_operation_waits_until_the_transaction_is_over() {
    let house = House::new();
    house.echo("child");
    house.function("pay", |task| {
        let begun = task.transaction_begin("charge", None)?;
        if begun.token.is_some() {
            let refused = [
                task.step_begin("within", None).map(drop),
                task.call("child", "[1]".into(), CallOptions::default()).map(drop),
                task.sleep(Duration::from_millis(1), None),
                task.transaction_begin("within", None).map(drop),
            ];
            for why in refused.map(|refused| refused.unwrap_err()) {
                assert_eq!(why.status(), Status::Invalid);
                assert!(why.message().contains("the transaction of operation 1 is open"), "{why}");
            }
            task.transaction_end(begun.op, Failure::new("NotRecorded", ""))?;
        }
        assert_eq!(task.result(begun.op).unwrap_err().status(), Status::Failed);
        task.complete(task.call("child", "[1]".into(), CallOptions::default())?)
    });
    let _worker = house.worker(2);
    assert_eq!(house.run("pay", "[]").unwrap(), Payload::from("[1]"));
}

/// Once the step is recorded its body does not run any more, and what it has asked for would be missed in every later run.
#[test]
fn a_durable_operation_within_a_step_is_refused() {
    let house = House::new();
    house.echo("child");
    house.function("pay", |task| {
        let outer = task.step_begin("outer", None)?;
        if !outer.recorded {
            let refused = [
                task.transaction_begin("within", None).map(drop),
                task.step_begin("within", None).map(drop),
                task.call("child", "[1]".into(), CallOptions::default()).map(drop),
                task.sleep(Duration::from_millis(1), None),
            ];
            for why in refused.map(|refused| refused.unwrap_err()) {
                assert_eq!(why.status(), Status::Invalid);
                assert!(why.message().contains("within a step: operation 1 has not ended"), "{why}");
            }
            // Another thread of the handler's runs something else at the same time.
            std::thread::scope(|scope| {
                let beside = scope.spawn(|| {
                    let beside = task.step_begin("beside", Some("beside"))?;
                    task.step_end(beside.op, Ok("2".into()))
                });
                beside.join().unwrap()
            })?;
            task.step_end(outer.op, Ok("1".into()))?;
        } else {
            assert!(task.step_begin("beside", Some("beside"))?.recorded);
        }
        task.complete(task.call("child", "[1]".into(), CallOptions::default())?)
    });
    let _worker = house.worker(2);
    assert_eq!(house.run("pay", "[]").unwrap(), Payload::from("[1]"));
}
