//! The table of operations that may be submitted to an executor, which then runs them without blocking the caller.

use super::objects::{
    CLEANUP, DEAD_LETTER_FILTER, DISPATCH_REQUEST, EXECUTION_FILTER, PAUSE, SCHEDULE as A_SCHEDULE, SCHEDULE_FILTER,
    STATS, UNPAUSE,
};
use super::{Field, Kind, Object, optional, required};
use crate::model::Overlap;

/// An operation, its request's fields and its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Submission {
    pub request: Object,
    /// `None`: the answer is null.
    pub response: Option<Kind>,
}

const EXECUTION_ID: Field = required("execution_id", Kind::Id, "The execution.");
const TASK_ID: Field = required("task_id", Kind::Id, "The task.");
const WORKER_ID: Field = required("worker_id", Kind::String, "A worker of this executor.");
const NAME: Field = required("name", Kind::String, "The schedule.");
const TICKS: Option<Kind> = Some(Kind::ListOf(&Kind::Named("tick")));
const TIMEOUT: Field = optional("timeout", Kind::Duration, "null", "0: just looks; null: as long as it takes.");

macro_rules! submissions {
    ($($(#[doc = $doc:literal])* $constant:ident = $name:literal [$($field:expr),* $(,)?] -> $response:expr);* $(;)?) => {
        $(
            $(#[doc = $doc])*
            pub(crate) const $constant: Submission = {
                const FIELDS: &[Field] = &[$($field),*];
                const KEYS: [&str; FIELDS.len()] = super::keys(FIELDS);
                let request = Object { name: $name, doc: concat!($($doc),*).trim_ascii(), fields: FIELDS, keys: &KEYS };
                Submission { request, response: $response }
            };
        )*
    };
}

submissions! {
    /// Starts many executions, in order; as stent_executor_dispatch_many.
    DISPATCH_MANY = "dispatch_many" [
        required("requests", Kind::ListOf(&Kind::Named("dispatch_request")), "What to start."),
    ] -> Some(Kind::ListOf(&Kind::Id));
    /// Waits for an execution's end; as stent_executor_wait.
    WAIT = "wait" [EXECUTION_ID, TIMEOUT] -> Some(Kind::Named("execution"));
    /// Waits for an execution's result; as stent_executor_result.
    RESULT = "result" [EXECUTION_ID, TIMEOUT] -> Some(Kind::Any);
    /// An execution as it is now; as stent_executor_state.
    STATE = "state" [EXECUTION_ID] -> Some(Kind::Named("execution"));
    /// Sends a signal; as stent_executor_signal.
    SIGNAL = "signal" [
        EXECUTION_ID,
        required("name", Kind::String, "The signal's name."),
        optional("payload", Kind::Any, "null", "What it carries."),
        optional("id", Kind::String, "null", "The same id for the same execution and name counts once."),
    ] -> None;
    /// Cancels an execution; as stent_executor_cancel.
    CANCEL = "cancel" [EXECUTION_ID, optional("reason", Kind::String, "null", "Why.")] -> None;
    /// Starts an execution anew from a dead letter; as stent_executor_replay_dead_letter.
    REPLAY_DEAD_LETTER = "replay_dead_letter" [TASK_ID] -> Some(Kind::Object);
    /// Takes a dead letter away; as stent_executor_discard_dead_letter.
    DISCARD_DEAD_LETTER = "discard_dead_letter" [TASK_ID] -> None;
    /// Lets a parked task go on; as stent_executor_resume.
    RESUME = "resume" [TASK_ID] -> None;
    /// What is paused; as stent_executor_pauses.
    PAUSES = "pauses" [] -> Some(Kind::ListOf(&Kind::Named("pause")));
    /// Deletes a schedule; as stent_executor_schedule_delete.
    SCHEDULE_DELETE = "schedule_delete" [NAME] -> None;
    /// Pauses a schedule; as stent_executor_schedule_pause.
    SCHEDULE_PAUSE = "schedule_pause" [NAME, optional("note", Kind::String, "null", "Why, for people.")] -> None;
    /// Resumes a schedule; as stent_executor_schedule_resume.
    SCHEDULE_RESUME = "schedule_resume" [NAME] -> None;
    /// Makes a tick of a schedule now; as stent_executor_schedule_trigger.
    SCHEDULE_TRIGGER = "schedule_trigger" [
        NAME,
        optional("overlap", Kind::Word(Overlap::WORDS), "null", "Null: as the schedule has it."),
    ] -> TICKS;
    /// Makes the ticks of a time that is over; as stent_executor_schedule_backfill.
    SCHEDULE_BACKFILL = "schedule_backfill" [
        NAME,
        required("from", Kind::Time, "The first time."),
        required("to", Kind::Time, "The last time; not later than now."),
        optional("overlap", Kind::Word(Overlap::WORDS), "\"queue_all\"", "See schedule."),
    ] -> TICKS;
    /// One operation of the backend protocol; as stent_backend_call.
    BACKEND_CALL = "backend_call" [
        required("operation", Kind::String, "Which; not close."),
        optional("request", Kind::Object, "{}", "What it is asked with."),
    ] -> Some(Kind::Any);
    /// Drains a worker and waits until it has stopped; as stent_worker_stop.
    STOP_WORKER = "stop_worker" [WORKER_ID, TIMEOUT] -> None;
    /// Waits until a worker has come to a state; as stent_worker_wait.
    WAIT_WORKER = "wait_worker" [
        WORKER_ID,
        required("state", Kind::String, "ready, draining or stopped."),
        TIMEOUT,
    ] -> None;
}

const fn same(name: &'static str, doc: &'static str, of: Object, response: Option<Kind>) -> Submission {
    Submission { request: Object { name, doc, ..of }, response }
}

/// Starts an execution; as stent_executor_dispatch.
pub(crate) const DISPATCH: Submission =
    same("dispatch", "Starts an execution; as stent_executor_dispatch.", DISPATCH_REQUEST, Some(Kind::Id));

pub(crate) const LIST: Submission = same(
    "list",
    "The executions that a filter admits; as stent_executor_list.",
    EXECUTION_FILTER,
    Some(Kind::ListOf(&Kind::Named("execution"))),
);

pub(crate) const STATS_OF: Submission =
    same("stats", "Statistics; as stent_executor_stats. As Prometheus's text it is a string.", STATS, Some(Kind::Any));

pub(crate) const DEAD_LETTERS: Submission = same(
    "dead_letters",
    "The dead letters that a filter admits; as stent_executor_dead_letters.",
    DEAD_LETTER_FILTER,
    Some(Kind::ListOf(&Kind::Named("dead_letter"))),
);

pub(crate) const PAUSE_WHAT: Submission =
    same("pause", "Pauses a queue or a function; as stent_executor_pause.", PAUSE, None);

pub(crate) const UNPAUSE_WHAT: Submission = same("unpause", "Ends a pause; as stent_executor_unpause.", UNPAUSE, None);

pub(crate) const CLEAN_UP: Submission =
    same("cleanup", "Removes what ended long ago; as stent_executor_cleanup.", CLEANUP, Some(Kind::Object));

pub(crate) const SCHEDULE_PUT: Submission =
    same("schedule_put", "Puts a schedule; as stent_executor_schedule_put.", A_SCHEDULE, None);

pub(crate) const SCHEDULE_LIST: Submission = same(
    "schedule_list",
    "The schedules that a filter admits; as stent_executor_schedule_list.",
    SCHEDULE_FILTER,
    Some(Kind::ListOf(&Kind::Named("kept_schedule"))),
);

/// All of them, in the order in which they are described.
pub(crate) const SUBMISSIONS: &[&Submission] = &[
    &DISPATCH,
    &DISPATCH_MANY,
    &WAIT,
    &RESULT,
    &STATE,
    &LIST,
    &STATS_OF,
    &SIGNAL,
    &CANCEL,
    &DEAD_LETTERS,
    &REPLAY_DEAD_LETTER,
    &DISCARD_DEAD_LETTER,
    &RESUME,
    &PAUSE_WHAT,
    &UNPAUSE_WHAT,
    &PAUSES,
    &CLEAN_UP,
    &SCHEDULE_PUT,
    &SCHEDULE_LIST,
    &SCHEDULE_DELETE,
    &SCHEDULE_PAUSE,
    &SCHEDULE_RESUME,
    &SCHEDULE_TRIGGER,
    &SCHEDULE_BACKFILL,
    &BACKEND_CALL,
    &STOP_WORKER,
    &WAIT_WORKER,
];
