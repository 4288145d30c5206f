//! Executions: list, dispatch, signal, cancel, wait.

use std::io::Read as _;
use std::time::Duration;

use serde::Serialize;
use stent::backend::{ExecutionFilter, NewSignal, Snapshot};
use stent::codec;
use stent::model::{DispatchOptions, Execution, ExecutionState, Id, Status, TaskOptions, Timestamp};

use crate::args;
use crate::marks;
use crate::place::Place;
use crate::screen::{Colour, Screen};
use crate::table::{self, Cell};
use crate::trouble::{DONE, ENDED_CANCELLED, ENDED_FAILED, ENDED_TIMED_OUT, STILL_GOING, Trouble};
use crate::words;

/// Where a page begins: after so many of those that were created at that moment, which earlier pages had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    at: Timestamp,
    passed: u32,
}

impl Cursor {
    fn parse(text: &str) -> Result<Self, Trouble> {
        let parts = text.rsplit_once('+').and_then(|(at, passed)| Some((at.parse().ok()?, passed.parse().ok()?)));
        let (at, passed) = parts.ok_or_else(|| {
            Trouble::usage(format!("'{text}' is no place in a list")).hint("--after takes what the page before says")
        })?;
        Ok(Self { at, passed })
    }

    /// Where the page after this one begins.
    fn after(page: &[Execution], before: Option<Self>) -> Option<Self> {
        let at = page.last()?.created_at;
        let here = page.iter().filter(|execution| execution.created_at == at).count();
        let passed = before.filter(|before| before.at == at).map_or(0, |before| before.passed);
        Some(Self { at, passed: passed.saturating_add(u32::try_from(here).unwrap_or(u32::MAX)) })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+{}", self.at, self.passed)
    }
}

pub async fn list(place: &Place, list: args::List, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        executions: Vec<Execution>,
        next: Option<String>,
    }
    let args::List { state, function, queue, tag, since, until, limit, after } = list;
    let cursor = after.as_deref().map(Cursor::parse).transpose()?;
    let words = [&function, &queue, &tag, &after];
    let filtered = state.is_some() || since.or(until).is_some() || words.iter().any(|word| word.is_some());
    // Both bounds are exclusive: those of the cursor's own moment are passed over by their number.
    let created_before = cursor.map_or(until, |cursor| Some(Timestamp::from_micros(cursor.at.micros() + 1)));
    let filter = ExecutionFilter {
        state,
        function,
        queue,
        tag,
        created_after: since,
        created_before,
        limit: limit.saturating_add(1),
        offset: cursor.map_or(0, |cursor| cursor.passed),
    };
    let mut executions = place.backend.list(filter).await?;
    let more = executions.len() > limit as usize;
    executions.truncate(limit as usize);
    let next = Cursor::after(&executions, cursor).filter(|_| more).map(|next| next.to_string());
    if executions.is_empty() {
        screen.line(if filtered {
            "No such executions."
        } else {
            "No executions. What was dispatched is listed here."
        });
    } else {
        let rows: Vec<Vec<Cell>> = executions.iter().map(|execution| row(screen, execution)).collect();
        table::write(screen, &["ID", "FUNCTION", "STATE", "CREATED", "TOOK", "RESULT"], &rows);
    }
    if let Some(next) = &next {
        let told = format!("\nThe next page: --after {next}");
        screen.line(screen.paint(Colour::Dim, &told));
    }
    screen.json(&View { executions, next });
    Ok(DONE)
}

fn row(screen: &Screen, execution: &Execution) -> Vec<Cell> {
    let outcome = match (&execution.error, &execution.result) {
        (Some(failure), _) => words::failure(failure),
        (None, Some(result)) => words::payload(result),
        (None, None) => String::new(),
    };
    vec![
        execution.id.to_string().into(),
        words::visible(&execution.root_function).into(),
        marks::execution_state(execution.state),
        marks::when(screen, execution.created_at).into(),
        took(execution).map(words::duration).unwrap_or_default().into(),
        outcome.into(),
    ]
}

/// From its start; of one that goes on, until now.
pub fn took(execution: &Execution) -> Option<Duration> {
    let started = execution.started_at?;
    Some(execution.completed_at.unwrap_or_else(words::now).since(started))
}

