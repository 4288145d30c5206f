//! The library itself: versions, description, settings, log, shutdown.

use std::ffi::{CString, c_char, c_void};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::plumbing::context::OwnedContext;
use super::plumbing::store::Store;
use super::plumbing::{background, guard, logging, optional, registry, runtime, text as texts, threads, tracing};
use super::{STENT_ABI_VERSION, stent_error, stent_free_fn, stent_log_fn, stent_status, stent_thread_fn};
use crate::codec;
use crate::model::{Error, Result, Status};
use crate::threads as own;

/// The version of this binary interface: the number in the library's name (libstent.so.0). What is compiled against a
/// header of the same number works with the library. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_abi_version() -> u32 {
    STENT_ABI_VERSION
}

/// The library's version, such as "0.1.0". Static: don't free it. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Everything that bindings and tools need to know, as a JSON object: statuses, operations of backends with their
/// fields, options of every function with types and defaults, events and metrics. Static: don't free it. NULL in a
/// forked child. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_describe() -> *const c_char {
    static TEXT: OnceLock<CString> = OnceLock::new();
    guard::value(std::ptr::null(), || Some(TEXT.get_or_init(|| texts::owned(codec::describe())).as_ptr()))
}

/// Sets what holds for the whole process, before the first handle is made. options: "runtime_threads", the number of
/// threads that serve the stores (default: one for each processor, at most 4); "handler_stack_size", the bytes of stack of
/// each thread that runs handlers (default 1048576, 1 MiB; only what is used costs memory). A handler that needs more than
/// it has ends the process; "otlp_endpoint", the collector to which workers' spans are exported, instead of the one that
/// the environment names (docs/tracing.md). Any thread. STENT_E_CONFLICT: the library is in use already.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_configure(options: *const c_char, error: *mut *mut stent_error) -> stent_status {
    guard(error, || {
        // SAFETY: text or NULL, by the header's convention.
        let options = unsafe { optional(options, "options") }?;
        let options = codec::options::configure(options)?;
        runtime::configure(options)
    })
}

/// Has the host's functions called on each thread of the library on which code of the host may run (handlers, log handlers,
/// `free_fn`, a custom backend's function) and on those that serve the stores: `start` before anything else there, `stop`
/// after everything else, each with `user_data`; either may be NULL. A runtime that must know its threads attaches them so,
/// the JVM by AttachCurrentThreadAsDaemon and DetachCurrentThread: threads that serve the stores end with the process, and
/// `stop` is not called for them then. The functions may not wait for callbacks, and do best to call nothing of this header.
///
/// Before all else: a thread may begin with the first handle, and with the first log handler. `free_fn` gets `user_data`
/// when another call has taken the place of this one, or before this returns if it fails. Any thread. STENT_E_CONFLICT: a
/// thread of the library runs already.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_configure_threads(
    start: stent_thread_fn,
    stop: stent_thread_fn,
    user_data: *mut c_void,
    free_fn: stent_free_fn,
    error: *mut *mut stent_error,
) -> stent_status {
    let context = Arc::new(OwnedContext::new(user_data, free_fn));
    guard(error, move || {
        let hook = |function: stent_thread_fn| {
            let context = Arc::clone(&context);
            Box::new(move || {
                if let Some(function) = function {
                    // SAFETY: function and context belong together, and the header says on which threads it is called.
                    threads::callback(|| unsafe { function(context.user_data()) });
                }
            })
        };
        own::set_hooks(own::Hooks { start: hook(start), stop: hook(stop) })
            .map(drop)
            .map_err(|_hooks| runtime::too_late("stent_configure_threads"))
    })
}

/// Hands the library's log to `handler` from now on, instead of the one before; with NULL, to nobody. There is no log
/// without one: the library writes to no file and no stream of yours. There is one such handler in a process: a library
/// that uses Stent beside others sets one for each executor (stent_executor_set_log_handler). options: {"level": "info"} is the least that is
/// wanted, of "error", "warn", "info" and "debug".
///
/// The handler is called on a thread of its own, one line at a time, and may call any function but those that wait
/// for callbacks. `free_fn` gets `user_data` after the handler's last call, when another one has taken its place, or
/// before this returns if it fails. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_set_log_handler(
    options: *const c_char,
    handler: stent_log_fn,
    user_data: *mut c_void,
    free_fn: stent_free_fn,
    error: *mut *mut stent_error,
) -> stent_status {
    let context = OwnedContext::new(user_data, free_fn);
    guard(error, move || {
        // SAFETY: text or NULL, by the header's convention.
        let options = unsafe { optional(options, "options") }?;
        let options = codec::options::log(options)?;
        logging::PROCESS.set(handler, options.level, context)
    })
}

/// Drains and stops every worker of the process, closes every backend, and waits until every freed `user_data` has
/// been given back and every log line handed over, by log handlers that were replaced or removed too; call it before the
/// process ends. It ends what others in the process made, too: a library that uses Stent beside others calls
/// stent_backend_shutdown for each of its backends instead. Workers stop as by
/// stent_worker_stop, all at once, within `timeout_ms` (negative: as long as it takes). Handles made before are still
/// to be freed and answer STENT_E_CLOSED; new ones may be made.
///
/// Any thread but the library's own. STENT_E_TIMEOUT: handlers were still running; what they do is lost to them, and
/// other workers take their tasks over. Or a store did not answer: it has two seconds more to take leases back, and one to
/// close. STENT_E_WRONG_THREAD: called in a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_shutdown(timeout_ms: i64, error: *mut *mut stent_error) -> stent_status {
    guard(error, || {
        threads::refuse_in_callbacks("stent_shutdown")?;
        shut_down(None, timeout_ms)
    })
}

/// Stops the workers of a store, closes it, and hands over what belongs to it; without one, of the whole process.
pub(super) fn shut_down(only: Option<&Arc<Store>>, timeout_ms: i64) -> Result<()> {
    let timeout = runtime::limit(timeout_ms);
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let stopped = registry::stop(only, timeout);
    // Before the log, which it may have something to say to.
    tracing::flush(only.map(|store| store.number()), left());
    let flushed = background::flush(left()) && logging::flush(only.map(|store| store.number()), left());
    stopped?;
    if flushed {
        return Ok(());
    }
    Err(Error::new(Status::Timeout, "shut down: a free_fn or a log handler has not returned within the time"))
}

/// Frees a text that a function gave by a `char **`. NULL is nothing. Any thread, in a forked child too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_free(pointer: *mut c_void) {
    // SAFETY: such texts come from malloc, and the caller has not freed this one before.
    unsafe { libc::free(pointer) }
}
