//! Looking: what is shown is what is there, and nothing changes by it.

use stent::model::ExecutionState;

use crate::house::{House, Where, on_both, until};
use crate::pauses::into_queue;

on_both! {
    lists_come_in_pages_and_by_filters,
    pages_pass_over_those_of_one_moment,
    one_execution_is_shown_as_a_tree,
    tasks_are_listed,
    functions_workers_and_queues_are_known,
    a_queues_rate_is_shown_and_who_waits_for_it,
    looking_changes_nothing,
    where_nothing_is_that_is_said,
}

fn ids(said: &crate::house::Said) -> Vec<String> {
    let found = said.json()["executions"].as_array().unwrap().clone();
    found.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

fn lists_come_in_pages_and_by_filters(place: Where) {
    let house = House::new(place);
    let mut all: Vec<String> =
        (0..5).map(|n| house.dispatch(if n == 2 { "odd" } else { "even" }).to_string()).collect();
    all.reverse();
    let list = |more: &[&str]| house.say(&[&["--json", "list"], more].concat()).ok();
    assert_eq!(ids(&list(&[])), all);
    let first = list(&["-n", "2"]);
    assert_eq!(ids(&first), all[..2]);
    let next = first.json()["next"].as_str().unwrap().to_owned();
    let second = list(&["-n", "3", "--after", &next]);
    assert_eq!((ids(&second), second.json()["next"].is_null()), (all[2..].to_vec(), true));
    assert_eq!(ids(&list(&["--function", "odd"])), [all[2].clone()]);
    assert_eq!(ids(&list(&["--state", "completed"])), [""; 0]);
    assert_eq!(ids(&list(&["--since", "1h"])).len(), 5);
    assert_eq!(ids(&list(&["--until", "1h"])).len(), 0);
    assert_eq!(house.say(&["list", "--state", "failed"]).ok().out, "No such executions.\n");
    let read = house.say(&["list", "-n", "2"]).ok().out;
    assert!(read.contains(&format!("The next page: --after {next}")) && read.contains("FUNCTION"), "{read}");
    assert!(!read.contains('\x1b'), "{read}");
}

/// Those of one dispatch have one time, and may be more than a page.
fn pages_pass_over_those_of_one_moment(place: Where) {
    let house = House::new(place);
    let request = |_| stent::model::DispatchRequest {
        function: "f".to_owned(),
        args: "[]".into(),
        options: stent::model::DispatchOptions::default(),
    };
    let mut all = house.on(house.executor.dispatch_many((0..7).map(request).collect())).unwrap();
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut args = vec!["--json", "list", "-n", "2"];
        args.extend(after.iter().flat_map(|after| ["--after", after.as_str()]));
        let said = house.say(&args).ok();
        found.extend(ids(&said));
        after = said.json()["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    all.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, all.iter().map(ToString::to_string).collect::<Vec<_>>());
}

fn one_execution_is_shown_as_a_tree(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    let (id, state) = house.end("paid_order");
    assert_eq!(state, ExecutionState::Failed);
    let said = house.say(&["show", &id.to_string()]).ok().out;
    for part in
        ["paid_order", "├─ reserve", "→ {\"items\":3}", "└─ charge", "CardDeclined: no funds", "stent retry", "[7]"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let json = house.say(&["--json", "show", &id.to_string()]).ok().json();
    assert_eq!(json["execution"]["state"], "failed");
    assert_eq!((json["tasks"].as_array().unwrap().len(), json["dead_letters"].as_array().unwrap().len()), (3, 1));

    let waits = house.dispatch("approval");
    until("it waits", || house.say(&["show", &waits.to_string()]).ok().out.contains("for a signal, since"));
    let unknown = house.say(&["show", "019ac89a-f000-7000-8000-0000000000ff"]);
    assert_eq!(unknown.code, 3, "{unknown:?}");
    let wrong = house.say(&["show", "abc"]);
    assert!(wrong.code == 2 && wrong.err.contains("UUID"), "{wrong:?}");
}

fn tasks_are_listed(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    let (id, _) = house.end("order");
    let id = id.to_string();
    for args in [&["--json", "tasks"][..], &["--json", "tasks", &id]] {
        let found = house.say(args).ok().json();
        let mut names: Vec<_> = found["tasks"].as_array().unwrap().iter().map(|task| &task["step_name"]).collect();
        names.sort_by_key(|name| name.to_string());
        assert_eq!(names, ["order", "reserve"]);
        let first = house.say(&[args, &["-n", "1"]].concat()).ok().json();
        let next = first["next"].as_str().unwrap();
        let second = house.say(&[args, &["-n", "1", "--after", next]].concat()).ok().json();
        assert_ne!(first["tasks"][0]["id"], second["tasks"][0]["id"]);
        assert_eq!((second["tasks"].as_array().unwrap().len(), second["next"].is_null()), (1, true));
        let some = house.say(&[args, &["--function", "reserve", "--state", "completed"]].concat()).ok().json();
        assert_eq!(some["tasks"].as_array().unwrap().len(), 1);
    }
}

fn functions_workers_and_queues_are_known(place: Where) {
    let house = House::new(place);
    assert!(house.say(&["workers"]).ok().out.contains("No workers."));
    let rate = |limit, burst| Some(stent::model::Rate { limit, period: 60.0, burst });
    let options = stent::model::FunctionOptions { rate: rate(100, 1), rate_per_key: rate(7, 3), ..Default::default() };
    let told = std::sync::Arc::new(|_: &stent::executor::Task| stent::model::Status::Ok);
    house.executor.register("told", options, Some(told)).unwrap();
    let _worker = house.furnish();
    house.dispatch("unheard_of");
    let functions = house.say(&["functions"]).ok().out;
    assert!(functions.contains("paid_order") && functions.contains("ATTEMPTS"), "{functions}");
    assert!(functions.contains("100/1m00s") && functions.contains("7/1m00s, 3 at once"), "{functions}");
    let workers = house.say(&["--json", "workers"]).ok().json();
    assert_eq!((&workers["workers"][0]["worker_id"], &workers["workers"][0]["running"]), (&"w1".into(), &0.into()));
    let queues = house.say(&["--json", "queues"]).ok().json();
    assert_eq!((&queues["queues"][0]["ready"], &queues["queues"][0]["workers"]), (&1.into(), &1.into()));
    let stats = house.say(&["--json", "stats"]).ok().json();
    assert_eq!((&stats["executions"]["pending"], &stats["workers"]), (&1.into(), &1.into()));
    assert!(house.say(&["stats"]).ok().out.contains("dead letters"));
}

fn a_queues_rate_is_shown_and_who_waits_for_it(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    let rate = stent::model::Rate { limit: 1, period: 3_600.0, burst: 2 };
    let worker_id = Some("w2".to_owned());
    let queue_rates = [("mail".to_owned(), Some(rate))].into();
    let options = stent::model::WorkerOptions { worker_id, queue_rates, ..Default::default() };
    let _other = house.executor.start_worker(options, None).unwrap();
    until("the queue's rate is known", || !house.on(house.backend.registered()).unwrap().queue_rates.is_empty());
    let queues = house.say(&["queues"]).ok().out;
    let mail = queues.lines().find(|line| line.starts_with("mail")).unwrap_or_else(|| panic!("{queues}"));
    assert!(mail.contains("1/1h00m, 2 at once"), "{queues}");
    let json = house.say(&["--json", "queues"]).ok().json();
    let mail = json["queues"].as_array().unwrap().iter().find(|one| one["queue"] == "mail").unwrap();
    assert_eq!((&mail["rate"]["limit"], &mail["rate"]["burst"]), (&1.into(), &2.into()));
    let sent = [0, 1, 2].map(|_| into_queue(&house, "order", "mail"));
    for id in &sent[..2] {
        assert_eq!(house.end_of(*id), ExecutionState::Completed);
    }
    let waits = sent[2].to_string();
    let told = "waits for a token of the queue 'mail': the next comes at 2";
    let shown = house.say(&["show", &waits]).ok().out;
    assert!(shown.contains(told), "{shown}");
    let shown = house.say(&["--json", "show", &waits]).ok().json();
    let wait = &shown["slot_waits"][0];
    assert_eq!((&wait["queue"], &wait["concurrency_key"]), (&"mail".into(), &serde_json::Value::Null));
    let why = house.say(&["wait", &waits, "--timeout", "0s"]);
    assert!(why.code == 13 && why.err.contains(told), "{why:?}");
}

/// What is due stays due: only workers take it.
fn looking_changes_nothing(place: Where) {
    let house = House::new(place);
    let options = stent::model::DispatchOptions {
        expiry: Some(std::time::Duration::from_millis(1)),
        ..stent::model::DispatchOptions::default()
    };
    let id = house.on(house.executor.dispatch("f", "[]".into(), options)).unwrap().to_string();
    let begun = std::time::Instant::now();
    until("its time is over", || begun.elapsed() > std::time::Duration::from_millis(5));
    for args in [&["list"][..], &["show", &id], &["tasks"], &["stats"], &["queues"], &["check"]] {
        house.say(args);
    }
    assert_eq!(house.say(&["--json", "list"]).ok().json()["executions"][0]["state"], "pending");
}

fn where_nothing_is_that_is_said(place: Where) {
    let house = House::new(place);
    assert!(house.say(&["stats"]).ok().out.starts_with("EXECUTIONS\n  none\n"));
    for act in ["replay", "discard"] {
        let said = house.say(&["dlq", act, "--all"]).ok();
        assert_eq!((said.out.as_str(), said.err.as_str()), ("", "There are no dead letters.\n"));
        let said = house.say(&["dlq", act, "--function", "mistyped"]);
        assert_eq!(said.code, 3, "a name that none has is told: {said:?}");
    }
    assert_eq!(house.say(&["--json", "dlq", "discard", "--all"]).ok().json()["discarded"], 0);
    assert_eq!(house.say(&["export", "--all"]).ok().err, "There is nothing to export.\n");
    let said = house.say(&["export", "019ac89a-f000-7000-8000-000000000002"]);
    assert!(said.code == 3 && said.err.starts_with("Nothing was exported.\n"), "{said:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes");
    std::fs::write(&file, "hello\n").unwrap();
    let said = house.say(&["import", file.to_str().unwrap()]);
    assert!(said.code == 2 && said.err.starts_with("stent: line 1: an exported execution: "), "{said:?}");
}
