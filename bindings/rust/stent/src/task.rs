//! What a handler is given: durable operations, ways to end, and what the outside sees.

use std::ffi::c_char;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use stent_sys as sys;

use crate::call::{borrowed, call, decode, encode, json, text};
use crate::error::{Error, Failure, Result, Status};
use crate::function::{Arguments, Function};
use crate::handler::{HandlerError, HandlerResult};
use crate::library::Level;
use crate::options::{CallOptions, StepOptions, WaitSignalOptions};
use crate::records::TaskInfo;
use crate::values::Span;

/// What [`Task::hold`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The calls of the task's function that have its concurrency key.
    Key,
    /// All calls of the task's function.
    Function,
}

impl Hold {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Function => "function",
        }
    }
}

/// One run of a function, lent to its handler.
///
/// A thread that a handler starts and that makes durable calls is joined before the handler returns, and gives each of its
/// calls a key of its own: the order in which threads come is not the same in every run.
pub struct Task {
    handle: *mut sys::stent_task,
    // What has happened to the run, whatever the handler makes of its errors.
    suspended: AtomicBool,
    continued: AtomicBool,
    /// The status of the last error of a call on the task.
    raised: AtomicI32,
    /// A step failed in a way that is not recorded: so has the run.
    broken: Mutex<Option<HandlerError>>,
}

// SAFETY: the library's functions may be called on any thread, several at once.
unsafe impl Send for Task {}
// SAFETY: as above.
unsafe impl Sync for Task {}

type Why = *mut *mut sys::stent_error;

impl Task {
    pub(crate) fn lent(handle: *mut sys::stent_task) -> Self {
        let (suspended, continued) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { handle, suspended, continued, raised: AtomicI32::new(0), broken: Mutex::new(None) }
    }

