//! The executor: what runs durable functions on a store.

pub mod replay;
