//! A database that was made for one part of the world, and words of another.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use stent::backend::{DeadLetterFilter, ExecutionFilter, NewSignal};
use stent::model::{DispatchOptions, Failure, FunctionOptions, TaskOptions, WaitSignalOptions, WorkerOptions};

use crate::house::{Count, House, SOON, text, tries};
use crate::plain_sql::Client;
use crate::postgres::shared;

const WORD: &str = "日本語 \u{7f}0; ü";

fn on_the_server(sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut conn = PgConnection::connect(&shared().url).await.unwrap();
        conn.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
        conn.close().await.unwrap();
    });
}

/// A database of that encoding, and its URL.
fn database(encoding: &str) -> (String, String) {
    let name = format!("stent_{}_{}", encoding.to_lowercase(), std::process::id());
    on_the_server(&format!(
        "CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    ));
    let (place, options) = shared().url.split_once('?').unwrap_or((&shared().url, ""));
    let place = place.rsplit_once('/').unwrap().0;
    let url = format!("{place}/{name}?{options}&min_size=0&max_size=4");
    (name, url)
}

fn in_all_columns(encoding: &str) {
    let (name, url) = database(encoding);
    {
        let house = House::at(&url);
        let runs = Count::default();
        let run = runs.clone();
        // Names of one's own have no control characters; what is said has any.
        house.function_with("関数", FunctionOptions { version: Some("版".into()), ..tries(1) }, move |task| {
            run.up();
            let signal = task.wait_signal("信号", WaitSignalOptions { timeout: None, key: Some("鍵".into()) })?;
            task.state_set("状態", signal)?;
            task.fail(Failure::new("a\0é", WORD))
        });
        let _worker = house.worker_with(WorkerOptions {
            worker_id: Some("労働者".into()),
            queues: vec!["列".into()],
            tags: vec!["札".into()],
            ..WorkerOptions::default()
        });
        let task = TaskOptions {
            queue: Some("列".into()),
            tags: Some(vec!["札".into(), "ü".into()]),
            ..TaskOptions::default()
        };
        let options =
            DispatchOptions { idempotency_key: Some("鍵".into()), task: task.clone(), ..DispatchOptions::default() };
        let id = house.on(house.executor.dispatch("関数", "[1]".into(), options.clone())).unwrap();
        assert_eq!(house.on(house.executor.dispatch("関数", "[1]".into(), options)).unwrap(), id);
        let signal = NewSignal { execution: id, name: "信号".into(), payload: "7".into(), id: Some(WORD.into()) };
        house.on(house.executor.signal(signal)).unwrap();
        let error = house.result(id).unwrap_err();
        assert_eq!(error.failure().map(|failure| (&*failure.kind, &*failure.message)), Some(("a\0é", WORD)));
        let snapshot = house.on(house.executor.state(id)).unwrap();
        assert_eq!(snapshot.state.get("状態").map(text), Some("7"));
        assert_eq!(snapshot.execution.tags, ["札", "ü"]);
        let filter = DeadLetterFilter { function: Some("関数".into()), limit: 9, ..DeadLetterFilter::default() };
        let letters = house.on(house.executor.dead_letters(filter)).unwrap();
        assert!(letters.len() == 1 && letters[0].reason.contains(WORD), "{letters:#?}");
        let filter = ExecutionFilter { tag: Some("札".into()), limit: 9, ..ExecutionFilter::default() };
        assert_eq!(house.on(house.executor.list(filter)).unwrap().len(), 1);

        let later = DispatchOptions { delay: Some(Duration::from_secs(3600)), task, ..DispatchOptions::default() };
        let id = house.on(house.executor.dispatch("関数", "[]".into(), later)).unwrap();
        house.on(house.executor.cancel(id, Some(WORD.to_owned()))).unwrap();
        house.on(house.executor.wait(id, SOON)).unwrap();
        assert_eq!(house.on(house.executor.state(id)).unwrap().cancel_reason.as_deref(), Some(WORD));
        assert_eq!(runs.get(), 2, "once to the wait, and once from it on");
    }
    on_the_server(&format!("DROP DATABASE {name} WITH (FORCE)"));
}

#[test]
fn any_word_in_latin1() {
    in_all_columns("LATIN1");
}

#[test]
fn any_word_in_euc_jp() {
    in_all_columns("EUC_JP");
}

#[test]
fn any_word_in_sql_ascii() {
    in_all_columns("SQL_ASCII");
}

/// Names and arguments in plain SQL are the same as those of the library.
#[test]
fn plain_sql_says_the_same_in_a_database_of_any_encoding() {
    for (encoding, function, queue) in [
        ("LATIN1", "f\u{fc}", "q\u{e9}"),
        ("EUC_JP", "\u{95a2}\u{6570}", "\u{5217}"),
        ("SQL_ASCII", "\u{95a2}\u{6570}", "\u{5217}"),
    ] {
        let (name, url) = database(encoding);
        {
            let house = House::at(&url);
            house.echo(function);
            let worker = WorkerOptions { queues: vec![queue.to_owned()], ..WorkerOptions::default() };
            let _worker = house.worker_with(worker);
            let client = house.on(Client::at(url.split_once('?').unwrap().0, "stent"));
            let args = format!("[\"{queue}\", \"\\u65e5\"]");
            let options =
                format!("{{\"queue\": \"{queue}\", \"tags\": [\"z\", \"{queue}\"], \"idempotency_key\": \"{queue}\"}}");
            let id = house.on(client.dispatch(function, &args, &options)).unwrap();
            assert_eq!(text(&house.result(id).unwrap()), args, "{encoding}");
            let snapshot = house.on(house.backend.snapshot(id)).unwrap().unwrap().execution;
            assert_eq!(
                (snapshot.root_function.as_str(), snapshot.queue.as_deref()),
                (function, Some(queue)),
                "{encoding}"
            );
            assert_eq!(snapshot.tags, ["z", queue]);
            // The same key and arguments, by the library and with the character itself.
            let task = TaskOptions { queue: Some(queue.to_owned()), ..TaskOptions::default() };
            let keyed = DispatchOptions { idempotency_key: Some(queue.to_owned()), task, ..DispatchOptions::default() };
            let again =
                house.on(house.executor.dispatch(function, format!("[\"{queue}\",\"\u{65e5}\"]").into(), keyed));
            assert_eq!(again.unwrap(), id, "{encoding}");
        }
        on_the_server(&format!("DROP DATABASE {name} WITH (FORCE)"));
    }
}
