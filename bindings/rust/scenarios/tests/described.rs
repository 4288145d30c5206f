//! The crates know all that the library knows, and say what they are.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use stent::*;

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap()).collect()
}

#[test]
fn every_status_of_the_library_is_one_of_ours() {
    let known: Vec<(String, i32)> = Status::ALL.iter().map(|status| (status.name(), status.code())).collect();
    let described = describe().unwrap();
    let statuses = described["statuses"].as_array().unwrap();
    assert_eq!(statuses.len(), known.len());
    for status in statuses {
        let pair = (status["name"].as_str().unwrap().to_owned(), status["code"].as_i64().unwrap() as i32);
        assert!(known.contains(&pair), "Status has no {pair:?}");
    }
}

#[test]
fn every_option_of_the_library_is_a_method() {
    let known: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("rate", Rate::NAMES),
        ("retry_policy", RetryPolicy::NAMES),
        ("dispatch", DispatchOptions::NAMES),
        // Of dispatch_many, which takes them apart.
        ("dispatch_request", &["function", "args", "options"]),
        ("call", CallOptions::NAMES),
        ("function", FunctionOptions::NAMES),
        ("batch", BatchOptions::NAMES),
        ("worker", WorkerOptions::NAMES),
        ("sqlite", SqliteOptions::NAMES),
        ("custom", CustomOptions::NAMES),
        ("check", CheckOptions::NAMES),
        ("executor", &[]),
        ("wait_signal", WaitSignalOptions::NAMES),
        ("step", StepOptions::NAMES),
        ("signal", SignalOptions::NAMES),
        ("execution_filter", ExecutionFilter::NAMES),
        ("dead_letter_filter", DeadLetterFilter::NAMES),
        ("replay_dead_letter", &[]),
        ("resume", &[]),
        ("pause", PauseOptions::NAMES),
        ("unpause", UnpauseOptions::NAMES),
        ("cleanup", CleanupOptions::NAMES),
        ("stats", StatsOptions::NAMES),
        ("configure", ConfigureOptions::NAMES),
        ("log_handler", LogOptions::NAMES),
        ("schedule", Schedule::NAMES),
        ("schedule_filter", ScheduleFilter::NAMES),
        ("declare_schedules", DeclareOptions::NAMES),
        ("pause_schedule", SchedulePauseOptions::NAMES),
        ("trigger_schedule", TriggerOptions::NAMES),
        ("backfill_schedule", BackfillOptions::NAMES),
    ]);
    let described = describe().unwrap();
    let options = described["options"].as_array().unwrap();
    assert_eq!(options.len(), known.len());
    for option in options {
        let name = option["name"].as_str().unwrap();
        let (mut ours, mut theirs) =
            (known.get(name).unwrap_or_else(|| panic!("no options {name}")).to_vec(), names(&option["fields"]));
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs, "options {name}");
    }
}

#[test]
fn the_declarations_are_the_headers() {
    let generate = Path::new(env!("CARGO_MANIFEST_DIR")).join("../generate");
    let same = Command::new(generate).arg("--check").status().unwrap();
    assert!(same.success(), "run: bindings/rust/generate");
}

#[test]
fn the_version_is_the_librarys() {
    assert_eq!(version(), env!("CARGO_PKG_VERSION"));
    // SAFETY: it only tells a number.
    assert_eq!(unsafe { sys::stent_abi_version() }, 0);
}
