//! Reads options strictly: an unknown key is an error that names the known ones. Null means the same as leaving the key
//! out. No text means an empty object.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fault::Fault;
use super::input;
use super::reader::Reader;
use super::tables::Object;
use super::tables::objects;
use crate::backend::{DeadLetterFilter, ExecutionFilter, NewPause, Pausable};
use crate::model::{
    BATCH_SIZE_MAX, BatchOptions, CONCURRENCY_MAX, CONNECTIONS_MAX, CallOptions, CheckOptions, CleanupOptions,
    ConfigureOptions, CustomOptions, DispatchOptions, DispatchRequest, Error, FunctionOptions, Id, LogOptions, Payload,
    Result, SignalOptions, SqliteOptions, StatsOptions, StepOptions, TaskOptions, WaitSignalOptions, WorkerOptions,
    check_name, counts, error_text, seconds,
};

/// Less is not enough for what stands between a thread and its handler's call of the library; more is a mistake.
const HANDLER_STACK: RangeInclusive<usize> = 256 * 1024..=1024 * 1024 * 1024;

/// How an execution is started; see `dispatch` in [`super::describe`].
pub fn dispatch(text: Option<&str>) -> Result<DispatchOptions> {
    dispatch_fields(&Fields::from_text(&objects::DISPATCH, text)?)
}

/// How a handler calls a function.
pub fn call(text: Option<&str>) -> Result<CallOptions> {
    let fields = Fields::from_text(&objects::CALL, text)?;
    let options = CallOptions {
        key: fields.name("key")?,
        kwargs: fields.kwargs("kwargs")?,
        delay: fields.duration("delay")?,
        idempotency_key: fields.name("idempotency_key")?,
        cache_key: fields.name("cache_key")?,
        task: task_options(&fields)?,
    };
    fields.checked(options.task.check())?;
    Ok(options)
}

/// What a worker declares of a function.
pub fn function(text: Option<&str>) -> Result<FunctionOptions> {
    let fields = Fields::from_text(&objects::FUNCTION, text)?;
    let options = FunctionOptions {
        queue: fields.name("queue")?,
        tags: fields.value("tags")?.unwrap_or_default(),
        priority: fields.value("priority")?,
        priority_ageing: fields.duration("priority_ageing")?,
        retry_policy: fields.value("retry_policy")?,
        timeout: fields.duration("timeout")?,
        version: fields.name("version")?,
        max_concurrent: fields.count("max_concurrent", u32::MAX)?,
        max_concurrent_per_key: fields.count("max_concurrent_per_key", u32::MAX)?,
        rate: fields.value("rate")?,
        rate_per_key: fields.value("rate_per_key")?,
        cached: fields.value("cached")?.unwrap_or_default(),
        cache_ttl: fields.duration("cache_ttl")?,
        idempotent: fields.value("idempotent")?.unwrap_or_default(),
        cleanup: fields.duration("cleanup")?,
    };
    fields.checked(options.check())?;
    Ok(options)
}

/// How tasks are gathered for a handler.
pub fn batch(text: Option<&str>) -> Result<BatchOptions> {
    let fields = Fields::from_text(&objects::BATCH, text)?;
    let default = BatchOptions::default();
    let options = BatchOptions {
        size: fields.count("size", BATCH_SIZE_MAX)?.unwrap_or(default.size),
        wait: fields.duration("wait")?.unwrap_or(default.wait),
    };
    fields.checked(options.check())?;
    Ok(options)
}

