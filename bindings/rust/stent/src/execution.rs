//! One execution, as those outside see it.

use std::iter;
use std::marker::PhantomData;
use std::ptr;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stent_sys as sys;

use crate::call::{ask, call, decode, json, milliseconds, text};
use crate::error::{Result, Status};
use crate::executor::Executor;
use crate::options::SignalOptions;
use crate::records::{ExecutionRecord, Progress};

/// How long one wait is that is made again and again, to see what has changed.
const SLICE: Duration = Duration::from_millis(100);

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
        decode(&self.state_text()?)
    }

    fn state_text(&self) -> Result<String> {
        let id = text(&self.id)?;
        // SAFETY: the executor lives, and the text for the call.
        ask(|out, why| unsafe { sys::stent_executor_state(self.executor.handle(), id.as_ptr(), out, why) })
    }

    /// It as it is now, and again whenever it has changed (its state, progress, counters, state values), the last time when it
    /// is over. Waits for what comes next; an error is the last that comes.
    pub fn changes(&self) -> impl Iterator<Item = Result<ExecutionRecord>> {
        let (mut last, mut is_over, mut has_ended) = (String::new(), false, false);
        let mut next = move || -> Result<Option<ExecutionRecord>> {
            loop {
                let told = self.state_text()?;
                if told != last {
                    last = told;
                    return decode(&last).map(Some);
                }
                if is_over {
                    return Ok(None);
                }
                // Its end is told at once, all else when it is looked at again.
                is_over = match self.wait(Some(SLICE)) {
                    Ok(_) => true,
                    Err(why) if why.status() == Status::Timeout => false,
                    Err(why) => return Err(why),
                };
            }
        };
        iter::from_fn(move || {
            let came = if has_ended { None } else { next().transpose() };
            has_ended = !matches!(came, Some(Ok(_)));
            came
        })
    }

    /// Each line of its progress, those that are there and those that come, until it is over. An error is the last that comes.
    pub fn progress(&self) -> impl Iterator<Item = Result<Progress>> {
        let mut seen = 0;
        self.changes().flat_map(move |changed| match changed {
            Err(why) => vec![Err(why)],
            Ok(record) => {
                let lines: Vec<_> = record.progress.into_iter().skip(seen).map(Ok).collect();
                seen += lines.len();
                lines
            }
        })
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
