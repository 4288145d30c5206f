//! How a store that a user writes is spoken to.

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
