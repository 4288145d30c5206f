//! Pages: each answers, alone and under a path, and a stream tells what has changed.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use stent::model::{DispatchOptions, ExecutionState, WaitSignalOptions};

use super::served::Served;
use crate::house::{House, Where, on_both, until};

on_both! {
    every_page_answers_with_and_without_anything_in_the_store,
    executions_are_found_by_filters_and_by_the_beginning_of_an_id,
    a_stream_tells_what_has_changed,
    what_waits_says_until_when,
    under_a_path_every_link_has_it,
    nothing_is_asked_of_the_store_while_nobody_looks,
    a_socket_serves_it_for_a_program_that_passes_requests_on,
}

const PAGES: [&str; 9] =
    ["/", "/executions", "/tasks", "/dead-letters", "/workers", "/functions", "/queues", "/health", "/dispatch"];

fn every_page_answers_with_and_without_anything_in_the_store(place: Where) {
    let house = House::new(place);
    let served = Served::new(&house, &[]);
    for page in PAGES {
        let answer = served.get(page).ok();
        assert!(answer.body.contains("<main") && answer.body.contains("Skip to the content"), "{page}");
    }
    assert!(served.get("/executions").body.contains("No executions."));
    house.exhibit();
    for page in PAGES {
        served.get(page).ok();
    }
    let failed =
        served.get("/api/executions?state=failed").ok().json()["executions"][0]["id"].as_str().unwrap().to_owned();
    let letter =
        served.get("/api/dead-letters").ok().json()["dead_letters"][0]["task"]["id"].as_str().unwrap().to_owned();
    let more = [
        (format!("/executions/{failed}"), vec!["CardDeclined", "stage", "attempts", "/retry\""]),
        (format!("/executions/{failed}/tree"), vec!["reserve", "charge", "3 attempts"]),
        (format!("/executions/{failed}/tasks/{letter}"), vec!["charge#1", "CardDeclined"]),
        (format!("/dead-letters/{letter}"), vec!["its attempts are used up", "/dead-letters/replay?task="]),
    ];
    for (page, words) in more {
        let body = served.get(&page).ok().body;
        for word in words {
            assert!(body.contains(word), "{page} has no {word}: {body}");
        }
    }
    for missing in
        ["/nothing", "/executions/x", "/executions?state=odd", "/executions/019ac89a-f000-7000-8000-00000000ffff"]
    {
        let answer = served.get(missing);
        assert!([400, 404].contains(&answer.status) && answer.body.contains("role=\"alert\""), "{missing}: {answer:?}");
    }
    // A file is asked for once, for ever.
    let page = served.get("/").ok().body;
    let style = page.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let style = served.get(style).ok();
    assert!(
        style.header("cache-control").unwrap().contains("immutable") && style.body.contains("prefers-color-scheme")
    );
    assert_eq!(served.get("/").ok().header("cache-control"), Some("no-store"));
}

fn executions_are_found_by_filters_and_by_the_beginning_of_an_id(place: Where) {
    let house = House::new(place);
    let options = |queue: &str| DispatchOptions {
        task: stent::model::TaskOptions { queue: Some(queue.to_owned()), ..Default::default() },
        ..DispatchOptions::default()
    };
    let send = |function: &str, queue: &str| {
        house.on(house.executor.dispatch(function, "[]".into(), options(queue))).unwrap().to_string()
    };
    let mut all: Vec<String> =
        (0..7).map(|n| send(if n == 3 { "odd" } else { "even" }, if n < 2 { "a" } else { "b" })).collect();
    all.reverse();
    let served = Served::new(&house, &[]);
    let ids = |query: &str| -> Vec<String> {
        let json = served.get(&format!("/api/executions?{query}")).ok().json();
        json["executions"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(""), all);
    assert_eq!(ids("function=odd"), all[3..4]);
    assert_eq!(ids("queue=a&state=pending&since=1h"), all[5..]);
    assert_eq!(ids("until=1h").len(), 0);
    for filter in ["", "&function=even"] {
        let mut found = Vec::new();
        let mut after = String::new();
        loop {
            let json = served.get(&format!("/api/executions?limit=2{filter}{after}")).ok().json();
            found.extend(
                json["executions"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()),
            );
            let Some(next) = json["next"].as_str() else { break };
            after = format!("&after={}", next.replace(':', "%3A").replace('+', "%2B"));
        }
        let due: Vec<&String> = all.iter().filter(|id| filter.is_empty() || **id != all[3]).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), due, "{filter}");
    }
    for length in [2, 8, 13, 18, 30, 36] {
        let found = ids(&format!("id={}", &all[2][..length]));
        assert!(found.contains(&all[2]), "{length}: {found:?}");
    }
    assert_eq!(ids(&format!("id={}", &all[2][..35])), all[2..3]);
    assert_eq!(ids("id=ffff").len(), 0);
    let whole = served.get(&format!("/executions?id={}", all[2]));
    assert_eq!((whole.status, whole.header("location")), (303, Some(format!("/executions/{}", all[2]).as_str())));
}

