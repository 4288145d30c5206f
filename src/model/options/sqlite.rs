//! Options to open a SQLite file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::state::words;

words! {
    /// What a commit waits for. See SQLite's `PRAGMA synchronous`.
    Synchronous, "a setting of synchronous" {
        /// A commit that was answered survives a power cut. The default.
        Full = "full",
        /// After a power cut the last commits may be gone; the file stays sound. A killed process loses nothing.
        Normal = "normal",
        /// The operating system decides; a power cut may damage the file.
        Off = "off",
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    pub synchronous: Synchronous,
    /// How long a transaction waits for another process's.
    pub busy_timeout: Duration,
    /// Connections that read beside the writer.
    pub readers: u32,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { synchronous: Synchronous::Full, busy_timeout: Duration::from_secs(10), readers: 4 }
    }
}
