//! Timestamps. The one type for instants in the library: microseconds since 1970-01-01T00:00:00Z.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Error, Result};

/// An instant in UTC, in microseconds since the Unix epoch; RFC 3339 with six decimals where it is text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The first and the last instant that RFC 3339 can write, whose years have four digits.
const WRITTEN: RangeInclusive<i64> = -62_167_219_200_000_000..=253_402_300_799_999_999;

impl Timestamp {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Later by `duration`; stops at the largest instant instead of wrapping.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// Earlier by `duration`; stops at the smallest instant instead of wrapping.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// How long from `earlier` to here; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is beyond is written as the last instant: whatever is written can be read.
        let micros = self.0.clamp(*WRITTEN.start(), *WRITTEN.end());
        let time = DateTime::<Utc>::from_timestamp_micros(micros).ok_or(fmt::Error)?;
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match DateTime::parse_from_rfc3339(text) {
            Ok(time) if WRITTEN.contains(&time.timestamp_micros()) => Ok(Self(time.timestamp_micros())),
            Ok(_) => Err(Error::invalid(format!("'{text}' is not in the years 0000 to 9999 in UTC"))),
            Err(why) => Err(Error::invalid(format!(
                "'{text}' is not an RFC 3339 time such as 2026-01-31T08:30:00.000000Z: {why}"
            ))),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_microseconds_and_comes_back() {
        let time = Timestamp::from_micros(1_700_000_000_123_456);
        assert_eq!(time.to_string(), "2023-11-14T22:13:20.123456Z");
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        assert_eq!("2023-11-14T23:13:20.123456+01:00".parse::<Timestamp>().unwrap(), time);
    }

    #[test]
    fn what_is_not_a_time_is_named() {
        let error = "tomorrow".parse::<Timestamp>().unwrap_err();
        assert!(error.message().contains("'tomorrow' is not an RFC 3339 time"), "{error}");
    }

    #[test]
    fn whatever_is_written_can_be_read() {
        for micros in [i64::MIN, -62_167_219_200_000_000, 0, 253_402_300_799_999_999, i64::MAX] {
            let written = Timestamp(micros).to_string();
            assert_eq!(written.parse::<Timestamp>().unwrap().to_string(), written);
        }
        for beyond in ["9999-12-31T23:59:59-14:00", "0000-01-01T00:00:00+14:00"] {
            let error = beyond.parse::<Timestamp>().unwrap_err();
            assert!(error.message().contains("not in the years 0000 to 9999"), "{error}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp(i64::MAX).after(Duration::MAX).micros(), i64::MAX);
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
    }
}