fn a_stream_tells_what_has_changed(place: Where) {
    let house = House::new(place);
    let served = Served::new(&house, &[]);
    let mut list = served.listen("/executions");
    list.until("No executions.");
    let id = house.dispatch("approval");
    list.until(&id.to_string());
    let mut one = served.listen(&format!("/executions/{id}"));
    one.until("s-pending");
    one.until("event: tasks");
    let worker = house.furnish();
    one.until("approved#1");
    house
        .on(house.executor.signal(stent::backend::NewSignal {
            execution: id,
            name: "approved".to_owned(),
            payload: "\"yes\"".into(),
            id: None,
        }))
        .unwrap();
    one.until("s-completed");
    assert_eq!(house.end_of(id), ExecutionState::Completed);
    // A page that has all rows is not sent them again.
    let digest =
        served.get(&format!("/api/executions/{id}/timeline")).ok().json()["digest"].as_str().unwrap().to_owned();
    let mut again = served.listen(&format!("/executions/{id}?digest={digest}"));
    again.until("r-said");
    drop(worker);
}

fn under_a_path_every_link_has_it(place: Where) {
    let house = House::new(place);
    house.exhibit();
    let served = Served::new(&house, &["--base-path", "/a/stent/"]);
    for page in ["/", "/executions", "/dead-letters", "/dispatch", "/executions/019ac89a-f000-7000-8000-000000000002"] {
        let body = served.get(page).ok().body;
        for name in ["href=\"", "action=\"", "data-stream=\"", "data-from=\"", " src=\""] {
            for link in body.split(name).skip(1) {
                let link = link.split('"').next().unwrap();
                assert!(link.starts_with("/a/stent/") || link.starts_with('#'), "{page}: {name}{link}");
            }
        }
    }
    // The proxy may take the path away.
    assert!(served.ask("GET", "/executions", &[], "").ok().body.contains("/a/stent/executions"));
    served.ask("GET", "/a/stent", &[], "").ok();
    let done = served.form("/dispatch", "function=f&args=%5B%5D&confirm=yes");
    assert!(done.status == 303 && done.header("location").unwrap().starts_with("/a/stent/executions/"), "{done:?}");
    until("it is there", || house.count(ExecutionState::Pending) == 1);
}

/// A task's own record has no time of what is a duration.
fn what_waits_says_until_when(place: Where) {
    const HOUR: Duration = Duration::from_secs(3600);
    let house = House::new(place);
    house.function("patient", |task| {
        let options = WaitSignalOptions { timeout: Some(HOUR), ..WaitSignalOptions::default() };
        let said = task.wait_signal("go", options)?;
        task.complete(said)
    });
    let _worker = house.worker();
    let id = house.dispatch("patient");
    let served = Served::new(&house, &[]);
    let rows = || served.get(&format!("/api/executions/{id}/timeline")).ok().json()["rows"].clone();
    until("it waits", || rows().as_array().unwrap().len() == 2);
    let rows = rows();
    let wait = rows.as_array().unwrap().iter().find(|row| row["kind"] == "signal").unwrap();
    let left = wait["due"].as_i64().unwrap() - wait["created"].as_i64().unwrap();
    assert!((left - 3_600_000_000).abs() < 60_000_000, "{wait}");
    let task = served.get(&format!("/api/executions/{id}/tasks/{}", wait["id"].as_str().unwrap())).ok().json();
    assert!(task["due"].is_string() && task["task"]["scheduled_for"].is_null(), "{task}");
    assert_eq!(served.get("/api/overview").ok().json()["at_hand"]["due"][0]["function"], "go");
}

