//! A handler's failure, in one form for all languages.

use serde::{Deserialize, Serialize};

use super::Payload;

/// Why a task failed: `{"type", "message", "code", "retryable", "details", "stack"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The error's type in the handler's language; retry policies name it.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub code: Option<String>,
    /// False: no retry, whatever the policy says.
    #[serde(default = "yes")]
    pub retryable: bool,
    #[serde(default)]
    pub details: Option<Payload>,
    #[serde(default)]
    pub stack: Option<String>,
}

const fn yes() -> bool {
    true
}

impl Failure {
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into(), code: None, retryable: true, details: None, stack: None }
    }

    #[must_use]
    pub fn final_(mut self) -> Self {
        self.retryable = false;
        self
    }
}
