//! When another server wants to be asked again: as a time, or as it says so itself, in HTTP's header Retry-After.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::duration::{from_seconds, parse_duration};
use super::{Timestamp, error_text};

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

    /// As a time from `now` on, by the wall clock; what is over is no time. With a word about what was not taken as it is.
    pub fn resolve(self, now: Timestamp) -> (Option<Self>, Option<String>) {
        let time = match &self {
            Self::For(time) => Some(*time),
            Self::Text(text) => read(text.trim(), now),
        };
        let (wait, odd) = match time {
            Some(time) if time <= RETRY_AFTER_MAX => (Some(time), None),
            Some(_) => (Some(RETRY_AFTER_MAX), Some("is longer than a day, and counts as a day")),
            None => (None, Some("is neither a number of seconds nor a date of HTTP, and does not count")),
        };
        (wait.map(Self::For), odd.map(|odd| format!("retry_after {self} {odd}")))
    }
}

fn read(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(date) = httpdate::parse_http_date(text) {
        let since = date.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        return Some(at.since(now));
    }
    match text.parse::<f64>() {
        Ok(seconds) => time_of(seconds),
        Err(_) => parse_duration(text).ok(),
    }
}

/// What is over is no time, and what is absurd is long.
fn time_of(seconds: f64) -> Option<Duration> {
    if seconds.is_nan() {
        return None;
    }
    from_seconds(seconds.clamp(0.0, 2.0 * RETRY_AFTER_MAX.as_secs_f64()))
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
                Ok(RetryAfter::Text(error_text(text.to_owned())))
            }
        }

        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1994-11-06 08:49:37 UTC, the date of HTTP's own examples.
    const DATE: i64 = 784_111_777;

    fn resolved(given: RetryAfter) -> (Option<u64>, bool) {
        let (wait, odd) = given.resolve(Timestamp::from_micros((DATE - 60) * 1_000_000));
        let seconds = wait.map(|wait| match wait {
            RetryAfter::For(time) => time.as_secs(),
            RetryAfter::Text(text) => panic!("{text}"),
        });
        (seconds, odd.is_some())
    }

    #[test]
    fn a_header_is_seconds_or_a_date_in_any_of_its_three_forms() {
        let text = |text: &str| resolved(RetryAfter::Text(text.to_owned()));
        assert_eq!(text("120"), (Some(120), false));
        assert_eq!(text(" 0 "), (Some(0), false));
        assert_eq!(text("Sun, 06 Nov 1994 08:49:37 GMT"), (Some(60), false));
        assert_eq!(text("Sunday, 06-Nov-94 08:49:37 GMT"), (Some(60), false));
        assert_eq!(text("Sun Nov  6 08:49:37 1994"), (Some(60), false));
        assert_eq!(text("Sun, 06 Nov 1994 08:40:00 GMT"), (Some(0), false), "over");
        assert_eq!(text("1m30s"), (Some(90), false));
    }

    #[test]
    fn what_makes_no_sense_does_not_count_and_what_is_absurd_is_cut() {
        let text = |text: &str| resolved(RetryAfter::Text(text.to_owned()));
        for unreadable in ["", "soon", "NaN", "2026-01-01", "1 minute"] {
            assert_eq!(text(unreadable), (None, true), "{unreadable}");
        }
        assert_eq!(text("-5"), (Some(0), false));
        for absurd in ["86401", "1e300", "inf", "Sat, 06 Nov 2094 08:49:37 GMT"] {
            assert_eq!(text(absurd), (Some(86_400), true), "{absurd}");
        }
        assert_eq!(resolved(RetryAfter::For(Duration::from_secs(86_400))), (Some(86_400), false));
        assert_eq!(resolved(RetryAfter::For(Duration::MAX)), (Some(86_400), true));
    }
}
