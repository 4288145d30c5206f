//! The declarations fit the texts. Whether a text prepares, and what it answers, only a database knows: that is tested
//! in `sqlite/tests/statements.rs` and `postgres/tests.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::all;
use crate::backend::sql::statement::{Column, Kind, Statement, Text};

/// Texts of one dialect's own: the flow does not know them.
const OWN: &[(&str, &str, &[&str])] = &[
    (
        "sqlite",
        "leases and durations go by the time since boot",
        &[
            "boot_began",
            "boot_insert",
            "boot_last",
            "boot_number",
            "cleanups_carry_over",
            "deadlines_carry_over",
            "executions_carry_over",
            "tasks_carry_over",
        ],
    ),
    ("sqlite", "a copy for a backup", &["copy_into"]),
    ("sqlite", "the extension's own, on a host's connection", &["apply", "shadows"]),
    ("sqlite", "read when a transaction begins", &["catalog_version"]),
    ("sqlite", "one connection's settings", &["writer_settings"]),
    ("sqlite", "the schema's version", &["schema_applied", "schema_create", "schema_tables", "schema_version"]),
    ("postgres", "locks of what is no row", &["advisory_lock", "advisory_try_lock"]),
    ("postgres", "hints to other processes", &["notify"]),
    ("postgres", "the functions for plain SQL", &["functions_look"]),
    (
        "postgres",
        "the schema, and its version",
        &["schema_applied", "schema_create", "schema_rights", "schema_tables", "schema_version"],
    ),
    ("postgres", "the server, and its database", &["server_encoding", "server_is_writable"]),
];

