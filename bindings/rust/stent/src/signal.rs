//! Signals by name and type: who sends one and who waits for it agree when they compile.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::execution::Execution;
use crate::ops::Op;
use crate::options::{SignalOptions, WaitSignalOptions};
use crate::task::Task;

/// A signal that some execution waits for: its name, and what it carries.
///
/// ```
/// # use stent::Signal;
/// const APPROVED: Signal<bool> = Signal::new("approved");
/// ```
pub struct Signal<P> {
    name: Cow<'static, str>,
    payload: PhantomData<fn(P) -> P>,
}

impl<P> Signal<P> {
    /// The signal of a name that stands in the program.
    pub const fn new(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), payload: PhantomData }
    }

    /// The signal of a name that the program has learnt.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Cow::Owned(name.into()), payload: PhantomData }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<P> Clone for Signal<P> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), payload: PhantomData }
    }
}

impl Task {
    /// As [`Task::wait_signal`], of a signal with a type.
    pub fn receive<P: DeserializeOwned>(&self, signal: &Signal<P>) -> Result<P> {
        self.wait_signal(signal.name())
    }

    /// As [`Task::wait_signal_with`], of a signal with a type.
    pub fn receive_with<P: DeserializeOwned>(&self, signal: &Signal<P>, options: &WaitSignalOptions) -> Result<P> {
        self.wait_signal_with(signal.name(), options)
    }

    /// As [`Task::spawn_wait_signal`], of a signal with a type.
    pub fn spawn_receive<P>(&self, signal: &Signal<P>, options: &WaitSignalOptions) -> Result<Op<P>> {
        self.spawn_wait_signal(signal.name(), options)
    }
}

impl<R> Execution<R> {
    /// As [`Execution::signal`], of a signal with a type.
    pub fn send<P: Serialize>(&self, signal: &Signal<P>, payload: &P) -> Result<()> {
        self.signal(signal.name(), payload)
    }

    /// As [`Execution::signal_with`], of a signal with a type.
    pub fn send_with<P: Serialize>(&self, signal: &Signal<P>, payload: &P, options: &SignalOptions) -> Result<()> {
        self.signal_with(signal.name(), payload, options)
    }
}
