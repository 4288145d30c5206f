//! Durations as text: `250ms`, `30s`, `1h30m`, `7d`.

use std::fmt::Write as _;
use std::time::Duration;

use super::{DURATION_MAX, Error, Result};

const UNITS: [(&str, u64); 6] =
    [("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const LONGEST: Duration = Duration::from_secs(DURATION_MAX);

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

/// A field that is a duration as a number of seconds. What is read may also be text, such as `"1h30m"`.
pub mod seconds {
    use std::fmt;
    use std::time::Duration;

    use serde::{Deserializer, Serializer, de};

    use super::{from_seconds, parse_duration};

    struct Seconds;

    impl de::Visitor<'_> for Seconds {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a duration: a number of seconds, or text such as \"1h30m\"")
        }

        fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Duration, E> {
            self.visit_f64(seconds as f64)
        }

        fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
            self.visit_f64(seconds as f64)
        }

        fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Duration, E> {
            from_seconds(seconds).ok_or_else(|| {
                E::custom(format!(
                    "{seconds} is not a duration: a number of seconds is 0 or more, and below 1000 years"
                ))
            })
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            parse_duration(text).map_err(|why| E::custom(why.message()))
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        deserializer.deserialize_any(Seconds)
    }

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    /// Such a field that is kept as the number.
    pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        deserialize(deserializer).map(|duration| duration.as_secs_f64())
    }

    /// A list of such fields, kept as the numbers.
    pub fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        struct Number(f64);

        impl<'de> de::Deserialize<'de> for Number {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                number(deserializer).map(Self)
            }
        }

        let numbers: Vec<Number> = de::Deserialize::deserialize(deserializer)?;
        Ok(numbers.into_iter().map(|Number(number)| number).collect())
    }

    /// Such a field that may be null.
    pub fn optional_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        struct Nullable;

        impl<'de> de::Visitor<'de> for Nullable {
            type Value = Option<f64>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Seconds.expecting(f)
            }

            fn visit_none<E: de::Error>(self) -> Result<Option<f64>, E> {
                Ok(None)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<f64>, D::Error> {
                number(deserializer).map(Some)
            }
        }

        deserializer.deserialize_option(Nullable)
    }
}

/// A duration that may be null, as a number of seconds.
pub mod optional_seconds {
    use std::time::Duration;

    use serde::{Deserializer, Serialize, Serializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        super::seconds::optional_number(deserializer).map(|seconds| seconds.map(Duration::from_secs_f64))
    }

    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_secs_f64()).serialize(serializer)
    }
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
