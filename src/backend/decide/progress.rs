//! An execution's progress: a line for each task, made from its row, merged with the lines that handlers wrote.

use crate::model::{Payload, ProgressEntry, ProgressStatus, TaskState, Timestamp};

/// The progress line of a task.
pub(in crate::backend) fn line(
    step: String,
    state: TaskState,
    cache_hit: bool,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    error: Option<Payload>,
) -> ProgressEntry {
    let status = match state {
        TaskState::Completed if cache_hit => ProgressStatus::CacheHit,
        TaskState::Completed => ProgressStatus::Completed,
        // The protocol has no word for it: the detail says what happened.
        TaskState::Failed | TaskState::Cancelled => ProgressStatus::Failed,
        TaskState::Running => ProgressStatus::Running,
        TaskState::Pending | TaskState::Waiting if started_at.is_some() => ProgressStatus::Running,
        TaskState::Pending | TaskState::Waiting => ProgressStatus::Dispatched,
    };
    let detail = match state {
        TaskState::Failed => error,
        TaskState::Cancelled => Some(Payload::from("\"cancelled\"")),
        TaskState::Pending | TaskState::Running | TaskState::Waiting | TaskState::Completed => None,
    };
    ProgressEntry { step, status, started_at, completed_at, detail }
}

/// Merges the lines by time. The handlers' lines keep their own order, whatever their times are.
pub(in crate::backend) fn merge(
    derived: Vec<(Timestamp, ProgressEntry)>,
    stored: Vec<ProgressEntry>,
) -> Vec<ProgressEntry> {
    let mut merged = Vec::with_capacity(derived.len() + stored.len());
    let mut derived = derived.into_iter().peekable();
    for entry in stored {
        if let Some(time) = entry.started_at.or(entry.completed_at) {
            while let Some((_, line)) = derived.next_if(|(at, _)| *at <= time) {
                merged.push(line);
            }
        }
        merged.push(entry);
    }
    merged.extend(derived.map(|(_, line)| line));
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: &str, at: Option<i64>) -> ProgressEntry {
        let started_at = at.map(Timestamp::from_micros);
        line(step.to_owned(), TaskState::Running, false, started_at, None, None)
    }

    #[test]
    fn what_was_said_keeps_its_order_among_the_tasks() {
        let derived = [(10, "a"), (20, "b"), (40, "c")];
        let derived = derived.map(|(at, step)| (Timestamp::from_micros(at), entry(step, Some(at)))).to_vec();
        let stored = vec![entry("said", Some(30)), entry("timeless", None), entry("early", Some(5))];
        let steps: Vec<String> = merge(derived, stored).into_iter().map(|entry| entry.step).collect();
        assert_eq!(steps, ["a", "b", "said", "timeless", "early", "c"]);
    }

    #[test]
    fn a_line_says_what_became_of_the_task() {
        let of = |state, started: Option<i64>| {
            let started_at = started.map(Timestamp::from_micros);
            line("s".into(), state, true, started_at, None, Some(Payload::null()))
        };
        assert_eq!(of(TaskState::Completed, Some(1)).status, ProgressStatus::CacheHit);
        assert_eq!(of(TaskState::Waiting, Some(1)).status, ProgressStatus::Running);
        assert_eq!(of(TaskState::Pending, None).status, ProgressStatus::Dispatched);
        assert_eq!(of(TaskState::Failed, Some(1)).detail, Some(Payload::null()));
        assert_eq!(of(TaskState::Cancelled, None).detail, Some(Payload::from("\"cancelled\"")));
    }
}
