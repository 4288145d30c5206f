//! The protocol's operations in JSON: the name of an operation and an object in, the answer as a bare value out.

use serde::Deserialize as _;
use serde::de::DeserializeOwned;

use super::engine::{self, EngineRequest};
use super::engine_checks;
use super::from_json;
use super::input;
use super::output::to_json;
use super::reader::{Named, Reader};
use super::tables::Kind;
use super::tables::engine::NAMES as ENGINE_NAMES;
use super::tables::operations::{NAMES, OPERATIONS};
use crate::backend::{Backend, Request, Response};
use crate::model::{Error, Result};

/// The names of the protocol's operations, in its order.
pub const PROTOCOL: &[&str] = NAMES;

/// The names of the engine's operations.
pub const ENGINE: &[&str] = ENGINE_NAMES;

fn unknown(operation: &str) -> Error {
    let known: Vec<String> = NAMES.iter().chain(ENGINE_NAMES).map(|name| (*name).to_owned()).collect();
    Error::invalid(format!("there is no operation {operation:?}; the operations are {}", known.join(", ")))
        .with("operation", operation)
        .with("known", known)
}

/// Reads a request of the protocol. No text is an empty object.
///
/// # Errors
/// `INVALID`, with what is wrong, where, and what would be right: an operation that does not exist (`known` lists those
/// that do), text that is not JSON, a field that is unknown, missing or of another type.
pub fn request(operation: &str, text: Option<&str>) -> Result<Request> {
    if !NAMES.contains(&operation) {
        return Err(unknown(operation));
    }
    let body = Reader::object(operation, text)?;
    input::looked_through(operation, body).map_err(|why| why.with("operation", operation))?;
    Request::deserialize(Named { name: operation, body })
        .map_err(|fault| fault.into_error(operation, text.unwrap_or_default()).with("operation", operation))
}

/// Reads a request of the engine, as [`request`] does one of the protocol.
///
/// # Errors
/// Those of [`request`].
pub fn engine_request(operation: &str, text: Option<&str>) -> Result<EngineRequest> {
    let body = Reader::object(operation, text)?;
    let request = engine::request(operation, body)
        .map_err(|fault| fault.into_error(operation, text.unwrap_or_default()).with("operation", operation))?;
    engine_checks::check(&request).map_err(|why| why.doing(operation).with("operation", operation))?;
    Ok(request)
}

/// A request as a store is asked: the operation's name, and the object.
pub fn asked(request: &Request) -> (String, String) {
    engine::split(request)
}

/// As [`asked`], of the engine.
pub fn asked_by_engine(request: &EngineRequest) -> (String, String) {
    engine::split(request)
}

/// Reads what a store answered to an operation of the protocol.
///
/// # Errors
/// `INVALID`, with what is wrong, where, and what would be right.
pub fn response(operation: &str, text: &str) -> Result<Response> {
    fn read<T: DeserializeOwned>(operation: &str, text: &str, to: fn(T) -> Response) -> Result<Response> {
        from_json(operation, text).map(to)
    }
    let described = OPERATIONS.iter().find(|described| described.name == operation);
    let described = described.ok_or_else(|| unknown(operation))?;
    match (described.response, described.nullable) {
        (None, _) => read::<()>(operation, text, |()| Response::Nothing),
        (Some(Kind::Named("execution")), _) => read(operation, text, Response::Execution),
        (Some(Kind::Named("task")), _) => read(operation, text, Response::Task),
        (Some(Kind::Named("dead_letter")), _) => read(operation, text, Response::DeadLetter),
        (Some(Kind::Named(_)), _) => read(operation, text, Response::Signal),
        (Some(Kind::ListOf(Kind::Named("execution"))), _) => read(operation, text, Response::Executions),
        (Some(Kind::ListOf(Kind::Named("task"))), _) => read(operation, text, Response::Tasks),
        (Some(Kind::ListOf(_)), _) => read(operation, text, Response::DeadLetters),
        (Some(Kind::MapOf(Kind::Number)), _) => read(operation, text, Response::Counters),
        (Some(Kind::MapOf(_)), _) => read(operation, text, Response::Values),
        (Some(Kind::Number), _) => read(operation, text, Response::Number),
        (Some(Kind::Integer), _) => read(operation, text, Response::Count),
        (Some(Kind::Boolean), _) => read(operation, text, Response::Flag),
        (Some(_), _) => read(operation, text, Response::Payload),
    }
}

/// Asks a backend, for an operation of the protocol or of the engine. The answer is the bare value: `null`, a record,
/// a list, a number.
///
/// # Errors
/// Those of [`request`], and the backend's.
pub async fn call(backend: &dyn Backend, operation: &str, text: Option<&str>) -> Result<String> {
    if ENGINE_NAMES.contains(&operation) {
        return engine::answer(backend, engine_request(operation, text)?).await;
    }
    let response = backend.call(request(operation, text)?).await?;
    Ok(to_json(&response))
}
