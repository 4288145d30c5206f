//! Reads what users pass as JSON text: arguments, payloads, failures, numbers, durations, ids. NULL in C is `None`
//! here.

use serde::Deserialize;

use super::bytes;
use super::fault::Fault;
use super::reader::Reader;
use crate::model::{Error, Failure, Id, Number, Payload, Result, parse_duration, seconds};

/// Reads a record, a list of records, or any other value. `what` begins the message of an error.
///
/// # Errors
/// `INVALID`, with what is wrong, where (line, column, path) and what would be right; for an unknown field the details
/// have its `key` and the `known` ones.
pub fn from_json<'de, T: Deserialize<'de>>(what: &str, text: &'de str) -> Result<T> {
    Reader::new(what, text)?.read().map_err(|fault| fault.into_error(what, text))
}

/// A handler's arguments: a JSON array. None: `[]`.
pub fn args_from_text(text: Option<&str>) -> Result<Payload> {
    match text {
        Some(text) => args("args", text, Reader::new("args", text)?),
        None => Ok(Payload::empty_array()),
    }
}

/// A handler's named arguments: a JSON object. None: `{}`.
pub fn kwargs_from_text(text: Option<&str>) -> Result<Payload> {
    match text {
        Some(text) => kwargs("kwargs", text, Reader::new("kwargs", text)?),
        None => Ok(Payload::empty_object()),
    }
}

/// Any JSON value, or bytes as `{"$base64": "…"}`. `what` begins an error's message: `result`, `payload`, `value`.
pub fn value_from_text(what: &str, text: &str) -> Result<Payload> {
    payload(what, text, Reader::new(what, text)?)
}

/// The arguments of many calls: a JSON array of arrays.
pub fn args_list_from_text(text: &str) -> Result<Vec<Payload>> {
    const WHAT: &str = "args_list";
    let elements = Reader::new(WHAT, text)?.elements().map_err(|fault| fault.near(text).into_error(WHAT, text))?;
    let element = |(index, element)| args(&format!("{WHAT}[{index}]"), text, element);
    elements.into_iter().enumerate().map(element).collect()
}

/// A failure as a handler tells it: the failure's object, or a string that is its message. Half a character in it, where
/// a text was cut, is no reason to lose the failure.
pub fn failure_from_text(text: &str) -> Result<Failure> {
    const WHAT: &str = "failure";
    let text = &*bytes::whole(text);
    let reader = Reader::new(WHAT, text)?;
    looked_through(WHAT, reader)?;
    let read = match reader.text().starts_with('"') {
        true => reader.read().map(|message: String| Failure::new("Error", message)),
        false => reader.read(),
    };
    read.map_err(|fault: Fault| fault.into_error(WHAT, text))
}

/// What is added to a counter: a JSON number. An integer must fit 64 bits, so that no digit is lost.
pub fn number_from_text(text: &str) -> Result<Number> {
    let number: Number = from_json("amount", text)?;
    match number {
        Number::Real(_) if !text.contains(['.', 'e', 'E']) => {
            Err(Error::invalid(format!("amount: {} does not fit a signed integer of 64 bits", text.trim())))
        }
        _ => Ok(number),
    }
}

/// `1h30m`, `"1h30m"`, `90` or `0.25`: as people write it, as a JSON string, or as a number of seconds.
pub fn duration_from_text(text: &str) -> Result<std::time::Duration> {
    if !text.trim_start().starts_with('"') {
        return parse_duration(text);
    }
    let reader = Reader::new("duration", text)?;
    seconds::deserialize(reader).map_err(|fault| fault.into_error("duration", text))
}

/// The id of an execution or a task, not in quotes. `what`: `execution_id`, `task_id`.
pub fn id_from_text(what: &'static str, text: &str) -> Result<Id> {
    Id::parse_str(text).map_err(|why| {
        let told = format!("{what}: {text:?} is not a UUID such as 018f3c1e-7b5a-7c3d-9e4f-0123456789ab: {why}");
        id_hint(what, Error::invalid(told).with("key", what))
    })
}

/// Who has an id of his own for an execution is told where it goes.
pub(super) fn id_hint(key: &str, error: Error) -> Error {
    match key {
        "id" | "execution_id" => error.hinting(
            "a name of your own, such as an order's number, is no id: give it to dispatch as its idempotency_key, and each \
             dispatch with that key answers with the same execution's id",
        ),
        _ => error,
    }
}

pub(super) fn payload(what: &str, text: &str, reader: Reader<'_>) -> Result<Payload> {
    looked_through(what, reader)?;
    Payload::deserialize(reader).map_err(|fault| fault.near(reader.text()).into_error(what, text))
}

/// What a user hands in has no bytes in it, at any depth, that nobody could read back.
pub(super) fn looked_through(what: &str, reader: Reader<'_>) -> Result<()> {
    bytes::check(reader.text()).map_err(|why| Error::invalid(format!("{what}: {why}")))
}

pub(super) fn args(what: &str, text: &str, reader: Reader<'_>) -> Result<Payload> {
    expect(what, text, reader, '[', "an array of arguments, such as [1, \"two\"]")?;
    payload(what, text, reader)
}

pub(super) fn kwargs(what: &str, text: &str, reader: Reader<'_>) -> Result<Payload> {
    const EXPECTED: &str = "an object of named arguments, such as {\"retries\": 1}";
    expect(what, text, reader, '{', EXPECTED)?;
    let payload = payload(what, text, reader)?;
    // Named arguments are an object, and that is no bytes.
    match bytes::unwrapped(reader.text()) {
        None => Ok(payload),
        Some(_) => {
            Err(Error::invalid(format!("{what}: it is the bytes of \"{}\"; it must be {EXPECTED}", bytes::WRAPPER)))
        }
    }
}

fn expect(what: &str, text: &str, reader: Reader<'_>, first: char, expected: &str) -> Result<()> {
    match reader.text().starts_with(first) {
        true => Ok(()),
        false => Err(Fault::wrong(reader.unexpected(), expected).near(reader.text()).into_error(what, text)),
    }
}
