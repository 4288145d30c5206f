//! How a function of the C API is called: text in, text out, and an error of what it answers.

use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stent_sys as sys;

use crate::error::{Error, Result, Status};
use crate::finite::Finite;

/// A text for C.
pub(crate) fn text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::invalid("a text with a NUL character can't be handed to the library"))
}

/// A value as JSON for C.
pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> Result<CString> {
    text(&encode(value)?)
}

pub(crate) fn encode(value: &(impl Serialize + ?Sized)) -> Result<String> {
    serde_json::to_string(&Finite(value))
        .map_err(|why| Error::invalid(&format!("the value can't be written as JSON: {why}")))
}

pub(crate) fn decode<R: DeserializeOwned>(text: &str) -> Result<R> {
    serde_json::from_str(text)
        .map_err(|why| Error::invalid(&format!("what came can't be read as what is wanted: {why}: {text:.200}")))
}

/// Makes a call: its status, which is not negative.
pub(crate) fn call(make: impl FnOnce(*mut *mut sys::stent_error) -> sys::stent_status) -> Result<sys::stent_status> {
    let mut why = std::ptr::null_mut();
    let status = make(&mut why);
    if status >= 0 {
        return Ok(status);
    }
    // SAFETY: a failed call has written its error, which is ours, and whose text lives as long.
    let error = unsafe { Error::read(Status::from_code(status), &borrowed(sys::stent_error_json(why))) };
    // SAFETY: as above; it is freed once.
    unsafe { sys::stent_error_free(why) };
    Err(error)
}

/// Makes a call that gives a text.
pub(crate) fn ask(
    make: impl FnOnce(*mut *mut c_char, *mut *mut sys::stent_error) -> sys::stent_status,
) -> Result<String> {
    let mut out = std::ptr::null_mut();
    call(|why| make(&mut out, why))?;
    // SAFETY: what was written is a text of ours; nothing is written with another status than success.
    let said = unsafe { borrowed(out) };
    // SAFETY: as above; it is freed once, and NULL is nothing.
    unsafe { sys::stent_free(out.cast()) };
    Ok(said)
}

/// A copy of a text that belongs to the library; "" for NULL.
///
/// # Safety
///
/// It is NULL, or lives until this returns.
pub(crate) unsafe fn borrowed(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise; the library's texts end with NUL.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// A time-out as the library counts it; none: as long as it takes.
pub(crate) fn milliseconds(timeout: Option<Duration>) -> i64 {
    timeout.map_or(-1, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}