/// How a worker works.
pub fn worker(text: Option<&str>) -> Result<WorkerOptions> {
    let fields = Fields::from_text(&objects::WORKER, text)?;
    let default = WorkerOptions::default();
    let options = WorkerOptions {
        worker_id: fields.name("worker_id")?,
        queues: fields.value("queues")?.unwrap_or_default(),
        queue_rates: fields.value("queue_rates")?.unwrap_or_default(),
        tags: fields.value("tags")?.unwrap_or_default(),
        max_concurrency: fields.count("max_concurrency", CONCURRENCY_MAX)?.unwrap_or(default.max_concurrency),
        prefetch: fields.value("prefetch")?,
        lease_duration: fields.duration("lease_duration")?.unwrap_or(default.lease_duration),
        heartbeat_interval: fields.duration("heartbeat_interval")?,
        poll_interval: fields.duration("poll_interval")?.unwrap_or(default.poll_interval),
        poll_interval_max: fields.duration("poll_interval_max")?.unwrap_or(default.poll_interval_max),
        // The one option for which null differs from leaving it out.
        cleanup_interval: match fields.is_null("cleanup_interval") {
            true => None,
            false => fields.duration("cleanup_interval")?.or(default.cleanup_interval),
        },
        retention_period: fields.duration("retention_period")?.unwrap_or(default.retention_period),
        hold: fields.duration("hold")?.unwrap_or(default.hold),
        max_coroutines: fields.value("max_coroutines")?.unwrap_or(default.max_coroutines),
        host_timeout: fields.duration("host_timeout")?,
    };
    fields.checked(options.check())?;
    Ok(options)
}

/// A wait for a signal.
pub fn wait_signal(text: Option<&str>) -> Result<WaitSignalOptions> {
    let fields = Fields::from_text(&objects::WAIT_SIGNAL, text)?;
    Ok(WaitSignalOptions { timeout: fields.duration("timeout")?, key: fields.name("key")? })
}

/// A step run in place.
pub fn step(text: Option<&str>) -> Result<StepOptions> {
    let fields = Fields::from_text(&objects::STEP, text)?;
    Ok(StepOptions { key: fields.name("key")? })
}

/// The sending of a signal.
pub fn signal(text: Option<&str>) -> Result<SignalOptions> {
    let fields = Fields::from_text(&objects::SIGNAL, text)?;
    Ok(SignalOptions { id: fields.name("id")? })
}

/// Which executions are listed.
pub fn execution_filter(text: Option<&str>) -> Result<ExecutionFilter> {
    let fields = Fields::from_text(&objects::EXECUTION_FILTER, text)?;
    Ok(ExecutionFilter {
        state: fields.value("state")?,
        function: fields.value("function")?,
        queue: fields.value("queue")?,
        tag: fields.value("tag")?,
        created_after: fields.value("created_after")?,
        created_before: fields.value("created_before")?,
        limit: fields.value("limit")?.unwrap_or(10),
        offset: fields.value("offset")?.unwrap_or(0),
    })
}

/// Which dead letters are listed.
pub fn dead_letter_filter(text: Option<&str>) -> Result<DeadLetterFilter> {
    let fields = Fields::from_text(&objects::DEAD_LETTER_FILTER, text)?;
    Ok(DeadLetterFilter {
        task: fields.value("task_id")?,
        execution: fields.id("execution_id")?,
        function: fields.value("function")?,
        limit: fields.value("limit")?.unwrap_or(50),
        offset: fields.value("offset")?.unwrap_or(0),
    })
}

/// What is paused.
pub fn pause(text: Option<&str>) -> Result<NewPause> {
    let fields = Fields::from_text(&objects::PAUSE, text)?;
    let what = pausable(&fields)?;
    let told = |key| fields.value(key).map(|told: Option<String>| told.map(error_text));
    Ok(NewPause { what, reason: told("reason")?, by: told("by")? })
}

/// What is paused no more.
pub fn unpause(text: Option<&str>) -> Result<Pausable> {
    pausable(&Fields::from_text(&objects::UNPAUSE, text)?)
}

fn pausable(fields: &Fields<'_>) -> Result<Pausable> {
    let what = Pausable::new(fields.name("queue")?, fields.name("function")?);
    what.map_err(|error| error.doing(&fields.what).with("object", fields.object.name))
}

/// What a cleanup removes.
pub fn cleanup(text: Option<&str>) -> Result<CleanupOptions> {
    let fields = Fields::from_text(&objects::CLEANUP, text)?;
    Ok(CleanupOptions {
        older_than: fields.duration("older_than")?.unwrap_or(CleanupOptions::default().older_than),
        dead_letters: fields.duration("dead_letters")?,
    })
}

