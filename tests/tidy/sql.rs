//! Rules for statements and migrations.

use std::collections::BTreeSet;

use crate::source::{check, files, is_test, product, read};

/// SQL without comments and literals.
fn bare_sql(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut quoted = false;
        let line = line.split("--").next().unwrap_or("");
        out.extend(line.chars().filter(|c| {
            quoted ^= *c == '\'';
            !quoted
        }));
        out.push('\n');
    }
    out
}

#[test]
fn sql_files_hold_one_statement_that_is_used_and_names_its_columns() {
    let mut problems = Vec::new();
    for backend in ["src/backend/sqlite", "src/backend/postgres"] {
        let rust: String = files(backend, &["rs"]).iter().map(read).collect();
        for file in files(&format!("{backend}/sql"), &["sql"]) {
            let sql = bare_sql(&read(&file)).to_uppercase();
            let words = sql.split_whitespace().collect::<Vec<_>>().join(" ");
            // Settings are no statements: they may stand together.
            let statements: Vec<&str> = words.split(';').map(str::trim).filter(|one| !one.is_empty()).collect();
            if statements.len() > 1 && !statements.iter().all(|one| one.starts_with("PRAGMA ")) {
                problems.push(format!("{file}: more than one statement; give each a file of its own"));
            }
            if statements.is_empty() {
                problems.push(format!("{file}: no statement; remove it"));
            }
            for star in ["SELECT *", "RETURNING *", "SELECT DISTINCT *"] {
                if words.contains(star) {
                    problems.push(format!("{file}: `{star}`; name the columns, so that a new one changes nothing"));
                }
            }
            if words.contains("INSERT INTO")
                && words.split("INSERT INTO").skip(1).any(|insert| {
                    !insert.split("VALUES").next().unwrap_or("").split("SELECT").next().unwrap_or("").contains('(')
                })
            {
                problems.push(format!("{file}: an INSERT without its columns; name them"));
            }
            let short = file.strip_prefix(&format!("{backend}/")).unwrap();
            if !rust.contains(&format!("{short}\"")) {
                problems.push(format!("{file}: no include_str!(\"{short}\") in {backend}; use it or remove it"));
            }
        }
    }
    check(problems);
}

#[test]
fn sql_stands_in_sql_files() {
    let mut problems = Vec::new();
    for file in files("src", &["rs"]).iter().filter(|file| !is_test(file)) {
        let text = read(file);
        for (number, line) in product(&text).lines().enumerate() {
            for verb in ["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM "] {
                if line.contains(&format!("\"{verb}")) && !line.trim_start().starts_with("//") {
                    problems.push(format!(
                        "{file}:{}: SQL in a string; put the statement into a file in sql/ beside it",
                        number + 1
                    ));
                }
            }
        }
    }
    check(problems);
}

#[test]
fn both_dialects_have_the_same_statements() {
    let names = |backend: &str| -> BTreeSet<String> {
        let folder = format!("src/backend/{backend}/sql/");
        files(&folder, &["sql"]).iter().map(|file| file.rsplit('/').next().unwrap().to_owned()).collect()
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    let excused: BTreeSet<&str> = ONE_DIALECT.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let only: BTreeSet<&str> =
        sqlite.symmetric_difference(&postgres).map(|name| name.trim_end_matches(".sql")).collect();
    let mut problems = Vec::new();
    for name in only.difference(&excused) {
        problems.push(format!("{name}.sql stands in one dialect only; the twins have the same file names"));
    }
    for name in excused.difference(&only) {
        problems.push(format!("{name}.sql stands in both dialects, or in none; take it out of ONE_DIALECT"));
    }
    check(problems);
}

/// Statements that only one of the stores needs.
const ONE_DIALECT: &[(&str, &[&str])] = &[
    ("SQLite leases by the clock since boot", &["boot_insert", "boot_number"]),
    ("one connection's settings", &["busy_timeout_short", "writer_settings"]),
    (
        "a commit in the same process has an answer",
        &[
            "execution_replay_of",
            "executions_same",
            "signal_exists",
            "tasks_adopt",
            "transaction_number",
            "transaction_status",
        ],
    ),
    (
        "PostgreSQL has many writers, which lock what they are going to change",
        &[
            "advisory_lock",
            "advisory_try_lock",
            "executions_lock",
            "idempotency_lock",
            "idempotency_lock_owned",
            "idempotency_take_over",
            "task_lock",
            "tasks_stop",
            "tasks_take_due",
            "waits_ensure",
            "waits_lock_below",
        ],
    ),
    ("in PostgreSQL the same statement tells what runs below", &["tasks_running_below"]),
    ("in PostgreSQL a snapshot is one statement, for one journey to the server", &["tasks_list_progress"]),
    ("PostgreSQL's schema of its own, and its notifications", &["notify", "schema_exists"]),
];

#[test]
fn migrations_are_numbered_without_a_gap() {
    let mut problems = Vec::new();
    for backend in ["sqlite", "postgres"] {
        for (index, file) in files(&format!("src/backend/{backend}/migrations"), &["sql"]).iter().enumerate() {
            let start = format!("{:04}_", index + 1);
            if !file.rsplit('/').next().unwrap().starts_with(&start) {
                problems.push(format!(
                    "{file}: its name should start with {start}; migrations run in order, none left out"
                ));
            }
        }
    }
    check(problems);
}
