//! Dead letters: one, or all that a filter admits.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use stent::backend::{DeadLetterFilter, Replayed, Request, Response};
use stent::model::{DeadLetter, Id, Status, TaskState};

use super::executions::find;
use crate::args::{Dlq, LetterFilter, Which};
use crate::marks;
use crate::place::Place;
use crate::screen::{Colour, Screen};
use crate::table::{self, Cell};
use crate::trouble::{DONE, Trouble};
use crate::words;

/// Letters in one look at the store.
const PAGE: u32 = 100;

pub async fn dlq(place: &Place, dlq: Dlq, screen: &mut Screen) -> Result<u8, Trouble> {
    match dlq {
        Dlq::List { filter, limit, offset } => list(place, filter, limit, offset, screen).await,
        Dlq::Show { task } => show(place, task, screen).await,
        Dlq::Replay(which) => replay(place, which, screen).await,
        Dlq::Discard(which) => discard(place, which, screen).await,
    }
}

fn wanted(LetterFilter { function, execution }: LetterFilter, limit: u32, offset: u32) -> DeadLetterFilter {
    DeadLetterFilter { task: None, execution, function, limit, offset }
}

async fn list(
    place: &Place,
    filter: LetterFilter,
    limit: u32,
    offset: u32,
    screen: &mut Screen,
) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        dead_letters: Vec<DeadLetter>,
        next: Option<u32>,
    }
    let filtered = filter.function.is_some() || filter.execution.is_some() || offset > 0;
    let mut letters = place.backend.dead_letters(wanted(filter, limit.saturating_add(1), offset)).await?;
    let more = letters.len() > limit as usize;
    letters.truncate(limit as usize);
    let next = more.then(|| offset.saturating_add(limit));
    let row = |letter: &DeadLetter| {
        vec![
            letter.task.id.to_string().into(),
            words::visible(&letter.task.step_name).into(),
            marks::when(screen, letter.moved_at).into(),
            Cell::number(u64::from(letter.task.retries) + 1),
            words::visible(&letter.reason).into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = letters.iter().map(row).collect();
    if rows.is_empty() {
        screen.line(if filtered {
            "No such dead letters."
        } else {
            "No dead letters. A task that has used up its attempts leaves one."
        });
    } else {
        table::write(screen, &["TASK", "FUNCTION", "DIED", "ATTEMPTS", "REASON"], &rows);
    }
    if let Some(next) = next {
        let told = format!("\nThe next page: --offset {next}");
        screen.line(screen.paint(Colour::Dim, &told));
    }
    screen.json(&View { dead_letters: letters, next });
    Ok(DONE)
}

async fn one(place: &Place, task: Id) -> Result<DeadLetter, Trouble> {
    let filter = DeadLetterFilter { task: Some(task), limit: 1, ..DeadLetterFilter::default() };
    let found = place.backend.dead_letters(filter).await?.pop();
    found.ok_or_else(|| {
        Trouble::not_found(format!("there is no dead letter of the task {task}"))
            .hint("stent dlq list shows the ids of those that there are")
    })
}

async fn show(place: &Place, task: Id, screen: &mut Screen) -> Result<u8, Trouble> {
    let letter = one(place, task).await?;
    let DeadLetter { task, reason, moved_at } = &letter;
    let function = screen.paint(Colour::Head, &words::visible(&task.step_name));
    screen.line(format!("{function}  {}", task.id));
    let mut facts: Vec<(&str, String)> = vec![
        ("execution", task.execution_id.to_string()),
        ("died", marks::both(screen, *moved_at)),
        ("attempts", (u64::from(task.retries) + 1).to_string()),
        ("reason", words::visible(reason)),
        ("args", words::payload(&task.args)),
    ];
    if task.kwargs.as_bytes() != b"{}" {
        facts.push(("kwargs", words::payload(&task.kwargs)));
    }
    if let Some(failure) = &task.error {
        facts.push(("error", words::failure(failure)));
        facts.extend(failure.code.as_deref().map(|code| ("code", words::visible(code))));
        facts.extend(failure.details.as_ref().map(|details| ("details", words::payload(details))));
    }
    let rows: Vec<Vec<Cell>> =
        facts.into_iter().map(|(name, value)| vec![format!("  {name}").into(), value.into()]).collect();
    table::write(screen, &[], &rows);
    if let Some(stack) = task.error.as_ref().and_then(|failure| failure.stack.as_deref()) {
        screen.line("");
        stack.lines().for_each(|line| screen.line(format!("  {}", words::visible(line))));
    }
    screen.json(&letter);
    Ok(DONE)
}

/// A letter that stays: why.
#[derive(Serialize)]
struct Left {
    task_id: Id,
    why: String,
}

/// What was done with each letter.
struct Done<R> {
    done: Vec<R>,
    left: Vec<Left>,
}

/// Does the same with one letter, or with all that the filter admits.
async fn each<R>(
    place: &Place,
    which: Which,
    screen: &Screen,
    question: &str,
    what: impl AsyncFn(Id) -> stent::model::Result<R>,
) -> Result<Done<R>, Trouble> {
    let Which { task, filter, all, yes } = which;
    if let Some(task) = task {
        one(place, task).await?;
        screen.confirm(yes, &question.replace("{}", "this dead letter"))?;
        return Ok(Done { done: vec![what(task).await?], left: Vec::new() });
    }
    let first = place.backend.dead_letters(wanted(filter.clone(), PAGE, 0)).await?;
    // All of none are seen to; a name that none has may be a wrong one.
    if first.is_empty() && !all {
        return Err(Trouble::not_found("there is no such dead letter"));
    }
    if first.is_empty() {
        screen.aside("There are no dead letters.");
        return Ok(Done { done: Vec::new(), left: Vec::new() });
    }
    let many = if first.len() < PAGE as usize {
        words::several(first.len() as u64, "dead letter")
    } else {
        format!("{PAGE} or more dead letters")
    };
    screen.confirm(yes, &question.replace("{}", &many))?;
    let bar = bar();
    let mut all = Done { done: Vec::new(), left: Vec::new() };
    loop {
        // Those that could not be seen to stay where they are.
        let passed = u32::try_from(all.left.len()).unwrap_or(u32::MAX);
        let page = place.backend.dead_letters(wanted(filter.clone(), PAGE, passed)).await?;
        if page.is_empty() {
            bar.finish_and_clear();
            return Ok(all);
        }
        for letter in page {
            let task_id = letter.task.id;
            match what(task_id).await {
                Ok(done) => all.done.push(done),
                // Somebody else was first.
                Err(why) if why.status() == Status::NotFound => {}
                Err(why) if why.is_retryable() => return Err(why.into()),
                Err(why) => all.left.push(Left { task_id, why: why.message().to_owned() }),
            }
            bar.inc(1);
        }
    }
}

/// On standard error, and only where that is a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let plain = ProgressStyle::with_template("{spinner} {pos} seen to, {per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(plain);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn tell_left(left: &[Left], screen: &Screen) {
    for Left { task_id, why } in left {
        screen.aside(format!("{task_id} stays: {}", words::visible(why)));
    }
}

