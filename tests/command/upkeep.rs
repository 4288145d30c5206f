//! Stores are made, brought up to date, cleaned up, copied and checked.

use serde_json::json;

use crate::house::{House, Where, on_both, run};

on_both! {
    a_store_is_made_on_purpose_only,
    what_a_cleanup_would_take_is_told_before,
    a_bench_leaves_nothing,
    a_check_tells_what_to_do,
}

fn a_store_is_made_on_purpose_only(place: Where) {
    let (url, _folder) = place();
    for args in [&["list"][..], &["stats"], &["check"], &["migrate"], &["dispatch", "f"]] {
        let said = run(&[&["--db", &url], args].concat());
        assert!(said.code == 5 && said.err.contains("stent init"), "{said:?}");
        if !url.starts_with("postgresql") {
            assert!(!std::path::Path::new(&url).exists());
        }
    }
    let made = run(&["--db", &url, "--json", "init"]).ok().json();
    assert_eq!((&made["from"], &made["done"]), (&0.into(), &true.into()));
    run(&["--db", &url, "list"]).ok();
    let again = run(&["--db", &url, "--json", "init"]).ok().json();
    assert_eq!((&again["from"], &again["done"]), (&made["to"], &false.into()));
    assert!(run(&["--db", &url, "migrate"]).ok().out.contains("nothing is to be done"));
}

fn what_a_cleanup_would_take_is_told_before(place: Where) {
    let house = House::new(place);
    house.exhibit();
    let dry = house.say(&["--json", "cleanup", "--older-than", "1d", "--dry-run"]).ok().json();
    assert_eq!((&dry["executions"], &dry["dead_letters"], &dry["done"]), (&1.into(), &0.into(), &false.into()));
    let said = house.say(&["cleanup", "--older-than", "1d"]);
    assert!(said.code == 6 && said.err.contains("1 execution that ended more than 1d ago"), "{said:?}");
    let done = house.say(&["--json", "cleanup", "--older-than", "1d", "--yes"]).ok().json();
    assert_eq!((&done["executions"], &done["done"]), (&1.into(), &true.into()));
    let left = house.say(&["--json", "list"]).ok().json();
    assert_eq!(left["executions"].as_array().unwrap().len(), 2);
    assert!(house.say(&["cleanup", "--older-than", "1d"]).ok().out.contains("nothing was deleted"));
}

fn a_check_tells_what_to_do(place: Where) {
    let house = House::new(place);
    let said = house.say(&["check"]);
    assert!(said.code == 20 && said.out.contains("start a worker"), "{said:?}");
    let worker = house.furnish();
    let json = house.say(&["--json", "check"]).ok().json();
    assert_eq!(json["well"], true, "{json}");
    house.dispatch("unheard_of");
    let said = house.say(&["check"]);
    assert!(said.code == 20 && said.out.contains("'unheard_of' (1)"), "{said:?}");
    drop(worker);
}

#[test]
fn a_copy_is_a_store() {
    let house = House::new(crate::house::sqlite);
    house.exhibit();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    let file = file.to_str().unwrap();
    assert!(house.say(&["backup", file]).ok().out.contains("Copied to"));
    assert_eq!(run(&["--db", file, "list"]).ok().out, house.say(&["list"]).ok().out);
    assert_eq!(house.say(&["backup", file]).code, 4);
    let other = House::new(crate::house::postgres);
    let said = other.say(&["backup", file]);
    assert!(said.code == 1 && said.err.contains("pg_dump"), "{said:?}");
}

/// A store as an older library left it: it is shown to nobody and changed by nobody but who asks for it.
#[test]
fn an_older_store_waits_to_be_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.db");
    let file = file.to_str().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        use sqlx::ConnectOptions as _;
        use sqlx::Connection as _;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let mut conn = options.connect().await.unwrap();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/backend/sqlite/");
        let text = |name: &str| std::fs::read_to_string(format!("{folder}{name}")).unwrap();
        for sql in [text("sql/schema_create.sql"), text("migrations/0001_initial.sql")] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
        }
        sqlx::query("INSERT INTO stent_schema (version, applied_at) VALUES (1, 0)").execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    });
    let before = std::fs::read(file).unwrap();
    let said = run(&["--db", file, "list"]);
    assert!(said.code == 5 && said.err.contains("version 1") && said.err.contains("stent migrate"), "{said:?}");
    assert_eq!(run(&["--db", file, "init"]).code, 4);
    assert!(run(&["--db", file, "migrate", "--dry-run"]).ok().out.contains("would go from version 1"));
    assert_eq!(run(&["--db", file, "migrate"]).code, 6);
    assert_eq!(std::fs::read(file).unwrap(), before);
    let done = run(&["--db", file, "--json", "migrate", "--yes"]).ok().json();
    assert_eq!((&done["from"], &done["done"]), (&1.into(), &true.into()));
    run(&["--db", file, "list"]).ok();
}

fn a_bench_leaves_nothing(place: Where) {
    let house = House::new(place);
    let before = house.say(&["--json", "functions"]).ok().out;
    let said = house.say(&["--json", "bench", "--time", "40ms"]).ok().json();
    for rate in [&said["dispatch"], &said["run"], &said["calls"]] {
        assert!(rate["per_second"].as_f64().unwrap() > 0.0 && rate["executions"].as_u64().unwrap() >= 100, "{said}");
    }
    assert!(said["latency"]["middle_ms"].as_f64().unwrap() > 0.0, "{said}");
    let stats = house.say(&["--json", "stats"]).ok().json();
    assert_eq!((&stats["executions"], &stats["tasks"], &stats["workers"]), (&json!({}), &json!({}), &json!(0)));
    assert_eq!(house.say(&["--json", "functions"]).ok().out, before);

    // There is work: it is asked for.
    let id = house.dispatch("f").to_string();
    let said = house.say(&["bench", "--time", "40ms"]);
    assert!(said.code == 6 && said.err.contains("1 execution and 0 workers"), "{said:?}");
    assert!(house.say(&["bench", "--time", "40ms", "--yes"]).ok().out.contains("run to their end"));
    assert!(house.say(&["--json", "list"]).ok().out.contains(&id));
}
