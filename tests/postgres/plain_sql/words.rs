//! What the library refuses is refused in SQL, as the same kind of error, and what it takes is taken, to the byte.

use std::time::Instant;

use stent::model::{Id, Status};

use super::{Client, by_library};
use crate::house::House;
use crate::postgres::fresh_url;

/// Arguments of a dispatch, good and bad ones: function, args, options.
fn asked() -> Vec<(String, String, String)> {
    let mut all: Vec<(String, String, String)> = Vec::new();
    let long = |length: usize| "x".repeat(length);
    for function in [
        "f",
        "",
        "a\nb",
        "\u{7f}",
        "\u{85}",
        "\u{a0}",
        "\u{e9}",
        " ",
        "\u{4e85}\u{c2}",
        &long(255),
        &long(256),
        &"\u{e9}".repeat(128),
    ] {
        all.push((function.to_owned(), "[]".to_owned(), "{}".to_owned()));
    }
    for args in [
        "[]",
        "",
        " ",
        "[1",
        "{}",
        "null",
        "1",
        "[1]x",
        "[01]",
        "[1.]",
        "[\"\\x\"]",
        "[\"\t\"]",
        "[\"\\ud800\"]",
        "[\"\\u0000\"]",
        "[tru]",
        " [1, 2 ]\n",
        "[1e999]",
        "[{\"a\":1,\"a\":2}]",
        "[{\"$base64\":\"AA==\"}]",
        "[{\"$base64\":\"A\"}]",
        "[{\"\\u0024base64\":\"%\"}]",
        "[{\"$base64\":\"AB==\"}]",
        "[{\"$base64\":\"%\",\"b\":1}]",
        "[{\"$base64\":{\"$base64\":\"%\"}}]",
        "[{\"$base64\":{}},{\"$base64\":\"%\"}]",
        "[\"{\\\"$base64\\\":\\\"%\\\"}\"]",
        "[{\"a\":[{\"$base64\":\"\"}]}]",
        "[{\"$base64\" : \"AA\"}]",
    ] {
        all.push(("f".to_owned(), args.to_owned(), "{}".to_owned()));
    }
    for options in [
        "",
        " ",
        "null",
        "[]",
        "1",
        "{",
        "{\"a\":1}",
        "{\"Queue\":\"q\"}",
        "{\"queue\":\"q\",\"queue\":\"q\"}",
        "{\"\\u0000\":1}",
        "{\"\\ud800\":1}",
        "{\"dealy\":1}",
        "{\"id\":\"x\"}",
        "{\"id\":1}",
        "{\"id\":\"0190000000007000800000000000000a\"}",
        "{\"id\":\"{01900000-0000-7000-8000-00000000000b}\"}",
        "{\"id\":\"urn:uuid:01900000-0000-7000-8000-00000000000C\"}",
        "{\"id\":\"01900000-0000-7000-80000000-00000000000d\"}",
        "{\"id\":\"\"}",
        "{\"kwargs\":[]}",
        "{\"kwargs\":1}",
        "{\"kwargs\":{\"$base64\":\"AA==\"}}",
        "{\"kwargs\":{\"a\":{\"$base64\":\"?\"}}}",
        "{\"kwargs\":{\"$base64\":\"AA==\",\"a\":1}}",
        "{\"kwargs\": {\"b\" : 1.10} }",
        "{\"delay\":-1}",
        "{\"delay\":\"1x\"}",
        "{\"delay\":\"\"}",
        "{\"delay\":\"h\"}",
        "{\"delay\":\"1h-3m\"}",
        "{\"delay\":\"NaN\"}",
        "{\"delay\":\"inf\"}",
        "{\"delay\":\"99999999w\"}",
        "{\"delay\":31536000000}",
        "{\"delay\":31536000000.5}",
        "{\"delay\":1e400}",
        "{\"delay\":-0}",
        "{\"delay\":\"-0\"}",
        "{\"delay\":1e-400}",
        "{\"delay\":true}",
        "{\"delay\":[]}",
        "{\"delay\":\" 1h 30m \"}",
        "{\"delay\":\"1 h\"}",
        "{\"delay\":\"1.2.3s\"}",
        "{\"delay\":\"5.s\"}",
        "{\"delay\":\".5h\"}",
        "{\"delay\":\".\"}",
        "{\"delay\":\"+5\"}",
        "{\"delay\":\"1e2\"}",
        "{\"delay\":\"1e2s\"}",
        "{\"delay\":\"1H\"}",
        "{\"delay\":\"\\u0031s\"}",
        "{\"delay\":\"1000ms1s\"}",
        "{\"delay\":\"5000w\"}",
        "{\"delay\":\"365000d1ms\"}",
        "{\"expiry\":1,\"max_duration\":1}",
        "{\"expiry\":null,\"max_duration\":1}",
        "{\"expiry\":\"1\"}",
        "{\"idempotency_key\":\"\"}",
        "{\"idempotency_key\":1}",
        "{\"idempotency_key\":\"a\\nb\"}",
        "{\"idempotency_key\":\"\\u0000\"}",
        "{\"idempotency_reuse\":\"always\"}",
        "{\"idempotency_reuse\":1}",
        "{\"idempotency_reuse\":\"Never\"}",
        "{\"idempotency_reuse\":\"never\"}",
        "{\"unique_key\":\"\"}",
        "{\"unique_key\":1}",
        "{\"unique_key\":\"k\",\"unique_for\":-1}",
        "{\"unique_for\":1}",
        "{\"unique_while\":\"pending\"}",
        "{\"unique_key\":\"k\",\"unique_while\":\"running\"}",
        "{\"unique_key\":\"k\",\"debounce\":1,\"unique_while\":\"pending\"}",
        "{\"unique_existing\":\"refuse\"}",
        "{\"unique_existing\":\"return\"}",
        "{\"unique_key\":\"k\",\"unique_existing\":\"Refuse\"}",
        "{\"unique_key\":\"k\",\"debounce\":1}",
        "{\"unique_key\":\"k\",\"debounce\":0}",
        "{\"unique_key\":\"k\",\"debounce\":-1}",
        "{\"debounce\":1}",
        "{\"unique_key\":\"k\",\"debounce_max\":1}",
        "{\"unique_key\":\"k\",\"debounce\":1,\"delay\":1}",
        "{\"unique_key\":\"k\",\"debounce\":1,\"unique_for\":1}",
        "{\"unique_key\":\"k\",\"debounce\":1,\"unique_existing\":\"refuse\"}",
        "{\"unique_key\":\"k\",\"debounce\":1,\"idempotency_key\":\"i\"}",
        "{\"unique_key\":\"k\",\"debounce\":\"2s\",\"expiry\":\"2s\"}",
        "{\"unique_key\":\"k\",\"debounce\":\"2s\",\"debounce_max\":\"1s\",\"expiry\":\"1s\"}",
        "{\"on_cancel\":\"\"}",
        "{\"on_cancel\":{}}",
        "{\"traceparent\":\"\"}",
        "{\"traceparent\":\"anything\"}",
        "{\"queue\":\"\"}",
        "{\"queue\":7}",
        "{\"queue\":\"\\ud800\"}",
        "{\"queue\":\"\\u007f\"}",
        "{\"queue\":\"\\u0080\"}",
        "{\"tags\":\"a\"}",
        "{\"tags\":[1]}",
        "{\"tags\":[\"\"]}",
        "{\"tags\":[null]}",
        "{\"tags\":{}}",
        "{\"tags\":[]}",
        "{\"tags\":[\"a\",\"a\"]}",
        "{\"tags\":[[\"a\"]]}",
        "{\"tags\":[\"a\\u0001\"]}",
        "{\"priority\":1.0}",
        "{\"priority\":1e2}",
        "{\"priority\":\"1\"}",
        "{\"priority\":9223372036854775807}",
        "{\"priority\":9223372036854775808}",
        "{\"priority\":-9223372036854775809}",
        "{\"priority\":-0}",
        "{\"priority\":true}",
        "{\"priority\":99999999999999999999999999999999999999999999}",
        "{\"concurrency_key\":\"\"}",
        "{\"concurrency_key\":7}",
        "{\"priority_ageing\":0}",
        "{\"priority_ageing\":0.0005}",
        "{\"priority_ageing\":\"2h\"}",
        "{\"priority_ageing\":\"366d\"}",
        "{\"fairness_key\":\"\"}",
        "{\"fairness_key\":7}",
        "{\"fairness_weight\":2}",
        "{\"fairness_key\":\"k\",\"fairness_weight\":2}",
        "{\"fairness_key\":\"k\",\"fairness_weight\":0}",
        "{\"fairness_key\":\"k\",\"fairness_weight\":100.5}",
        "{\"fairness_key\":\"k\",\"fairness_weight\":\"2\"}",
        "{\"fairness_key\":\"k\",\"fairness_weight\":1e-400}",
        "{\"fairness_key\":\"k\",\"fairness_weight\":true}",
        "{\"retry_policy\":{\"delays\":[1,-1]}}",
        "{\"retry_policy\":{\"delays\":[1],\"max_delay\":2}}",
        "{\"retry_policy\":{\"delays\":[1],\"max_delay\":60}}",
        "{\"retry_policy\":{\"delays\":[],\"max_delay\":2}}",
        "{\"retry_policy\":{\"delays\":null}}",
        "{\"retry_policy\":{\"max_elapsed\":null}}",
        "{\"retry_policy\":{\"max_elapsed\":-1}}",
        "{\"retry_policy\":[]}",
        "{\"retry_policy\":\"x\"}",
        "{\"retry_policy\":{\"a\":1}}",
        "{\"retry_policy\":{\"max_attempts\":0}}",
        "{\"retry_policy\":{\"max_attempts\":4294967296}}",
        "{\"retry_policy\":{\"max_attempts\":1.0}}",
        "{\"retry_policy\":{\"max_attempts\":-1}}",
        "{\"retry_policy\":{\"max_attempts\":null}}",
        "{\"retry_policy\":{\"max_attempts\":1,\"max_attempts\":1}}",
        "{\"retry_policy\":{\"max_deaths\":0}}",
        "{\"retry_policy\":{\"backoff_factor\":-1}}",
        "{\"retry_policy\":{\"backoff_factor\":\"2\"}}",
        "{\"retry_policy\":{\"backoff_factor\":0}}",
        "{\"retry_policy\":{\"backoff_factor\":1e400}}",
        "{\"retry_policy\":{\"initial_delay\":-1}}",
        "{\"retry_policy\":{\"initial_delay\":\"x\"}}",
        "{\"retry_policy\":{\"max_delay\":31536000001}}",
        "{\"retry_policy\":{\"jitter\":1.5}}",
        "{\"retry_policy\":{\"jitter\":1}}",
        "{\"retry_policy\":{\"jitter\":-0.1}}",
        "{\"retry_policy\":{\"retry_for\":\"A\"}}",
        "{\"retry_policy\":{\"retry_for\":[1]}}",
        "{\"retry_policy\":{\"retry_children\":1}}",
        "{\"retry_policy\":null}",
        "{\"retry_policy\":{}}",
        "{\"timeout\":\"x\"}",
        "{\"timeout\":0}",
        "{\"cached\":1}",
        "{\"cached\":\"true\"}",
        "{\"cache_ttl\":-1}",
    ] {
        all.push(("f".to_owned(), "[]".to_owned(), options.to_owned()));
    }
    let tags = |count: usize| format!("{{\"tags\":{:?}}}", (0..count).map(|n| n.to_string()).collect::<Vec<_>>());
    for options in [
        tags(32),
        tags(33),
        format!("{{\"queue\":\"{}\"}}", long(256)),
        format!("{{\"idempotency_key\":\"{}\"}}", long(255)),
    ] {
        all.push(("f".to_owned(), "[]".to_owned(), options));
    }
    all
}

