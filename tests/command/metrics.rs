//! Metrics: what is told is what was done, of a store and of an executor.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use stent::backend::{NewPause, Pausable};
use stent::executor::Task;
use stent::model::{
    CallOptions, DispatchOptions, Failure, FunctionOptions, Id, Payload, Status, TaskOptions, WaitSignalOptions,
};

use crate::exposition::{Metrics, read};
use crate::house::{House, Where, on_both, stent, until};

on_both! {
    an_executor_tells_what_was_done,
    a_store_tells_how_it_stands,
    metrics_are_served_and_the_store_is_asked_once,
    a_store_that_fails_is_no_page,
}

/// A task waits so long for its worker, and runs so long.
const WHILE: Duration = Duration::from_millis(60);

fn fast() -> TaskOptions {
    TaskOptions { queue: Some("fa\"st".to_owned()), ..TaskOptions::default() }
}

/// Three completed in a queue, one failed, one that waited for a child, one that waits, one that waited long and ran
/// long, and two that nobody can run.
fn busy(place: Where) -> House {
    let house = House::new(place);
    house.function("ok", |task| task.complete(Payload::from(r#"{"items":3}"#)));
    house.function("bad", |task| task.fail(Failure::new("Bad", "no")));
    house.function("parent", |task| {
        let options = CallOptions { task: fast(), ..CallOptions::default() };
        let result = task.call("ok", task.args(), options)?;
        task.complete(result)
    });
    house.function("slow", |task| {
        std::thread::sleep(WHILE);
        task.complete(Payload::null())
    });
    house.function("waits", |task| {
        let said = task.wait_signal("go", WaitSignalOptions::default())?;
        task.complete(said)
    });
    let one_by_one = FunctionOptions { max_concurrent_per_key: Some(1), ..FunctionOptions::default() };
    house.executor.register("shared", one_by_one, Some(Arc::new(|_: &Task| Status::Ok))).unwrap();
    let slow = house.dispatch("slow");
    std::thread::sleep(WHILE);
    let worker = house.worker();
    let dispatch = |function: &str, task: TaskOptions| -> Id {
        let options = DispatchOptions { task, ..DispatchOptions::default() };
        house.on(house.executor.dispatch(function, "[7]".into(), options)).unwrap()
    };
    let mut all: Vec<Id> = (0..3).map(|_| dispatch("ok", fast())).collect();
    all.extend([slow, dispatch("bad", TaskOptions::default()), dispatch("parent", TaskOptions::default())]);
    for id in all {
        house.on(house.executor.wait(id, Some(Duration::from_secs(30)))).unwrap();
    }
    let pause = NewPause { what: Pausable::Queue("nobodys".to_owned()), reason: None, by: None };
    house.on(house.executor.pause(pause)).unwrap();
    // One has the slot of its key, in a queue that stands still; the other waits for it.
    for _ in 0..2 {
        let key = Some("one".to_owned());
        dispatch(
            "shared",
            TaskOptions { queue: Some("nobodys".to_owned()), concurrency_key: key, ..TaskOptions::default() },
        );
    }
    house.dispatch("waits");
    house.dispatch("unheard_of");
    house.dispatch("unheard_of");
    until("the one that waits does, and all is recorded here", || {
        let counters = house.on(house.executor.stats()).unwrap().metrics.counters;
        counters.suspended == 2 && counters.completed == 6
    });
    // Freed with the process; dropping it would drain it.
    std::mem::forget(worker);
    house
}

/// What both say of the store.
fn of_the_store(metrics: &Metrics) {
    let executions = |state| metrics.get("stent_executions", &[("state", state)]);
    assert_eq!(["completed", "failed", "running", "pending", "cancelled"].map(executions), [5.0, 1.0, 1.0, 4.0, 0.0]);
    let tasks = |state| metrics.get("stent_tasks", &[("state", state)]);
    assert_eq!(["completed", "failed", "pending", "running"].map(tasks), [6.0, 1.0, 4.0, 0.0]);
    let unheard = [("queue", ""), ("function", "unheard_of")];
    assert_eq!(metrics.get("stent_ready_tasks", &unheard), 2.0);
    assert!(metrics.get("stent_ready_oldest_seconds", &unheard) > 0.0);
    assert_eq!(metrics.get("stent_waiting_for_slots_tasks", &[("function", "shared")]), 1.0);
    let single = |name: &str| metrics.get(name, &[]);
    assert_eq!(single("stent_scheduled_tasks"), 0.0);
    assert_eq!(single("stent_dead_letters"), 1.0);
    assert_eq!(single("stent_parked_tasks"), 0.0);
    assert_eq!(single("stent_workers"), 1.0);
}

fn an_executor_tells_what_was_done(place: Where) {
    let house = busy(place);
    let stats = house.on(house.executor.stats()).unwrap();
    let metrics = read(&stats.to_prometheus());
    of_the_store(&metrics);
    let total = |name: &str| metrics.get(&format!("stent_{name}_total"), &[]);
    let counted = ["claimed", "completed", "failed", "dead_lettered", "suspended", "resumed", "retried", "parked"];
    assert_eq!(counted.map(total), [9.0, 6.0, 1.0, 1.0, 2.0, 1.0, 0.0, 0.0]);
    let slots = |what| metrics.get("stent_worker_slots", &[("worker", "w1"), ("use", what)]);
    assert_eq!((slots("running"), slots("prefetched")), (0.0, 0.0));
    assert!(slots("all") >= 1.0);

    let ok = [("queue", "fa\"st"), ("function", "ok")];
    let [bad, parent, slow, waits] = ["bad", "parent", "slow", "waits"].map(|name| [("queue", ""), ("function", name)]);
    let outcome = |of: [(&str, &str); 2], what| metrics.get("stent_outcomes_total", &[of[0], of[1], ("outcome", what)]);
    assert_eq!(["completed", "retried", "suspended"].map(|what| outcome(ok, what)), [4.0, 0.0, 0.0]);
    assert_eq!(["dead_lettered", "completed"].map(|what| outcome(bad, what)), [1.0, 0.0]);
    assert_eq!(["completed", "suspended"].map(|what| outcome(parent, what)), [1.0, 1.0]);
    assert_eq!(["completed", "suspended"].map(|what| outcome(waits, what)), [0.0, 1.0]);

    let count = |name: &str, of: [(&str, &str); 2]| metrics.get(&format!("stent_{name}_count"), &of);
    let sum = |name: &str, of: [(&str, &str); 2]| metrics.get(&format!("stent_{name}_sum"), &of);
    let all = ["queue_age_seconds", "claim_to_start_seconds", "run_seconds"];
    assert_eq!(all.map(|name| count(name, ok)), [4.0, 4.0, 4.0]);
    // How long a wait was over before it was claimed is not known.
    assert_eq!(all.map(|name| count(name, parent)), [1.0, 2.0, 2.0]);
    assert_eq!(all.map(|name| count(name, bad)), [1.0, 1.0, 1.0]);
    assert_eq!(metrics.get("stent_schedule_to_start_seconds_count", &[]), 8.0);
    for name in ["queue_age_seconds", "run_seconds"] {
        assert!((WHILE.as_secs_f64()..30.0).contains(&sum(name, slow)), "{name}: {}", sum(name, slow));
        let below = |le| metrics.get(&format!("stent_{name}_bucket"), &[slow[0], slow[1], ("le", le)]);
        assert_eq!((below("0.05"), below("+Inf")), (0.0, 1.0));
    }
    let json: Value = serde_json::from_str(&stent::codec::to_json(&stats)).unwrap();
    // Four results; and the arguments of a child, which is suspended for, and a result.
    assert_eq!((sum("commit_bytes", ok), count("commit_bytes", ok)), (44.0, 4.0));
    assert_eq!(metrics.get("stent_commit_bytes_bucket", &[ok[0], ok[1], ("le", "64")]), 4.0);
    assert_eq!((sum("commit_bytes", parent), sum("commit_bytes", waits)), (14.0, 0.0));
    // Every end, and perhaps that a body has begun.
    assert!(metrics.get("stent_commit_transitions_sum", &[]) >= 9.0);
    assert!((1.0..=9.0).contains(&metrics.get("stent_commit_transitions_count", &[])), "{json}");

    // The same as JSON.
    let own = json["metrics"]["by_function"].as_array().unwrap();
    let own = own.iter().find(|one| one["function"] == "ok" && one["queue"] == "fa\"st").unwrap();
    assert_eq!((&own["outcomes"]["completed"], &own["commit_size"]["sum_bytes"]), (&4.into(), &44.into()));
    let observed = |histogram: &Value| -> u64 {
        histogram["buckets"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum()
    };
    assert_eq!((observed(&own["run_time"]), observed(&json["metrics"]["run_time"])), (4, 9));
    let bounds = json["metrics"]["bounds"]["us"].as_array().unwrap().len();
    assert_eq!(own["run_time"]["buckets"].as_array().unwrap().len(), bounds + 1);

    // What is described is what is there.
    let described: Value = serde_json::from_str(stent::codec::describe()).unwrap();
    let mut families = metrics.families.clone();
    for metric in described["metrics"].as_array().unwrap() {
        let name = metric["name"].as_str().unwrap();
        let Some((kind, labels)) = families.remove(name) else {
            assert!(name.starts_with("stent_wal_") && house.url.starts_with("postgresql"), "{name} is not there");
            continue;
        };
        assert_eq!(metric["type"], kind, "{name}");
        let told = metric["labels"].as_array().unwrap().iter().map(|label| label.as_str().unwrap().to_owned());
        assert_eq!(labels, told.collect(), "{name}");
    }
    assert!(families.is_empty(), "stent_describe does not know {families:?}");
}

fn a_store_tells_how_it_stands(place: Where) {
    let house = busy(place);
    let metrics = read(&house.say(&["metrics"]).ok().out);
    of_the_store(&metrics);
    let single = |name: &str| metrics.get(name, &[]);
    assert_eq!(metrics.get("stent_unserved_tasks", &[("queue", ""), ("function", "unheard_of")]), 2.0);
    assert_eq!((single("stent_expired_leases"), single("stent_late_tasks")), (0.0, 0.0));
    assert!(single("stent_store_bytes") > 10_000.0);
    assert!(single("stent_schema_version") >= 1.0);
    assert!(single("stent_look_seconds") > 0.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((single("stent_last_sweep_timestamp_seconds") - now).abs() < 60.0);
    let json = house.say(&["--json", "metrics"]).ok().json();
    assert_eq!((&json["stats"]["dead_letters"], &json["stats"]["executions"]["failed"]), (&1.into(), &1.into()));
}

/// Is ended with the test.
struct Served {
    child: Child,
    address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Served {
    fn new(house: &House, keep: &str) -> Self {
        let mut command = stent();
        command.args(["--db", &house.url, "metrics", "--listen", "127.0.0.1:0", "--keep", keep]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).expect(&line).split("/metrics").next().unwrap().to_owned();
        Self { child, address }
    }

    /// Status, head and body.
    fn ask(&self, method: &str, path: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
    }
}

fn metrics_are_served_and_the_store_is_asked_once(place: Where) {
    let house = House::new(place);
    house.dispatch("f");
    let pending = |body: &str| read(body).get("stent_executions", &[("state", "pending")]);
    let (long, short) = (Served::new(&house, "1h"), Served::new(&house, "0s"));
    let (status, head, first) = long.ask("GET", "/metrics");
    assert!(status == 200 && head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert_eq!((pending(&first), pending(&short.ask("GET", "/metrics").2)), (1.0, 1.0));
    house.dispatch("f");
    assert_eq!(long.ask("GET", "/metrics").2, first, "it was kept");
    assert_eq!(pending(&short.ask("GET", "/metrics").2), 2.0);
    let (status, _, body) = long.ask("HEAD", "/metrics");
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(long.ask("GET", "/").0, 404);
    assert_eq!(long.ask("POST", "/metrics").0, 405);
    // Another one there is told what to do.
    let said = house.say(&["metrics", "--listen", &long.address]);
    assert!(said.code == 1 && said.err.contains("--listen ADDRESS:PORT"), "{said:?}");
}

/// Takes a table away.
async fn ruin(url: &str) {
    let drop = sqlx::raw_sql("DROP TABLE dead_letters");
    if !url.starts_with("postgresql") {
        let file = SqliteConnectOptions::new().filename(url);
        file.connect().await.unwrap().execute(drop).await.unwrap();
        return;
    }
    let schema = url.split("schema=").nth(1).unwrap().split('&').next().unwrap();
    let mut conn = PgConnection::connect(&crate::postgres::shared().url).await.unwrap();
    conn.execute(sqlx::AssertSqlSafe(format!("SET search_path TO \"{schema}\""))).await.unwrap();
    conn.execute(drop).await.unwrap();
}

fn a_store_that_fails_is_no_page(place: Where) {
    let house = House::new(place);
    let served = Served::new(&house, "0s");
    assert_eq!(served.ask("GET", "/metrics").0, 200);
    house.on(ruin(&house.url));
    let (status, _, body) = served.ask("GET", "/metrics");
    assert!(status == 503 && !body.contains("stent_executions"), "{status} {body}");
}
