//! Deletes executions and dead letters that are old.

use serde::Serialize;

use super::core::Core;
use super::sync::wall_clock;
use crate::backend::{Request, Response};
use crate::model::{CleanupOptions, Result};

/// How much was cleaned up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cleaned {
    pub executions: u64,
    pub dead_letters: u64,
}

impl Core {
    pub(super) async fn cleanup(&self, options: CleanupOptions) -> Result<Cleaned> {
        let count = |response| match response {
            Response::Count(count) => count,
            _ => 0,
        };
        let older_than = wall_clock().before(options.older_than);
        let executions = self.backend.call(Request::CleanupExecutions { older_than }).await?;
        let dead_letters = match options.dead_letters {
            None => Response::Count(0),
            Some(age) => {
                let older_than = wall_clock().before(age);
                self.backend.call(Request::CleanupDeadLetters { older_than }).await?
            }
        };
        Ok(Cleaned { executions: count(executions), dead_letters: count(dead_letters) })
    }
}
