//! Does what was asked for.

use std::time::{Duration, Instant};

use serde::Serialize;
use stent::backend::{NewSignal, Pausable, ScheduleChange};
use stent::model::{DispatchRequest, Error, Id, Status};

use super::asked::{Asked, Which};
use super::kind::Of;
use crate::ui::app::App;
use crate::ui::page::WantedSchedules;
use crate::ui::read::{LETTERS_PAGE, execution_of, parked_tasks, waiting_tasks};
use crate::ui::refusal::{Answer, Refusal};
use crate::words::several;

/// Of a great many letters, as many are seen to in one request as take so long.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize)]
pub struct Done {
    /// What there is now, or what was seen to.
    pub ids: Vec<String>,
    /// Letters that stay, and why.
    pub left: Vec<Left>,
    /// There are more letters: ask again.
    pub more: bool,
    pub message: String,
    /// Where to look next.
    #[serde(skip)]
    pub to: String,
}

#[derive(Debug, Serialize)]
pub struct Left {
    pub task_id: Id,
    pub why: String,
}

impl Done {
    fn new(ids: Vec<String>, message: impl Into<String>, to: impl Into<String>) -> Self {
        Self { ids, left: Vec::new(), more: false, message: message.into(), to: to.into() }
    }
}

pub async fn perform(app: &App, asked: Asked) -> Answer<Done> {
    match asked {
        Asked::Dispatch(dispatch) => {
            let DispatchRequest { function, args, options } = *dispatch;
            let id = app.executor.dispatch(&function, args, options).await?;
            Ok(Done::new(vec![id.to_string()], format!("'{function}' is dispatched."), of(id)))
        }
        Asked::Signal { execution, name, payload, id } => {
            let message = format!("The signal '{name}' is sent.");
            app.executor.signal(NewSignal { execution, name, payload, id }).await?;
            Ok(Done::new(vec![execution.to_string()], message, of(execution)))
        }
        Asked::Cancel { execution, reason } => {
            app.executor.cancel(execution, reason).await?;
            Ok(Done::new(vec![execution.to_string()], "It is being cancelled, with all that it called.", of(execution)))
        }
        Asked::Resume(execution) => resume(app, execution).await,
        Asked::Retry(execution) => {
            let which = Which { execution: Some(execution), ..Which::default() };
            let letters = app.backend.dead_letters(which.filter(1, 0)).await?;
            if letters.is_empty() {
                execution_of(app, execution).await?;
                return Err(Refusal::conflict("It has left no dead letter.").hint("Only a failed path is run again."));
            }
            replay(app, &which).await
        }
        Asked::Hasten(execution) => {
            let waiting = waiting_tasks(app, execution).await?;
            let begun = app.backend.hasten(waiting.iter().map(|one| one.task_id).collect()).await?;
            if begun.is_empty() {
                execution_of(app, execution).await?;
                return Err(Refusal::conflict("No task of it waits for its time.").hint("It may have begun by now."));
            }
            let message = format!("{} can be claimed now.", several(begun.len() as u64, "task"));
            Ok(Done::new(begun.iter().map(ToString::to_string).collect(), message, of(execution)))
        }
        Asked::Replay(which) => replay(app, &which).await,
        Asked::Schedule { name, change } => schedule(app, &name, change).await,
        Asked::Discard(which) => {
            let mut done = each(app, &which, Deed::Discard).await?;
            done.message = format!("{} discarded.", several(done.ids.len() as u64, "dead letter"));
            Ok(done)
        }
        Asked::Pause(pause) => {
            let (message, to) = (format!("Of {} nothing is claimed.", pause.what), list(&pause.what));
            app.executor.pause(pause).await?;
            Ok(Done::new(Vec::new(), message, to))
        }
        Asked::Unpause(what) => {
            let (message, to) = (format!("{what} is claimed again."), list(&what));
            app.executor.unpause(what).await?;
            Ok(Done::new(Vec::new(), message, to))
        }
    }
}

fn list(what: &Pausable) -> &'static str {
    match what {
        Pausable::Queue(_) => Of::Queue.list(),
        Pausable::Function(_) => Of::Function.list(),
    }
}

