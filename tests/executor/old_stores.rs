//! Stores that older versions of this library have left with work in every state in flight: each opens, is brought up
//! to date, and all of it ends. `tests/old_stores/` has them; `make` there says how they are made, and `fill.py` what is
//! in them under which number.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use stent::backend::{DeadLetterFilter, ExecutionFilter, NewSignal, Request, Response};
use stent::executor::Task;
use stent::model::{
    CallOptions, DispatchOptions, ExecutionState, FunctionOptions, Id, Number, Payload, Result, Status, TaskState,
    Timestamp, WaitMode, WaitSignalOptions,
};

use crate::KIND;
use crate::house::{Count, House, Kind, text, tries};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/old_stores");

/// The stores of this kind, and where each can be opened.
fn stores(folder: &Path) -> Vec<(PathBuf, String)> {
    let kind = match KIND {
        Kind::Sqlite => "sqlite-",
        Kind::Postgres { .. } => "postgres-",
        Kind::Protocol(_) => unreachable!("a store of one's own has no versions of ours"),
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().unwrap().to_str().unwrap().starts_with(kind));
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    let placed = |file: PathBuf| {
        let place = place(&file, folder);
        (file, place)
    };
    files.into_iter().map(placed).collect()
}

fn place(file: &Path, folder: &Path) -> String {
    let unpacked = Command::new("gzip").arg("-dc").arg(file).output().unwrap();
    assert!(unpacked.status.success(), "{unpacked:?}");
    if let Kind::Postgres { fresh_url, .. } = KIND {
        let url = fresh_url();
        let (server, options) = url.split_once("schema=").unwrap();
        let schema = options.split('&').next().unwrap();
        let sql = String::from_utf8(unpacked.stdout).unwrap().replace("the_old_store", schema);
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let mut conn = PgConnection::connect(server.trim_end_matches(['?', '&'])).await.unwrap();
            conn.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
            conn.close().await.unwrap();
        });
        return url;
    }
    let store = folder.join(file.file_stem().unwrap());
    std::fs::write(&store, unpacked.stdout).unwrap();
    store.to_str().unwrap().to_owned()
}

fn number(n: u32) -> Id {
    format!("00000000-0000-7000-8000-{n:012}").parse().unwrap()
}

fn first_argument(task: &Task) -> Payload {
    let args: Vec<Value> = serde_json::from_slice(task.args().as_bytes()).unwrap();
    args[0].to_string().into()
}

fn list(results: &[Payload]) -> Payload {
    format!("[{}]", results.iter().map(text).collect::<Vec<_>>().join(",")).into()
}

fn later() -> CallOptions {
    let mut options = CallOptions::default();
    options.task.queue = Some("later".to_owned());
    options
}

/// What `fill.py` has, in Rust. The count is of the calls whose results are recorded, and so must not be made again.
fn functions(house: &House) -> Count {
    let (again, step) = (Count::default(), Count::default());
    for name in ["echo", "child"] {
        house.function(name, |task| task.complete(first_argument(task)));
    }
    let one =
        FunctionOptions { max_concurrent: Some(1), queue: Some("limited".to_owned()), ..FunctionOptions::default() };
    house.function_with("limited", one, |task| task.complete(first_argument(task)));
    let seen = again.clone();
    house.function_with("cached", FunctionOptions { cached: true, ..FunctionOptions::default() }, move |task| {
        seen.up();
        task.complete("[\"another\",7]".into())
    });
    house.function_with("fails", tries(1), |task| task.complete("\"mended\"".into()));
    house.function_with("flaky", tries(5), |task| task.complete("\"at last\"".into()));
    house.function("parent", |task| {
        let first = task.call("echo", "[1]".into(), CallOptions::default())?;
        let second = task.call("child", "[\"later\"]".into(), later())?;
        task.complete(list(&[first, second]))
    });
    house.function("fan", |task| {
        let ops: Vec<_> = (0..10)
            .map(|n| match n {
                0..5 => task.spawn_call("echo", format!("[{n}]").into(), CallOptions::default()),
                _ => task.spawn_call("child", format!("[{n}]").into(), later()),
            })
            .collect::<Result<_>>()?;
        let results: Vec<_> = ops
            .into_iter()
            .map(|op| {
                task.await_ops(&[op], WaitMode::All, None)?;
                task.result(op)
            })
            .collect::<Result<_>>()?;
        task.complete(list(&results))
    });
    let made = step.clone();
    house.function("steps", move |task| {
        let begun = task.step_begin("make", None)?;
        if !begun.recorded {
            made.up();
            task.step_end(begun.op, Ok("\"made again\"".into()))?;
        }
        let go = task.wait_signal("go", WaitSignalOptions::default())?;
        task.complete(list(&[task.result(begun.op)?, go]))
    });
    house.function("listens", |task| {
        let early = task.wait_signal("early", WaitSignalOptions::default())?;
        let late = task.wait_signal("late", WaitSignalOptions::default())?;
        task.complete(list(&[early, late]))
    });
    house.function("sleeps", |task| {
        task.sleep(Duration::from_secs(5), None)?;
        task.complete("\"slept\"".into())
    });
    // Of another version than the one that did not fit.
    let second = FunctionOptions { version: Some("2".to_owned()), ..FunctionOptions::default() };
    house.function_with("changed", second, |task| {
        let before = task.call(
            "echo",
            "[\"before\"]".into(),
            CallOptions { key: Some("first".to_owned()), ..CallOptions::default() },
        )?;
        let go = task.wait_signal("go", WaitSignalOptions::default())?;
        task.complete(list(&[before, go]))
    });
    again
}

