//! Values that JSON has no form for, and times.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes, for every language, whatever they spell. In a `serde_json::Value` they stand as the library has them, as
/// `{"$base64": "…"}`, and an object that only looks so stands with one such key more around it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "$base64")]
    base64: String,
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        Written { base64: STANDARD.encode(&self.0) }.serialize(out)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(from)?;
        STANDARD.decode(written.base64).map(Self).map_err(D::Error::custom)
    }
}

impl Deref for Bytes {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Bytes {
    fn from(bytes: &[u8; N]) -> Self {
        Self(bytes.to_vec())
    }
}

/// A length of time: a [`Duration`], or text such as `"1h30m"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Span(Form);

#[derive(Clone, Debug, PartialEq)]
enum Form {
    Seconds(f64),
    Text(String),
    Never,
}

impl Span {
    /// For [`WorkerOptions::cleanup_interval`](crate::WorkerOptions::cleanup_interval).
    pub const NEVER: Span = Span(Form::Never);
}

impl From<Duration> for Span {
    fn from(time: Duration) -> Self {
        Self(Form::Seconds(time.as_secs_f64()))
    }
}

impl From<&str> for Span {
    fn from(text: &str) -> Self {
        Self(Form::Text(text.to_owned()))
    }
}

impl From<String> for Span {
    fn from(text: String) -> Self {
        Self(Form::Text(text))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Form::Seconds(seconds) => out.serialize_f64(*seconds),
            Form::Text(text) => out.serialize_str(text),
            Form::Never => out.serialize_none(),
        }
    }
}

/// Several texts: `["a", "b"]`, or a `Vec<String>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Strings(Vec<String>);

impl<const N: usize> From<[&str; N]> for Strings {
    fn from(texts: [&str; N]) -> Self {
        Self(texts.map(str::to_owned).into())
    }
}

impl From<&[&str]> for Strings {
    fn from(texts: &[&str]) -> Self {
        Self(texts.iter().map(|text| (*text).to_owned()).collect())
    }
}

impl From<Vec<String>> for Strings {
    fn from(texts: Vec<String>) -> Self {
        Self(texts)
    }
}
