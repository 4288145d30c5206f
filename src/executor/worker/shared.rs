//! What a worker's loop, its handler threads and its background tasks share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};

use super::alarms::Alarms;
use super::batches::Batches;
use super::begun::Begun;
use super::coroutines::Coroutines;
use super::desk::Desk;
use super::looks::Looks;
use super::outbox::{Message, Outbox};
use super::patience::Patience;
use super::pool::Pool;
use super::run::Run;
use super::slots::Slots;
use super::strays::Strays;
use super::troubles::Troubles;
use crate::backend::Transition;
use crate::executor::core::Core;
use crate::executor::events::TaskEvent;
use crate::executor::inbox::{Event, Inbox};
use crate::executor::log::LogRecord;
use crate::executor::metrics::count;
use crate::executor::registry::Registry;
use crate::executor::status::WorkerState;
use crate::executor::sync::lock;
use crate::executor::task::{Alarm, AlarmKey, LeaseHolder, TaskCore};
use crate::model::{Error, FunctionOptions, Id, Level, WorkerOptions};

pub(super) struct Shared {
    pub(super) core: Arc<Core>,
    pub(super) functions: Registry,
    pub(super) options: WorkerOptions,
    pub(super) worker_id: String,
    /// Of a worker with a poller: the host that takes its events.
    pub(super) inbox: Option<Arc<dyn Inbox>>,
    pub(super) coroutines: Coroutines,
    pub(super) pool: Slots<Run>,
    pub(super) batches: Batches,
    pub(super) alarms: Alarms,
    looks: Looks,
    pub(super) strays: Strays,
    /// A poller's host takes no events.
    host_dead: AtomicBool,
    /// Tasks whose lease this worker has, to its knowledge.
    held: Mutex<HashMap<Id, Arc<TaskCore>>>,
    /// Leases that may be lost, to be checked now. A task has its worker: what may be left here when the worker stops has
    /// no tasks.
    doubtful: Mutex<Vec<Weak<TaskCore>>>,
    doubt: Notify,
    pub(super) outbox: Outbox,
    pub(super) begun: Begun,
    /// Suspects that may begin.
    suspects: Mutex<Vec<Run>>,
    /// Wakes the loop: something is in the outbox, a slot is free, there may be work, or control.
    bell: Notify,
    /// Tasks that have a slot or wait for one.
    load: AtomicUsize,
    /// There may be work to claim.
    hint: AtomicBool,
    /// Something was claimed since the last poll.
    worked: AtomicBool,
    pub(super) patience: Patience,
    /// Outcomes that were given up.
    unrecorded: AtomicUsize,
    /// Whoever stops it has been told that not all has come to its end.
    told_of_time_out: AtomicBool,
    phase: watch::Sender<Phase>,
    pub(super) due: Due,
    troubles: Troubles,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    pub(super) state: WorkerState,
    /// Stopping took too long, and the leases that were left have been given back.
    pub(super) given_back: bool,
}

/// When the next sweep is due.
#[derive(Default)]
pub(super) struct Due {
    at: Mutex<Option<Instant>>,
    bell: Notify,
}

impl Due {
    pub(super) fn no_later_than(&self, at: Instant) {
        let mut due = lock(&self.at);
        if due.is_none_or(|due| at < due) {
            *due = Some(at);
            self.bell.notify_one();
        }
    }

    pub(super) fn get(&self) -> Option<Instant> {
        *lock(&self.at)
    }

    pub(super) fn take(&self) {
        *lock(&self.at) = None;
    }

    pub(super) async fn changed(&self) {
        self.bell.notified().await;
    }
}

impl Shared {
    pub(super) fn new(
        core: Arc<Core>,
        functions: Registry,
        options: WorkerOptions,
        worker_id: String,
        inbox: Option<Arc<dyn Inbox>>,
    ) -> Self {
        let slots = options.max_concurrency;
        Self {
            core,
            pool: if inbox.is_some() { Slots::Events(Desk::new(slots)) } else { Slots::Threads(Pool::new(slots)) },
            batches: Batches::new(&functions),
            functions,
            coroutines: Coroutines::new(options.max_coroutines),
            inbox,
            options,
            worker_id,
            alarms: Alarms::default(),
            looks: Looks::default(),
            strays: Strays::default(),
            host_dead: AtomicBool::new(false),
            held: Mutex::default(),
            doubtful: Mutex::default(),
            doubt: Notify::new(),
            outbox: Outbox::default(),
            begun: Begun::default(),
            suspects: Mutex::default(),
            bell: Notify::new(),
            load: AtomicUsize::new(0),
            hint: AtomicBool::new(true),
            worked: AtomicBool::new(false),
            patience: Patience::default(),
            unrecorded: AtomicUsize::new(0),
            told_of_time_out: AtomicBool::new(false),
            phase: watch::Sender::new(Phase { state: WorkerState::Starting, given_back: false }),
            due: Due::default(),
            troubles: Troubles::default(),
        }
    }

