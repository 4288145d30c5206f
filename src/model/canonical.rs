//! The interface to compare and hash arguments, which the engine does not parse itself.

use super::Payload;

/// Compares payloads by meaning. The engine is given one, because it does not read payloads itself.
pub trait Canonical: Send + Sync {
    /// SHA-256 of the canonical arguments: equal for arguments that differ only in the order of keys or in white
    /// space.
    fn hash(&self, args: &Payload, kwargs: &Payload) -> [u8; 32];

    /// The same bytes, or the same canonical form.
    fn same(&self, a: &Payload, b: &Payload) -> bool;
}
