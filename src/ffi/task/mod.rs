//! Tasks: what a handler is given.

mod durable;
mod fan_out;
mod hosting;
mod outcome;
mod outside;
mod transactions;
mod with_lengths;

use std::ffi::{CStr, CString, c_char};
use std::sync::OnceLock;

use super::plumbing::handles::{self, Object, Table};
use super::plumbing::{borrow, guard, text as texts};
use super::{stent_error, stent_status};
use crate::codec;
use crate::executor::Task;
use crate::model::Result;

pub(super) use hosting::{HostBatchHandler, HostHandler};
pub use hosting::{stent_batch_fn, stent_handler_fn};

/// One run of a function: lent to its handler for the time of the call, kept longer by stent_task_ref.
pub struct stent_task {
    _opaque: [u8; 0],
}

struct TaskObject {
    task: Task,
    info: OnceLock<CString>,
    names: OnceLock<Names>,
    args: OnceLock<CString>,
    kwargs: OnceLock<CString>,
    traceparent: OnceLock<Option<CString>>,
}

/// What is asked of a task most, as text.
struct Names {
    id: CString,
    execution_id: CString,
    function: CString,
    worker_id: CString,
    attempt: u32,
}

static TASKS: Table<TaskObject> = Table::new();

impl Object for TaskObject {
    type Opaque = stent_task;
    const NAME: &'static str = "task";
    const ORIGIN: &'static str = "a handler's task lives until the handler returns, longer with stent_task_ref";

    fn table() -> &'static Table<Self> {
        &TASKS
    }
}

/// Hands a task to C, with one reference.
pub(super) fn give(task: Task) -> Result<*mut stent_task> {
    handles::give(TaskObject::new(task))
}

impl TaskObject {
    fn new(task: Task) -> Self {
        Self {
            task,
            info: OnceLock::new(),
            names: OnceLock::new(),
            args: OnceLock::new(),
            kwargs: OnceLock::new(),
            traceparent: OnceLock::new(),
        }
    }
}

impl TaskObject {
    fn names(&self) -> &Names {
        self.names.get_or_init(|| {
            let info = self.task.info();
            Names {
                id: texts::owned(&info.task_id.to_string()),
                execution_id: texts::owned(&info.execution_id.to_string()),
                function: texts::owned(&info.function),
                worker_id: texts::owned(&info.worker_id),
                attempt: info.attempt,
            }
        })
    }

    fn traceparent(&self) -> Option<&CStr> {
        let found = || self.task.traceparent().map(|text| texts::owned(&text));
        self.traceparent.get_or_init(found).as_deref()
    }

    fn args(&self) -> &CString {
        self.args.get_or_init(|| texts::owned(&codec::to_json(&self.task.args())))
    }
}

/// The guard of all calls on a task: an error is remembered, for the failure that is made of it when the handler
/// returns its status.
fn on_task(
    task: *mut stent_task,
    error: *mut *mut stent_error,
    body: impl FnOnce(&Task) -> Result<()>,
) -> stent_status {
    guard(error, || {
        let object = borrow::<TaskObject>(task)?;
        body(&object.task).inspect_err(|why| {
            if why.status().code() < 0 {
                object.task.note_error(why);
            }
        })
    })
}

/// The text of a task, for as long as its handle lives.
fn text_of(task: *mut stent_task, read: impl Fn(&TaskObject) -> &CStr) -> *const c_char {
    guard::value(std::ptr::null(), || handles::peek::<TaskObject>(task).map(|object| read(&object).as_ptr()))
}

