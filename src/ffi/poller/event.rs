//! Events, which a poller gives to its host.

use std::ffi::{CStr, CString, c_char};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde::Serialize;

use super::queue::Message;
use crate::codec;
use crate::executor::{Arrived, Event, Task, TaskEnd, TaskEvent, TaskInfo, TaskNotice, WorkerStatus};
use crate::ffi::plumbing::handles::{self, Object, Table};
use crate::ffi::plumbing::{error, guard, text as texts, write};
use crate::ffi::task::{self, stent_task};
use crate::ffi::{stent_error, stent_status};
use crate::model::{Error, Id, Payload, Result, Status};

/// One event. Made by stent_poller_next and stent_poller_take, freed by stent_event_free.
pub struct stent_event {
    _opaque: [u8; 0],
}

pub(super) struct EventObject {
    kind: &'static CStr,
    tag: u64,
    status: Status,
    body: Body,
    /// Made when it is asked for.
    json: OnceLock<CString>,
    names: OnceLock<Option<Names>>,
    taken: AtomicBool,
}

/// What a task's event is about, as text.
struct Names {
    task_id: CString,
    execution_id: CString,
    /// "" but for the end of a task.
    outcome: CString,
}

impl Names {
    fn new(task_id: Id, execution_id: Id, outcome: &str) -> Self {
        let owned = |id: Id| texts::owned(&id.to_string());
        Self { task_id: owned(task_id), execution_id: owned(execution_id), outcome: texts::owned(outcome) }
    }
}

enum Body {
    Task(Task),
    Op(Result<Arrived>),
    Ended(Result<TaskEnd>),
    Notice(TaskNotice),
    Worker(WorkerStatus),
    Reply(Result<String>),
    Log(CString),
}

static EVENTS: Table<EventObject> = Table::new();

impl Object for EventObject {
    type Opaque = stent_event;
    const NAME: &'static str = "event";
    const ORIGIN: &'static str = "stent_poller_next and stent_poller_take make one";

    fn table() -> &'static Table<Self> {
        &EVENTS
    }
}

/// A task as its event tells of it.
#[derive(Serialize)]
struct TaskView {
    #[serde(flatten)]
    info: TaskInfo,
    args: Payload,
    kwargs: Payload,
}

impl EventObject {
    fn json(&self) -> &CString {
        self.json.get_or_init(|| texts::owned(&self.body.to_json()))
    }
}

impl Body {
    fn to_json(&self) -> String {
        match self {
            Self::Task(task) => {
                codec::to_json(&TaskView { info: task.info(), args: task.args(), kwargs: task.kwargs() })
            }
            Self::Op(outcome) => either(outcome, codec::to_json),
            Self::Ended(outcome) => either(outcome, codec::to_json),
            Self::Notice(notice) => codec::to_json(notice),
            Self::Worker(status) => codec::to_json(status),
            Self::Reply(answer) => either(answer, String::clone),
            Self::Log(json) => json.to_string_lossy().into_owned(),
        }
    }
}

impl Body {
    fn names(&self) -> Option<Names> {
        match self {
            Self::Task(task) => {
                let info = task.info();
                Some(Names::new(info.task_id, info.execution_id, ""))
            }
            Self::Ended(Ok(end)) => Some(Names::new(end.task_id, end.execution_id, end.outcome)),
            Self::Notice(notice) => Some(Names::new(notice.task_id, notice.execution_id, "")),
            Self::Ended(Err(_)) | Self::Op(_) | Self::Worker(_) | Self::Reply(_) | Self::Log(_) => None,
        }
    }

    fn error(&self) -> Option<&Error> {
        match self {
            Self::Op(outcome) => outcome.as_ref().err(),
            Self::Ended(outcome) => outcome.as_ref().err(),
            Self::Reply(answer) => answer.as_ref().err(),
            Self::Task(_) | Self::Notice(_) | Self::Worker(_) | Self::Log(_) => None,
        }
    }
}

fn either<T>(outcome: &Result<T>, tell: impl FnOnce(&T) -> String) -> String {
    outcome.as_ref().map_or_else(codec::error_json, tell)
}

/// Hands a message to C.
pub(super) fn give(message: Message) -> Result<*mut stent_event> {
    let (kind, tag, status, body) = match message {
        Message::Event(event) => of_worker(event),
        Message::Reply { tag, answer } => {
            let status = answer.as_ref().err().map_or(Status::Ok, Error::status);
            (c"reply", tag, status, Body::Reply(answer))
        }
        Message::Log(line) => (c"log", u64::from(line.level.code().unsigned_abs()), Status::Ok, Body::Log(line.json)),
    };
    let (json, names, taken) = (OnceLock::new(), OnceLock::new(), AtomicBool::new(false));
    handles::give(EventObject { kind, tag, status, body, json, names, taken })
}

fn of_worker(event: Event) -> (&'static CStr, u64, Status, Body) {
    let (tag, status) = (event.tag(), event.status());
    let (kind, body) = match event {
        Event::Task(task) => (c"task", Body::Task(task)),
        Event::Told(TaskEvent::Op { outcome, .. }) => (c"op", Body::Op(outcome)),
        Event::Told(TaskEvent::Ended { outcome, .. }) => (c"ended", Body::Ended(outcome)),
        Event::Told(TaskEvent::Cancel { notice, .. }) => (c"cancel", Body::Notice(notice)),
        Event::Told(TaskEvent::Evict { notice, .. }) => (c"evict", Body::Notice(notice)),
        Event::Worker(status) => (c"worker", Body::Worker(status)),
    };
    (kind, tag, status, body)
}

