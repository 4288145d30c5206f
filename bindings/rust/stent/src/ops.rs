//! Start now, wait later: fan-outs, races, time-outs.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use stent_sys as sys;

use crate::call::{json, text};
use crate::error::Result;
use crate::function::{Arguments, Function};
use crate::options::{CallOptions, WaitSignalOptions};
use crate::task::{Task, duration};
use crate::values::Span;

/// A started operation of a task, whose result is an `R`.
pub struct Op<R> {
    number: u32,
    result: PhantomData<fn() -> R>,
}

/// A started operation of whatever result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnyOp(u32);

impl<R> Op<R> {
    fn new(number: u32) -> Self {
        Self { number, result: PhantomData }
    }

    /// The same operation, beside others of other types.
    pub fn any(self) -> AnyOp {
        AnyOp(self.number)
    }
}

impl<R> Clone for Op<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Op<R> {}

impl<R> fmt::Debug for Op<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Op({})", self.number)
    }
}

impl<R> From<Op<R>> for AnyOp {
    fn from(op: Op<R>) -> Self {
        op.any()
    }
}

impl Task {
    /// Starts a call as [`Task::call`] does, without waiting.
    pub fn spawn<A: Arguments, R>(&self, function: &Function<A, R>, args: A) -> Result<Op<R>> {
        self.spawn_with(function, args, &CallOptions::new())
    }

    /// As [`Task::spawn`], with options.
    pub fn spawn_with<A: Arguments, R>(
        &self,
        function: &Function<A, R>,
        args: A,
        options: &CallOptions,
    ) -> Result<Op<R>> {
        let (name, args, options) = (function.c_name()?, text(&args.write()?)?, json(options)?);
        // SAFETY: the task is lent, and the texts live for the call.
        self.started(|op, why| unsafe {
            sys::stent_task_spawn_call(self.handle(), name.as_ptr(), args.as_ptr(), options.as_ptr(), op, why)
        })
    }

    /// Starts a sleep, without waiting: a time-out for whatever is awaited with it.
    pub fn spawn_sleep(&self, time: impl Into<Span>) -> Result<Op<()>> {
        let time = duration(time.into())?;
        // SAFETY: the task is lent, and the text lives for the call.
        self.started(|op, why| unsafe { sys::stent_task_spawn_sleep(self.handle(), time.as_ptr(), op, why) })
    }

    /// Starts a wait for a signal, without waiting.
    pub fn spawn_wait_signal<R>(&self, name: &str, options: &WaitSignalOptions) -> Result<Op<R>> {
        let (name, options) = (text(name)?, json(options)?);
        // SAFETY: the task is lent, and the texts live for the call.
        self.started(|op, why| unsafe {
            sys::stent_task_spawn_wait_signal(self.handle(), name.as_ptr(), options.as_ptr(), op, why)
        })
    }

    fn started<R>(
        &self,
        make: impl FnOnce(*mut u32, *mut *mut sys::stent_error) -> sys::stent_status,
    ) -> Result<Op<R>> {
        let mut op = 0;
        self.make(|why| make(&mut op, why))?;
        Ok(Op::new(op))
    }

    /// Waits for an operation, and gives its result.
    pub fn wait<R: DeserializeOwned>(&self, op: Op<R>) -> Result<R> {
        self.wait_for(&[op.any()], sys::STENT_WAIT_ALL)?;
        self.result(op)
    }

    /// Waits until all have ended, and gives their results; or the error of the first in order that failed.
    pub fn wait_all<R: DeserializeOwned>(&self, ops: &[Op<R>]) -> Result<Vec<R>> {
        let numbers: Vec<AnyOp> = ops.iter().map(|op| op.any()).collect();
        self.wait_for(&numbers, sys::STENT_WAIT_ALL)?;
        ops.iter().map(|op| self.result(*op)).collect()
    }

    /// Waits until one of them has ended, in whatever way: the first, by its place among them. [`Task::result`] tells how.
    pub fn wait_any(&self, ops: &[AnyOp]) -> Result<usize> {
        let first = self.wait_for(ops, sys::STENT_WAIT_ANY)?;
        Ok(ops.iter().position(|op| op.0 == first).unwrap_or_default())
    }

    fn wait_for(&self, ops: &[AnyOp], mode: u32) -> Result<u32> {
        let numbers: Vec<u32> = ops.iter().map(|op| op.0).collect();
        let mut first = 0;
        // SAFETY: the task is lent, and the numbers live for the call. -1: as the worker's options say.
        self.make(|why| unsafe {
            sys::stent_task_await(self.handle(), numbers.as_ptr(), numbers.len(), mode, -1, &mut first, why)
        })?;
        Ok(first)
    }

    /// The result of an operation that has ended and was awaited.
    pub fn result<R: DeserializeOwned>(&self, op: Op<R>) -> Result<R> {
        self.ended(op.number)
    }

    /// Cancels an operation that is not awaited any more, such as the loser of a race.
    pub fn cancel(&self, op: impl Into<AnyOp>) -> Result<()> {
        // SAFETY: the task is lent.
        self.make(|why| unsafe { sys::stent_task_cancel_op(self.handle(), op.into().0, why) }).map(|_| ())
    }
}
