//! Tasks: lists of them, what is new of each, and resuming those that are parked.

use std::time::Duration;

use serde::Serialize;
use stent::backend::{Request, Response, TaskFilter};
use stent::model::{Id, Status, Task, TaskKind, TaskState};

use super::executions::find;
use crate::args;
use crate::marks;
use crate::place::Place;
use crate::screen::{Colour, Screen};
use crate::table::{self, Cell};
use crate::trouble::{DONE, Trouble};
use crate::words;

pub async fn list(place: &Place, list: args::Tasks, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        tasks: Vec<Task>,
        next: Option<Id>,
    }
    let limit = list.limit as usize;
    let mut tasks = match list.execution {
        Some(execution) => of_execution(place, execution, &list).await?,
        None => {
            let args::Tasks { state, function, queue, after, limit, .. } = list;
            let filter = TaskFilter { state, function, queue, after, limit: limit.saturating_add(1) };
            place.backend.tasks(filter).await?
        }
    };
    let more = tasks.len() > limit;
    tasks.truncate(limit);
    let next = tasks.last().map(|last| last.id).filter(|_| more);
    if tasks.is_empty() {
        screen.line("No tasks.");
    } else {
        let rows: Vec<Vec<Cell>> = tasks.iter().map(|task| row(screen, task)).collect();
        table::write(screen, &["ID", "FUNCTION", "KIND", "STATE", "CREATED", "TOOK", "NEWS"], &rows);
    }
    if let Some(next) = next {
        let told = format!("\nThe next page: --after {next}");
        screen.line(screen.paint(Colour::Dim, &told));
    }
    screen.json(&View { tasks, next });
    Ok(DONE)
}

/// Of one execution, newest id first, as those of all.
async fn of_execution(place: &Place, execution: Id, wanted: &args::Tasks) -> Result<Vec<Task>, Trouble> {
    let Response::Tasks(mut tasks) =
        place.backend.call(Request::ListTasksForExecution { execution_id: execution }).await?
    else {
        return Ok(Vec::new());
    };
    if tasks.is_empty() {
        find(place, execution).await?;
    }
    tasks.retain(|task| {
        wanted.after.is_none_or(|after| task.id < after)
            && wanted.state.is_none_or(|state| task.state == state)
            && wanted.function.as_ref().is_none_or(|function| task.step_name == *function)
            && wanted.queue.as_ref().is_none_or(|queue| task.queue.as_ref() == Some(queue))
    });
    tasks.sort_by_key(|task| std::cmp::Reverse(task.id));
    Ok(tasks)
}

fn row(screen: &Screen, task: &Task) -> Vec<Cell> {
    vec![
        task.id.to_string().into(),
        words::visible(&task.step_name).into(),
        task.kind.as_str().into(),
        state(task),
        marks::when(screen, task.created_at).into(),
        took(task).map(words::duration).unwrap_or_default().into(),
        news(screen, task).into(),
    ]
}

/// Stopped, since the code does not fit its journal: it waits for other code, with an error.
pub fn is_parked(task: &Task) -> bool {
    task.kind.is_run() && task.state == TaskState::Waiting && task.error.is_some()
}

pub fn state(task: &Task) -> Cell {
    if is_parked(task) {
        return Cell::from("parked").in_colour(Some(Colour::Bad));
    }
    marks::task_state(task.state)
}

/// From its start; of one that runs, until now.
pub fn took(task: &Task) -> Option<Duration> {
    let started = task.started_at?;
    match task.state {
        TaskState::Running => Some(words::now().since(started)),
        _ => Some(task.completed_at?.since(started)),
    }
}