/// The format of statistics.
pub fn stats(text: Option<&str>) -> Result<StatsOptions> {
    let fields = Fields::from_text(&objects::STATS, text)?;
    Ok(StatsOptions { format: fields.value("format")?.unwrap_or(StatsOptions::default().format) })
}

/// The library's own settings.
pub fn configure(text: Option<&str>) -> Result<ConfigureOptions> {
    let fields = Fields::from_text(&objects::CONFIGURE, text)?;
    let options = ConfigureOptions {
        runtime_threads: fields.value("runtime_threads")?,
        handler_stack_size: fields.value("handler_stack_size")?,
        otlp_endpoint: fields.value("otlp_endpoint")?,
    };
    if options.otlp_endpoint.as_deref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        // It may hold a password, so it is not repeated.
        return Err(fields.wrong("otlp_endpoint", "is no http:// or https:// URL"));
    }
    if options.runtime_threads == Some(0) {
        return Err(fields.wrong("runtime_threads", "is 0; it must be at least 1 (leave it out for the default)"));
    }
    match options.handler_stack_size {
        Some(bytes) if !HANDLER_STACK.contains(&bytes) => {
            let told =
                format!("is {bytes}; it must be from {} to {} bytes", HANDLER_STACK.start(), HANDLER_STACK.end());
            Err(fields.wrong("handler_stack_size", &told))
        }
        _ => Ok(options),
    }
}

/// What a log handler is given.
pub fn log(text: Option<&str>) -> Result<LogOptions> {
    let fields = Fields::from_text(&objects::LOG_HANDLER, text)?;
    Ok(LogOptions { level: fields.value("level")?.unwrap_or(LogOptions::default().level) })
}

/// Options of a call that has none yet: any key is an error, so that none is ignored.
pub fn none(text: Option<&str>) -> Result<()> {
    Fields::read(&objects::NONE, "options".to_owned(), text.unwrap_or_default(), Reader::object("options", text)?)
        .map(drop)
}

/// How a SQLite file is opened.
pub fn sqlite(text: Option<&str>) -> Result<SqliteOptions> {
    let fields = Fields::from_text(&objects::SQLITE, text)?;
    let default = SqliteOptions::default();
    let options = SqliteOptions {
        synchronous: fields.value("synchronous")?.unwrap_or(default.synchronous),
        busy_timeout: fields.duration("busy_timeout")?.unwrap_or(default.busy_timeout),
        readers: fields.count("readers", CONNECTIONS_MAX)?.unwrap_or(default.readers),
        file_mode: fields.value("file_mode")?.unwrap_or(default.file_mode),
    };
    if options.readers == 0 {
        return Err(fields.wrong("readers", "is 0; it must be at least 1"));
    }
    Ok(options)
}

/// How a store that a user writes is spoken to.
pub fn custom(text: Option<&str>) -> Result<CustomOptions> {
    let fields = Fields::from_text(&objects::CUSTOM, text)?;
    let default = CustomOptions::default();
    Ok(CustomOptions {
        timeout: fields.duration("timeout")?.unwrap_or(default.timeout),
        features: fields.value("features")?.unwrap_or(default.features),
    })
}

/// How the conformance suite is run.
pub fn check(text: Option<&str>) -> Result<CheckOptions> {
    let fields = Fields::from_text(&objects::CHECK, text)?;
    Ok(CheckOptions {
        only: fields.value("only")?.unwrap_or_default(),
        timeout: fields.duration("timeout")?.unwrap_or(CheckOptions::default().timeout),
    })
}

