//! Both ways of dispatching write the same rows, whatever option is given.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use stent::codec::{CanonicalJson, option_fields};
use stent::model::{Canonical as _, FunctionOptions, Payload};

use super::{Client, by_library, schema_of_url};
use crate::house::House;
use crate::postgres::fresh_url;

/// A value of each option. A new option needs one here, and then a place in `functions/4_dispatch.sql`.
const SAMPLES: &[(&str, &[&str])] = &[
    ("id", &["\"01900000-0000-7000-8000-000000000001\""]),
    ("kwargs", &["{\"a\": 12345678901234567890.10}", "{}"]),
    ("delay", &["3600", "\"1h30m\"", "0", "0.0000005"]),
    ("expiry", &["\"2d\"", "0"]),
    ("max_duration", &["60.5"]),
    ("idempotency_key", &["\"a key\""]),
    ("idempotency_reuse", &["\"never\"", "\"after_failure\""]),
    ("unique_key", &["\"a key\""]),
    ("unique_for", &["\"2h\"", "1", "0"]),
    ("unique_while", &["\"pending\"", "\"unfinished\""]),
    ("unique_existing", &["\"refuse\"", "\"return\""]),
    ("debounce", &["\"2h\"", "0.5"]),
    ("debounce_max", &["3600", "0"]),
    ("on_cancel", &["\"undo\""]),
    ("traceparent", &["\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\""]),
    ("queue", &["\"q\u{fc}\"", "\"\\u65e5\""]),
    ("tags", &["[\"b\", \"a\", \"b\", \"\\\"\"]", "[]"]),
    ("priority", &["7", "-9223372036854775808"]),
    ("priority_ageing", &["\"10m\"", "0.001"]),
    (
        "retry_policy",
        &[
            "{}",
            "{\"max_attempts\": 9, \"initial_delay\": \"250ms\", \"retry_for\": [\"A\\nB\"], \"jitter\": 0, \"retry_children\": true}",
            "{\"delays\": [0, \"1m\", 2.5], \"max_elapsed\": \"1h\"}",
            "{\"max_delay\": 1e3, \"backoff_factor\": 1e20, \"max_deaths\": 4294967295, \"no_retry_for\": [\"\\u00e9\"]}",
        ],
    ),
    ("timeout", &["\"1.5s\""]),
    ("cached", &["true", "false"]),
    ("cache_ttl", &["\"7d\""]),
    ("concurrency_key", &["\"customer 7\""]),
    ("fairness_key", &["\"customer 7\""]),
    ("fairness_weight", &["2.5", "1e1", "1"]),
];

/// A table's rows of a function, as JSON, but for ids: times count from the row's own beginning, in milliseconds.
async fn rows(client: &Client, table: &str, function: &str) -> String {
    let columns = format!(
        "SELECT string_agg(
            format(
                CASE
                    -- a place among the ready is given at the commit, by the clock
                    WHEN column_name = 'shared_at' THEN '(%1$L, to_jsonb(shared_at IS NOT NULL))'
                    WHEN table_name = 'tasks' AND column_name = 'created_at' THEN
                        '(%1$L, to_jsonb(round(extract(epoch FROM CASE WHEN shared_at IS NULL THEN created_at ELSE made_at END - started) * 1000)))'
                    WHEN data_type = 'timestamp with time zone' THEN '(%1$L, to_jsonb(round(extract(epoch FROM %1$I - started) * 1000)))'
                    WHEN data_type = 'uuid' THEN '(%1$L, to_jsonb(%1$I IS NOT NULL))'
                    WHEN column_name = 'readied' THEN '(%1$L, to_jsonb(readied > 0))'
                    WHEN column_name IN ('lane', 'route') THEN
                        '(%1$L, (SELECT to_jsonb(r) - ''id'' FROM stent.routes AS r WHERE r.id = %1$I))'
                    WHEN column_name = 'retry_policy' THEN '(%1$L, retry_policy::jsonb)'
                    ELSE '(%1$L, to_jsonb(%1$I))'
                END, column_name
            ), ', '
        )
        FROM information_schema.columns WHERE table_schema = '{}' AND table_name = '{table}'",
        client.schema
    );
    let columns = client.one(&columns).await;
    let which = match table {
        "executions" => format!("root_function = '{function}'"),
        "tasks" => format!("step_name = '{function}'"),
        _ => format!("key LIKE '{function}/%'"),
    };
    client
        .one(&format!(
            "SELECT coalesce(string_agg(jsonb_pretty(jsonb_strip_nulls(
                (SELECT jsonb_object_agg(v.name, v.value) FROM (VALUES {columns}) AS v (name, value))
            )), '; '), '')
            FROM (
                SELECT t.*, (SELECT max(e.created_at) FROM stent.executions AS e WHERE e.root_function = '{function}') AS started
                FROM stent.{table} AS t
            ) AS t
            WHERE {which}"
        ))
        .await
}

