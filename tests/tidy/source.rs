//! Finds and reads the sources.

use std::fs;
use std::path::Path;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// All files below a folder with one of these endings, as paths from the root, sorted. No folder: none.
pub fn files(folder: &str, endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                // What npm fetched is not ours.
                if !path.ends_with("node_modules") {
                    open.push(path);
                }
            } else if endings.iter().any(|ending| path.extension().is_some_and(|e| e == *ending)) {
                found.push(name(&path));
            }
        }
    }
    found.sort();
    found
}

pub fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}

pub fn is_below(file: &str, place: &str) -> bool {
    file.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Files that are tests as a whole.
pub fn is_test(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/")
}

/// Rust without comments and without what is inside string literals; line breaks stay.
pub fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let starts = |at: usize, word: &str| word.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    while at < chars.len() {
        if starts(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            let mut depth = 0;
            loop {
                if starts(at, "/*") {
                    depth += 1;
                    at += 2;
                } else if starts(at, "*/") {
                    depth -= 1;
                    at += 2;
                } else {
                    if chars.get(at) == Some(&'\n') {
                        out.push('\n');
                    }
                    at += 1;
                }
                if depth == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if chars[at] == 'r' && (starts(at + 1, "\"") || starts(at + 1, "#\"") || starts(at + 1, "##\"")) {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            let end = format!("\"{}", "#".repeat(hashes));
            at += hashes + 2;
            out.push('"');
            while at < chars.len() && !starts(at, &end) {
                if chars[at] == '\n' {
                    out.push('\n');
                }
                at += 1;
            }
            out.push('"');
            at += hashes + 1;
        } else if chars[at] == '"' {
            out.push('"');
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                if chars[at] == '\\' {
                    at += 1;
                }
                if chars.get(at) == Some(&'\n') {
                    out.push('\n');
                }
                at += 1;
            }
            out.push('"');
            at += 1;
        } else if chars[at] == '\'' && (chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'')) {
            // A character, not a lifetime.
            at += if chars[at + 1] == '\\' { 3 } else { 2 };
            while at < chars.len() && chars[at] != '\'' {
                at += 1;
            }
            out.push_str("' '");
            at += 1;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Code without its modules of tests, be they declared or written out; line breaks stay.
pub fn product(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, after)) = rest.split_once("#[cfg(test)]\n") {
        out.push_str(before);
        out.push('\n');
        let item = after.split_inclusive('\n').find(|line| !line.starts_with("#[")).unwrap_or("");
        rest = if item.starts_with("mod ") {
            // rustfmt closes a module in the first column.
            let end = if item.ends_with(";\n") { ";\n" } else { "\n}\n" };
            let (tests, after) = after.split_once(end).unwrap_or((after, ""));
            out.extend(tests.chars().chain(end.chars()).filter(|c| *c == '\n'));
            after
        } else {
            after
        };
    }
    out + rest
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The lines (from 1) where `word` stands by itself.
pub fn lines_with(text: &str, word: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let alone = line.match_indices(word).any(|(at, _)| {
            !line[..at].ends_with(is_word) && (word.ends_with('!') || !line[at + word.len()..].starts_with(is_word))
        });
        if alone {
            found.push(number + 1);
        }
    }
    found
}

/// The paths after `crate::`, two words deep, with groups spread out: `backend::sqlite`, `model::Error`.
pub fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| is_word(c) || c == '$') {
            continue;
        }
        spread("", &code[at + "crate::".len()..], &mut found);
    }
    found
}

/// Do so many `super::` in a row lead from this file to the root of the library?
pub fn climbs_out(file: &str, code: &str) -> bool {
    let parts: Vec<&str> = file.trim_start_matches("src/").split('/').collect();
    let is_folder = parts.last().is_some_and(|last| *last == "mod.rs");
    let depth = if is_folder { parts.len() - 1 } else { parts.len() };
    depth > 0 && code.contains(&"super::".repeat(depth))
}

fn spread(prefix: &str, rest: &str, found: &mut Vec<String>) {
    let deep = prefix.matches("::").count() >= 2;
    if let Some(group) = rest.strip_prefix('{')
        && !deep
    {
        let mut depth = 0;
        let mut start = 0;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    let item = group[start..at].trim();
                    if !item.is_empty() {
                        spread(prefix, item, found);
                    }
                    start = at + 1;
                    if c == '}' {
                        return;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
        return;
    }
    let word: String = rest.chars().take_while(|c| is_word(*c)).collect();
    let rest = &rest[word.len()..];
    let path = format!("{prefix}{word}");
    match rest.strip_prefix("::") {
        Some(rest) if !deep => spread(&format!("{path}::"), rest, found),
        _ => found.push(path),
    }
}

/// What a check found, all of it at once.
pub fn check(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// The checks stand on this: what it takes for code must be code.
#[test]
fn the_reader_of_sources_sees_code_only() {
    let text = "let a = \"unsafe // no\"; // unsafe\n/* sqlx /* unsafe */ */ let b = '\"'; unsafe { r#\"libc \"x\" \"#; }\nfn f<'a>() {}";
    let seen = code(text);
    assert_eq!(lines_with(&seen, "unsafe"), [2]);
    assert!(
        lines_with(&seen, "sqlx").is_empty() && lines_with(&seen, "libc").is_empty() && seen.contains("fn f<'a>()")
    );
    let tests = "mod a;\n#[cfg(test)]\nmod tests;\nfn b() {}\n#[cfg(test)]\nfn c() {}\n#[cfg(test)]\n#[path = \"\"]\nmod d {\n    fn e() {}\n}\n";
    assert_eq!(product(tests), "mod a;\n\n\nfn b() {}\n\nfn c() {}\n\n\n\n\n\n");
    let paths = imports("use crate::{model::{Error, Id}, backend::sqlite::Sqlite}; crate::codec::x(); $crate::y");
    assert_eq!(paths, ["model::Error", "model::Id", "backend::sqlite::Sqlite", "codec::x"]);
    assert!(
        climbs_out("src/ffi/mod.rs", "use super::model;") && climbs_out("src/ffi/task.rs", "use super::super::model;")
    );
    assert!(
        !climbs_out("src/ffi/task.rs", "use super::error;") && !climbs_out("src/ffi/task/mod.rs", "use super::error;")
    );
}
