//! Unique keys hold for plain SQL and the library alike.

use std::time::Duration;

use stent::backend::Request;
use stent::model::{DispatchOptions, Timestamp};

use super::Client;
use crate::house::{House, text};
use crate::postgres::fresh_url;

#[test]
fn a_key_of_sql_is_one_of_the_librarys_and_the_other_way_round() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    let client = house.on(Client::of(&url));
    let key = "{\"unique_key\": \"k\"}";
    let unique = || DispatchOptions { unique_key: Some("k".to_owned()), ..DispatchOptions::default() };
    let dispatched = |args: &str, options: &str| house.on(client.dispatch("echo", args, options)).unwrap();
    let by_executor = |args: &str, options| house.on(house.executor.dispatch("echo", args.into(), options)).unwrap();

    house.on(client.say("BEGIN"));
    let lost = dispatched("[1]", key);
    assert_eq!(dispatched("[2]", key), lost, "in its own transaction");
    house.on(client.say("ROLLBACK"));
    let by_library = by_executor("[3]", unique());
    assert_ne!(by_library, lost);
    assert_eq!(dispatched("[4]", key), by_library);
    // What has started nothing has not used its idempotency key.
    assert_eq!(dispatched("[4]", "{\"unique_key\": \"k\", \"idempotency_key\": \"i\"}"), by_library);
    assert_eq!(house.on(client.one("SELECT count(*)::text FROM stent.idempotency")), "0");
    let refuse = "{\"unique_key\": \"k\", \"unique_existing\": \"refuse\"}";
    let why = house.on(client.dispatch("echo", "[5]", refuse)).unwrap_err();
    assert_eq!((why.state.as_str(), why.detail.as_str()), ("23505", "STENT_E_CONFLICT"));
    assert!(why.told.contains(&format!("is taken by execution {by_library}, which is not over")), "{why:?}");

    let _worker = house.worker(4);
    house.result(by_library).unwrap();
    let by_sql = dispatched("[6]", key);
    assert_ne!(by_sql, by_library);
    house.result(by_sql).unwrap();
    // In a window, whatever has become of it.
    assert_eq!(dispatched("[7]", "{\"unique_key\": \"k\", \"unique_for\": \"1h\"}"), by_sql);
    let window = DispatchOptions { unique_for: Some(Duration::from_secs(3600)), ..unique() };
    assert_eq!(by_executor("[8]", window), by_sql);
    assert_ne!(dispatched("[9]", "{\"unique_key\": \"k\", \"unique_for\": 0}"), by_sql);
}

#[test]
fn all_that_had_the_key_must_be_over_and_a_window_keeps_what_it_answers() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    let client = house.on(Client::of(&url));
    let unique = || DispatchOptions { unique_key: Some("k".to_owned()), ..DispatchOptions::default() };
    let dispatched = |options: &str| house.on(client.dispatch("echo", "[1]", options)).unwrap();
    let by_executor = |options| house.on(house.executor.dispatch("echo", "[1]".into(), options)).unwrap();
    let cancel = |id| house.on(house.executor.cancel(id, None)).unwrap();

    let (key, over) = ("{\"unique_key\": \"k\"}", "{\"unique_key\": \"k\", \"unique_for\": 0}");
    let first = by_executor(unique());
    let second = dispatched(over);
    let third = dispatched(over);
    assert_eq!([dispatched(key), by_executor(unique())], [third; 2]);
    cancel(third);
    assert_eq!([dispatched(key), by_executor(unique())], [second; 2]);
    cancel(first);
    let [fourth, fifth] = [dispatched(over), dispatched(over)];
    let earlier = "SELECT string_agg(execution_id::text, ' ' ORDER BY dispatched_at) FROM stent.unique_earlier";
    assert_eq!(house.on(client.one(earlier)), format!("{second} {fourth}"), "those that are over are forgotten");
    cancel(fourth);
    cancel(fifth);
    assert_eq!([dispatched(key), by_executor(unique())], [second; 2]);
    cancel(second);
    let hour = "{\"unique_key\": \"of a window\", \"unique_for\": \"1h\"}";
    let within = dispatched(hour);
    cancel(within);
    let older_than = Timestamp::from_micros(i64::MAX / 2);
    house.on(house.backend.call(Request::CleanupExecutions { older_than })).unwrap();
    assert_eq!(house.on(client.one("SELECT string_agg(id::text, ' ') FROM stent.executions")), within.to_string());
    assert_eq!(house.on(client.one(&format!("SELECT coalesce(({earlier}), 'none')"))), "none");
    assert_eq!(dispatched(hour), within);
}