pub async fn dispatch(place: &Place, dispatch: args::Dispatch, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        execution_id: Id,
    }
    let args::Dispatch {
        function,
        args,
        kwargs,
        queue,
        tag,
        priority,
        priority_ageing,
        fairness_key,
        fairness_weight,
        concurrency_key,
        delay,
        expiry,
        id,
        idempotency_key,
        unique_key,
        unique_for,
        unique_while,
        unique_existing,
        debounce,
        debounce_max,
        wait: waits,
    } = dispatch;
    let args = codec::args_from_text(Some(&given(args)?))?;
    let kwargs = kwargs.map(|text| codec::kwargs_from_text(Some(&text))).transpose()?;
    let tags = (!tag.is_empty()).then_some(tag);
    let shares = TaskOptions { priority_ageing, fairness_key, fairness_weight, ..TaskOptions::default() };
    let task = TaskOptions { queue, tags, priority, concurrency_key, ..shares };
    let unique_existing = unique_existing.unwrap_or_default();
    let unique = DispatchOptions {
        unique_key,
        unique_for,
        unique_while,
        unique_existing,
        debounce,
        debounce_max,
        ..DispatchOptions::default()
    };
    let options = DispatchOptions { id, kwargs, delay, expiry, idempotency_key, task, ..unique };
    let known = place.backend.registered().await?.functions;
    let id = place.executor.dispatch(&function, args, options).await?;
    if !known.iter().any(|(name, _)| *name == function) {
        screen.aside(format!(
            "note: no worker has declared '{}' yet; the execution waits for one that does",
            words::visible(&function)
        ));
    }
    if waits {
        screen.aside(id);
        return wait(place, id, None, screen).await;
    }
    screen.line(id);
    screen.json(&View { execution_id: id });
    Ok(DONE)
}

/// What is given on the command line; `-`: on standard input.
fn given(text: String) -> Result<String, Trouble> {
    if text != "-" {
        return Ok(text);
    }
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|why| Trouble::usage(format!("read standard input: {why}")))?;
    Ok(text)
}

pub async fn signal(place: &Place, signal: args::Signal, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        sent: bool,
    }
    let args::Signal { execution, name, payload, id } = signal;
    let payload = codec::value_from_text("payload", &given(payload)?)?;
    place.executor.signal(NewSignal { execution, name, payload, id }).await?;
    screen.line("Sent.");
    screen.json(&View { sent: true });
    Ok(DONE)
}

pub async fn cancel(place: &Place, cancel: args::Cancel, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        state: ExecutionState,
    }
    let args::Cancel { execution, reason, yes } = cancel;
    let found = find(place, execution).await?.execution;
    if found.state.is_terminal() {
        return Err(Trouble::conflict(format!("the execution {execution} is {} already", found.state)));
    }
    let function = words::visible(&found.root_function);
    screen.confirm(yes, &format!("Cancel '{function}' {execution} and all that it called? It can't be undone."))?;
    place.executor.cancel(execution, reason).await?;
    let state = find(place, execution).await?.execution.state;
    screen.line(match state {
        ExecutionState::Cancelled => "Cancelled.".to_owned(),
        _ => format!("It is {state}: it ends when nobody holds a task of it any more. stent wait {execution}"),
    });
    screen.json(&View { state });
    Ok(DONE)
}

pub async fn find(place: &Place, id: Id) -> Result<Snapshot, Trouble> {
    place.backend.snapshot(id).await?.ok_or_else(|| Trouble::not_found(format!("there is no execution {id}")))
}

pub async fn wait(place: &Place, id: Id, timeout: Option<Duration>, screen: &mut Screen) -> Result<u8, Trouble> {
    let mut hint = String::new();
    let snapshot = match place.executor.wait(id, timeout).await {
        Err(why) if why.status() == Status::Timeout => {
            // Why it may take longer.
            hint = why
                .message()
                .split_once("; ")
                .map(|(_, hint)| format!("; {}", words::visible(hint)))
                .unwrap_or_default();
            find(place, id).await?
        }
        found => found?,
    };
    let Execution { state, result, error, root_function, .. } = &snapshot.execution;
    let function = words::visible(root_function);
    let (code, told) = match state {
        ExecutionState::Completed => (DONE, result.as_ref().map_or_else(|| "null".to_owned(), words::payload)),
        ExecutionState::Failed => {
            let why = error.as_ref().map_or_else(String::new, words::failure);
            (ENDED_FAILED, format!("'{function}' has failed with {why}"))
        }
        ExecutionState::TimedOut => (ENDED_TIMED_OUT, format!("'{function}' ran out of its time")),
        ExecutionState::Cancelled => {
            let why = snapshot.cancel_reason.as_deref().map(|why| format!(": {}", words::visible(why)));
            (ENDED_CANCELLED, format!("'{function}' was cancelled{}", why.unwrap_or_default()))
        }
        ExecutionState::Pending | ExecutionState::Running | ExecutionState::Cancelling => {
            (STILL_GOING, format!("'{function}' is still {state}{hint}"))
        }
    };
    if code == DONE {
        screen.line(told);
    } else {
        // Standard output is the result's.
        screen.aside(told);
    }
    screen.json(&snapshot);
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_list_is_read_as_it_is_written() {
        let cursor = Cursor { at: Timestamp::from_micros(1_764_300_000_123_456), passed: 3 };
        assert_eq!(Cursor::parse(&cursor.to_string()).unwrap(), cursor);
        for wrong in ["", "3", "2026-01-31T08:00:00Z", "x+3"] {
            assert!(Cursor::parse(wrong).is_err(), "{wrong}");
        }
    }
}
