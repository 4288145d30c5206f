//! The table of the protocol's records.

use super::{Field, Kind, optional, required};
use crate::model::{ExecutionState, ProgressStatus, TaskKind, TaskState};

/// A record and its fields, in the order in which they are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub name: &'static str,
    pub doc: &'static str,
    pub fields: &'static [Field],
}

const STRINGS: Kind = Kind::ListOf(&Kind::String);
const ARGS: Field = optional("args", Kind::Array, "[]", "Arguments.");
const KWARGS: Field = optional("kwargs", Kind::Object, "{}", "Named arguments.");
const CREATED_AT: Field = required("created_at", Kind::Time, "When it was created.");
const STARTED_AT: Field = optional("started_at", Kind::Time, "null", "When it first ran.");
const COMPLETED_AT: Field = optional("completed_at", Kind::Time, "null", "When it ended.");
const TAGS: Field = optional("tags", STRINGS, "[]", "Which workers may run it.");
const PRIORITY: Field = optional("priority", Kind::Integer, "0", "Higher is claimed first.");
const QUEUE: Field = optional("queue", Kind::String, "null", "Null: of any queue.");
const RESULT: Field = optional("result", Kind::Any, "null", "What it completed with.");
const ERROR: Field = optional("error", Kind::Named("failure"), "null", "Why it failed.");
const RETRIES: Field = optional("retries", Kind::Integer, "0", "Failed attempts that were tried again.");
const EXECUTION_ID: Field = required("execution_id", Kind::Id, "The execution it belongs to.");

pub(crate) const RECORDS: &[Record] = &[
    Record {
        name: "execution",
        doc: "One run of a dispatched function, with everything it called.",
        fields: &[
            required("id", Kind::Id, "Its identity."),
            required("root_function", Kind::String, "The function that was dispatched."),
            required("state", Kind::Word(ExecutionState::WORDS), "Terminal states never change again."),
            ARGS,
            KWARGS,
            RETRIES,
            CREATED_AT,
            STARTED_AT,
            COMPLETED_AT,
            optional("expiry_at", Kind::Time, "null", "When it is ended if it still goes on."),
            optional("progress", Kind::ListOf(&Kind::Named("progress")), "[]", "What it tells of itself, in order."),
            TAGS,
            PRIORITY,
            QUEUE,
            RESULT,
            ERROR,
        ],
    },
    Record {
        name: "task",
        doc: "One call inside an execution.",
        fields: &[
            required("id", Kind::Id, "Its identity."),
            EXECUTION_ID,
            required("step_name", Kind::String, "The function; of a signal, timer or step, its own name."),
            required("kind", Kind::Word(TaskKind::WORDS), "What it is; workers run orchestrators and activities."),
            optional("parent_task_id", Kind::Id, "null", "The task that issued it; null: the root."),
            required("state", Kind::Word(TaskState::WORDS), "Terminal states never change again."),
            ARGS,
            KWARGS,
            RETRIES,
            CREATED_AT,
            TAGS,
            PRIORITY,
            QUEUE,
            optional("retry_policy", Kind::Named("retry_policy"), "null", "How failures are tried again."),
            RESULT,
            ERROR,
            STARTED_AT,
            COMPLETED_AT,
            optional("worker_id", Kind::String, "null", "Who holds it, or held it last."),
            optional("lease_expires_at", Kind::Time, "null", "When it may be claimed by another."),
            optional("idempotency_key", Kind::String, "null", "A second use of the key joins the first."),
            optional("scheduled_for", Kind::Time, "null", "It is not claimed earlier."),
            optional("fence", Kind::Integer, "0", "Grows with every claim; writes are conditional on it."),
            optional("step_key", Kind::String, "null", "The operation's key within its parent, such as charge#1."),
        ],
    },
    Record {
        name: "signal",
        doc: "A named message to an execution.",
        fields: &[
            EXECUTION_ID,
            required("name", Kind::String, "Its name."),
            optional("payload", Kind::Any, "null", "What it says."),
            CREATED_AT,
            optional("consumed", Kind::Boolean, "false", "A wait has taken it."),
            optional("consumed_at", Kind::Time, "null", "When."),
            optional("id", Kind::String, "null", "The sender's own id: the same id counts once."),
            optional("sequence", Kind::Integer, "0", "The order of sending, given by the store."),
        ],
    },
    Record {
        name: "progress",
        doc: "One line of what an execution tells of itself.",
        fields: &[
            required("step", Kind::String, "What it is about."),
            required("status", Kind::Word(ProgressStatus::WORDS), "How far it is."),
            STARTED_AT,
            COMPLETED_AT,
            optional("detail", Kind::Any, "null", "More."),
        ],
    },
    Record {
        name: "dead_letter",
        doc: "A task that used up its attempts.",
        fields: &[
            required("task", Kind::Named("task"), "The whole record."),
            required("reason", Kind::String, "Why it was given up."),
            required("moved_at", Kind::Time, "When."),
        ],
    },
];

/// One shape in every language.
pub(crate) const FAILURE: Record = Record {
    name: "failure",
    doc: "Why a task failed. Where one is handed in, a string stands for a failure of type Error with that message. Texts \
          beyond 32 KiB (type and code: 255 bytes) are cut, details beyond 256 KiB left out.",
    fields: &[
        required("type", Kind::String, "The error's type in the handler's language; retry policies name it."),
        optional("message", Kind::String, "\"\"", "For people."),
        optional("code", Kind::String, "null", "For programs."),
        optional("retryable", Kind::Boolean, "true", "False: no retry, whatever the policy says."),
        optional(
            "retry_after",
            Kind::Any,
            "null",
            "The next attempt begins no sooner, whatever the policy's delay is: a number of seconds, or the text of HTTP's \
             header Retry-After (seconds or a date). What can't be read does not count, and a day is the longest; the log \
             tells. In what the library tells it is a number, left out where there is none.",
        ),
        optional("details", Kind::Any, "null", "More."),
        optional("stack", Kind::String, "null", "Where it happened."),
    ],
};
