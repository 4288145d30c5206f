//! A store that the user writes: one function, which is given the name of an operation and its request as JSON, and
//! answers once.
//!
//! A store that answers the engine's operations is responsible for all of their guarantees. For one that answers only
//! the protocol's, [`fallback`] carries out the engine's operations by means of these.

mod contract;
mod door;
mod engine;
mod fallback;
mod features;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use tokio::sync::broadcast;

use self::door::Door;
pub use self::door::{Answerer, Reply};
use self::fallback::Fallback;
use crate::backend::*;
use crate::codec;
use crate::codec::engine::EngineRequest;
use crate::codec::operations::{ENGINE, PROTOCOL};
use crate::model::{CustomOptions, DeadLetter, Error, Execution, ExecutionState, Feature, Id, Payload, Result};

/// Hints kept for a slow listener. One that lags further loses some and has to query the store.
const NOTICES_MAX: usize = 1024;

/// The pause after a failed question for hints.
const HINTS_PAUSE: Duration = Duration::from_secs(1);

/// How long another's cancel may go unheard of in a store without hints of its own before it is asked.
const UNHEARD: Duration = Duration::from_millis(20);

const WAIT_FOR_WORK: &str = "wait_for_work";

/// What a store may leave out though it answers the engine's operations: all of a line.
const OPTIONAL: &[&[&str]] = &[
    &[WAIT_FOR_WORK],
    &["pause", "unpause", "pauses"],
    &["slot_waits"],
    &["put_schedules", "schedules", "change_schedule"],
];

pub struct Custom {
    door: Arc<Door>,
    notices: broadcast::Sender<Notice>,
    /// `None`: the store answers the engine's operations itself.
    fallback: Option<Fallback>,
    features: Vec<Feature>,
    /// The functions of this process's workers, for a store that answers the engine's operations itself: none of these
    /// gives them. std Mutex: never held across an await.
    local: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Custom {
    /// `operations`: the names of those that it answers; none given: the protocol's, without the engine's. Must be
    /// called on a tokio runtime.
    ///
    /// # Errors
    /// `INVALID`: there is no such operation, only some of the engine's are answered, or there are features without them.
    pub fn open(
        answerer: Arc<dyn Answerer>,
        operations: Option<&[String]>,
        options: &CustomOptions,
    ) -> Result<Arc<Self>> {
        let offered = offered(operations)?;
        let with_engine = offered.contains(&ENGINE[0]);
        features::check(&options.features, with_engine)?;
        let door = Arc::new(Door::new(answerer, offered, options.timeout));
        let (notices, _) = broadcast::channel(NOTICES_MAX);
        if door.offers(WAIT_FOR_WORK) {
            tokio::spawn(listen(Arc::downgrade(&door), notices.clone()).boxed());
        }
        let fallback = (!with_engine).then(|| Fallback::new(Arc::clone(&door), notices.clone()));
        Ok(Arc::new(Self { door, notices, fallback, features: options.features.clone(), local: Mutex::default() }))
    }

    /// If the store has no hints of its own, sends one for a change made by this process.
    fn changed(&self) {
        if !self.door.offers(WAIT_FOR_WORK) {
            // Nobody may be listening.
            let _nobody = self.notices.send(Notice::Foreign);
        }
    }

    async fn told<T: serde::de::DeserializeOwned>(&self, request: EngineRequest) -> Result<T> {
        engine::plain(&self.door, request).await
    }

    fn local(&self) -> MutexGuard<'_, BTreeMap<String, Vec<String>>> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where other processes have workers it is not known what they run.
    async fn unserved_here(&self) -> Result<Unserved> {
        let stats = self.stats().await?;
        let (here, registered) = {
            let local = self.local();
            (local.len() as u64, local.values().flatten().cloned().collect::<BTreeSet<String>>())
        };
        let mut unserved = Unserved { workers: Some(stats.workers), paused: stats.paused, ..Unserved::default() };
        if stats.workers <= here {
            let ready: BTreeSet<String> = stats.ready.into_iter().map(|depth| depth.function).collect();
            unserved.functions = ready.difference(&registered).cloned().collect();
            unserved.registered = registered.into_iter().collect();
        }
        Ok(unserved)
    }
}

/// Fails calls that are waiting, and ends the wait for hints.
impl Drop for Custom {
    fn drop(&mut self) {
        self.door.close();
    }
}

fn offered(operations: Option<&[String]>) -> Result<Vec<&'static str>> {
    let Some(names) = operations else { return Ok(PROTOCOL.to_vec()) };
    let mut offered = Vec::with_capacity(names.len());
    for name in names {
        match PROTOCOL.iter().chain(ENGINE).find(|known| *known == name) {
            Some(known) => offered.push(*known),
            None => {
                let known: Vec<String> = PROTOCOL.iter().chain(ENGINE).map(|name| (*name).to_owned()).collect();
                let told = format!("operations: there is no operation {name:?}; known are {}", known.join(", "));
                return Err(Error::invalid(told).with("key", name.as_str()).with("known", known));
            }
        }
    }
    let missing: Vec<String> = ENGINE
        .iter()
        .filter(|name| !offered.contains(name) && !is_left_out(name, &offered))
        .map(|name| (*name).to_owned())
        .collect();
    let some = ENGINE.iter().any(|name| offered.contains(name));
    if some && !missing.is_empty() {
        let told = format!(
            "operations: some of the engine's are there, and {} are missing; answer all of them (wait_for_work and slot_waits \
             may be left out, pause, unpause and pauses together, and put_schedules, schedules and change_schedule together) \
             or none",
            missing.join(", ")
        );
        return Err(Error::invalid(told).with("missing", missing));
    }
    Ok(offered)
}

