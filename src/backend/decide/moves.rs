//! Executions that go from store to store: what may leave, how it leaves, and what may come in.

use std::collections::HashSet;
use std::fmt::Display;
use std::str::FromStr;

use super::{check_execution, check_task, circle_among, own_ancestor, task_exists};
use crate::backend::{Imported, Parcel, ParcelTask};
use crate::model::{Error, Id, Result, Status, TaskState, check_key};

/// What a store knows of an execution's moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) struct Known {
    pub moves: u32,
    pub place: Place,
}

/// Where an execution that has moved is, as far as the store knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) enum Place {
    /// In this store, but nothing runs it.
    Fenced,
    /// It was imported elsewhere.
    Gone,
    /// It came from elsewhere, or was taken back.
    Here,
}

impl Place {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fenced => "fenced",
            Self::Gone => "gone",
            Self::Here => "here",
        }
    }
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        [Self::Fenced, Self::Gone, Self::Here]
            .into_iter()
            .find(|place| place.as_str() == word)
            .ok_or_else(|| Error::backend(format!("'{word}' is no place of an execution that has moved")))
    }
}

/// Nobody holds it any more. What ran is pending, as when a worker gives it back: no attempt is charged, and no death.
/// `claimable`: it could be claimed, perhaps by one worker only for now.
pub(in crate::backend) fn put_down(mut of: ParcelTask, claimable: bool) -> ParcelTask {
    let task = &mut of.task;
    if task.state == TaskState::Running {
        task.state = TaskState::Pending;
        of.due_at = None;
        if of.ops == 0 {
            task.started_at = None;
            of.deadline_at = None;
        }
    }
    if task.state == TaskState::Pending && claimable {
        of.due_at = None;
    }
    task.lease_expires_at = None;
    if !task.state.is_terminal() {
        task.worker_id = None;
        // Whoever held it, or has kept what it knows of it, holds an older one.
        task.fence = task.fence.saturating_add(1);
    }
    of
}

/// In an error's details: the same may succeed a moment later.
const LATER: &str = "later";

/// Of an execution that goes on.
pub(in crate::backend) struct Leaving {
    pub execution: Id,
    /// A task that a worker holds.
    pub held: Option<Id>,
    /// Tasks below this one are still to be cancelled.
    pub unfinished: Option<Id>,
    /// By an idempotency key it waits for a task of another execution, or one of another execution for it.
    pub tied: Option<Id>,
}

/// `anyway`: also if a worker holds some of it. What that does is not recorded any more.
pub(in crate::backend) fn may_leave(leaving: &Leaving, anyway: bool) -> Result<()> {
    let execution = leaving.execution;
    let not_now = |why: String| Err(Error::conflict(format!("export: {why}")).with(LATER, execution.to_string()));
    if let Some(task) = leaving.tied {
        return Err(Error::conflict(format!(
            "export: task {task} and another execution wait for one another by an idempotency key; export {execution} \
             when that is over"
        ))
        .with("execution_id", execution.to_string()));
    }
    if let Some(task) = leaving.unfinished {
        return not_now(format!("below task {task} of execution {execution} there is still something to be cancelled"));
    }
    match leaving.held {
        Some(task) if !anyway => not_now(format!("a worker is running task {task} of execution {execution}")),
        _ => Ok(()),
    }
}

/// One that is being cancelled ends soon, or cleans up, which its store sees to.
pub(in crate::backend) fn is_cancelling(execution: Id) -> Error {
    Error::conflict(format!("export: execution {execution} is being cancelled; export it when that is over"))
        .with(LATER, execution.to_string())
}

/// It was signalled or cancelled a moment ago, in plain SQL.
pub(in crate::backend) fn is_asked(execution: Id) -> Error {
    Error::conflict(format!(
        "export: something was asked of execution {execution} in SQL, and the next sweep does it; export it when that is done"
    ))
    .with(LATER, execution.to_string())
}

pub(in crate::backend) fn has_left(execution: Id, known: Option<Known>) -> Error {
    match known {
        Some(Known { place: Place::Gone, .. }) => Error::not_found(format!(
            "execution {execution} is not here any more: it was exported, and imported elsewhere"
        ))
        .with("execution_id", execution.to_string()),
        _ => super::unknown_execution(execution),
    }
}

