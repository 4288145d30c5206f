//! The house rules of ARCHITECTURE.md, held by reading the sources. Every message says what to do.

#[path = "tidy/blocks.rs"]
mod blocks;
#[path = "tidy/book.rs"]
mod book;
#[path = "tidy/circles/mod.rs"]
mod circles;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/sql.rs"]
mod sql;

use source::{check, climbs_out, code, files, imports, is_below, is_test, lines_with, product, read};

/// A page that can be read in one go.
const LINES_MAX: usize = 500;

/// Files that may be longer, each with its reason.
const LONG: &[(&str, &str)] = &[];

/// Who may import whom, as `crate::…` paths. The longest prefix of a file's path decides.
const ROOMS: &[(&str, &[&str])] = &[
    ("src/lib.rs", &[]),
    ("src/model", &["model"]),
    ("src/threads", &["threads"]),
    ("src/codec", &["codec", "backend", "model"]),
    ("src/backend", &["backend", "model"]),
    ("src/backend/decide", &["backend", "backend::decide", "model"]),
    ("src/backend/sql", &["backend", "backend::decide", "backend::sql", "codec", "model"]),
    ("src/backend/sqlite", &["backend", "backend::sql", "backend::sqlite", "codec", "model", "threads"]),
    ("src/backend/postgres", &["backend", "backend::sql", "backend::postgres", "codec", "model"]),
    ("src/backend/custom", &["backend", "backend::decide", "backend::custom", "codec", "model"]),
    ("src/check", &["check", "backend", "codec", "model"]),
    ("src/executor", &["executor", "executor::worker", "backend", "model", "threads"]),
    ("src/otlp", &["otlp", "executor", "model", "threads"]),
    ("src/executor/task", &["executor", "backend", "model"]),
    ("src/executor/replay", &["executor::replay", "backend", "model"]),
    (
        "src/bin/stent",
        &[
            "args", "catalog", "marks", "papers", "parse", "place", "run", "screen", "serve", "site", "table", "tree",
            "trouble", "ui", "verdict", "watch", "words",
        ],
    ),
    ("src/bin/stent/args.rs", &["parse", "site"]),
    ("src/bin/stent/args", &["args", "parse"]),
    ("src/bin/stent/catalog.rs", &[]),
    ("src/bin/stent/papers.rs", &["args", "trouble"]),
    ("src/bin/stent/parse.rs", &["words"]),
    ("src/bin/stent/place.rs", &["trouble"]),
    ("src/bin/stent/screen.rs", &["trouble", "words"]),
    ("src/bin/stent/serve.rs", &[]),
    ("src/bin/stent/site.rs", &[]),
    ("src/bin/stent/tree.rs", &["words"]),
    ("src/bin/stent/trouble.rs", &[]),
    ("src/bin/stent/ui", &["args", "catalog", "place", "screen", "trouble", "ui", "verdict", "watch", "words"]),
    ("src/bin/stent/verdict.rs", &["words"]),
    ("src/bin/stent/words.rs", &[]),
    (
        "src/ffi",
        &[
            "ffi",
            "executor",
            "check",
            "backend",
            "backend::sqlite",
            "backend::postgres",
            "backend::custom",
            "codec",
            "model",
            "otlp",
            "threads",
        ],
    ),
];

/// Rooms that only those who name them above may enter, though they lie inside a bigger one.
const INNER: &[&str] =
    &["backend::decide", "backend::sql", "backend::sqlite", "backend::postgres", "backend::custom", "executor::worker"];

/// Words that stand in some places only: the word, where, and why.
const WORDS: &[(&str, &[&str], &str)] = &[
    (
        "unsafe",
        &[
            "src/ffi",
            "src/backend/custom",
            "src/backend/sqlite/api.rs",
            "src/backend/sqlite/conn.rs",
            "src/backend/sqlite/extension",
            "src/backend/sqlite/file_locks",
            "src/backend/sqlite/file_locks.rs",
            "src/backend/sqlite/table.rs",
            "src/threads",
        ],
        "memory is touched at the border only",
    ),
    ("sqlx", &["src/backend/sqlite/tests", "src/backend/postgres"], "only the stores speak SQL"),
    ("libsqlite3_sys", &["src/backend/sqlite"], "only the SQLite backend knows SQLite"),
    ("serde_json", &["src/codec"], "codec is the only room that knows JSON"),
    (
        "libc",
        &[
            "src/ffi",
            "src/backend/custom",
            "src/backend/sqlite/file_locks",
            "src/backend/sqlite/file_locks.rs",
            "src/threads",
        ],
        "C is spoken at the border only",
    ),
];

/// Rooms that decide and do nothing: they know no time, no chance and no threads.
const PURE: &[&str] = &["src/backend/decide", "src/executor/replay"];

const NOT_IN_PURE: &[&str] = &["tokio", "async", "await", "thread", "Instant", "SystemTime", "Mutex", "rand"];

/// What is left behind by work that is not finished.
const LEFT_BEHIND: &[&str] = &["todo!", "unimplemented!", "dbg!", "println!", "eprintln!", "print!", "eprint!"];

