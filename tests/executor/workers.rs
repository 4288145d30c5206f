//! Workers: start, drain, stop, limits, and what they take.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stent::executor::{Worker, WorkerState};
use stent::model::{CallOptions, FunctionOptions, Status, WorkerOptions};

use crate::house::{Count, House, SOON, text, until};

#[test]
fn a_drained_worker_ends_what_runs_and_gives_back_the_rest() {
    let house = House::new();
    let (started, hear) = channel();
    let started = Mutex::new(started);
    let gate = Count::default();
    let open = gate.clone();
    house.function("slow", move |task| {
        started.lock().unwrap().send(()).unwrap();
        while open.get() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        task.complete("1".into())
    });
    let worker = house.worker(1);
    let (first, second) = (house.dispatch("slow", "[]"), house.dispatch("slow", "[]"));
    hear.recv_timeout(SOON.unwrap()).unwrap();
    worker.drain();
    gate.up();
    house.on(worker.stop(SOON)).unwrap();
    assert_eq!(worker.state(), WorkerState::Stopped);
    house.result(first).unwrap();
    let another = house.worker(1);
    house.result(second).unwrap();
    house.on(another.stop(SOON)).unwrap();
}

#[test]
fn an_orchestrator_gives_way_at_its_next_durable_call() {
    let house = House::new();
    let (started, hear) = channel();
    let started = Mutex::new(started);
    let gate = Count::default();
    let open = gate.clone();
    house.echo("child");
    house.function("parent", move |task| {
        let _gone = started.lock().unwrap().send(());
        while open.get() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        task.complete(task.call("child", "[7]".into(), CallOptions::default())?)
    });
    let worker = house.worker(2);
    let id = house.dispatch("parent", "[]");
    hear.recv_timeout(SOON.unwrap()).unwrap();
    worker.drain();
    gate.up();
    house.on(worker.stop(SOON)).unwrap();
    assert_eq!(house.on(house.executor.stats()).unwrap().metrics.counters.released, 1);
    let _another = house.worker(2);
    assert_eq!(text(&house.result(id).unwrap()), "[7]");
}

#[test]
fn stop_gives_leases_back_when_its_time_is_up() {
    let house = House::new();
    let (started, hear) = channel();
    let started = Mutex::new(started);
    let (gate, runs) = (Count::default(), Count::default());
    let (open, run) = (gate.clone(), runs.clone());
    house.function("stuck", move |task| {
        let first = run.up() == 1;
        let _gone = started.lock().unwrap().send(());
        while first && open.get() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let told = task.complete("1".into());
        assert_eq!(first, told.is_err_and(|error| error.status() == Status::LeaseLost));
        Ok(())
    });
    let worker = house.worker(1);
    let id = house.dispatch("stuck", "[]");
    hear.recv_timeout(SOON.unwrap()).unwrap();
    let late = house.on(worker.stop(Some(Duration::from_millis(30)))).unwrap_err();
    assert_eq!(late.status(), Status::Timeout);
    assert!(late.message().contains("1 handlers still run"), "{late}");
    let _another = house.worker(1);
    assert_eq!(text(&house.result(id).unwrap()), "1");
    assert_eq!(worker.state(), WorkerState::Draining);
    gate.up();
    house.on(worker.stop(SOON)).unwrap();
}

