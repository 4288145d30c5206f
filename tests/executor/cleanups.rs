//! Executions that clean up after they were cancelled or timed out.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stent::backend::{
    Claim, Claimed, Commands, DeadLetterFilter, ExecutionFilter, Function, Held, NewExecution, NewSignal, NewWorker,
    Outcome, Request, Response, Snapshot, Transition, Verdict,
};
use stent::executor::Task;
use stent::model::{
    CallOptions, DispatchOptions, Execution, ExecutionState, Failure, FunctionOptions, Id, Result, Status, TaskKind,
    TaskState, WaitMode, WaitSignalOptions, WorkerOptions,
};

use crate::house::{Count, House, SOON, text, tries, until};

/// More than any test takes.
pub const LONG: Duration = Duration::from_secs(600);

pub fn cleans(time: Duration) -> FunctionOptions {
    FunctionOptions { cleanup: Some(time), ..tries(3) }
}

/// What handlers note, in order.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn has(&self, note: &str) -> bool {
        self.all().iter().any(|noted| noted == note)
    }
}

impl House {
    pub fn state(&self, id: Id) -> Snapshot {
        self.on(self.executor.state(id)).unwrap()
    }

    pub fn execution(&self, id: Id) -> Execution {
        self.state(id).execution
    }

    pub fn cancel(&self, id: Id) {
        self.on(self.executor.cancel(id, Some("no stock".to_owned()))).unwrap();
    }

    pub fn tasks(&self, id: Id) -> Vec<stent::model::Task> {
        match self.on(self.backend.call(Request::ListTasksForExecution { execution_id: id })).unwrap() {
            Response::Tasks(tasks) => tasks,
            other => panic!("{other:?}"),
        }
    }

    pub fn until_waits(&self, id: Id) {
        // In a store that has the protocol alone, what waits is pending with a note.
        let waits =
            |task: &stent::model::Task| task.result.as_ref().is_some_and(|kept| text(kept).contains("\"wait\":{"));
        let is_run = |task: &stent::model::Task| matches!(task.kind, TaskKind::Orchestrator | TaskKind::Activity);
        let goes_on = |task: &stent::model::Task| match task.state {
            TaskState::Running => true,
            TaskState::Pending => is_run(task) && !waits(task),
            _ => false,
        };
        until("it waits", || !self.tasks(id).iter().any(goes_on));
    }

    pub fn until_ended(&self, id: Id) -> Execution {
        let _cancelled = self.result(id);
        self.execution(id)
    }
}

pub fn noted(notes: &Notes, note: &'static str) -> impl Fn(&Task) -> Result<()> + Send + Sync + use<> {
    let notes = notes.clone();
    move |task| {
        notes.add(note);
        task.complete(format!("\"{note}\"").as_str().into())
    }
}

/// Charges, waits for what never comes, and refunds when that is cancelled.
fn orders(house: &House, notes: &Notes, options: FunctionOptions) {
    house.function("charge", noted(notes, "charge"));
    house.function("refund", noted(notes, "refund"));
    let log = notes.clone();
    house.function_with("order", options, move |task| {
        task.call("charge", "[]".into(), CallOptions::default())?;
        match task.wait_signal("never", WaitSignalOptions::default()) {
            Err(error) if error.status() == Status::Cancelled => {
                log.add(format!("told, cleanup {}, cancelled {}", task.info().cleanup, task.is_cancelled()));
                task.call("refund", "[7]".into(), CallOptions::default())?;
                log.add("refunded");
                Err(error)
            }
            waited => task.complete(waited?),
        }
    });
}

const TOLD: &str = "told, cleanup true, cancelled false";

#[test]
fn one_that_waits_only_as_rows_is_told_and_its_durable_operations_are_done() {
    let house = House::new();
    let notes = Notes::default();
    orders(&house, &notes, cleans(LONG));
    let worker = house.worker(4);
    let id = house.dispatch("order", "[]");
    house.until_waits(id);
    house.on(worker.stop(SOON)).unwrap();
    house.cancel(id);
    assert_eq!(house.execution(id).state, ExecutionState::Cancelling);
    let _worker = house.worker(4);
    let ended = house.until_ended(id);
    assert_eq!(ended.state, ExecutionState::Cancelled);
    assert_eq!(house.state(id).cancel_reason.as_deref(), Some("no stock"));
    assert_eq!(notes.all().iter().filter(|note| *note == "charge").count(), 1, "{:?}", notes.all());
    assert_eq!(notes.all().iter().filter(|note| *note == "refund").count(), 1, "{:?}", notes.all());
    assert!(notes.has(TOLD) && notes.has("refunded"));
}