/// Changes with each question that the page's process asks its store.
fn asked(house: &House, served: &Served) -> String {
    if !house.url.starts_with("postgresql:") {
        // What SQLite reads it has in memory, but each look is on a thread that waits for looks.
        let threads = std::fs::read_dir(format!("/proc/{}/task", served.process())).unwrap();
        let mut waits = Vec::new();
        for thread in threads {
            let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap_or_default();
            waits.extend(status.lines().filter(|line| line.starts_with("voluntary_ctxt_switches")).map(str::to_owned));
        }
        return waits.concat();
    }
    house.on(async {
        let mut conn = PgConnection::connect(&crate::postgres::shared().url).await.unwrap();
        let told =
            "SELECT count(*)::text || max(query_start)::text FROM pg_stat_activity WHERE application_name = 'looker'";
        conn.fetch_one(told).await.unwrap().get(0)
    })
}

fn nothing_is_asked_of_the_store_while_nobody_looks(place: Where) {
    let mut house = House::new(place);
    if house.url.starts_with("postgresql:") {
        house.url.push_str("&application_name=looker");
    }
    let served = Served::new(&house, &[]);
    let is_quiet = || {
        let before = asked(&house, &served);
        // Longer than any pause between the looks of an open page.
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(100));
            if asked(&house, &served) != before {
                return false;
            }
        }
        true
    };
    let mut stream = served.listen("/executions");
    stream.until("No executions.");
    assert!(!is_quiet(), "somebody looks, and it does not");
    drop(stream);
    let becomes_quiet = |when: &str| {
        let start = Instant::now();
        while !is_quiet() {
            assert!(start.elapsed() < Duration::from_secs(60), "nobody looks, and it does: {when}");
        }
    };
    becomes_quiet("after the stream");
    served.get("/executions").ok();
    becomes_quiet("after a page");
}

fn a_socket_serves_it_for_a_program_that_passes_requests_on(place: Where) {
    let house = House::new(place);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ui.sock");
    let listen = format!("unix:{}", path.display());
    let more = ["--listen", listen.as_str(), "--base-path", "/admin/stent", "--host", "app.example.com"];
    let mut served = Served::new(&house, &more);
    let host = ("Host", "app.example.com");
    let page = served.ask("GET", "/admin/stent/functions", &[host], "").ok().body;
    assert!(page.contains("href=\"/admin/stent/queues\""), "{page}");
    assert_eq!(served.ask("GET", "/admin/stent/", &[("Host", "evil.example")], "").status, 421);
    let file = std::fs::metadata(&path).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o700, "it is its user's alone");
    let secret = served.ask("GET", "/admin/stent/api/session", &[host], "").ok().json()["csrf"].clone();
    let headers = [host, ("X-Stent-CSRF", secret.as_str().unwrap()), ("X-Forwarded-For", "192.0.2.7")];
    served.ask("POST", "/admin/stent/api/queues/pause", &headers, r#"{"name":"q"}"#).ok();
    let line = served.audit()[0].clone();
    assert_eq!(
        (&line["remote"], &line["forwarded_for"]),
        (&format!("unix uid {}", file.uid()).into(), &"192.0.2.7".into())
    );
    // Who listens there stays; what a killed one has left is taken over.
    let second = house.say(&["ui", "--listen", &listen]);
    assert!(second.code == 1 && second.err.contains("in use"), "{second:?}");
    served.kill();
    assert!(path.exists());
    let served = Served::new(&house, &more);
    served.ask("GET", "/admin/stent/functions", &[host], "").ok();
    served.end();
    assert!(!path.exists(), "it takes its socket away");
    assert_eq!(house.say(&["ui", "--listen", "unix:"]).code, 2);
}
