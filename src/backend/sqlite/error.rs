//! Errors of SQLite as errors of this library. Mapped by code, never by text.

use std::any::Any;
use std::io;

use crate::model::{Detail, Error, Status};
use crate::threads;

const LOCKED_FOR_LONG: &str = "the database is locked by another process for longer than busy_timeout";

const BUSY: i32 = 5;
/// Of a transaction that began with reading.
const BUSY_SNAPSHOT: i32 = 517;
const LOCKED: i32 = 6;
const NOMEM: i32 = 7;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const TOOBIG: i32 = 18;
const CONSTRAINT: i32 = 19;
/// Kinds of it: a value of a column that has each value once; what a trigger has raised.
const UNIQUE: [i32; 3] = [CONSTRAINT | 6 << 8, CONSTRAINT | 8 << 8, CONSTRAINT | 10 << 8];
const TRIGGER: i32 = CONSTRAINT | 7 << 8;
const NOTADB: i32 = 26;

/// What SQLite says.
pub(super) struct Refused {
    /// The extended code.
    pub code: i32,
    pub message: String,
}

impl Refused {
    pub fn of_code(code: i32) -> Self {
        Self { code, message: "no connection".to_owned() }
    }
}

/// Another process has the lock; the same statement succeeds when it is released.
pub(super) fn is_busy(why: &Error) -> bool {
    matches!(why.details().get("sqlite_code"), Some(Detail::Integer(code)) if code & 0xff == i64::from(BUSY))
}

/// SQLite's own code, where it is SQLite that has refused.
pub(super) fn code(why: &Error) -> Option<i32> {
    match why.details().get("sqlite_code") {
        Some(Detail::Integer(code)) => i32::try_from(*code).ok(),
        _ => None,
    }
}

/// Somebody in this process waits for that lock already.
pub(super) fn locked() -> Error {
    Error::backend(format!("{LOCKED_FOR_LONG} (SQLite code {BUSY})"))
        .retryable(true)
        .with("sqlite_code", i64::from(BUSY))
}

pub(super) fn closed() -> Error {
    Error::closed("the backend is closed")
}

/// What runs in a transaction has panicked.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::new(Status::Panic, format!("a defect of Stent, please report it: {}", threads::said(panic)))
}

/// The process has no more threads.
pub(super) fn no_thread(why: &io::Error) -> Error {
    Error::backend(format!("no thread for a connection could be made: {why}")).retryable(true)
}

pub(super) fn of(refused: Refused) -> Error {
    let Refused { code, message } = refused;
    let (advice, retryable) = match code & 0xff {
        BUSY if code == BUSY_SNAPSHOT => (
            "others have written since this transaction has read; roll it back, and begin it with BEGIN IMMEDIATE",
            true,
        ),
        BUSY => (LOCKED_FOR_LONG, true),
        LOCKED => ("a table is locked by another connection", true),
        NOMEM => ("SQLite is out of memory", true),
        READONLY => (
            "the database can't be written: the file or its folder is read-only; give the process write access to both",
            false,
        ),
        IOERR => ("reading or writing the file failed; look at the disk and the system's log", true),
        CORRUPT => (
            "the file is damaged or cut off; restore it from a backup, or recover what is left with sqlite3's .recover",
            false,
        ),
        FULL => ("the disk is full; nothing was written; free some space and the same call succeeds", true),
        CANTOPEN => ("the file can't be opened; the folder must exist and be writable", false),
        TOOBIG => ("a value is larger than SQLite takes", false),
        CONSTRAINT if UNIQUE.contains(&code) => ("a row of this identity exists already", false),
        CONSTRAINT if code == TRIGGER => ("a trigger of the database refuses it", false),
        CONSTRAINT => ("a rule of the tables refuses it", false),
        NOTADB => {
            ("the file is not a SQLite database, or is encrypted or cut off; give a path of its own to Stent", false)
        }
        _ => ("SQLite refused", false),
    };
    let status = if UNIQUE.contains(&code) { Status::Conflict } else { Status::Backend };
    // The message of a constraint violation names the constraint, which users don't know; a trigger is theirs.
    let told = code & 0xff != CONSTRAINT || code == TRIGGER;
    let said = if told { format!(": {message}") } else { String::new() };
    Error::new(status, format!("{advice} (SQLite code {code}{said})"))
        .retryable(retryable)
        .with("sqlite_code", i64::from(code))
}
