//! Rules for statements and migrations.

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
fn sql_files_hold_one_statement_that_names_its_columns() {
    let mut problems = Vec::new();
    for backend in ["src/backend/sqlite", "src/backend/postgres"] {
        for file in files(&format!("{backend}/sql"), &["sql"]) {
            let sql = bare_sql(&read(&file)).to_uppercase();
            let words = sql.split_whitespace().collect::<Vec<_>>().join(" ");
            // Settings are no statements: they may stand together.
            let statements: Vec<&str> = words.split(';').map(str::trim).filter(|one| !one.is_empty()).collect();
            // One that changes what the other has asked for is a part of it, on SQLite.
            let asks_and_changes = backend.ends_with("sqlite")
                && matches!(
                    statements.as_slice(),
                    [asks, changes] if asks.starts_with("SELECT ") && changes.ends_with(" WHERE ROWID = @NUMBER")
                );
            let settings = statements.iter().all(|one| one.starts_with("PRAGMA "));
            if statements.len() > 1 && !settings && !asks_and_changes {
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
