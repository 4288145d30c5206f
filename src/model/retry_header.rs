//! Reads what HTTP's header Retry-After says: seconds, or a date in any of its three forms.

use std::time::{Duration, UNIX_EPOCH};

use super::duration::parse_duration;
use super::retry_after::time_of;
use super::{RETRY_AFTER_MAX, RetryAfter, Timestamp};

impl RetryAfter {
    /// As a time from `now` on, by the wall clock; what is over is no time. With a word about what was not taken as it is, which
    /// begins with `what` it is.
    pub fn resolve(self, what: &str, now: Timestamp) -> (Option<Self>, Option<String>) {
        let time = match &self {
            Self::For(time) => Some(*time),
            Self::Text(text) => read(text.trim(), now),
        };
        let (wait, odd) = match time {
            Some(time) if time <= RETRY_AFTER_MAX => (Some(time), None),
            Some(_) => (Some(RETRY_AFTER_MAX), Some("is longer than a day, and counts as a day")),
            None => (None, Some("is neither a number of seconds nor a date of HTTP, and does not count")),
        };
        (wait.map(Self::For), odd.map(|odd| format!("{what} {self} {odd}")))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// 1994-11-06 08:49:37 UTC, the date of HTTP's own examples.
    const DATE: i64 = 784_111_777;

    fn resolved(given: RetryAfter) -> (Option<u64>, bool) {
        let (wait, odd) = given.resolve("retry_after", Timestamp::from_micros((DATE - 60) * 1_000_000));
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
