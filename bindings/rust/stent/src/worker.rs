//! Workers: they claim tasks and run their handlers.

use std::ptr;
use std::time::Duration;

use serde::Serialize;
use stent_sys as sys;

use crate::call::{ask, call, decode, json, milliseconds, text};
use crate::error::Result;
use crate::executor::Executor;
use crate::options::WorkerOptions;
use crate::records::WorkerStatus;

/// Runs the handlers of an executor's functions. One that is dropped drains by itself.
pub struct Worker(*mut sys::stent_worker);

// SAFETY: the library's functions may be called on any thread, several at once.
unsafe impl Send for Worker {}
// SAFETY: as above.
unsafe impl Sync for Worker {}

impl Drop for Worker {
    fn drop(&mut self) {
        // SAFETY: it is ours, and freed once.
        unsafe { sys::stent_worker_free(self.0) }
    }
}

impl Executor {
    /// Starts a worker for the functions that are registered by now, and returns at once.
    pub fn start_worker(&self, options: &WorkerOptions) -> Result<Worker> {
        self.start_worker_as(options)
    }

    /// As [`Executor::start_worker`], with options that are JSON already, from a file of settings say.
    pub fn start_worker_as(&self, options: &impl Serialize) -> Result<Worker> {
        let options = json(options)?;
        let mut worker = ptr::null_mut();
        // SAFETY: the executor lives, and the text and the place for the call.
        call(|why| unsafe {
            sys::stent_worker_start(self.handle(), options.as_ptr(), ptr::null_mut(), &mut worker, why)
        })?;
        Ok(Worker(worker))
    }
}

impl Worker {
    /// What it is doing.
    pub fn status(&self) -> Result<WorkerStatus> {
        // SAFETY: the handle lives.
        decode(&ask(|out, why| unsafe { sys::stent_worker_status(self.0, out, why) })?)
    }

    /// Waits until it has come to a state (`"ready"`, `"draining"` or `"stopped"`) or past it. Not in a handler.
    pub fn wait(&self, state: &str, timeout: Option<Duration>) -> Result<()> {
        let state = text(state)?;
        // SAFETY: the handle lives, and the text for the call.
        call(|why| unsafe { sys::stent_worker_wait(self.0, state.as_ptr(), milliseconds(timeout), why) }).map(|_| ())
    }

    /// Tells it to take nothing new, and returns at once: what runs comes to its end, and then it is `"stopped"`. No attempt is
    /// charged.
    pub fn drain(&self) -> Result<()> {
        // SAFETY: the handle lives.
        call(|why| unsafe { sys::stent_worker_drain(self.0, why) }).map(|_| ())
    }

    /// Drains it and waits until it has stopped, for as long as `timeout` says; then what still runs is given up, for other
    /// workers to take over. Not in a handler.
    pub fn stop(&self, timeout: Option<Duration>) -> Result<()> {
        // SAFETY: the handle lives.
        call(|why| unsafe { sys::stent_worker_stop(self.0, milliseconds(timeout), why) }).map(|_| ())
    }
}