/// Many dispatches: an array of `{"function", "args", "options"}`.
pub fn dispatch_requests(text: &str) -> Result<Vec<DispatchRequest>> {
    const WHAT: &str = "dispatch_many";
    let elements = Reader::new(WHAT, text)?.elements().map_err(|fault| fault.into_error(WHAT, text))?;
    let request =
        |(index, element): (usize, Reader<'_>)| dispatch_request(&format!("{WHAT} request {index}"), text, element);
    elements.into_iter().enumerate().map(request).collect()
}

/// One of them. `text`: the whole, for places in messages.
pub(super) fn dispatch_request(what: &str, text: &str, request: Reader<'_>) -> Result<DispatchRequest> {
    let fields = Fields::read(&objects::DISPATCH_REQUEST, what.to_owned(), text, request)?;
    let function = fields.needed("function", fields.name("function")?)?;
    let args = match fields.member("args") {
        Some(args) => input::args(&format!("{what}: args"), text, args)?,
        None => Payload::empty_array(),
    };
    let options = match fields.member("options") {
        Some(options) => {
            dispatch_fields(&Fields::read(&objects::DISPATCH, format!("{what}: options"), text, options)?)?
        }
        None => DispatchOptions::default(),
    };
    Ok(DispatchRequest { function, args, options })
}

/// A dispatch in one object: the function, its arguments, and beside them its options.
pub fn dispatch_whole(what: &str, text: &str) -> Result<DispatchRequest> {
    let mut members: BTreeMap<String, Box<RawValue>> = super::from_json(what, text)?;
    let Some(function) = members.remove("function") else {
        return Err(
            Error::invalid(format!("{what}: 'function' is missing; it names what is to run")).with("key", "function")
        );
    };
    let args = members.remove("args").filter(|args| args.get() != "null");
    let options: Vec<String> =
        members.iter().map(|(name, value)| format!("{}:{}", super::to_json(name), value.get())).collect();
    Ok(DispatchRequest {
        function: super::from_json("function", function.get())?,
        args: super::args_from_text(args.as_ref().map(|args| args.get()))?,
        options: dispatch(Some(&format!("{{{}}}", options.join(","))))?,
    })
}

pub(super) fn dispatch_fields(fields: &Fields<'_>) -> Result<DispatchOptions> {
    let options = DispatchOptions {
        id: fields.id("id")?,
        kwargs: fields.kwargs("kwargs")?,
        delay: fields.duration("delay")?,
        expiry: fields.duration("expiry")?,
        max_duration: fields.duration("max_duration")?,
        idempotency_key: fields.name("idempotency_key")?,
        idempotency_reuse: fields.value("idempotency_reuse")?.unwrap_or_default(),
        unique_key: fields.name("unique_key")?,
        unique_for: fields.duration("unique_for")?,
        unique_while: fields.value("unique_while")?,
        unique_existing: fields.value("unique_existing")?.unwrap_or_default(),
        debounce: fields.duration("debounce")?,
        debounce_max: fields.duration("debounce_max")?,
        on_cancel: fields.name("on_cancel")?,
        traceparent: fields.name("traceparent")?,
        task: task_options(fields)?,
    };
    fields.checked(options.check())?;
    Ok(options)
}

fn task_options(fields: &Fields<'_>) -> Result<TaskOptions> {
    Ok(TaskOptions {
        queue: fields.name("queue")?,
        tags: fields.value("tags")?,
        priority: fields.value("priority")?,
        priority_ageing: fields.duration("priority_ageing")?,
        retry_policy: fields.value("retry_policy")?,
        timeout: fields.duration("timeout")?,
        cached: fields.value("cached")?,
        cache_ttl: fields.duration("cache_ttl")?,
        concurrency_key: fields.name("concurrency_key")?,
        fairness_key: fields.name("fairness_key")?,
        fairness_weight: fields.value("fairness_weight")?,
    })
}

/// The members of an object of options; each is a key of its table, and given once.
pub(super) struct Fields<'t> {
    object: &'static Object,
    /// What is read, for messages.
    what: String,
    /// The whole text, for places in messages.
    text: &'t str,
    members: Vec<(&'static str, Reader<'t>)>,
}

/// Why a call has no such option.
const OF_DISPATCH: &str = "it is an option of dispatch; a call that failed leaves its key free, and its handler sees the \
                           failure and decides";

impl<'t> Fields<'t> {
    pub(super) fn from_text(object: &'static Object, text: Option<&'t str>) -> Result<Self> {
        let what = format!("{} options", object.name.replace('_', " "));
        let reader = Reader::object(&what, text)?;
        Self::read(object, what, text.unwrap_or_default(), reader)
    }