#[test]
fn stop_on_a_handlers_thread_is_refused() {
    let house = House::new();
    let cell: &'static Mutex<Option<Worker>> = Box::leak(Box::new(Mutex::new(None)));
    let handle = tokio::runtime::Handle::try_current();
    assert!(handle.is_err());
    house.function("stops", move |task| {
        let worker = loop {
            if let Some(worker) = cell.lock().unwrap().clone() {
                break worker;
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let status = runtime.block_on(worker.stop(None)).unwrap_err().status();
        task.complete(format!("{}", status.code()).into())
    });
    let worker = house.worker(1);
    *cell.lock().unwrap() = Some(worker.clone());
    assert_eq!(text(&house.run("stops", "[]").unwrap()), "-12");
    house.on(worker.stop(SOON)).unwrap();
    assert_eq!(cell.lock().unwrap().take().unwrap().state(), WorkerState::Stopped);
}

#[test]
fn limits_hold_across_workers() {
    let house = House::new();
    let (running, most) = (Count::default(), std::sync::Arc::new(Mutex::new(0_i64)));
    let now = std::sync::Arc::new(Mutex::new(0_i64));
    let (current, top) = (std::sync::Arc::clone(&now), std::sync::Arc::clone(&most));
    let ran = running.clone();
    let options = FunctionOptions { max_concurrent: Some(3), ..FunctionOptions::default() };
    house.function_with("limited", options, move |task| {
        *current.lock().unwrap() += 1;
        let here = *current.lock().unwrap();
        let mut top = top.lock().unwrap();
        *top = here.max(*top);
        drop(top);
        std::thread::sleep(Duration::from_millis(2));
        *current.lock().unwrap() -= 1;
        ran.up();
        task.complete("1".into())
    });
    let _workers = [house.worker(8), house.worker(8)];
    let ids: Vec<_> = (0..60).map(|_| house.dispatch("limited", "[]")).collect();
    for id in ids {
        house.result(id).unwrap();
    }
    assert!(*most.lock().unwrap() <= 3);
    assert_eq!(running.get(), 60);
}

/// Much longer than a busy machine keeps a worker from renewing it.
const LEASE: Duration = Duration::from_secs(3);

#[test]
fn leases_are_renewed_while_a_handler_runs() {
    let house = House::new();
    let runs = Count::default();
    let run = runs.clone();
    house.function("long", move |task| {
        run.up();
        // Its first lease is over, and another one would be.
        std::thread::sleep(2 * LEASE);
        task.complete("1".into())
    });
    let heartbeat_interval = Some(LEASE / 12);
    let options = || WorkerOptions { lease_duration: LEASE, heartbeat_interval, ..WorkerOptions::default() };
    let _workers = [house.worker_with(options()), house.worker_with(options())];
    house.run("long", "[]").unwrap();
    assert_eq!(runs.get(), 1);
    assert!(house.on(house.executor.stats()).unwrap().metrics.counters.renewals >= 2);
}

#[test]
fn a_task_waits_for_a_worker_that_has_its_function() {
    let house = House::new();
    let id = house.dispatch("late", "[]");
    let first = house.worker(1);
    house.echo("late");
    assert!(house.on(house.executor.wait(id, Some(Duration::from_millis(100)))).is_err());
    let _second = house.worker(1);
    house.result(id).unwrap();
    assert_eq!(first.status().functions, Vec::<String>::new());
}

#[test]
fn a_worker_that_nobody_holds_stops_by_itself() {
    let house = House::new();
    house.echo("echo");
    drop(house.worker(1));
    until("it is gone", || house.on(house.executor.stats()).unwrap().store.workers == 0);
}

#[test]
fn a_handler_starts_at_once_by_wake_up() {
    let house = House::new();
    house.echo("echo");
    // It does not look by itself.
    let never = Duration::from_secs(3600);
    let _worker =
        house.worker_with(WorkerOptions { poll_interval: never, poll_interval_max: never, ..WorkerOptions::default() });
    for _ in 0..2 {
        house.run("echo", "[]").unwrap();
    }
}

/// The second body begins after its claim, so the store was to be told, and it is over before that.
#[test]
fn one_that_has_stopped_is_freed_with_all_it_had() {
    let house = House::new();
    let (started, hear) = channel();
    let started = Mutex::new(started);
    let kept = Arc::new(());
    let (gate, mine) = (Count::default(), Arc::clone(&kept));
    let open = gate.clone();
    house.function("quick", move |task| {
        let _mine = &mine;
        let _gone = started.lock().unwrap().send(());
        while open.get() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        task.complete("1".into())
    });
    let worker = house.worker_with(WorkerOptions { max_concurrency: 1, prefetch: Some(1), ..WorkerOptions::default() });
    house.dispatch("quick", "[]");
    house.dispatch("quick", "[]");
    hear.recv_timeout(SOON.unwrap()).unwrap();
    until("one is ready behind it", || worker.status().prefetched == 1);
    gate.up();
    hear.recv_timeout(SOON.unwrap()).unwrap();
    house.on(worker.stop(SOON)).unwrap();
    drop((worker, house));
    until("nobody has the handler", || Arc::strong_count(&kept) == 1);
}
