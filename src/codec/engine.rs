//! The engine's operations in JSON: as a store that the user writes is asked, and as `stent_backend_call` takes them
//! for any store.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::fault::Fault;
use super::output::to_json;
use super::reader::Reader;
use super::{from_json, options, schedules};
use crate::backend::{
    Backend, Claim, Claimed, DeadLetterFilter, Depth, ExecutionFilter, JournalEntry, JournalRequest, NewExecution,
    NewPause, NewSignal, NewWorker, Notice, Pausable, Pause, PutSchedules, Renew, ScheduleChange, ScheduleCounts,
    ScheduleFilter, Snapshot, StoreStats, Transition, Verdict,
};
use crate::model::{
    CallOptions, DispatchOptions, Error, Execution, ExecutionState, Existing, Failure, FunctionOptions, Id, KeyReuse,
    Number, Payload, RetryPolicy, Schedule, Status, TaskOptions, TaskState, error_text, seconds,
};

/// What the engine asks of a store. The names of the variants, in snake case, are the names of the operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EngineRequest {
    Dispatch {
        executions: Vec<NewExecution>,
    },
    RegisterWorker {
        worker: NewWorker,
    },
    RemoveWorker {
        worker_id: String,
    },
    Advance {
        transitions: Vec<Transition>,
        #[serde(default)]
        claim: Option<Claim>,
    },
    Journals {
        requests: Vec<JournalRequest>,
    },
    Cached {
        keys: Vec<String>,
    },
    Renew {
        renew: Renew,
    },
    Sweep {
        worker_id: String,
    },
    Cancel {
        execution_id: Id,
        #[serde(default)]
        reason: Option<String>,
    },
    Signal {
        signal: NewSignal,
    },
    EndedAmong {
        executions: Vec<Id>,
    },
    CancelledAmong {
        executions: Vec<Id>,
    },
    Snapshot {
        execution_id: Id,
    },
    List {
        filter: ExecutionFilter,
    },
    DeadLetters {
        filter: DeadLetterFilter,
    },
    ReplayDeadLetter {
        task_id: Id,
        new_execution_id: Id,
    },
    Resume {
        task_id: Id,
    },
    Stats {},
    Pause {
        #[serde(default)]
        queue: Option<String>,
        #[serde(default)]
        function: Option<String>,
        #[serde(default)]
        reason: Option<String>,
        #[serde(default)]
        by: Option<String>,
    },
    Unpause {
        #[serde(default)]
        queue: Option<String>,
        #[serde(default)]
        function: Option<String>,
    },
    Pauses {},
    SlotWaits {
        execution_id: Id,
        limit: u32,
    },
    PutSchedules {
        schedules: Vec<Schedule>,
        #[serde(default)]
        only_of: Option<String>,
    },
    Schedules {
        filter: ScheduleFilter,
    },
    ChangeSchedule {
        name: String,
        change: ScheduleChange,
    },
    WaitForWork {
        #[serde(with = "seconds")]
        timeout: Duration,
    },
}

/// What `advance` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advanced {
    pub verdicts: Vec<Verdict>,
    pub claimed: Vec<Claimed>,
}

/// A result that is there, for a null that is one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    pub value: Payload,
}