/// Of an execution that is dispatched once more where it came from.
pub(in crate::backend) fn has_moved(execution: Id, place: Place) -> Error {
    let whither = match place {
        Place::Fenced => {
            "was exported from this store, which keeps it fenced; dispatch to the store that it was exported for, or, if \
             it was imported nowhere, take it back (`stent exported back`)"
        }
        Place::Gone | Place::Here => {
            "was exported from this store, and has been imported elsewhere; dispatch to the store where it is"
        }
    };
    Error::conflict(format!("execution {execution} {whither}; nothing was started"))
        .with("execution_id", execution.to_string())
}

/// Who was refused because of a key is told which.
pub(in crate::backend) fn in_key(why: Error, function: &str, key: &str) -> Error {
    match why.status() {
        Status::Conflict => {
            why.doing(&format!("the idempotency key '{key}' of {function} is taken")).with("idempotency_key", key)
        }
        _ => why,
    }
}

/// `here`: the execution is in this store; `ended`: it is over, there.
pub(in crate::backend) fn may_come(
    parcel: &Parcel,
    known: Option<Known>,
    here: Option<bool>,
) -> Result<Option<Imported>> {
    let id = parcel.execution.id;
    let refuse = |why: &str| {
        Err(Error::conflict(format!("import: {why}; nothing was changed")).with("execution_id", id.to_string()))
    };
    let over = parcel.execution.state.is_terminal();
    if let Some(ended) = here {
        return match known {
            Some(known) if known.moves == parcel.moves => Ok(Some(Imported::WasThere)),
            _ if ended && over => Ok(Some(Imported::WasThere)),
            _ => refuse(&format!("there is an execution {id} in this store already, and it is not from this export")),
        };
    }
    match known {
        Some(known) if known.moves > parcel.moves => {
            refuse(&format!("this export of execution {id} is an older one; it has moved on since"))
        }
        Some(known) if known.moves == parcel.moves && !over => match known.place {
            Place::Fenced => refuse(&format!(
                "execution {id} was exported from this very store, where it is fenced; if it was imported nowhere, it can \
                 be taken back"
            )),
            Place::Gone => {
                refuse(&format!("execution {id} was exported from this very store, and has been imported elsewhere"))
            }
            Place::Here => refuse(&format!("execution {id} was imported before, and is gone by now")),
        },
        _ => Ok(None),
    }
}

/// # Errors
/// `INVALID` for what no export has written.
pub(in crate::backend) fn check_parcel(parcel: &Parcel) -> Result<()> {
    parcel.check_form()?;
    let id = parcel.execution.id;
    check_execution(&parcel.execution)?;
    let tasks: Vec<_> = parcel.tasks.iter().map(|of| of.task.clone()).collect();
    let mut seen = HashSet::with_capacity(tasks.len());
    for task in &tasks {
        check_task(task)?;
        if !seen.insert(task.id) {
            return Err(task_exists(task.id));
        }
        belongs(id, "task", task.id, task.execution_id)?;
        if task.state == TaskState::Running {
            return Err(Error::invalid(format!("import: task {} is running, which no export has written", task.id)));
        }
        let keys = [("step_key", &task.step_key), ("idempotency_key", &task.idempotency_key)];
        keys.into_iter().try_for_each(|(what, key)| key.as_deref().map_or(Ok(()), |key| check_key(what, key)))?;
    }
    if let Some(id) = circle_among(&tasks) {
        return Err(own_ancestor(id));
    }
    for of in &parcel.signals {
        belongs(id, "signal", &of.signal.name, of.signal.execution_id)?;
        check_key("name", &of.signal.name)?;
    }
    for letter in &parcel.dead_letters {
        belongs(id, "dead letter", letter.task.id, letter.task.execution_id)?;
    }
    parcel.counters.keys().chain(parcel.state.keys()).try_for_each(|name| check_key("name", name))
}

