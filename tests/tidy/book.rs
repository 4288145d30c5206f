//! The book in `docs/`: every page is in its table of contents, links lead to headings that exist, and the page of tables
//! names the tables and columns that the migrations make.

use std::collections::{BTreeMap, BTreeSet};

use crate::documents::{documents, without_code};
use crate::source::{check, files, is_word, read, root};

/// The table of contents, as mdBook reads it.
const SUMMARY: &str = "docs/SUMMARY.md";

/// The targets of a text's links, without what is in code.
fn links(text: &str) -> Vec<String> {
    let text = without_code(text);
    text.match_indices("](").filter_map(|(at, _)| Some(text[at + 2..].split_once(')')?.0.to_owned())).collect()
}

#[test]
fn every_page_stands_once_in_the_table_of_contents() {
    let listed = links(&read(SUMMARY));
    let mut problems = Vec::new();
    for file in files("docs", &["md"]).iter().filter(|file| *file != SUMMARY) {
        let page = file.strip_prefix("docs/").unwrap();
        let times = listed.iter().filter(|link| *link == page).count();
        if times != 1 {
            problems.push(format!("{file}: is {times} times in {SUMMARY}, and belongs there once"));
        }
    }
    for link in &listed {
        if !root().join("docs").join(link).is_file() {
            problems.push(format!("{SUMMARY}: there is no page {link}"));
        }
    }
    check(problems);
}

/// The anchors of a page, as GitHub and mdBook make them of its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen = BTreeMap::new();
    let mut in_code = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
        }
        let Some(heading) = line.strip_prefix('#').filter(|_| !in_code) else { continue };
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| is_word(*c) || *c == '-' || *c == ' ');
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let before: &mut u32 = seen.entry(anchor.clone()).or_default();
        found.insert(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
        *before += 1;
    }
    found
}

#[test]
fn links_lead_to_headings_that_exist() {
    let mut problems = Vec::new();
    for file in documents() {
        for link in links(&read(&file)) {
            let Some((path, anchor)) = link.split_once('#') else { continue };
            if path.contains("://") || !(path.is_empty() || path.ends_with(".md")) {
                continue;
            }
            let target =
                if path.is_empty() { root().join(&file) } else { root().join(&file).parent().unwrap().join(path) };
            if target.is_file() && !anchors(&read(&target)).contains(anchor) {
                problems.push(format!("{file}: {path} has no heading for #{anchor}; mend the link"));
            }
        }
    }
    check(problems);
}

/// What makes the book copies pictures, and lays out all else as text.
#[test]
fn what_pages_lead_to_is_text_or_a_picture() {
    let maker = read("scripts/book/pages.py");
    let (_, known) = maker.split_once("\nPICTURES = {").expect("scripts/book/pages.py says what is a picture");
    let known = known.split_once('}').unwrap().0;
    let mut problems = Vec::new();
    for file in documents() {
        for link in links(&read(&file)) {
            let path = root().join(&file).parent().unwrap().join(link.split('#').next().unwrap());
            let ending = path.extension().map(|ending| format!("\".{}\"", ending.display())).unwrap_or_default();
            if path.is_file() && !known.contains(&ending) && std::fs::read_to_string(&path).is_err() {
                problems
                    .push(format!("{file}: {link} is no text; name its ending in PICTURES of scripts/book/pages.py"));
            }
        }
    }
    check(problems);
}

#[test]
fn headings_become_anchors_as_on_github() {
    let text = "# The `stent` command\n```sh\n# no heading\n```\n## What's it? (C, C++)\n## Same\n### Same\n";
    assert_eq!(anchors(text).into_iter().collect::<Vec<_>>(), ["same", "same-1", "the-stent-command", "whats-it-c-c"]);
}

/// Columns by table.
type Tables = BTreeMap<String, BTreeSet<String>>;

/// What a store's migrations have made in the end, and the table that counts them.
fn made(folder: &str) -> Tables {
    let create = read(format!("{folder}/sql/schema_create.sql"));
    let (name, columns) = create.trim_end_matches([')', '\n']).split_once(" (").unwrap();
    let first = |column: &str| column.split_whitespace().next().unwrap().to_owned();
    let name = name.rsplit(' ').next().unwrap().to_owned();
    let mut tables = Tables::from([(name, columns.split(", ").map(first).collect())]);
    for file in files(&format!("{folder}/migrations"), &["sql"]) {
        let mut open = None;
        for line in read(&file).lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["CREATE", "TABLE", name, "("] => {
                    tables.insert((*name).to_owned(), BTreeSet::new());
                    open = Some((*name).to_owned());
                }
                ["ALTER", "TABLE", name, "ADD", "COLUMN", column, ..] => {
                    tables.get_mut(*name).unwrap().insert((*column).to_owned());
                }
                ["ALTER", "TABLE", _, "DROP" | "RENAME", ..] | ["DROP", "TABLE", ..] => {
                    panic!("{file}: this test does not know what `{line}` does to the tables; teach it")
                }
                [first, ..] if line.starts_with("    ") && *first != "--" && *first != "PRIMARY" => {
                    if let Some(name) = &open {
                        tables.get_mut(name).unwrap().insert((*first).to_owned());
                    }
                }
                _ if line.starts_with(')') => open = None,
                _ => {}
            }
        }
    }
    tables
}

/// The tables and columns that the page gives to a store: a heading in backquotes for each table, a row for each column;
/// what only one store has is followed by that store's name, in brackets after a table's, in the second cell of a column's.
fn told(page: &str, store: &str, other: &str) -> Tables {
    let mut tables = Tables::new();
    let mut open = None;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let name = heading.split('`').nth(1).filter(|_| !heading.contains(&format!("({other})")));
            open = name.map(str::to_owned);
            if let Some(name) = name {
                tables.insert(name.to_owned(), BTreeSet::new());
            }
        }
        let cells: Vec<&str> = line.trim_start_matches('|').split('|').map(str::trim).collect();
        let [names, only, ..] = cells.as_slice() else { continue };
        if let (Some(table), true) = (&open, only.is_empty() || *only == store) {
            let names = names.split('`').skip(1).step_by(2).map(str::to_owned);
            tables.get_mut(table).unwrap().extend(names);
        }
    }
    tables
}

#[test]
fn the_page_of_tables_names_every_table_and_column() {
    let page = read("docs/tables.md");
    let mut problems = Vec::new();
    for (store, other) in [("SQLite", "PostgreSQL"), ("PostgreSQL", "SQLite")] {
        let flat = |tables: Tables| -> BTreeSet<String> {
            let columns = |(table, columns): (String, BTreeSet<String>)| {
                columns.into_iter().map(move |column| format!("{table}.{column}"))
            };
            tables.into_iter().flat_map(columns).collect()
        };
        let made = flat(made(&format!("src/backend/{}", if store == "SQLite" { "sqlite" } else { "postgres" })));
        assert!(made.len() > 100, "the migrations are not where this test looks for them");
        let told = flat(told(&page, store, other));
        problems.extend(made.difference(&told).map(|name| format!("docs/tables.md: {name} of {store} is missing")));
        problems.extend(told.difference(&made).map(|name| format!("docs/tables.md: {store} has no {name}")));
    }
    check(problems);
}
