//! How tasks are gathered for a handler that takes many in one call.

use std::time::Duration;

use crate::model::{Error, Result};

/// More than a worker can have slots.
pub const BATCH_SIZE_MAX: usize = 10_000;
const WAIT_MAX: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// Tasks in one call of the handler, at the most.
    pub size: usize,
    /// How long the first of them waits for others.
    pub wait: Duration,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self { size: 100, wait: Duration::ZERO }
    }
}

impl BatchOptions {
    /// # Errors
    /// `INVALID`, with the option and what would be right.
    pub fn check(&self) -> Result<()> {
        let wrong = |key: &'static str, why: String| Err(Error::invalid(format!("{key} {why}")).with("key", key));
        if !(1..=BATCH_SIZE_MAX).contains(&self.size) {
            return wrong("size", format!("is {}; it must be from 1 to {BATCH_SIZE_MAX}", self.size));
        }
        if self.wait > WAIT_MAX {
            return wrong("wait", format!("is {} s; it must be at most an hour", self.wait.as_secs()));
        }
        Ok(())
    }
}
