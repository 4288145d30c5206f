//! Backends that the host implements itself, and the suite that checks any backend.

use std::collections::HashSet;
use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::backend::{BackendObject, stent_backend};
use super::plumbing::context::OwnedContext;
use super::plumbing::handles::{self, Object, Table};
use super::plumbing::{
    block_on, borrow, counted, guard, logging, optional, required, runtime, text as texts, threads, write, write_text,
};
use super::{stent_error, stent_free_fn, stent_status};
use crate::backend::SharedBackend;
use crate::backend::custom::{Answerer, Custom, Reply};
use crate::check::check;
use crate::codec;
use crate::executor::{LogRecord, Logger as _};
use crate::model::{Error, Level, Result, Status};

/// The answer to one call of a custom backend's function, to be given once: by stent_reply_ok or stent_reply_error.
pub struct stent_reply {
    _opaque: [u8; 0],
}

/// A custom backend's function: is given an operation ("get_task") and its request (a JSON object), and answers once
/// by stent_reply_ok or stent_reply_error: before it returns, or later, on any thread. The texts live until it
/// returns; `reply` until it is answered. docs/writing-a-backend.md says what each operation must do, and
/// stent_describe lists them with their fields.
///
/// Called on threads of the library that may block, several at once; it may call any function of this header, but
/// those that wait for callbacks.
pub type stent_backend_call_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        operation: *const c_char,
        request: *const c_char,
        reply: *mut stent_reply,
    ),
>;

/// What a custom backend is made of.
#[repr(C)]
pub struct stent_backend_vtable {
    /// sizeof(stent_backend_vtable): it may grow at its end.
    pub struct_size: usize,
    /// The function.
    pub call: stent_backend_call_fn,
    /// A JSON array of the names of those operations that it answers. NULL: the protocol's, without the engine's.
    pub operations: *const c_char,
    /// {"timeout": "30s"}, the time that an answer may take. NULL: that.
    pub options: *const c_char,
}

/// Bytes. A later header may have a longer table, but one longer than this is no table.
const VTABLE_MAX: usize = 4096;

type CallFn = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char, *mut stent_reply);

struct ReplyObject {
    /// std Mutex: never held across an answer.
    reply: Mutex<Option<Reply>>,
    /// The handles of its backend that are not answered yet.
    open: Arc<Mutex<HashSet<usize>>>,
}

static REPLIES: Table<ReplyObject> = Table::new();

impl Object for ReplyObject {
    type Opaque = stent_reply;
    const NAME: &'static str = "reply";
    const ORIGIN: &'static str = "each call of a custom backend's function has one";

    fn table() -> &'static Table<Self> {
        &REPLIES
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host's function and its context, which is freed with the last of those who may still call it.
struct Function {
    call: CallFn,
    context: OwnedContext,
    open: Arc<Mutex<HashSet<usize>>>,
}

impl Answerer for Function {
    fn ask(&self, operation: &str, request: &str, reply: Reply) {
        let (operation, request) = (texts::owned(operation), texts::owned(request));
        let object = ReplyObject { reply: Mutex::new(Some(reply)), open: Arc::clone(&self.open) };
        let handle = match handles::give(object) {
            Ok(handle) => handle,
            // The reply is dropped, which tells the caller.
            Err(why) => return self.complain(why.message()),
        };
        lock(&self.open).insert(handle.addr());
        // SAFETY: function and context belong together; the texts live until the call returns.
        threads::callback(|| unsafe {
            (self.call)(self.context.user_data(), operation.as_ptr(), request.as_ptr(), handle);
        });
    }

