//! The first beat of every export: nothing of ours crosses the border but a status and an error.
//!
//! A thread that is at its end, whose locals are gone, has another one do its calls and waits for it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::cancellation::Uncancelled;
use super::error;
use super::handles::{self, Object};
use super::{fork, locals, panics, text, threads};
use crate::ffi::{stent_error, stent_status};
use crate::model::{Error, Result, Status};
use crate::threads as own;

/// Runs the body of an export. `error` is written on every path: NULL, or what went wrong. Statuses that are not
/// negative make no error: a handler returns a suspension at once, and must not have to free anything first.
pub fn guard(error: *mut *mut stent_error, body: impl FnOnce() -> Result<()>) -> stent_status {
    let result = match fork::check() {
        Ok(()) => caught(body).unwrap_or_else(Err),
        Err(forked) => Err(forked),
    };
    let (status, handle) = match result {
        Ok(()) => (Status::Ok.code(), std::ptr::null_mut()),
        Err(why) if error.is_null() || why.status().code() >= 0 => (why.status().code(), std::ptr::null_mut()),
        Err(why) => (why.status().code(), error::to_handle(why)),
    };
    // SAFETY: exports alone call this, and their contract is that `error` is NULL or writable.
    unsafe { text::write(error, handle) };
    status
}

/// For exports that give a value and no status: what they give instead when they can't.
pub fn value<T>(instead: T, body: impl FnOnce() -> Option<T>) -> T {
    if fork::is_child() {
        return instead;
    }
    caught(body).ok().flatten().unwrap_or(instead)
}

/// Gives a reference back.
pub fn free<T: Object>(handle: *mut T::Opaque) {
    value((), || {
        handles::release::<T>(handle);
        Some(())
    });
}

/// Runs the body on this thread, for what needs none of the library's: in a forked child, too.
pub fn contained<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    panics::quiet();
    let _uncancelled = Uncancelled::new();
    own::inside(|| catch_unwind(AssertUnwindSafe(body))).unwrap_or_else(|panic| Err(from_panic(panic.as_ref())))
}

/// Runs the body, here or where it can run; what kept it from its end.
fn caught<T>(body: impl FnOnce() -> T) -> Result<T> {
    let (mut body, mut value) = (Some(body), None);
    protected(&mut || value = body.take().map(|body| body()))?;
    value.ok_or_else(|| Error::closed("the call was not made"))
}

/// Compiled once, and not for each of the exports.
fn protected(body: &mut dyn FnMut()) -> Result<()> {
    panics::quiet();
    let _uncancelled = Uncancelled::new();
    let mut run = || own::inside(|| catch_unwind(AssertUnwindSafe(&mut *body)));
    let outcome = if locals::are_alive() {
        run()
    } else {
        let kind = threads::current();
        let mut outcome = Ok(());
        own::elsewhere(&mut || outcome = threads::acting_as(kind, &mut run))
            .map_err(|why| {
                Error::closed(format!("this thread is at its end, and no other one could be made for the call: {why}"))
            })?
            .and(outcome)
    };
    outcome.map_err(|panic| from_panic(panic.as_ref()))
}

fn from_panic(panic: &(dyn Any + Send)) -> Error {
    Error::new(Status::Panic, format!("a defect of Stent, please report it: {}", own::said(panic)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::error;

    #[test]
    fn a_panic_is_a_status() {
        let mut handle = std::ptr::null_mut();
        let status = guard(&raw mut handle, || panic!("oops"));
        assert_eq!(status, Status::Panic.code());
        assert!(error::message(handle).contains("oops"));
        error::stent_error_free(handle);
    }

    #[test]
    fn a_suspension_makes_no_error_to_free() {
        let mut handle = std::ptr::dangling_mut();
        let status = guard(&raw mut handle, || Err(Error::new(Status::Suspend, "later")));
        assert_eq!(status, Status::Suspend.code());
        assert!(handle.is_null());
    }
}
