//! One execution, as those outside see it.

use std::marker::PhantomData;
use std::ptr;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stent_sys as sys;

use crate::call::{ask, call, decode, json, milliseconds, text};
use crate::error::Result;
use crate::executor::Executor;
use crate::options::SignalOptions;
use crate::records::ExecutionRecord;

/// One run of a dispatched function, whose result is an `R`.
pub struct Execution<R> {
    executor: Executor,
    id: String,
    result: PhantomData<fn() -> R>,
}

impl<R> Execution<R> {
    pub(crate) fn new(executor: Executor, id: String) -> Self {
        Self { executor, id, result: PhantomData }
    }

    /// Its id: a UUID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits for the result, for as long as `timeout` says. [`Status::Failed`]: it failed, and [`Error::failure`] says why.
    /// [`Status::Cancelled`]: it was cancelled. [`Status::Timeout`]: it is not over by now, or it ran out of its own time.
    ///
    /// [`Status::Failed`]: crate::Status::Failed
    /// [`Status::Cancelled`]: crate::Status::Cancelled
    /// [`Status::Timeout`]: crate::Status::Timeout
    /// [`Error::failure`]: crate::Error::failure
    pub fn result(&self, timeout: Option<Duration>) -> Result<R>
    where
        R: DeserializeOwned,
    {
        let id = text(&self.id)?;
        // SAFETY: the executor lives, and the text for the call.
        decode(&ask(|out, why| unsafe {
            sys::stent_executor_result(self.executor.handle(), id.as_ptr(), milliseconds(timeout), out, why)
        })?)
    }

    /// Waits until it is over, however it ends, for as long as `timeout` says.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<ExecutionRecord> {
        let id = text(&self.id)?;
        // SAFETY: the executor lives, and the text for the call.
        decode(&ask(|out, why| unsafe {
            sys::stent_executor_wait(self.executor.handle(), id.as_ptr(), milliseconds(timeout), out, why)
        })?)
    }

    /// It as it is now.
    pub fn state(&self) -> Result<ExecutionRecord> {
        let id = text(&self.id)?;
        // SAFETY: the executor lives, and the text for the call.
        decode(&ask(|out, why| unsafe { sys::stent_executor_state(self.executor.handle(), id.as_ptr(), out, why) })?)
    }

    /// Sends it a signal, and returns when that is durable.
    pub fn signal(&self, name: &str, payload: &impl Serialize) -> Result<()> {
        self.signal_with(name, payload, &SignalOptions::new())
    }

    /// As [`Execution::signal`], with options.
    pub fn signal_with(&self, name: &str, payload: &impl Serialize, options: &SignalOptions) -> Result<()> {
        let (id, name, payload, options) = (text(&self.id)?, text(name)?, json(payload)?, json(options)?);
        let executor = self.executor.handle();
        // SAFETY: the executor lives, and the texts for the call.
        call(|why| unsafe {
            sys::stent_executor_signal(executor, id.as_ptr(), name.as_ptr(), payload.as_ptr(), options.as_ptr(), why)
        })
        .map(|_| ())
    }

    /// Cancels it with everything that it called.
    pub fn cancel(&self, reason: Option<&str>) -> Result<()> {
        let (id, reason) = (text(&self.id)?, reason.map(text).transpose()?);
        let reason = reason.as_ref().map_or(ptr::null(), |reason| reason.as_ptr());
        // SAFETY: the executor lives, and the texts for the call.
        call(|why| unsafe { sys::stent_executor_cancel(self.executor.handle(), id.as_ptr(), reason, why) }).map(|_| ())
    }
}
