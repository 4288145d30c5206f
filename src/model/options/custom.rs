//! Options of a user-written store.

use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomOptions {
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Default for CustomOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30) }
    }
}

/// How the conformance suite is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// Cases whose names begin with one of these; none given: all.
    pub only: Vec<String>,
    /// For each case.
    pub timeout: Duration,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { only: Vec::new(), timeout: Duration::from_secs(60) }
    }
}
