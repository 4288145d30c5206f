//! Queues and functions are paused, drained and resumed, and all who ask are told.

use std::sync::mpsc;

use stent::model::{DispatchOptions, ExecutionState, Id, TaskOptions};

use crate::house::{House, Where, on_both, until};
use crate::ui::Served;

on_both! {
    a_queue_is_paused_and_resumed,
    a_function_is_paused_and_resumed,
    a_queue_is_drained,
    a_pause_is_told_where_people_look,
    the_page_pauses_and_resumes,
}

pub fn into_queue(house: &House, function: &str, queue: &str) -> Id {
    let task = TaskOptions { queue: Some(queue.to_owned()), ..TaskOptions::default() };
    let options = DispatchOptions { task, ..DispatchOptions::default() };
    house.on(house.executor.dispatch(function, "[]".into(), options)).unwrap()
}

/// What runs after it in another queue has run, and it has not.
fn waits(house: &House, id: Id) {
    assert_eq!(house.end("order").1, ExecutionState::Completed);
    let found = house.on(house.backend.snapshot(id)).unwrap().unwrap();
    assert_eq!(found.execution.state, ExecutionState::Pending);
}

fn a_queue_is_paused_and_resumed(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    let said = house.say(&["queues", "pause", "slow", "--reason", "the relay\u{1b}[1m is down"]).ok();
    assert!(said.out.contains("The queue 'slow' is paused") && said.out.contains("relay"), "{said:?}");
    assert!(!said.out.contains('\u{1b}'), "{said:?}");
    let id = into_queue(&house, "order", "slow");
    waits(&house, id);
    let listed = house.say(&["queues"]).ok().out;
    let line = listed.lines().find(|line| line.starts_with("slow")).unwrap_or_else(|| panic!("{listed}"));
    assert!(line.contains("is down"), "{listed}");
    let json = house.say(&["--json", "queues"]).ok().json();
    let slow = json["queues"].as_array().unwrap().iter().find(|one| one["queue"] == "slow").unwrap();
    assert_eq!((&slow["ready"], &slow["paused"]["running"]), (&1.into(), &0.into()));
    assert!(slow["paused"]["since"].is_string() && slow["paused"]["reason"].is_string(), "{slow}");
    // Whoever waits in vain is told.
    let told = house.say(&["wait", &id.to_string(), "--timeout", "0s"]);
    assert!(told.code == 13 && told.err.contains("the queue 'slow' is paused since"), "{told:?}");
    house.say(&["queues", "resume", "slow"]).ok();
    assert_eq!(house.end_of(id), ExecutionState::Completed);
    let said = house.say(&["queues", "resume", "slow"]);
    assert!(said.code == 3 && said.err.contains("is not paused"), "{said:?}");
    assert_eq!(house.say(&["queues", "pause", ""]).code, 2);
}

