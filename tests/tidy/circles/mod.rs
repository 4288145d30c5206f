//! No circle of files: each page can be read when those below it have been, and needs none above it.
//!
//! The graph is built from the sources themselves, one for each language; tests are no part of it. What is called on a
//! value is not followed: its type is, wherever it is named.

mod c;
mod go;
mod graph;
mod python;
mod rust;
mod typescript;

use crate::source::{check, files, is_test, is_word, read};

/// A file and its text.
type Source = (String, String);

#[test]
fn no_files_know_each_other_in_a_circle() {
    let graphs = [
        rust::graph(&sources("src", &["rs"])),
        c::graph(&sources("examples_c", &["c", "h"])),
        c::graph(&sources("bindings", &["hpp", "cpp", "c", "h"])),
        typescript::graph(&sources("bindings", &["ts"])),
        python::graph(&sources("bindings", &["py"])),
        go::graph("bindings/go", "github.com/stent-dev/stent/bindings/go", &sources("bindings/go", &["go"])),
    ];
    let mut problems = Vec::new();
    for graph in &graphs {
        for circle in graph.circles() {
            problems.push(graph.tell(&circle));
        }
    }
    check(problems);
}

/// What is ours and no test.
fn sources(folder: &str, endings: &[&str]) -> Vec<Source> {
    let not_ours = |file: &str| file.contains("/dist/") || file.contains("/build/");
    let test = |file: &str| is_test(file) || file.contains("/test/") || file.ends_with("_test.go");
    let files = files(folder, endings).into_iter().filter(|file| !not_ours(file) && !test(file));
    files.map(|file| (file.clone(), read(file))).collect()
}

/// The path that `relative` means in a file.
fn joined(file: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Identifiers, `::`, and single signs.
fn words(code: &str) -> Vec<String> {
    let mut words = Vec::new();
    let chars: Vec<char> = code.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        if is_word(chars[at]) {
            while at < chars.len() && is_word(chars[at]) {
                at += 1;
            }
            words.push(chars[start..at].iter().collect());
        } else {
            at += if chars[at] == ':' && chars.get(at + 1) == Some(&':') { 2 } else { 1 };
            if !chars[start].is_whitespace() {
                words.push(chars[start..at].iter().collect());
            }
        }
    }
    words
}