/// What its transaction has written beside is there for whom it has found waiting.
#[test]
fn one_that_is_found_waiting_does_not_begin_before_the_commit() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    let (client, other) = house.on(async { (Client::of(&url).await, Client::of(&url).await) });
    let pending = "{\"unique_key\": \"k\", \"unique_while\": \"pending\"}";
    let dispatched = || house.on(client.dispatch("echo", "[1]", pending)).unwrap();
    let id = dispatched();
    house.on(client.say("BEGIN"));
    assert_eq!(dispatched(), id);
    let _worker = house.worker(4);
    assert_eq!(text(&house.run("echo", "[2]").unwrap()), "[2]");
    let fence = format!("SELECT t.fence::text FROM stent.tasks AS t WHERE t.execution_id = '{id}'");
    assert_eq!(house.on(other.one(&fence)), "0");
    house.on(client.say("COMMIT"));
    house.result(id).unwrap();
    assert_ne!(dispatched(), id);
}

#[test]
fn a_debounce_of_sql_is_one_of_the_librarys_and_the_other_way_round() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    let client = house.on(Client::of(&url));
    let hour = Some(Duration::from_secs(3600));
    let key = || Some("k".to_owned());
    let quiet = || DispatchOptions { unique_key: key(), debounce: hour, ..DispatchOptions::default() };
    let dispatched = |args: &str, options: &str| house.on(client.dispatch("echo", args, options)).unwrap();
    let by_executor = |args: &str, options| house.on(house.executor.dispatch("echo", args.into(), options)).unwrap();
    let long = "{\"unique_key\": \"k\", \"debounce\": \"2h\"}";
    let at_once = "{\"unique_key\": \"k\", \"debounce\": \"1h\", \"debounce_max\": \"1ms\"}";

    let id = by_executor("[1]", quiet());
    house.on(client.say("BEGIN"));
    assert_eq!(dispatched("[2]", at_once), id);
    house.on(client.say("ROLLBACK"));
    let _worker = house.worker(4);
    assert_eq!(dispatched("[3]", long), id);
    let args = "SELECT convert_from(e.args, 'UTF8') || convert_from(t.args, 'UTF8') \
                FROM stent.executions AS e JOIN stent.tasks AS t ON t.execution_id = e.id";
    assert_eq!(house.on(client.one(args)), "[3][3]");
    // Each with its own time until it is ended, from its own start on.
    let hours = "SELECT coalesce((extract(epoch FROM expiry_at - created_at)::bigint / 3600)::text, 'none') || \
                 (due_at IS NOT DISTINCT FROM expiry_at)::text FROM stent.executions";
    let long_with = |time: &str| format!("{{\"unique_key\": \"k\", \"debounce\": \"2h\", {time}}}");
    for (time, expected) in [("\"expiry\": \"5h\"", "5true"), ("\"max_duration\": \"5h\"", "7true")] {
        assert_eq!(dispatched("[3]", &long_with(time)), id);
        assert_eq!(house.on(client.one(hours)), expected);
    }
    assert_eq!(dispatched("[3]", long), id);
    assert_eq!(house.on(client.one(hours)), "nonetrue");
    assert_eq!(dispatched("[4]", at_once), id);
    assert_eq!(text(&house.result(id).unwrap()), "[4]");
    let second = dispatched("[5]", long);
    assert_ne!(second, id);
    let soon = DispatchOptions { debounce: Some(Duration::from_millis(1)), ..quiet() };
    assert_eq!(by_executor("[6]", soon), second);
    assert_eq!(text(&house.result(second).unwrap()), "[6]");
    let why = house.on(client.dispatch("echo", "[7]", "{\"unique_key\": \"k\", \"debounce\": 1, \"cached\": true}"));
    assert!(why.unwrap_err().told.contains("idempotent or cached"));
}

#[test]
fn a_key_that_means_nothing_any_more_is_deleted_and_nobody_is_waited_for() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    let _worker = house.worker(4);
    let (client, other) = house.on(async { (Client::of(&url).await, Client::of(&url).await) });
    for number in 0..3 {
        let ends = house.on(client.dispatch("echo", "[1]", &format!("{{\"unique_key\": \"{number}\"}}"))).unwrap();
        house.result(ends).unwrap();
    }
    house.on(client.dispatch("waits", "[1]", "{\"unique_key\": \"0\"}")).unwrap();
    let cleanup = || {
        let older_than = Timestamp::from_micros(0);
        house.on(house.backend.call(Request::CleanupExecutions { older_than })).unwrap();
        house.on(other.one("SELECT string_agg(key, ' ' ORDER BY key COLLATE \"C\") FROM stent.unique_keys"))
    };
    assert_eq!(cleanup(), "echo/0 echo/1 echo/2 waits/0");
    house.on(client.say("UPDATE stent.unique_keys SET expires_at = now() - interval '1 hour' WHERE key <> 'echo/0'"));
    house.on(client.say("BEGIN; UPDATE stent.unique_keys SET key = key WHERE key = 'echo/1'"));
    assert_eq!(cleanup(), "echo/0 echo/1 waits/0");
    house.on(client.say("COMMIT"));
    assert_eq!(cleanup(), "echo/0 waits/0");
}
