//! Conversion of text from and to C, and other outputs.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char};

use crate::codec;
use crate::model::{Error, Id, Result};

/// A text that must be there.
///
/// # Safety
/// `pointer` is NULL or NUL-terminated, and stays as it is while the result is used.
pub unsafe fn text<'a>(pointer: *const c_char, parameter: &'static str) -> Result<&'a str> {
    // SAFETY: the caller's promise is ours.
    let text = unsafe { optional(pointer, parameter) }?;
    text.ok_or_else(|| null(parameter))
}

/// A text that may be NULL.
///
/// # Safety
/// As [`text`].
pub unsafe fn optional<'a>(pointer: *const c_char, parameter: &'static str) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and NUL-terminated by the caller's promise.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    utf8(bytes.to_bytes(), parameter, "pass NUL-terminated UTF-8").map(Some)
}

/// A text that says how long it is, and may be NULL.
///
/// # Safety
/// `pointer` is NULL or points to `length` bytes, which stay as they are while the result is used.
pub unsafe fn counted<'a>(pointer: *const c_char, length: usize, parameter: &'static str) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    if length > isize::MAX as usize {
        return Err(Error::invalid(format!("{parameter} is said to be {length} bytes long, which nothing is"))
            .with("parameter", parameter));
    }
    // SAFETY: not NULL, and of that length by the caller's promise.
    utf8(unsafe { std::slice::from_raw_parts(pointer.cast(), length) }, parameter, "pass UTF-8").map(Some)
}

fn utf8<'a>(bytes: &'a [u8], parameter: &'static str, instead: &str) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|why| {
        Error::invalid(format!(
            "{parameter} is not UTF-8: the byte at offset {} is wrong; {instead}",
            why.valid_up_to()
        ))
        .with("parameter", parameter)
    })
}

/// A text that tells of a failure, and may be NULL. A byte that is no UTF-8 (a message that was cut in the middle of a
/// character, the name of a file) is shown as U+FFFD: what failed must be told.
///
/// # Safety
/// As [`text`].
pub unsafe fn lossy<'a>(pointer: *const c_char) -> Option<Cow<'a, str>> {
    // SAFETY: not NULL, and NUL-terminated by the caller's promise.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy())
}

/// An id that must be there.
///
/// # Safety
/// As [`text`].
pub unsafe fn id(pointer: *const c_char, parameter: &'static str) -> Result<Id> {
    // SAFETY: the caller's promise is ours.
    let text = unsafe { text(pointer, parameter) }?;
    codec::id_from_text(parameter, text)
}

pub fn null(parameter: &'static str) -> Error {
    Error::invalid(format!("{parameter} is NULL, and it is needed")).with("parameter", parameter)
}

/// An output that must not be NULL, looked at before anything is done.
pub fn required<T>(out: *mut T, parameter: &'static str) -> Result<()> {
    if out.is_null() { Err(null(parameter)) } else { Ok(()) }
}

/// Writes an output that the caller wants.
///
/// # Safety
/// `out` is NULL or writable.
pub unsafe fn write<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not NULL, and writable by the caller's promise.
        unsafe { out.write(value) }
    }
}

/// Writes a copy that the caller frees with `stent_free`.
///
/// # Safety
/// `out` is NULL or writable.
pub unsafe fn write_text(out: *mut *mut c_char, text: &str) -> Result<()> {
    if !out.is_null() {
        let copy = copy(text)?;
        // SAFETY: not NULL, and writable by the caller's promise.
        unsafe { out.write(copy) }
    }
    Ok(())
}

/// As [`write_text`], and its length without the NUL at its end.
///
/// # Safety
/// `out` and `length` are NULL or writable.
pub unsafe fn write_counted(out: *mut *mut c_char, length: *mut usize, text: &str) -> Result<()> {
    // SAFETY: the caller's promise is ours.
    unsafe {
        write_text(out, text)?;
        write(length, text.len());
    }
    Ok(())
}

/// In memory of malloc's, so that it is freed alike by every language, in a forked child too.
fn copy(text: &str) -> Result<*mut c_char> {
    if text.contains('\0') {
        return Err(Error::invalid("the answer holds a NUL character, which a C string can't carry"));
    }
    // SAFETY: malloc takes any size.
    let memory = unsafe { libc::malloc(text.len() + 1) }.cast::<u8>();
    if memory.is_null() {
        return Err(Error::backend(format!("no memory for an answer of {} bytes", text.len())).retryable(true));
    }
    // SAFETY: `memory` has room for the text and its end, and is nobody else's.
    unsafe {
        memory.copy_from_nonoverlapping(text.as_ptr(), text.len());
        memory.add(text.len()).write(0);
    }
    Ok(memory.cast())
}

/// For text that a handle owns. A C string ends at a NUL: it is shown as the escape it would be in JSON.
pub fn owned(text: &str) -> CString {
    CString::new(text.replace('\0', "\\u0000")).unwrap_or_default()
}
