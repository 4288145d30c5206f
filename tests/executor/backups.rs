//! A copy that is made while workers write: it opens, and its work is finished there.

use std::time::Duration;

use stent::backend::{ExecutionFilter, NewSignal};
use stent::model::{CallOptions, ExecutionState, Id, WaitSignalOptions, WorkerOptions};

use crate::house::{House, text, until};

const STEPS: usize = 12;
const ORDERS: usize = 60;

fn furnish(house: &House) {
    house.function("step", |task| task.complete(task.args()));
    house.function("late order", |task| {
        let go = task.wait_signal("the copy is made", WaitSignalOptions::default())?;
        task.complete(go)
    });
    house.function("order", move |task| {
        for n in 0..STEPS {
            let result = task.call("step", format!("[{n}]").as_str().into(), CallOptions::default())?;
            assert_eq!(text(&result), format!("[{n}]"));
            task.sleep(Duration::from_millis(1), None)?;
        }
        task.complete(task.args())
    });
}

fn options() -> WorkerOptions {
    // What ran when the copy was made has a lease in it.
    WorkerOptions { max_concurrency: 4, lease_duration: Duration::from_secs(2), ..WorkerOptions::default() }
}

/// With what it was called with.
fn go(house: &House, late: Id) {
    let signal = NewSignal { execution: late, name: "the copy is made".into(), payload: "[0]".into(), id: None };
    house.on(house.executor.signal(signal)).unwrap();
}

#[test]
fn a_copy_made_under_busy_workers_finishes_its_work() {
    let house = House::new();
    furnish(&house);
    let _worker = house.worker_with(options());
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    for n in 0..ORDERS {
        house.dispatch("order", &format!("[{n}]"));
    }
    // However fast those end.
    let late = house.dispatch("late order", "[0]");
    let over = |house: &House| {
        let filter = ExecutionFilter { state: Some(ExecutionState::Completed), limit: 100, ..Default::default() };
        house.on(house.executor.list(filter)).unwrap().len()
    };
    until("some have ended, and some go on", || over(&house) >= 3);
    house.on(house.backend.backup(copy.to_str().unwrap())).unwrap();

    let copied = House::at(copy.to_str().unwrap());
    furnish(&copied);
    let all = || {
        let filter = ExecutionFilter { limit: 100, ..ExecutionFilter::default() };
        copied.on(copied.executor.list(filter)).unwrap()
    };
    let had = over(&copied);
    assert!((3..=ORDERS).contains(&had), "{had} of {}", all().len());
    let _worker = copied.worker_with(options());
    go(&copied, late);
    for execution in all() {
        assert_eq!(copied.result(execution.id).unwrap(), execution.args);
    }
    assert_eq!((all().len(), over(&copied)), (ORDERS + 1, ORDERS + 1));
    // The store that was copied knows nothing of it.
    until("all but one have ended there", || over(&house) == ORDERS);
    go(&house, late);
    house.result(late).unwrap();
}
