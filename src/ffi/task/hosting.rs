//! A C function as a handler.

use std::ffi::c_void;

use super::{TaskObject, stent_task};
use crate::executor::{BatchHandler, Handler, Task};
use crate::ffi::plumbing::context::OwnedContext;
use crate::ffi::plumbing::text::null;
use crate::ffi::plumbing::{handles, threads};
use crate::ffi::stent_status;
use crate::model::{Error, Failure, Result, Status};

/// Runs a task. `task` is lent until the function returns; stent_task_ref keeps it longer. Returns STENT_OK after
/// stent_task_complete, stent_task_fail, stent_task_suspend or stent_task_continue; STENT_PENDING when another thread
/// will do that; or whatever status a durable call on the task gave it, which does the right thing. STENT_OK without
/// any of these is a failure of the task: in many languages it is what a thrown exception leaves behind.
///
/// Called on threads of the library, several at once.
pub type stent_handler_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, task: *mut stent_task) -> stent_status>;

type HandlerFn = unsafe extern "C" fn(user_data: *mut c_void, task: *mut stent_task) -> stent_status;

/// Runs the tasks of a batch, `count` of them, at least one. The array, which may be sorted, and the tasks are lent until the function
/// returns; stent_task_ref keeps a task longer. Each task has an outcome of its own: stent_task_complete,
/// stent_task_fail and the others take effect at once, as on a deferred task, and in any order. Returns STENT_OK when each
/// task has been ended; STENT_PENDING when other threads will end those that have not. With any other status, those that
/// have no outcome yet have failed with it. STENT_OK without an outcome is a failure of that task, with type "NoOutcome".
///
/// Called on threads of the library, several at once.
pub type stent_batch_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, tasks: *mut *mut stent_task, count: usize) -> stent_status>;

type BatchFn = unsafe extern "C" fn(user_data: *mut c_void, tasks: *mut *mut stent_task, count: usize) -> stent_status;

pub struct HostBatchHandler {
    call: BatchFn,
    context: OwnedContext,
}

impl HostBatchHandler {
    pub fn new(call: stent_batch_fn, context: OwnedContext) -> Result<Self> {
        let call = call.ok_or_else(|| null("handler"))?;
        Ok(Self { call, context })
    }
}

impl BatchHandler for HostBatchHandler {
    fn run(&self, tasks: &[Task]) -> Status {
        let mut handed = Vec::with_capacity(tasks.len());
        for task in tasks {
            match handles::give(TaskObject::new(task.clone())) {
                Ok(handle) => handed.push((handle, task)),
                Err(why) => end_as(task, &why),
            }
        }
        if handed.is_empty() {
            return Status::Ok;
        }
        let mut array: Vec<*mut stent_task> = handed.iter().map(|(handle, _)| *handle).collect();
        // SAFETY: the function and its context were given as a pair; array and handles live until the call returns.
        let code =
            threads::callback(|| unsafe { (self.call)(self.context.user_data(), array.as_mut_ptr(), array.len()) });
        handed.iter().for_each(|(handle, _)| handles::release::<TaskObject>(*handle));
        Status::from_code(code).unwrap_or_else(|| {
            for (_, task) in handed {
                let _ended_before = unknown(task, code);
            }
            Status::Ok
        })
    }
}

/// It can't be handed over, and fails alone.
fn end_as(task: &Task, why: &Error) {
    let ended = task.fail(Failure::new(why.status().name(), why.message()));
    // One that has ended, or has been lost, needs no end.
    drop(ended);
}

pub struct HostHandler {
    call: HandlerFn,
    context: OwnedContext,
}

impl HostHandler {
    /// None: without a function, for a host that takes events.
    pub fn new(call: stent_handler_fn, context: OwnedContext) -> Option<Self> {
        call.map(|call| Self { call, context })
    }
}

impl Handler for HostHandler {
    fn run(&self, task: &Task) -> Status {
        let handle = match handles::give(TaskObject::new(task.clone())) {
            Ok(handle) => handle,
            Err(why) => {
                task.note_error(&why);
                return why.status();
            }
        };
        // SAFETY: the function and its context were given as a pair, and the handle lives until the call returns.
        let code = threads::callback(|| unsafe { (self.call)(self.context.user_data(), handle) });
        handles::release::<TaskObject>(handle);
        Status::from_code(code).unwrap_or_else(|| unknown(task, code))
    }
}

fn unknown(task: &Task, code: i32) -> Status {
    let why = format!("the handler returned {code}, which is no stent_status");
    match task.fail(Failure::new("BadStatus", why)) {
        Ok(()) => Status::Ok,
        Err(why) => why.status(),
    }
}
