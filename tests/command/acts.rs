//! Acting: dispatch, signal, cancel, wait, retry, resume, and dead letters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stent::model::ExecutionState;

use crate::house::{House, Said, Where, on_both, run, until};

on_both! {
    an_execution_is_started_and_waited_for,
    each_end_has_its_exit_code,
    a_signal_wakes_who_waits,
    a_failed_path_runs_again,
    what_waits_for_a_retry_begins_now,
    what_was_put_off_is_shown_with_its_count,
    letters_are_seen_to_by_filters,
    schedules_are_put_looked_at_and_acted_on,
    what_cannot_be_is_refused,
}

fn dispatched(said: Said) -> String {
    said.ok().out.trim().to_owned()
}

fn an_execution_is_started_and_waited_for(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    let id = dispatched(house.say(&["dispatch", "order", "[1, 2]", "--tag", "eu", "--queue", "q", "--priority", "-3"]));
    assert_eq!(house.say(&["wait", &id]).ok().out, "\"shipped\"\n");
    let json = house.say(&["--json", "wait", &id]).ok().json();
    assert_eq!(
        (&json["state"], &json["tags"][0], &json["priority"]),
        (&"completed".into(), &"eu".into(), &(-3).into())
    );
    let said = house.say(&["dispatch", "order", "--wait"]).ok();
    assert!(said.out == "\"shipped\"\n" && said.err.len() > 30, "{said:?}");
    let json =
        house.say(&["--json", "dispatch", "order", "--kwargs", "{\"a\":1}", "--idempotency-key", "k"]).ok().json();
    let again =
        house.say(&["--json", "dispatch", "order", "--kwargs", "{\"a\":1}", "--idempotency-key", "k"]).ok().json();
    assert_eq!(json["execution_id"], again["execution_id"]);
    let unique =
        ["--json", "dispatch", "order", "--unique-key", "u", "--unique-for", "1h", "--unique-while", "pending"];
    let json = house.say(&unique).ok().json();
    assert_eq!(house.say(&unique).ok().json()["execution_id"], json["execution_id"]);
    let said = house.say(&[&unique[1..], &["--unique-existing", "refuse"]].concat());
    let id = json["execution_id"].as_str().unwrap();
    assert!(said.code == 4 && said.err.contains(&format!("is taken by execution {id}")), "{said:?}");
    let said = house.say(&["dispatch", "ordr"]).ok();
    assert!(said.err.contains("no worker has declared 'ordr'"), "{said:?}");
}

fn each_end_has_its_exit_code(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    let (failed, _) = house.end("paid_order");
    let said = house.say(&["wait", &failed.to_string()]);
    assert!(said.code == 10 && said.out.is_empty() && said.err.contains("CardDeclined: no funds"), "{said:?}");

    let waits = house.dispatch("approval").to_string();
    assert_eq!(house.say(&["wait", &waits, "--timeout", "0.01s"]).code, 13);
    let said = house.say(&["cancel", &waits]);
    assert!(said.code == 6 && said.err.contains("--yes"), "{said:?}");
    house.say(&["cancel", &waits, "--yes", "--reason", "a test"]).ok();
    let said = house.say(&["wait", &waits]);
    assert!(said.code == 12 && said.err.contains("a test"), "{said:?}");
    assert_eq!(house.say(&["cancel", &waits, "--yes"]).code, 4);

    let late = dispatched(house.say(&["dispatch", "approval", "--expiry", "20ms"]));
    assert_eq!(house.say(&["wait", &late]).code, 11);
}

fn a_signal_wakes_who_waits(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    let waits = house.dispatch("approval").to_string();
    house.say(&["signal", &waits, "approved", "{\"by\": \"me\"}"]).ok();
    assert_eq!(house.say(&["wait", &waits]).ok().out, "{\"by\": \"me\"}\n");
    assert_eq!(house.say(&["signal", &waits, "approved"]).code, 4);
    let wrong = house.say(&["signal", &waits, "approved", "{oops"]);
    assert!(wrong.code == 2 && wrong.err.contains("JSON"), "{wrong:?}");
}

