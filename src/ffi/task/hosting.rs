//! A C function as a handler.

use std::ffi::c_void;

use super::{TaskObject, stent_task};
use crate::executor::{Handler, Task};
use crate::ffi::plumbing::context::OwnedContext;
use crate::ffi::plumbing::{handles, threads};
use crate::ffi::{stent_handler_fn, stent_status};
use crate::model::{Failure, Status};

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