#[test]
fn one_that_runs_or_holds_in_a_process_cleans_up_likewise() {
    let house = House::new();
    let notes = Notes::default();
    orders(&house, &notes, cleans(LONG));
    let _worker = house.worker_with(WorkerOptions { hold: LONG, max_concurrency: 4, ..WorkerOptions::default() });
    let id = house.dispatch("order", "[]");
    until("it holds", || house.tasks(id).iter().any(|task| task.kind == TaskKind::Signal));
    house.cancel(id);
    assert_eq!(house.until_ended(id).state, ExecutionState::Cancelled);
    assert_eq!(notes.all(), ["charge", TOLD, "refund", "refunded"]);
}

#[test]
fn who_does_not_ask_for_it_ends_at_once_as_ever() {
    let house = House::new();
    let notes = Notes::default();
    orders(&house, &notes, tries(3));
    let _worker = house.worker(4);
    let id = house.dispatch("order", "[]");
    house.until_waits(id);
    house.cancel(id);
    assert_eq!(house.until_ended(id).state, ExecutionState::Cancelled);
    assert_eq!(notes.all(), ["charge"]);
}

#[test]
fn one_that_has_not_begun_never_does() {
    let house = House::new();
    let notes = Notes::default();
    orders(&house, &notes, cleans(LONG));
    let options = DispatchOptions { delay: Some(LONG), ..DispatchOptions::default() };
    let _worker = house.worker(4);
    let id = house.on(house.executor.dispatch("order", "[]".into(), options)).unwrap();
    house.cancel(id);
    assert_eq!(house.until_ended(id).state, ExecutionState::Cancelled);
    assert!(notes.all().is_empty());
}

#[test]
fn what_is_not_a_wait_is_told_by_the_first_new_operation() {
    let house = House::new();
    let (notes, (began, begun), (go, gate)) = (Notes::default(), channel(), channel::<()>());
    let gate = Mutex::new(gate);
    house.function("charge", noted(&notes, "charge"));
    house.function("refund", noted(&notes, "refund"));
    let log = notes.clone();
    house.function_with("order", cleans(LONG), move |task| {
        // No operation, and then one; neither is recorded when the cancel comes.
        if !task.info().cleanup {
            began.send(()).unwrap();
            gate.lock().unwrap().recv().unwrap();
        }
        let told = task.call("charge", "[]".into(), CallOptions::default()).unwrap_err();
        if told.status() == Status::Cancelled {
            log.add("told");
            task.call("refund", "[]".into(), CallOptions::default())?;
        }
        Err(told)
    });
    let _worker = house.worker(4);
    let id = house.dispatch("order", "[]");
    begun.recv().unwrap();
    house.cancel(id);
    assert_eq!(house.execution(id).state, ExecutionState::Cancelling);
    go.send(()).unwrap();
    assert_eq!(house.until_ended(id).state, ExecutionState::Cancelled);
    assert_eq!(notes.all(), ["told", "refund", "told"]);
}

