//! Handlers that take many tasks of a function in one call, each with an outcome of its own.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stent_sys as sys;

use crate::call::{call, encode, json, text};
use crate::error::{Error, Failure, Result};
use crate::executor::Executor;
use crate::function::{Arguments, Function};
use crate::handler::{HandlerError, HandlerResult, fail, said};
use crate::library::{give_back, owned};
use crate::options::{BatchOptions, FunctionOptions};
use crate::records::TaskInfo;
use crate::task::{Hold, Task};
use crate::values::Span;

/// What a batch's handler returns: one for each of its items, in their order. What is returned in place of all of them counts for
/// each.
pub type BatchResult<R> = HandlerResult<Vec<HandlerResult<R>>>;

/// One task of a batch, lent to the handler.
pub struct BatchItem<A> {
    /// What it was called with.
    pub args: A,
    task: Task,
}

impl<A> BatchItem<A> {
    /// What is known of the task: its attempt, and the details of the last one's heartbeat.
    pub fn info(&self) -> Result<TaskInfo> {
        self.task.info()
    }

    /// The same in every attempt, and after every crash: a key for the world outside.
    pub fn id(&self) -> Result<String> {
        self.task.id()
    }

    /// The named arguments.
    pub fn kwargs<K: DeserializeOwned>(&self) -> Result<K> {
        self.task.kwargs()
    }

    /// Nothing of it will be taken any more. Costs nothing: ask often.
    pub fn is_cancelled(&self) -> bool {
        self.task.is_cancelled()
    }

    /// As [`Task::heartbeat`].
    pub fn heartbeat(&self, details: &impl Serialize) -> Result<()> {
        self.task.heartbeat(details)
    }

    /// As [`Task::hold`].
    pub fn hold(&self, what: Hold, retry_after: &str) -> Result<()> {
        self.task.hold(what, retry_after)
    }

    /// "Not now": the task runs again after this time, and no attempt is charged. What is returned for it is not used.
    pub fn snooze(&self, time: impl Into<Span>) -> Result<()> {
        self.task.snooze(time)
    }

    /// The C handle, for what is not here.
    pub fn handle(&self) -> *mut sys::stent_task {
        self.task.handle()
    }
}

impl Executor {
    /// Registers a handler that takes many tasks of a function in one call: for what costs as much for a hundred rows as for
    /// one. Each task has its own retries, time-out and cancel, and takes a slot. An error or a panic of the handler counts
    /// for all that it was given; a task whose arguments can't be read fails alone.
    ///
    /// It is called on threads of the library, several at once.
    pub fn register_batch<A, R, F>(&self, function: &Function<A, R>, batch: &BatchOptions, handler: F) -> Result<()>
    where
        A: Arguments,
        R: Serialize,
        F: Fn(&[BatchItem<A>]) -> BatchResult<R> + Send + Sync + 'static,
    {
        self.register_batch_with(function, batch, &FunctionOptions::new(), handler)
    }

    /// As [`Executor::register_batch`], with the function's options.
    pub fn register_batch_with<A, R, F>(
        &self,
        function: &Function<A, R>,
        batch: &BatchOptions,
        options: &FunctionOptions,
        handler: F,
    ) -> Result<()>
    where
        A: Arguments,
        R: Serialize,
        F: Fn(&[BatchItem<A>]) -> BatchResult<R> + Send + Sync + 'static,
    {
        let (name, options, batch) = (function.c_name()?, json(options)?, json(batch)?);
        let handler: Handler = Box::new(move |tasks| run(tasks, &handler));
        // SAFETY: the texts live for the call; the library gives the handler back to `give_back` once.
        call(|why| unsafe {
            let handler = owned(handler);
            sys::stent_executor_register_batch(
                self.handle(),
                name.as_ptr(),
                options.as_ptr(),
                batch.as_ptr(),
                Some(on_batch),
                handler,
                Some(give_back::<Handler>),
                why,
            )
        })
        .map(|_| ())
    }
}

/// A handler without its types: ends each of the tasks.
type Handler = Box<dyn Fn(Vec<Task>) + Send + Sync>;

/// Is called by the library for each batch.
unsafe extern "C" fn on_batch(
    handler: *mut c_void,
    tasks: *mut *mut sys::stent_task,
    count: usize,
) -> sys::stent_status {
    // SAFETY: it is the box that was registered, which lives until it is given back.
    let handler = unsafe { &*handler.cast::<Handler>() };
    // SAFETY: so many tasks, lent until this returns.
    let tasks = unsafe { slice::from_raw_parts(tasks, count) };
    let run = caught(|| {
        handler(tasks.iter().map(|task| Task::lent(*task)).collect());
        Ok(())
    });
    // What an argument's or a result's destructor panics with: the tasks have ended by then.
    run.map_or(sys::STENT_E_PANIC, |()| sys::STENT_OK)
}

fn run<A: Arguments, R: Serialize>(tasks: Vec<Task>, handler: &impl Fn(&[BatchItem<A>]) -> BatchResult<R>) {
    let mut items = Vec::with_capacity(tasks.len());
    for task in tasks {
        match caught(|| task.arguments()) {
            Ok(args) => items.push(BatchItem { args, task }),
            Err(why) => end(&task, Err(why)),
        }
    }
    if items.is_empty() {
        return;
    }
    match caught(|| one_for_each(handler(&items)?, items.len())) {
        Ok(outcomes) => items.iter().zip(outcomes).for_each(|(item, outcome)| {
            let result = outcome.and_then(|result| caught(|| Ok(encode(&result)?)));
            end(&item.task, result);
        }),
        Err(why) => items.iter().for_each(|item| end_with(&item.task, &why)),
    }
}

fn one_for_each<R>(outcomes: Vec<R>, items: usize) -> HandlerResult<Vec<R>> {
    if outcomes.len() == items {
        return Ok(outcomes);
    }
    let given = outcomes.len();
    let told =
        format!("the handler gave {given} outcomes for {items} tasks; it must give one for each, in their order");
    Err(Error::invalid(&told).into())
}

fn caught<T>(run: impl FnOnce() -> HandlerResult<T>) -> HandlerResult<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panicked| {
        let message = said(&*panicked).to_owned();
        // What a payload's destructor panics with is no more ours to tell.
        drop(catch_unwind(AssertUnwindSafe(|| drop(panicked))));
        Err(Failure::new("panic", message).into())
    })
}

/// Ends a task by what its part of the batch came to. A result that the library refuses has failed the task.
fn end(task: &Task, result: HandlerResult<String>) {
    if task.is_continued() {
        return;
    }
    let completed = result.and_then(|result| {
        let result = text(&result)?;
        // SAFETY: the task is lent until the handler returns, the text for the call.
        Ok(call(|why| unsafe { sys::stent_task_complete(task.handle(), result.as_ptr(), why) })?)
    });
    if let Err(why) = completed {
        end_with(task, &why);
    }
}

fn end_with(task: &Task, why: &HandlerError) {
    if !task.is_continued() {
        // A task that is over already, by a cancel say, needs no end.
        let _over = fail(task, why.failure().and_then(|failure| text(&failure)));
    }
}