    fn complain(&self, message: &str) {
        complain(message);
    }
}

/// Replies that were never answered are let go: from here on they are no live handles.
impl Drop for Function {
    fn drop(&mut self) {
        for handle in lock(&self.open).drain() {
            handles::release::<ReplyObject>(std::ptr::without_provenance_mut(handle));
        }
    }
}

fn complain(message: &str) {
    logging::ToHost.log(Level::Error, &LogRecord::new("stent.backend", message));
}

/// Makes a backend of your own: one function that stores everything. `vtable` is read before this returns. A function
/// that answers the protocol's operations alone will do: executors, workers and workflows run on it, with weaker
/// guarantees (docs/writing-a-backend.md names them); one that answers the engine's operations as well ("advance",
/// "journals" and the others) has every guarantee of the stores of this library.
///
/// A call that is not answered within the time fails with STENT_E_TIMEOUT; an answer that is no JSON, or breaks the
/// contract, with STENT_E_BACKEND, and the call's error and the log say what was wrong. A second answer, or one that
/// comes too late, is told in the log and does nothing.
///
/// `free_fn` gets `user_data` once, when no call runs any more and the backend was freed, or before this returns if it
/// fails. `*backend` is the caller's, to be freed by stent_backend_free. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_backend_custom(
    vtable: *const stent_backend_vtable,
    user_data: *mut c_void,
    free_fn: stent_free_fn,
    backend: *mut *mut stent_backend,
    error: *mut *mut stent_error,
) -> stent_status {
    let context = OwnedContext::new(user_data, free_fn);
    guard(error, move || {
        required(vtable.cast_mut(), "vtable")?;
        required(backend, "backend")?;
        // SAFETY: not NULL, and a vtable by the header's convention; its first member is its size.
        let size = unsafe { vtable.cast::<usize>().read() };
        if !(size_of::<stent_backend_vtable>()..=VTABLE_MAX).contains(&size) {
            return Err(Error::invalid(format!(
                "vtable.struct_size is {size}; set it to sizeof(stent_backend_vtable), which is {}",
                size_of::<stent_backend_vtable>()
            ))
            .with("parameter", "vtable"));
        }
        // SAFETY: as above, and as long as it says.
        let vtable = unsafe { &*vtable };
        let call = vtable.call.ok_or_else(|| texts::null("vtable.call"))?;
        // SAFETY: text or NULL, by the header's convention.
        let (operations, options) =
            unsafe { (optional(vtable.operations, "vtable.operations")?, optional(vtable.options, "vtable.options")?) };
        let operations: Option<Vec<String>> =
            operations.map(|names| codec::from_json("vtable.operations", names)).transpose()?;
        let options = codec::options::custom(options)?;
        runtime::handle()?;
        let function = Arc::new(Function { call, context, open: Arc::default() });
        let store = block_on(async { Custom::open(function, operations.as_deref(), &options) })?;
        let handle = BackendObject::give(store as SharedBackend)?;
        // SAFETY: writable, by the header's convention.
        unsafe { write(backend, handle) };
        Ok(())
    })
}

/// Runs the conformance suite against a store: any store, by the same door as everything else, with several claimers at
/// once. options: {"only": ["records", "claiming/the_order"], "timeout": "60s"} (see stent_describe). `*report` is a
/// JSON object, to be freed with stent_free: "level" ("engine", or "protocol" for a store that does not answer the
/// engine's operations), "passed", "failed" and "not_offered" (numbers), "given_up" (guarantees that a store of this
/// level does not have), and "cases", each with its "name", "outcome" ("passed", "failed", "not_offered"), "seconds"
/// and, of a failed one, "expected", "got" and "place".
///
/// The status says that the suite was run; the report, what came of it. Use a store of its own, on which no worker
/// runs: whatever has ended in it is cleaned away, and the suite leaves ended executions and dead letters behind. Any
/// thread that may block.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_backend_check(
    backend: *mut stent_backend,
    options: *const c_char,
    report: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let backend = borrow::<BackendObject>(backend)?;
        required(report, "report")?;
        // SAFETY: text or NULL, by the header's convention.
        let options = unsafe { optional(options, "options") }?;
        let options = codec::options::check(options)?;
        let store = Arc::clone(backend.store());
        let checked = Arc::clone(store.backend()?);
        let told = runtime::away_in_place(move || async move { store.unless_closed(check(checked, &options)).await })?;
        // SAFETY: writable, by the header's convention.
        unsafe { write_text(report, &codec::to_json(&told)) }
    })
}