fn belongs(execution: Id, what: &str, which: impl Display, of: Id) -> Result<()> {
    if of == execution {
        return Ok(());
    }
    Err(Error::invalid(format!("import: {what} {which} names execution {of}, and stands in the line of {execution}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::PARCEL_FORM;
    use crate::model::{Execution, ExecutionState, Payload, Task, TaskKind, Timestamp};

    fn parcel(moves: u32, state: ExecutionState) -> Parcel {
        let execution = Execution {
            id: Id::from_u128(7),
            root_function: "f".to_owned(),
            state,
            args: Payload::empty_array(),
            kwargs: Payload::empty_object(),
            retries: 0,
            created_at: Timestamp::from_micros(1),
            started_at: None,
            completed_at: None,
            expiry_at: None,
            progress: Vec::new(),
            tags: Vec::new(),
            priority: 0,
            queue: None,
            result: None,
            error: None,
        };
        Parcel {
            stent_export: PARCEL_FORM,
            moves,
            execution,
            root_task_id: None,
            on_cancel: None,
            traceparent: None,
            replay_of: None,
            cancel_reason: None,
            tasks: Vec::new(),
            signals: Vec::new(),
            counters: std::collections::BTreeMap::new(),
            state: std::collections::BTreeMap::new(),
            dead_letters: Vec::new(),
        }
    }

    #[test]
    fn an_execution_comes_in_once_and_never_from_an_older_line() {
        let live = |moves| parcel(moves, ExecutionState::Running);
        let known = |moves, place| Some(Known { moves, place });
        let there = Ok(Some(Imported::WasThere));
        let may = |parcel: &Parcel, known, here| may_come(parcel, known, here).map_err(|why| why.status());
        assert_eq!(may(&live(1), None, None), Ok(None));
        assert_eq!(may(&live(1), known(1, Place::Here), Some(false)), there);
        assert_eq!(may(&live(1), known(1, Place::Here), Some(true)), there);
        assert_eq!(may(&live(2), known(1, Place::Gone), None), Ok(None));
        assert_eq!(may(&live(2), known(1, Place::Fenced), None), Ok(None), "it was, though nobody has said so");
        let no = Err(crate::model::Status::Conflict);
        for place in [Place::Fenced, Place::Gone, Place::Here] {
            assert_eq!(may(&live(1), known(1, place), None), no);
            assert_eq!(may(&live(1), known(2, place), None), no);
        }
        assert_eq!(may(&live(1), None, Some(false)), no, "another one of that id");
        // What is over runs nowhere.
        let over = |moves| parcel(moves, ExecutionState::Completed);
        assert_eq!(may(&over(0), None, None), Ok(None));
        assert_eq!(may(&over(0), None, Some(true)), there);
        assert_eq!(may(&over(1), known(1, Place::Gone), None), Ok(None));
        assert_eq!(may(&over(0), None, Some(false)), no);
    }

    #[test]
    fn what_runs_is_put_down_and_its_holder_holds_no_more() {
        let now = Timestamp::from_micros(9);
        let mut task = Task::new(Id::from_u128(1), Id::from_u128(7), TaskKind::Activity, "f", now);
        task.state = TaskState::Running;
        task.fence = 4;
        task.worker_id = Some("w".to_owned());
        task.started_at = Some(now);
        task.lease_expires_at = Some(now);
        let of = ParcelTask {
            task,
            due_at: Some(now),
            timeout: Some(5),
            deadline_at: Some(now),
            run: 0,
            ops: 0,
            effects: 0,
            op: None,
            arrival: None,
            opened: None,
            crashes: 0,
            deaths: 0,
            snoozes: 0,
            first_started_at: None,
            company: None,
            cleanup: None,
            parked: false,
            parked_version: None,
            joins: None,
            cache_key: None,
            cache_ttl: None,
            cache_hit: false,
            concurrency_key: None,
            head_start: None,
            fairness_key: None,
            fairness_weight: None,
            heartbeat: None,
            waits: None,
            key: None,
        };
        let down = put_down(of.clone(), false);
        assert_eq!((down.task.state, down.task.fence, down.due_at), (TaskState::Pending, 5, None));
        assert_eq!((&down.task.worker_id, down.task.started_at, down.deadline_at), (&None, None, None));
        // With a journal it goes on where it was, in the same attempt.
        let down = put_down(ParcelTask { ops: 2, ..of.clone() }, false);
        assert_eq!((down.task.started_at, down.deadline_at), (Some(now), Some(now)));
        // A delay lasts; the end of a worker's first call does not.
        let waiting = |claimable| {
            let mut of = of.clone();
            of.task.state = TaskState::Pending;
            put_down(of, claimable).due_at
        };
        assert_eq!((waiting(false), waiting(true)), (Some(now), None));
        let mut over = of.clone();
        over.task.state = TaskState::Completed;
        assert_eq!(put_down(over, false).task.fence, 4);
    }
}
