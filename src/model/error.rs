//! The one error type of the library: a status for programs, a sentence for people.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::{Failure, brief, masked};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can act upon. The numbers are the C API's `stent_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Status {
    Ok = 0,
    Pending = 1,
    Suspend = 2,
    Invalid = -1,
    NotFound = -2,
    Conflict = -3,
    Timeout = -4,
    Cancelled = -5,
    Closed = -6,
    LeaseLost = -7,
    Nondeterminism = -8,
    Failed = -9,
    Backend = -10,
    Unsupported = -11,
    WrongThread = -12,
    Forked = -13,
    Panic = -99,
}

impl Status {
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Pending,
        Self::Suspend,
        Self::Invalid,
        Self::NotFound,
        Self::Conflict,
        Self::Timeout,
        Self::Cancelled,
        Self::Closed,
        Self::LeaseLost,
        Self::Nondeterminism,
        Self::Failed,
        Self::Backend,
        Self::Unsupported,
        Self::WrongThread,
        Self::Forked,
        Self::Panic,
    ];

    pub const fn code(self) -> i32 {
        self as i32
    }

    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// May a store answer it? The others tell of the library's own doing, of handlers, and of the process.
    pub const fn is_a_stores(self) -> bool {
        match self {
            Self::Invalid
            | Self::NotFound
            | Self::Conflict
            | Self::Timeout
            | Self::Cancelled
            | Self::Closed
            | Self::LeaseLost
            | Self::Backend
            | Self::Unsupported => true,
            Self::Ok
            | Self::Pending
            | Self::Suspend
            | Self::Nondeterminism
            | Self::Failed
            | Self::WrongThread
            | Self::Forked
            | Self::Panic => false,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Pending => "PENDING",
            Self::Suspend => "SUSPEND",
            Self::Invalid => "INVALID",
            Self::NotFound => "NOT_FOUND",
            Self::Conflict => "CONFLICT",
            Self::Timeout => "TIMEOUT",
            Self::Cancelled => "CANCELLED",
            Self::Closed => "CLOSED",
            Self::LeaseLost => "LEASE_LOST",
            Self::Nondeterminism => "NONDETERMINISM",
            Self::Failed => "FAILED",
            Self::Backend => "BACKEND",
            Self::Unsupported => "UNSUPPORTED",
            Self::WrongThread => "WRONG_THREAD",
            Self::Forked => "FORKED",
            Self::Panic => "PANIC",
        }
    }
}

/// A fact beside the sentence, for programs: the SQLSTATE, the key that was unknown, what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    Text(String),
    Integer(i64),
    List(Vec<String>),
}

impl Detail {
    fn masked(self) -> Self {
        let mask = |text: String| match masked(&text) {
            Cow::Owned(told) => told,
            Cow::Borrowed(_) => text,
        };
        match self {
            Self::Text(text) => Self::Text(mask(text)),
            Self::Integer(number) => Self::Integer(number),
            Self::List(list) => Self::List(list.into_iter().map(mask).collect()),
        }
    }
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Detail {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<Vec<String>> for Detail {
    fn from(list: Vec<String>) -> Self {
        Self::List(list)
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Inner {
    status: Status,
    message: String,
    retryable: bool,
    details: BTreeMap<&'static str, Detail>,
    failure: Option<Failure>,
}

/// What went wrong. Boxed, so that a `Result` stays one word larger than its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Error(Box<Inner>);

impl Error {
    /// What every message passes through: passwords in it are hidden, and long values that it quotes are cut.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Inner {
            status,
            message: brief(&masked(&message)).into_owned(),
            retryable: false,
            details: BTreeMap::new(),
            failure: None,
        }))
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Status::Invalid, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Status::NotFound, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Status::Conflict, message)
    }

    pub fn backend(message: impl Into<String>) -> Self {
        Self::new(Status::Backend, message)
    }

    pub fn closed(message: impl Into<String>) -> Self {
        Self::new(Status::Closed, message)
    }

    /// A child, or the awaited execution, failed: its failure travels with the error.
    pub fn failed(message: impl Into<String>, failure: Failure) -> Self {
        let mut error = Self::new(Status::Failed, message);
        error.0.retryable = failure.retryable;
        error.0.failure = Some(failure);
        error
    }

    /// The same call may succeed later without a change by the caller.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    #[must_use]
    pub fn with(mut self, key: &'static str, detail: impl Into<Detail>) -> Self {
        self.0.details.insert(key, detail.into().masked());
        self
    }

    /// Says what was being done: `claim: the database is locked`. Once, however many say so.
    #[must_use]
    pub fn doing(mut self, what: &str) -> Self {
        let what = format!("{}: ", brief(&masked(what)));
        if !self.0.message.starts_with(&what) {
            self.0.message.insert_str(0, &what);
        }
        self
    }

    /// Says what may help: `id is wrong; it is a UUID`.
    #[must_use]
    pub fn hinting(mut self, what: &str) -> Self {
        self.0.message = format!("{}; {what}", self.0.message);
        self
    }

    pub fn status(&self) -> Status {
        self.0.status
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// A commit's answer was lost: it is not known whether what the call wrote is recorded.
    pub fn is_in_doubt(&self) -> bool {
        self.0.details.contains_key("commit")
    }

    pub fn details(&self) -> &BTreeMap<&'static str, Detail> {
        &self.0.details
    }

    pub fn failure(&self) -> Option<&Failure> {
        self.0.failure.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.status.name(), self.0.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_an_error_tells_a_password() {
        let url = "postgress://u:op@n s'e/s?a#m@h/d";
        let error = Error::invalid(format!("'{url}' is no store"))
            .with("url", url)
            .with("all", vec!["host=h password='se sam'".to_owned()])
            .doing("open x://u:open@h");
        let told = format!("{error} {error:?}");
        for part in ["op@n", "s'e", "sam", "open@"] {
            assert!(!told.contains(part), "{part}: {told}");
        }
        assert!(error.message().contains("postgress://u:***@h/d' is no store"), "{error}");
    }

    #[test]
    fn what_was_being_done_is_said_once() {
        let told = |message: &str| Error::invalid(message).doing("dispatch").message().to_owned();
        assert_eq!([told("it is empty"), told("dispatch: it is empty")], ["dispatch: it is empty"; 2]);
        assert_eq!(told("dispatches are many"), "dispatch: dispatches are many");
    }
}