/// Answers a call of a custom backend's function with what was asked for: JSON, NULL for null. The text is copied.
/// Once for each reply; a second answer is told in the log. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_reply_ok(reply: *mut stent_reply, response: *const c_char) {
    answer(reply, "stent_reply_ok", || {
        // SAFETY: text or NULL, by the header's convention.
        let text = unsafe { optional(response, "response") }.map_err(|why| no_answer("stent_reply_ok", &why))?;
        Ok(text.unwrap_or("null").to_owned())
    });
}

/// As stent_reply_ok; the response needs no NUL at its end. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_reply_ok_n(reply: *mut stent_reply, response: *const c_char, response_length: usize) {
    answer(reply, "stent_reply_ok_n", || {
        // SAFETY: NULL or of that length, by the header's convention.
        let text = unsafe { counted(response, response_length, "response") };
        let text = text.map_err(|why| no_answer("stent_reply_ok_n", &why))?;
        Ok(text.unwrap_or("null").to_owned())
    });
}

/// Answers a call of a custom backend's function with a failure: STENT_E_CONFLICT for what exists already,
/// STENT_E_NOT_FOUND, STENT_E_BACKEND for a store that is in trouble. What is the library's to say (STENT_E_PANIC,
/// STENT_E_FORKED, STENT_E_WRONG_THREAD, STENT_E_NONDETERMINISM, STENT_E_FAILED) arrives as STENT_E_BACKEND. message: a sentence for people (NULL: none).
/// details: a JSON object or NULL; its member "retryable" says whether the same call may succeed later, which else
/// only STENT_E_BACKEND and STENT_E_TIMEOUT say. Once for each reply. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_reply_error(
    reply: *mut stent_reply,
    status: stent_status,
    message: *const c_char,
    details: *const c_char,
) {
    answer(reply, "stent_reply_error", || {
        // SAFETY: text or NULL, by the header's convention.
        let texts = unsafe { optional(message, "message").and_then(|text| Ok((text, optional(details, "details")?))) };
        let error = texts.and_then(|(message, details)| told(status, message, details));
        Err(error.unwrap_or_else(|why| no_answer("stent_reply_error", &why)))
    });
}

/// What the function said can't be handed on: told to the log, and to the caller as the backend's trouble.
fn no_answer(function: &str, why: &Error) -> Error {
    let message = format!("{function}: {}", why.message());
    complain(&message);
    Error::backend(message)
}

fn told(status: stent_status, message: Option<&str>, details: Option<&str>) -> Result<Error> {
    let known = Status::from_code(status).filter(|status| status.code() < 0);
    let known = known
        .ok_or_else(|| Error::invalid(format!("the status {status} is none of the header's failures (STENT_E_…)")))?;
    if !known.is_a_stores() {
        let said = message.map_or_else(String::new, |message| format!(" (it said: {message})"));
        let name = known.name();
        return Err(Error::invalid(format!("STENT_E_{name} is the library's to say, and not a store's{said}")));
    }
    let status = known;
    let usual = matches!(status, Status::Backend | Status::Timeout);
    let mut error = Error::new(status, message.unwrap_or("the custom backend gave no reason")).retryable(usual);
    if let Some(details) = details {
        error = error.retryable(codec::is_retryable(details)?.unwrap_or(usual)).with("store", details);
    }
    Ok(error)
}

fn answer(reply: *mut stent_reply, function: &str, read: impl FnOnce() -> Result<String>) {
    guard::value((), || {
        let object = handles::peek::<ReplyObject>(reply);
        let taken = object.as_ref().and_then(|object| lock(&object.reply).take());
        let (Some(object), Some(taken)) = (object, taken) else {
            complain(&format!(
                "{function}: this reply was answered already, or its backend is gone, or it never was one; each call \
                 of a custom backend's function is answered once"
            ));
            return Some(());
        };
        lock(&object.open).remove(&reply.addr());
        handles::release::<ReplyObject>(reply);
        let operation = taken.operation().to_owned();
        if !taken.answer(read()) {
            complain(&format!("{function}: the answer to {operation} came after the time was up, or after the close"));
        }
        Some(())
    });
}
