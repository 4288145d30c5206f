//! docs/options.md: all that `stent_describe` tells of options, limits and features, for people. `UPDATE_GOLDEN=1 cargo
//! test codec` writes it anew.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::document::fields;
use crate::codec::tables::library::{FEATURES, TYPES};
use crate::codec::tables::objects::OBJECTS;
use crate::codec::tables::urls::URLS;
use crate::model::LIMITS;

const BEGINNING: &str = "# Options

Every option there is, with its type and default, and every limit: what `stent_describe()` tells, made from it by a test.
Options are JSON objects, `NULL` for none; an unknown one is an error that names the known ones. A binding may spell them
in its language's way; its README says so.
";

/// Where an object of options is given.
const GIVEN: &[(&str, &str)] = &[
    ("dispatch", "stent_executor_dispatch"),
    ("dispatch_request", "stent_executor_dispatch_many"),
    ("call", "stent_task_call, stent_task_map, stent_task_spawn_call"),
    ("function", "stent_executor_register"),
    ("rate", ""),
    ("retry_policy", ""),
    ("worker", "stent_worker_start"),
    ("sqlite", "stent_backend_open with a file"),
    ("custom", "stent_backend_custom"),
    ("check", "stent_backend_check"),
    ("executor", "stent_executor_new"),
    ("wait_signal", "stent_task_wait_signal, stent_task_spawn_wait_signal"),
    ("step", "stent_task_step_begin"),
    ("signal", "stent_executor_signal"),
    ("execution_filter", "stent_executor_list"),
    ("dead_letter_filter", "stent_executor_dead_letters"),
    ("replay_dead_letter", "stent_executor_replay_dead_letter"),
    ("resume", "stent_executor_resume"),
    ("pause", "stent_executor_pause"),
    ("unpause", "stent_executor_unpause"),
    ("schedule", "stent_executor_schedule_put, stent_executor_schedules_declare"),
    ("schedule_filter", "stent_executor_schedule_list"),
    ("declare_schedules", "stent_executor_schedules_declare"),
    ("pause_schedule", "stent_executor_schedule_pause"),
    ("trigger_schedule", "stent_executor_schedule_trigger"),
    ("backfill_schedule", "stent_executor_schedule_backfill"),
    ("cleanup", "stent_executor_cleanup"),
    ("stats", "stent_executor_stats"),
    ("configure", "stent_configure"),
    ("batch", "stent_executor_register_batch"),
    (
        "log_handler",
        "stent_set_log_handler, stent_executor_set_log_handler, stent_poller_log, stent_poller_log_executor",
    ),
];

#[test]
fn the_document_of_options_is_what_is_described() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/options.md");
    let due = document();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &due).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(due.lines()).find(|(written, due)| written != due);
    assert!(written == due, "{} has drifted (UPDATE_GOLDEN=1 writes it anew): {differs:#?}", path.display());
}

fn document() -> String {
    let mut text = BEGINNING.to_owned();
    for object in OBJECTS {
        let (_, functions) =
            GIVEN.iter().find(|(name, _)| *name == object.name).expect("say in GIVEN where it is given");
        let quoted = functions.replace("stent_", "`stent_").replace(", ", "`, ").replace(" with", "` with");
        let given = match (functions.is_empty(), functions.contains(" with")) {
            (true, _) => String::new(),
            (false, true) => format!(" For {quoted}."),
            (false, false) => format!(" For {quoted}`."),
        };
        write!(text, "\n## {}\n\n{}{given}\n", object.name, object.doc).unwrap();
        match object.fields {
            [] => text.push_str("\nNone so far.\n"),
            some => write!(text, "\n{}", fields(some)).unwrap(),
        }
    }
    for url in URLS {
        write!(text, "\n## {}\n\n{}\n\n{}", url.name, url.doc, fields(url.fields)).unwrap();
    }
    text.push_str("\n## Limits\n\n| limit | at most | in the header | what |\n|---|---|---|---|\n");
    for limit in LIMITS {
        writeln!(text, "| {} | {} {} | `{}` | {} |", limit.name, limit.value, limit.unit, limit.constant, limit.doc)
            .unwrap();
    }
    text.push_str("\n## Types\n\n| type | what it is |\n|---|---|\n");
    for word in TYPES {
        writeln!(text, "| `{}` | {} |", word.name, word.doc).unwrap();
    }
    text.push_str("\n## Features of this build\n\n| feature | what it is |\n|---|---|\n");
    for word in FEATURES {
        writeln!(text, "| `{}` | {} |", word.name, word.doc).unwrap();
    }
    text
}
