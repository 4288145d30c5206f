//! Handlers: how one is called, and what becomes of what it returns.

use std::any::{Any, type_name};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::error::Error as StdError;
use std::ffi::{CString, c_void};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use stent_sys as sys;

use crate::call::{encode, json, text};
use crate::error::{Error, Failure, Status};
use crate::library::Level;
use crate::task::Task;

/// What a handler returns.
pub type HandlerResult<R> = std::result::Result<R, HandlerError>;

/// Why a handler has no result: any error, which `?` makes one of these. An [`Error`] of a durable call is passed on as it is,
/// whether a suspension, a cancellation or a child's failure: that does the right thing. A [`Failure`] says how the task
/// failed; of any other error the failure's type is the name of its Rust type.
pub struct HandlerError {
    error: Box<dyn StdError + Send + Sync>,
    kind: &'static str,
    /// Taken where the error became this, if `RUST_BACKTRACE` asks for it.
    stack: Backtrace,
}

impl HandlerError {
    /// Of an error whose type is not known any more.
    pub fn boxed(error: Box<dyn StdError + Send + Sync>) -> Self {
        Self { error, kind: "Error", stack: Backtrace::capture() }
    }

    /// The same, told in other words.
    pub(crate) fn saying(self, told: String) -> Self {
        Self { error: told.into(), ..self }
    }

    /// The error that it was made of.
    pub fn get(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.error
    }

    /// What the task fails with, as JSON. A child's that is passed on as it came goes out to the letter; one that is wrapped
    /// keeps its type, and is not tried again.
    pub(crate) fn failure(&self) -> std::result::Result<String, Error> {
        if let Some(came) = self.error.downcast_ref::<Error>().and_then(Error::came) {
            return Ok(came.get().to_owned());
        }
        let mut failure = self.found().unwrap_or_else(|| Failure::new(self.kind, ""));
        if self.error.downcast_ref::<Failure>().is_none() {
            failure.message = self.error.to_string();
        }
        if failure.stack.is_none() && self.stack.status() == BacktraceStatus::Captured {
            failure.stack = Some(self.stack.to_string());
        }
        encode(&failure)
    }

    /// The failure in the error, or in what caused it.
    fn found(&self) -> Option<Failure> {
        let mut at: Option<&(dyn StdError + 'static)> = Some(&*self.error);
        while let Some(error) = at {
            if let Some(failure) = error.downcast_ref::<Failure>() {
                return Some(failure.clone());
            }
            if let Some(error) = error.downcast_ref::<Error>() {
                return Some(match error.failure() {
                    Some(failure) => failure.clone().not_retryable(),
                    None => {
                        let failure = Failure::new(error.status().name(), error.message());
                        let failure = failure.details(error.details().clone());
                        // A mistake of the handler's, which it makes again.
                        if error.status() == Status::Invalid { failure.not_retryable() } else { failure }
                    }
                });
            }
            at = error.source();
        }
        None
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self { error: Box::new(error), kind: type_name::<E>(), stack: Backtrace::capture() }
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, out)
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, out)
    }
}

/// A handler without its types: gives the result as JSON, or nothing when the task was told how it ends.
pub(crate) type Handler = Box<dyn Fn(&Task) -> HandlerResult<String> + Send + Sync>;

/// Is called by the library for each task.
pub(crate) unsafe extern "C" fn on_task(handler: *mut c_void, task: *mut sys::stent_task) -> sys::stent_status {
    // SAFETY: it is the box that was registered, which lives until it is given back.
    let handler = unsafe { &*handler.cast::<Handler>() };
    let task = Task::lent(task);
    let run = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(feature = "opentelemetry")]
        let _here = crate::tracing::enter(&task);
        settle(&task, handler(&task))
    }));
    run.unwrap_or_else(|panicked| {
        let message = said(&*panicked).to_owned();
        // What a payload's destructor panics with is no more ours to tell.
        drop(catch_unwind(AssertUnwindSafe(|| drop(panicked))));
        if task.is_suspended() { sys::STENT_SUSPEND } else { fail(&task, json(&Failure::new("panic", message))) }
    })
}

pub(crate) fn said(panicked: &(dyn Any + Send)) -> &str {
    let text = panicked.downcast_ref::<&str>().copied();
    text.or_else(|| panicked.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a text")
}

/// What becomes of the task, by what its handler returned.
fn settle(task: &Task, returned: HandlerResult<String>) -> sys::stent_status {
    if task.is_suspended() {
        let passed_on = returned.as_ref().is_err_and(|why| why.error.downcast_ref::<Error>().is_some());
        if !passed_on {
            drop(task.log(
                Level::Warn,
                "the handler did not return the error of a durable call that has suspended it; pass it on by `?`",
            ));
        }
        return sys::STENT_SUSPEND;
    }
    let returned = task.broken().map_or(returned, Err);
    match returned {
        Ok(_) if task.is_continued() => sys::STENT_OK,
        Ok(result) => match text(&result) {
            // SAFETY: the task is lent until the handler returns, the text for the call.
            Ok(result) => unsafe { sys::stent_task_complete(task.handle(), result.as_ptr(), ptr::null_mut()) },
            Err(why) => fail(task, json(&Failure::new("INVALID", why.message()).not_retryable())),
        },
        Err(why) => match why.error.downcast_ref::<Error>() {
            // Of an error that came from the task the library knows more than we can tell.
            Some(error)
                if error.came().is_none() && error.status() != Status::Invalid && task.has_raised(error.status()) =>
            {
                error.status().code()
            }
            _ => fail(task, why.failure().and_then(|failure| text(&failure))),
        },
    }
}

pub(crate) fn fail(task: &Task, failure: std::result::Result<CString, Error>) -> sys::stent_status {
    let failure = failure
        .unwrap_or_else(|_| c"{\"type\": \"Error\", \"message\": \"a failure with a NUL character\"}".to_owned());
    // SAFETY: the task is lent until the handler returns, the text for the call.
    unsafe { sys::stent_task_fail(task.handle(), failure.as_ptr(), ptr::null_mut()) }
}