/// The files of a dialect's folder, by name, with what is in them.
pub(in crate::backend) fn files(dialect: &str, folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend").join(dialect).join(folder);
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn text_of(statement: &Statement, dialect: &str) -> Text {
    match dialect {
        "sqlite" => statement.sqlite,
        _ => statement.postgres,
    }
}

#[track_caller]
pub(in crate::backend) fn none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_text_is_declared_once_or_is_its_dialects_own() {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for statement in all() {
        if !names.insert(statement.name) {
            problems.push(format!("{} is declared twice", statement.name));
        }
    }
    for dialect in ["sqlite", "postgres"] {
        let has = |statement: &&Statement| matches!(text_of(statement, dialect), Text::Sql(_));
        let declared = all().filter(has).map(|statement| statement.name);
        let own = OWN.iter().filter(|(of, ..)| *of == dialect).flat_map(|(.., names)| names.iter().copied());
        let known: BTreeSet<&str> = declared.chain(own).collect();
        let found: BTreeSet<String> = files(dialect, "sql").into_iter().map(|(name, _)| name).collect();
        for name in found.iter().filter(|name| !known.contains(name.as_str())) {
            problems.push(format!(
                "{dialect}/sql/{name}.sql is declared nowhere; add it to a file in sql/statements/, or to OWN in its \
                 tests if the dialect itself uses it, or remove it"
            ));
        }
        for name in known.iter().filter(|name| !found.contains(**name)) {
            problems.push(format!("{dialect}/sql/{name}.sql is not there; write it, or take it out of OWN"));
        }
    }
    none(&problems);
}

#[test]
fn a_statement_that_a_database_needs_not_says_why() {
    let mut problems = Vec::new();
    for statement in all() {
        let missing = ["sqlite", "postgres"].map(|dialect| text_of(statement, dialect));
        let reasons = missing.iter().filter_map(|text| match text {
            Text::Nothing(why) => Some(*why),
            Text::Sql(_) => None,
        });
        let reasons: Vec<&str> = reasons.collect();
        if reasons.len() == 2 {
            problems.push(format!("{}: no database needs it; remove it", statement.name));
        }
        for why in reasons.iter().filter(|why| why.split_whitespace().count() < 3) {
            problems.push(format!(
                "{}: '{why}' is no reason; say in a few words why nothing is to be done",
                statement.name
            ));
        }
        if statement.doing.is_empty() {
            problems.push(format!("{}: an error does not say what was being done", statement.name));
        }
    }
    none(&problems);
}

/// Without comments and without what is inside literals; one space between words.
fn bare(sql: &str) -> String {
    let mut quoted = false;
    let code = |line: &str| -> String {
        let line = line.split("--").next().unwrap_or("");
        let seen = line.chars().filter(|c| {
            quoted ^= *c == '\'';
            !quoted
        });
        seen.collect()
    };
    let lines: Vec<String> = sql.lines().map(code).collect();
    lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every number that follows this mark.
fn numbers_after(sql: &str, mark: &str) -> BTreeSet<usize> {
    let digits = |at: usize| sql[at..].chars().take_while(char::is_ascii_digit).collect::<String>();
    sql.match_indices(mark).filter_map(|(at, _)| digits(at + mark.len()).parse().ok()).collect()
}

/// What the text's first line says it does without: `-- not needed: one, another`.
fn not_needed(sql: &str) -> Vec<&str> {
    let listed = sql.lines().next().and_then(|line| line.strip_prefix("-- not needed: "));
    listed.map(|names| names.split(',').map(str::trim).collect()).unwrap_or_default()
}

/// Which of the places from `first` on are a column's; and the place after the last one.
fn places(columns: &[Column], first: usize, width: fn(Kind) -> usize) -> (Vec<(Column, Vec<usize>)>, usize) {
    let mut next = first;
    let mut take = |column: &Column| {
        let own = (next..next + width(column.kind)).collect::<Vec<usize>>();
        next += own.len();
        (*column, own)
    };
    let taken = columns.iter().map(&mut take).collect();
    (taken, next)
}

/// Each is used, or is said not to be needed. Of a lease, a clock or what is due a text may use a part.
fn check_use(
    name: &str,
    sql: &str,
    given: &[(Column, Vec<usize>)],
    used: &BTreeSet<usize>,
    problems: &mut Vec<String>,
) {
    let not_needed = not_needed(sql);
    for (column, own) in given.iter().filter(|(_, own)| !own.is_empty()) {
        match (own.iter().any(|place| used.contains(place)), not_needed.contains(&column.name)) {
            (false, false) => problems.push(format!(
                "{name}: {} ({own:?}) is not used; use it, or say in the first line `-- not needed: {}`",
                column.name, column.name
            )),
            (true, true) => problems.push(format!("{name}: {} is used, and said not to be needed", column.name)),
            _ => {}
        }
    }
    let names: Vec<&str> = given.iter().map(|(column, _)| column.name).collect();
    for unknown in not_needed.iter().filter(|name| !names.contains(name)) {
        problems.push(format!("{name}: {unknown} is not needed, but nobody gives it"));
    }
}

fn check_last(name: &str, mark: &str, used: &BTreeSet<usize>, end: usize, problems: &mut Vec<String>) {
    if let Some(last) = used.last().filter(|last| **last >= end) {
        problems.push(format!("{name}: {mark}{last} is not given; the last one is {mark}{}", end.saturating_sub(1)));
    }
}

/// How a text takes a column out of a row of its batch.
fn is_taken(column: Column, slots: &[usize], sql: &str) -> bool {
    let first = slots[0];
    let blob = format!("substr(?2, value ->> {first}, value ->> {})", first + 1);
    let as_text = format!("CAST({blob} AS TEXT)");
    match column.kind {
        Kind::Id => sql.contains(&format!("substr(?2, value ->> {first}, 16)")),
        Kind::Text => sql.contains(&as_text),
        Kind::Bytes => sql.contains(&blob) && !sql.contains(&as_text),
        _ => numbers_after(sql, "value ->> ").iter().any(|slot| slots.contains(slot)),
    }
}

/// How many parameters SQLite is given for one of these.
fn width(kind: Kind) -> usize {
    match kind {
        Kind::Lease | Kind::Clock => 3,
        Kind::Due => 2,
        _ => 1,
    }
}

fn check_sqlite(statement: &Statement, sql: &str, problems: &mut Vec<String>) {
    let name = format!("sqlite/sql/{}.sql", statement.name);
    let code = bare(sql);
    let takes_set = code.contains("jsonb_each(?1)");
    // The batch as two parameters; or a row of it, one after the other.
    let (mut given, first) = if takes_set { (Vec::new(), 3) } else { places(statement.rows, 1, width) };
    let (parameters, end) = places(statement.parameters, first, width);
    given.extend(parameters);
    let used = numbers_after(&code, "?");
    check_use(&name, sql, &given, &used, problems);
    check_last(&name, "?", &used, end, problems);
    if !takes_set {
        return;
    }
    // The batch has an alias where there is something beside it.
    let code = code.replace("b.value", "value").replace("l.value", "value");
    let (slots, end) = places(statement.rows, 0, |kind| match kind {
        Kind::Text | Kind::Bytes => 2,
        other => width(other),
    });
    for (column, slots) in slots.iter().filter(|(column, slots)| !is_taken(*column, slots, &code)) {
        problems.push(format!(
            "{name}: the column {} of its batch is not taken from {slots:?} as its kind is",
            column.name
        ));
    }
    check_last(&name, "value ->> ", &numbers_after(&code, "value ->> "), end, problems);
}

fn check_postgres(statement: &Statement, sql: &str, problems: &mut Vec<String>) {
    let name = format!("postgres/sql/{}.sql", statement.name);
    let code = bare(sql);
    let (mut given, next) = places(statement.rows, 1, |_| 1);
    let (parameters, end) = places(statement.parameters, next, |kind| usize::from(kind != Kind::Clock));
    given.extend(parameters);
    let used = numbers_after(&code, "$");
    check_use(&name, sql, &given, &used, problems);
    check_last(&name, "$", &used, end, problems);
    let names: Vec<&str> = statement.rows.iter().map(|column| column.name).collect();
    for (at, alias) in code.match_indices("AS b (") {
        let called = code[at + alias.len()..].split(')').next().unwrap_or("").split(", ");
        let called: Vec<&str> = called.map(str::trim).filter(|name| *name != "position").collect();
        if called != names {
            problems.push(format!("{name}: the columns of its batch are {names:?}, and it calls them {called:?}"));
        }
    }
}

#[test]
fn the_texts_use_what_they_are_given_and_nothing_else() {
    let mut problems = Vec::new();
    for statement in all() {
        if let Text::Sql(sql) = statement.sqlite {
            check_sqlite(statement, sql, &mut problems);
        }
        if let Text::Sql(sql) = statement.postgres {
            check_postgres(statement, sql, &mut problems);
        }
    }
    none(&problems);
}

/// Claims find by `readied` what became ready before the places that they remember (`places.rs`): whatever gives a task a
/// lane says by which transaction. A new row has it by default.
#[test]
fn whatever_makes_a_task_ready_says_so() {
    let mut problems = Vec::new();
    let mut seen = 0;
    for (name, sql) in files("postgres", "sql") {
        let code = bare(&sql);
        let gives = ["SET lane = ", ", lane = ", "(lane, due_at) = "].iter().any(|mark| {
            code.contains("UPDATE tasks") && code.split(mark).skip(1).any(|rest| !rest.starts_with("NULL"))
        });
        seen += usize::from(gives);
        let says = code.split("readied = ").skip(1).any(|rest| rest.find("txid_current()").is_some_and(|at| at < 60));
        if gives != says {
            problems.push(format!(
                "{name}.sql: readied = txid_current() is for what gives a task a lane, and for nothing else"
            ));
        }
        if code.contains("INSERT INTO tasks") && code.contains("readied") {
            problems.push(format!("{name}.sql inserts tasks with a transaction of its own choice"));
        }
    }
    assert!(seen > 10);
    none(&problems);
}

/// The checks stand on this: they see what is wrong.
#[test]
fn what_does_not_fit_is_seen() {
    const ID: Column = Column { name: "id", kind: Kind::Id };
    const NAME: Column = Column { name: "name", kind: Kind::Text };
    const LEASE: Column = Column { name: "lease", kind: Kind::Lease };
    const ROWS: &[Column] = &[ID, NAME];
    let of = |rows, parameters| Statement {
        name: "test",
        doing: "test",
        rows,
        parameters,
        columns: &[],
        sqlite: Text::Nothing("a test of texts"),
        postgres: Text::Nothing("a test of texts"),
    };
    let count = |check: fn(&Statement, &str, &mut Vec<String>), statement: &Statement, sql: &str| {
        let mut problems = Vec::new();
        check(statement, sql, &mut problems);
        problems.len()
    };
    let single = of(&[], &[ID, LEASE]);
    for (sql, wrong) in [
        ("SELECT ?1, ?4 -- ?9", 0),
        ("SELECT ?1, '?9'", 1),
        ("-- not needed: lease\nSELECT ?1", 0),
        ("-- not needed: lease, key\nSELECT ?1, ?2", 2),
        ("SELECT ?1, ?3, ?5", 1),
    ] {
        assert_eq!(count(check_sqlite, &single, sql), wrong, "{sql}");
    }
    let batch = of(ROWS, &[]);
    for (sql, wrong) in [
        (
            "SELECT substr(?2, b.value ->> 0, 16), CAST(substr(?2, value ->> 1, value ->> 2) AS TEXT) FROM jsonb_each(?1)",
            0,
        ),
        (
            "SELECT substr(?2, value ->> 0, 16), substr(?2, value ->> 1, value ->> 2), value ->> 3 FROM jsonb_each(?1)",
            2,
        ),
        ("SELECT value ->> 0, CAST(substr(?2, value ->> 1, value ->> 2) AS TEXT), ?3 FROM jsonb_each(?1)", 2),
        ("SELECT ?1, ?2", 0),
        ("-- not needed: id\nSELECT ?2, ?3", 1),
    ] {
        assert_eq!(count(check_sqlite, &batch, sql), wrong, "{sql}");
    }
    for (sql, wrong) in [
        ("SELECT b.id FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS b (id, name, position)", 0),
        ("SELECT b.id FROM unnest($1::uuid[], $3::text[]) AS b (id, key)", 3),
    ] {
        assert_eq!(count(check_postgres, &batch, sql), wrong, "{sql}");
    }
}
