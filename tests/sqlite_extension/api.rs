//! The C API of the same library that the hosts load.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use libloading::{Library, Symbol};

use crate::c_programs::library;

fn stent() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    // SAFETY: loading it does nothing.
    LIBRARY.get_or_init(|| unsafe { Library::new(library()) }.unwrap())
}

macro_rules! call {
    ($name:ident($($kind:ty),*) -> $answer:ty, $($argument:expr),*) => {{
        // SAFETY: the header says so.
        unsafe {
            let function: Symbol<unsafe extern "C" fn($($kind),*) -> $answer> =
                stent().get(concat!("stent_", stringify!($name)).as_bytes()).unwrap();
            function($($argument),*)
        }
    }};
}

type Text = *const c_char;
type Texts = *mut *mut c_char;
type Handle = *mut c_void;
type Handles = *mut *mut c_void;

/// An open store, and an executor on it.
pub struct Api {
    backend: Handle,
    executor: Handle,
}

// SAFETY: any function may be called on any thread.
unsafe impl Send for Api {}

fn text(text: Option<&str>) -> Option<CString> {
    text.map(|text| CString::new(text).unwrap())
}

fn pointer(text: &Option<CString>) -> Text {
    text.as_ref().map_or(null(), |text| text.as_ptr())
}

fn outcome(status: i32, error: Handle) -> Result<(), String> {
    if status == 0 {
        return Ok(());
    }
    let said = call!(error_message(Handle) -> Text, error);
    // SAFETY: the error's own text.
    let said = unsafe { CStr::from_ptr(said) }.to_str().unwrap().to_owned();
    call!(error_free(Handle) -> (), error);
    Err(said)
}

impl Api {
    pub fn open(path: &Path) -> Self {
        let (mut backend, mut executor, mut error) = (null_mut(), null_mut(), null_mut());
        let path = text(path.to_str());
        let status = call!(
            backend_open(Text, Text, Handles, Handles) -> i32,
            pointer(&path), null(), &mut backend, &mut error
        );
        outcome(status, error).unwrap();
        let status = call!(
            executor_new(Handle, Text, Handles, Handles) -> i32,
            backend, null(), &mut executor, &mut error
        );
        outcome(status, error).unwrap();
        Self { backend, executor }
    }

    pub fn dispatch(
        &self,
        function: Option<&str>,
        args: Option<&str>,
        options: Option<&str>,
    ) -> Result<String, String> {
        let (mut id, mut error) = (null_mut(), null_mut());
        let (function, args, options) = (text(function), text(args), text(options));
        let status = call!(
            executor_dispatch(Handle, Text, Text, Text, Texts, Handles) -> i32,
            self.executor, pointer(&function), pointer(&args), pointer(&options), &mut id, &mut error
        );
        outcome(status, error)?;
        // SAFETY: the text that was given.
        let said = unsafe { CStr::from_ptr(id) }.to_str().unwrap().to_owned();
        call!(free(*mut c_char) -> (), id);
        Ok(said)
    }

    pub fn signal(&self, given: [Option<&str>; 4]) -> Result<(), String> {
        let mut error = null_mut();
        let [execution, name, payload, options] = given.map(text);
        let status = call!(
            executor_signal(Handle, Text, Text, Text, Text, Handles) -> i32,
            self.executor, pointer(&execution), pointer(&name), pointer(&payload), pointer(&options), &mut error
        );
        outcome(status, error)
    }

    pub fn cancel(&self, execution: Option<&str>, reason: Option<&str>) -> Result<(), String> {
        let mut error = null_mut();
        let (execution, reason) = (text(execution), text(reason));
        let status = call!(
            executor_cancel(Handle, Text, Text, Handles) -> i32,
            self.executor, pointer(&execution), pointer(&reason), &mut error
        );
        outcome(status, error)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let mut error = null_mut();
        let status = call!(backend_close(Handle, Handles) -> i32, self.backend, &mut error);
        let closed = outcome(status, error);
        call!(executor_free(Handle) -> (), self.executor);
        call!(backend_free(Handle) -> (), self.backend);
        if !std::thread::panicking() {
            closed.unwrap();
        }
    }
}