#[test]
fn rooms_import_only_whom_they_may() {
    let mut problems = Vec::new();
    for file in files("src", &["rs"]) {
        let room = ROOMS.iter().filter(|(place, _)| is_below(&file, place)).max_by_key(|(place, _)| place.len());
        let Some((_, allowed)) = room else {
            problems.push(format!(
                "{file}: no rule says what it may import; add its room to ROOMS in tests/tidy.rs and to ARCHITECTURE.md"
            ));
            continue;
        };
        let code = code(&read(&file));
        if is_test(&file) {
            continue;
        }
        if climbs_out(&file, &product(&code)) {
            problems
                .push(format!("{file}: leaves its room by `super::`; write `crate::…`, so that the arrow can be seen"));
        }
        for path in imports(&product(&code)) {
            let inner = INNER.iter().find(|inner| path == **inner || path.starts_with(&format!("{inner}::")));
            let may = match inner {
                Some(inner) => allowed.contains(inner),
                None => allowed.iter().any(|room| path == *room || path.starts_with(&format!("{room}::"))),
            };
            if !may {
                problems.push(format!(
                    "{file}: uses crate::{path}, and may use {allowed:?} only; let the caller hand in what is needed, or move the code"
                ));
            }
        }
    }
    check(problems);
}

#[test]
fn words_stand_only_where_they_may() {
    let mut problems = Vec::new();
    for file in files("src", &["rs"]) {
        let code = code(&read(&file));
        for (word, places, why) in WORDS {
            if !places.iter().any(|place| is_below(&file, place)) {
                for line in lines_with(&code, word) {
                    problems
                        .push(format!("{file}:{line}: `{word}` may stand in {places:?} only: {why}; move it there"));
                }
            }
        }
    }
    check(problems);
}

#[test]
fn what_decides_is_pure() {
    let mut problems = Vec::new();
    for file in PURE.iter().flat_map(|room| files(room, &["rs"])).filter(|file| !is_test(file)) {
        let code = code(&read(&file));
        for word in NOT_IN_PURE {
            for line in lines_with(&product(&code), word) {
                problems.push(format!(
                    "{file}:{line}: `{word}`; this room only decides: take time, chance and news as arguments"
                ));
            }
        }
    }
    check(problems);
}

/// What a runtime does for a task is compiled for each type of future; boxed, these are as many as there are results. Without,
/// the library was a megabyte larger.
#[test]
fn what_a_runtime_runs_is_boxed() {
    let mut problems = Vec::new();
    let mut seen = 0;
    for file in files("src", &["rs"]).into_iter().filter(|file| !is_test(file) && !file.starts_with("src/bin/")) {
        let text = product(&code(&read(&file)));
        for (at, _) in text.match_indices("spawn(").filter(|(at, _)| spawns_a_task(&text[..*at])) {
            seen += 1;
            let line = text[..at].matches('\n').count() + 1;
            if !in_brackets(&text[at..]).contains(".boxed()") {
                problems.push(format!(
                    "{file}:{line}: a task is begun with a future of its own type; write `.boxed()` behind it"
                ));
            }
        }
    }
    assert!(seen > 20, "{seen}: who begins tasks is not found any more");
    check(problems);
}

/// By what stands before: a runtime or a set of tasks, and no builder or scope of threads, nor the engine's own operations.
fn spawns_a_task(before: &str) -> bool {
    before.ends_with("tokio::")
        || before.ends_with('.') && !["self.", "scope.", "builder."].iter().any(|by| before.ends_with(by))
}

/// From the first bracket on to the one that closes it.
fn in_brackets(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, one) in text.char_indices() {
        match one {
            '(' => depth += 1,
            ')' if depth == 1 => return &text[..at],
            ')' => depth -= 1,
            _ => {}
        }
    }
    text
}

#[test]
fn nothing_unfinished_is_left() {
    let mut problems = Vec::new();
    let mut all = files("src", &["rs", "sql"]);
    for (folder, endings) in
        [("tests", "rs"), ("tests", "c"), ("benches", "rs"), ("examples_c", "c"), ("examples_c", "h"), ("docs", "md")]
    {
        all.extend(files(folder, &[endings]));
    }
    for file in all.iter().filter(|file| *file != "tests/tidy.rs") {
        let text = read(file);
        for word in ["TODO", "FIXME", "XXX", "HACK"] {
            for line in lines_with(&text, word) {
                problems
                    .push(format!("{file}:{line}: {word}; do it now, or write an issue and say here what holds today"));
            }
        }
        if file.starts_with("src/") && file.ends_with(".rs") && !is_test(file) {
            let code = code(&text);
            for word in LEFT_BEHIND {
                for line in lines_with(&product(&code), word) {
                    problems.push(format!("{file}:{line}: {word}(…); a library says nothing on its own: use the logger, or finish the code"));
                }
            }
        }
    }
    check(problems);
}

#[test]
fn files_are_pages() {
    let mut problems = Vec::new();
    let mut all = files("src", &["rs", "sql"]);
    for folder in ["tests", "benches", "examples_c"] {
        all.extend(files(folder, &["rs", "c", "h"]));
    }
    for file in &all {
        let lines = read(file).lines().count();
        let excused = LONG.iter().any(|(long, _)| long == file);
        if lines > LINES_MAX && !excused {
            problems.push(format!(
                "{file}: {lines} lines, and {LINES_MAX} are allowed; make a folder of it, a file for each idea"
            ));
        }
        if lines <= LINES_MAX && excused {
            problems.push(format!("{file}: short enough by now; take it out of LONG in tests/tidy.rs"));
        }
    }
    for (long, reason) in LONG {
        if !all.iter().any(|file| file == long) {
            problems.push(format!("{long}: is not there ({reason}); take it out of LONG in tests/tidy.rs"));
        }
    }
    check(problems);
}