struct Pair {
    house: House,
    library: Client,
    sql: Client,
    /// What both have said so far.
    rounds: usize,
}

impl Pair {
    fn new() -> Self {
        let (one, other) = (fresh_url(""), fresh_url(""));
        let house = House::at(&one);
        // Opened, and so made.
        let other_house = House::at(&other);
        let declared = |house: &House| {
            let function = stent::backend::Function {
                name: "declared".to_owned(),
                options: FunctionOptions {
                    queue: Some("slow".into()),
                    tags: vec!["y".into(), "x".into(), "y".into()],
                    priority: Some(5),
                    priority_ageing: Some(std::time::Duration::from_secs(7)),
                    retry_policy: Some(stent::model::RetryPolicy { max_attempts: 8, ..Default::default() }),
                    timeout: Some(std::time::Duration::from_secs(9)),
                    version: Some("2".into()),
                    max_concurrent: Some(3),
                    max_concurrent_per_key: Some(2),
                    rate: None,
                    rate_per_key: None,
                    cached: true,
                    cache_ttl: Some(std::time::Duration::from_secs(11)),
                    idempotent: true,
                    cleanup: None,
                },
            };
            let worker = stent::backend::NewWorker {
                worker_id: "w".to_owned(),
                queues: Vec::new(),
                tags: Vec::new(),
                functions: vec![function],
                queue_rates: [].into(),
            };
            house.on(house.backend.register_worker(worker)).unwrap();
        };
        declared(&house);
        declared(&other_house);
        let (library, sql) = house.on(async { (Client::of(&one).await, Client::of(&other).await) });
        assert_ne!(schema_of_url(&one), schema_of_url(&other));
        Self { house, library, sql, rounds: 0 }
    }

    fn compare(&mut self, function: &str, args: &str, options: &str) {
        self.rounds += 1;
        let Self { house, library, sql, .. } = self;
        let id = by_library(house, function, args, options).unwrap_or_else(|why| panic!("{options}: {why}"));
        let (own, asked) = house.on(async {
            let said = sql.dispatch(function, args, options).await;
            (said.unwrap_or_else(|why| panic!("{options}: {why:?}")), options.contains("\"id\": \""))
        });
        assert_eq!(id.get_version_num(), own.get_version_num());
        assert!(!asked || id == own, "{options}");
        for table in ["executions", "tasks", "idempotency", "unique_keys"] {
            let (expected, got) =
                house.on(async { (rows(library, table, function).await, rows(sql, table, function).await) });
            assert_eq!(got, expected, "{table} of {function}({args}) with {options}");
            assert!(table == "idempotency" || table == "unique_keys" || expected.len() > 100, "{table}: {expected}");
        }
        let sweep = "TRUNCATE stent.executions, stent.tasks, stent.idempotency, stent.unique_keys";
        house.on(async {
            library.say(sweep).await;
            sql.say(sweep).await;
        });
    }
}