/// Where a tick has started an execution, that is where to look.
async fn schedule(app: &App, name: &str, change: ScheduleChange) -> Answer<Done> {
    let message = match &change {
        ScheduleChange::Pause { .. } => format!("The schedule '{name}' is paused."),
        ScheduleChange::Resume => format!("The schedule '{name}' goes on."),
        _ => format!("The schedule '{name}' has ticked."),
    };
    let ticks = app.executor.change_schedule(name, change).await?;
    let started: Vec<String> = ticks.iter().filter_map(|tick| tick.execution_id).map(|id| id.to_string()).collect();
    let message = match ticks.last() {
        Some(tick) if started.is_empty() => format!("{message} Its state is '{}': another run goes on.", tick.state),
        _ => message,
    };
    let to = started.last().map_or_else(|| WantedSchedules::one(name).link(), of);
    let ids = if started.is_empty() { vec![name.to_owned()] } else { started };
    Ok(Done::new(ids, message, to))
}

fn of(execution: impl std::fmt::Display) -> String {
    format!("/executions/{execution}")
}

async fn resume(app: &App, execution: Id) -> Answer<Done> {
    let parked = parked_tasks(app, execution).await?;
    if parked.is_empty() {
        execution_of(app, execution).await?;
        return Err(Refusal::conflict("No task of it is parked.").hint("It may have gone on by now."));
    }
    let mut ids = Vec::new();
    for one in parked {
        match app.executor.resume(one.task_id).await {
            Ok(()) => ids.push(one.task_id.to_string()),
            // Another version of the code has come by in the meantime.
            Err(why) if why.status() == Status::Conflict => {}
            Err(why) => return Err(why.into()),
        }
    }
    let message = format!("{} can be claimed again.", several(ids.len() as u64, "task"));
    Ok(Done::new(ids, message, of(execution)))
}

async fn replay(app: &App, which: &Which) -> Answer<Done> {
    let mut done = each(app, which, Deed::Replay).await?;
    done.message = format!("{} started.", several(done.ids.len() as u64, "execution"));
    if let ([id], true) = (done.ids.as_slice(), done.left.is_empty()) {
        done.to = of(id);
    }
    Ok(done)
}

#[derive(Clone, Copy)]
enum Deed {
    Replay,
    Discard,
}

impl Deed {
    /// The id of what is told of: the new execution, or the letter's task.
    async fn of(self, app: &App, task: Id) -> Result<Id, Error> {
        match self {
            Self::Replay => app.executor.replay_dead_letter(task).await.map(|replayed| replayed.execution),
            Self::Discard => app.executor.discard_dead_letter(task).await.map(|()| task),
        }
    }
}

/// The same with each of them. One that somebody else has seen to is passed over, but where it is the only one.
async fn each(app: &App, which: &Which, deed: Deed) -> Answer<Done> {
    let begun = Instant::now();
    let mut done = Done::new(Vec::new(), "", "/dead-letters");
    if !which.tasks.is_empty() {
        for task in &which.tasks {
            match deed.of(app, *task).await {
                Err(why) if which.tasks.len() == 1 => return Err(why.into()),
                answer => take(&mut done, *task, answer)?,
            }
        }
        return Ok(done);
    }
    loop {
        // Those that could not be seen to stay where they are.
        let passed = u32::try_from(done.left.len()).unwrap_or(u32::MAX);
        let page = app.backend.dead_letters(which.filter(LETTERS_PAGE, passed)).await?;
        if page.is_empty() {
            return Ok(done);
        }
        for letter in page {
            let answer = deed.of(app, letter.task.id).await;
            take(&mut done, letter.task.id, answer)?;
            if begun.elapsed() > PATIENCE {
                done.more = true;
                return Ok(done);
            }
        }
    }
}

fn take(done: &mut Done, task_id: Id, answer: Result<Id, Error>) -> Answer<()> {
    match answer {
        Ok(id) => done.ids.push(id.to_string()),
        Err(why) if why.status() == Status::NotFound => {}
        Err(why) if why.is_retryable() && done.ids.is_empty() => return Err(why.into()),
        Err(why) => done.left.push(Left { task_id, why: why.message().to_owned() }),
    }
    Ok(())
}
