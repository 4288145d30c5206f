//! One execution, as a whole.

use serde::Serialize;
use stent::backend::{Attempt, DeadLetterFilter, Request, Response, SlotWait, Snapshot};
use stent::codec;
use stent::model::{DeadLetter, Execution, Id, Signal, Task, TaskState};

use super::executions::{find, took};
use super::tasks;
use crate::args;
use crate::marks;
use crate::place::Place;
use crate::screen::{Colour, Screen};
use crate::table::{self, Cell};
use crate::tree::{self, Line};
use crate::trouble::{DONE, Trouble};
use crate::words;

/// More signals than that are in no answer.
const SIGNALS: u32 = 1_000;
/// And so many letters.
const LETTERS: u32 = 100;

/// And so many tasks that wait for a slot, or to start.
const SLOT_WAITS: u32 = 100;

#[derive(Serialize)]
struct View {
    execution: Snapshot,
    tasks: Vec<Task>,
    signals: Vec<Signal>,
    dead_letters: Vec<DeadLetter>,
    /// Attempts that failed and were followed by another.
    attempts: Vec<Attempt>,
    /// Tasks that wait for a slot of their key, or to start: for a token, or for the end of a hold.
    slot_waits: Vec<SlotWait>,
}

pub async fn show(place: &Place, show: args::Show, screen: &mut Screen) -> Result<u8, Trouble> {
    let execution = find(place, show.id).await?;
    let tasks = match place.backend.call(Request::ListTasksForExecution { execution_id: show.id }).await? {
        Response::Tasks(tasks) => tasks,
        _ => Vec::new(),
    };
    let signals = place.backend.signals(show.id, SIGNALS).await?;
    let letters = DeadLetterFilter { execution: Some(show.id), limit: LETTERS, ..DeadLetterFilter::default() };
    let dead_letters = place.backend.dead_letters(letters).await?;
    let attempts = place.backend.attempts(show.id).await?;
    let slot_waits = place.backend.slot_waits(show.id, SLOT_WAITS).await?;
    let view = View { execution, tasks, signals, dead_letters, attempts, slot_waits };
    head(&view.execution, screen);
    values(&view.execution, screen);
    told(&view.signals, screen);
    below(&view.tasks, show.all, screen);
    for wait in &view.slot_waits {
        screen.line(waits_for_slot(wait));
    }
    failed(&view, show.all, screen);
    rest(&view, screen);
    screen.json(&view);
    Ok(DONE)
}

fn waits_for_slot(wait: &SlotWait) -> String {
    let most = wait.max_concurrent_per_key.map(|most| format!(" of {most}")).unwrap_or_default();
    let function = words::visible(&wait.function);
    let Some(key) = wait.concurrency_key.as_deref().map(words::visible) else {
        return waits_to_start(wait, &function);
    };
    if let Some(at) = wait.hold_ends_at {
        return format!("{function} ({}) waits: a handler has held the key '{key}' until {at}.", wait.task);
    }
    if wait.is_for_token() {
        let next = wait.next_at.map(|at| format!(": the next comes at {at}")).unwrap_or_default();
        return format!("{function} ({}) waits for a token of the key '{key}'{next}.", wait.task);
    }
    format!(
        "{function} ({}) waits for a slot of the key '{key}': {}{most} are held.",
        wait.task,
        words::number(wait.held)
    )
}

/// For what its function, or its queue, has not.
fn waits_to_start(wait: &SlotWait, function: &str) -> String {
    if let Some(at) = wait.hold_ends_at {
        return format!("{function} ({}) waits: a handler has held the function until {at}.", wait.task);
    }
    let of = wait.queue.as_deref().map(|queue| format!("the queue '{}'", words::visible(queue)));
    let next = wait.next_at.map(|at| format!(": the next comes at {at}")).unwrap_or_default();
    format!("{function} ({}) waits for a token of {}{next}.", wait.task, of.as_deref().unwrap_or("the function"))
}

fn facts(screen: &mut Screen, title: &str, facts: Vec<(String, String)>) {
    if facts.is_empty() {
        return;
    }
    screen.line("");
    screen.line(screen.paint(Colour::Head, title));
    let rows: Vec<Vec<Cell>> =
        facts.into_iter().map(|(name, value)| vec![format!("  {name}").into(), value.into()]).collect();
    table::write(screen, &[], &rows);
}

fn head(snapshot: &Snapshot, screen: &mut Screen) {
    let execution = &snapshot.execution;
    let function = screen.paint(Colour::Head, &words::visible(&execution.root_function));
    screen.line(format!("{function}  {}", execution.id));
    let mut facts: Vec<(&str, Cell)> = vec![("state", marks::execution_state(execution.state))];
    let mut fact = |name, value: String| facts.push((name, value.into()));
    fact("created", marks::both(screen, execution.created_at));
    if let Some(time) = ran(execution) {
        fact("ran", time);
    }
    if let Some(expiry) = execution.expiry_at.filter(|_| !execution.state.is_terminal()) {
        fact("expires", marks::both(screen, expiry));
    }
    if let Some(queue) = &execution.queue {
        fact("queue", words::visible(queue));
    }
    if !execution.tags.is_empty() {
        fact("tags", words::visible(&execution.tags.join(", ")));
    }
    if execution.priority != 0 {
        fact("priority", execution.priority.to_string());
    }
    if let Some(origin) = snapshot.replay_of {
        fact("replay of", origin.to_string());
    }
    if let Some(why) = &snapshot.cancel_reason {
        fact("cancelled", words::visible(why));
    }
    fact("args", words::payload(&execution.args));
    if execution.kwargs.as_bytes() != b"{}" {
        fact("kwargs", words::payload(&execution.kwargs));
    }
    if let Some(result) = &execution.result {
        fact("result", words::payload(result));
    }
    if let Some(failure) = &execution.error {
        facts.push(("error", Cell::from(words::failure(failure)).in_colour(Some(Colour::Bad))));
        if let Some(details) = &failure.details {
            facts.push(("details", words::payload(details).into()));
        }
    }
    let rows: Vec<Vec<Cell>> = facts.into_iter().map(|(name, value)| vec![format!("  {name}").into(), value]).collect();
    table::write(screen, &[], &rows);
}

