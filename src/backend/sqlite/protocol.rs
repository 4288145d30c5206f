//! The protocol's operations.