/// Asks a backend one of the engine's operations.
///
/// # Errors
/// The backend's.
pub async fn answer(backend: &dyn Backend, request: EngineRequest) -> Result<String, Error> {
    use EngineRequest as E;
    let nothing = |()| "null".to_owned();
    match request {
        E::Dispatch { executions } => backend.dispatch(executions).await.map(|ids| to_json(&ids)),
        E::RegisterWorker { worker } => backend.register_worker(worker).await.map(nothing),
        E::RemoveWorker { worker_id } => backend.remove_worker(&worker_id).await.map(nothing),
        E::Advance { transitions, claim } => {
            let (verdicts, claimed) = backend.advance(transitions, claim).await?;
            Ok(to_json(&Advanced { verdicts, claimed }))
        }
        E::Journals { requests } => backend.journals(requests).await.map(|journals| to_json(&journals)),
        E::Cached { keys } => {
            let found = backend.cached(keys).await?;
            Ok(to_json(&found.into_iter().map(|value| value.map(|value| Found { value })).collect::<Vec<_>>()))
        }
        E::Renew { renew } => backend.renew(renew).await.map(|renewed| to_json(&renewed)),
        E::Sweep { worker_id } => backend.sweep(&worker_id).await.map(|swept| to_json(&swept)),
        E::Cancel { execution_id, reason } => backend.cancel(execution_id, reason.map(error_text)).await.map(nothing),
        E::Signal { signal } => backend.signal(signal).await.map(nothing),
        E::EndedAmong { executions } => backend.ended_among(executions).await.map(|ids| to_json(&ids)),
        E::CancelledAmong { executions } => backend.cancelled_among(executions).await.map(|ids| to_json(&ids)),
        E::Snapshot { execution_id } => backend.snapshot(execution_id).await.map(|snapshot| to_json(&snapshot)),
        E::List { filter } => backend.list(filter).await.map(|executions| to_json(&executions)),
        E::DeadLetters { filter } => backend.dead_letters(filter).await.map(|letters| to_json(&letters)),
        E::ReplayDeadLetter { task_id, new_execution_id } => {
            backend.replay_dead_letter(task_id, new_execution_id).await.map(|replayed| to_json(&replayed))
        }
        E::Resume { task_id } => backend.resume(task_id).await.map(nothing),
        E::Stats {} => backend.stats().await.map(|stats| to_json(&stats)),
        E::Pause { queue, function, reason, by } => {
            let what = Pausable::new(queue, function)?;
            let (reason, by) = (reason.map(error_text), by.map(error_text));
            backend.pause(NewPause { what, reason, by }).await.map(nothing)
        }
        E::Unpause { queue, function } => backend.unpause(Pausable::new(queue, function)?).await.map(nothing),
        E::SlotWaits { execution_id, limit } => {
            backend.slot_waits(execution_id, limit).await.map(|waits| to_json(&waits))
        }
        E::Pauses {} => backend.pauses().await.map(|pauses| to_json(&pauses)),
        E::PutSchedules { schedules, only_of } => {
            backend.put_schedules(PutSchedules { schedules, only_of }).await.map(nothing)
        }
        E::Schedules { filter } => backend.schedules(filter).await.map(|kept| to_json(&kept)),
        E::ChangeSchedule { name, change } => backend.change_schedule(&name, change).await.map(|ticks| to_json(&ticks)),
        E::WaitForWork { timeout } => wait_for_work(backend, timeout).await.map(|notices| to_json(&notices)),
    }
}

/// Collects hints until the first pause after one; none if the time is up.
async fn wait_for_work(backend: &dyn Backend, timeout: Duration) -> Result<Vec<Notice>, Error> {
    let mut hints = backend.notices();
    let first = match tokio::time::timeout(timeout, hints.recv()).await {
        Err(_) => return Ok(Vec::new()),
        Ok(Ok(notice)) => notice,
        Ok(Err(RecvError::Lagged(_))) => Notice::Foreign,
        Ok(Err(RecvError::Closed)) => return Err(Error::closed("wait_for_work: the backend is closed")),
    };
    let mut notices = vec![first];
    loop {
        match hints.try_recv() {
            Ok(notice) => notices.push(notice),
            Err(TryRecvError::Lagged(_)) => notices.push(Notice::Foreign),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(notices),
        }
    }
}

// What an answer is read as. A completed operation whose result is null has one.

pub fn journals(text: &str) -> Result<Vec<Vec<JournalEntry>>, Error> {
    let mut journals: Vec<Vec<JournalEntry>> = from_json("journals", text)?;
    for entry in journals.iter_mut().flatten() {
        if entry.state == TaskState::Completed && entry.result.is_none() {
            entry.result = Some(Payload::null());
        }
    }
    Ok(journals)
}

pub fn cached(text: &str) -> Result<Vec<Option<Payload>>, Error> {
    let found: Vec<Option<Found>> = from_json("cached", text)?;
    Ok(found.into_iter().map(|found| found.map(|found| found.value)).collect())
}

