//! What the page does, by forms and by its API, and the line that each leaves in the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use stent::backend::NewSignal;
use stent::model::{CallOptions, ExecutionState, Failure, WaitSignalOptions};

use super::served::Served;
use crate::house::{House, Where, on_both, until};

on_both! {
    what_is_filled_in_is_shown_again_and_then_done,
    executions_are_signalled_cancelled_and_retried,
    letters_are_replayed_and_discarded_one_or_many,
    schedules_are_paused_resumed_and_triggered,
    a_mismatch_is_shown_from_both_sides_and_its_task_resumed,
    what_waits_for_a_retry_begins_now_and_its_failures_are_shown,
}

fn ids(done: &Value) -> Vec<String> {
    done["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

fn what_is_filled_in_is_shown_again_and_then_done(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    let served = Served::new(&house, &[]);
    let form = served.get("/dispatch?function=order").ok().body;
    assert!(form.contains("<option value=\"paid_order\"") && form.contains("value=\"order\""), "{form}");
    let fields = "function=order&args=%5B%22A%26B%22%5D&tags=x%2Cy&priority=3";
    let review = served.form("/dispatch", fields).ok().body;
    assert!(review.contains("name=\"confirm\" value=\"yes\"") && review.contains("A&amp;B"), "{review}");
    assert_eq!(served.get("/api/executions").ok().json()["executions"].as_array().unwrap().len(), 0);
    let done = served.form("/dispatch", &format!("{fields}&confirm=yes"));
    assert_eq!(done.status, 303, "{done:?}");
    let id = done.header("location").unwrap().trim_start_matches("/executions/").to_owned();
    let one = served.get(&format!("/api/executions/{id}")).ok().json()["execution"].clone();
    assert_eq!(
        (&one["args"][0], &one["tags"], &one["priority"]),
        (&"A&B".into(), &serde_json::json!(["x", "y"]), &3.into())
    );
    let wrong = served.form("/dispatch", "function=order&args=%7B&confirm=yes");
    assert!(
        wrong.status == 400 && wrong.body.contains("role=\"alert\"") && wrong.body.contains("<textarea"),
        "{wrong:?}"
    );
    let body =
        r#"{"function":"order","args":[1],"kwargs":{"a":2},"delay":"1h","id":"019ac89a-f000-7000-8000-0000000000aa"}"#;
    assert_eq!(ids(&served.post("/api/dispatch", body).ok().json()), ["019ac89a-f000-7000-8000-0000000000aa"]);
    assert_eq!(served.post("/api/dispatch", body).status, 409, "it is there already");
    assert_eq!(served.post("/api/dispatch", r#"{"function":"order","other":1}"#).status, 400);
    let lines = served.audit();
    let told: Vec<_> = lines.iter().map(|line| (line["action"].as_str().unwrap(), line["outcome"] == "done")).collect();
    assert_eq!(told, [("dispatch", true), ("dispatch", true), ("dispatch", false)]);
    assert_eq!((&lines[0]["ids"][0], &lines[0]["by"]), (&id.into(), &"local".into()));
    assert!(lines[0]["remote"].as_str().unwrap().starts_with("127.0.0.1:") && lines[0]["time"].is_string());
}

fn schedules_are_paused_resumed_and_triggered(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    house.schedule("night & day");
    let served = Served::new(&house, &[]);
    let list = served.get("/schedules").ok().body;
    assert!(list.contains("night &amp; day") && list.contains("0 3 * * *"), "{list}");
    let one = "/schedules?name=night+%26+day";
    assert!(served.get(one).ok().body.contains("To come"));
    let asks = served.get("/schedules/pause?name=night+%26+day").ok().body;
    assert!(asks.contains("Pause this schedule?") && asks.contains("value=\"night &amp; day\""), "{asks}");
    assert_eq!(served.form("/schedules/pause", "name=night+%26+day&note=enough&confirm=yes").status, 303);
    let paused = served.get(&format!("/api{one}")).ok().json()["schedules"][0].clone();
    assert_eq!((&paused["pause_note"], &paused["next_at"]), (&"enough".into(), &Value::Null));
    assert_eq!(served.form("/schedules/resume", "name=night+%26+day&confirm=yes").status, 303);
    assert!(served.get(&format!("/api{one}")).ok().json()["schedules"][0]["next_at"].is_string());
    let done = served.form("/schedules/trigger", "name=night+%26+day&confirm=yes");
    assert_eq!(done.status, 303, "{done:?}");
    let id = done.header("location").unwrap().trim_start_matches("/executions/").to_owned();
    assert!(served.get(one).ok().body.contains(&id));
    let again = served.post("/api/schedules/trigger", r#"{"name":"night & day"}"#).ok().json();
    assert!(again["message"].as_str().unwrap().contains("skipped"), "{again}");
    assert_eq!(served.post("/api/schedules/trigger", r#"{"name":"no"}"#).status, 404);
    assert_eq!(served.get("/schedules?name=no").status, 404);
    let lines = served.audit();
    let told: Vec<_> = lines.iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(told, ["pause", "resume", "trigger", "trigger", "trigger"]);
}

fn executions_are_signalled_cancelled_and_retried(place: Where) {
    let house = House::new(place);
    let _worker = house.furnish();
    let served = Served::new(&house, &[]);
    let (told, stopped) = (house.dispatch("approval"), house.dispatch("approval"));
    let review = served.form(&format!("/executions/{told}/signal"), "name=approved&payload=%5B1%5D").ok().body;
    assert!(review.contains("name=\"payload\" value=\"[1]\""), "{review}");
    let sent = served.form(&format!("/executions/{told}/signal"), "name=approved&payload=%5B1%5D&confirm=yes");
    assert_eq!((sent.status, house.end_of(told)), (303, ExecutionState::Completed));
    assert_eq!(served.post(&format!("/api/executions/{told}/signal"), r#"{"name":"late"}"#).status, 409);

    let asks = served.get(&format!("/executions/{stopped}/cancel")).ok().body;
    assert!(asks.contains("be undone") && asks.contains("approval"), "{asks}");
    served.form(&format!("/executions/{stopped}/cancel"), "reason=no").ok();
    assert_eq!(house.count(ExecutionState::Cancelled), 0, "it was not confirmed");
    served.form(&format!("/executions/{stopped}/cancel"), "reason=no&confirm=yes");
    assert_eq!(house.end_of(stopped), ExecutionState::Cancelled);
    assert!(served.get(&format!("/executions/{stopped}")).ok().body.contains("Cancelled because"));

    let (failed, state) = house.end("paid_order");
    assert_eq!(state, ExecutionState::Failed);
    let retried = served.form(&format!("/executions/{failed}/retry"), "confirm=yes");
    let again = retried.header("location").unwrap().trim_start_matches("/executions/").to_owned();
    until("it has failed again", || house.count(ExecutionState::Failed) == 2);
    let origin = served.get(&format!("/api/executions/{again}")).ok().json()["execution"]["replay_of"].clone();
    assert_eq!(origin, failed.to_string());
    assert_eq!(served.post(&format!("/api/executions/{failed}/retry"), "").status, 409, "the letter is gone");
    assert_eq!(served.post(&format!("/api/executions/{failed}/resume"), "{}").status, 409);
    let actions: Vec<_> = served.audit().iter().map(|line| line["action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(actions, ["signal", "signal", "cancel", "retry", "retry", "resume"]);
}

fn letters_are_replayed_and_discarded_one_or_many(place: Where) {
    let house = House::new(place);
    house.function("bad", |task| task.fail(Failure::new("Bad", "no")));
    house.function("worse", |task| task.fail(Failure::new("Worse", "no")));
    let worker = house.worker();
    for function in ["bad", "bad", "bad", "worse", "worse"] {
        house.end(function);
    }
    house.on(worker.stop(None)).unwrap();
    let served = Served::new(&house, &[]);
    let letters = |query: &str| -> Vec<String> {
        let json = served.get(&format!("/api/dead-letters?{query}")).ok().json();
        json["dead_letters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["task"]["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = letters("");
    assert_eq!((all.len(), letters("function=bad").len(), letters("limit=2&offset=4").len()), (5, 3, 1));
    let page = served.get("/dead-letters").ok().body;
    assert!(
        page.contains(&format!("value=\"{}\"", all[0])) && page.contains("/dead-letters/discard?all=yes"),
        "{page}"
    );
    let chosen = served.get(&format!("/dead-letters/choose?act=discard&task={}&task={}", all[0], all[1]));
    let to = format!("/dead-letters/discard?task={}&task={}", all[0], all[1]);
    assert_eq!((chosen.status, chosen.header("location")), (303, Some(to.as_str())));
    let asks = served.get(&to).ok().body;
    assert!(asks.contains("name=\"confirm\"") && asks.matches("name=\"task\"").count() == 2, "{asks}");
    let fields = to.split_once('?').unwrap().1;
    let done = served.form("/dead-letters/discard", &format!("{fields}&confirm=yes")).ok().body;
    assert!(done.contains("2 dead letters discarded."), "{done}");
    assert_eq!(letters(""), all[2..]);
    // Nothing chosen is not all.
    assert_eq!(served.form("/dead-letters/discard", "confirm=yes").status, 400);
    assert_eq!(served.post("/api/dead-letters/discard", "{}").status, 400);
    let one = served.form("/dead-letters/replay", &format!("task={}&confirm=yes", all[2]));
    assert!(one.status == 303 && one.header("location").unwrap().starts_with("/executions/"), "{one:?}");
    let done = served.post("/api/dead-letters/replay", r#"{"function":"bad"}"#).ok().json();
    assert_eq!(
        (ids(&done).len(), done["more"] == false, letters("function=bad").len()),
        (letters_left(&all, 2), true, 0)
    );
    served.post("/api/dead-letters/discard", r#"{"all":true}"#).ok();
    assert_eq!(letters("").len(), 0);
    let lines = served.audit();
    assert_eq!(lines[0]["ids"].as_array().unwrap().len(), 2);
    assert!(lines.iter().all(|line| ["replay", "discard"].contains(&line["action"].as_str().unwrap())));
}

/// Of the three bad ones, which are the oldest, that have one more after them replayed.
fn letters_left(all: &[String], seen_to: usize) -> usize {
    all.len() - seen_to - 1
}

fn a_mismatch_is_shown_from_both_sides_and_its_task_resumed(place: Where) {
    let house = House::new(place);
    let changed = Arc::new(AtomicBool::new(false));
    let is_changed = Arc::clone(&changed);
    house.function("other", |task| task.complete("1".into()));
    house.function("moody", move |task| {
        if is_changed.load(Ordering::SeqCst) {
            task.call("other", "[7]".into(), CallOptions::default())?;
        }
        let said = task.wait_signal("go", WaitSignalOptions::default())?;
        task.complete(said)
    });
    let _worker = house.worker();
    let served = Served::new(&house, &[]);
    let id = house.dispatch("moody");
    let one = format!("/executions/{id}");
    let waits = |count: usize| served.get(&format!("/api{one}/journal")).json()["operations"] == count;
    until("it waits", || waits(1));
    changed.store(true, Ordering::SeqCst);
    let signal = NewSignal { execution: id, name: "go".to_owned(), payload: "2".into(), id: None };
    house.on(house.executor.signal(signal)).unwrap();
    let parked = || served.get(&format!("/api{one}")).ok().json()["parked"].clone();
    until("it is parked", || parked().as_array().unwrap().len() == 1);
    let mismatch = parked()[0]["mismatch"].clone();
    assert_eq!(mismatch["recorded"], "wait for signal \"go\"", "{mismatch}");
    assert!(mismatch["requested"].as_str().unwrap().contains("activity \"other\" with args [7]"), "{mismatch}");
    let page = served.get(&one).ok().body;
    for word in ["Recorded", "Requested now", "wait for signal &quot;go&quot;", &format!("{one}/resume\"")] {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert_eq!(served.get("/api/overview").ok().json()["at_hand"]["parked"][0]["function"], "moody");
    changed.store(false, Ordering::SeqCst);
    assert!(served.get(&format!("{one}/resume")).ok().body.contains("1 parked task"));
    assert_eq!(served.form(&format!("{one}/resume"), "confirm=yes").status, 303);
    assert_eq!(house.end_of(id), ExecutionState::Completed);
    let line = served.audit()[0].clone();
    assert_eq!((&line["action"], &line["of"]), (&"resume".into(), &format!("execution {id}").into()));
}

fn what_waits_for_a_retry_begins_now_and_its_failures_are_shown(place: Where) {
    let house = House::new(place);
    let healed = house.flaky("<b>not yet</b>");
    let _worker = house.worker();
    let served = Served::new(&house, &[]);
    let id = house.dispatch("flaky");
    let one = format!("/executions/{id}");
    let waiting = || served.get(&format!("/api{one}")).ok().json()["waiting"].clone();
    until("it waits for its retry", || waiting().as_array().unwrap().len() == 1);
    assert_eq!((&waiting()[0]["function"], &waiting()[0]["retries"]), (&"flaky".into(), &1.into()));
    let row = || served.get(&format!("/api{one}/timeline")).ok().json()["rows"][0].clone();
    let failed = row()["attempts"][0].clone();
    assert!(
        failed["error"] == "Flaky: <b>not yet</b>" && failed["started"].as_i64() <= failed["ended"].as_i64(),
        "{failed}"
    );
    let page = served.get(&one).ok().body;
    assert!(page.contains("Retry now") && page.contains(&format!("{one}/hasten")), "{page}");
    let task = row()["id"].as_str().unwrap().to_owned();
    let of_task = served.get(&format!("{one}/tasks/{task}")).ok().body;
    assert!(of_task.contains("Earlier attempts") && of_task.contains("&lt;b&gt;not yet"), "{of_task}");
    assert!(served.get(&format!("{one}/hasten")).ok().body.contains("flaky"));
    healed.store(true, Ordering::SeqCst);
    assert_eq!(served.form(&format!("{one}/hasten"), "confirm=yes").status, 303);
    assert_eq!(house.end_of(id), ExecutionState::Completed);
    assert_eq!(served.post(&format!("/api{one}/hasten"), "").status, 409);
    assert_eq!(row()["attempts"].as_array().unwrap().len(), 1, "it is still told");
    let lines = served.audit();
    assert_eq!(
        (&lines[0]["action"], &lines[0]["of"], &lines[0]["ids"][0]),
        (&"hasten".into(), &format!("execution {id}").into(), &task.into(),)
    );
}