fn a_failed_path_runs_again(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    let (failed, _) = house.end("paid_order");
    let new = dispatched(house.say(&["retry", &failed.to_string()]));
    assert_eq!(house.say(&["wait", &new]).code, 10);
    let shown = house.say(&["show", &new]).ok().out;
    assert!(shown.contains("replay of") && shown.contains(&failed.to_string()), "{shown}");
    let said = house.say(&["retry", &failed.to_string()]);
    assert!(said.code == 4 && said.err.contains("no dead letter"), "{said:?}");
    let (well, state) = house.end("order");
    assert_eq!((state, house.say(&["resume", &well.to_string()]).code), (ExecutionState::Completed, 4));
}

fn what_waits_for_a_retry_begins_now(place: Where) {
    let house = House::new(place);
    let healed = house.flaky("not yet");
    let _worker = house.worker();
    let id = house.dispatch("flaky").to_string();
    let failed = || house.say(&["--json", "show", &id]).ok().json()["attempts"].as_array().unwrap().len();
    until("its first attempt has failed", || failed() == 1);
    healed.store(true, Ordering::SeqCst);
    let shown = house.say(&["show", &id]).ok().out;
    assert!(shown.contains("EARLIER ATTEMPT") && shown.contains("Flaky: not yet"), "{shown}");
    assert!(shown.contains(&format!("To begin it now: stent retry {id}")), "{shown}");
    let said = house.say(&["--json", "retry", &id]).ok().json();
    assert_eq!(said["hastened"].as_array().unwrap().len(), 1, "{said}");
    assert_eq!(house.say(&["wait", &id]).ok().out, "1\n");
    assert_eq!(house.say(&["retry", &id]).code, 4);
}

fn what_was_put_off_is_shown_with_its_count(place: Where) {
    let house = House::new(place);
    let ripe = Arc::new(AtomicBool::new(false));
    let is_ripe = Arc::clone(&ripe);
    house.function("apple", move |task| match (is_ripe.load(Ordering::SeqCst), task.info().snoozes) {
        (true, _) => task.complete("1".into()),
        (false, 0) => task.snooze(Duration::ZERO),
        (false, _) => task.snooze(Duration::from_secs(3600)),
    });
    let _worker = house.worker();
    let id = house.dispatch("apple").to_string();
    let shown = || house.say(&["show", &id]).ok().out;
    until("it was put off twice", || shown().contains("Snoozed: not now: again in 1h (snoozes so far: 2)"));
    assert!(shown().contains("Snoozed: not now: again in 0s (snoozes so far: 1)"), "{}", shown());
    assert!(shown().contains("begins "), "{}", shown());
    ripe.store(true, Ordering::SeqCst);
    assert_eq!(house.say(&["--json", "retry", &id]).ok().json()["hastened"].as_array().unwrap().len(), 1);
    assert_eq!(house.say(&["wait", &id]).ok().out, "1\n");
}