/// The one thing that matters most of it.
pub fn news(screen: &Screen, task: &Task) -> String {
    let attempts = match task.retries {
        0 => String::new(),
        retries => format!("attempt {}; ", retries + 1),
    };
    let error = task.error.as_ref().map(words::failure);
    match task.state {
        TaskState::Completed => {
            let result = task.result.as_ref().map(words::payload).filter(|result| result != "null");
            result.map_or_else(String::new, |result| format!("→ {result}"))
        }
        TaskState::Failed => match task.retries {
            0 => error.unwrap_or_default(),
            retries => format!("{} (attempts: {})", error.unwrap_or_default(), retries + 1),
        },
        TaskState::Cancelled => error.unwrap_or_default(),
        TaskState::Running => {
            let worker = task.worker_id.as_deref().map(words::visible).unwrap_or_default();
            let lease = task.lease_expires_at.map(|end| format!(", lease until {}", marks::when(screen, end)));
            format!("{attempts}on {worker}{}", lease.unwrap_or_default())
        }
        TaskState::Pending | TaskState::Waiting => waits_for(screen, task, &attempts, error),
    }
}

fn waits_for(screen: &Screen, task: &Task, attempts: &str, error: Option<String>) -> String {
    let due = task.scheduled_for.filter(|due| *due > words::now()).map(|due| marks::when(screen, due));
    let what = match (task.kind, due) {
        (TaskKind::Timer, Some(due)) => format!("rings {due}"),
        (TaskKind::Signal, due) => {
            let limit = due.map(|due| format!(", at most until {due}")).unwrap_or_default();
            format!("for a signal, since {}{limit}", marks::when(screen, task.created_at))
        }
        (_, Some(due)) => format!("{attempts}begins {due}"),
        (_, None) => attempts.trim_end_matches("; ").to_owned(),
    };
    match error {
        Some(error) if what.is_empty() => error,
        Some(error) => format!("{what}; {error}"),
        None => what,
    }
}

/// By its own id, or by that of its execution.
pub async fn resume(place: &Place, id: Id, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        resumed: Vec<Id>,
    }
    let parked = match place.backend.snapshot(id).await? {
        None => vec![id],
        Some(_) => match place.backend.call(Request::ListTasksForExecution { execution_id: id }).await? {
            Response::Tasks(tasks) => tasks.iter().filter(|task| is_parked(task)).map(|task| task.id).collect(),
            _ => Vec::new(),
        },
    };
    if parked.is_empty() {
        return Err(Trouble::conflict(format!("no task of the execution {id} is parked")));
    }
    let mut resumed = Vec::new();
    for task in parked {
        match place.executor.resume(task).await {
            Ok(()) => resumed.push(task),
            // Another version of the code has come by in the meantime.
            Err(why) if why.status() == Status::Conflict && task != id => {}
            Err(why) if why.status() == Status::NotFound => {
                return Err(Trouble::not_found(format!("there is no execution and no task {id}")));
            }
            Err(why) => return Err(why.into()),
        }
    }
    screen.line(format!("{} can be claimed again.", words::several(resumed.len() as u64, "task")));
    screen.json(&View { resumed });
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use stent::model::{Failure, Payload, Timestamp};

    use super::*;

    fn task(kind: TaskKind, state: TaskState) -> Task {
        let mut task = Task::new(Id::nil(), Id::nil(), kind, "f", Timestamp::from_micros(0));
        task.state = state;
        task
    }

    #[test]
    fn the_news_are_what_matters_most() {
        let screen = Screen::new(false, true);
        let mut done = task(TaskKind::Activity, TaskState::Completed);
        done.result = Some(Payload::from("[1]"));
        assert_eq!(news(&screen, &done), "→ [1]");
        let mut failed = task(TaskKind::Activity, TaskState::Failed);
        failed.error = Some(Failure::new("Oops", "it broke"));
        failed.retries = 2;
        assert_eq!(news(&screen, &failed), "Oops: it broke (attempts: 3)");
        let mut timer = task(TaskKind::Timer, TaskState::Pending);
        timer.scheduled_for = Some(words::now().after(Duration::from_secs(7_250)));
        assert!(news(&screen, &timer).starts_with("rings "));
        let mut again = task(TaskKind::Activity, TaskState::Pending);
        again.retries = 1;
        assert_eq!(news(&screen, &again), "attempt 2");
        let mut parked = task(TaskKind::Orchestrator, TaskState::Waiting);
        assert!(!is_parked(&parked));
        parked.error = failed.error;
        assert!(is_parked(&parked));
        assert_eq!(news(&screen, &parked), "Oops: it broke");
    }
}
