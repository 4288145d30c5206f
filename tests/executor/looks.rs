//! Before a body begins, its lease and its execution are looked at.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use stent::codec::CanonicalJson;
use stent::executor::{Executor, Silent, Task, Worker};
use stent::model::{ExecutionState, FunctionOptions, Id, Status, WorkerOptions};

use crate::flaky::{Flaky, flaky_house};
use crate::house::{Count, House, SOON, until};

/// One slot, taken by a task that waits to be let go, and others that are ready behind it.
struct Queue {
    house: House,
    flaky: Arc<Flaky>,
    worker: Worker,
    bodies: Count,
    gate: Count,
    waiting: Vec<Id>,
}

const BEHIND: usize = 3;

fn queue(options: WorkerOptions) -> Queue {
    let (house, flaky) = flaky_house();
    flaky.mute.store(true, SeqCst);
    let (bodies, gate, started) = (Count::default(), Count::default(), Count::default());
    let (body, open, run) = (bodies.clone(), gate.clone(), started.clone());
    house.function("body", move |task| {
        body.up();
        task.complete("1".into())
    });
    house.function("first", move |task| {
        run.up();
        while open.get() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        task.complete("1".into())
    });
    house.echo("last");
    let worker = house.worker_with(WorkerOptions {
        max_concurrency: 1,
        prefetch: Some(BEHIND + 1),
        poll_interval: Duration::from_millis(20),
        poll_interval_max: Duration::from_millis(20),
        ..options
    });
    house.dispatch("first", "[]");
    until("the slot is taken", || started.get() > 0);
    let waiting = (0..BEHIND).map(|_| house.dispatch("body", "[]")).collect();
    until("they are ready", || worker.status().prefetched == BEHIND);
    Queue { house, flaky, worker, bodies, gate, waiting }
}

impl Queue {
    /// What comes last is over when all before it is.
    fn let_go(&self) {
        let last = self.house.dispatch("last", "[]");
        self.gate.up();
        self.house.result(last).unwrap();
        until("nothing is left", || self.worker.status().held == 0);
    }

    fn states(&self) -> Vec<ExecutionState> {
        let state = |id: &Id| self.house.on(self.house.executor.wait(*id, SOON)).unwrap().execution.state;
        self.waiting.iter().map(state).collect()
    }
}

#[test]
fn nothing_begins_after_another_s_cancel_was_answered() {
    let queue = queue(WorkerOptions::default());
    queue.flaky.tells_late.store(true, SeqCst);
    for id in &queue.waiting {
        queue.house.on(queue.flaky.store.cancel(*id, None)).unwrap();
    }
    queue.let_go();
    assert_eq!(queue.bodies.get(), 0, "bodies began");
    assert_eq!(queue.states(), [ExecutionState::Cancelled; BEHIND]);
}

/// No hint is needed for what this very process is told to do.
#[test]
fn nothing_begins_after_its_own_executor_s_cancel_was_answered() {
    let queue = queue(WorkerOptions::default());
    for id in &queue.waiting {
        queue.house.on(queue.house.executor.cancel(*id, None)).unwrap();
    }
    queue.let_go();
    assert_eq!(queue.bodies.get(), 0, "bodies began");
    assert_eq!(queue.states(), [ExecutionState::Cancelled; BEHIND]);
}

/// As after a time in which the process stood still.
#[test]
fn nothing_begins_whose_lease_has_ended() {
    let lease_duration = Duration::from_millis(600);
    let queue = queue(WorkerOptions { lease_duration, ..WorkerOptions::default() });
    queue.flaky.no_renewals.store(true, SeqCst);
    // Another process's worker takes them over.
    let runtime = queue.house.on(async { tokio::runtime::Handle::current() });
    let store = Arc::clone(&queue.flaky.store);
    let other = Executor::new(store, Arc::new(CanonicalJson), runtime, Arc::new(Silent));
    let body = |task: &Task| task.complete("2".into()).map_or_else(|error| error.status(), |()| Status::Ok);
    other.register("body", FunctionOptions::default(), Some(Arc::new(body))).unwrap();
    let _taker = other.start_worker(WorkerOptions::default(), None).unwrap();
    assert_eq!(queue.states(), [ExecutionState::Completed; BEHIND]);
    assert_eq!(queue.bodies.get(), 0);
    queue.flaky.no_renewals.store(false, SeqCst);
    queue.let_go();
    assert_eq!(queue.bodies.get(), 0, "bodies began a second time");
}
