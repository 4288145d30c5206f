//! Attempts that failed, or said "not now", and were followed by another. Each is a line in `tasks.attempts`, the newest first, of which so much
//! is kept as has room; they are written with the retry itself, so an attempt that succeeds writes nothing. The statement
//! puts before the line what the row knows: when the attempt began, who held it, and the how-manieth snooze it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::session::Session;
use super::statements::TASKS_ATTEMPTS;
use crate::backend::Attempt;
use crate::codec::{self, from_json};
use crate::model::{Failure, Id, Result, Timestamp, format_duration};

/// Of a type and a message. The statements keep 4,096 characters of lines: about ten attempts, or more.
const KIND_MAX: usize = 80;
const MESSAGE_MAX: usize = 240;

#[derive(Serialize)]
struct End<'a> {
    ended: i64,
    kind: &'a str,
    message: &'a str,
}

#[derive(Deserialize)]
struct Line {
    /// It did not fail, but said "not now": so often by then.
    snoozes: Option<u32>,
    /// Microseconds since 1970.
    started: Option<i64>,
    worker: Option<String>,
    ended: i64,
    kind: String,
    message: String,
}

/// The rest of a line, from where the statement's part ends.
pub(super) fn rest_of_line(failure: &Failure, now: Timestamp) -> String {
    rest(End { ended: now.micros(), kind: cut(&failure.kind, KIND_MAX), message: cut(&failure.message, MESSAGE_MAX) })
}

/// The same, for an attempt that said "not now".
pub(super) fn rest_of_snooze(delay: Duration, now: Timestamp) -> String {
    let message = format!("not now: again in {}", format_duration(delay));
    rest(End { ended: now.micros(), kind: Attempt::SNOOZED, message: &message })
}

fn rest(end: End<'_>) -> String {
    let text = codec::to_json(&end);
    format!("{}\n", text.strip_prefix('{').unwrap_or(&text))
}

fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

pub(super) async fn of_execution(session: &mut dyn Session, execution: Id) -> Result<Vec<Attempt>> {
    let mut all = Vec::new();
    for row in session.fetch(TASKS_ATTEMPTS.call().id(execution)).await? {
        let task = row.id("id")?;
        let text = row.text("attempts")?;
        // The last line may be cut off.
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            all.push(read(task, line)?);
        }
    }
    Ok(all)
}

fn read(task: Id, line: &str) -> Result<Attempt> {
    let Line { snoozes, started, worker, ended, kind, message } = from_json("a recorded attempt", line)?;
    let message = match snoozes {
        Some(count) => format!("{message} (snoozes so far: {count})"),
        None => message,
    };
    Ok(Attempt {
        task,
        started_at: started.map(Timestamp::from_micros),
        ended_at: Timestamp::from_micros(ended),
        worker_id: worker,
        kind,
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let failure = Failure::new("Oops", format!("a \"b\"\n{}", "é".repeat(300)));
        let line = format!("{{\"started\":5,\"worker\":\"w\",{}", rest_of_line(&failure, Timestamp::from_micros(9)));
        let attempt = read(Id::nil(), line.strip_suffix('\n').unwrap()).unwrap();
        assert_eq!((attempt.started_at, attempt.ended_at.micros()), (Some(Timestamp::from_micros(5)), 9));
        assert_eq!((attempt.worker_id.as_deref(), attempt.kind.as_str()), (Some("w"), "Oops"));
        assert_eq!((attempt.message.chars().count(), attempt.message.starts_with("a \"b\"\né")), (MESSAGE_MAX, true));
        assert!(!line[..line.len() - 1].contains('\n'), "{line}");
        let none = format!("{{\"started\":null,\"worker\":null,{}", rest_of_line(&failure, Timestamp::from_micros(9)));
        assert_eq!(read(Id::nil(), none.trim_end()).unwrap().worker_id, None);
    }
}
