//! A C function as a handler.

use std::ffi::c_void;

use super::{TaskObject, stent_task};
use crate::executor::{Handler, Task};
use crate::ffi::plumbing::context::OwnedContext;
use crate::ffi::plumbing::{handles, threads};
use crate::ffi::stent_status;
use crate::model::{Failure, Status};

/// Runs a task. `task` is lent until the function returns; stent_task_ref keeps it longer. Returns STENT_OK after
/// stent_task_complete, stent_task_fail, stent_task_suspend or stent_task_continue; STENT_PENDING when another thread
/// will do that; or whatever status a durable call on the task gave it, which does the right thing. STENT_OK without
/// any of these is a failure of the task: in many languages it is what a thrown exception leaves behind.
///
/// Called on threads of the library, several at once.
pub type stent_handler_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, task: *mut stent_task) -> stent_status>;

type HandlerFn = unsafe extern "C" fn(user_data: *mut c_void, task: *mut stent_task) -> stent_status;

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