fn letters_are_seen_to_by_filters(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    let failed: Vec<String> = (0..4).map(|_| house.end("paid_order").0.to_string()).collect();
    let letters = || {
        let found = house.say(&["--json", "dlq", "list"]).ok().json()["dead_letters"].as_array().unwrap().clone();
        found.iter().map(|one| one["task"]["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let task = letters()[0].clone();
    let shown = house.say(&["dlq", "show", &task]).ok().out;
    assert!(shown.contains("charge") && shown.contains("CardDeclined"), "{shown}");
    assert_eq!(house.say(&["dlq", "list", "-n", "3"]).ok().out.lines().last(), Some("The next page: --offset 3"));

    assert_eq!(house.say(&["dlq", "discard", &task]).code, 6);
    house.say(&["dlq", "discard", &task, "--yes"]).ok();
    assert_eq!((letters().len(), house.say(&["dlq", "show", &task]).code), (3, 3));
    let by_execution = house.say(&["--json", "dlq", "discard", "--execution", &failed[0], "--yes"]).ok().json();
    assert_eq!((&by_execution["discarded"], letters().len()), (&1.into(), 2));
    assert_eq!(house.say(&["dlq", "replay", "--all"]).code, 6);
    assert_eq!(house.say(&["dlq", "replay", "--function", "order", "--yes"]).code, 3);
    // Without the worker's help: what is replayed would die again.
    house.on(house.executor.shutdown(None)).unwrap();
    let replayed = house.say(&["--json", "dlq", "replay", "--all", "--yes"]).ok().json();
    assert_eq!((replayed["replayed"].as_array().unwrap().len(), letters().len()), (2, 0));
    assert_eq!(house.say(&["dlq", "discard"]).code, 2);
}

fn schedules_are_put_looked_at_and_acted_on(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    assert!(house.say(&["schedules", "list"]).ok().out.starts_with("No schedules."));
    let put = ["schedules", "put", "nightly", "order", "[1]", "--cron", "30 2 * * *", "--time-zone", "Europe/Berlin"];
    let said = house.say(&put).ok();
    assert!(said.out.starts_with("It ticks next at "), "{said:?}");
    let every = ["schedules", "put", "often", "order", "--every", "15m", "--overlap", "queue_one", "--owner", "app"];
    house.say(&every).ok();
    let list = house.say(&["--json", "schedules", "list"]).ok().json();
    let names: Vec<&str> = list["schedules"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["nightly", "often"]);
    assert_eq!(list["schedules"][0]["time_zone"], "Europe/Berlin");
    let page = house.say(&["--json", "schedules", "list", "-n", "1"]).ok().json();
    assert_eq!((page["schedules"].as_array().unwrap().len(), &page["next"]), (1, &"nightly".into()));
    let table = house.say(&["schedules", "list", "--owner", "app"]).ok().out;
    assert!(table.contains("every 15m") && table.contains("active") && !table.contains("nightly"), "{table}");

    let ticks = house.say(&["--json", "schedules", "trigger", "nightly"]).ok().json();
    let id = ticks["ticks"][0]["execution_id"].as_str().unwrap().to_owned();
    assert_eq!(house.say(&["wait", &id]).ok().out, "\"shipped\"\n");
    house.say(&["schedules", "pause", "nightly", "--note", "holidays"]).ok();
    let shown = house.say(&["schedules", "show", "nightly"]).ok().out;
    assert!(shown.contains("holidays") && shown.contains("triggered") && !shown.contains("To come"), "{shown}");
    house.say(&["schedules", "resume", "nightly"]).ok();
    assert!(house.say(&["schedules", "show", "nightly"]).ok().out.contains("To come"));
    let filled =
        house.say(&["--json", "schedules", "backfill", "often", "--from", "45m", "--overlap", "allow"]).ok().json();
    assert_eq!(filled["ticks"].as_array().unwrap().len(), 3, "{filled}");
    assert_eq!(
        house.say(&["--json", "schedules", "next", "often", "-n", "3"]).ok().json()["next"].as_array().unwrap().len(),
        3
    );
    let next = house.say(&["schedules", "next", "--cron", "0 0 29 2 *", "-n", "1"]).ok().out;
    // It needs no store.
    assert_eq!(run(&["schedules", "next", "--cron", "0 0 29 2 *", "-n", "1"]).ok().out, next);
    assert!(next.contains("-02-29 00:00:00"), "{next}");

    assert_eq!(house.say(&["schedules", "delete", "often"]).code, 6);
    house.say(&["schedules", "delete", "often", "--yes"]).ok();
    assert_eq!(house.say(&["schedules", "show", "often"]).code, 3);
    assert_eq!(house.say(&["schedules", "pause", "often"]).code, 3);
    let wrong = house.say(&["schedules", "put", "x", "order", "--cron", "61 * * * *"]);
    assert!(wrong.code == 2 && wrong.err.contains("61 * * * *"), "{wrong:?}");
    assert_eq!(house.say(&["schedules", "put", "x", "order"]).code, 2);
}

fn what_cannot_be_is_refused(place: Where) {
    let house = House::new(place);
    for args in [
        &["dispatch", "f", "{}"][..],
        &["dispatch", "f", "[]", "--kwargs", "[]"],
        &["dispatch", ""],
        &["list", "--state", "done"],
        &["list", "--after", "x"],
        &["list", "--since", "yesterday"],
    ] {
        let said = house.say(args);
        assert_eq!(said.code, 2, "{args:?}: {said:?}");
    }
    let said = house.say(&["--json", "wait", "019ac89a-f000-7000-8000-0000000000ff"]);
    let error: serde_json::Value = serde_json::from_str(&said.err).unwrap();
    assert_eq!((said.code, &error["exit"], &error["error"]["status"]), (3, &3.into(), &"NOT_FOUND".into()));
    assert!(house.say(&["--json", "list"]).ok().json()["executions"].as_array().unwrap().is_empty());
}