/// What is known of the task, as a JSON object: "task_id", "execution_id", "function", "attempt", "fence",
/// "worker_id", "deadline", "queue", "tags", "priority", "kind", "parent_task_id", "step_key", "traceparent",
/// "heartbeat" (what its last attempt said), "run", "snoozes" (how often it said "not now"), "created_at", "cleanup" (its execution was cancelled or timed out,
/// and it is to clean up) and "apart" (a worker may have died of it, so it runs apart from others: a host that gathers tasks
/// runs it alone and at once). "attempt" is 1 for the first, and grows with each failure and with each worker that dies
/// after it has begun. The text belongs to the task and lives as long as the caller's reference; NULL if the task is
/// not a live handle. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_task_info(task: *mut stent_task) -> *const c_char {
    text_of(task, |object| object.info.get_or_init(|| texts::owned(&codec::to_json(&object.task.info()))))
}

/// The task's id, as in stent_task_info. Lives as long as the caller's reference; NULL if the task is not a live handle.
/// Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_task_id(task: *mut stent_task) -> *const c_char {
    text_of(task, |object| &object.names().id)
}

/// The id of its execution. Likewise. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_task_execution_id(task: *mut stent_task) -> *const c_char {
    text_of(task, |object| &object.names().execution_id)
}

/// The name of the function that it is a run of. Likewise. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_task_function(task: *mut stent_task) -> *const c_char {
    text_of(task, |object| &object.names().function)
}

/// The id of the worker that runs it. Likewise. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_task_worker_id(task: *mut stent_task) -> *const c_char {
    text_of(task, |object| &object.names().worker_id)
}

/// The W3C Trace Context for spans of the handler's own, such as
/// "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": below the span of this run, where spans are exported
/// (stent_executor_new), else as the dispatch gave it. Likewise; NULL also where there is none. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_task_traceparent(task: *mut stent_task) -> *const c_char {
    let found = || {
        let object = handles::peek::<TaskObject>(task)?;
        object.traceparent().map(CStr::as_ptr)
    };
    guard::value(std::ptr::null(), found)
}

/// Which attempt this is: 1 for the first, as in stent_task_info; 0 if the task is not a live handle. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_task_attempt(task: *mut stent_task) -> u32 {
    guard::value(0, || handles::peek::<TaskObject>(task).map(|object| object.names().attempt))
}

/// The arguments, a JSON array. Lives as long as the caller's reference; NULL if the task is not a live handle. Any
/// thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_task_args(task: *mut stent_task) -> *const c_char {
    text_of(task, |object| object.args())
}

/// The keyword arguments, a JSON object. Lives as long as the caller's reference; NULL if the task is not a live
/// handle. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_task_kwargs(task: *mut stent_task) -> *const c_char {
    text_of(task, |object| object.kwargs.get_or_init(|| texts::owned(&codec::to_json(&object.task.kwargs()))))
}

/// 1 when the handler should come to its end, because nothing of it will be taken: its execution is being cancelled
/// or ran out of time, the attempt did, or the lease is another's. Else 0. Costs nothing: ask often. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_task_is_cancelled(task: *mut stent_task) -> i32 {
    guard::value(0, || handles::peek::<TaskObject>(task).map(|object| i32::from(object.task.is_cancelled())))
}

/// 1 while durable calls are answered from what earlier runs recorded, else 0: for what should be said once, such as
/// a line of the host's own log. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_task_is_replaying(task: *mut stent_task) -> i32 {
    guard::value(0, || handles::peek::<TaskObject>(task).map(|object| i32::from(object.task.is_replaying())))
}

/// Takes one more reference to the task and returns it (the same pointer), for what outlives the handler's call; each
/// is given back by stent_task_free. NULL if the task is not a live handle. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn stent_task_ref(task: *mut stent_task) -> *mut stent_task {
    guard::value(std::ptr::null_mut(), || handles::retain::<TaskObject>(task).then_some(task))
}

/// Gives a reference back, one that stent_task_ref made; a handler does not free the task that it is lent. NULL is
/// nothing. A deferred task that loses its last reference before it was ended has failed, with type "NoOutcome". Any
/// thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_task_free(task: *mut stent_task) {
    guard::free::<TaskObject>(task);
}
