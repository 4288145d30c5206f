//! What is written for people agrees with what is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::source::{check, files, is_word, read, root};

/// Variables of the environment, a build tag of Go's and a table of the stores, which look like names of the header.
const ENVIRONMENT: &[&str] = &[
    "STENT_DB",
    "STENT_LIB_DIR",
    "STENT_LINK",
    "STENT_STRESS",
    "STENT_TEST_POSTGRES",
    "STENT_UI_TOKEN",
    "stent_lib_dir",
    "stent_schema",
];

#[test]
fn documents_name_make_targets_that_exist() {
    let makefile = read("Makefile");
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', ' ']) && !line.contains(":="))
        .filter_map(|line| line.split_once(':'))
        .flat_map(|(targets, _)| targets.split_whitespace())
        .collect();
    let mut problems = Vec::new();
    for file in documents() {
        for (number, line) in read(&file).lines().enumerate() {
            for (at, _) in line.match_indices("make ") {
                // A command, not the verb: at a line's start, or just after a backquote.
                if !line[..at].trim().is_empty() && !line[..at].ends_with('`') {
                    continue;
                }
                let target: String = line[at + 5..].chars().take_while(|c| is_word(*c) || *c == '-').collect();
                if !target.is_empty() && !targets.contains(target.as_str()) {
                    problems.push(format!("{file}:{}: `make {target}`; the Makefile has no such target", number + 1));
                }
            }
        }
    }
    check(problems);
}

/// All that is written for people.
pub fn documents() -> Vec<String> {
    let mut documents = files("docs", &["md"]);
    documents.extend(files("bindings", &["md"]));
    documents.extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(str::to_owned));
    documents
}

#[test]
fn documents_name_functions_and_options_that_exist() {
    let header = read("include/stent.h");
    let declared: BTreeSet<&str> = header.split(|c: char| !is_word(c)).collect();
    let described = read("tests/golden/describe.json");
    let own_metrics = read("src/bin/stent/run/metrics.rs");
    // A metric of the library's, or one that the command tells of a store.
    let is_metric = |word: &str| {
        let short = word.strip_prefix("stent_").unwrap_or(word);
        described.contains(&format!("\"name\": \"{word}\"")) || own_metrics.contains(&format!("\"{short}\""))
    };
    let mut problems = Vec::new();
    for file in documents() {
        let text = read(&file);
        for word in text.split(|c: char| !is_word(c)) {
            let known = ENVIRONMENT.contains(&word) || declared.contains(word) || is_metric(word);
            if word.to_lowercase().starts_with("stent_") && !known {
                problems.push(format!("{file}: {word} is not in include/stent.h; name what is there"));
            }
        }
    }
    // The table of options: where, option, default, what it does.
    for row in read("README.md").lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 3) {
        for option in row.split(" | ").nth(1).unwrap_or("").split('`').skip(1).step_by(2) {
            if !described.contains(&format!("\"name\": \"{option}\"")) {
                problems.push(format!("README.md: there is no option {option}; stent_describe() knows them all"));
            }
        }
    }
    check(problems);
}

/// What is left of a text in Markdown without its code: every other part between fences, and between backquotes.
pub fn without_code(text: &str) -> String {
    let even = |text: &str, mark: &str| text.split(mark).step_by(2).collect::<Vec<_>>().join(" ");
    even(&even(text, "```"), "`")
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut problems = Vec::new();
    for file in documents() {
        let text = without_code(&read(&file));
        for (at, _) in text.match_indices("](") {
            let (link, _) = text[at + 2..].split_once(')').unwrap_or_default();
            let path = link.split('#').next().unwrap_or("");
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let target = root().join(&file).parent().unwrap().join(path);
            if !target.exists() {
                problems.push(format!("{file}: the link to {path} leads nowhere; mend or remove it"));
            }
        }
    }
    check(problems);
}

#[test]
fn the_map_names_every_folder_of_the_sources() {
    let map = read("ARCHITECTURE.md");
    let folders: BTreeSet<PathBuf> =
        files("src", &["rs", "sql"]).iter().map(|file| Path::new(file).parent().unwrap().to_owned()).collect();
    let missing: Vec<String> = folders
        .iter()
        .filter(|folder| !folder.ends_with("tests"))
        .map(|folder| format!("{}/", folder.display()))
        .filter(|folder| !map.contains(&format!("`{folder}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "ARCHITECTURE.md does not name {missing:?}; say there, in backquotes, what each is for"
    );
}

/// The table that follows one task names a file and its functions in each row.
#[test]
fn the_map_follows_a_task_through_functions_that_exist() {
    let map = read("ARCHITECTURE.md");
    let quoted = |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut problems = Vec::new();
    let mut rows = 0;
    for row in map.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [_, file, functions] = cells.as_slice() else { continue };
        let [file] = quoted(file).try_into().unwrap_or_default();
        if !file.ends_with(".rs") {
            continue;
        }
        rows += 1;
        let source = read(&file);
        for function in quoted(functions) {
            let name = function.rsplit("::").next().unwrap_or_default();
            if !source.contains(&format!("fn {name}(")) && !source.contains(&format!("fn {name}<")) {
                problems.push(format!("ARCHITECTURE.md: there is no function {function} in {file}"));
            }
        }
    }
    assert!(rows > 10, "the table is not where this test looks for it");
    check(problems);
}

#[test]
fn the_changelog_knows_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        read("CHANGELOG.md").contains(&format!("## {version}")),
        "CHANGELOG.md has no heading `## {version}`; tell there what is new"
    );
}
