//! What the library tells, as JSON text.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::model::{Detail, Error, Failure, Level, Timestamp, masked};

/// A record, a list of records, a payload, ids, statistics: anything with text keys.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("what the library tells has text keys and only numbers that JSON has")
}

/// `{"status", "code", "message", "retryable", "details", "failure"}`.
pub fn error_json(error: &Error) -> String {
    to_json(error)
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct View<'a> {
            status: &'static str,
            code: i32,
            message: &'a str,
            retryable: bool,
            details: &'a BTreeMap<&'static str, Detail>,
            failure: Option<&'a Failure>,
        }
        View {
            status: self.status().name(),
            code: self.status().code(),
            message: self.message(),
            retryable: self.is_retryable(),
            details: self.details(),
            failure: self.failure(),
        }
        .serialize(serializer)
    }
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Integer(number) => number.serialize(serializer),
            Self::List(list) => list.serialize(serializer),
        }
    }
}

/// One line of the log: `{"time", "level", "target", "message", "fields", "lost"}`. `lost`: lines before this one that
/// nobody took in time.
pub fn log_json(
    time: Timestamp,
    level: Level,
    target: &str,
    message: &str,
    fields: &[(&'static str, String)],
    lost: u64,
) -> String {
    struct Fields<'a>(&'a [(&'static str, String)]);

    impl Serialize for Fields<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(self.0.len()))?;
            for (name, value) in self.0 {
                map.serialize_entry(name, &masked(value))?;
            }
            map.end()
        }
    }

    #[derive(Serialize)]
    struct View<'a> {
        time: Timestamp,
        level: Level,
        target: &'a str,
        message: &'a str,
        fields: Fields<'a>,
        lost: u64,
    }

    to_json(&View { time, level, target, message: &masked(message), fields: Fields(fields), lost })
}
