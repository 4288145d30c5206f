//! Errors: what went wrong with a call.

use std::ffi::{CStr, CString, c_char};

use super::plumbing::error::ErrorObject;
use super::plumbing::{fork, guard, handles, text};
use super::{stent_error, stent_status};
use crate::codec;
use crate::model::Status;

/// The text of one error, for as long as its handle lives.
fn text_of(error: *const stent_error, forked: &'static CStr, read: impl Fn(&ErrorObject) -> &CStr) -> *const c_char {
    if fork::is_child() {
        return forked.as_ptr();
    }
    guard::value(c"".as_ptr(), || handles::peek::<ErrorObject>(error).map(|object| read(&object).as_ptr()))
}

/// The name of a status without its prefix, such as "NOT_FOUND"; "UNKNOWN" for a number that is no status. The text
/// is static: don't free it. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_status_name(status: stent_status) -> *const c_char {
    let name = match Status::from_code(status) {
        Some(Status::Ok) => c"OK",
        Some(Status::Pending) => c"PENDING",
        Some(Status::Suspend) => c"SUSPEND",
        Some(Status::Invalid) => c"INVALID",
        Some(Status::NotFound) => c"NOT_FOUND",
        Some(Status::Conflict) => c"CONFLICT",
        Some(Status::Timeout) => c"TIMEOUT",
        Some(Status::Cancelled) => c"CANCELLED",
        Some(Status::Closed) => c"CLOSED",
        Some(Status::LeaseLost) => c"LEASE_LOST",
        Some(Status::Nondeterminism) => c"NONDETERMINISM",
        Some(Status::Failed) => c"FAILED",
        Some(Status::Backend) => c"BACKEND",
        Some(Status::Unsupported) => c"UNSUPPORTED",
        Some(Status::WrongThread) => c"WRONG_THREAD",
        Some(Status::Forked) => c"FORKED",
        Some(Status::Panic) => c"PANIC",
        None => c"UNKNOWN",
    };
    name.as_ptr()
}

/// The status that the failed call returned; STENT_OK for NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_error_status(error: *const stent_error) -> stent_status {
    if error.is_null() {
        return Status::Ok.code();
    }
    if fork::is_child() {
        return Status::Forked.code();
    }
    let read = || handles::peek::<ErrorObject>(error).map(|object| object.error.status().code());
    guard::value(Status::Invalid.code(), read)
}

/// What was being done and what was wrong, for people; "" for NULL. The text belongs to the error and lives until
/// stent_error_free. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_error_message(error: *const stent_error) -> *const c_char {
    text_of(error, fork::MESSAGE_C, |object| &object.message)
}

/// The whole error as a JSON object: "status" (its name), "code", "message", "retryable" (the same call may succeed
/// later without a change by the caller), "details" (facts for programs, such as the option that was unknown and
/// those that are known) and "failure" (for STENT_E_FAILED that of the child or execution, else null); "" for NULL.
/// The text belongs to the error and lives until stent_error_free. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_error_json(error: *const stent_error) -> *const c_char {
    text_of(error, fork::JSON_C, |object| object.json.get_or_init(|| text::owned(&codec::error_json(&object.error))))
}

/// 1 when the same call may succeed later without a change by the caller; else, and for NULL, 0. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_error_retryable(error: *const stent_error) -> i32 {
    guard::value(0, || handles::peek::<ErrorObject>(error).map(|object| i32::from(object.error.is_retryable())))
}

/// Of STENT_E_FAILED the type of what failed, the child or the execution, such as "OutOfStock"; NULL for other errors and
/// for NULL. The text belongs to the error and lives until stent_error_free. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_error_failure_type(error: *const stent_error) -> *const c_char {
    failure_of(error, |(kind, _)| kind)
}

/// Of STENT_E_FAILED the message of what failed, as stent_error_failure_type. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_error_failure_message(error: *const stent_error) -> *const c_char {
    failure_of(error, |(_, message)| message)
}

fn failure_of(error: *const stent_error, choose: impl Fn(&(CString, CString)) -> &CString) -> *const c_char {
    guard::value(std::ptr::null(), || {
        let object = handles::peek::<ErrorObject>(error)?;
        let failure = object.failure.get_or_init(|| {
            object.error.failure().map(|failure| (text::owned(&failure.kind), text::owned(&failure.message)))
        });
        failure.as_ref().map(|texts| choose(texts).as_ptr())
    })
}

/// Frees an error. NULL is nothing. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_error_free(error: *mut stent_error) {
    guard::free::<ErrorObject>(error);
}

#[cfg(test)]
pub(super) fn message(error: *const stent_error) -> String {
    // SAFETY: the message of a live error is NUL-terminated.
    unsafe { CStr::from_ptr(stent_error_message(error)) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two lists must agree: the names here end with a NUL, those of the model don't.
    #[test]
    fn names_are_the_models() {
        for status in Status::ALL {
            // SAFETY: a static text.
            let name = unsafe { CStr::from_ptr(stent_status_name(status.code())) };
            assert_eq!(name.to_str().unwrap(), status.name());
        }
    }
}
