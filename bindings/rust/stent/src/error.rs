//! What goes wrong: calls that fail, and tasks that do.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use stent_sys as sys;

use crate::call::borrowed;

/// What a call gives.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:ident,)*) => {
        /// What a call of the library answered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Status {
            $($(#[$doc])* $name,)*
            /// A number that this crate does not know.
            Unknown(i32),
        }

        impl Status {
            /// Those that this crate knows.
            pub const ALL: &[Status] = &[$(Status::$name),*];

            /// The status of a number.
            pub fn from_code(code: i32) -> Self {
                match code {
                    $(sys::$code => Status::$name,)*
                    other => Status::Unknown(other),
                }
            }

            /// Its number.
            pub fn code(self) -> i32 {
                match self {
                    $(Status::$name => sys::$code,)*
                    Status::Unknown(code) => code,
                }
            }
        }
    };
}

statuses! {
    /// Done.
    Ok = STENT_OK,
    /// It has not ended, or not been awaited yet.
    Pending = STENT_PENDING,
    /// What a durable call waits for is not there yet: the handler returns this error.
    Suspend = STENT_SUSPEND,
    /// The caller's mistake; the message says which, and what would be right.
    Invalid = STENT_E_INVALID,
    /// There is no such execution, task or dead letter.
    NotFound = STENT_E_NOT_FOUND,
    /// It exists already, or is over already, or is not in the state that the call needs.
    Conflict = STENT_E_CONFLICT,
    /// The time was up. What was waited for goes on.
    Timeout = STENT_E_TIMEOUT,
    /// The execution, or the operation, was cancelled.
    Cancelled = STENT_E_CANCELLED,
    /// The store was closed, the worker stopped, or the library shut down.
    Closed = STENT_E_CLOSED,
    /// The task is another worker's by now, or over.
    LeaseLost = STENT_E_LEASE_LOST,
    /// The handler asks for something else than what its journal holds at this place.
    Nondeterminism = STENT_E_NONDETERMINISM,
    /// A child, or the awaited execution, failed: see [`Error::failure`].
    Failed = STENT_E_FAILED,
    /// The store: busy, unreachable, corrupt, full, read-only.
    Backend = STENT_E_BACKEND,
    /// This store, or this build, can't do it.
    Unsupported = STENT_E_UNSUPPORTED,
    /// A call that waits for handlers to end was made in one.
    WrongThread = STENT_E_WRONG_THREAD,
    /// This process was forked from one that was using the library.
    Forked = STENT_E_FORKED,
    /// A defect of the library, caught at the border.
    Panic = STENT_E_PANIC,
}

impl Status {
    /// Its name, such as `NOT_FOUND`.
    pub fn name(self) -> String {
        // SAFETY: the text is static.
        unsafe { borrowed(sys::stent_status_name(self.code())) }
    }
}

/// A call that failed.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

// Behind a pointer, so that results are small.
#[derive(Clone, Debug)]
struct Inner {
    status: Status,
    message: String,
    retryable: bool,
    details: Value,
    failure: Option<Failure>,
    came: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Told {
    message: String,
    #[serde(default)]
    retryable: bool,
    #[serde(default)]
    details: Value,
    failure: Option<Box<RawValue>>,
}

impl Error {
    pub(crate) fn new(status: Status, message: &str) -> Self {
        let message = message.to_owned();
        Self(Box::new(Inner { status, message, retryable: false, details: Value::Null, failure: None, came: None }))
    }

    pub(crate) fn invalid(message: &str) -> Self {
        Self::new(Status::Invalid, message)
    }

    pub(crate) fn suspended() -> Self {
        Self::new(Status::Suspend, "what is awaited is not there yet; the handler returns this error as it is")
    }

    /// What the library tells of an error, in JSON.
    pub(crate) fn read(status: Status, text: &str) -> Self {
        let Ok(told) = serde_json::from_str::<Told>(text) else {
            return Self::new(status, &format!("{}, and its error can't be read: {text:.200}", status.name()));
        };
        let failure = told.failure.as_ref().and_then(|came| serde_json::from_str(came.get()).ok());
        let (retryable, details, came) = (told.retryable, told.details, told.failure);
        Self(Box::new(Inner { status, message: told.message, retryable, details, failure, came }))
    }

    /// The failure as it came, to the letter: by that the library knows it as a child's.
    pub(crate) fn came(&self) -> Option<&RawValue> {
        self.0.came.as_deref()
    }

    /// What the call answered.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// What was being done and what was wrong, for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The same call may succeed later without a change by the caller.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Facts for programs, such as the option that was unknown and those that are known.
    pub fn details(&self) -> &Value {
        &self.0.details
    }

    /// Why the child or the execution failed, with [`Status::Failed`].
    pub fn failure(&self) -> Option<&Failure> {
        self.0.failure.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

/// Why a task failed, in the shape that all languages share. A handler returns one to fail its task:
///
/// ```
/// # fn charge() -> stent::HandlerResult<()> {
/// Err(stent::Failure::new("CardDeclined", "the card was declined").not_retryable())?
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What programs tell failures apart by.
    pub kind: String,
    /// For people.
    pub message: String,
    /// A code of another system's.
    pub code: Option<String>,
    /// Whether another attempt may be made, as the retry policy says.
    pub retryable: bool,
    /// No further attempt sooner than this: seconds, or the text of an HTTP header Retry-After, as it came.
    pub retry_after: Option<String>,
    /// Facts for programs.
    pub details: Value,
    /// Where it happened.
    pub stack: Option<String>,
}

impl Failure {
    /// A failure that is tried again as the retry policy says.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        let (kind, message) = (kind.into(), message.into());
        Self { kind, message, code: None, retryable: true, retry_after: None, details: Value::Null, stack: None }
    }

    /// With a code of another system's.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// With facts for programs.
    pub fn details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// No further attempt sooner than this: a number of seconds, or the text of an HTTP header Retry-After, as it came.
    pub fn retry_after(mut self, after: impl ToString) -> Self {
        self.retry_after = Some(after.to_string());
        self
    }

    /// No further attempt, whatever the retry policy says.
    pub fn not_retryable(mut self) -> Self {
        self.retryable = false;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Failure {}

#[derive(Serialize, Deserialize)]
struct FailureJson {
    r#type: String,
    #[serde(default)]
    message: Option<String>,
    code: Option<String>,
    retryable: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<Value>,
    #[serde(default)]
    details: Value,
    stack: Option<String>,
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, out: S) -> std::result::Result<S::Ok, S::Error> {
        let Self { kind, message, code, retryable, retry_after, details, stack } = self.clone();
        let (retryable, retry_after) = (Some(retryable), retry_after.map(Value::String));
        FailureJson { r#type: kind, message: Some(message), code, retryable, retry_after, details, stack }
            .serialize(out)
    }
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let FailureJson { r#type: kind, message, code, retryable, retry_after, details, stack } =
            FailureJson::deserialize(from)?;
        let retryable = retryable.unwrap_or(true);
        let retry_after = retry_after.filter(|after| !after.is_null()).map(|after| match after {
            Value::String(text) => text,
            number => number.to_string(),
        });
        Ok(Self { kind, message: message.unwrap_or_default(), code, retryable, retry_after, details, stack })
    }
}
