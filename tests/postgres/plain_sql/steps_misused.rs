//! Steps whose record is made in another way than the handler's transaction with the work.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use stent::model::{Failure, Result, Status};

use super::steps::{fresh, house, money, refused};
use crate::house::{House, text};

/// As somebody does whose driver commits each statement by itself, without knowing it.
#[test]
fn a_record_without_its_work_is_refused() {
    let url = fresh();
    let place = url.clone();
    let house = house(
        &url,
        Box::new(move |_, token, client, runtime| {
            let call = format!("SELECT stent.record_step('{token}', '1')");
            for sql in
                [call.clone(), format!("BEGIN; {call}"), format!("BEGIN; SAVEPOINT s; SELECT FROM pg_class; {call}")]
            {
                refused(&place, client, runtime, &sql, "25P01", "STENT_E_INVALID");
            }
            // As a driver that prepares what it runs.
            let again = format!("{call}::text");
            let prepared = runtime.block_on(AssertUnwindSafe(client.one(&again)).catch_unwind());
            assert!(prepared.is_err(), "{prepared:?}");
            // Work may find nothing to be done.
            for work in
                ["UPDATE stent.money SET amount = 1 WHERE false", "SELECT FROM stent.money", "SELECT txid_current()"]
            {
                runtime.block_on(client.say(&format!("BEGIN; {work}; {call}; ROLLBACK")));
            }
            // One statement is a transaction too.
            let both = format!("WITH paid AS (INSERT INTO stent.money VALUES (5) RETURNING amount) {call} FROM paid");
            runtime.block_on(client.say(&both));
        }),
    );
    let _worker = house.worker(2);
    assert_eq!(text(&house.run("pay", "[]").unwrap()), "1");
    assert_eq!(house.on(money(&url)), "1");
}

#[test]
fn only_its_transaction_completes_such_a_step() {
    let url = fresh();
    let house = House::at(&url);
    house.function("pay", |task| -> Result<()> {
        let begun = task.transaction_begin("charge", None)?;
        let why = task.step_end(begun.op, Ok("1".into())).unwrap_err();
        assert_eq!(why.status(), Status::Invalid, "{why}");
        task.transaction_end(begun.op, Failure::new("NotRecorded", "nobody has"))?;
        let why = task.transaction_end(begun.op, Failure::new("NotRecorded", "nobody has")).unwrap_err();
        assert_eq!(why.status(), Status::Invalid, "{why}");
        let why = task.result(begun.op).unwrap_err();
        task.complete(format!("\"{}\"", why.failure().unwrap().kind).as_str().into())
    });
    let _worker = house.worker(2);
    assert_eq!(text(&house.run("pay", "[]").unwrap()), "\"NotRecorded\"");
}
