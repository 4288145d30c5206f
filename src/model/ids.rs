//! Ids. Executions have UUIDv7; a child's id follows from its parent, the parent's run and the child's key.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Timestamp;

/// Identifies an execution or a task.
pub type Id = Uuid;

/// A UUIDv7 of this instant (RFC 9562, section 5.7) and these random bytes.
pub fn execution_id(now: Timestamp, random: [u8; 10]) -> Id {
    let millis = u64::try_from(now.micros() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// The id of the child that `key` names in run number `run` of `parent`.
///
/// A UUIDv8 whose first 48 bits are the parent's, so that a tree stays together in an index that is ordered by
/// id. `run` counts `continue`s: a child of an earlier run can never be taken for one of this run.
pub fn child_id(parent: Id, run: u32, key: &str) -> Id {
    let mut hash = Sha256::new();
    hash.update(parent.as_bytes());
    hash.update(run.to_be_bytes());
    hash.update(key.as_bytes());
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&parent.as_bytes()[..6]);
    bytes[6..].copy_from_slice(&digest[..10]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn child_ids_are_stable_distinct_and_near_their_parent() {
        let root = execution_id(Timestamp::from_micros(1_700_000_000_000_000), [7; 10]);
        assert_eq!(root.get_version_num(), 7);
        let child = child_id(root, 0, "charge#1");
        assert_eq!(child, child_id(root, 0, "charge#1"));
        assert_ne!(child, child_id(root, 0, "charge#2"));
        assert_ne!(child, child_id(root, 1, "charge#1"));
        assert_eq!(child.get_version_num(), 8);
        assert_eq!(child.as_bytes()[..6], root.as_bytes()[..6]);
    }
}
