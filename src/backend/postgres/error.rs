//! Errors of PostgreSQL as errors of this library. Mapped by SQLSTATE, never by text.

use std::io::ErrorKind;

use crate::model::{Detail, Error, Status};

/// What became of a connection to a place where nobody listens.
const REFUSED: &str = "refused";

/// Nobody listens there.
pub(super) fn is_refused(why: &Error) -> bool {
    matches!(why.details().get("connection"), Some(Detail::Text(how)) if how == REFUSED)
}

/// Turns an error of sqlx into ours; `doing` says what was being done.
pub(super) fn map(doing: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |why| translate(why).doing(doing)
}

fn sqlstate(why: &Error) -> Option<&str> {
    match why.details().get("sqlstate") {
        Some(Detail::Text(code)) => Some(code),
        _ => None,
    }
}

/// The transaction was aborted because of a conflict or deadlock with another: all of it can be tried again.
pub(super) fn is_collision(why: &Error) -> bool {
    matches!(sqlstate(why), Some("40001" | "40P01"))
}

/// A lock or a statement took too long, which may pass: the whole transaction can be tried again.
pub(super) fn is_passing(why: &Error) -> bool {
    matches!(sqlstate(why), Some("55P03" | "57014"))
}

/// Converts an error in connecting. A connection that is cut during the handshake is reported by sqlx as a protocol
/// error.
pub(super) fn connecting(why: sqlx::Error) -> Error {
    let error = match why {
        sqlx::Error::Protocol(why) => Error::backend(format!("the connection to the server is cut: {why}"))
            .retryable(true)
            .with("connection", "cut"),
        why => translate(why),
    };
    error.doing("take a connection")
}

pub(super) fn translate(why: sqlx::Error) -> Error {
    let sqlx::Error::Database(database) = &why else {
        return match why {
            sqlx::Error::PoolTimedOut => Error::backend(
                "no connection to the server became free or could be made in time; is the server running, and is max_size \
                 large enough?",
            )
            .retryable(true),
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Error::closed("the backend is closed"),
            // A failed TLS handshake is reported as invalid data.
            sqlx::Error::Io(why) if why.kind() == ErrorKind::InvalidData => Error::backend(format!(
                "the server's certificate is not accepted: {why}; look at sslmode, sslrootcert and the host's name"
            )),
            sqlx::Error::Io(why) if matches!(why.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
                Error::backend(format!("nobody listens there ({why}); is the server running, and is it this host and port?"))
                    .retryable(true)
                    .with("connection", REFUSED)
            }
            sqlx::Error::Io(why) => {
                let how = if why.kind() == ErrorKind::TimedOut { "silent" } else { "cut" };
                // That has no kind of its own.
                let what = match why.to_string().starts_with("failed to lookup address") {
                    true => "the host's name leads nowhere",
                    false => "the connection to the server is cut",
                };
                Error::backend(format!("{what}: {why}")).retryable(true).with("connection", how)
            }
            sqlx::Error::Tls(why) => Error::backend(format!("no secure connection to the server: {why}")),
            other => Error::backend(other.to_string()),
        };
    };
    let code = database.code().unwrap_or_default().into_owned();
    let (advice, retryable) = match code.as_str() {
        "23505" => ("a row of this identity exists already", false),
        "22021" | "22P05" => ("a text has a character that PostgreSQL does not store, such as NUL", false),
        "28P01" | "28000" => ("the server refused the user or the password", false),
        "3D000" => ("there is no such database; create it first", false),
        "42501" => (
            "the user has not the right to do this; it needs USAGE on the schema, and SELECT, INSERT, UPDATE and DELETE on all \
             tables in it",
            false,
        ),
        "42P01" => {
            ("the store's tables are not to be seen: the schema is gone, or the user may not use it any more", false)
        }
        "40001" | "40P01" => ("other transactions were in the way every time it was tried", true),
        "57014" => ("the server gave up the statement, which took too long", true),
        "55P03" => ("another transaction has a lock that is needed, for longer than is waited for it", true),
        code if ends_connection(code) => ("the server ended the connection", true),
        code if code.starts_with("53") => ("the server is out of something: disk, memory or connections", true),
        code if code.starts_with("58") => ("the server could not reach its files", true),
        code if code.starts_with("25006") => ("the server is read-only: a standby, perhaps", true),
        code if code.starts_with("23") => ("a row is not as its table wants it", false),
        _ => ("PostgreSQL refused", false),
    };
    let status = match code.as_str() {
        "23505" => Status::Conflict,
        "22021" | "22P05" => Status::Invalid,
        _ => Status::Backend,
    };
    // The message of a constraint violation names the constraint and may repeat the row. For a table that the user may
    // not see it says that there is none.
    let said = match code.as_str() {
        code if code == "42P01" || code.starts_with("23") => String::new(),
        _ => format!(": {}", database.message()),
    };
    let error = Error::new(status, format!("{advice} (SQLSTATE {code}{said})"))
        .retryable(retryable)
        .with("sqlstate", code.as_str());
    if ends_connection(&code) { error.with("connection", "ended") } else { error }
}

/// The server has ended the connection: it shuts down, or the client was idle or silent for too long.
fn ends_connection(code: &str) -> bool {
    code.starts_with("57P") || code.starts_with("08") || matches!(code, "25P03" | "25P04")
}