fn a_function_is_paused_and_resumed(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    let paused = house.say(&["--json", "functions", "pause", "approval"]).ok().json();
    assert_eq!((&paused["paused"]["function"], &paused["paused"]["queue"]), (&"approval".into(), &().into()));
    house.say(&["functions", "pause", "nobody_has_it"]).ok();
    let id = house.dispatch("approval");
    waits(&house, id);
    let listed = house.say(&["functions"]).ok().out;
    assert!(listed.contains("The function 'nobody_has_it' is paused"), "{listed}");
    let json = house.say(&["--json", "functions"]).ok().json();
    let of = |name: &str| json["functions"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    assert!(of("approval")["paused"].is_object() && of("order")["paused"].is_null(), "{json}");
    assert_eq!(json["paused_unknown"][0]["function"], "nobody_has_it");
    assert_eq!(
        house.say(&["--json", "functions", "resume", "approval"]).ok().json()["paused"],
        serde_json::Value::Null
    );
    house.say(&["signal", &id.to_string(), "approved", "1"]).ok();
    assert_eq!(house.end_of(id), ExecutionState::Completed);
}

fn a_queue_is_drained(place: Where) {
    let house = House::new(place);
    let (began, has_begun) = mpsc::sync_channel(1);
    let (go, told) = mpsc::sync_channel::<()>(1);
    let told = std::sync::Mutex::new(told);
    house.function("busy", move |task| {
        began.send(()).unwrap();
        told.lock().unwrap().recv().unwrap();
        task.complete("1".into())
    });
    let _worker = house.worker();
    let (first, second) = (into_queue(&house, "busy", "slow"), into_queue(&house, "other", "slow"));
    has_begun.recv().unwrap();
    let late = house.say(&["queues", "drain", "slow", "--timeout", "10ms"]);
    assert!(late.code == 13 && late.err.contains("workers still hold 1 task of the queue 'slow'"), "{late:?}");
    go.send(()).unwrap();
    let done = house.say(&["--json", "queues", "drain", "slow", "--reason", "a new disk"]).ok().json();
    assert_eq!((&done["paused"]["running"], &done["paused"]["reason"]), (&0.into(), &"a new disk".into()));
    assert_eq!(house.end_of(first), ExecutionState::Completed);
    assert_eq!(house.on(house.backend.snapshot(second)).unwrap().unwrap().execution.state, ExecutionState::Pending);
}

fn a_pause_is_told_where_people_look(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    house.say(&["queues", "pause", "slow", "--reason", "why"]).ok();
    house.say(&["functions", "pause", "order"]).ok();
    let metrics = house.say(&["metrics"]).ok().out;
    let since = |labels: &str| {
        let line =
            metrics.lines().find_map(|line| line.strip_prefix(&format!("stent_paused_since_seconds{{{labels}}} ")));
        line.unwrap_or_else(|| panic!("{labels}: {metrics}")).parse::<f64>().unwrap()
    };
    assert!(since("queue=\"slow\",function=\"\"") > 1.7e9 && since("queue=\"\",function=\"order\"") > 1.7e9);
    let stats = house.say(&["--json", "stats"]).ok().json();
    assert_eq!((&stats["paused"][0]["queue"], &stats["paused"][1]["function"]), (&"slow".into(), &"order".into()));
    let checked = house.say(&["--json", "check"]).ok().json();
    let found = checked["findings"].as_array().unwrap().iter().find(|one| one["subject"] == "pauses").unwrap().clone();
    assert!(found["mark"] == "good" && found["found"].as_str().unwrap().contains("the queue 'slow'"), "{found}");
    assert!(found["found"].as_str().unwrap().contains("(why)"), "{found}");
}

fn the_page_pauses_and_resumes(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    let served = Served::new(&house, &[]);
    let id = into_queue(&house, "order", "a/b&c");
    assert_eq!(house.end_of(id), ExecutionState::Completed);
    let asks = served.get("/queues/pause?name=a%2Fb%26c").ok().body;
    assert!(asks.contains("a/b&amp;c") && asks.contains("name=\"confirm\""), "{asks}");
    served.form("/queues/pause", "name=a%2Fb%26c").ok();
    assert_eq!(house.on(house.backend.pauses()).unwrap(), [], "it was not confirmed");
    let done = served.form("/queues/pause", "name=a%2Fb%26c&reason=a+flood&confirm=yes");
    assert_eq!((done.status, done.header("location")), (303, Some("/queues")));
    let held = into_queue(&house, "order", "a/b&c");
    waits(&house, held);
    let page = served.get("/queues").ok().body;
    assert!(page.contains("a flood") && page.contains("/queues/resume?name=a%2Fb%26c"), "{page}");
    served.post("/api/functions/pause", r#"{"name":"order","reason":"x"}"#).ok();
    until("the page of functions has it", || {
        served.get("/functions").ok().body.contains("/functions/resume?name=order")
    });
    assert_eq!(served.post("/api/functions/pause", r#"{"name":""}"#).status, 400);
    served.post("/api/functions/resume", r#"{"name":"order"}"#).ok();
    assert_eq!(served.post("/api/functions/resume", r#"{"name":"order"}"#).status, 404);
    served.form("/queues/resume", "name=a%2Fb%26c&confirm=yes");
    assert_eq!(house.end_of(held), ExecutionState::Completed);
    let lines = served.audit();
    let told: Vec<_> =
        lines.iter().map(|line| (line["action"].as_str().unwrap(), line["of"].as_str().unwrap())).collect();
    let order = "function order";
    let (queue, nothing) = ("queue a/b&c", "function ");
    assert_eq!(
        told,
        [
            ("pause", queue),
            ("pause", order),
            ("pause", nothing),
            ("resume", order),
            ("resume", order),
            ("resume", queue)
        ]
    );
    let only = Served::new(&house, &["--read-only"]);
    assert!(!only.get("/queues").ok().body.contains("/queues/pause"));
    assert_eq!(only.post("/api/queues/pause", r#"{"name":"q"}"#).status, 403);
}