async fn replay(place: &Place, which: Which, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        replayed: Vec<Replayed>,
        left: Vec<Left>,
    }
    // One letter is replayed as it was asked for; of many, a person says so again.
    let which = Which { yes: which.yes || which.task.is_some(), ..which };
    let question = "Replay {}? Each starts a new execution.";
    let Done { done, left } =
        each(place, which, screen, question, async |task| place.executor.replay_dead_letter(task).await).await?;
    for replayed in &done {
        screen.line(replayed.execution);
    }
    tell_left(&left, screen);
    screen.json(&View { replayed: done, left });
    Ok(DONE)
}

async fn discard(place: &Place, which: Which, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        discarded: u64,
        left: Vec<Left>,
    }
    let question = "Discard {}? What failed can't be replayed then.";
    let Done { done, left } =
        each(place, which, screen, question, async |task| place.executor.discard_dead_letter(task).await).await?;
    let discarded = done.len() as u64;
    if discarded > 0 {
        screen.line(format!("{} discarded.", words::several(discarded, "dead letter")));
    }
    tell_left(&left, screen);
    screen.json(&View { discarded, left });
    Ok(DONE)
}

#[derive(Serialize)]
struct Hastened {
    hastened: Vec<Id>,
}

/// Those that have waited for their time, the one of a retry or of a delay.
async fn hastened(place: &Place, execution: Id) -> Result<Vec<Id>, Trouble> {
    let Response::Tasks(tasks) = place.backend.call(Request::ListTasksForExecution { execution_id: execution }).await?
    else {
        return Ok(Vec::new());
    };
    let waits = tasks.iter().filter(|task| task.kind.is_run() && task.state == TaskState::Pending);
    Ok(place.backend.hasten(waits.map(|task| task.id).collect()).await?)
}

/// Replays the letters that an execution has left; if there are none, what waits for its time begins at once.
pub async fn retry(place: &Place, id: Id, screen: &mut Screen) -> Result<u8, Trouble> {
    let filter = LetterFilter { function: None, execution: Some(id) };
    if place.backend.dead_letters(wanted(filter.clone(), 1, 0)).await?.is_empty() {
        let state = find(place, id).await?.execution.state;
        let begun = hastened(place, id).await?;
        if begun.is_empty() {
            return Err(Trouble::conflict(format!(
                "the execution {id} is {state}, has left no dead letter, and no task of it waits for its time; only a failed \
                 path is run again"
            )));
        }
        screen.line(format!("{} can be claimed now.", words::several(begun.len() as u64, "task")));
        screen.json(&Hastened { hastened: begun });
        return Ok(DONE);
    }
    replay(place, Which { task: None, filter, all: false, yes: true }, screen).await
}
