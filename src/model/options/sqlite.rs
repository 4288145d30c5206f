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

words! {
    /// Who may read and write a file that is created, as for `chmod`. What SQLite keeps beside it has the same.
    FileMode, "a mode of new files" {
        /// The owner alone. The default.
        Owner = "0600",
        GroupReads = "0640",
        AllRead = "0644",
        Group = "0660",
        GroupAllRead = "0664",
        All = "0666",
    }
}

impl FileMode {
    pub const fn bits(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::GroupReads => 0o640,
            Self::AllRead => 0o644,
            Self::Group => 0o660,
            Self::GroupAllRead => 0o664,
            Self::All => 0o666,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    pub synchronous: Synchronous,
    /// How long a transaction waits for another process's.
    pub busy_timeout: Duration,
    /// Connections that read beside the writer.
    pub readers: u32,
    /// Of a file that is created.
    pub file_mode: FileMode,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            busy_timeout: Duration::from_secs(10),
            readers: 4,
            file_mode: FileMode::Owner,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modes_bits_are_its_word() {
        for mode in FileMode::ALL {
            assert_eq!(format!("{:04o}", mode.bits()), mode.as_str());
        }
    }
}