fn count(house: &House, state: Option<TaskState>) -> u64 {
    match house.on(house.backend.call(Request::CountTasks { queue: None, state })).unwrap() {
        Response::Count(count) => count,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_that_was_in_flight_ends() {
    let folder = tempfile::tempdir().unwrap();
    for (file, place) in stores(folder.path()) {
        eprintln!("{}", file.display());
        ends(&House::at(&place));
    }
}

fn ends(house: &House) {
    let result = |n: u32| -> Value {
        let result = house.result(number(n)).unwrap_or_else(|error| panic!("{n}: {error}"));
        serde_json::from_slice(result.as_bytes()).unwrap()
    };
    let state = |n: u32| house.on(house.executor.state(number(n))).unwrap();
    // What had ended is there as it was.
    assert_eq!(result(1), json!({ "a": 1 }));
    assert_eq!(result(2), json!("counted"));
    let said = state(2);
    assert_eq!(said.counters["files"], Number::Integer(3));
    assert!(said.execution.progress.iter().any(|entry| {
        let detail = entry.detail.as_ref().map(|detail| text(detail).to_owned());
        detail.is_some_and(|detail| detail.contains("half"))
    }));
    assert_eq!(house.result(number(4)).unwrap_err().status(), Status::Failed);
    let letters =
        house.on(house.executor.dead_letters(DeadLetterFilter { limit: 10, ..DeadLetterFilter::default() })).unwrap();
    assert_eq!(letters.iter().map(|letter| letter.task.execution_id).collect::<Vec<_>>(), [number(4)]);

    let again = functions(house);
    let worker = house.worker(8);
    let tell = |n: u32, name: &str, payload: &str| {
        let signal = NewSignal { execution: number(n), name: name.to_owned(), payload: payload.into(), id: None };
        house.on(house.executor.signal(signal)).unwrap();
    };
    tell(7, "go", "5");
    tell(8, "late", "\"worm\"");
    let expected = [
        (5, json!([1, "later"])),
        (6, json!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])),
        (7, json!(["made by the old version", 5])),
        (8, json!(["bird", "worm"])),
        (9, json!("slept")),
        (10, json!("at last")),
        (11, json!(["before", 11])),
        (13, json!("keyed")),
        (14, json!("pending")),
        (15, json!("delayed")),
        (17, json!("held")),
        (18, json!("next")),
        (19, json!("keyed too")),
    ];
    for (n, expected) in expected {
        assert_eq!(result(n), expected, "{n}");
    }
    for (n, expected) in [(12, ExecutionState::Cancelled), (16, ExecutionState::TimedOut)] {
        let ended = house.on(house.executor.wait(number(n), crate::house::SOON)).unwrap();
        assert_eq!(ended.execution.state, expected, "{n}");
    }
    // Keys and kept results hold.
    let keyed = |key: &str, value: &str| {
        let options = DispatchOptions { idempotency_key: Some(key.to_owned()), ..DispatchOptions::default() };
        house.on(house.executor.dispatch("echo", value.into(), options)).unwrap()
    };
    assert_eq!(keyed("order-7", "[\"keyed\"]"), number(13));
    assert_eq!(keyed("order-8", "[\"keyed too\"]"), number(19));
    assert_eq!(text(&house.run("cached", "[7]").unwrap()), "[\"the first\",7]");
    assert_eq!(again.get(), 0);
    let replayed = house.on(house.executor.replay_dead_letter(letters[0].task.id)).unwrap();
    assert_eq!(text(&house.result(replayed.execution).unwrap()), "\"mended\"");
    house.on(worker.stop(crate::house::SOON)).unwrap();

    for open in [TaskState::Pending, TaskState::Running, TaskState::Waiting] {
        assert_eq!(count(house, Some(open)), 0, "{open:?}");
    }
    // All that is over goes, but what a dead letter needs.
    let future = Timestamp::from_micros(state(1).execution.created_at.micros() + 1_000_000 * 3600 * 24 * 365 * 100);
    let Response::Count(gone) =
        house.on(house.backend.call(Request::CleanupExecutions { older_than: future })).unwrap()
    else {
        panic!("no count");
    };
    assert!(gone >= 19, "{gone}");
    let left = house.on(house.executor.list(ExecutionFilter { limit: 100, ..ExecutionFilter::default() })).unwrap();
    assert!(left.iter().all(|execution| execution.id == number(4)), "{left:?}");
}
