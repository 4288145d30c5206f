//! Executors: functions are registered here, executions dispatched, and workers started.

use std::ptr;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stent_sys as sys;

use crate::call::{ask, call, decode, encode, json, text};
use crate::error::Result;
use crate::execution::Execution;
use crate::function::{Arguments, Function};
use crate::handler::{Handler, HandlerResult, on_task};
use crate::library::{Level, LogHandler, LogLine, give_back, on_log, owned};
use crate::options::{
    CleanupOptions, DeadLetterFilter, DispatchOptions, ExecutionFilter, FunctionOptions, LogOptions, PauseOptions,
    StatsOptions, UnpauseOptions,
};
use crate::records::{Cleaned, DeadLetter, ExecutionRecord, Pause};
use crate::store::Store;
use crate::task::Task;

/// Registers functions, starts and watches executions, starts workers.
#[derive(Clone)]
pub struct Executor(Arc<Handle>);

struct Handle(*mut sys::stent_executor);

// SAFETY: the library's functions may be called on any thread, several at once.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it is ours, and freed once.
        unsafe { sys::stent_executor_free(self.0) }
    }
}

impl Executor {
    /// Makes an executor on a store, which it keeps open.
    pub fn new(store: &Store) -> Result<Self> {
        let mut executor = ptr::null_mut();
        // SAFETY: the store lives, and the place for the call.
        call(|why| unsafe { sys::stent_executor_new(store.handle(), ptr::null(), &mut executor, why) })?;
        Ok(Self(Arc::new(Handle(executor))))
    }

    /// The C handle, for what is not here.
    pub fn handle(&self) -> *mut sys::stent_executor {
        self.0.0
    }

    /// Registers the handler of a function, for the workers that are started from now on. It is called on threads of the
    /// library, several at once.
    ///
    /// A panic fails the task, and the program lives on, unless it is built with `panic = "abort"`.
    pub fn register<A, R, F>(&self, function: &Function<A, R>, handler: F) -> Result<()>
    where
        A: Arguments,
        R: Serialize,
        F: Fn(&Task, A) -> HandlerResult<R> + Send + Sync + 'static,
    {
        self.register_with(function, &FunctionOptions::new(), handler)
    }

    /// As [`Executor::register`], with options.
    pub fn register_with<A, R, F>(&self, function: &Function<A, R>, options: &FunctionOptions, handler: F) -> Result<()>
    where
        A: Arguments,
        R: Serialize,
        F: Fn(&Task, A) -> HandlerResult<R> + Send + Sync + 'static,
    {
        let (name, options) = (function.c_name()?, json(options)?);
        let handler: Handler = Box::new(move |task| Ok(encode(&handler(task, task.arguments()?)?)?));
        // SAFETY: the texts live for the call; the library gives the handler back to `give_back` once.
        call(|why| unsafe {
            let handler = owned(handler);
            sys::stent_executor_register(
                self.handle(),
                name.as_ptr(),
                options.as_ptr(),
                Some(on_task),
                handler,
                Some(give_back::<Handler>),
                why,
            )
        })
        .map(|_| ())
    }

    /// Takes a function's handler back: workers that are started from now on don't have it, those that run keep it. The name
    /// may be registered anew. [`Status::NotFound`]: it is not registered here.
    ///
    /// [`Status::NotFound`]: crate::Status::NotFound
    pub fn unregister<A, R>(&self, function: &Function<A, R>) -> Result<()> {
        let name = function.c_name()?;
        // SAFETY: the handle lives, and the text for the call.
        call(|why| unsafe { sys::stent_executor_unregister(self.handle(), name.as_ptr(), why) }).map(|_| ())
    }

    /// Hands what this executor, its workers and their tasks have to say to a function, instead of the process's log handler.
    pub fn set_log_handler(
        &self,
        options: &LogOptions,
        handler: impl Fn(Level, LogLine) + Send + Sync + 'static,
    ) -> Result<()> {
        let options = json(options)?;
        let handler: LogHandler = Box::new(handler);
        // SAFETY: the text lives for the call; the library gives the handler back to `give_back` once.
        call(|why| unsafe {
            let handler = owned(handler);
            let free = Some(give_back::<LogHandler> as sys::stent_free_fn);
            sys::stent_executor_set_log_handler(self.handle(), options.as_ptr(), Some(on_log), handler, free, why)
        })
        .map(|_| ())
    }

    /// Starts an execution of a function, whoever has it, and returns when that is durable.
    pub fn dispatch<A: Arguments, R>(&self, function: &Function<A, R>, args: A) -> Result<Execution<R>> {
        self.dispatch_with(function, args, &DispatchOptions::new())
    }

    /// As [`Executor::dispatch`], with options.
    pub fn dispatch_with<A, R>(
        &self,
        function: &Function<A, R>,
        args: A,
        options: &DispatchOptions,
    ) -> Result<Execution<R>>
    where
        A: Arguments,
    {
        let (name, args, options) = (function.c_name()?, text(&args.write()?)?, json(options)?);
        // SAFETY: the handle lives, and the texts for the call.
        let id = ask(|out, why| unsafe {
            sys::stent_executor_dispatch(self.handle(), name.as_ptr(), args.as_ptr(), options.as_ptr(), out, why)
        })?;
        Ok(self.execution(id))
    }

