//! Handlers that take many tasks in one call.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stent::executor::{BatchHandler, LogRecord, Task, WorkerState};
use stent::model::{
    BatchOptions, CallOptions, DispatchOptions, DispatchRequest, Failure, FunctionOptions, Id, Level, Payload, Status,
};

use crate::house::{House, SOON, text, tries, until};

/// Longer than any test: what begins has begun for another reason.
const LONG: Duration = Duration::from_secs(3000);

/// The arguments of each call's tasks, in the order of the calls.
type Calls = Arc<Mutex<Vec<Vec<String>>>>;

struct Batches<F> {
    calls: Calls,
    body: F,
}

impl<F: Fn(&[Task]) -> Status + Send + Sync> BatchHandler for Batches<F> {
    fn run(&self, tasks: &[Task]) -> Status {
        self.calls.lock().unwrap().push(tasks.iter().map(argument).collect());
        (self.body)(tasks)
    }
}

/// Of `[7]` it is `7`.
fn argument(task: &Task) -> String {
    text(&task.args()).trim_matches(['[', ']']).to_owned()
}

impl House {
    fn batches(
        &self,
        options: FunctionOptions,
        batch: BatchOptions,
        body: impl Fn(&[Task]) -> Status + Send + Sync + 'static,
    ) -> Calls {
        let calls = Calls::default();
        let handler = Arc::new(Batches { calls: Arc::clone(&calls), body });
        self.executor.register_batch("many", options, batch, handler).unwrap();
        calls
    }

    /// With the arguments 0, 1, 2 and so on, in one transaction.
    fn dispatch_numbers(&self, count: usize) -> Vec<Id> {
        let request = |number: usize| DispatchRequest {
            function: "many".to_owned(),
            args: format!("[{number}]").as_str().into(),
            options: DispatchOptions::default(),
        };
        self.on(self.executor.dispatch_many((0..count).map(request).collect())).unwrap()
    }
}

fn complete_all(tasks: &[Task]) -> Status {
    tasks.iter().for_each(|task| task.complete(argument(task).as_str().into()).unwrap());
    Status::Ok
}

fn of_size(size: usize, wait: Duration) -> BatchOptions {
    BatchOptions { size, wait }
}

#[test]
fn each_task_of_a_batch_has_an_outcome_of_its_own() {
    let house = House::new();
    let calls = house.batches(tries(2), of_size(4, LONG), |tasks| {
        for task in tasks {
            match (argument(task).as_str(), task.info().attempt) {
                ("1", _) => task.fail(Failure::new("Refused", "no").final_()).unwrap(),
                ("2", 1) => task.fail(Failure::new("Busy", "later")).unwrap(),
                // Has no outcome.
                ("3", _) => {}
                (number, _) => task.complete(number.into()).unwrap(),
            }
        }
        Status::Ok
    });
    let ids = house.dispatch_numbers(4);
    let _worker = house.worker(4);
    assert_eq!(text(&house.result(ids[0]).unwrap()), "0");
    assert_eq!(house.result(ids[1]).unwrap_err().failure().unwrap().kind, "Refused");
    let mut first = calls.lock().unwrap()[0].clone();
    first.sort();
    assert_eq!(first, ["0", "1", "2", "3"]);
    // Two are tried again, as a batch that never becomes full.
    house.dispatch_numbers(2);
    assert_eq!(text(&house.result(ids[2]).unwrap()), "2");
    house.dispatch_numbers(4);
    assert_eq!(house.result(ids[3]).unwrap_err().failure().unwrap().kind, "NoOutcome");
}

#[test]
fn a_batch_has_what_is_ready_and_never_more_than_its_size() {
    let house = House::new();
    let calls = house.batches(tries(1), of_size(10, Duration::ZERO), complete_all);
    let ids = house.dispatch_numbers(95);
    let _worker = house.worker(40);
    for (number, id) in ids.into_iter().enumerate() {
        assert_eq!(text(&house.result(id).unwrap()), number.to_string());
    }
    let calls = calls.lock().unwrap().clone();
    assert!(calls.iter().all(|tasks| (1..=10).contains(&tasks.len())), "{calls:?}");
    assert_eq!(calls.iter().map(Vec::len).sum::<usize>(), 95);
    assert!(calls.len() <= 40, "many at once: {calls:?}");
    // A lone one waits for nobody.
    assert_eq!(text(&house.run("many", "[7]").unwrap()), "7");
}

