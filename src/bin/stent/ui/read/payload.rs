//! Payloads as they are, to be downloaded.

use stent::backend::{Request, Response};
use stent::model::{Failure, Id, Payload};

use super::execution::execution_of;
use super::letters::letter;
use crate::ui::app::App;
use crate::ui::refusal::{Answer, Refusal};

/// Signals that are looked through.
const SIGNALS: u32 = 10_000;

fn there(found: Option<Payload>) -> Answer<Payload> {
    found.ok_or_else(|| Refusal::missing("There is no such payload."))
}

fn details(error: Option<Failure>) -> Option<Payload> {
    error.and_then(|failure| failure.details)
}

pub async fn of_execution(app: &App, id: Id, what: &str) -> Answer<Payload> {
    if let Some(name) = what.strip_prefix("state.") {
        let values = app.backend.call(Request::GetExecutionStateValues { execution_id: id }).await?;
        return there(if let Response::Values(mut values) = values { values.remove(name) } else { None });
    }
    if let Some(sequence) = what.strip_prefix("signal.") {
        let signals = app.backend.signals(id, SIGNALS).await?;
        let found = signals.into_iter().find(|signal| signal.sequence.to_string() == sequence);
        return there(found.map(|signal| signal.payload));
    }
    let execution = execution_of(app, id).await?;
    there(match what {
        "args" => Some(execution.args),
        "kwargs" => Some(execution.kwargs),
        "result" => execution.result,
        "details" => details(execution.error),
        _ => None,
    })
}

/// Of a dead letter's task, too, whose rows may be gone.
pub async fn of_task(app: &App, execution: Id, id: Id, what: &str) -> Answer<Payload> {
    let task = match app.backend.call(Request::GetTask { task_id: id }).await? {
        Response::Task(Some(task)) => *task,
        _ => letter(app, id).await?.task,
    };
    there(match what {
        _ if task.execution_id != execution => None,
        "args" => Some(task.args),
        "kwargs" => Some(task.kwargs),
        "result" => task.result,
        "details" => details(task.error),
        _ => None,
    })
}
