//! What a handler says for others: that the other side wants nobody to ask for a while.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration::seconds;
use super::state::words;

words! {
    /// Whose starts wait.
    HoldOf, "what is held" {
        /// All calls of the task's function that have its `concurrency_key`. A call without one holds nobody.
        Key = "key",
        /// All calls of the task's function.
        Function = "function",
    }
}

/// Nobody of these starts for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    pub of: HoldOf,
    #[serde(with = "seconds")]
    pub delay: Duration,
}