fn ran(execution: &Execution) -> Option<String> {
    let (started, took) = (execution.started_at?, words::duration(took(execution)?));
    let waited = words::duration(started.since(execution.created_at));
    let goes_on = if execution.completed_at.is_some() { "" } else { " so far" };
    Some(format!("{took}{goes_on}, begun after {waited}"))
}

fn values(snapshot: &Snapshot, screen: &mut Screen) {
    let counters = snapshot.counters.iter().map(|(name, value)| (words::visible(name), codec::to_json(value)));
    facts(screen, "COUNTERS", counters.collect());
    let state = snapshot.state.iter().map(|(name, value)| (words::visible(name), words::payload(value)));
    facts(screen, "STATE", state.collect());
}

fn told(signals: &[Signal], screen: &mut Screen) {
    if signals.is_empty() {
        return;
    }
    screen.line("");
    let row = |signal: &Signal| {
        vec![
            words::visible(&signal.name).into(),
            marks::when(screen, signal.created_at).into(),
            if signal.consumed { "yes" } else { "not yet" }.into(),
            words::payload(&signal.payload).into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = signals.iter().map(row).collect();
    table::write(screen, &["SIGNAL", "SENT", "TAKEN", "PAYLOAD"], &rows);
    if signals.len() == SIGNALS as usize {
        screen.line("There may be more signals.");
    }
}

fn below(all: &[Task], everything: bool, screen: &mut Screen) {
    if all.is_empty() {
        return;
    }
    screen.line("");
    let row = |line: &Line<'_>| match line {
        Line::Rest(text) => vec![Cell::from(text.as_str()).in_colour(Some(Colour::Dim))],
        Line::Task { name, task } => vec![
            name.as_str().into(),
            tasks::state(task),
            tasks::took(task).map(words::duration).unwrap_or_default().into(),
            tasks::news(screen, task).into(),
        ],
    };
    let rows: Vec<Vec<Cell>> = tree::lines(all, everything).iter().map(row).collect();
    table::write(screen, &["TASK", "STATE", "TOOK", "NEWS"], &rows);
}

/// Attempts in an answer for people, if not all are wanted.
const ATTEMPTS: usize = 20;

fn failed(view: &View, everything: bool, screen: &mut Screen) {
    if view.attempts.is_empty() {
        return;
    }
    screen.line("");
    let name = |id: Id| view.tasks.iter().find(|task| task.id == id).map(|task| words::visible(&task.step_name));
    let row = |attempt: &Attempt| {
        let took = attempt.started_at.map(|started| words::duration(attempt.ended_at.since(started)));
        let error = format!("{}: {}", attempt.kind, attempt.message);
        vec![
            Cell::from(name(attempt.task).unwrap_or_default()),
            marks::when(screen, attempt.ended_at).into(),
            took.unwrap_or_default().into(),
            attempt.worker_id.as_deref().map(words::visible).unwrap_or_default().into(),
            words::visible(&error).into(),
        ]
    };
    let shown = if everything { view.attempts.len() } else { ATTEMPTS };
    let rows: Vec<Vec<Cell>> = view.attempts.iter().take(shown).map(row).collect();
    table::write(screen, &["EARLIER ATTEMPT", "ENDED", "TOOK", "ON", "ERROR"], &rows);
    if view.attempts.len() > shown {
        screen.line(format!("And {} more: --all", words::number((view.attempts.len() - shown) as u64)));
    }
}

/// What to do next, where something is to be done.
fn rest(view: &View, screen: &mut Screen) {
    let mut hints = Vec::new();
    if let Some(parked) = view.tasks.iter().find(|task| tasks::is_parked(task)) {
        hints.push(format!("It waits for other code. If the code is right by now: stent resume {}", parked.id));
    }
    let waits = |task: &&Task| task.state == TaskState::Pending && task.retries > 0;
    if view.tasks.iter().any(|task| waits(&task)) && view.dead_letters.is_empty() {
        hints.push(format!("A task waits for its retry. To begin it now: stent retry {}", view.execution.execution.id));
    }
    if let Some(letter) = view.dead_letters.first() {
        hints.push(format!("It left a dead letter: stent dlq show {}", letter.task.id));
        hints.push(format!("To run its failed path again: stent retry {}", view.execution.execution.id));
    }
    if !hints.is_empty() {
        screen.line("");
        hints.iter().for_each(|hint| screen.line(hint));
    }
}
