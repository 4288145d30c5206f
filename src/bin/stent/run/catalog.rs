//! What the store knows of functions, workers and queues, and its counts.

use std::time::Duration;

use serde::Serialize;
use stent::backend::{Pause, Registered, RegisteredWorker};
use stent::model::{ExecutionState, TaskState};

use super::pauses;
use crate::catalog::{self, Function, Queue};
use crate::marks;
use crate::place::Place;
use crate::screen::{Colour, Screen};
use crate::table::{self, Cell};
use crate::trouble::{DONE, Trouble};
use crate::words;

pub async fn functions(place: &Place, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        functions: Vec<Function>,
        /// Paused, and declared by no worker.
        paused_unknown: Vec<Pause>,
    }
    let registered = place.backend.registered().await?;
    let unknown = catalog::paused_unknown(&registered);
    let Registered { functions, pauses, .. } = registered;
    let functions: Vec<Function> =
        functions.into_iter().map(|(name, options)| Function::new(name, options, &pauses)).collect();
    let rows: Vec<Vec<Cell>> = functions.iter().map(|one| function(screen, one)).collect();
    if rows.is_empty() {
        screen.line("No functions. A worker declares those that it can run when it starts.");
    } else {
        table::write(
            screen,
            &[
                "FUNCTION",
                "VERSION",
                "QUEUE",
                "TAGS",
                "ATTEMPTS",
                "TIME-OUT",
                "AT ONCE",
                "PER KEY",
                "RATE",
                "RATE PER KEY",
                "PAUSED",
            ],
            &rows,
        );
    }
    for pause in &unknown {
        screen.line(format!("{}, which no worker has declared", pauses::told(screen, pause)));
    }
    screen.json(&View { functions, paused_unknown: unknown });
    Ok(DONE)
}

/// Since when, and why.
fn paused(screen: &Screen, pause: Option<&Pause>) -> Cell {
    let Some(pause) = pause else { return Cell::from(String::new()) };
    let reason = pause.reason.as_deref().map(|reason| format!(": {}", words::visible(reason))).unwrap_or_default();
    Cell::from(format!("{}{reason}", marks::when(screen, pause.since))).in_colour(Some(Colour::Bad))
}

fn function(screen: &Screen, function: &Function) -> Vec<Cell> {
    let attempts = function.retry_policy.as_ref().map(|policy| policy.max_attempts.to_string());
    let text = |text: &Option<String>| Cell::from(text.as_deref().map(words::visible).unwrap_or_default());
    vec![
        words::visible(&function.name).into(),
        text(&function.version),
        text(&function.queue),
        words::visible(&function.tags.join(", ")).into(),
        attempts.unwrap_or_default().into(),
        function.timeout_seconds.map(|s| words::duration(Duration::from_secs_f64(s))).unwrap_or_default().into(),
        function.max_concurrent.map(|most| most.to_string()).unwrap_or_default().into(),
        function.max_concurrent_per_key.map(|most| most.to_string()).unwrap_or_default().into(),
        function.rate.as_ref().map(words::rate).unwrap_or_default().into(),
        function.rate_per_key.as_ref().map(words::rate).unwrap_or_default().into(),
        paused(screen, function.paused.as_ref()),
    ]
}

/// What a worker serves: all where it names none.
fn served(names: &[String]) -> String {
    if names.is_empty() { "all".to_owned() } else { words::visible(&names.join(", ")) }
}

pub async fn workers(place: &Place, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        workers: Vec<RegisteredWorker>,
    }
    let workers = place.backend.registered().await?.workers;
    let row = |worker: &RegisteredWorker| {
        vec![
            words::visible(&worker.worker_id).into(),
            Cell::number(worker.running),
            marks::when(screen, worker.seen_at).into(),
            marks::when(screen, worker.started_at).into(),
            served(&worker.queues).into(),
            served(&worker.tags).into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = workers.iter().map(row).collect();
    if rows.is_empty() {
        screen.line("No workers. Nothing runs until one is started.");
    } else {
        table::write(screen, &["WORKER", "HOLDS", "SEEN", "STARTED", "QUEUES", "TAGS"], &rows);
    }
    screen.json(&View { workers });
    Ok(DONE)
}

pub async fn queues(place: &Place, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        queues: Vec<Queue<u64>>,
    }
    let registered = place.backend.registered().await?;
    let queues: Vec<_> = catalog::queues(&registered).into_iter().map(Queue::counted).collect();
    let rows: Vec<Vec<Cell>> = queues.iter().map(|one| queue(screen, one)).collect();
    if rows.is_empty() {
        screen.line("No queues. They come with functions, workers and what is dispatched.");
    } else {
        table::write(screen, &["QUEUE", "READY", "OLDEST", "WORKERS", "FUNCTIONS", "RATE", "PAUSED"], &rows);
    }
    screen.json(&View { queues });
    Ok(DONE)
}

fn queue(screen: &Screen, queue: &Queue<u64>) -> Vec<Cell> {
    let oldest = (queue.ready > 0).then(|| words::duration(Duration::from_secs_f64(queue.oldest_seconds)));
    let nobody = (queue.workers == 0 && queue.ready > 0).then_some(Colour::Bad);
    vec![
        queue.queue.as_deref().map_or_else(|| "(none)".to_owned(), words::visible).into(),
        Cell::number(queue.ready),
        oldest.unwrap_or_default().into(),
        Cell::number(queue.workers).in_colour(nobody),
        words::visible(&queue.functions.join(", ")).into(),
        queue.rate.as_ref().map(words::rate).unwrap_or_default().into(),
        paused(screen, queue.paused.as_ref()),
    ]
}

pub async fn stats(place: &Place, screen: &mut Screen) -> Result<u8, Trouble> {
    let stats = place.backend.stats().await?;
    let count = |word: &str, count: u64| vec![Cell::from(format!("  {word}")), Cell::number(count)];
    screen.line(screen.paint(Colour::Head, "EXECUTIONS"));
    let rows: Vec<_> = ExecutionState::WORDS
        .iter()
        .filter_map(|word| stats.executions.get(word).map(|found| count(word, *found)))
        .collect();
    match rows.is_empty() {
        true => screen.line("  none"),
        false => table::write(screen, &[], &rows),
    }
    screen.line("");
    screen.line(screen.paint(Colour::Head, "TASKS"));
    let mut rows: Vec<_> =
        TaskState::WORDS.iter().filter_map(|word| stats.tasks.get(word).map(|found| count(word, *found))).collect();
    rows.push(count("ready now", stats.ready.iter().map(|depth| depth.count).sum()));
    rows.push(count("scheduled", stats.scheduled));
    rows.push(count("parked", stats.parked));
    table::write(screen, &[], &rows);
    screen.line("");
    table::write(
        screen,
        &[],
        &[
            vec!["dead letters".into(), Cell::number(stats.dead_letters)],
            vec!["workers".into(), Cell::number(stats.workers)],
            vec!["schedules".into(), Cell::number(stats.schedules.active + stats.schedules.paused)],
        ],
    );
    screen.json(&stats);
    Ok(DONE)
}