#[test]
fn every_option_writes_the_same_rows_both_ways() {
    let known: Vec<&str> = option_fields("dispatch").iter().map(|(name, ..)| *name).collect();
    assert_eq!(known, SAMPLES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "give each option a sample here");
    let given: BTreeSet<String> =
        option_fields("retry_policy").iter().map(|(name, ..)| format!("\"{name}\"")).collect();
    let samples = SAMPLES.iter().find(|(name, _)| *name == "retry_policy").unwrap().1.concat();
    assert!(
        given.iter().all(|name| samples.contains(name.as_str())),
        "give each field of a retry policy a sample here"
    );
    let mut pair = Pair::new();
    for function in ["plain", "declared"] {
        for args in ["[]", " [1, {\"b\":1.0 , \"a\":[]}, 12345678901234567890.10]\n"] {
            pair.compare(function, args, "{}");
        }
        for (name, values) in SAMPLES {
            for value in *values {
                // These say nothing without others.
                let key = match *name {
                    "unique_for" | "unique_while" | "unique_existing" | "debounce" => "\"unique_key\": \"k\", ",
                    "debounce_max" => "\"unique_key\": \"k\", \"debounce\": 60, ",
                    "fairness_weight" => "\"fairness_key\": \"k\", ",
                    _ => "",
                };
                // What belongs to its arguments is not debounced.
                if function == "declared" && name.starts_with("debounce") {
                    continue;
                }
                pair.compare(function, "[1]", &format!("{{{key}\"{name}\": {value}}}"));
            }
            pair.compare(function, "[1]", &format!("{{\"{name}\": null}}"));
        }
        // All of them at once, but for those that exclude each other.
        let all = |without: &str| {
            let members = SAMPLES.iter().filter(|(name, _)| *name != without && !name.starts_with("debounce"));
            let members: Vec<String> = members.map(|(name, values)| format!("\"{name}\": {}", values[0])).collect();
            format!("{{{}}}", members.join(", "))
        };
        pair.compare(function, "[1]", &all("expiry"));
        pair.compare(function, "[1]", &all("max_duration"));
    }
    assert!(pair.rounds > 90, "{}", pair.rounds);
}

/// Documents with everything in them that a canonical form has to do with.
fn document(rng: &mut StdRng, depth: u32) -> String {
    const STRINGS: &[&str] = &[
        "a",
        "b",
        "",
        "\u{e9}",
        "\u{1f600}",
        "\u{7f}",
        "$base65",
        "a!",
        "\\u0041",
        "\\u0000",
        "\\ud83d\\ude00",
        "\\uD800",
        "\\ud800x",
        "\\udc00\\ud800",
        "\\n\\t\\r\\b\\f",
        "\\\"",
        "\\\\",
        "\\/",
        "\\\\u0041",
        "{[,:]}",
        "\u{2028}",
        "\\u00e9",
        "\\u65E5",
    ];
    let blank = |rng: &mut StdRng| ["", "", " ", "\t\n", "\r"][rng.random_range(0..5)];
    let string = |rng: &mut StdRng| {
        let parts = rng.random_range(0..3);
        let inside: String = (0..parts).map(|_| STRINGS[rng.random_range(0..STRINGS.len())]).collect();
        format!("\"{inside}\"")
    };
    let kind = if depth == 0 { rng.random_range(0..3) } else { rng.random_range(0..6) };
    match kind {
        0 => ["1", "1.0", "-0", "1e400", "0.10", "-1E+2", "123456789012345678901234567890"][rng.random_range(0..7)]
            .to_owned(),
        1 => ["true", "false", "null"][rng.random_range(0..3)].to_owned(),
        2 => string(rng),
        3 => {
            let count = rng.random_range(0..4);
            let elements: Vec<String> =
                (0..count).map(|_| format!("{}{}{}", blank(rng), document(rng, depth - 1), blank(rng))).collect();
            format!("[{}{}]", elements.join(","), blank(rng))
        }
        _ => {
            let count = rng.random_range(0..5);
            let members: Vec<String> = (0..count)
                .map(|_| {
                    format!("{}{}{}:{}{}", blank(rng), string(rng), blank(rng), blank(rng), document(rng, depth - 1))
                })
                .collect();
            format!("{{{}{}}}", members.join(","), blank(rng))
        }
    }
}

#[test]
fn arguments_have_the_hash_that_the_library_gives_them() {
    let url = fresh_url("");
    let house = House::at(&url);
    let client = house.on(Client::of(&url));
    let mut rng = StdRng::seed_from_u64(20_260);
    house.on(client.say("SET search_path TO stent, pg_temp".replace("stent", schema_of_url(&url)).as_str()));
    for _ in 0..400 {
        let (args, kwargs) = (format!("[{}]", document(&mut rng, 4)), format!("{{\"k\":{}}}", document(&mut rng, 3)));
        let expected = CanonicalJson.hash(&Payload::from(args.as_str()), &Payload::from(kwargs.as_str()));
        let sql = format!("SELECT encode(sql_hash($one${args}$one$, $two${kwargs}$two$), 'hex')");
        let got = house.on(client.one(&sql));
        assert_eq!(got, expected.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), "{args} {kwargs}");
    }
}
