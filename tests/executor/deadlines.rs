//! Deadlines of executions where no worker is: they hold for who looks.

use std::time::{Duration, Instant};

use stent::backend::{Claim, ExecutionFilter, Function, NewWorker};
use stent::model::{DispatchOptions, ExecutionState, FunctionOptions, Id, Status};

use crate::house::{House, SOON, until};

const SHORT: Duration = Duration::from_millis(50);

fn start(house: &House) -> Id {
    start_for(house, SHORT)
}

fn start_for(house: &House, expiry: Duration) -> Id {
    let options = DispatchOptions { expiry: Some(expiry), ..DispatchOptions::default() };
    house.on(house.executor.dispatch("nobody", "[]".into(), options)).unwrap()
}

#[test]
fn a_wait_ends_with_the_execution_that_runs_out_of_its_time() {
    let house = House::new();
    let id = start(&house);
    let begun = Instant::now();
    let ended = house.on(house.executor.wait(id, SOON)).unwrap();
    assert_eq!(ended.execution.state, ExecutionState::TimedOut);
    assert!(ended.execution.completed_at.is_some());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let why = house.result(id).unwrap_err();
    assert_eq!(why.status(), Status::Timeout);
    assert!(why.message().contains("ran out of its time") && !why.is_retryable(), "{why}");
}

#[test]
fn every_look_tells_it() {
    let house = House::new();
    let looked = start(&house);
    let state = |id| house.on(house.executor.state(id)).unwrap().execution.state;
    until("a look at it tells", || state(looked) == ExecutionState::TimedOut);
    let zero = house.on(house.executor.wait(looked, Some(Duration::ZERO))).unwrap();
    assert_eq!(zero.execution.state, ExecutionState::TimedOut);

    let listed = start(&house);
    let filter = ExecutionFilter { state: Some(ExecutionState::TimedOut), limit: 10, ..ExecutionFilter::default() };
    let list = || house.on(house.executor.list(filter.clone())).unwrap();
    until("a list tells", || list().iter().any(|execution| execution.id == listed));

    start(&house);
    let counted = || house.on(house.executor.stats()).unwrap().store.executions.get("timed_out").copied();
    until("the counts tell", || counted() == Some(3));
}

#[test]
fn a_dead_worker_s_execution_ends_when_its_lease_does() {
    let house = House::new();
    let function = Function { name: "nobody".into(), options: FunctionOptions::default() };
    let worker = NewWorker {
        worker_id: "dead".into(),
        queues: vec![],
        tags: vec![],
        functions: vec![function],
        queue_rates: [].into(),
    };
    house.on(house.backend.register_worker(worker)).unwrap();
    let mut expiry = SHORT;
    let id = loop {
        let id = start_for(&house, expiry);
        let lease = 10 * SHORT;
        let claim = Claim { worker_id: "dead".into(), count: 1, limited: 0, begin: 1, slots: 1, lease };
        let (_, claimed) = house.on(house.backend.advance(vec![], Some(claim))).unwrap();
        if !claimed.is_empty() {
            assert_eq!(claimed[0].task.execution_id, id);
            break id;
        }
        // Its time was over before it was claimed.
        expiry *= 2;
        assert!(expiry < SOON.unwrap(), "it can't be claimed");
    };
    let ended = house.on(house.executor.wait(id, SOON)).unwrap();
    assert_eq!(ended.execution.state, ExecutionState::TimedOut);
}
