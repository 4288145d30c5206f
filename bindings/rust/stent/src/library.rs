//! The library as a whole: its version, its settings, its log, its end.

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use stent_sys as sys;

use crate::call::{borrowed, call, decode, json, milliseconds};
use crate::error::Result;
use crate::facade;
use crate::options::{ConfigureOptions, LogOptions};

/// The library's version, such as "0.1.0".
pub fn version() -> String {
    // SAFETY: the text is static.
    unsafe { borrowed(sys::stent_version()) }
}

/// All that the library knows: statuses, operations, options, records.
pub fn describe() -> Result<Value> {
    // SAFETY: the text is static.
    decode(&unsafe { borrowed(sys::stent_describe()) })
}

/// Sets what holds for the whole process, before the first store is opened.
pub fn configure(options: &ConfigureOptions) -> Result<()> {
    let options = json(options)?;
    // SAFETY: the text lives for the call.
    call(|why| unsafe { sys::stent_configure(options.as_ptr(), why) }).map(|_| ())
}

/// Drains and stops every worker of the process, closes every store, and waits for the library's last callback, for as long as
/// `timeout` says. Not in a handler. The last thing that a program does.
pub fn shutdown(timeout: Option<Duration>) -> Result<()> {
    // SAFETY: nothing is lent.
    call(|why| unsafe { sys::stent_shutdown(milliseconds(timeout), why) }).map(|_| ())
}

/// The weight of a line in the library's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Somebody has to look.
    Error = sys::STENT_LOG_ERROR as isize,
    /// Something may have to be done.
    Warn = sys::STENT_LOG_WARN as isize,
    /// What happens.
    Info = sys::STENT_LOG_INFO as isize,
    /// All that happens.
    Debug = sys::STENT_LOG_DEBUG as isize,
}

impl Level {
    fn from_code(code: i32) -> Self {
        match code {
            sys::STENT_LOG_ERROR => Level::Error,
            sys::STENT_LOG_WARN => Level::Warn,
            sys::STENT_LOG_INFO => Level::Info,
            _ => Level::Debug,
        }
    }
}

/// One line of the library's log.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct LogLine {
    /// When, RFC 3339.
    pub time: String,
    /// What part of the library says it.
    pub target: String,
    /// What it says.
    pub message: String,
    /// What it is about.
    #[serde(default)]
    pub fields: Value,
    /// Lines before this one that the handler was too slow for.
    #[serde(default)]
    pub lost: u64,
}

pub(crate) type LogHandler = Box<dyn Fn(Level, LogLine) + Send + Sync>;

/// Hands the library's log to a function, one line at a time, instead of the one before. Until this is called it goes to the
/// `log` facade, from the first store on: under the targets `stent::worker`, `stent::task` and so on, with its facts as
/// key-value pairs.
///
/// ```
/// stent::set_log_handler(&stent::LogOptions::new().level("warn"), |level, line| {
///     eprintln!("{level:?} {}: {} {}", line.target, line.message, line.fields);
/// })?;
/// # Ok::<(), stent::Error>(())
/// ```
pub fn set_log_handler(options: &LogOptions, handler: impl Fn(Level, LogLine) + Send + Sync + 'static) -> Result<()> {
    facade::give(options, handler)
}

pub(crate) fn hand_over(options: &LogOptions, handler: LogHandler) -> Result<()> {
    let options = json(options)?;
    // SAFETY: the library gives the handler back to `give_back` once, whatever becomes of the call.
    let set = |why| unsafe {
        sys::stent_set_log_handler(options.as_ptr(), Some(on_log), owned(handler), Some(give_back::<LogHandler>), why)
    };
    call(set).map(|_| ())
}

pub(crate) unsafe extern "C" fn on_log(handler: *mut c_void, level: i32, line: *const c_char) {
    // SAFETY: it is the box that was handed over, which lives until it is given back; the text lives for the call.
    let (handler, line) = unsafe { (&*handler.cast::<LogHandler>(), borrowed(line)) };
    // There is nobody to tell of a log that panics.
    drop(catch_unwind(AssertUnwindSafe(|| {
        if let Ok(line) = decode(&line) {
            handler(Level::from_code(level), line);
        }
    })));
}

/// Something of ours that the library keeps, until it calls [`give_back`].
pub(crate) fn owned<T>(what: T) -> *mut c_void {
    Box::into_raw(Box::new(what)).cast()
}

/// Frees what [`owned`] has made.
///
/// # Safety
///
/// It is of that type, and nobody uses it any more.
pub(crate) unsafe extern "C" fn give_back<T>(what: *mut c_void) {
    if !what.is_null() {
        // SAFETY: the caller's promise. What a destructor panics with must not reach the library.
        drop(catch_unwind(AssertUnwindSafe(|| unsafe { drop(Box::from_raw(what.cast::<T>())) })));
    }
}