    /// The C handle, for what is not here.
    pub fn handle(&self) -> *mut sys::stent_task {
        self.handle
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Relaxed)
    }

    pub(crate) fn is_continued(&self) -> bool {
        self.continued.load(Ordering::Relaxed)
    }

    pub(crate) fn has_raised(&self, status: Status) -> bool {
        self.raised.load(Ordering::Relaxed) == status.code()
    }

    pub(crate) fn broken(&self) -> Option<HandlerError> {
        self.broken.lock().map_or(None, |mut broken| broken.take())
    }

    /// What is known of the task.
    pub fn info(&self) -> Result<TaskInfo> {
        // SAFETY: the text lives as long as the task is lent.
        decode(&unsafe { borrowed(sys::stent_task_info(self.handle)) })
    }

    /// The same in every attempt, and after every crash: a key for the world outside.
    pub fn id(&self) -> Result<String> {
        self.info().map(|info| info.task_id)
    }

    /// The W3C Trace Context below which spans of the handler's own belong: its run's, where the library exports spans
    /// (`docs/tracing.md`), else the dispatch's; none where there is none.
    pub fn traceparent(&self) -> Option<String> {
        // SAFETY: the text lives as long as the task is lent.
        let given = unsafe { borrowed(sys::stent_task_traceparent(self.handle)) };
        (!given.is_empty()).then_some(given)
    }

    /// The arguments, of a handler that takes `Vec<Value>`, are its parameter; these are the named ones.
    pub fn kwargs<K: DeserializeOwned>(&self) -> Result<K> {
        // SAFETY: the text lives as long as the task is lent.
        decode(&unsafe { borrowed(sys::stent_task_kwargs(self.handle)) })
    }

    pub(crate) fn arguments<A: Arguments>(&self) -> HandlerResult<A> {
        // SAFETY: the text lives as long as the task is lent.
        let given = unsafe { borrowed(sys::stent_task_args(self.handle)) };
        A::read(&given).map_err(|why| Failure::new("BadArguments", why).not_retryable().into())
    }

    /// The handler should come to its end, because nothing of it will be taken. Costs nothing: ask often.
    pub fn is_cancelled(&self) -> bool {
        // SAFETY: the task is lent.
        unsafe { sys::stent_task_is_cancelled(self.handle) != 0 }
    }

    /// Durable calls are answered from what earlier runs recorded.
    pub fn is_replaying(&self) -> bool {
        // SAFETY: the task is lent.
        unsafe { sys::stent_task_is_replaying(self.handle) != 0 }
    }

    /// Makes a durable call. What it answers is remembered, whatever the handler makes of the error.
    pub(crate) fn make(&self, make: impl FnOnce(Why) -> sys::stent_status) -> Result<Status> {
        self.is_whole()?;
        match call(make) {
            Ok(sys::STENT_SUSPEND) => {
                self.suspended.store(true, Ordering::Relaxed);
                Err(Error::suspended())
            }
            Ok(status) => Ok(Status::from_code(status)),
            Err(error) => {
                self.raised.store(error.status().code(), Ordering::Relaxed);
                Err(error)
            }
        }
    }

    fn is_whole(&self) -> Result<()> {
        match self.broken.lock() {
            Ok(broken) => broken
                .as_ref()
                .map_or(Ok(()), |why| Err(Error::new(Status::Invalid, &format!("a step has failed: {why}")))),
            Err(_) => Ok(()),
        }
    }

    pub(crate) fn make_text(&self, make: impl FnOnce(*mut *mut c_char, Why) -> sys::stent_status) -> Result<String> {
        let mut said = String::new();
        self.make(|why| {
            let mut out = ptr::null_mut();
            let status = make(&mut out, why);
            // SAFETY: what was written is a text of ours, which is freed once; NULL is nothing.
            unsafe {
                said = borrowed(out);
                sys::stent_free(out.cast());
            }
            status
        })?;
        Ok(said)
    }

    /// Calls a function, of whatever language, and gives its result. With [`Status::Failed`] it failed for good, and
    /// [`Error::failure`] says why.
    pub fn call<A: Arguments, R: DeserializeOwned>(&self, function: &Function<A, R>, args: A) -> Result<R> {
        self.call_with(function, args, &CallOptions::new())
    }

    /// As [`Task::call`], with options.
    pub fn call_with<A, R>(&self, function: &Function<A, R>, args: A, options: &CallOptions) -> Result<R>
    where
        A: Arguments,
        R: DeserializeOwned,
    {
        let (name, args, options) = (function.c_name()?, text(&args.write()?)?, json(options)?);
        // SAFETY: the task is lent, and the texts live for the call.
        decode(&self.make_text(|out, why| unsafe {
            sys::stent_task_call(self.handle, name.as_ptr(), args.as_ptr(), options.as_ptr(), out, why)
        })?)
    }

    /// Calls a function once for each element, all at once; the results are in the same order.
    pub fn map<A, R>(&self, function: &Function<A, R>, list: impl IntoIterator<Item = A>) -> Result<Vec<R>>
    where
        A: Arguments,
        R: DeserializeOwned,
    {
        self.map_with(function, list, &CallOptions::new())
    }

    /// As [`Task::map`], with options, but without a key.
    pub fn map_with<A, R>(
        &self,
        function: &Function<A, R>,
        list: impl IntoIterator<Item = A>,
        options: &CallOptions,
    ) -> Result<Vec<R>>
    where
        A: Arguments,
        R: DeserializeOwned,
    {
        let arrays: Vec<String> = list.into_iter().map(|args| args.write()).collect::<Result<_>>()?;
        let (name, list, options) = (function.c_name()?, text(&format!("[{}]", arrays.join(",")))?, json(options)?);
        // SAFETY: the task is lent, and the texts live for the call.
        decode(&self.make_text(|out, why| unsafe {
            sys::stent_task_map(self.handle, name.as_ptr(), list.as_ptr(), options.as_ptr(), out, why)
        })?)
    }

    /// Sleeps without a thread or a slot; it wakes at the time that was fixed when it was first reached.
    pub fn sleep(&self, time: impl Into<Span>) -> Result<()> {
        let time = duration(time.into())?;
        // SAFETY: the task is lent, and the text lives for the call.
        self.make(|why| unsafe { sys::stent_task_sleep(self.handle, time.as_ptr(), why) }).map(|_| ())
    }

    /// Waits for a signal and takes it.
    pub fn wait_signal<R: DeserializeOwned>(&self, name: &str) -> Result<R> {
        self.wait_signal_with(name, &WaitSignalOptions::new())
    }

    /// As [`Task::wait_signal`], with options. With a failure of type `SignalTimeout` none came in time.
    pub fn wait_signal_with<R: DeserializeOwned>(&self, name: &str, options: &WaitSignalOptions) -> Result<R> {
        let (name, options) = (text(name)?, json(options)?);
        // SAFETY: the task is lent, and the texts live for the call.
        decode(&self.make_text(|out, why| unsafe {
            sys::stent_task_wait_signal(self.handle, name.as_ptr(), options.as_ptr(), out, why)
        })?)
    }

    /// Runs a function here, and records its result: later runs get that. A [`Failure`] that is not retryable is recorded too;
    /// any other error fails this attempt of the task, and the next one runs the step again.
    pub fn step<R>(&self, name: &str, body: impl FnOnce() -> HandlerResult<R>) -> Result<R>
    where
        R: Serialize + DeserializeOwned,
    {
        self.step_with(name, &StepOptions::new(), body)
    }

    /// As [`Task::step`], with options.
    pub fn step_with<R>(&self, name: &str, options: &StepOptions, body: impl FnOnce() -> HandlerResult<R>) -> Result<R>
    where
        R: Serialize + DeserializeOwned,
    {
        let (name, options) = (text(name)?, json(options)?);
        let (mut op, mut recorded) = (0, 0);
        // SAFETY: the task is lent, and the texts and numbers live for the call.
        self.make(|why| unsafe {
            sys::stent_task_step_begin(self.handle, name.as_ptr(), options.as_ptr(), &mut op, &mut recorded, why)
        })?;
        if recorded != 0 {
            return self.ended(op);
        }
        match body() {
            Ok(result) => self.end_step(op, Some(&encode(&result)?), None).map(|()| result),
            Err(why) => self.step_failed(op, why),
        }
    }

    fn step_failed<R: DeserializeOwned>(&self, op: u32, why: HandlerError) -> Result<R> {
        match why.get().downcast_ref::<Failure>() {
            Some(failure) if !failure.retryable => {
                self.end_step(op, None, Some(&encode(failure)?))?;
                self.ended(op)
            }
            _ => {
                let told = Error::new(Status::Invalid, &format!("a step has failed: {why}"));
                if let Ok(mut broken) = self.broken.lock() {
                    broken.get_or_insert(why);
                }
                Err(told)
            }
        }
    }

    fn end_step(&self, op: u32, result: Option<&str>, failure: Option<&str>) -> Result<()> {
        let (result, failure) = (result.map(text).transpose()?, failure.map(text).transpose()?);
        let pointer = |text: &Option<std::ffi::CString>| text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        // SAFETY: the task is lent, and the texts live for the call.
        self.make(|why| unsafe { sys::stent_task_step_end(self.handle, op, pointer(&result), pointer(&failure), why) })
            .map(|_| ())
    }

    /// The result of an operation that has ended.
    pub(crate) fn ended<R: DeserializeOwned>(&self, op: u32) -> Result<R> {
        let mut status = Status::Ok;
        let text = self.make_text(|out, why| {
            // SAFETY: the task is lent, and the places live for the call.
            let answered = unsafe { sys::stent_task_result(self.handle, op, out, why) };
            status = Status::from_code(answered);
            answered
        })?;
        match status {
            Status::Pending => Err(Error::new(status, "the operation has not ended, or was not awaited yet")),
            _ => decode(&text),
        }
    }

    /// The time of the last thing that this task was told, RFC 3339: the same in every replay.
    pub fn now(&self) -> Result<String> {
        // SAFETY: the task is lent.
        self.make_text(|out, why| unsafe { sys::stent_task_now(self.handle, out, why) })
    }

    /// 64 random bits, the same in every replay; not for secrets.
    pub fn random(&self) -> Result<u64> {
        let mut value = 0;
        // SAFETY: the task is lent.
        self.make(|why| unsafe { sys::stent_task_random(self.handle, &mut value, why) })?;
        Ok(value)
    }

    /// A UUID, the same in every replay.
    pub fn uuid(&self) -> Result<String> {
        // SAFETY: the task is lent.
        self.make_text(|out, why| unsafe { sys::stent_task_uuid(self.handle, out, why) })
    }

    /// Starts the task over with new arguments and an empty journal; return after it, what is returned is not used.
    pub fn continue_with(&self, args: impl Arguments) -> Result<()> {
        let args = text(&args.write()?)?;
        // SAFETY: the task is lent, and the text lives for the call.
        self.make(|why| unsafe { sys::stent_task_continue(self.handle, args.as_ptr(), why) })?;
        self.continued.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Puts the task off: it runs again after this time, from the top and with its journal, and no attempt is charged. Return
    /// after it, what is returned is not used. How often it was so is told by [`TaskInfo::snoozes`].
    pub fn snooze(&self, time: impl Into<Span>) -> Result<()> {
        let time = duration(time.into())?;
        // SAFETY: the task is lent, and the text lives for the call.
        self.make(|why| unsafe { sys::stent_task_snooze(self.handle, time.as_ptr(), why) })?;
        self.continued.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Adds a line to the execution's progress. As the two below, it is recorded with the task's next transition, once,
    /// whatever is replayed.
    pub fn progress(&self, detail: &impl Serialize) -> Result<()> {
        let detail = json(detail)?;
        // SAFETY: the task is lent, and the text lives for the call.
        self.make(|why| unsafe { sys::stent_task_progress(self.handle, detail.as_ptr(), why) }).map(|_| ())
    }

    /// Adds to a counter of the execution: any kind of number.
    pub fn counter_add(&self, name: &str, amount: impl Serialize) -> Result<()> {
        let (name, amount) = (text(name)?, json(&amount)?);
        // SAFETY: the task is lent, and the texts live for the call.
        self.make(|why| unsafe { sys::stent_task_counter_add(self.handle, name.as_ptr(), amount.as_ptr(), why) })
            .map(|_| ())
    }

    /// Sets a named value of the execution.
    pub fn state_set(&self, key: &str, value: &impl Serialize) -> Result<()> {
        let (key, value) = (text(key)?, json(value)?);
        // SAFETY: the task is lent, and the texts live for the call.
        self.make(|why| unsafe { sys::stent_task_state_set(self.handle, key.as_ptr(), value.as_ptr(), why) })
            .map(|_| ())
    }

    /// Says how far the handler has come, for its next attempt, which finds it in [`TaskInfo::heartbeat`]. The lease needs
    /// none.
    pub fn heartbeat(&self, details: &impl Serialize) -> Result<()> {
        let details = json(details)?;
        // SAFETY: the task is lent, and the text lives for the call.
        self.make(|why| unsafe { sys::stent_task_heartbeat(self.handle, details.as_ptr(), why) }).map(|_| ())
    }

    /// The other side wants nobody to ask for a while (429 with Retry-After): no other task of this one's concurrency key, or of
    /// its function, starts in that time. It is recorded with whatever the attempt comes to; a longer hold stands. The time may
    /// be that header's, as it came, or for instance `1m30s`; what can't be read does not count.
    pub fn hold(&self, what: Hold, retry_after: &str) -> Result<()> {
        let (what, time) = (text(what.as_str())?, text(retry_after)?);
        // SAFETY: the task is lent, and the texts live for the call.
        self.make(|why| unsafe { sys::stent_task_hold(self.handle, what.as_ptr(), time.as_ptr(), why) }).map(|_| ())
    }

    /// Writes a line to the library's log, and so to the `log` facade (target `stent::task`), with the task's ids, unless the task is replaying.
    pub fn log(&self, level: Level, message: &str) -> Result<()> {
        let message = text(message)?;
        // SAFETY: the task is lent, and the text lives for the call.
        call(|why| unsafe { sys::stent_task_log(self.handle, level as i32, message.as_ptr(), why) }).map(|_| ())
    }
}

/// A duration as the functions of tasks take it: text in words, or a number.
pub(crate) fn duration(time: Span) -> Result<std::ffi::CString> {
    match serde_json::to_value(&time) {
        Ok(Value::String(words)) => text(&words),
        _ => json(&time),
    }
}
