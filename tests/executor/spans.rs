//! What a tracer is told where things end otherwise than by a handler's word.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stent::backend::{Request, Response};
use stent::codec::CanonicalJson;
use stent::executor::{Executor, Silent, Span, SpanTrouble, SpanValue, Task, Tracer, Worker, WorkerState};
use stent::model::{
    DispatchOptions, ExecutionState, FunctionOptions, Id, Result, RetryPolicy, Status, TaskState, WaitSignalOptions,
    WorkerOptions, child_id,
};

use crate::house::{Count, House, SOON, until};

#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>);

impl Tracer for Spans {
    fn finish(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

impl Spans {
    /// Name and outcome of each, in their order.
    fn told(&self) -> Vec<(String, String)> {
        let outcome = |span: &Span| {
            let found = span.attributes.iter().find(|(name, _)| *name == "stent.outcome");
            match found {
                Some((_, SpanValue::Text(text))) => text.clone(),
                other => panic!("{other:?}"),
            }
        };
        self.0.lock().unwrap().iter().map(|span| (span.name.clone(), outcome(span))).collect()
    }

    fn wait_for(&self, wanted: &[(&str, &str)]) {
        let wanted: Vec<_> = wanted.iter().map(|(name, outcome)| ((*name).to_owned(), (*outcome).to_owned())).collect();
        until("these are told", || self.told().len() >= wanted.len());
        assert_eq!(self.told(), wanted);
    }
}

struct Traced {
    house: House,
    executor: Executor,
    spans: Spans,
}

impl Traced {
    fn new() -> Self {
        let house = House::new();
        let spans = Spans::default();
        let runtime = house.on(async { tokio::runtime::Handle::current() });
        let (backend, tracer) = (Arc::clone(&house.backend), Arc::new(spans.clone()));
        let executor = Executor::traced(backend, Arc::new(CanonicalJson), runtime, Arc::new(Silent), Some(tracer));
        Self { house, executor, spans }
    }

    fn function(
        &self,
        name: &str,
        options: FunctionOptions,
        body: impl Fn(&Task) -> Result<()> + Send + Sync + 'static,
    ) -> Worker {
        let policy = RetryPolicy { max_attempts: 1, ..RetryPolicy::default() };
        let options = FunctionOptions { retry_policy: Some(policy), ..options };
        let handler = move |task: &Task| body(task).map_or_else(|error| error.status(), |()| Status::Ok);
        self.executor.register(name, options, Some(Arc::new(handler))).unwrap();
        let worker = self.executor.start_worker(WorkerOptions::default(), None).unwrap();
        self.house.on(worker.wait_state(WorkerState::Ready, SOON)).unwrap();
        worker
    }

    fn dispatch(&self, function: &str) -> Id {
        self.house.on(self.executor.dispatch(function, "[]".into(), DispatchOptions::default())).unwrap()
    }

    fn ended(&self, id: Id) -> ExecutionState {
        self.house.on(self.executor.wait(id, SOON)).unwrap().execution.state
    }
}

/// Runs until it is cancelled, or loses its lease.
fn busy(begun: &Count) -> impl Fn(&Task) -> Result<()> + Send + Sync + use<> {
    let begun = begun.clone();
    move |task: &Task| {
        begun.up();
        while !task.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        task.complete("1".into())
    }
}

#[test]
fn what_is_cancelled_while_it_runs_is_told_so() {
    let traced = Traced::new();
    let begun = Count::default();
    let _worker = traced.function("busy", FunctionOptions::default(), busy(&begun));
    let id = traced.dispatch("busy");
    until("it runs", || begun.get() == 1);
    traced.house.on(traced.executor.cancel(id, None)).unwrap();
    assert_eq!(traced.ended(id), ExecutionState::Cancelled);
    traced.spans.wait_for(&[("run busy", "cancelled"), ("execution busy", "cancelled")]);
}

#[test]
fn an_attempt_that_times_out_is_told_once() {
    let traced = Traced::new();
    let options = FunctionOptions { timeout: Some(Duration::from_millis(50)), ..FunctionOptions::default() };
    let worker = traced.function("slow", options, busy(&Count::default()));
    let id = traced.dispatch("slow");
    assert_eq!(traced.ended(id), ExecutionState::Failed);
    until("the handler has returned", || worker.status().running == 0);
    traced.spans.wait_for(&[("run slow", "dead_lettered"), ("execution slow", "dead_lettered")]);
    let spans = traced.spans.0.lock().unwrap();
    assert!(matches!(&spans[0].trouble, Some(SpanTrouble::Failed(failure)) if failure.kind == "Timeout"), "{spans:?}");
}

#[test]
fn a_lease_that_is_lost_ends_a_run_and_no_task() {
    let traced = Traced::new();
    let begun = Count::default();
    let worker = traced.function("victim", FunctionOptions::default(), busy(&begun));
    let id = traced.dispatch("victim");
    until("it runs", || begun.get() == 1);
    let request = Request::GetTask { task_id: child_id(id, 0, "root") };
    let Response::Task(Some(mut task)) = traced.house.on(traced.house.backend.call(request)).unwrap() else {
        panic!("no task")
    };
    task.state = TaskState::Completed;
    task.result = Some("\"by hand\"".into());
    traced.house.on(traced.house.backend.call(Request::UpdateTask { task: *task })).unwrap();
    until("the handler has returned", || worker.status().running == 0);
    traced.spans.wait_for(&[("run victim", "lease_lost")]);
}

#[test]
fn a_cleanup_does_not_make_a_cancelled_execution_complete() {
    let traced = Traced::new();
    let options = FunctionOptions { cleanup: Some(Duration::from_secs(30)), ..FunctionOptions::default() };
    let begun = Count::default();
    let begins = begun.clone();
    let _worker = traced.function("tidy", options, move |task| {
        begins.up();
        let told = task.wait_signal("never", WaitSignalOptions::default());
        if let Err(error) = told
            && error.status() != Status::Cancelled
        {
            return Err(error);
        }
        task.complete("1".into())
    });
    let id = traced.dispatch("tidy");
    until("it waits", || {
        begun.get() == 1 && traced.house.on(traced.executor.stats()).unwrap().metrics.counters.suspended == 1
    });
    traced.house.on(traced.executor.cancel(id, None)).unwrap();
    assert_eq!(traced.ended(id), ExecutionState::Cancelled);
    until("the execution is told", || traced.spans.told().iter().any(|(name, _)| name == "execution tidy"));
    let told = traced.spans.told();
    let of = |wanted: &str| {
        told.iter().filter(|(name, _)| name == wanted).map(|(_, outcome)| outcome.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of("execution tidy"), ["cancelled"], "{told:?}");
    assert_eq!(of("run tidy"), ["suspended", "completed"], "{told:?}");
}

#[test]
fn what_starts_over_is_one_execution_with_the_waits_of_each_round() {
    let traced = Traced::new();
    let _worker = traced.function("rounds", FunctionOptions::default(), |task| {
        task.sleep(Duration::from_millis(20), Some("nap"))?;
        match task.args().as_bytes() {
            b"[]" => task.continue_with("[1]".into()),
            _ => task.complete("1".into()),
        }
    });
    let id = traced.dispatch("rounds");
    assert_eq!(traced.ended(id), ExecutionState::Completed);
    until("all is told", || traced.spans.told().len() >= 7);
    let told = traced.spans.told();
    let count = |name: &str| told.iter().filter(|(told, _)| told == name).count();
    assert_eq!((count("execution rounds"), count("wait sleep"), count("run rounds")), (1, 2, 4), "{told:?}");
    let spans = traced.spans.0.lock().unwrap();
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.id).collect();
    assert_eq!(ids.len(), spans.len(), "{spans:?}");
    let waits: Vec<_> = spans.iter().filter(|span| span.name == "wait sleep").collect();
    assert!(waits.iter().all(|wait| wait.end.since(wait.start) >= Duration::from_millis(20)), "{waits:?}");
}
