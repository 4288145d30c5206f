//! `pthread_cancel`: a thread that is cancelled in the middle of a call would unwind through code that does not expect it,
//! with locks held. So a call is not a place where a thread ends; what comes after it is.

use std::ffi::c_int;
use std::ptr;

/// As in pthread.h of glibc and musl.
const PTHREAD_CANCEL_DISABLE: c_int = 1;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

/// While it lives this thread is not cancelled.
pub struct Uncancelled {
    before: c_int,
}

impl Uncancelled {
    pub fn new() -> Self {
        let mut before = PTHREAD_CANCEL_DISABLE;
        // SAFETY: a state that exists, and a place for the one before; it can't fail.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut before) };
        Self { before }
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        // SAFETY: the state that was there before.
        unsafe { pthread_setcancelstate(self.before, ptr::null_mut()) };
    }
}
