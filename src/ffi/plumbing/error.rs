//! The error object that a failed call gives to C.

use std::ffi::CString;
use std::sync::OnceLock;

use super::handles::{self, Object, Table};
use super::{fork, text};
use crate::ffi::stent_error;
use crate::model::Error;

/// An error that C holds.
pub struct ErrorObject {
    pub error: Error,
    pub message: CString,
    /// Made when it is asked for: of most errors only the status is used.
    pub json: OnceLock<CString>,
    /// The type and the message of its failure, likewise.
    pub failure: OnceLock<Option<(CString, CString)>>,
}

static ERRORS: Table<ErrorObject> = Table::new();

impl Object for ErrorObject {
    type Opaque = stent_error;
    const NAME: &'static str = "error";
    const ORIGIN: &'static str = "a call that fails writes one";

    fn table() -> &'static Table<Self> {
        &ERRORS
    }
}

/// Stands for the one error of a forked child, where the table can't be used.
static FORKED: u8 = 0;

pub fn to_handle(error: Error) -> *mut stent_error {
    if fork::is_child() {
        return (&raw const FORKED).cast_mut().cast();
    }
    let message = text::owned(error.message());
    // Without room for one more handle the status has to do.
    handles::give(ErrorObject { error, message, json: OnceLock::new(), failure: OnceLock::new() })
        .unwrap_or(std::ptr::null_mut())
}
