//! The operations that may be submitted to an executor, in JSON: a name and an object.

use std::time::Duration;

use super::input;
use super::options::{self, Fields};
use super::reader::Reader;
use super::schedules;
use super::tables::submissions::{self as tables, SUBMISSIONS};
use crate::backend::{
    DeadLetterFilter, ExecutionFilter, NewPause, NewSignal, Pausable, ScheduleChange, ScheduleFilter,
};
use crate::model::{CleanupOptions, DispatchRequest, Error, Id, Payload, Result, Schedule, StatsOptions};

/// What an executor is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Submission {
    Dispatch(Box<DispatchRequest>),
    DispatchMany(Vec<DispatchRequest>),
    /// `timeout`: none for as long as it takes.
    Wait {
        execution: Id,
        timeout: Option<Duration>,
    },
    Result {
        execution: Id,
        timeout: Option<Duration>,
    },
    State(Id),
    List(ExecutionFilter),
    Stats(StatsOptions),
    Signal(NewSignal),
    Cancel {
        execution: Id,
        reason: Option<String>,
    },
    DeadLetters(DeadLetterFilter),
    ReplayDeadLetter(Id),
    DiscardDeadLetter(Id),
    Resume(Id),
    Pause(NewPause),
    Unpause(Pausable),
    Pauses,
    Cleanup(CleanupOptions),
    SchedulePut(Box<Schedule>),
    ScheduleList(ScheduleFilter),
    ScheduleChange {
        name: String,
        change: ScheduleChange,
    },
    /// The request is checked by the operation's own table.
    BackendCall {
        operation: String,
        request: String,
    },
    StopWorker {
        worker_id: String,
        timeout: Option<Duration>,
    },
    WaitWorker {
        worker_id: String,
        state: String,
        timeout: Option<Duration>,
    },
}

/// Reads what is submitted. No text is an empty object.
///
/// # Errors
/// `INVALID`: an operation that does not exist (`known` lists those that do), or a request that is not as it should be.
pub fn submission(operation: &str, text: Option<&str>) -> Result<Submission> {
    let fields = |table: &'static tables::Submission| {
        let reader = Reader::object(operation, text)?;
        Fields::read(&table.request, operation.to_owned(), text.unwrap_or_default(), reader)
    };
    let execution = |fields: &Fields<'_>| fields.needed("execution_id", fields.id("execution_id")?);
    let task = |fields: &Fields<'_>| fields.needed("task_id", fields.id("task_id")?);
    let change = |fields: &Fields<'_>, read: fn(&Fields<'_>) -> Result<ScheduleChange>| -> Result<Submission> {
        let name = fields.needed("name", fields.name("name")?)?;
        Ok(Submission::ScheduleChange { name, change: read(fields)? })
    };
    Ok(match operation {
        "dispatch" => {
            let reader = Reader::object(operation, text)?;
            Submission::Dispatch(Box::new(options::dispatch_request(operation, text.unwrap_or_default(), reader)?))
        }
        "dispatch_many" => {
            let fields = fields(&tables::DISPATCH_MANY)?;
            let requests = fields.needed("requests", fields.member("requests"))?;
            Submission::DispatchMany(options::dispatch_requests(requests.text())?)
        }
        "wait" => {
            let fields = fields(&tables::WAIT)?;
            Submission::Wait { execution: execution(&fields)?, timeout: fields.duration("timeout")? }
        }
        "result" => {
            let fields = fields(&tables::RESULT)?;
            Submission::Result { execution: execution(&fields)?, timeout: fields.duration("timeout")? }
        }
        "state" => Submission::State(execution(&fields(&tables::STATE)?)?),
        "list" => Submission::List(options::execution_filter(text)?),
        "stats" => Submission::Stats(options::stats(text)?),
        "signal" => {
            let fields = fields(&tables::SIGNAL)?;
            let payload = fields.member("payload").map(|payload| input::value_from_text("payload", payload.text()));
            Submission::Signal(NewSignal {
                execution: execution(&fields)?,
                name: fields.needed("name", fields.name("name")?)?,
                payload: payload.transpose()?.unwrap_or_else(Payload::null),
                id: fields.name("id")?,
            })
        }
        "cancel" => {
            let fields = fields(&tables::CANCEL)?;
            Submission::Cancel { execution: execution(&fields)?, reason: fields.value("reason")? }
        }
        "dead_letters" => Submission::DeadLetters(options::dead_letter_filter(text)?),
        "replay_dead_letter" => Submission::ReplayDeadLetter(task(&fields(&tables::REPLAY_DEAD_LETTER)?)?),
        "discard_dead_letter" => Submission::DiscardDeadLetter(task(&fields(&tables::DISCARD_DEAD_LETTER)?)?),
        "resume" => Submission::Resume(task(&fields(&tables::RESUME)?)?),
        "pause" => Submission::Pause(options::pause(text)?),
        "unpause" => Submission::Unpause(options::unpause(text)?),
        "pauses" => fields(&tables::PAUSES).map(|_| Submission::Pauses)?,
        "cleanup" => Submission::Cleanup(options::cleanup(text)?),
        "schedule_put" => {
            let reader = Reader::object(operation, text)?;
            Submission::SchedulePut(Box::new(schedules::read(operation, text.unwrap_or_default(), reader)?))
        }
        "schedule_list" => Submission::ScheduleList(schedules::schedule_filter(text)?),
        "schedule_delete" => change(&fields(&tables::SCHEDULE_DELETE)?, |_| Ok(ScheduleChange::Delete))?,
        "schedule_pause" => change(&fields(&tables::SCHEDULE_PAUSE)?, schedules::pause_fields)?,
        "schedule_resume" => change(&fields(&tables::SCHEDULE_RESUME)?, |_| Ok(ScheduleChange::Resume))?,
        "schedule_trigger" => change(&fields(&tables::SCHEDULE_TRIGGER)?, schedules::trigger_fields)?,
        "schedule_backfill" => change(&fields(&tables::SCHEDULE_BACKFILL)?, schedules::backfill_fields)?,
        "backend_call" => {
            let fields = fields(&tables::BACKEND_CALL)?;
            let request = fields.member("request").map_or("{}", Reader::text);
            Submission::BackendCall {
                operation: fields.needed("operation", fields.value("operation")?)?,
                request: request.to_owned(),
            }
        }
        "stop_worker" => {
            let fields = fields(&tables::STOP_WORKER)?;
            let worker_id = fields.needed("worker_id", fields.name("worker_id")?)?;
            Submission::StopWorker { worker_id, timeout: fields.duration("timeout")? }
        }
        "wait_worker" => {
            let fields = fields(&tables::WAIT_WORKER)?;
            let worker_id = fields.needed("worker_id", fields.name("worker_id")?)?;
            let state = fields.needed("state", fields.value("state")?)?;
            Submission::WaitWorker { worker_id, state, timeout: fields.duration("timeout")? }
        }
        unknown => {
            let known: Vec<String> = SUBMISSIONS.iter().map(|known| known.request.name.to_owned()).collect();
            let told = format!("submit: there is no operation {unknown:?}; the operations are {}", known.join(", "));
            return Err(Error::invalid(told).with("operation", unknown).with("known", known));
        }
    })
}