pub fn snapshot(text: &str) -> Result<Option<Snapshot>, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rest {
        counters: BTreeMap<String, Number>,
        state_values: BTreeMap<String, Payload>,
        #[serde(default)]
        replay_of: Option<Id>,
        #[serde(default)]
        cancel_reason: Option<String>,
    }
    const WHAT: &str = "snapshot";
    const REST: [&str; 4] = ["counters", "state_values", "replay_of", "cancel_reason"];
    let reader = Reader::new(WHAT, text)?;
    if reader.is_null() {
        return Ok(None);
    }
    let members = reader.members().map_err(|fault| fault.into_error(WHAT, text))?;
    let (rest, execution): (Vec<_>, Vec<_>) = members.iter().partition(|member| REST.contains(&&*member.key));
    let object = |members: Vec<&super::reader::Member<'_>>| {
        let members = members.iter().map(|member| format!("{}:{}", member.key_text, member.value.text()));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    };
    let execution: Execution = from_json(WHAT, &object(execution))?;
    let Rest { counters, state_values, replay_of, cancel_reason } = from_json(WHAT, &object(rest))?;
    Ok(Some(Snapshot { execution, counters, state: state_values, replay_of, cancel_reason }))
}

pub fn stats(text: &str) -> Result<StoreStats, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct View {
        executions: BTreeMap<String, u64>,
        tasks: BTreeMap<String, u64>,
        ready: Vec<Depth>,
        scheduled: u64,
        dead_letters: u64,
        parked: u64,
        workers: u64,
        #[serde(default)]
        paused: Vec<Pause>,
        #[serde(default)]
        schedules: Option<ScheduleCounts>,
        #[serde(default)]
        waiting_for_slots: BTreeMap<String, u64>,
    }
    fn states(
        counts: BTreeMap<String, u64>,
        what: &str,
        words: &[&'static str],
    ) -> Result<BTreeMap<&'static str, u64>, Error> {
        let word = |(state, count): (String, u64)| match words.iter().find(|word| **word == state) {
            Some(word) => Ok((*word, count)),
            None => Err(Error::invalid(format!("stats: {what} has {state:?}; it must be one of {}", words.join(", ")))),
        };
        counts.into_iter().map(word).collect()
    }
    let view: View = from_json("stats", text)?;
    Ok(StoreStats {
        executions: states(view.executions, "executions", ExecutionState::WORDS)?,
        tasks: states(view.tasks, "tasks", TaskState::WORDS)?,
        ready: view.ready,
        scheduled: view.scheduled,
        dead_letters: view.dead_letters,
        parked: view.parked,
        workers: view.workers,
        paused: view.paused,
        schedules: view.schedules.unwrap_or_default(),
        waiting_for_slots: view.waiting_for_slots,
    })
}

/// What a store says with an error: `status` is a word, `details` any JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    status: String,
    #[serde(default)]
    #[expect(dead_code, reason = "the status says it already")]
    code: Option<i32>,
    message: String,
    #[serde(default)]
    retryable: bool,
    #[serde(default)]
    details: Option<Payload>,
    #[serde(default)]
    failure: Option<Failure>,
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let told = Told::deserialize(deserializer)?;
        let status = Status::ALL.into_iter().find(|status| status.is_a_stores() && status.name() == told.status);
        let status =
            status.ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&told.status), &"a failure's status"))?;
        let mut error = match told.failure {
            Some(failure) => Self::failed(told.message, failure),
            None => Self::new(status, told.message),
        };
        if let Some(details) = told.details.filter(|details| details.as_bytes() != b"{}") {
            error = error.with("store", to_json(&details));
        }
        Ok(error.retryable(told.retryable))
    }
}