#[test]
fn all_that_it_had_issued_is_over_and_what_was_called_never_begins() {
    let house = House::new();
    let notes = Notes::default();
    let slow = notes.clone();
    house.function("slow", move |task| {
        slow.add("slow");
        task.wait_signal("never", WaitSignalOptions::default()).and_then(|got| task.complete(got))
    });
    house.function("refund", noted(&notes, "refund"));
    let log = notes.clone();
    house.function_with("order", cleans(LONG), move |task| {
        let mut ops = Vec::new();
        for _ in 0..3 {
            ops.push(task.spawn_call("slow", "[]".into(), CallOptions::default())?);
        }
        ops.push(task.spawn_sleep(LONG, None)?);
        task.await_ops(&ops, WaitMode::All, None)?;
        for op in ops {
            log.add(format!("{op} {:?}", task.result(op).map_err(|error| error.status()).unwrap_err()));
        }
        task.call("refund", "[]".into(), CallOptions::default())?;
        task.complete("\"clean\"".into())
    });
    let _worker = house.worker(4);
    let id = house.dispatch("order", "[]");
    until("they run", || notes.all().len() == 3);
    house.until_waits(id);
    house.cancel(id);
    let ended = house.until_ended(id);
    assert_eq!(ended.state, ExecutionState::Cancelled);
    assert_eq!(ended.result.as_ref().map(text), Some("\"clean\""), "with what it said");
    let log: Vec<String> = notes.all().into_iter().skip(3).collect();
    let told = ["1 Cancelled", "2 Cancelled", "3 Cancelled", "4 Cancelled"];
    assert_eq!(log, [&told[..], &["refund"], &told[..]].concat());
}

#[test]
fn a_cleanup_fails_is_tried_again_and_leaves_a_letter() {
    let house = House::new();
    let runs = Count::default();
    let counted = runs.clone();
    house.function_with("refund", tries(2), move |task| {
        counted.up();
        task.fail(Failure::new("Bank", "closed"))
    });
    house.function_with("order", cleans(LONG), move |task| {
        match task.wait_signal("never", WaitSignalOptions::default()) {
            Err(error) if error.status() == Status::Cancelled => {
                task.call("refund", "[]".into(), CallOptions::default()).map(drop)
            }
            waited => task.complete(waited?),
        }
    });
    let _worker = house.worker(4);
    let id = house.dispatch("order", "[]");
    house.until_waits(id);
    house.cancel(id);
    let ended = house.until_ended(id);
    assert_eq!((ended.state, runs.get()), (ExecutionState::Cancelled, 2));
    assert_eq!(ended.error.map(|error| error.kind).as_deref(), Some("Bank"));
    let letters = house.on(house.executor.dead_letters(DeadLetterFilter { limit: 9, ..Default::default() })).unwrap();
    assert_eq!(letters.iter().map(|letter| letter.task.step_name.as_str()).collect::<Vec<_>>(), ["refund"]);
}

#[test]
fn its_time_is_bounded_and_another_cancel_changes_nothing() {
    let house = House::new();
    let notes = Notes::default();
    let log = notes.clone();
    house.function_with("order", cleans(Duration::from_secs(5)), move |task| {
        let told = task.wait_signal("never", WaitSignalOptions::default()).map(drop);
        if told.as_ref().is_err_and(|error| error.status() == Status::Cancelled) {
            log.add("told");
            task.wait_signal("nor this", WaitSignalOptions::default())?;
        }
        told
    });
    let compensations = notes.clone();
    house.function("after", move |task| {
        compensations.add("after");
        task.complete("1".into())
    });
    let _worker = house.worker(4);
    let options = DispatchOptions { on_cancel: Some("after".into()), ..DispatchOptions::default() };
    let id = house.on(house.executor.dispatch("order", "[]".into(), options)).unwrap();
    house.until_waits(id);
    house.cancel(id);
    until("it was told", || notes.has("told"));
    house.cancel(id);
    let now = house.execution(id);
    assert_eq!((now.state, notes.has("after")), (ExecutionState::Cancelling, false));
    let all = [ExecutionState::Running, ExecutionState::Cancelling].map(|state| {
        let filter = ExecutionFilter { state: Some(state), limit: 9, ..Default::default() };
        house.on(house.executor.list(filter)).unwrap().len()
    });
    assert_eq!(all, [0, 1], "it is told as cancelling by lists too");
    assert_eq!(house.until_ended(id).state, ExecutionState::Cancelled);
    until("the compensation runs, after the cleanup", || notes.has("after"));
}