    /// Starts an execution for each of the arguments, all at once; they are in the same order.
    pub fn dispatch_many<A: Arguments, R>(
        &self,
        function: &Function<A, R>,
        list: impl IntoIterator<Item = A>,
        options: &DispatchOptions,
    ) -> Result<Vec<Execution<R>>> {
        let (name, options) = (encode(function.name())?, encode(options)?);
        let request = |args: A| Ok(format!("{{\"function\":{name},\"args\":{},\"options\":{options}}}", args.write()?));
        let requests: Vec<String> = list.into_iter().map(request).collect::<Result<_>>()?;
        let requests = text(&format!("[{}]", requests.join(",")))?;
        // SAFETY: the handle lives, and the text for the call.
        let ids: Vec<String> = decode(&ask(|out, why| unsafe {
            sys::stent_executor_dispatch_many(self.handle(), requests.as_ptr(), out, why)
        })?)?;
        Ok(ids.into_iter().map(|id| self.execution(id)).collect())
    }

    /// An execution by its id, which another program may have dispatched.
    pub fn execution<R>(&self, id: impl Into<String>) -> Execution<R> {
        Execution::new(self.clone(), id.into())
    }

    /// The executions that a filter admits, newest first, without their progress.
    pub fn list(&self, filter: &ExecutionFilter) -> Result<Vec<ExecutionRecord>> {
        self.filtered(filter, sys::stent_executor_list)
    }

    /// The dead letters that a filter admits, newest first.
    pub fn dead_letters(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>> {
        self.filtered(filter, sys::stent_executor_dead_letters)
    }

    /// Pauses a queue or a function: when this has returned, no worker claims a task of it any more.
    pub fn pause(&self, options: &PauseOptions) -> Result<()> {
        let options = json(options)?;
        // SAFETY: the handle lives, and the text for the call.
        call(|why| unsafe { sys::stent_executor_pause(self.handle(), options.as_ptr(), why) }).map(|_| ())
    }

    /// Its tasks are claimed again.
    pub fn unpause(&self, options: &UnpauseOptions) -> Result<()> {
        let options = json(options)?;
        // SAFETY: the handle lives, and the text for the call.
        call(|why| unsafe { sys::stent_executor_unpause(self.handle(), options.as_ptr(), why) }).map(|_| ())
    }

    /// What is paused: queues first, by name, then functions.
    pub fn pauses(&self) -> Result<Vec<Pause>> {
        // SAFETY: the handle lives.
        decode(&ask(|out, why| unsafe { sys::stent_executor_pauses(self.handle(), out, why) })?)
    }

    /// Removes executions that ended long ago; workers do it by themselves too.
    pub fn cleanup(&self, options: &CleanupOptions) -> Result<Cleaned> {
        self.filtered(options, sys::stent_executor_cleanup)
    }

    /// How the store and this executor's workers are doing: JSON, or Prometheus's text.
    pub fn stats(&self, options: &StatsOptions) -> Result<String> {
        let options = json(options)?;
        // SAFETY: the handle lives, and the text for the call.
        ask(|out, why| unsafe { sys::stent_executor_stats(self.handle(), options.as_ptr(), out, why) })
    }

    fn filtered<R: DeserializeOwned>(
        &self,
        options: &impl Serialize,
        function: unsafe extern "C" fn(
            *mut sys::stent_executor,
            *const std::ffi::c_char,
            *mut *mut std::ffi::c_char,
            *mut *mut sys::stent_error,
        ) -> sys::stent_status,
    ) -> Result<R> {
        let options = json(options)?;
        // SAFETY: the handle lives, and the text for the call.
        decode(&ask(|out, why| unsafe { function(self.handle(), options.as_ptr(), out, why) })?)
    }

    /// Starts an execution anew from a dead letter.
    pub fn replay_dead_letter<R>(&self, task_id: &str) -> Result<Execution<R>> {
        #[derive(serde::Deserialize)]
        struct Ids {
            execution_id: String,
        }
        let id = text(task_id)?;
        // SAFETY: the handle lives, and the text for the call.
        let ids: Ids = decode(&ask(|out, why| unsafe {
            sys::stent_executor_replay_dead_letter(self.handle(), id.as_ptr(), ptr::null(), out, why)
        })?)?;
        Ok(self.execution(ids.execution_id))
    }

    /// Takes a dead letter away; its execution stays as it ended.
    pub fn discard_dead_letter(&self, task_id: &str) -> Result<()> {
        let id = text(task_id)?;
        // SAFETY: the handle lives, and the text for the call.
        call(|why| unsafe { sys::stent_executor_discard_dead_letter(self.handle(), id.as_ptr(), why) }).map(|_| ())
    }

    /// Lets a task go on that was parked because its code did not match its journal.
    pub fn resume(&self, task_id: &str) -> Result<()> {
        let id = text(task_id)?;
        // SAFETY: the handle lives, and the text for the call.
        call(|why| unsafe { sys::stent_executor_resume(self.handle(), id.as_ptr(), ptr::null(), why) }).map(|_| ())
    }
}
