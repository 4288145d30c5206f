//! When a schedule ticks, as its owner says it.

use std::time::Duration;

use serde::Serialize;

use crate::model::{Timestamp, seconds};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// A pattern, for the clock of a time zone.
    Cron(String),
    Every(#[serde(with = "seconds")] Duration),
    Times(Vec<Timestamp>),
}
