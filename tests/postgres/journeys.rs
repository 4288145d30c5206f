//! How often the server is asked.

use stent::backend::{Request, Response};
use stent::model::{DispatchOptions, Id, Status};

use crate::house::{House, SOON, until};
use crate::postgres::{fresh_url, shared};
use crate::proxy::Proxy;

fn count(house: &House) -> u64 {
    match house.on(house.backend.call(Request::CountExecutions { state: None })).unwrap() {
        Response::Count(count) => count,
        other => panic!("{other:?}"),
    }
}

/// Nobody works, so that nobody else asks.
fn house(proxy: &Proxy) -> House {
    let house = House::at(&proxy.url(&fresh_url("&notify=off")));
    house.echo("echo");
    // Its route is made, the catalog read, and the statement prepared.
    house.dispatch("echo", "[]");
    house.dispatch("echo", "[]");
    proxy.until_quiet();
    house
}

#[test]
fn a_dispatch_is_one_journey() {
    let proxy = Proxy::new(&shared().url);
    let house = house(&proxy);
    let asked = |dispatch: &dyn Fn() -> Id| {
        let before = proxy.asked();
        dispatch();
        proxy.asked() - before
    };
    assert_eq!(asked(&|| house.dispatch("echo", "[1]")), 1);
    let tagged = DispatchOptions { on_cancel: Some("echo".to_owned()), ..DispatchOptions::default() };
    assert_eq!(asked(&|| house.on(house.executor.dispatch("echo", "[1]".into(), tagged.clone())).unwrap()), 1);
    // What has to be looked up first takes more.
    let keyed = DispatchOptions { idempotency_key: Some("k".to_owned()), ..DispatchOptions::default() };
    assert!(asked(&|| house.on(house.executor.dispatch("echo", "[1]".into(), keyed.clone())).unwrap()) > 1);
    assert_eq!(count(&house), 5);
    let _worker = house.worker(4);
    assert_eq!(house.run("echo", "[7]").unwrap(), "[7]".into());
}

/// It counts what others have said of the function since.
#[test]
fn a_dispatch_in_one_journey_knows_the_newest_options() {
    let url = fresh_url("");
    let (one, two) = (House::at(&url), House::at(&url));
    one.dispatch("late", "[]");
    one.dispatch("late", "[]");
    let options = stent::model::FunctionOptions { queue: Some("other".to_owned()), ..Default::default() };
    two.function_with("late", options, |task| task.complete(task.args()));
    let worker = stent::model::WorkerOptions { queues: vec!["other".to_owned()], ..Default::default() };
    let _worker = two.worker_with(worker);
    let id = one.dispatch("late", "[3]");
    let execution = one.on(one.executor.wait(id, SOON)).unwrap().execution;
    assert_eq!(execution.queue.as_deref(), Some("other"));
}

#[test]
fn a_dispatch_in_one_journey_whose_answer_is_lost_is_there_once() {
    let proxy = Proxy::new(&shared().url);
    let house = house(&proxy);
    for _ in 0..3 {
        let (before, lost) = (count(&house), proxy.lost());
        proxy.until_quiet();
        proxy.lose_executed(1);
        let id = house.dispatch("echo", "[1]");
        assert_eq!((count(&house), proxy.lost()), (before + 1, lost + 1));
        let again = DispatchOptions { id: Some(id), ..DispatchOptions::default() };
        let why = house.on(house.executor.dispatch("echo", "[1]".into(), again)).unwrap_err();
        assert_eq!(why.status(), Status::Conflict);
        // The statement is prepared again, on the new connection.
        house.dispatch("echo", "[]");
        house.dispatch("echo", "[]");
    }
}

/// However many functions there are that nobody has registered.
#[test]
fn what_nobody_can_run_is_asked_for_at_once() {
    let proxy = Proxy::new(&shared().url);
    let house = house(&proxy);
    let asked = || {
        house.on(house.backend.unserved()).unwrap();
        proxy.until_quiet();
        let before = proxy.asked();
        let unserved = house.on(house.backend.unserved()).unwrap();
        (proxy.asked() - before, unserved.functions)
    };
    house.dispatch("b", "[]");
    let (few, functions) = asked();
    assert_eq!(functions, ["b", "echo"]);
    for function in ["a", "c", "d", "e", "f", "g"] {
        house.dispatch(function, "[]");
    }
    let (many, functions) = asked();
    assert_eq!(functions, ["a", "b", "c", "d", "e", "echo", "f", "g"]);
    assert_eq!(many, few);
}

/// An export is still to be committed when its execution is dispatched again by its id: what the dispatch sees of the store
/// is what was there before.
#[test]
fn what_is_leaving_is_not_begun_again_by_its_id() {
    let proxy = Proxy::new(&shared().url);
    let url = fresh_url("");
    let (here, beside) = (House::at(&proxy.url(&url)), House::at(&url));
    beside.echo("echo");
    beside.dispatch("echo", "[]");
    // In one journey, and in several.
    let later = DispatchOptions { delay: Some(SOON.unwrap()), ..DispatchOptions::default() };
    for options in [DispatchOptions::default(), later] {
        let id = beside.dispatch("echo", "[1]");
        let again = DispatchOptions { id: Some(id), ..options };
        proxy.until_quiet();
        proxy.late_next(1);
        let refused = std::thread::scope(|scope| {
            let export = scope.spawn(|| here.on(here.backend.export(id, false)).unwrap());
            until("its commit is on the way", || proxy.left() == 0);
            let refused = beside.on(beside.executor.dispatch("echo", "[1]".into(), again));
            export.join().unwrap();
            refused.unwrap_err()
        });
        assert_eq!(refused.status(), Status::Conflict);
        assert!(refused.message().contains("exported"), "{refused}");
        assert!(beside.on(beside.backend.snapshot(id)).unwrap().is_none());
    }
}