#[test]
fn what_the_library_refuses_is_refused_and_what_it_takes_is_taken_to_the_byte() {
    let (one, other) = (fresh_url(""), fresh_url(""));
    let (house, there) = (House::at(&one), House::at(&other));
    let (library, sql) = house.on(async { (Client::of(&one).await, Client::of(&other).await) });
    drop(there);
    let (mut taken, mut refused) = (0, 0);
    for (function, args, options) in asked() {
        // In C no text is NULL, and that is the default; a text of nothing is no arguments, and all options.
        let expected = by_library(&house, &function, &args, &options);
        let got = house.on(sql.dispatch(&function, &args, &options));
        match (expected, got) {
            (Ok(id), Ok(own)) => {
                taken += 1;
                let kept = |id: Id| {
                    format!(
                        "SELECT concat_ws(' ', encode(args, 'hex'), encode(kwargs, 'hex'), queue, tags) FROM stent.executions WHERE id = '{id}'"
                    )
                };
                let (expected, got) = house.on(async { (library.one(&kept(id)).await, sql.one(&kept(own)).await) });
                assert_eq!(got, expected, "{function:?} {args} {options}");
            }
            (Err(why), Err(told)) => {
                refused += 1;
                assert_eq!(told.status(), why.status(), "{function:?} {args} {options}: {why}; {told:?}");
                assert!(told.told.len() > 5 && told.told.len() < 600, "{told:?}");
            }
            (expected, got) => panic!("{function:?} {args} {options}: the library {expected:?}, SQL {got:?}"),
        }
    }
    assert!(taken > 50 && refused > 90, "{taken} {refused}");
    // Nothing of what was refused is there.
    assert_eq!(house.on(sql.count("executions")), taken.to_string());
    assert_eq!(house.on(sql.count("tasks")), taken.to_string());
}

