//! Stores that a program implements itself.

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use stent_sys as sys;

use crate::call::{borrowed, json, text};
use crate::error::{Error, Result, Status};
use crate::library::{give_back, owned};
use crate::options::CustomOptions;
use crate::store::Store;

/// A store of your own; `docs/writing-a-backend.md` says what each operation must do. Is called on threads of the library that
/// may block, several at once.
pub trait CustomStore: Send + Sync + 'static {
    /// The operations that it answers, of the protocol's and the engine's; none: the protocol's.
    fn operations(&self) -> Option<Vec<String>> {
        None
    }

    /// Answers an operation: request and answer are JSON. What exists already is [`Status::Conflict`], what is not there
    /// [`Status::NotFound`], trouble [`Status::Backend`], each with a sentence for people.
    fn answer(&self, operation: &str, request: &str) -> std::result::Result<String, (Status, String)>;
}

type Custom = Box<dyn CustomStore>;

impl Store {
    /// A store that answers by `store`.
    pub fn custom(store: impl CustomStore, options: &CustomOptions) -> Result<Self> {
        let (names, options) = (store.operations().map(|names| json(&names)).transpose()?, json(options)?);
        let operations = names.as_ref().map_or(ptr::null(), |names| names.as_ptr());
        let size = size_of::<sys::stent_backend_vtable>();
        let table =
            sys::stent_backend_vtable { struct_size: size, call: Some(on_call), operations, options: options.as_ptr() };
        let store: Custom = Box::new(store);
        // SAFETY: table and texts live for the call; the library gives the store back to `give_back` once.
        Self::made(|made, why| unsafe {
            sys::stent_backend_custom(&table, owned(store), Some(give_back::<Custom>), made, why)
        })
    }
}

unsafe extern "C" fn on_call(
    store: *mut c_void,
    operation: *const c_char,
    request: *const c_char,
    reply: *mut sys::stent_reply,
) {
    // SAFETY: it is the box that was handed over, which lives until it is given back; the texts live for the call.
    let (store, operation, request) = unsafe { (&*store.cast::<Custom>(), borrowed(operation), borrowed(request)) };
    let panicked = |_| Err((Status::Backend, format!("the store panicked in {operation}")));
    let answer = catch_unwind(AssertUnwindSafe(|| store.answer(&operation, &request))).unwrap_or_else(panicked);
    let nul = |error: Error| (Status::Backend, error.message().to_owned());
    // SAFETY: the reply is answered once, and the texts live for the call.
    match answer.and_then(|answer| text(&answer).map_err(nul)) {
        Ok(answer) => unsafe { sys::stent_reply_ok(reply, answer.as_ptr()) },
        Err((status, message)) => {
            let message = text(&message.replace('\0', "\\0")).unwrap_or_default();
            unsafe { sys::stent_reply_error(reply, status.code(), message.as_ptr(), ptr::null()) }
        }
    }
}
