//! What went wrong: the exit code for scripts, a sentence for people, and what would be right.

use stent::codec;
use stent::model::{Error, Status};

/// Exit codes. What `wait` and `check` find has codes of its own.
pub const DONE: u8 = 0;
pub const FAILED: u8 = 1;
/// The command line's own parser uses it, too.
pub const USAGE: u8 = 2;
pub const NOT_FOUND: u8 = 3;
pub const CONFLICT: u8 = 4;
pub const NO_STORE: u8 = 5;
pub const NOT_CONFIRMED: u8 = 6;
pub const ENDED_FAILED: u8 = 10;
pub const ENDED_TIMED_OUT: u8 = 11;
pub const ENDED_CANCELLED: u8 = 12;
pub const STILL_GOING: u8 = 13;
pub const CHECK_FOUND: u8 = 20;

#[derive(Debug)]
pub struct Trouble {
    code: u8,
    error: Error,
    /// What would be right.
    hint: Option<String>,
}

impl Trouble {
    fn new(code: u8, error: Error) -> Self {
        Self { code, error, hint: None }
    }

    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(FAILED, Error::backend(what))
    }

    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(USAGE, Error::invalid(what))
    }

    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(NOT_FOUND, Error::not_found(what))
    }

    pub fn conflict(what: impl Into<String>) -> Self {
        Self::new(CONFLICT, Error::conflict(what))
    }

    pub fn no_store(error: Error) -> Self {
        Self::new(NO_STORE, error)
    }

    pub fn not_confirmed(what: impl Into<String>) -> Self {
        Self::new(NOT_CONFIRMED, Error::new(Status::Cancelled, what))
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn code(&self) -> u8 {
        self.code
    }

    pub fn message(&self) -> &str {
        self.error.message()
    }

    pub fn what_would_be_right(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub fn json(&self) -> String {
        #[derive(serde::Serialize)]
        struct View<'a> {
            error: &'a Error,
            hint: Option<&'a str>,
            exit: u8,
        }
        codec::to_json(&View { error: &self.error, hint: self.hint.as_deref(), exit: self.code })
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let code = match error.status() {
            Status::Invalid => USAGE,
            Status::NotFound => NOT_FOUND,
            Status::Conflict => CONFLICT,
            Status::Timeout => STILL_GOING,
            Status::Ok
            | Status::Pending
            | Status::Suspend
            | Status::Cancelled
            | Status::Closed
            | Status::LeaseLost
            | Status::Nondeterminism
            | Status::Failed
            | Status::Backend
            | Status::Unsupported
            | Status::WrongThread
            | Status::Forked
            | Status::Panic => FAILED,
        };
        Self::new(code, error)
    }
}
