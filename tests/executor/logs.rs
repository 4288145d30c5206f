//! Each line of the log that is about a task says about which, and a replay says nothing twice.

use std::sync::{Arc, Mutex};

use stent::backend::{Request, Response};
use stent::codec::CanonicalJson;
use stent::executor::{Executor, LogRecord, Logger, Task, WorkerState};
use stent::model::{
    CallOptions, DispatchOptions, Failure, FunctionOptions, Id, Level, Result, RetryPolicy, Status, TaskState,
    WorkerOptions, child_id,
};

use crate::house::{Count, House, SOON, until};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<LogRecord>>>);

impl Logger for Lines {
    fn log(&self, _level: Level, record: &LogRecord) {
        self.0.lock().unwrap().push(record.clone());
    }
}

fn field(record: &LogRecord, name: &str) -> Option<String> {
    let mut found = record.fields.iter().filter(|(field, _)| *field == name);
    let value = found.next().map(|(_, value)| value.clone());
    assert!(found.next().is_none(), "{name} is there twice: {record:?}");
    value
}

impl Lines {
    /// Those that begin so.
    fn of(&self, message: &str) -> Vec<LogRecord> {
        self.0.lock().unwrap().iter().filter(|record| record.message.starts_with(message)).cloned().collect()
    }

    /// The one line that begins so, about this execution's root task.
    fn one(&self, message: &str, execution: Id, function: &str, attempt: &str) {
        until("it is told", || !self.of(message).is_empty());
        let found = self.of(message);
        assert_eq!(found.len(), 1, "{found:?}");
        let task = child_id(execution, 0, "root").to_string();
        let wanted = [
            ("execution", execution.to_string()),
            ("task", task),
            ("function", function.to_owned()),
            ("worker", "w1".to_owned()),
            ("attempt", attempt.to_owned()),
        ];
        for (name, value) in wanted {
            assert_eq!(field(&found[0], name), Some(value), "{name} of {:?}", found[0]);
        }
    }
}

struct Logged {
    house: House,
    executor: Executor,
    lines: Lines,
}

impl Logged {
    fn new() -> Self {
        let house = House::new();
        let lines = Lines::default();
        let runtime = house.on(async { tokio::runtime::Handle::current() });
        let logger = Arc::new(lines.clone());
        let executor = Executor::new(Arc::clone(&house.backend), Arc::new(CanonicalJson), runtime, logger);
        Self { house, executor, lines }
    }

    fn function(&self, name: &str, body: impl Fn(&Task) -> Result<()> + Send + Sync + 'static) {
        let policy = RetryPolicy { max_attempts: 2, initial_delay: 0.0, ..RetryPolicy::default() };
        let options = FunctionOptions { retry_policy: Some(policy), ..FunctionOptions::default() };
        let handler = move |task: &Task| body(task).map_or_else(|error| error.status(), |()| Status::Ok);
        self.executor.register(name, options, Some(Arc::new(handler))).unwrap();
    }

    fn worker(&self) -> stent::executor::Worker {
        let options = WorkerOptions { worker_id: Some("w1".to_owned()), ..WorkerOptions::default() };
        let worker = self.executor.start_worker(options, None).unwrap();
        self.house.on(worker.wait_state(WorkerState::Ready, SOON)).unwrap();
        worker
    }

    fn dispatch(&self, function: &str) -> Id {
        self.house.on(self.executor.dispatch(function, "[]".into(), DispatchOptions::default())).unwrap()
    }

    fn ended(&self, id: Id) {
        self.house.on(self.executor.wait(id, SOON)).unwrap();
    }
}

#[test]
fn what_a_handler_says_is_said_once_with_its_task() {
    let logged = Logged::new();
    let runs = Count::default();
    let run = runs.clone();
    logged.function("child", |task| task.complete("1".into()));
    logged.function("chatty", move |task| {
        run.up();
        task.log(Level::Info, "before the call");
        task.call("child", "[]".into(), CallOptions::default())?;
        task.log(Level::Info, "after the call");
        task.complete("1".into())
    });
    let _worker = logged.worker();
    let id = logged.dispatch("chatty");
    logged.ended(id);
    assert_eq!(runs.get(), 2);
    for message in ["before the call", "after the call"] {
        logged.lines.one(message, id, "chatty", "1");
    }
}

#[test]
fn the_dead_letter_and_what_is_parked_are_told_with_their_task() {
    let logged = Logged::new();
    let runs = Count::default();
    let run = runs.clone();
    logged.function("fails", |task| task.fail(Failure::new("Bad", "no")));
    logged.function("child", |task| task.complete("1".into()));
    logged.function("changes", move |task| {
        let function = if run.up() == 1 { "child" } else { "fails" };
        let result = task.call(function, "[]".into(), CallOptions::default())?;
        task.complete(result)
    });
    let _worker = logged.worker();
    let failed = logged.dispatch("fails");
    logged.ended(failed);
    logged.lines.one("the task is dead-lettered", failed, "fails", "2");
    let parked = logged.dispatch("changes");
    logged.lines.one("the task is parked", parked, "changes", "1");
}

#[test]
fn a_lost_lease_is_told_with_its_task() {
    let logged = Logged::new();
    let (begun, go) = (Count::default(), Count::default());
    let (begins, gate) = (begun.clone(), go.clone());
    logged.function("victim", move |task| {
        begins.up();
        while gate.get() == 0 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        task.complete("1".into())
    });
    let _worker = logged.worker();
    let id = logged.dispatch("victim");
    until("it runs", || begun.get() == 1);
    let request = Request::GetTask { task_id: child_id(id, 0, "root") };
    let Response::Task(Some(mut task)) = logged.house.on(logged.house.backend.call(request)).unwrap() else {
        panic!("no task")
    };
    task.state = TaskState::Completed;
    task.result = Some("\"by hand\"".into());
    logged.house.on(logged.house.backend.call(Request::UpdateTask { task: *task })).unwrap();
    go.up();
    logged.lines.one("a lease was lost", id, "victim", "1");
}
