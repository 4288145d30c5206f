//! Advisory locks: on things that have no row, or not yet.

use sha2::{Digest as _, Sha256};

use crate::model::Id;

#[derive(Clone, Copy, Debug)]
pub(in crate::backend) enum Lock<'a> {
    /// Sending and waiting for signals of an execution.
    Signals(Id),
    /// The count of a function's running tasks.
    Limit(&'a str),
    /// The tokens of a queue.
    QueueRate(&'a str),
    /// Joining a key's owner: two tasks that did so at once could wait for each other.
    Joins,
    /// Sweeping: one at a time.
    Sweep,
    Schema,
}

impl Lock<'_> {
    /// The lock's number. A store is one schema of a database, so it depends on the schema's name.
    pub fn key(self, schema: &str) -> i64 {
        let mut hash = Sha256::new();
        hash.update(b"stent\0");
        hash.update(schema.as_bytes());
        match self {
            Self::Signals(execution) => {
                hash.update(b"\0signals\0");
                hash.update(execution.as_bytes());
            }
            Self::Limit(function) => {
                hash.update(b"\0limit\0");
                hash.update(function.as_bytes());
            }
            Self::QueueRate(queue) => {
                hash.update(b"\0queue rate\0");
                hash.update(queue.as_bytes());
            }
            Self::Joins => hash.update(b"\0joins"),
            Self::Sweep => hash.update(b"\0sweep"),
            Self::Schema => hash.update(b"\0schema"),
        }
        let mut key = [0; 8];
        key.copy_from_slice(&hash.finalize()[..8]);
        i64::from_be_bytes(key)
    }
}
