//! Time zones by their names. The host's files tell their rules, which governments change more often than libraries are
//! built; where the host has none, those that the library was built with do.

use jiff::tz::TimeZone;

use crate::model::{Error, Result};

pub(super) fn zone(name: &str) -> Result<TimeZone> {
    // The one name that needs no files.
    if name.eq_ignore_ascii_case("UTC") {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|why| {
        Error::invalid(format!("time_zone {name:?} is no name of a time zone such as Europe/Berlin: {why}"))
            .with("key", "time_zone")
    })
}