/// What happened: "task", "op", "ended", "cancel", "evict", "reply", "worker" or "log"; stent_describe tells more. The
/// text is static: don't free it. NULL if the event is not a live handle. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_event_type(event: *const stent_event) -> *const c_char {
    guard::value(std::ptr::null(), || handles::peek::<EventObject>(event).map(|event| event.kind.as_ptr()))
}

/// What it is about. Of "task", "ended", "cancel" and "evict" the number of the task, which the library gave it: larger
/// than 0, unique in the process, the same as long as the stent_task lives. Of "op" what stent_task_notify was given,
/// of "reply" what stent_executor_submit was given; of "log" the level; else 0. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_event_tag(event: *const stent_event) -> u64 {
    guard::value(0, || handles::peek::<EventObject>(event).map(|event| event.tag))
}

/// How it came out. Of "op", "ended" and "reply": STENT_OK, or why not. Of "cancel" and "evict" the reason:
/// STENT_E_CANCELLED, STENT_E_TIMEOUT (the attempt's), STENT_E_LEASE_LOST (another worker has the task),
/// STENT_E_CLOSED (the worker drains), STENT_E_BACKEND (the store could not be read, and the task goes back), STENT_OK
/// (there are more than max_coroutines). Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_event_status(event: *const stent_event) -> stent_status {
    guard::value(Status::Invalid.code(), || handles::peek::<EventObject>(event).map(|event| event.status.code()))
}

/// More of it, as JSON. "task": what stent_task_info gives, with "args" and "kwargs". "op": the result, or an array of
/// them for a group. "reply": the answer. "ended": {"task_id", "execution_id", "outcome", "failure"}, where the outcome
/// is completed, retried, snoozed, dead_lettered, failed, continued or parked. "cancel" and "evict": {"task_id", "execution_id",
/// "reason"}. "worker": what stent_worker_status gives. "log": the line. Where the status of "op", "ended" or "reply"
/// is negative it is an error, as stent_error_json tells it.
///
/// The text belongs to the event and lives until stent_event_free. NULL if the event is not a live handle. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_event_json(event: *const stent_event) -> *const c_char {
    guard::value(std::ptr::null(), || {
        let event = handles::peek::<EventObject>(event)?;
        Some(event.json().as_ptr())
    })
}

/// As stent_event_json; `*length` is the text's, without its NUL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_event_json_n(event: *const stent_event, length: *mut usize) -> *const c_char {
    guard::value(std::ptr::null(), || {
        let event = handles::peek::<EventObject>(event)?;
        let json = event.json();
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write(length, json.as_bytes().len()) };
        Some(json.as_ptr())
    })
}

/// The id of the task that a "task", "ended", "cancel" or "evict" event is about; NULL for other events, for an end that
/// could not be recorded, and if the event is not a live handle. The text lives until stent_event_free. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_event_task_id(event: *const stent_event) -> *const c_char {
    name_of(event, |names| &names.task_id)
}

/// The id of its execution, likewise. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_event_execution_id(event: *const stent_event) -> *const c_char {
    name_of(event, |names| &names.execution_id)
}

/// The outcome of an "ended" event whose status is STENT_OK: "completed", "retried" or another of those that
/// stent_event_json tells; "" of the other events that have a task's id; else NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_event_outcome(event: *const stent_event) -> *const c_char {
    name_of(event, |names| &names.outcome)
}

fn name_of(event: *const stent_event, choose: impl Fn(&Names) -> &CString) -> *const c_char {
    guard::value(std::ptr::null(), || {
        let event = handles::peek::<EventObject>(event)?;
        let names = event.names.get_or_init(|| event.body.names());
        names.as_ref().map(|names| choose(names).as_ptr())
    })
}

/// What went wrong, of an "op", "ended" or "reply" event whose status is negative: the caller's, to be freed by
/// stent_error_free. NULL of other events, and if the event is not a live handle. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn stent_event_error(event: *const stent_event) -> *mut stent_error {
    guard::value(std::ptr::null_mut(), || {
        let event = handles::peek::<EventObject>(event)?;
        event.body.error().map(|why| error::to_handle(why.clone()))
    })
}

/// Takes the task of a "task" event over: the caller's, to be freed by stent_task_free. Once for each event; NULL the
/// second time, for other events, and if the event is not a live handle. A task that is not taken over before its event
/// is freed has failed, with type "NoOutcome". Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn stent_event_task(event: *mut stent_event) -> *mut stent_task {
    guard::value(std::ptr::null_mut(), || {
        let event = handles::peek::<EventObject>(event)?;
        let Body::Task(task) = &event.body else { return None };
        if event.taken.swap(true, Relaxed) {
            return None;
        }
        task::give(task.clone()).ok()
    })
}

/// Frees an event. NULL is nothing. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_event_free(event: *mut stent_event) {
    guard::free::<EventObject>(event);
}
