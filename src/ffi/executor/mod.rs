//! Executors: functions are registered here, executions dispatched, and workers started.

mod executions;
mod operations;
mod schedules;
mod submit;
mod with_lengths;

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::plumbing::background::Unhurried;
use super::plumbing::context::OwnedContext;
use super::plumbing::handles::{self, Object, Table};
use super::plumbing::logging::{Log, OwnLog};
use super::plumbing::store::Store;
use super::plumbing::{borrow, guard, optional, required, runtime, text, tracing, write};
use super::task::{HostBatchHandler, HostHandler, stent_batch_fn, stent_handler_fn};
use super::{stent_error, stent_free_fn, stent_log_fn, stent_status};
use crate::codec;
use crate::executor::{Executor, Handler, Logger};
use crate::ffi::backend::{BackendObject, stent_backend};
use crate::model::Result;

/// Dispatches executions and starts workers on one backend. Made by stent_executor_new, freed by stent_executor_free.
pub struct stent_executor {
    _opaque: [u8; 0],
}

pub(super) struct ExecutorObject {
    executor: Unhurried<Executor>,
    store: Unhurried<Arc<Store>>,
    log: Arc<OwnLog>,
}

static EXECUTORS: Table<ExecutorObject> = Table::new();

impl Object for ExecutorObject {
    type Opaque = stent_executor;
    const NAME: &'static str = "executor";
    const ORIGIN: &'static str = "stent_executor_new makes one";

    fn table() -> &'static Table<Self> {
        &EXECUTORS
    }
}

impl ExecutorObject {
    pub(super) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub(super) fn log(&self) -> &Log {
        &self.log.0
    }

    /// The executor, unless its backend is closed.
    pub(super) fn open(&self) -> Result<&Executor> {
        self.store.backend().map(|_| &*self.executor)
    }
}

/// Makes an executor on a backend, which it keeps alive. options: none so far; NULL or {}. `*executor` is the
/// caller's, to be freed by stent_executor_free. If stent_configure was given an "otlp_endpoint", or the environment has
/// OTEL_EXPORTER_OTLP_ENDPOINT now, its workers' spans are exported there; docs/tracing.md says how. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_new(
    backend: *mut stent_backend,
    options: *const c_char,
    executor: *mut *mut stent_executor,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let backend = borrow::<BackendObject>(backend)?;
        // SAFETY: text or NULL, by the header's convention.
        let options = unsafe { optional(options, "options") }?;
        codec::options::none(options)?;
        required(executor, "executor")?;
        let store = Arc::clone(backend.store());
        let canonical = Arc::new(codec::CanonicalJson);
        let log = Arc::new(OwnLog(Log::new(store.number())));
        let logger = Arc::clone(&log) as Arc<dyn Logger>;
        let (backend, runtime) = (Arc::clone(store.backend()?), runtime::handle()?);
        let tracer = tracing::start(store.number(), &logger);
        let made = Executor::traced(backend, canonical, runtime, logger, tracer);
        let object = ExecutorObject { executor: Unhurried::new(made), store: Unhurried::new(store), log };
        let handle = handles::give(object)?;
        // SAFETY: writable, by the header's convention.
        unsafe { write(executor, handle) };
        Ok(())
    })
}

/// Hands what this executor, its workers and their tasks (stent_task_log) have to say to `handler` from now on, instead of
/// the one before, and instead of the process's log handler (stent_set_log_handler), which gets it again after a call
/// with NULL. options, and how the handler is called, are as there. `free_fn` gets `user_data` after the handler's last
/// call, when another one has taken its place or the executor and its workers are gone, or before this returns if it
/// fails. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_set_log_handler(
    executor: *mut stent_executor,
    options: *const c_char,
    handler: stent_log_fn,
    user_data: *mut c_void,
    free_fn: stent_free_fn,
    error: *mut *mut stent_error,
) -> stent_status {
    let context = OwnedContext::new(user_data, free_fn);
    guard(error, move || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let options = unsafe { optional(options, "options") }?;
        let options = codec::options::log(options)?;
        executor.log().set(handler, options.level, context)
    })
}

