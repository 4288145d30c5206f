//! What an idempotency key may be used for, and what becomes of a dispatch whose unique key is taken.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::state::words;

/// A unique key is kept for so long at least: one that is used again and again is not deleted each time.
pub const UNIQUE_KEPT: Duration = Duration::from_secs(3600);

words! {
    /// When an idempotency key may start another execution.
    #[derive(Default)]
    KeyReuse, "a rule for reusing an idempotency key" {
        /// After a first one that failed, was cancelled or timed out. The default.
        #[default]
        AfterFailure = "after_failure",
        /// Not as long as the key is kept: whatever became of the first one, its id is the answer.
        Never = "never",
    }
}

words! {
    /// While what an execution has its unique key.
    KeyWhile, "how long a key is taken" {
        /// It is pending or running.
        Unfinished = "unfinished",
        /// No worker has had it yet.
        Pending = "pending",
    }
}

words! {
    /// What a dispatch gets whose unique key is taken.
    #[derive(Default)]
    Existing, "an answer to a dispatch whose key is taken" {
        /// The id of the execution that has it. The default.
        #[default]
        Return = "return",
        /// A conflict that names that execution.
        Refuse = "refuse",
    }
}