#[test]
fn an_error_says_what_is_wrong_where_and_what_would_be_right() {
    let url = fresh_url("");
    let house = House::at(&url);
    let client = house.on(Client::of(&url));
    let told = |options: &str| house.on(client.dispatch("f", "[]", options)).unwrap_err();
    let unknown = told("{\"dealy\": 1}");
    assert_eq!((unknown.state.as_str(), unknown.column.as_str()), ("22023", "dealy"));
    assert!(
        unknown.told.contains("there is no \"dealy\"") && unknown.hint.contains("Known are id, kwargs, delay"),
        "{unknown:?}"
    );
    let range = told("{\"retry_policy\": {\"jitter\": 2}}");
    assert!(range.told.contains("retry_policy.jitter is 2") && range.hint.contains("between 0 and 1"), "{range:?}");
    let duration = told("{\"delay\": \"1 hour\"}");
    assert!(duration.told.contains("'1 hour' is not a duration") && duration.hint.contains("1h30m"), "{duration:?}");
    let id = told("{\"id\": \"order-7\"}");
    assert!(id.hint.contains("idempotency_key"), "{id:?}");
    let tag = told("{\"tags\": [\"a\", 7]}");
    assert!(tag.told.contains("tags[1] is 7"), "{tag:?}");
    let broken = house.on(client.dispatch("f", "[1,", "{}")).unwrap_err();
    assert!(broken.told.contains("args: this is not JSON"), "{broken:?}");
    // What is long is not repeated whole.
    let long = house.on(client.dispatch("f", &format!("\"{}\"", "x".repeat(100_000)), "{}")).unwrap_err();
    assert!(long.told.len() < 200, "{}", long.told.len());
}