    /// Tasks ready beyond the slots, in proportion to those that can be used.
    pub(super) fn prefetch(&self, usable: usize) -> usize {
        let slots = self.options.max_concurrency;
        self.options.prefetch.unwrap_or(slots) * usable / slots
    }

    pub(super) fn heartbeat_interval(&self) -> Duration {
        self.options.heartbeat_interval.unwrap_or(self.options.lease_duration / 3)
    }

    // The loop's bell.

    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    pub(super) fn hint_work(&self) {
        self.hint.store(true, SeqCst);
        self.bell.notify_one();
    }

    pub(super) fn hinted(&self) -> bool {
        self.hint.load(SeqCst)
    }

    pub(super) fn take_hint(&self) -> bool {
        self.hint.swap(false, SeqCst)
    }

    pub(super) fn note_work(&self) {
        self.worked.store(true, Relaxed);
    }

    pub(super) fn take_worked(&self) -> bool {
        self.worked.swap(false, Relaxed)
    }

    // Suspects.

    pub(super) fn put_suspects(&self, runs: Vec<Run>) {
        lock(&self.suspects).extend(runs);
        self.bell.notify_one();
    }

    pub(super) fn take_suspects(&self) -> Vec<Run> {
        std::mem::take(&mut *lock(&self.suspects))
    }

    // Load.

    pub(super) fn load(&self) -> usize {
        self.load.load(SeqCst)
    }

    pub(super) fn add_load(&self, tasks: usize) {
        self.load.fetch_add(tasks, SeqCst);
    }

    // Held tasks.

    pub(super) fn hold(&self, tasks: &[Arc<TaskCore>]) {
        let mut held = lock(&self.held);
        for task in tasks {
            held.insert(task.held.task, Arc::clone(task));
        }
    }

    /// Removes leases that are gone. A newer lease of the same task stays.
    pub(super) fn forget(&self, tasks: &[Arc<TaskCore>]) {
        let mut held = lock(&self.held);
        for task in tasks {
            if held.get(&task.held.task).is_some_and(|known| Arc::ptr_eq(known, task)) {
                held.remove(&task.held.task);
            }
        }
        drop(held);
        tasks.iter().for_each(|task| self.strays.add(task));
    }

    /// Its lease is not given back yet, as far as is known.
    pub(super) fn holds(&self, task: &Arc<TaskCore>) -> bool {
        lock(&self.held).get(&task.held.task).is_some_and(|known| Arc::ptr_eq(known, task))
    }

    pub(super) fn held(&self) -> Vec<Arc<TaskCore>> {
        lock(&self.held).values().map(Arc::clone).collect()
    }

    pub(super) fn held_of(&self, tasks: &[Id]) -> Vec<Arc<TaskCore>> {
        let held = lock(&self.held);
        tasks.iter().filter_map(|id| held.get(id).map(Arc::clone)).collect()
    }

    /// A notice says that these tasks have ended, but not under which lease: a renewal finds out whether ours is lost.
    pub(super) fn doubt(&self, tasks: Vec<Arc<TaskCore>>) {
        if !tasks.is_empty() {
            lock(&self.doubtful).extend(tasks.iter().map(Arc::downgrade));
            self.doubt.notify_one();
        }
    }

