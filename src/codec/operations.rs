//! The backend protocol in JSON: the name of an operation and a JSON object in, the bare answer out.

use serde::Deserialize as _;

use super::output::to_json;
use super::reader::{Named, Reader};
use super::tables::operations::NAMES;
use crate::backend::{Backend, Request};
use crate::model::{Error, Result};

/// Reads a request. No text is an empty object.
///
/// # Errors
/// `INVALID`, with what is wrong, where, and what would be right: an operation that does not exist (`known` lists those
/// that do), text that is not JSON, a field that is unknown, missing or of another type.
pub fn request(operation: &str, text: Option<&str>) -> Result<Request> {
    if !NAMES.contains(&operation) {
        let known: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
        return Err(Error::invalid(format!(
            "there is no operation {operation:?}; the operations are {}",
            known.join(", ")
        ))
        .with("operation", operation)
        .with("known", known));
    }
    let body = Reader::object(operation, text)?;
    Request::deserialize(Named { name: operation, body })
        .map_err(|fault| fault.into_error(operation, text.unwrap_or_default()).with("operation", operation))
}

/// Asks a backend. The answer is the bare value: `null`, a record, a list, a number.
///
/// # Errors
/// Those of [`request`], and the backend's.
pub async fn call(backend: &dyn Backend, operation: &str, text: Option<&str>) -> Result<String> {
    let response = backend.call(request(operation, text)?).await?;
    Ok(to_json(&response))
}