/// Frees the handle. NULL is nothing; workers started from the executor keep it alive until they have stopped. After
/// that the `free_fn` of each registered function is called. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_executor_free(executor: *mut stent_executor) {
    guard::free::<ExecutorObject>(executor);
}

/// Registers the handler of a function, for the workers that are started from now on. options: queue, tags, priority,
/// priority_ageing, retry_policy, timeout, version, max_concurrent, max_concurrent_per_key, rate, rate_per_key, cached, cache_ttl,
/// idempotent, cleanup; see
/// stent_describe. A worker's
/// start writes them to the store, where dispatches and calls of the function find what they leave out: the newest
/// worker's word counts. Until the store has one they are taken from here, for what this executor dispatches and calls.
///
/// `handler` is called with `user_data` on threads of the library, several at once. NULL: the function is for workers
/// with a poller, and `user_data` has no use. `free_fn` gets `user_data` when the executor and its workers are gone, or
/// before this returns if it fails or there is no handler. Any thread. STENT_E_CONFLICT: the name
/// is registered in this executor.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_register(
    executor: *mut stent_executor,
    function: *const c_char,
    options: *const c_char,
    handler: stent_handler_fn,
    user_data: *mut c_void,
    free_fn: stent_free_fn,
    error: *mut *mut stent_error,
) -> stent_status {
    let context = OwnedContext::new(user_data, free_fn);
    guard(error, move || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let (function, options) = unsafe { (text(function, "function")?, optional(options, "options")?) };
        let options = codec::options::function(options)?;
        let handler = HostHandler::new(handler, context).map(|handler| Arc::new(handler) as Arc<dyn Handler>);
        executor.open()?.register(function, options, handler)
    })
}

/// As stent_executor_register, for a handler that takes many tasks in one call: for what costs as much for a hundred rows
/// as for one, such as an insert, a mail provider's bulk call, a model on a GPU. batch: size, wait; NULL or {} for the
/// defaults; see stent_describe. A batch begins when it is full, when no slot is left for another task, or when its first
/// task has waited for so long; then its tasks begin together. Each takes a slot, from when it is gathered until it has
/// ended, and has its own lease, retries, time-out and cancel. A task that is suspected of having ended its worker is a
/// batch of its own.
///
/// `handler` must not be NULL: a host that takes events from a poller gathers the tasks that it gets itself. Any thread.
/// STENT_E_CONFLICT: the name is registered in this executor.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_register_batch(
    executor: *mut stent_executor,
    function: *const c_char,
    options: *const c_char,
    batch: *const c_char,
    handler: stent_batch_fn,
    user_data: *mut c_void,
    free_fn: stent_free_fn,
    error: *mut *mut stent_error,
) -> stent_status {
    let context = OwnedContext::new(user_data, free_fn);
    guard(error, move || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let (function, options, batch) =
            unsafe { (text(function, "function")?, optional(options, "options")?, optional(batch, "batch")?) };
        let (options, batch) = (codec::options::function(options)?, codec::options::batch(batch)?);
        let handler = Arc::new(HostBatchHandler::new(handler, context)?);
        executor.open()?.register_batch(function, options, batch, handler)
    })
}

/// Takes a function's handler back: workers that are started from now on don't have it, those that run keep it, and what
/// they made known of it in the store stays. The name may be registered anew. The `free_fn` of its registration is called
/// when the last worker that has it is gone, and before this returns if none has. Any thread. STENT_E_NOT_FOUND: the name is
/// not registered in this executor.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_unregister(
    executor: *mut stent_executor,
    function: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let function = unsafe { text(function, "function") }?;
        executor.open()?.unregister(function)
    })
}
