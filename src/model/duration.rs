//! Durations as people write them: `250ms`, `30s`, `1h30m`, `7d`.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Error, Result};

const UNITS: [(&str, u64); 6] =
    [("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A duration longer than this is a mistake of units: no lease, timer or retention lasts 1000 years.
const LONGEST: Duration = Duration::from_secs(1000 * 365 * 86_400);

/// Reads `"1h30m"`, `"250ms"`, `"1.5s"` or a plain number of seconds such as `"90"`.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let wrong = |why: &str| {
        Error::invalid(format!(
            "'{text}' is not a duration: {why}; write a number of seconds, or numbers with the units \
             ms s m h d w, such as \"1h30m\""
        ))
    };
    let trimmed = text.trim();
    if let Ok(seconds) = trimmed.parse::<f64>() {
        return from_seconds(seconds).ok_or_else(|| wrong("it is negative or too long"));
    }
    let mut total = Duration::ZERO;
    let mut rest = trimmed;
    if rest.is_empty() {
        return Err(wrong("it is empty"));
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| wrong("a number is missing"))?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = &rest[..letters];
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| wrong("a unit is unknown"))?;
        let part = from_seconds(number * (*millis as f64) / 1000.0).ok_or_else(|| wrong("it is too long"))?;
        total = total.checked_add(part).filter(|t| *t <= LONGEST).ok_or_else(|| wrong("it is too long"))?;
        rest = rest[letters..].trim_start();
    }
    Ok(total)
}

/// Whole microseconds, the store's unit; `None` for what is negative, not a number, or absurdly long.
pub fn from_seconds(seconds: f64) -> Option<Duration> {
    if !(0.0..=LONGEST.as_secs_f64()).contains(&seconds) {
        return None;
    }
    Some(Duration::from_micros((seconds * 1e6).round() as u64))
}

/// The shortest text that [`parse_duration`] reads back to the same whole milliseconds.
pub fn format_duration(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, size) in UNITS {
        if millis >= size {
            let _infallible = write!(text, "{}{name}", millis / size);
            millis %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units_and_plain_seconds() {
        for (text, millis) in [
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("1.5s", 1_500),
            ("90", 90_000),
            ("0.25", 250),
            ("2w 1d", 1_296_000_000),
            ("0", 0),
        ] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for text in ["", "h", "1x", "-5", "1h-3m", "NaN", "inf", "99999999w"] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.message().contains("is not a duration"), "{text}: {error}");
        }
    }

    #[test]
    fn formats_what_it_reads() {
        for millis in [0, 1, 999, 60_000, 5_400_000, 1_296_000_001] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&format_duration(duration)).unwrap(), duration);
        }
    }
}
