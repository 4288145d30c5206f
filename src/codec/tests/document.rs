//! docs/writing-a-backend.md: its reference is made of the tables that also drive reading and `stent_describe`, and of
//! the samples behind the golden files. `UPDATE_GOLDEN=1 cargo test codec` writes it anew; the prose around it is kept.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::{engine_samples, samples};
use crate::codec::tables::engine::OPERATIONS as ENGINE;
use crate::codec::tables::engine_records::ENGINE_RECORDS;
use crate::codec::tables::library::{TYPES, status_doc};
use crate::codec::tables::objects::OBJECTS;
use crate::codec::tables::operations::{OPERATIONS, Operation};
use crate::codec::tables::records::{FAILURE, RECORDS};
use crate::codec::tables::{Field, Kind};
use crate::codec::{operations, to_json};
use crate::model::Status;

/// JSON up to this wide stays on one line.
const WIDTH: usize = 110;

type Chapter = fn() -> String;

/// What is generated: what is between `<!-- its name -->` and `<!-- end -->`.
const CHAPTERS: [(&str, Chapter); 5] =
    [("types", types), ("statuses", statuses), ("protocol", protocol), ("engine", engine), ("records", records)];

#[test]
fn the_document_for_writers_of_backends_is_as_the_tables_and_the_golden_files() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/writing-a-backend.md");
    let written = std::fs::read_to_string(&path).unwrap();
    let due = CHAPTERS.iter().fold(written.clone(), |document, (name, make)| with_chapter(&document, name, &make()));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &due).unwrap();
        return;
    }
    let differs = written.lines().zip(due.lines()).find(|(written, due)| written != due);
    assert!(written == due, "{} has drifted (UPDATE_GOLDEN=1 writes it anew): {differs:#?}", path.display());
}

fn with_chapter(document: &str, name: &str, text: &str) -> String {
    const END: &str = "<!-- end -->";
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("the document has no {begin}"));
    let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("the chapter {name} has no {END}"));
    format!("{before}{begin}\n{}\n\n{END}{after}", text.trim_end())
}

fn types() -> String {
    let rows = TYPES.iter().map(|word| format!("| `{}` | {} |\n", word.name, word.doc));
    format!("| type | what it is |\n|---|---|\n{}", rows.collect::<String>())
}

fn statuses() -> String {
    let failures = Status::ALL.into_iter().filter(|status| status.is_a_stores());
    let rows = failures
        .map(|status| format!("| `STENT_E_{}` | {} | {} |\n", status.name(), status.code(), status_doc(status)));
    format!("| status | code | meaning |\n|---|---|---|\n{}", rows.collect::<String>())
}

fn protocol() -> String {
    let examples =
        samples::operations().into_iter().map(|(request, answer)| (operations::asked(&request), to_json(&answer)));
    chapter(OPERATIONS, examples)
}

fn engine() -> String {
    let examples = engine_samples::operations()
        .into_iter()
        .map(|(request, answer)| (operations::asked_by_engine(&request), answer));
    chapter(ENGINE, examples)
}

fn chapter(operations: &[Operation], examples: impl Iterator<Item = ((String, String), String)>) -> String {
    let mut text = String::new();
    for (operation, ((name, request), answer)) in operations.iter().zip(examples) {
        assert_eq!(operation.name, name, "the samples are in the order of the table");
        let kind = operation.response.map_or_else(|| "null".to_owned(), named);
        let or_null = if operation.nullable { " or `null`" } else { "" };
        writeln!(text, "### `{name}`\n\n{}\n\nAnswer: {kind}{or_null}.\n", operation.doc).unwrap();
        if !operation.request.is_empty() {
            writeln!(text, "{}", fields(operation.request)).unwrap();
        }
        writeln!(text, "```json\n{}\n```\n\n```json\n{}\n```\n", laid_out(&request), laid_out(&answer)).unwrap();
    }
    text
}

fn records() -> String {
    let mut text = String::new();
    let options = [
        "dispatch",
        "function",
        "call",
        "rate",
        "retry_policy",
        "execution_filter",
        "dead_letter_filter",
        "schedule",
        "schedule_filter",
        "pause_schedule",
        "trigger_schedule",
        "backfill_schedule",
    ];
    let options = OBJECTS.iter().filter(|object| options.contains(&object.name));
    let all = RECORDS
        .iter()
        .chain([&FAILURE])
        .map(|record| (record.name, record.doc, record.fields))
        .chain(options.map(|object| (object.name, object.doc, object.fields)))
        .chain(ENGINE_RECORDS.iter().map(|record| (record.name, record.doc, record.fields)));
    for (name, doc, members) in all {
        writeln!(text, "### {name}\n\n{doc}\n\n{}", fields(members)).unwrap();
    }
    text
}

pub(super) fn fields(fields: &[Field]) -> String {
    let row = |field: &Field| {
        let default = field.default.map_or_else(|| "required".to_owned(), |default| format!("`{default}`"));
        format!("| `{}` | {} | {default} | {} |\n", field.name, named(field.kind), field.doc)
    };
    format!(
        "| member | type | default | what it is |\n|---|---|---|---|\n{}",
        fields.iter().map(row).collect::<String>()
    )
}

/// A type, with a link where a record is meant.
fn named(kind: Kind) -> String {
    match kind {
        Kind::Word(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" "),
        Kind::Named(name) => format!("[`{name}`](#{name})"),
        Kind::ListOf(of) => format!("{}`[]`", named(*of)),
        Kind::MapOf(of) => format!("names to {}", named(*of)),
        plain => format!("`{}`", plain.name()),
    }
}

/// JSON as people read it: what fits stays on a line. Nothing but white space between tokens is changed.
fn laid_out(text: &str) -> String {
    let mut out = String::new();
    lay_out(text.trim(), 0, &mut out);
    out
}

fn lay_out(value: &str, depth: usize, out: &mut String) {
    let parts = if value.len() + 2 * depth > WIDTH { parts(value) } else { Vec::new() };
    if parts.is_empty() {
        out.push_str(value);
        return;
    }
    out.push_str(&value[..1]);
    for (number, (key, part)) in parts.iter().enumerate() {
        let comma = if number > 0 { "," } else { "" };
        write!(out, "{comma}\n{:1$}{key}", "", 2 * depth + 2).unwrap();
        lay_out(part, depth + 1, out);
    }
    write!(out, "\n{:1$}{2}", "", 2 * depth, &value[value.len() - 1..]).unwrap();
}

/// The elements of a container, each with its key: `"a": `, or nothing in an array. Empty for anything else.
fn parts(value: &str) -> Vec<(String, &str)> {
    if !value.starts_with(['{', '[']) {
        return Vec::new();
    }
    let inner = &value[1..value.len() - 1];
    let mut found = Vec::new();
    let (mut start, mut colon, mut depth, mut quoted, mut escaped) = (0, None, 0, false, false);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ':' if depth == 0 => colon = Some(at),
            ',' if depth == 0 => {
                let key = colon.map(|colon| format!("{}: ", inner[start..colon].trim())).unwrap_or_default();
                let part = inner[colon.map_or(start, |colon| colon + 1)..at].trim();
                if !part.is_empty() {
                    found.push((key, part));
                }
                (start, colon) = (at + 1, None);
            }
            _ => {}
        }
    }
    found
}

#[test]
fn the_schedule_in_the_book_is_read() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/schedules.md");
    let book = std::fs::read_to_string(&path).unwrap();
    let blocks: Vec<&str> = book.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 1);
    for block in blocks {
        crate::codec::schedule(block).unwrap_or_else(|why| panic!("{why}: {block}"));
    }
}
