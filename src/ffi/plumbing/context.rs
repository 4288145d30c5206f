//! The host's `user_data`, which is given back by its `free_fn` exactly once.

use std::ffi::c_void;

use super::{background, threads};
use crate::ffi::stent_free_fn;

/// Made before anything can fail, so that every path gives the context back.
pub struct OwnedContext {
    user_data: *mut c_void,
    free_fn: stent_free_fn,
}

// SAFETY: the header says that handlers and free_fn are called on threads of the library, several at a time: the host
// gives us only what may travel.
unsafe impl Send for OwnedContext {}
// SAFETY: as above; we never read what is behind the pointer.
unsafe impl Sync for OwnedContext {}

impl OwnedContext {
    pub fn new(user_data: *mut c_void, free_fn: stent_free_fn) -> Self {
        Self { user_data, free_fn }
    }

    pub fn user_data(&self) -> *mut c_void {
        self.user_data
    }
}

impl Drop for OwnedContext {
    fn drop(&mut self) {
        let Some(free_fn) = self.free_fn.take() else { return };
        let rest = Self { user_data: self.user_data, free_fn: None };
        let free = move || {
            let context = rest;
            // SAFETY: the host gave the two as a pair, and the option was taken: this is the one call.
            unsafe { free_fn(context.user_data) }
        };
        match threads::current() {
            // None of the host's code runs on the runtime's threads.
            threads::Kind::Runtime => background::later(free),
            threads::Kind::Host | threads::Kind::Callback => free(),
        }
    }
}