#[test]
fn one_that_timed_out_cleans_up_too() {
    let house = House::new();
    let notes = Notes::default();
    orders(&house, &notes, cleans(LONG));
    let _worker = house.worker(4);
    let mut expiry = Duration::from_millis(400);
    // What has charged nothing in its time has nothing to clean up.
    while !notes.has("refunded") && expiry < LONG {
        let options = DispatchOptions { expiry: Some(expiry), ..DispatchOptions::default() };
        let id = house.on(house.executor.dispatch("order", "[]".into(), options)).unwrap();
        assert_eq!(house.until_ended(id).state, ExecutionState::TimedOut);
        expiry *= 2;
    }
    assert!(notes.has("refunded"), "{:?}", notes.all());
}

#[test]
fn a_cleanup_goes_on_where_it_was_after_its_worker_stopped() {
    let house = House::new();
    let notes = Notes::default();
    let log = notes.clone();
    house.function("refund", noted(&notes, "refund"));
    house.function_with("order", cleans(LONG), move |task| {
        let told = task.sleep(LONG, None);
        if told.as_ref().is_err_and(|error| error.status() == Status::Cancelled) {
            task.call("refund", "[]".into(), CallOptions::default())?;
            task.wait_signal("go", WaitSignalOptions::default())?;
            task.call("refund", "[]".into(), CallOptions::default())?;
            log.add("clean");
        }
        told
    });
    let first = house.worker(4);
    let id = house.dispatch("order", "[]");
    house.until_waits(id);
    house.cancel(id);
    until("half of it is done", || notes.has("refund"));
    house.on(first.stop(SOON)).unwrap();
    let _second = house.worker(4);
    let signal = NewSignal { execution: id, name: "go".into(), payload: "1".into(), id: None };
    house.on(house.executor.signal(signal)).unwrap();
    assert_eq!(house.until_ended(id).state, ExecutionState::Cancelled);
    assert_eq!(notes.all(), ["refund", "refund", "clean"]);
}

/// The worker that ran it died before it heard of the cancel.
#[test]
fn what_a_dead_worker_held_cleans_up_at_another() {
    let house = House::new();
    let id = Id::now_v7();
    let register = || {
        let functions = vec![Function { name: "order".into(), options: cleans(LONG) }];
        let worker = NewWorker {
            worker_id: "w".into(),
            queues: Vec::new(),
            tags: Vec::new(),
            functions,
            queue_rates: [].into(),
        };
        house.on(house.backend.register_worker(worker)).unwrap();
    };
    let claim = |lease| Claim { worker_id: "w".into(), count: 1, limited: 0, begin: 1, slots: 1, lease };
    let take = |lease| house.on(house.backend.advance(Vec::new(), Some(claim(lease)))).unwrap().1.pop();
    register();
    let (args, options) = ("[]".into(), DispatchOptions::default());
    let new = NewExecution { id, function: "order".into(), args, options, args_hash: [0; 32], registered: None };
    house.on(house.backend.dispatch(vec![new])).unwrap();
    let first = take(Duration::from_millis(50)).unwrap();
    assert_eq!(first.cleanup, None);
    house.cancel(id);
    until("its lease is over, and the cleanup has begun", || {
        house.on(house.backend.sweep("w")).unwrap();
        house.tasks(id)[0].state == TaskState::Pending
    });
    assert_eq!(house.execution(id).state, ExecutionState::Cancelling);
    // The dead worker is forgotten, and comes back.
    register();
    let second = take(LONG).unwrap();
    assert_eq!((second.task.id, second.cleanup), (first.task.id, Some(0)));
    let end = |claimed: &Claimed| Transition {
        held: Held { task: claimed.task.id, execution: id, parent: None, fence: claimed.task.fence },
        commands: Commands::default(),
        outcome: Outcome::Complete { result: "1".into(), cache: None, cache_hit: false },
    };
    let verdicts = house.on(house.backend.advance(vec![end(&first), end(&second), end(&second)], None)).unwrap().0;
    assert_eq!(verdicts[0], Verdict::LeaseLost);
    for recorded in &verdicts[1..] {
        assert!(matches!(recorded, Verdict::Recorded { .. }), "the same end again is success: {recorded:?}");
    }
    let ended = house.execution(id);
    assert_eq!((ended.state, ended.result.as_ref().map(text)), (ExecutionState::Cancelled, Some("1")));
    assert_eq!(house.tasks(id)[0].state, TaskState::Cancelled);
}
