//! When another server wants to be asked again: as a time, or as it says so itself, in HTTP's header Retry-After, which
//! `retry_header.rs` reads.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A longer wait is cut to this: it may be a stranger's word, and a task that sleeps for years is lost.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// What is handed in with a failure. Nothing in it is reason enough to lose the failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    For(Duration),
    /// A header's text: seconds, or a date of HTTP; or a duration such as `1m30s`.
    Text(String),
}

impl RetryAfter {
    /// Where it is known already.
    pub(super) fn known(self) -> Option<Self> {
        match self {
            Self::For(time) => Some(Self::For(time.min(RETRY_AFTER_MAX))),
            Self::Text(_) => None,
        }
    }
}

/// What is over is no time, and what is absurd is long.
pub(super) fn time_of(seconds: f64) -> Option<Duration> {
    if seconds.is_nan() {
        return None;
    }
    let most = 2.0 * RETRY_AFTER_MAX.as_secs_f64();
    Some(Duration::from_micros((seconds.clamp(0.0, most) * 1e6).round() as u64))
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(time) => write!(f, "{}", time.as_secs_f64()),
            Self::Text(text) => write!(f, "{:?}", text.chars().take(80).collect::<String>()),
        }
    }
}

impl Serialize for RetryAfter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::For(time) => serializer.serialize_f64(time.as_secs_f64()),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for RetryAfter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl de::Visitor<'_> for Read {
            type Value = RetryAfter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds, or the text of a Retry-After header")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<RetryAfter, E> {
                self.visit_f64(seconds as f64)
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<RetryAfter, E> {
                self.visit_f64(seconds as f64)
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<RetryAfter, E> {
                time_of(seconds).map(RetryAfter::For).ok_or_else(|| E::custom("it is not a number"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RetryAfter, E> {
                Ok(RetryAfter::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Read)
    }
}
