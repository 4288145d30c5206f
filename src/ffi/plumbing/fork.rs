//! Fork: a forked child gets an error instead of a hang. The runtime's threads don't exist there, and locks may be held
//! for ever by threads that don't exist either.

use std::ffi::CStr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::{Error, Result, Status};
use crate::threads;

static CHILD: AtomicBool = AtomicBool::new(false);
static ARMED: Once = Once::new();

macro_rules! message {
    () => {
        "this process was forked from one that was using Stent, whose threads were not copied; use the library in the \
         parent, or fork before its first handle is made, or exec"
    };
}

pub const MESSAGE: &str = message!();
/// The same with a NUL, for an error that must not need memory or locks.
pub const MESSAGE_C: &CStr = end(concat!(message!(), "\0"));
/// As `codec::error_json` would write it; a test compares.
pub const JSON_C: &CStr = end(concat!(
    r#"{"status":"FORKED","code":-13,"message":""#,
    message!(),
    r#"","retryable":false,"details":{},"failure":null}"#,
    "\0"
));

const fn end(text: &str) -> &CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("one NUL, at the end"),
    }
}

extern "C" fn in_child() {
    CHILD.store(true, Ordering::Relaxed);
    threads::in_child();
}

/// From here on a fork is noticed. Called before the first thread or handle is made: a process that only loaded the
/// library may fork and use it in the child.
pub fn arm() {
    ARMED.call_once(|| {
        // SAFETY: the handler stores to a static and sets a signal mask, which is allowed between fork and exec; the library is linked
        // with `nodelete`, so the handler outlives a dlclose. Failure means no memory: then forks go unnoticed.
        let _unnoticed = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

pub fn is_child() -> bool {
    CHILD.load(Ordering::Relaxed)
}

pub fn check() -> Result<()> {
    if is_child() { Err(Error::new(Status::Forked, MESSAGE)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prepared_error_is_what_would_be_made() {
        let error = Error::new(Status::Forked, MESSAGE);
        assert_eq!(JSON_C.to_str().unwrap(), crate::codec::error_json(&error));
        assert_eq!(MESSAGE_C.to_str().unwrap(), MESSAGE);
    }
}