    pub(super) fn read(object: &'static Object, what: String, text: &'t str, reader: Reader<'t>) -> Result<Self> {
        let mut members: Vec<(&'static str, Reader<'t>)> = Vec::new();
        let mut of_dispatch = false;
        let mut take = || -> std::result::Result<(), Fault> {
            for member in reader.members().map_err(|fault| fault.near(reader.text()))? {
                let key = object.keys.iter().find(|key| **key == member.key);
                of_dispatch |= object.name == objects::CALL.name && member.key == "idempotency_reuse";
                let key = key.ok_or_else(|| Fault::unknown(&member.key, object.keys).near(member.key_text))?;
                if members.iter().any(|(before, _)| before == key) {
                    return Err(Fault::twice(key).near(member.key_text));
                }
                members.push((key, member.value));
            }
            Ok(())
        };
        take().map_err(|fault| {
            let error = fault.into_error(&what, text).with("object", object.name);
            if !of_dispatch {
                return error;
            }
            let details = error.details().iter().map(|(key, detail)| (*key, detail.clone()));
            details.fold(Error::invalid(format!("{}; {OF_DISPATCH}", error.message())), |error, (key, detail)| {
                error.with(key, detail)
            })
        })?;
        Ok(Self { object, what, text, members })
    }

    fn given(&self, key: &str) -> Option<Reader<'t>> {
        // A key that is read but not in the table could never be given: the table would not describe it.
        debug_assert!(self.object.keys.contains(&key), "{key} is not in the table of {}", self.object.name);
        self.members.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    pub(super) fn member(&self, key: &str) -> Option<Reader<'t>> {
        self.given(key).filter(|value| !value.is_null())
    }

    fn is_null(&self, key: &str) -> bool {
        self.given(key).is_some_and(Reader::is_null)
    }

    pub(super) fn value<T: Deserialize<'t>>(&self, key: &str) -> Result<Option<T>> {
        self.member(key).map(|value| value.read()).transpose().map_err(|fault| self.fault(key, fault))
    }

    /// Of an execution or a task.
    pub(super) fn id(&self, key: &str) -> Result<Option<Id>> {
        self.value(key).map_err(|error| input::id_hint(key, error))
    }

    /// From 1 to so many; 0 is left to the options' own check.
    fn count<N: Copy + TryFrom<u64>>(&self, key: &str, most: N) -> Result<Option<N>>
    where
        u64: TryFrom<N>,
    {
        let range = u64::try_from(most).unwrap_or(u64::MAX);
        let count = self.member(key).map(|value| counts::up_to(range, value)).transpose();
        let count = count.map_err(|fault| self.fault(key, fault))?;
        Ok(count.map(|count| N::try_from(count).unwrap_or(most)))
    }

    pub(super) fn duration(&self, key: &str) -> Result<Option<Duration>> {
        self.member(key).map(seconds::deserialize).transpose().map_err(|fault| self.fault(key, fault))
    }

    /// A string that is a name: not empty, not long.
    pub(super) fn name(&self, key: &'static str) -> Result<Option<String>> {
        let name: Option<String> = self.value(key)?;
        self.checked(name.as_deref().map_or(Ok(()), |name| check_name(key, name)))?;
        Ok(name)
    }

    /// What must be given.
    pub(super) fn needed<T>(&self, key: &'static str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.wrong(key, "is missing"))
    }

    fn kwargs(&self, key: &str) -> Result<Option<Payload>> {
        let what = format!("{}: {key}", self.what);
        self.member(key).map(|value| input::kwargs(&what, self.text, value)).transpose()
    }

    fn fault(&self, key: &str, fault: Fault) -> Error {
        fault.in_key(key).into_error(&self.what, self.text).with("object", self.object.name)
    }

    pub(super) fn wrong(&self, key: &'static str, why: &str) -> Error {
        let error = Error::invalid(format!("{}: {key} {why}", self.what));
        error.with("key", key).with("object", self.object.name)
    }

    pub(super) fn checked(&self, check: Result<()>) -> Result<()> {
        check.map_err(|error| error.doing(&self.what).with("object", self.object.name))
    }
}
