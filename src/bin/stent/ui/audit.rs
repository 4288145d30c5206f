//! The log of actions: a line of JSON for each, on standard error or in a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use stent::codec;
use stent::model::Timestamp;

use crate::words;

/// Who asks; at the other end of a proxy it is the proxy that names somebody else.
#[derive(Clone, Debug, Serialize)]
pub struct Who {
    pub remote: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded_for: Option<String>,
    /// By `token`, or `local`.
    pub by: &'static str,
}

pub struct Audit(Mutex<Option<File>>);

#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    #[serde(flatten)]
    who: &'a Who,
    action: &'a str,
    /// What it is done to.
    of: &'a str,
    ids: &'a [String],
    outcome: &'a str,
}

impl Audit {
    /// No file: standard error.
    pub fn open(file: Option<&Path>) -> io::Result<Self> {
        let open = |file| OpenOptions::new().append(true).create(true).open(file);
        Ok(Self(Mutex::new(file.map(open).transpose()?)))
    }

    /// `outcome`: `done`, or why not.
    pub fn write(&self, who: &Who, action: &str, of: &str, ids: &[String], outcome: &str) {
        let mut line = codec::to_json(&Line { time: words::now(), who, action, of, ids, outcome });
        line.push('\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match file.as_mut() {
            Some(file) => file.write_all(line.as_bytes()),
            None => io::stderr().write_all(line.as_bytes()),
        };
        // Of what was done there has to be a trace somewhere.
        if let Err(why) = written {
            let _nowhere = write!(io::stderr(), "stent: write the audit log: {why}: {line}");
        }
    }
}
