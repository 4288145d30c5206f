//! Checks of the records that the protocol writes, and of the changes that it may make to them.

use std::collections::HashMap;
use std::fmt::Display;

use super::Ending;
use crate::model::{
    Error, Execution, ExecutionState, Failure, Id, Number, Payload, Result, Task, TaskKind, TaskState, Timestamp,
    check_name, check_tags,
};

pub(in crate::backend) fn check_task(task: &Task) -> Result<()> {
    check_name("step_name", &task.step_name)?;
    if let Some(queue) = &task.queue {
        check_name("queue", queue)?;
    }
    if let Some(policy) = &task.retry_policy {
        policy.check()?;
    }
    if task.parent_task_id == Some(task.id) {
        return Err(own_ancestor(task.id));
    }
    if i64::try_from(task.fence).is_err() {
        return Err(Error::invalid(format!("fence is {}; it must be below 2^63", task.fence)).with("key", "fence"));
    }
    check_tags(&task.tags)
}

pub(in crate::backend) fn check_execution(execution: &Execution) -> Result<()> {
    check_name("root_function", &execution.root_function)?;
    if let Some(queue) = &execution.queue {
        check_name("queue", queue)?;
    }
    check_tags(&execution.tags)
}

pub(in crate::backend) fn check_root(execution: &Execution, task: &Task) -> Result<()> {
    if task.execution_id == execution.id && task.kind == TaskKind::Orchestrator && task.parent_task_id.is_none() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "task {} can't be the root of execution {}: a root task is of kind orchestrator, has no parent_task_id, \
         and its execution_id is the execution's",
        task.id, execution.id
    ))
    .with("key", "task"))
}

pub(in crate::backend) fn task_exists(id: Id) -> Error {
    Error::conflict(format!(
        "create the task: one with the id {id} exists already, or is given twice; give it an id of its own"
    ))
    .with("task_id", id.to_string())
}

/// Such a task would wait for itself, and its root would never be found.
pub(in crate::backend) fn own_ancestor(id: Id) -> Error {
    Error::invalid(format!(
        "task {id} would be its own ancestor; parent_task_id is the task that called it, and in the end a root has none"
    ))
    .with("key", "parent_task_id")
    .with("task_id", id.to_string())
}

/// The letter's task has no root: its ancestors form a circle.
pub(in crate::backend) fn no_root(letter: Id) -> Error {
    Error::conflict(format!("replay: the parents of task {letter} form a circle, so there is no root to begin with"))
        .with("task_id", letter.to_string())
}

/// A replay runs the letter's task again. What is no task of a worker runs in the handler that issued it.
pub(in crate::backend) fn may_replay(letter: &Task) -> Result<()> {
    if letter.kind.is_run() {
        return Ok(());
    }
    let (id, kind) = (letter.id, letter.kind);
    let of = letter.parent_task_id.map_or("of no task".to_owned(), |parent| format!("of task {parent}"));
    Err(Error::conflict(format!(
        "replay: {id} is a {kind} {of}, and no worker runs it by itself; replay that task's dead letter, or dispatch the \
         workflow anew"
    ))
    .with("task_id", id.to_string()))
}

/// A letter written from outside, beside the task that is stored under its id.
pub(in crate::backend) fn check_letter(letter: &Task, stored: Option<&Task>) -> Result<()> {
    match stored {
        Some(stored) if stored.execution_id != letter.execution_id => Err(Error::conflict(format!(
            "the dead letter names execution {}, but task {} is of execution {}",
            letter.execution_id, letter.id, stored.execution_id
        ))
        .with("task_id", letter.id.to_string())),
        _ => Ok(()),
    }
}

