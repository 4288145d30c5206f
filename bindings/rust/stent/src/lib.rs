//! Stent runs workflows that survive crashes, on a SQLite file or a PostgreSQL database, over libstent's C API.
//!
//! Open a [`Store`], make an [`Executor`] on it, tell it the functions that this process has code for by
//! [`Executor::register`], start a [`Worker`]; dispatch executions, here or in any other process on the same store.
//!
//! A handler calls other functions by [`Task::call`], sleeps, waits for signals. What is not there yet is answered by an
//! [`Error`] of status [`Status::Suspend`]: `?` passes it on, and the handler is run again from the top when it is there.
//!
//! Values are what `serde_json` writes and reads. Bytes are [`Bytes`].

#![deny(missing_docs)]

mod batch;
mod call;
mod custom;
mod error;
mod execution;
mod executor;
mod facade;
mod finite;
mod function;
mod handler;
mod library;
mod ops;
mod options;
mod records;
mod schedules;
mod service;
mod signal;
mod store;
mod task;
pub mod testing;
#[cfg(feature = "opentelemetry")]
mod tracing;
mod transaction;
mod values;
mod worker;

pub use batch::{BatchItem, BatchResult};
pub use custom::CustomStore;
pub use error::{Error, Failure, Result, Status};
pub use execution::Execution;
pub use executor::Executor;
pub use function::{Arguments, Function};
pub use handler::{HandlerError, HandlerResult};
pub use library::{Level, LogLine, configure, describe, set_log_handler, shutdown, version};
pub use ops::{AnyOp, Op};
pub use options::{
    BackfillOptions, BatchOptions, CallOptions, CheckOptions, CleanupOptions, ConfigureOptions, CustomOptions,
    DeadLetterFilter, DeclareOptions, DispatchOptions, ExecutionFilter, FunctionOptions, LogOptions, PauseOptions,
    Rate, RetryPolicy, Schedule, ScheduleFilter, SchedulePauseOptions, SignalOptions, SqliteOptions, StatsOptions,
    StepOptions, TriggerOptions, UnpauseOptions, WaitSignalOptions, WorkerOptions,
};
pub use records::{
    CheckReport, CheckedCase, Cleaned, DeadLetter, ExecutionRecord, KeptSchedule, Pause, Progress, TaskInfo,
    TaskRecord, Tick, WorkerStatus,
};
pub use service::StopSignals;
pub use signal::Signal;
pub use store::Store;
pub use task::{Hold, Task};
pub use transaction::{Connection, TransactionOptions};
pub use values::{Bytes, Span, Strings};
pub use worker::Worker;

/// The C API, for what is not here.
pub use stent_sys as sys;

// The README's examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
