//! What an idempotency key may be used for.

use serde::{Deserialize, Serialize};

use crate::model::state::words;

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
