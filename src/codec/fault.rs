//! What is wrong with a JSON text: what it is, where it is, and what would be right.

use std::fmt;

use serde::de::{self, Unexpected};

use crate::model::{Error, nearest};

/// Longer values are shown by their beginning.
const SHOWN_MAX: usize = 60;

/// A step on the way from the whole text to the faulty place.
#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

#[derive(Debug)]
enum Kind {
    Wrong {
        found: String,
        expected: String,
    },
    /// The message of another library.
    Told(String),
    Unknown {
        key: String,
        known: &'static [&'static str],
    },
    Word {
        word: String,
        known: &'static [&'static str],
    },
    Missing {
        key: String,
    },
    Twice {
        key: String,
    },
}

#[derive(Debug)]
struct Inner {
    kind: Kind,
    /// Innermost first.
    path: Vec<Step>,
    /// Where the faulty piece of text starts, as an address: the pieces are slices of one text.
    address: Option<usize>,
}

/// An error of the [`super::reader::Reader`]. serde adds what is wrong; each reader on the way out adds where. Boxed,
/// so that a `Result` stays small.
#[derive(Debug)]
pub(super) struct Fault(Box<Inner>);

impl Fault {
    fn new(kind: Kind) -> Self {
        Self(Box::new(Inner { kind, path: Vec::new(), address: None }))
    }

    /// `found` is not what is expected.
    #[cold]
    #[inline(never)]
    pub(super) fn wrong(found: Unexpected<'_>, expected: &str) -> Self {
        Self::new(Kind::Wrong { found: found_words(found), expected: expected.to_owned() })
    }

    #[cold]
    #[inline(never)]
    pub(super) fn unknown(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::Unknown { key: key.to_owned(), known })
    }

    #[cold]
    #[inline(never)]
    pub(super) fn twice(key: &str) -> Self {
        Self::new(Kind::Twice { key: key.to_owned() })
    }

    /// The faulty piece of text, if no inner reader has set it.
    #[cold]
    #[inline(never)]
    pub(super) fn near(mut self, piece: &str) -> Self {
        self.0.address.get_or_insert(piece.as_ptr() as usize);
        self
    }

    #[cold]
    #[inline(never)]
    pub(super) fn in_key(mut self, key: &str) -> Self {
        self.0.path.push(Step::Key(key.to_owned()));
        self
    }

    #[cold]
    #[inline(never)]
    pub(super) fn in_element(mut self, index: usize) -> Self {
        self.0.path.push(Step::Index(index));
        self
    }

    /// `what`: what was being read; `text`: the whole of it.
    pub(super) fn into_error(self, what: &str, text: &str) -> Error {
        let Inner { kind, path, address } = *self.0;
        let path = path_words(&path);
        let offset = address.and_then(|address| address.checked_sub(text.as_ptr() as usize));
        let place = offset.and_then(|offset| text.get(..offset)).map(line_and_column);
        let place_words = place.map(|(line, column)| format!(" (line {line}, column {column})")).unwrap_or_default();
        let inside = if path.is_empty() { String::new() } else { format!(" in {path}") };
        let inner = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let subject = if path.is_empty() { "it" } else { &path };
        let mut near = None;
        let (sentence, key, known) = match &kind {
            Kind::Wrong { found, expected } => {
                (format!("{subject} is {found}{place_words}; it must be {expected}"), None, None)
            }
            Kind::Told(why) => (format!("{subject} is wrong{place_words}: {why}"), None, None),
            Kind::Unknown { key, known: [] } => {
                (format!("there is no \"{key}\"{inside}{place_words}; it takes none"), Some(key), Some(&[][..]))
            }
            Kind::Unknown { key, known } => {
                let list = known.join(", ");
                near = nearest(key, known.iter().copied());
                let known_are =
                    near.map_or_else(|| "; known".into(), |near| format!("; did you mean \"{near}\"? Known"));
                let told = format!("there is no \"{key}\"{inside}{place_words}{known_are} are {list}");
                (told, Some(key), Some(*known))
            }
            Kind::Word { word, known } => {
                let list = known.join(", ");
                (format!("{subject} is \"{word}\"{place_words}; it must be one of {list}"), None, Some(*known))
            }
            Kind::Missing { key } => (format!("{} is missing{place_words}", inner(key)), Some(key), None),
            Kind::Twice { key } => (format!("{} is given twice{place_words}", inner(key)), Some(key), None),
        };
        let mut error = Error::invalid(format!("{what}: {sentence}"));
        if let Some(key) = key {
            error = error.with("key", key.as_str());
        }
        if let Some(near) = near {
            error = error.with("nearest", near);
        }
        if let Some(known) = known {
            error = error.with("known", known.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        }
        if !path.is_empty() {
            error = error.with("path", path);
        }
        match place {
            Some((line, column)) => error.with("line", line).with("column", column),
            None => error,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.kind)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::new(Kind::Told(why.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::wrong(found, &expected_words(&expected.to_string()))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::wrong(found, &expected_words(&expected.to_string()))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::Word { word: shown(word), known })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::unknown(key, known)
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(Kind::Missing { key: key.to_owned() })
    }

    fn duplicate_field(key: &'static str) -> Self {
        Self::twice(key)
    }
}

/// The error for a text that is not JSON at all.
pub(super) fn not_json(what: &str, text: &str, why: &serde_json::Error) -> Error {
    if text.trim().is_empty() {
        return Error::invalid(format!("{what}: the text is empty; it must be JSON"));
    }
    let (line, column) = (why.line(), why.column());
    let full = why.to_string();
    let reason = full.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&full);
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let place = column_as_characters(&text[start..], column);
    Error::invalid(format!(
        "{what}: this is not JSON: {reason} (line {line}, column {place}, near `{}`)",
        excerpt(text, start + column.saturating_sub(1))
    ))
    .with("line", i64::try_from(line).unwrap_or(i64::MAX))
    .with("column", place)
}

/// A little of the text around a place.
fn excerpt(text: &str, offset: usize) -> String {
    const AROUND: usize = 20;
    let from = boundary(text, offset.saturating_sub(AROUND));
    let to = boundary(text, offset.saturating_add(AROUND));
    text[from..to].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The last start of a character that is not after `offset`.
fn boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// serde_json counts bytes, people count characters.
fn column_as_characters(line: &str, bytes: usize) -> i64 {
    let end = boundary(line, bytes.saturating_sub(1));
    count(line[..end].chars().count() + 1)
}

fn line_and_column(before: &str) -> (i64, i64) {
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (count(line), count(before[line_start..].chars().count() + 1))
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn path_words(path: &[Step]) -> String {
    let mut words = String::new();
    for step in path.iter().rev() {
        match step {
            Step::Key(key) if words.is_empty() => words.push_str(key),
            Step::Key(key) => {
                words.push('.');
                words.push_str(key);
            }
            Step::Index(index) => words.push_str(&format!("[{index}]")),
        }
    }
    words
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn found_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("{value}"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Str(text) => format!("the string {:?}", shown(text)),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        Unexpected::Other(what) => shown(what),
        other => other.to_string(),
    }
}

/// serde says what it expects in Rust's words.
fn expected_words(expected: &str) -> String {
    match expected {
        "i64" => "an integer of 64 bits".to_owned(),
        "u32" => format!("an integer from 0 to {}", u32::MAX),
        "u64" | "usize" => "an integer, 0 or more, of 64 bits".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other if other.starts_with("variant ") || other.starts_with("enum ") => "a string".to_owned(),
        other => other.to_owned(),
    }
}