/// Finds a task that is its own ancestor among these.
pub(in crate::backend) fn circle_among(tasks: &[Task]) -> Option<Id> {
    let parents: HashMap<Id, Option<Id>> = tasks.iter().map(|task| (task.id, task.parent_task_id)).collect();
    // `seen` holds the walk that reached each task first: meeting an earlier walk's task means that there is no circle.
    let mut seen: HashMap<Id, usize> = HashMap::with_capacity(tasks.len());
    for (way, task) in tasks.iter().enumerate() {
        let mut at = Some(task.id);
        while let Some(id) = at {
            match seen.insert(id, way) {
                Some(earlier) if earlier == way => return Some(id),
                Some(_) => break,
                None => at = parents.get(&id).copied().flatten(),
            }
        }
    }
    None
}

/// Refuses an unfinished root task in an execution that has ended or is being cancelled.
pub(in crate::backend) fn check_runs(execution: &Execution, root: &Task) -> Result<()> {
    let runs = matches!(execution.state, ExecutionState::Pending | ExecutionState::Running);
    if runs || root.state.is_terminal() {
        return Ok(());
    }
    Err(execution_is_over(execution.id, execution.state.as_str(), root.id))
}

/// Nobody would ever run it.
pub(in crate::backend) fn execution_is_over(execution: Id, state: &str, task: Id) -> Error {
    Error::conflict(format!(
        "create task {task}: its execution {execution} is {state}, so nobody would run it; dispatch anew"
    ))
    .with("execution_id", execution.to_string())
    .with("state", state)
}

/// When a record ended: each that is over has a time, and no other one, whatever a tool has written. Sweeps and cleanups
/// look for executions by it.
pub(in crate::backend) fn completed_at(is_over: bool, said: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    is_over.then(|| said.unwrap_or(now))
}

pub(in crate::backend) fn unknown_task(id: Id) -> Error {
    Error::not_found(format!("there is no task {id}; its id is wrong, or it has been cleaned up"))
        .with("task_id", id.to_string())
}

pub(in crate::backend) fn unknown_execution(id: Id) -> Error {
    Error::not_found(format!("there is no execution {id}; its id is wrong, or it has been cleaned up"))
        .with("execution_id", id.to_string())
}

/// How something ended: its state, its result, its error.
type Over<'a, S> = (S, &'a Option<Payload>, &'a Option<Failure>);

/// Writing the same end again is accepted: it may repeat a commit whose answer was lost. Any other end is a conflict.
pub(in crate::backend) fn same_end<S: PartialEq + Display>(
    what: &str,
    id: Id,
    stored: Over<'_, S>,
    new: Over<'_, S>,
) -> Result<()> {
    if stored == new {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "{what} {id} is {} already, and an end never changes; {} with this result and error is another end",
        stored.0, new.0
    ))
    .with("state", stored.0.to_string()))
}

/// An execution that is being cancelled may only end.
pub(in crate::backend) fn execution_may_become(id: Id, stored: ExecutionState, new: ExecutionState) -> Result<()> {
    let goes_back = matches!(new, ExecutionState::Pending | ExecutionState::Running | ExecutionState::Completed);
    if stored != ExecutionState::Cancelling || !goes_back {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "execution {id} is being cancelled and can't become {new}; it may only end, as cancelled, timed_out or failed"
    ))
    .with("state", stored.as_str()))
}

/// The end that a record's state stands for. `None`: the task has not ended.
pub(in crate::backend) fn from_outside(task: &Task) -> Option<Ending> {
    match task.state {
        TaskState::Completed => Some(Ending::Completed(task.result.clone().unwrap_or_else(Payload::null))),
        TaskState::Failed => {
            let unsaid = || Failure::new("Error", "the task was failed from outside, without an error");
            Some(Ending::Failed(task.error.clone().unwrap_or_else(unsaid)))
        }
        TaskState::Cancelled => Some(Ending::Cancelled),
        TaskState::Pending | TaskState::Running | TaskState::Waiting => None,
    }
}

