//! stent.h: durable executions and the workers that run them, for any language that can call C.
//!
//! This file is generated from the sources in src/ffi. The conventions, once for all functions:
//!
//! LIFE. Open a backend, make an executor on it, register the functions that this process has code for, start a
//! worker; dispatch executions, here or in any other process on the same store. At the end stop the workers, or call
//! stent_shutdown for all of it, and free the handles.
//!
//! STATUS. Every call that can fail returns a stent_status: 0 is success, negative is failure, STENT_PENDING and
//! STENT_SUSPEND are neither. The last parameter, `error`, may be NULL; else it is written on every path: NULL, or,
//! with a negative status, an error that the caller frees with stent_error_free. Other outputs are written on success
//! only. An output that gives text or a number may be NULL, when the caller has no use for it; one that gives a
//! handle may not. Beside those that a function names, any function may return STENT_E_INVALID (NULL where something
//! is needed, text that is not UTF-8, JSON that is not JSON, an option that nobody knows, a handle that is not
//! alive), STENT_E_CLOSED (the backend was closed, or everything shut down), STENT_E_BACKEND (the store: busy,
//! unreachable, corrupt, full), STENT_E_FORKED and STENT_E_PANIC (a defect of the library, caught at the border).
//!
//! TEXT is NUL-terminated UTF-8, and JSON where it is data. Text that goes in is copied before the call returns. Text
//! that comes out by a `char **` belongs to the caller, who frees it with stent_free; a `const char *` that is
//! returned belongs to the library or to the handle it was asked of, and is not freed.
//!
//! JSON. Arguments are an array (NULL: no arguments), results and signals any JSON value, kept as it was written.
//! Bytes stand as {"$base64": "..."}, at any depth, and come out as bytes, whatever they spell; what is not base64 there
//! is refused. An object that only looks so ({"$base64": "text"}, or one of these in a "$base64") is written with one
//! such key more around it, and read with one less. A failure is {"type", "message", "code", "retryable", "details",
//! "stack"}, of which "type" must be there; half a character in its text is read as U+FFFD, and not refused. Times are
//! RFC 3339 in UTC; durations are numbers of seconds or text such as "1h30m". Options are objects, NULL for none, and checked
//! strictly: the error for an unknown key names the known ones. stent_describe() lists every option with its type and
//! default, as docs/options.md does for people; stent.json has the signatures of all functions, stent.cdef their
//! declarations for FFIs that read C but no preprocessor's directives.
//!
//! LENGTHS. Beside the functions through which payloads pass stands one whose name ends with _n, which takes text with its
//! length (bytes; no NUL is needed behind them, and NULL is none, whatever the length), or gives it. A payload may have
//! STENT_PAYLOAD_MAX bytes: a host that knows its lengths needs no copy to put a NUL behind, and nobody counts them.
//!
//! TIME. What is written down, and holds across crashes and machines, is a duration as JSON has it (a sleep, a time-out,
//! a lease): a number of seconds, or text. How long one thread waits in one call, here and now, is an integer of
//! milliseconds (timeout_ms, hold_ms), as in poll(): it is nobody else's business, and made without a text.
//!
//! HANDLES are opaque and may be freed in any order: a worker keeps its executor alive, an executor its backend.
//! Freeing NULL is nothing; freeing never blocks. A handle that was freed is refused with STENT_E_INVALID, as long as
//! its place in the library's table has not come round again; don't rely on it.
//!
//! THREADS. Any function may be called on any thread, several at once, unless it says otherwise. Handlers run on
//! threads of the library made for them: they may block, and may call any function, except those that wait for
//! handlers to end (STENT_E_WRONG_THREAD). Such a thread is not the host's: attach it to your runtime if that must
//! be (stent_configure_threads). It has 1 MiB of stack (stent_configure); the other threads that call the host's
//! functions have 2 MiB.
//!
//! CANCELLATION. A call is no cancellation point: a thread that gets pthread_cancel in it goes on to the call's end, and
//! is cancelled by what follows. What blocks without a time-out can't be cancelled, so give it one, or end what it waits
//! for. Asynchronous cancellation must be off in calls, and threads of the library, handlers' too, must not be cancelled.
//!
//! MEMORY. A text for the caller that malloc has no room for is STENT_E_BACKEND, and so is SQLite's want of memory. When the
//! library's own memory can't be had the process ends by SIGABRT, with a line on its standard error, as a program of
//! C++ does; what was committed before is in the store, and leases run out as after any crash.
//!
//! STACK. A call needs at most 64 KiB of the caller's stack, what it calls back on the same thread aside; on PostgreSQL, where
//! any call may have to connect, also by TLS, at most 512 KiB.
//!
//! SIGNALS. Every thread of the library, handlers' too, blocks all signals but those of faults in its own code (SIGSEGV,
//! SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS): the host's signals arrive on the host's threads. A child that is
//! forked on such a thread has the mask back that the host's first calling thread had; one that is made there by
//! posix_spawn, system or vfork inherits the blocked one: give it a mask (POSIX_SPAWN_SETSIGMASK), or unblock in a
//! start hook what it must get.
//!
//! AT EXIT. Calls work to the end of the process: in what atexit has registered, in destructors of C++ statics and
//! thread-locals, and of pthread keys. There, and where a new thread can't be made any more, they may answer
//! STENT_E_CLOSED. Nothing is ever printed, but for the want of memory: a defect of the library is STENT_E_PANIC, and a line of the log.
//!
//! HOSTING. A worker runs handlers in one of three ways: it calls them back (stent_handler_fn); the handler returns
//! STENT_PENDING and ends its task later, from any thread; or nothing is called back, and a host with an event loop
//! takes tasks from a poller (see stent_poller_new). Their records are alike.
//!
//! CALLBACKS get `user_data` first. A `free_fn` (NULL: none) is called exactly once with it, when the library needs
//! it no more, or before the call returns if that fails. A handler must not throw and must not longjmp: an exception
//! that reaches the library ends the process.
//!
//! FORK. In a child forked after the first handle was made every call returns STENT_E_FORKED, and freeing does
//! nothing. The library installs no signal handlers, never exits, and stays loaded after dlclose.
//!
//! VERSIONS. What is in this header stays as it is, and more comes, for as long as the number in the library's name
//! (STENT_ABI_VERSION) stays the same. The symbols carry no versions of their own: a version at a symbol tells two
//! functions of one name apart, and there never are two. A program that was linked with a newer library than it finds is
//! refused by the loader, with the name of the function that is missing; one that loads the library by itself looks for
//! it by dlsym, or compares stent_version with STENT_VERSION_STRING.
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#![allow(clippy::missing_safety_doc, reason = "the header's conventions and each comment are the contract")]
#![allow(non_camel_case_types, reason = "the names are C's")]

pub mod backend;
pub mod custom;
pub mod error;
pub mod executor;
pub mod library;
mod plumbing;
pub mod poller;
pub mod sqlite;
pub mod task;
mod types;
pub mod worker;

pub use types::*;
