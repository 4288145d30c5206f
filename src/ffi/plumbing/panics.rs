//! A panic is a defect of the library: a status at the border and a line of the log, but nothing on the host's stderr.

use std::panic::PanicHookInfo;
use std::sync::Once;

use super::{logging, runtime};
use crate::executor::{LogRecord, Logger as _};
use crate::model::Level;
use crate::threads;

/// From here on the library's panics are not printed. A host in Rust, which shares this setting, prints its own as before.
pub fn quiet() {
    static SET: Once = Once::new();
    // Setting it while this thread unwinds would be a panic in a panic.
    if SET.is_completed() || std::thread::panicking() {
        return;
    }
    SET.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| if threads::is_inside() { note(info) } else { before(info) }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    if runtime::building_failed() {
        return;
    }
    let said = threads::said(info.payload());
    let place = info.location().map_or_else(String::new, |place| format!("{}:{}", place.file(), place.line()));
    let record = LogRecord::new("stent.library", format!("a defect of Stent, please report it: {said}"));
    logging::ToHost.log(Level::Error, &record.with("place", place));
}
