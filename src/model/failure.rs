//! A handler's failure, in one form for all languages.

use serde::{Deserialize, Deserializer, Serialize};

use super::limits::{ERROR_DETAILS_MAX, ERROR_TEXT_MAX, NAME_MAX};
use super::{Payload, RetryAfter};

/// Why a task failed: `{"type", "message", "code", "retryable", "retry_after", "details", "stack"}`. It is kept by the task, by its
/// execution, by all above them that pass it up and by the dead letter; so its texts have a bound, and what is longer is
/// cut and says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The error's type in the handler's language; retry policies name it.
    #[serde(rename = "type", deserialize_with = "name")]
    pub kind: String,
    #[serde(default, deserialize_with = "text")]
    pub message: String,
    #[serde(default, deserialize_with = "optional_name")]
    pub code: Option<String>,
    /// False: no retry, whatever the policy says.
    #[serde(default = "yes")]
    pub retryable: bool,
    /// The next attempt begins no sooner, whatever the policy says. What is kept is a time, and left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<RetryAfter>,
    #[serde(default, deserialize_with = "details")]
    pub details: Option<Payload>,
    #[serde(default, deserialize_with = "optional_text")]
    pub stack: Option<String>,
}

const fn yes() -> bool {
    true
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| cut(text, NAME_MAX))
}

fn optional_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(|text| cut(text, NAME_MAX)))
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(error_text)
}

fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(error_text))
}

fn details<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Payload>, D::Error>
where
    Payload: Deserialize<'de>,
{
    Ok(Option::<Payload>::deserialize(deserializer)?.map(bounded_details))
}

/// Of details there is no half: what is longer is left out, and its length stands in its place.
fn bounded_details(details: Payload) -> Payload {
    match details.len() {
        length if length > ERROR_DETAILS_MAX => Payload::from(format!("{{\"left_out_bytes\":{length}}}")),
        _ => details,
    }
}

/// A text for people that is no longer than is kept: a message, a reason, a stack. The end of a longer one says how long
/// it was.
pub fn error_text(text: String) -> String {
    cut(text, ERROR_TEXT_MAX)
}

/// At most so many bytes, the words about it among them. Cut once it is not cut again.
fn cut(mut text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let told = format!(" … (cut: {} bytes)", text.len());
    let mut end = most.saturating_sub(told.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text + &told
}

impl Failure {
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind: cut(kind.into(), NAME_MAX),
            message: error_text(message.into()),
            code: None,
            retryable: true,
            retry_after: None,
            details: None,
            stack: None,
        }
    }

    /// Nothing in it is longer than is kept.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self {
            kind: cut(self.kind, NAME_MAX),
            message: error_text(self.message),
            code: self.code.map(|code| cut(code, NAME_MAX)),
            retryable: self.retryable,
            retry_after: self.retry_after.and_then(RetryAfter::known),
            details: self.details.map(bounded_details),
            stack: self.stack.map(error_text),
        }
    }

    /// How long the next attempt has to wait at least.
    pub fn wait(&self) -> Option<std::time::Duration> {
        match self.retry_after {
            Some(RetryAfter::For(time)) => Some(time),
            Some(RetryAfter::Text(_)) | None => None,
        }
    }

    #[must_use]
    pub fn final_(mut self) -> Self {
        self.retryable = false;
        self
    }
}

/// The field of a request that is such a text.
pub fn deserialize_error_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_once_between_characters_and_say_so() {
        let long = "ü".repeat(ERROR_TEXT_MAX);
        let failure = Failure {
            code: Some("c".repeat(NAME_MAX + 1)),
            details: Some(Payload::from("1".repeat(ERROR_DETAILS_MAX + 1))),
            stack: Some(long.clone()),
            ..Failure::new(long.clone(), long.clone())
        }
        .bounded();
        assert!(failure.kind.len() <= NAME_MAX && failure.message.len() <= ERROR_TEXT_MAX);
        assert!(failure.message.len() > ERROR_TEXT_MAX - 4);
        assert!(failure.message.ends_with(&format!("ü … (cut: {} bytes)", long.len())), "{}", failure.message);
        assert_eq!(failure.stack, Some(failure.message.clone()));
        assert_eq!(failure.details, Some(Payload::from(format!("{{\"left_out_bytes\":{}}}", ERROR_DETAILS_MAX + 1))));
        assert_eq!(failure.clone().bounded(), failure);
        let short = Failure::new("Oops", "it broke");
        assert_eq!(short.clone().bounded(), short);
    }
}