fn is_left_out(name: &str, offered: &[&str]) -> bool {
    let line = OPTIONAL.iter().find(|line| line.contains(&name));
    line.is_some_and(|line| !line.iter().any(|name| offered.contains(name)))
}

/// Passes the store's hints on to listeners, while the backend exists.
async fn listen(door: Weak<Door>, notices: broadcast::Sender<Notice>) {
    loop {
        let Some(open) = door.upgrade().filter(|door| !door.is_closed()) else { return };
        match engine::wait_for_work(&open).await {
            Ok(news) => {
                for notice in news {
                    // Nobody may be listening.
                    let _nobody = notices.send(notice);
                }
            }
            Err(_) => {
                drop(open);
                // Listeners poll meanwhile. Mistakes of the function are in the log already.
                tokio::time::sleep(HINTS_PAUSE).await;
            }
        }
    }
}

/// Calls the fallback if there is one, else the store's own operation.
macro_rules! either {
    ($self:ident, $fallback:ident => $around:expr, $engine:expr) => {
        match &$self.fallback {
            Some($fallback) => $around,
            None => $engine,
        }
    };
}

#[async_trait]
impl Backend for Custom {
    fn name(&self) -> &'static str {
        "custom"
    }

    fn offers(&self, operation: &str) -> bool {
        self.door.offers(operation)
    }

    fn holds(&self) -> bool {
        self.features.contains(&Feature::Rates)
    }

    async fn call(&self, request: Request) -> Result<Response> {
        request.check()?;
        self.door.call(request).await
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    fn unheard_for(&self) -> Option<Duration> {
        (!self.door.offers(WAIT_FOR_WORK)).then_some(UNHEARD)
    }

    async fn dispatch(&self, executions: Vec<NewExecution>) -> Result<Vec<Id>> {
        executions.iter().try_for_each(|new| features::allow_dispatch(&self.features, new))?;
        let count = executions.len();
        either!(self, fallback => fallback.dispatch(executions).await, {
            let read = |answer: &str| codec::from_json("the answer", answer);
            let ids = engine::listed(&self.door, count, EngineRequest::Dispatch { executions }, read).await;
            self.changed();
            ids
        })
    }

    async fn register_worker(&self, worker: NewWorker) -> Result<()> {
        features::allow_worker(&self.features, &worker)?;
        either!(self, fallback => fallback.register_worker(worker).await, {
            let functions = worker.functions.iter().map(|function| function.name.clone()).collect();
            let worker_id = worker.worker_id.clone();
            self.told::<()>(EngineRequest::RegisterWorker { worker }).await?;
            self.local().insert(worker_id, functions);
            Ok(())
        })
    }

    async fn remove_worker(&self, worker_id: &str) -> Result<()> {
        self.local().remove(worker_id);
        either!(self, fallback => { fallback.remove_worker(worker_id); Ok(()) },
            self.told(EngineRequest::RemoveWorker { worker_id: worker_id.to_owned() }).await)
    }

    async fn advance(
        &self,
        transitions: Vec<Transition>,
        claim: Option<Claim>,
    ) -> Result<(Vec<Verdict>, Vec<Claimed>)> {
        let news = !transitions.is_empty();
        either!(self, fallback => fallback.advance(transitions, claim).await, {
            let advanced = engine::advance(&self.door, transitions, claim).await;
            if news {
                self.changed();
            }
            advanced
        })
    }

    async fn journals(&self, requests: Vec<JournalRequest>) -> Result<Vec<Vec<JournalEntry>>> {
        let count = requests.len();
        either!(self, fallback => fallback.journals(requests).await,
            engine::listed(&self.door, count, EngineRequest::Journals { requests }, codec::engine::journals).await)
    }

    async fn cached(&self, keys: Vec<String>) -> Result<Vec<Option<Payload>>> {
        let count = keys.len();
        either!(self, fallback => fallback.cached(keys).await,
            engine::listed(&self.door, count, EngineRequest::Cached { keys }, codec::engine::cached).await)
    }

    async fn renew(&self, renew: Renew) -> Result<Renewed> {
        either!(self, fallback => fallback.renew(renew).await, self.told(EngineRequest::Renew { renew }).await)
    }

    async fn sweep(&self, worker_id: &str) -> Result<Swept> {
        either!(self, fallback => fallback.sweep().await,
            self.told(EngineRequest::Sweep { worker_id: worker_id.to_owned() }).await)
    }

    async fn cancel(&self, execution_id: Id, reason: Option<String>) -> Result<()> {
        either!(self, fallback => fallback.cancel(execution_id, reason).await, {
            let cancelled = self.told(EngineRequest::Cancel { execution_id, reason }).await;
            self.changed();
            cancelled
        })
    }

    async fn signal(&self, signal: NewSignal) -> Result<()> {
        either!(self, fallback => fallback.signal(signal).await, {
            let sent = self.told(EngineRequest::Signal { signal }).await;
            self.changed();
            sent
        })
    }

    async fn ended_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        either!(self, fallback => fallback.among(executions, ExecutionState::is_terminal).await,
            self.told(EngineRequest::EndedAmong { executions }).await)
    }

    async fn cancelled_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        fn ending(state: ExecutionState) -> bool {
            state.is_terminal() || state == ExecutionState::Cancelling
        }
        either!(self, fallback => fallback.among(executions, ending).await,
            self.told(EngineRequest::CancelledAmong { executions }).await)
    }

    async fn snapshot(&self, execution: Id) -> Result<Option<Snapshot>> {
        either!(self, fallback => fallback.snapshot(execution).await, engine::snapshot(&self.door, execution).await)
    }

    async fn list(&self, filter: ExecutionFilter) -> Result<Vec<Execution>> {
        either!(self, fallback => fallback.list(filter).await, self.told(EngineRequest::List { filter }).await)
    }

    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
        either!(self, fallback => fallback.dead_letters(filter).await,
            self.told(EngineRequest::DeadLetters { filter }).await)
    }

    async fn replay_dead_letter(&self, task_id: Id, new_execution_id: Id) -> Result<Replayed> {
        either!(self, fallback => fallback.replay_dead_letter(task_id, new_execution_id).await, {
            let replayed = self.told(EngineRequest::ReplayDeadLetter { task_id, new_execution_id }).await;
            self.changed();
            replayed
        })
    }

    async fn resume(&self, task_id: Id) -> Result<()> {
        either!(self, fallback => fallback.resume(task_id).await, {
            let resumed = self.told(EngineRequest::Resume { task_id }).await;
            self.changed();
            resumed
        })
    }

    async fn unserved(&self) -> Result<Unserved> {
        either!(self, fallback => fallback.unserved().await, self.unserved_here().await)
    }

    async fn pause(&self, pause: NewPause) -> Result<()> {
        if !self.door.offers("pause") {
            return Err(does_not_pause());
        }
        let NewPause { what, reason, by } = pause;
        let (queue, function) = what.into_names();
        self.told(EngineRequest::Pause { queue, function, reason, by }).await
    }

    async fn unpause(&self, what: Pausable) -> Result<()> {
        if !self.door.offers("unpause") {
            return Err(does_not_pause());
        }
        let (queue, function) = what.into_names();
        let unpaused = self.told(EngineRequest::Unpause { queue, function }).await;
        self.changed();
        unpaused
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        if !self.door.offers("pauses") {
            return Ok(Vec::new());
        }
        self.told(EngineRequest::Pauses {}).await
    }

    async fn slot_waits(&self, execution_id: Id, limit: u32) -> Result<Vec<SlotWait>> {
        if !self.door.offers("slot_waits") {
            return Ok(Vec::new());
        }
        self.told(EngineRequest::SlotWaits { execution_id, limit }).await
    }

    async fn put_schedules(&self, put: PutSchedules) -> Result<()> {
        if !self.door.offers("put_schedules") {
            return Err(has_no_schedules());
        }
        put.check()?;
        let PutSchedules { schedules, only_of } = put;
        let done = self.told(EngineRequest::PutSchedules { schedules, only_of }).await;
        self.changed();
        done
    }

    async fn schedules(&self, filter: ScheduleFilter) -> Result<Vec<KeptSchedule>> {
        if !self.door.offers("schedules") {
            return Err(has_no_schedules());
        }
        engine::get(&self.door, EngineRequest::Schedules { filter }, codec::kept_schedules).await
    }

    async fn change_schedule(&self, name: &str, change: ScheduleChange) -> Result<Vec<Tick>> {
        if !self.door.offers("change_schedule") {
            return Err(has_no_schedules());
        }
        let made = self.told(EngineRequest::ChangeSchedule { name: name.to_owned(), change }).await;
        self.changed();
        made
    }

    async fn stats(&self) -> Result<StoreStats> {
        either!(self, fallback => fallback.stats().await,
            engine::get(&self.door, EngineRequest::Stats {}, codec::engine::stats).await)
    }
}