#[test]
fn one_that_is_not_full_begins_when_its_first_task_has_waited() {
    let house = House::new();
    let calls = house.batches(tries(1), of_size(10, Duration::from_millis(300)), complete_all);
    let worker = house.worker(20);
    let first = house.dispatch("many", "[1]");
    until("it is gathered", || worker.status().running == 1);
    let second = house.dispatch("many", "[2]");
    assert_eq!((text(&house.result(first).unwrap()), text(&house.result(second).unwrap())), ("1", "2"));
    // On a machine that stands still for so long the second one may be too late.
    assert!(calls.lock().unwrap().len() <= 2, "{calls:?}");
}

#[test]
fn it_begins_when_no_slot_is_left() {
    let house = House::new();
    let calls = house.batches(tries(1), of_size(100, LONG), complete_all);
    let ids = house.dispatch_numbers(3);
    let _worker = house.worker(3);
    for id in ids {
        house.result(id).unwrap();
    }
    assert_eq!(calls.lock().unwrap()[0].len(), 3);
    let told = |(level, line): &(Level, LogRecord)| {
        *level == Level::Warn
            && line.message.contains("'many' takes up to 100 tasks at once, and this worker has 3 slots")
    };
    assert!(house.lines.lock().unwrap().iter().any(told));
}

#[test]
fn what_has_not_begun_goes_back_when_the_worker_stops() {
    let house = House::new();
    let calls = house.batches(tries(1), of_size(3, LONG), complete_all);
    let ids = house.dispatch_numbers(2);
    let worker = house.worker(5);
    until("both are gathered", || worker.status().running == 2);
    house.on(worker.stop(SOON)).unwrap();
    assert_eq!(worker.state(), WorkerState::Stopped);
    assert!(calls.lock().unwrap().is_empty());
    let _another = house.worker(2);
    for id in ids {
        house.result(id).unwrap();
    }
    assert_eq!(calls.lock().unwrap().iter().map(Vec::len).sum::<usize>(), 2);
}

#[test]
fn a_cancelled_one_does_not_come_to_the_handler() {
    let house = House::new();
    let calls = house.batches(tries(1), of_size(3, LONG), complete_all);
    let worker = house.worker(5);
    let (kept, cancelled) = (house.dispatch("many", "[1]"), house.dispatch("many", "[2]"));
    until("both are gathered", || worker.status().running == 2);
    house.on(house.executor.cancel(cancelled, None)).unwrap();
    assert_eq!(house.result(cancelled).unwrap_err().status(), Status::Cancelled);
    house.dispatch("many", "[3]");
    house.dispatch("many", "[4]");
    assert_eq!(text(&house.result(kept).unwrap()), "1");
    let mut first = calls.lock().unwrap()[0].clone();
    first.sort();
    assert_eq!(first, ["1", "3", "4"]);
}

#[test]
fn a_status_counts_for_those_that_have_no_outcome_yet() {
    let house = House::new();
    house.batches(tries(1), of_size(2, LONG), |tasks| {
        let done = tasks.iter().find(|task| argument(task) == "1").unwrap();
        done.complete(Payload::null()).unwrap();
        Status::Conflict
    });
    house.executor.register_batch("panics", tries(1), of_size(2, LONG), Arc::new(Panics)).unwrap();
    let (done, failed) = (house.dispatch("many", "[1]"), house.dispatch("many", "[2]"));
    let panics: Vec<Id> = (0..2).map(|_| house.dispatch("panics", "[]")).collect();
    let _worker = house.worker(9);
    house.result(done).unwrap();
    assert_eq!(house.result(failed).unwrap_err().failure().unwrap().kind, "CONFLICT");
    for id in panics {
        let failure = house.result(id).unwrap_err().failure().unwrap().clone();
        assert_eq!(failure.kind, "Panic");
        assert!(failure.message.contains("out of ink"), "{failure:?}");
    }
}

struct Panics;