    pub(super) async fn doubted(&self) -> Vec<Arc<TaskCore>> {
        self.doubt.notified().await;
        let doubtful = std::mem::take(&mut *lock(&self.doubtful));
        doubtful.iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn held_count(&self) -> usize {
        lock(&self.held).len()
    }

    pub(super) fn holds_none(&self) -> bool {
        lock(&self.held).is_empty()
    }

    // Who runs tasks.

    pub(super) fn host_is_dead(&self) -> bool {
        self.host_dead.load(SeqCst)
    }

    /// True: that is news.
    pub(super) fn set_host_dead(&self, dead: bool) -> bool {
        let news = self.host_dead.swap(dead, SeqCst) != dead;
        if news {
            self.hint_work();
        }
        news
    }

    /// All slots have been kept for a lease by handlers that have none.
    pub(super) fn is_stuck(&self) -> bool {
        let strays = || self.strays.older_than(self.options.lease_duration).len();
        self.strays.count() >= self.options.max_concurrency && strays() >= self.options.max_concurrency
    }

    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    // Control.

    pub(super) fn drain(&self) {
        if self.patience.drain() {
            self.phase.send_if_modified(|phase| {
                let drains = matches!(phase.state, WorkerState::Starting | WorkerState::Ready);
                if drains {
                    phase.state = WorkerState::Draining;
                }
                drains
            });
            for task in self.held() {
                task.wake();
            }
        }
        self.bell.notify_one();
    }

    pub(super) fn abandoned(&self) -> bool {
        self.patience.abandoned()
    }

    pub(super) fn abandon(&self) {
        self.patience.abandon();
        self.bell.notify_one();
    }

    pub(super) fn add_unrecorded(&self, outcomes: usize) {
        self.unrecorded.fetch_add(outcomes, SeqCst);
    }

    pub(super) fn unrecorded(&self) -> usize {
        self.unrecorded.load(SeqCst)
    }

    /// True: it was told before.
    pub(super) fn tell_of_time_out(&self) -> bool {
        self.told_of_time_out.swap(true, SeqCst)
    }

    /// Ends when a call to the store is not waited for any more.
    pub(super) async fn no_patience(&self, lease_holds: impl Fn() -> bool) {
        self.patience.is_over(&self.troubles, lease_holds).await;
    }

    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Sets the state, which only goes forward.
    pub(super) fn set_state(&self, state: WorkerState) {
        self.phase.send_if_modified(|phase| {
            let forward = state > phase.state;
            if forward {
                phase.state = state;
            }
            forward
        });
    }

    pub(super) fn set_given_back(&self) {
        self.phase.send_if_modified(|phase| !std::mem::replace(&mut phase.given_back, true));
    }

    // Trouble.

    pub(super) fn log(&self, level: Level, make: impl FnOnce() -> LogRecord) {
        self.core.log(level, || make().with("worker", &self.worker_id));
    }

    /// Notes that a store call has failed. It is logged only if the error has changed, so that an hour without a store
    /// is one line.
    pub(super) fn trouble(&self, doing: &'static str, error: &Error) {
        count(&self.core.metrics.counters.store_errors);
        let level = if error.is_retryable() { Level::Warn } else { Level::Error };
        self.note_trouble(doing, level, error.to_string(), error.is_retryable());
    }

    /// Notes any other trouble, until it is over.
    pub(super) fn troubled(&self, doing: &'static str, level: Level, told: String) {
        self.note_trouble(doing, level, told, false);
    }

    fn note_trouble(&self, doing: &'static str, level: Level, told: String, silence: bool) {
        if self.troubles.note(doing, &told, silence) {
            self.log(level, || LogRecord::new("stent.worker", format!("{doing}: {told}")));
        }
    }

    pub(super) fn no_trouble(&self, doing: &'static str) {
        if let Some(told) = self.troubles.end(doing) {
            self.log(Level::Info, || LogRecord::new("stent.worker", format!("{doing}: works again, after {told}")));
        }
    }

    pub(super) fn last_trouble(&self) -> Option<String> {
        self.troubles.first()
    }
}

impl LeaseHolder for Shared {
    fn core(&self) -> &Core {
        &self.core
    }

    fn worker_id(&self) -> &str {
        &self.worker_id
    }

    fn options_of(&self, function: &str) -> Option<&FunctionOptions> {
        self.functions.get(function).map(|registered| &*registered.options)
    }

    fn lease_time(&self) -> Duration {
        self.options.lease_duration
    }

    fn must_look(&self, task: &TaskCore) -> bool {
        let Some(within) = self.core.backend.unheard_for() else { return false };
        // A claim is a look as well.
        task.claimed_at().elapsed() > within && !self.looks.are_fresh(within)
    }

    fn look(&self) -> BoxFuture<'_, ()> {
        let within = self.core.backend.unheard_for().unwrap_or_default();
        Box::pin(self.looks.look(&self.core.backend, within, || self.held()))
    }

    fn hold_time(&self) -> Duration {
        self.options.hold
    }

    fn draining(&self) -> bool {
        self.patience.draining()
    }

    fn patience<'a>(&'a self, task: &'a TaskCore) -> BoxFuture<'a, ()> {
        Box::pin(self.no_patience(|| task.lease_holds()))
    }

    /// Wakes the loop if the outbox was empty, for it takes everything at once; and when it is a crowd.
    fn post(&self, task: Arc<TaskCore>, transition: Transition) {
        if self.outbox.put(Message { task, transition, refusals: 0 }) {
            self.bell.notify_one();
        }
    }

    /// The slot is freed first, so that the loop sees it when the transition wakes it.
    fn post_last(&self, task: Arc<TaskCore>, transition: Transition) {
        self.load.fetch_sub(1, SeqCst);
        self.post(task, transition);
    }

    fn began(&self, task: &Arc<TaskCore>) {
        if self.begun.put(task) {
            self.bell.notify_one();
        }
    }

    fn unload(&self) {
        self.load.fetch_sub(1, SeqCst);
        self.bell.notify_one();
    }

    fn kept_slot_freed(&self, suspect: bool) {
        self.pool.slot_freed(suspect);
    }

    fn set_alarm(&self, at: Instant, alarm: Alarm, task: Weak<TaskCore>) -> AlarmKey {
        self.alarms.set(at, alarm, task)
    }

    fn clear_alarm(&self, key: AlarmKey) {
        self.alarms.clear(key);
    }

    fn tell_host(&self, event: TaskEvent) {
        if let Some(inbox) = &self.inbox {
            // A closed inbox refuses events; its worker is draining.
            let _closed = inbox.post(Event::Told(event));
        }
    }

    fn is_host_gone(&self) -> bool {
        self.inbox.as_ref().is_none_or(|inbox| inbox.is_closed())
    }

    fn forget_coroutine(&self, task: Id, tag: u64) {
        self.coroutines.forget(task, tag);
    }
}