#[test]
fn a_value_with_a_key_is_read_in_time_that_grows_as_it_does() {
    let url = fresh_url("");
    let house = House::at(&url);
    let client = house.on(Client::of(&url));
    let took = |turn: usize, escapes: usize| {
        let args = format!("[\"{}\"]", "a\\n\\u00e9".repeat(escapes / 2));
        let begin = Instant::now();
        let options = format!("{{\"idempotency_key\": \"k{escapes} {turn}\"}}");
        house.on(client.dispatch("f", &args, &options)).unwrap();
        begin.elapsed()
    };
    let least = |escapes| (0..2).map(|turn| took(turn, escapes)).min().unwrap();
    let (few, many) = (least(20_000), took(0, 160_000));
    assert!(many < few * 24, "8 times as much took {many:?}, and before {few:?}");
}

#[test]
fn a_character_that_no_name_can_have_is_told_as_such() {
    let url = fresh_url("");
    let house = House::at(&url);
    let client = house.on(Client::of(&url));
    for key in ["idempotency_key", "concurrency_key", "fairness_key", "queue"] {
        let why = house.on(client.dispatch("f", "[]", &format!("{{\"{key}\": \"a\\u0000\"}}"))).unwrap_err();
        assert_eq!((why.state.as_str(), why.column.as_str()), ("22023", key), "{why:?}");
        assert!(why.told.contains("\\u0000") && why.hint.contains("Leave it out"), "{why:?}");
    }
}