impl BatchHandler for Panics {
    fn run(&self, _: &[Task]) -> Status {
        panic!("out of ink");
    }
}

#[test]
fn another_thread_may_end_them_and_one_that_is_forgotten_has_failed() {
    let house = House::new();
    let (kept, take): (Sender<Task>, Receiver<Task>) = channel();
    let kept = Mutex::new(kept);
    let worker = {
        house.batches(tries(1), of_size(2, LONG), move |tasks| {
            let later = tasks.iter().find(|task| argument(task) == "1").unwrap();
            kept.lock().unwrap().send(later.clone()).unwrap();
            Status::Pending
        });
        house.worker(2)
    };
    let (later, forgotten) = (house.dispatch("many", "[1]"), house.dispatch("many", "[2]"));
    assert_eq!(house.result(forgotten).unwrap_err().failure().unwrap().kind, "NoOutcome");
    let task = take.recv_timeout(SOON.unwrap()).unwrap();
    assert_eq!(worker.status().running, 1, "it has its slot until it has ended");
    task.complete("\"late\"".into()).unwrap();
    assert_eq!(text(&house.result(later).unwrap()), "\"late\"");
    until("its slot is free", || worker.status().running == 0);
}

/// The task is suspended, and is one of a later batch.
#[test]
fn one_of_a_batch_may_call_and_wait() {
    let house = House::new();
    house.echo("child");
    let calls = house.batches(tries(1), of_size(2, Duration::ZERO), |tasks| {
        for task in tasks {
            if let Ok(child) = task.call("child", task.args(), CallOptions::default()) {
                task.complete(child).unwrap();
            }
        }
        Status::Ok
    });
    let ids = house.dispatch_numbers(2);
    let _worker = house.worker(4);
    for (number, id) in ids.into_iter().enumerate() {
        assert_eq!(text(&house.result(id).unwrap()), format!("[{number}]"));
    }
    assert!(calls.lock().unwrap().iter().map(Vec::len).sum::<usize>() >= 2);
}

/// One long task of another function has one of the slots, and the thread that gathered.
#[test]
fn a_batch_begins_beside_a_handler_that_does_not_end() {
    let house = House::new();
    let (go, wait) = channel();
    let wait = Mutex::new(wait);
    house.function("long", move |task| {
        wait.lock().unwrap().recv().unwrap();
        task.complete(Payload::null())
    });
    house.batches(tries(1), of_size(10, Duration::ZERO), complete_all);
    let ids: Vec<Id> = (0..3).flat_map(|_| [house.dispatch("many", "[1]"), house.dispatch("long", "[]")]).collect();
    let _worker = house.worker(4);
    for id in ids.iter().step_by(2) {
        house.result(*id).unwrap();
    }
    (0..3).for_each(|_| go.send(()).unwrap());
    for id in ids {
        house.result(id).unwrap();
    }
}

/// Which has been full, and takes two of three slots: for the third task there is no slot left for another one to wait for.
#[test]
fn a_batch_begins_beside_another_one_that_does_not_end() {
    let house = House::new();
    let (go, wait) = channel();
    let wait = Mutex::new(wait);
    house.batches(tries(1), of_size(2, LONG), move |tasks| {
        if tasks.len() == 2 {
            wait.lock().unwrap().recv().unwrap();
        }
        complete_all(tasks)
    });
    let worker = house.worker(3);
    let held = house.dispatch_numbers(2);
    until("the first two are gathered", || worker.status().running == 2);
    assert_eq!(text(&house.run("many", "[7]").unwrap()), "7");
    go.send(()).unwrap();
    for id in held {
        house.result(id).unwrap();
    }
}

#[test]
fn options_that_make_no_sense_are_told() {
    let house = House::new();
    for (batch, told) in [
        (of_size(0, Duration::ZERO), "size is 0; it must be from 1 to 10000"),
        (of_size(10_001, Duration::ZERO), "size is 10001"),
        (of_size(1, Duration::from_secs(3601)), "wait is 3601 s; it must be at most an hour"),
    ] {
        let refused = house.executor.register_batch("many", tries(1), batch, Arc::new(Panics)).unwrap_err();
        assert!(refused.status() == Status::Invalid && refused.message().contains(told), "{refused}");
    }
}
