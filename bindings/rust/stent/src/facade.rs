//! The library's log in the `log` facade, from the first store on, until the program says otherwise.

use std::sync::{Mutex, PoisonError};

use log::kv::{self, Key, ToValue, VisitSource};
use log::{Record, logger};
use serde_json::{Map, Value};

use crate::error::Result;
use crate::library::{Level, LogLine, hand_over};
use crate::options::LogOptions;

/// Whether somebody has said where the process's log goes.
static IS_GIVEN: Mutex<bool> = Mutex::new(false);

/// A handler of the program's takes the place of the facade, now or before there is a store.
pub(crate) fn give(options: &LogOptions, handler: impl Fn(Level, LogLine) + Send + Sync + 'static) -> Result<()> {
    let mut is_given = IS_GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    hand_over(options, Box::new(handler))?;
    *is_given = true;
    Ok(())
}

/// Before the first store. What is written of it is the logger's to say, whenever it is asked.
pub(crate) fn hear_from_the_start() -> Result<()> {
    let mut is_given = IS_GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    if !*is_given {
        hand_over(&LogOptions::new().level("debug"), Box::new(write))?;
        *is_given = true;
    }
    Ok(())
}

impl From<Level> for log::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => log::Level::Error,
            Level::Warn => log::Level::Warn,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
        }
    }
}

/// Its facts stand in the text, for loggers that leave key-value pairs out, and as such pairs.
fn write(level: Level, line: LogLine) {
    let level = level.into();
    if level > log::max_level() {
        return;
    }
    // As Rust's modules are named.
    let target = line.target.replace('.', "::");
    let facts = Facts(line.fields.as_object(), line.lost);
    let text = facts.text(&line.message);
    let mut record = Record::builder();
    record.level(level).target(&target).key_values(&facts);
    logger().log(&record.args(format_args!("{text}")).build());
}

struct Facts<'line>(Option<&'line Map<String, Value>>, u64);

impl Facts<'_> {
    /// `what was said (function=greet task=…)`
    fn text(&self, message: &str) -> String {
        let fields = self.0.into_iter().flatten().map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        });
        let lost = (self.1 > 0).then(|| format!("lost={}", self.1));
        let facts: Vec<String> = fields.chain(lost).collect();
        if facts.is_empty() { message.to_owned() } else { format!("{message} ({})", facts.join(" ")) }
    }
}

impl kv::Source for Facts<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> std::result::Result<(), kv::Error> {
        for (name, value) in self.0.into_iter().flatten() {
            let value = match value {
                Value::String(text) => text.to_value(),
                other => kv::Value::from_display(other),
            };
            visitor.visit_pair(Key::from_str(name), value)?;
        }
        if self.1 > 0 {
            visitor.visit_pair(Key::from_str("lost"), self.1.to_value())?;
        }
        Ok(())
    }
}