#[test]
fn signals_and_cancels_are_checked_when_they_are_asked_for() {
    let url = fresh_url("");
    let house = House::at(&url);
    let client = house.on(Client::of(&url));
    let id = house.dispatch("nobody", "[]");
    let over = house.dispatch("nobody", "[]");
    house.on(house.executor.cancel(over, None)).unwrap();
    let signal = |execution, name: &str, payload: &str, options: &str| {
        house.on(client.signal(execution, name, payload, options)).map_err(|why| why.status())
    };
    for (execution, name, payload, options, expected) in [
        (id, "go", "1", "{}", Ok(())),
        (id, "go", "{\"$base64\":\"AA==\"}", "{\"id\":\"x\"}", Ok(())),
        (id, "", "1", "{}", Err(Status::Invalid)),
        (id, "go", "{", "{}", Err(Status::Invalid)),
        (id, "go", "{\"a\":{\"$base64\":\"A\"}}", "{}", Err(Status::Invalid)),
        (id, "go", "1", "{\"key\":1}", Err(Status::Invalid)),
        (id, "go", "1", "{\"id\":\"\"}", Err(Status::Invalid)),
        (id, "go", "1", "{\"id\":7}", Err(Status::Invalid)),
        (id, "go", "1", "[]", Err(Status::Invalid)),
        (over, "go", "1", "{}", Err(Status::Conflict)),
        (Id::from_u128(7), "go", "1", "{}", Err(Status::NotFound)),
    ] {
        assert_eq!(signal(execution, name, payload, options), expected, "{name} {payload} {options}");
        let payload = stent::codec::value_from_text("payload", payload);
        let options = stent::codec::options::signal(Some(options));
        let said = payload.and_then(|payload| {
            let signal = stent::backend::NewSignal { execution, name: name.to_owned(), payload, id: options?.id };
            house.on(house.executor.signal(signal))
        });
        assert_eq!(said.map_err(|why| why.status()), expected, "by the library: {name}");
    }
    let cancel = |execution| house.on(client.cancel(execution, Some("why"))).map_err(|why| why.status());
    assert_eq!(cancel(over), Err(Status::Conflict));
    assert_eq!(cancel(Id::from_u128(7)), Err(Status::NotFound));
    assert_eq!(cancel(id), Ok(()));
    let null = house.on(client.run("SELECT stent.cancel(NULL)")).unwrap_err();
    assert_eq!(null.status(), Status::Invalid);
    let null = house.on(client.run("SELECT stent.dispatch(NULL)")).unwrap_err();
    assert_eq!(null.status(), Status::Invalid);
}