/// Integers stay exact integers: a sum that does not fit is refused rather than rounded.
pub(in crate::backend) fn sum(name: &str, value: Number, amount: Number) -> Result<Number> {
    let real = |number: Number| match number {
        Number::Integer(whole) => whole as f64,
        Number::Real(real) => real,
    };
    let sum = match (value, amount) {
        (Number::Integer(value), Number::Integer(amount)) => value.checked_add(amount).map(Number::Integer),
        _ => Some(real(value) + real(amount)).filter(|sum| sum.is_finite()).map(Number::Real),
    };
    sum.ok_or_else(|| out_of_range(name))
}

/// A counter's sum that no number holds.
pub(in crate::backend) fn out_of_range(name: &str) -> Error {
    Error::invalid(format!("the counter '{name}' would leave the range of its numbers; it keeps its value"))
        .with("key", "amount")
}

pub(in crate::backend) fn check_counter(name: &str, value: Number) -> Result<()> {
    check_name("a counter's name", name)?;
    match value {
        Number::Real(real) if !real.is_finite() => {
            Err(Error::invalid(format!("the number for the counter '{name}' is {real}; it must be finite"))
                .with("key", "amount"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Status;

    #[test]
    fn the_same_end_again_is_no_other_end() {
        let (null, none) = (Some(Payload::null()), None);
        let end = |stored, new| same_end("task", Id::nil(), (stored, &null, &none), (new, &null, &none));
        assert!(end(TaskState::Completed, TaskState::Completed).is_ok());
        let other = end(TaskState::Completed, TaskState::Failed).unwrap_err();
        assert_eq!(other.status(), Status::Conflict);
        assert!(other.message().contains("is completed already"), "{other}");
        let result = same_end("task", Id::nil(), (TaskState::Failed, &null, &none), (TaskState::Failed, &None, &none));
        assert!(result.is_err(), "another result is another end");
    }

    #[test]
    fn what_is_over_has_a_time_and_nothing_else_has() {
        let [now, given] = [7, 3].map(Timestamp::from_micros);
        assert_eq!(completed_at(false, Some(given), now), None);
        assert_eq!(completed_at(true, Some(given), now), Some(given));
        assert_eq!(completed_at(true, None, now), Some(now));
    }

    #[test]
    fn what_is_being_cancelled_only_ends() {
        use ExecutionState::{Cancelled, Cancelling, Completed, Failed, Pending, Running};
        let may = |stored, new| execution_may_become(Id::nil(), stored, new).is_ok();
        assert!(!may(Cancelling, Running) && !may(Cancelling, Completed));
        assert!(may(Cancelling, Cancelled) && may(Cancelling, Failed) && may(Running, Pending));
    }

    #[test]
    fn a_circle_is_found_wherever_one_begins() {
        let task = |id: u128, parent: Option<u128>| Task {
            parent_task_id: parent.map(Id::from_u128),
            ..Task::new(Id::from_u128(id), Id::nil(), TaskKind::Activity, "f", Timestamp::from_micros(0))
        };
        let tree = [task(4, Some(3)), task(1, None), task(3, Some(2)), task(2, Some(9)), task(5, Some(3))];
        assert_eq!(circle_among(&tree), None);
        let lasso = [task(5, Some(4)), task(4, Some(3)), task(3, Some(2)), task(2, Some(4))];
        assert!(circle_among(&lasso).is_some_and(|id| id != Id::from_u128(5)));
        assert_eq!(check_task(&task(1, Some(1))).unwrap_err().status(), Status::Invalid);
    }

    #[test]
    fn sums_stay_exact_or_are_refused() {
        let whole = Number::Integer;
        assert_eq!(sum("n", whole(i64::MAX - 1), whole(1)).unwrap(), whole(i64::MAX));
        assert!(sum("n", whole(i64::MAX), whole(1)).is_err());
        assert_eq!(sum("n", whole(1), Number::Real(0.5)).unwrap(), Number::Real(1.5));
        assert!(sum("n", Number::Real(f64::MAX), Number::Real(f64::MAX)).is_err());
        assert!(check_counter("n", Number::Real(f64::NAN)).is_err());
    }
}
