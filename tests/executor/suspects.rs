//! After a worker's death: what was at it, at a worker that lives.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use stent::backend::{Claim, Function, NewWorker};
use stent::model::{ExecutionState, FunctionOptions, WorkerOptions};

use crate::flaky::flaky_house;
use crate::house::SOON;

const SLOTS: usize = 4;

/// The suspect is to begin with fewer beside it, and is cancelled before that is recorded. What comes after it has all
/// slots again.
#[test]
fn a_suspect_that_never_begins_keeps_no_slots() {
    let (house, flaky) = flaky_house();
    house.echo("body");
    let function = Function { name: "body".into(), options: FunctionOptions::default() };
    let dead = NewWorker {
        worker_id: "dead".into(),
        queues: vec![],
        tags: vec![],
        functions: vec![function],
        queue_rates: [].into(),
    };
    house.on(flaky.store.register_worker(dead)).unwrap();
    let suspect = house.dispatch("body", "[]");
    // One beside which nothing else ran is to begin alone.
    let lease = Duration::from_millis(10);
    let claim = Claim { worker_id: "dead".into(), count: 1, limited: 0, begin: 1, slots: 1, lease };
    let (_, claimed) = house.on(flaky.store.advance(vec![], Some(claim))).unwrap();
    assert_eq!(claimed.len(), 1);

    flaky.cancels_marked.store(true, SeqCst);
    let _worker = house.worker_with(WorkerOptions { max_concurrency: SLOTS, ..WorkerOptions::default() });
    let ended = house.on(house.executor.wait(suspect, SOON)).unwrap();
    assert_eq!(ended.execution.state, ExecutionState::Cancelled);

    let others: Vec<_> = (0..2 * SLOTS).map(|_| house.dispatch("body", "[1]")).collect();
    for id in others {
        house.result(id).unwrap();
    }
}