/// Options in a request have the keys that users write. Options that are not set are left out.
struct Options(Vec<(&'static str, String)>);

impl Options {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn add<T: Serialize>(mut self, key: &'static str, value: Option<T>) -> Self {
        self.0.extend(value.map(|value| (key, to_json(&value))));
        self
    }

    fn seconds(self, key: &'static str, value: Option<Duration>) -> Self {
        self.add(key, value.map(|value| value.as_secs_f64()))
    }

    fn task(self, task: &TaskOptions) -> Self {
        self.add("queue", task.queue.as_ref())
            .add("tags", task.tags.as_ref())
            .add("priority", task.priority)
            .seconds("priority_ageing", task.priority_ageing)
            .add::<&RetryPolicy>("retry_policy", task.retry_policy.as_ref())
            .seconds("timeout", task.timeout)
            .add("cached", task.cached)
            .seconds("cache_ttl", task.cache_ttl)
            .add("concurrency_key", task.concurrency_key.as_ref())
            .add("fairness_key", task.fairness_key.as_ref())
            .add("fairness_weight", task.fairness_weight)
    }

    fn write<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        let members: Vec<String> = self.0.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        let text = format!("{{{}}}", members.join(","));
        RawValue::from_string(text).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl Serialize for DispatchOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Options::new()
            .add("id", self.id)
            .add("kwargs", self.kwargs.as_ref())
            .seconds("delay", self.delay)
            .seconds("expiry", self.expiry)
            .seconds("max_duration", self.max_duration)
            .add("idempotency_key", self.idempotency_key.as_ref())
            .add("idempotency_reuse", Some(self.idempotency_reuse).filter(|reuse| *reuse != KeyReuse::default()))
            .add("unique_key", self.unique_key.as_ref())
            .seconds("unique_for", self.unique_for)
            .add("unique_while", self.unique_while)
            .add("unique_existing", Some(self.unique_existing).filter(|existing| *existing != Existing::default()))
            .seconds("debounce", self.debounce)
            .seconds("debounce_max", self.debounce_max)
            .add("on_cancel", self.on_cancel.as_ref())
            .add("traceparent", self.traceparent.as_ref())
            .task(&self.task)
            .write(serializer)
    }
}

impl Serialize for CallOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Options::new()
            .add("key", self.key.as_ref())
            .add("kwargs", self.kwargs.as_ref())
            .seconds("delay", self.delay)
            .add("idempotency_key", self.idempotency_key.as_ref())
            .add("cache_key", self.cache_key.as_ref())
            .task(&self.task)
            .write(serializer)
    }
}

impl Serialize for FunctionOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Options::new()
            .add("queue", self.queue.as_ref())
            .add("tags", Some(&self.tags))
            .add("priority", self.priority)
            .seconds("priority_ageing", self.priority_ageing)
            .add("retry_policy", self.retry_policy.as_ref())
            .seconds("timeout", self.timeout)
            .add("version", self.version.as_ref())
            .add("max_concurrent", self.max_concurrent)
            .add("max_concurrent_per_key", self.max_concurrent_per_key)
            .add("rate", self.rate.as_ref())
            .add("rate_per_key", self.rate_per_key.as_ref())
            .add("cached", Some(self.cached))
            .seconds("cache_ttl", self.cache_ttl)
            .add("idempotent", Some(self.idempotent))
            .seconds("cleanup", self.cleanup)
            .write(serializer)
    }
}

/// Reads an object of options by its table.
macro_rules! read_by_table {
    ($($type:ty: $read:path),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = Box::<RawValue>::deserialize(deserializer)?;
                $read(Some(raw.get())).map_err(|why| de::Error::custom(why.message()))
            }
        }
    )*};
}

read_by_table! {
    DispatchOptions: options::dispatch,
    CallOptions: options::call,
    FunctionOptions: options::function,
    ExecutionFilter: options::execution_filter,
    DeadLetterFilter: options::dead_letter_filter,
    ScheduleFilter: schedules::schedule_filter,
    Schedule: schedules::optional_schedule,
}

/// A request as a store is asked: the operation's name, and the object.
pub(super) fn split(request: &impl Serialize) -> (String, String) {
    let text = to_json(request);
    let split =
        text.strip_prefix("{\"").and_then(|rest| rest.strip_suffix('}')).and_then(|rest| rest.split_once("\":"));
    let (name, body) = split.expect("a request is written as its name and its fields");
    (name.to_owned(), body.to_owned())
}

/// Reads what is asked of the engine's part of a store.
pub(super) fn request(operation: &str, body: Reader<'_>) -> Result<EngineRequest, Fault> {
    EngineRequest::deserialize(super::reader::Named { name: operation, body })
}

/// The member `retryable` of an error's details.
///
/// # Errors
/// `INVALID`: the details are no object, or the member is no boolean.
pub fn is_retryable(details: &str) -> Result<Option<bool>, Error> {
    const WHAT: &str = "details";
    let members = Reader::object(WHAT, Some(details))?.members().map_err(|fault| fault.into_error(WHAT, details))?;
    let member = members.into_iter().find(|member| member.key == "retryable");
    member.map(|member| member.value.read()).transpose().map_err(|fault| fault.into_error(WHAT, details))
}
