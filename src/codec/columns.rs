//! Values that the stores keep as JSON: tags, retry policies, failures, tasks of dead letters. `None` is NULL.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{Error, ExecutionState, Failure, Id, Payload, Rate, Result, RetryPolicy, Task};

pub fn tags_to_column(tags: &[String]) -> Option<String> {
    if tags.is_empty() { None } else { Some(write(&tags)) }
}

pub fn tags_from_column(column: Option<&str>) -> Result<Vec<String>> {
    column.map_or(Ok(Vec::new()), |text| read("tags", text.as_bytes()))
}

/// A JSON array of names, for a statement to look into.
pub fn names_to_json(names: &[String]) -> String {
    write(&names)
}

pub fn policy_to_column(policy: &RetryPolicy) -> String {
    write(policy)
}

pub fn rate_to_column(rate: &Rate) -> String {
    write(rate)
}

pub fn rate_from_column(column: &str) -> Result<Rate> {
    read("rate", column.as_bytes())
}

pub fn policy_from_column(column: &str) -> Result<RetryPolicy> {
    read("retry_policy", column.as_bytes())
}

pub fn failure_to_column(failure: &Failure) -> Vec<u8> {
    write(failure).into_bytes()
}

pub fn failure_from_column(column: &[u8]) -> Result<Failure> {
    read("error", column)
}

pub fn task_to_column(task: &Task) -> Vec<u8> {
    write(task).into_bytes()
}

pub fn task_from_column(column: &[u8]) -> Result<Task> {
    read("task", column)
}

/// Records have text keys and no numbers that JSON lacks, so writing them can't fail.
fn write<T: Serialize>(record: &T) -> String {
    serde_json::to_string(record).expect("a record is always JSON")
}

fn read<T: DeserializeOwned>(column: &'static str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|why| {
        Error::backend(format!("the stored column {column} is not what was written there: {why}"))
            .with("column", column)
    })
}

/// The one argument of a compensation: `{"execution_id", "state", "reason", "args", "kwargs"}` of what was ended.
pub fn compensation_args(
    execution: Id,
    state: ExecutionState,
    reason: Option<String>,
    args: &Payload,
    kwargs: &Payload,
) -> Payload {
    #[derive(Serialize)]
    struct Ended<'a> {
        execution_id: Id,
        state: ExecutionState,
        reason: Option<String>,
        args: &'a Payload,
        kwargs: &'a Payload,
    }
    Payload::from(write(&[Ended { execution_id: execution, state, reason, args, kwargs }]))
}
