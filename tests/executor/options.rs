//! Options of functions hold from their registration on.

use stent::backend::{Request, Response};
use stent::model::{
    CallOptions, DispatchOptions, DispatchRequest, ExecutionState, FunctionOptions, Id, Task, WorkerOptions,
};

use crate::house::{House, SOON, text};

fn in_queue(queue: &str) -> FunctionOptions {
    FunctionOptions { queue: Some(queue.into()), priority: Some(7), idempotent: true, ..FunctionOptions::default() }
}

fn tasks(house: &House, execution: Id) -> Vec<Task> {
    match house.on(house.backend.call(Request::ListTasksForExecution { execution_id: execution })).unwrap() {
        Response::Tasks(tasks) => tasks,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dispatch_before_any_worker_s_start_takes_them_from_its_own_executor() {
    let house = House::new();
    house.echo("plain");
    house.function_with("heavy", in_queue("gpu"), |task| task.complete(task.args()));
    let heavy = house.dispatch("heavy", "[1]");
    let request = |args: &str| DispatchRequest {
        function: "heavy".into(),
        args: args.into(),
        options: DispatchOptions::default(),
    };
    // The same arguments: the same execution.
    let many = house.on(house.executor.dispatch_many(vec![request("[1]"), request("[2]")])).unwrap();
    assert_eq!(many[0], heavy);
    assert_ne!(many[1], heavy);
    let used = house.on(house.executor.state(heavy)).unwrap().execution;
    assert_eq!((used.queue.as_deref(), used.priority), (Some("gpu"), 7), "it says what it used");
    let on = |queue: &str| WorkerOptions { queues: vec![queue.into()], ..WorkerOptions::default() };
    let _cpu = house.worker_with(on("cpu"));
    assert_eq!(text(&house.run("plain", "[3]").unwrap()), "[3]");
    assert_eq!(house.on(house.executor.state(heavy)).unwrap().execution.state, ExecutionState::Pending);
    let _gpu = house.worker_with(on("gpu"));
    assert_eq!(text(&house.result(heavy).unwrap()), "[1]");
}

/// A function of a poller's host, whose worker has not been started.
#[test]
fn a_call_takes_them_from_its_own_executor() {
    let house = House::new();
    house.executor.register("hosted", in_queue("gpu"), None).unwrap();
    house.function("parent", |task| {
        task.spawn_call("hosted", "[1]".into(), CallOptions::default())?;
        task.sleep(std::time::Duration::from_millis(1), None)?;
        task.complete("1".into())
    });
    let _worker = house.worker(1);
    let parent = house.dispatch("parent", "[]");
    house.on(house.executor.wait(parent, SOON)).unwrap();
    let tasks = tasks(&house, parent);
    let hosted = tasks.iter().find(|task| task.step_name == "hosted").unwrap();
    assert_eq!((hosted.queue.as_deref(), hosted.priority), (Some("gpu"), 7));
    assert!(hosted.idempotency_key.as_ref().is_some_and(|key| key.starts_with("args:")), "{hosted:#?}");
}
