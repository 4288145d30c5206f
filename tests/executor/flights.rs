//! Two transactions of one worker at the store at once.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Condvar, Mutex};

use stent::model::{Error, Payload};

use crate::flaky::flaky_house;
use crate::house::{Count, House, tries, until};

/// Handlers that wait until they are let go on.
#[derive(Clone, Default)]
struct Latch(Arc<(Mutex<bool>, Condvar)>);

impl Latch {
    fn wait(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

/// A function whose bodies all wait at the latch.
fn waits(house: &House, latch: &Latch) -> Count {
    let (begun, latch) = (Count::default(), latch.clone());
    let count = begun.clone();
    house.function("waits", move |task| {
        count.up();
        latch.wait();
        task.complete(Payload::null())
    });
    begun
}

#[test]
fn ends_are_recorded_while_a_claim_is_on_its_way() {
    let (house, flaky) = flaky_house();
    flaky.writers.store(2, SeqCst);
    let latch = Latch::default();
    let begun = waits(&house, &latch);
    let worker = house.worker(64);
    let ids: Vec<_> = (0..48).map(|_| house.dispatch("waits", "[]")).collect();
    until("all have begun", || begun.get() == 48);
    until("nothing is on its way", || flaky.claiming.load(SeqCst) == 0);

    flaky.claims_wait.send_replace(true);
    let last = house.dispatch("waits", "[]");
    until("a claim is held", || flaky.waiting.load(SeqCst) == 1);
    latch.open();
    let over = || house.on(house.backend.ended_among(ids.clone())).unwrap().len();
    until("most ends are recorded", || over() >= 32);
    assert_eq!(flaky.waiting.load(SeqCst), 1, "it is on its way still");

    flaky.claims_wait.send_replace(false);
    for id in ids.into_iter().chain([last]) {
        house.result(id).unwrap();
    }
    until("the worker holds nothing", || worker.status().held == 0);
    assert_eq!(begun.get(), 49);
}

/// What the store refuses in the second transaction is told apart there too, and a failed commit is repeated.
#[test]
fn what_is_recorded_beside_a_claim_is_repeated_and_told_apart_like_all_else() {
    let (house, flaky) = flaky_house();
    flaky.writers.store(2, SeqCst);
    let latch = Latch::default();
    let begun = waits(&house, &latch);
    let poisoned = latch.clone();
    house.function_with("poisoned", tries(1), move |task| {
        poisoned.wait();
        task.complete("[13]".into())
    });
    let worker = house.worker(64);
    let bad = house.dispatch("poisoned", "[]");
    let ids: Vec<_> = (0..47).map(|_| house.dispatch("waits", "[]")).collect();
    until("all have begun", || begun.get() == 47 && worker.status().running == 48);
    until("nothing is on its way", || flaky.claiming.load(SeqCst) == 0);

    flaky.claims_wait.send_replace(true);
    *flaky.poison.lock().unwrap() = Some("[13]".into());
    let busy = || Error::backend("the store is busy").retryable(true);
    let last = house.dispatch("waits", "[]");
    until("a claim is held", || flaky.waiting.load(SeqCst) == 1);
    flaky.fails.lock().unwrap().extend([(busy(), false), (busy(), true)]);
    latch.open();
    let over = || house.on(house.backend.ended_among(ids.clone())).unwrap().len();
    until("most ends are recorded", || over() >= 31);

    flaky.claims_wait.send_replace(false);
    for id in ids.into_iter().chain([last]) {
        house.result(id).unwrap();
    }
    assert_eq!(house.result(bad).unwrap_err().failure().unwrap().kind, "BACKEND");
    assert_eq!(begun.get(), 48);
    assert_eq!(house.on(house.executor.stats()).unwrap().metrics.counters.lost_leases, 0);
}
