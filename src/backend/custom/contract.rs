//! Checks that an answer of the user's store fits the question, besides being well-formed: no other records than those
//! asked for, and not more of them.

use crate::backend::{Claim, Claimed, Request, Response};
use crate::model::{Execution, Id, Task, TaskState};

/// What is wrong, for the message.
type Broken = String;

pub(super) fn check(request: &Request, response: &Response) -> Result<(), Broken> {
    match (request, response) {
        (Request::GetExecution { execution_id }, Response::Execution(Some(found))) => {
            same("execution", *execution_id, found.id)
        }
        (Request::GetTask { task_id }, Response::Task(Some(found))) => same("task", *task_id, found.id),
        (Request::GetDeadTask { task_id }, Response::DeadLetter(Some(found))) => same("task", *task_id, found.task.id),
        (Request::GetSignal { execution_id, name }, Response::Signal(Some(found))) => {
            same("execution", *execution_id, found.execution_id)?;
            must(found.name == *name, || format!("it is about the signal {:?}, asked was for {name:?}", found.name))
        }
        (Request::ListTasksForExecution { execution_id }, Response::Tasks(found)) => {
            found.iter().try_for_each(|task| same("execution", *execution_id, task.execution_id))
        }
        (Request::ListTasks { limit, state, .. }, Response::Tasks(found)) => {
            at_most(*limit as usize, found.len())?;
            let other = state.and_then(|state| found.iter().find(|task| task.state != state));
            other.map_or(Ok(()), |task: &Task| Err(format!("it has a task that is {}", task.state)))
        }
        (Request::ListExecutions { limit, state, .. }, Response::Executions(found)) => {
            at_most(*limit as usize, found.len())?;
            let other = state.and_then(|state| found.iter().find(|execution| execution.state != state));
            other.map_or(Ok(()), |found: &Execution| Err(format!("it has an execution that is {}", found.state)))
        }
        (Request::ListDeadTasks { limit }, Response::DeadLetters(found)) => at_most(*limit as usize, found.len()),
        (Request::ClaimNextTask { worker_id, .. }, Response::Task(Some(task))) => is_held(worker_id, task),
        _ => Ok(()),
    }
}

/// There must be as many answers as questions.
pub(super) fn counted(what: &str, asked: usize, answered: usize) -> Result<(), Broken> {
    must(asked == answered, || format!("it has {answered} {what}, and {asked} were asked for"))
}

pub(super) fn is_claim(claim: Option<&Claim>, claimed: &[Claimed]) -> Result<(), Broken> {
    let Some(claim) = claim else { return at_most(0, claimed.len()) };
    at_most(claim.count + claim.limited, claimed.len())?;
    claimed.iter().try_for_each(|claimed| is_held(&claim.worker_id, &claimed.task))
}

/// A claimed task must be running, under a lease of the worker that asked.
fn is_held(worker_id: &str, task: &Task) -> Result<(), Broken> {
    must(task.state == TaskState::Running, || format!("a claimed task is {}; it must be running", task.state))?;
    must(task.worker_id.as_deref() == Some(worker_id), || {
        format!("a claimed task's worker_id is {:?}; it must be {worker_id:?}", task.worker_id)
    })?;
    must(task.lease_expires_at.is_some(), || "a claimed task has no lease_expires_at".to_owned())
}

fn at_most(limit: usize, found: usize) -> Result<(), Broken> {
    must(found <= limit, || format!("it has {found} records, and at most {limit} were asked for"))
}

fn same(what: &str, asked: Id, found: Id) -> Result<(), Broken> {
    must(asked == found, || format!("it is about the {what} {found}, asked was for {asked}"))
}

fn must(holds: bool, broken: impl FnOnce() -> Broken) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(broken()) }
}
