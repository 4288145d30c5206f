//! What the protocol's records must keep to, whatever the store has.

use stent::backend::Request;
use stent::model::{Error, Execution, Number, Result, Task, TaskKind, check_name, check_tags};

pub fn check(request: &Request) -> Result<()> {
    request.check()?;
    match request {
        Request::CreateExecution { execution } | Request::UpdateExecution { execution } => check_execution(execution),
        Request::CreateExecutionWithRootTask { execution, task } => {
            check_execution(execution)?;
            check_task(task)?;
            let is_root = task.kind == TaskKind::Orchestrator && task.parent_task_id.is_none();
            check_that(is_root && task.execution_id == execution.id, "it is no root of this execution")
        }
        Request::CreateTask { task } | Request::MoveTaskToDeadLetter { task, .. } => check_task(task),
        Request::CreateTasks { tasks } => tasks.iter().try_for_each(check_task),
        Request::ClaimNextTask { worker_id, .. } => check_name("worker_id", worker_id),
        Request::CreateSignal { signal } => check_name("name", &signal.name),
        Request::EnsureExecutionCounters { counters, .. } => {
            counters.iter().try_for_each(|(name, value)| check_counter(name, *value))
        }
        Request::IncrementExecutionCounter { name, amount, .. } => check_counter(name, *amount),
        Request::EnsureExecutionStateValues { values, .. } => values.keys().try_for_each(|key| check_name("key", key)),
        Request::SetExecutionStateValue { key, .. } => check_name("key", key),
        _ => Ok(()),
    }
}

fn check_execution(execution: &Execution) -> Result<()> {
    check_name("root_function", &execution.root_function)?;
    execution.queue.iter().try_for_each(|queue| check_name("queue", queue))?;
    check_tags(&execution.tags)
}

fn check_task(task: &Task) -> Result<()> {
    check_name("step_name", &task.step_name)?;
    task.queue.iter().try_for_each(|queue| check_name("queue", queue))?;
    task.retry_policy.iter().try_for_each(|policy| policy.check())?;
    check_that(i64::try_from(task.fence).is_ok(), "the fence is too large")?;
    check_tags(&task.tags)
}

fn check_counter(name: &str, value: Number) -> Result<()> {
    let is_finite = |value| match value {
        Number::Integer(_) => true,
        Number::Real(real) => real.is_finite(),
    };
    check_name("counter", name)?;
    check_that(is_finite(value), "the number is not finite")
}

fn check_that(holds: bool, why: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::invalid(why)) }
}
