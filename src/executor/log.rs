//! The log. Nothing on the hot path logs.

use crate::model::Level;

/// One line: a sentence for people, and the facts beside it for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// The source: `stent.worker`, `stent.executor`, or `stent.task` for lines of a handler.
    pub target: &'static str,
    pub message: String,
    pub fields: Vec<(&'static str, String)>,
}

impl LogRecord {
    pub fn new(target: &'static str, message: impl Into<String>) -> Self {
        Self { target, message: message.into(), fields: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.fields.push((key, value.to_string()));
        self
    }
}

/// Takes log lines. Called from any thread of the library, several at once, also from handler threads; it must not
/// block for long and must not panic.
pub trait Logger: Send + Sync {
    fn log(&self, level: Level, record: &LogRecord);

    /// False: lines of this level are not even made.
    fn enabled(&self, _level: Level) -> bool {
        true
    }
}

/// Drops everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Logger for Silent {
    fn log(&self, _level: Level, _record: &LogRecord) {}

    fn enabled(&self, _level: Level) -> bool {
        false
    }
}
