//! Options of a user-written store.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::state::words;

words! {
    /// What a store may keep beside the engine's operations. No operation is for it alone: it is told in functions' and
    /// dispatches' options, which a store without it never sees.
    Feature, "a feature of a store" {
        /// `max_concurrent_per_key`.
        KeyLimits = "key_limits",
        /// `rate` and `rate_per_key`.
        Rates = "rates",
        /// `unique_key`.
        UniqueKeys = "unique_keys",
        /// `fairness_key` and `priority_ageing`.
        Fairness = "fairness",
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomOptions {
    /// How long an answer may take.
    pub timeout: Duration,
    /// What the store keeps, if it answers the engine's operations.
    pub features: Vec<Feature>,
}

impl Default for CustomOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), features: Vec::new() }
    }
}

/// How the conformance suite is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// Cases whose names begin with one of these; none given: all.
    pub only: Vec<String>,
    /// For each case.
    pub timeout: Duration,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { only: Vec::new(), timeout: Duration::from_secs(60) }
    }
}
