//! The worker's loop. Each transaction records all outcomes that are ready and claims tasks; whatever becomes ready
//! while it runs goes into the next, or into one beside it (`flight`). While there is work no timer delays it, and while
//! there is none the store is not called.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::cache::{Cache, ENTRIES_MAX, TASKS_MAX};
use super::flight::{self, Flight, Flights, LAST_TRIES, Landed, Landing, RETRY_FIRST, RETRY_LONGEST};
use super::marks::ALONE;
use super::outbox::{CROWD, Message};
use super::shared::Shared;
use super::suspects::Suspects;
use super::{hosts, notices, patience, renewals, sweeps};
use crate::backend::{Claim, Claimed, Function, NewWorker, Outcome, Verdict};
use crate::executor::events::Reason;
use crate::executor::log::LogRecord;
use crate::executor::replay::Machine;
use crate::executor::series::KnownSeries;
use crate::executor::status::WorkerState;
use crate::executor::sync::{Moment, jittered};
use crate::executor::task::{LeaseHolder as _, flag};
use crate::model::{BATCH_MAX, Error, Level, Status};

/// New operations in one transaction, besides those of its first transition: others wait for its locks.
const SPAWNS_MAX: usize = 4 * BATCH_MAX;

/// The pause in claiming after a claim that failed, or that brought tasks which can't be run here.
const CLAIM_PAUSE: Duration = Duration::from_secs(1);

const REGISTER: &str = "register worker";
const SCHEDULES: &str = "put schedules";

/// Runs a worker from start to stop.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut keepers = JoinSet::new();
    // Subscribed before the first claim, so that no hint is missed.
    let heard = shared.core.backend.notices();
    let registered = register(&shared).await;
    if registered && put_schedules(&shared).await {
        shared.set_state(WorkerState::Ready);
        keepers.spawn(notices::keep(Arc::clone(&shared), heard).boxed());
        keepers.spawn(renewals::keep(Arc::clone(&shared)).boxed());
        keepers.spawn(hosts::keep(Arc::clone(&shared)).boxed());
        keepers.spawn(sweeps::keep(Arc::clone(&shared)).boxed());
        keepers.spawn(sweeps::keep_clean(Arc::clone(&shared)).boxed());
        let alarms = Arc::clone(&shared);
        keepers.spawn(async move { alarms.alarms.keep().await }.boxed());
        Engine::new(Arc::clone(&shared)).work().await;
    }
    keepers.shutdown().await;
    shared.pool.close();
    shared.outbox.close();
    if registered {
        remove(&shared).await;
    }
    shared.set_state(WorkerState::Stopped);
}

/// The store would find out when leases end.
async fn remove(shared: &Shared) {
    let removed = tokio::select! {
        removed = shared.core.backend.remove_worker(&shared.worker_id) => removed,
        () = shared.no_patience(patience::no_lease) => Err(Error::backend("the store does not answer, and is not waited for any more")),
    };
    if let Err(error) = removed {
        shared.trouble("remove worker", &error);
    }
}

/// Registers the worker, and repeats that until it succeeds or the worker is stopped. False: it was not registered.
async fn register(shared: &Shared) -> bool {
    let functions = shared.functions.values();
    let worker = NewWorker {
        worker_id: shared.worker_id.clone(),
        queues: shared.options.queues.clone(),
        tags: shared.options.tags.clone(),
        queue_rates: shared.options.queue_rates.clone(),
        functions: functions.map(|f| Function { name: f.name.clone(), options: (*f.options).clone() }).collect(),
    };
    let mut pause = RETRY_FIRST;
    while !shared.draining() {
        let answer = tokio::select! {
            answer = shared.core.backend.register_worker(worker.clone()) => answer,
            () = shared.no_patience(patience::no_lease) => return false,
        };
        match answer {
            Ok(()) => {
                shared.no_trouble(REGISTER);
                return true;
            }
            Err(error) => {
                shared.trouble(REGISTER, &error);
                if error.status() == Status::Closed {
                    return false;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(jittered(pause)) => {}
            () = shared.rung() => {}
        }
        pause = (pause * 2).min(RETRY_LONGEST);
    }
    false
}

/// Puts what is declared, and repeats that until it succeeds or the worker is stopped. What the store refuses for good is
/// told, and keeps the worker from nothing else. False: the worker is to stop.
async fn put_schedules(shared: &Shared) -> bool {
    let mut refused = false;
    for put in shared.core.schedules.all() {
        let mut pause = RETRY_FIRST;
        loop {
            let answer = tokio::select! {
                answer = shared.core.backend.put_schedules(put.clone()) => answer,
                () = shared.no_patience(patience::no_lease) => return false,
            };
            let Err(error) = answer else { break };
            shared.trouble(SCHEDULES, &error);
            if error.status() == Status::Closed || shared.draining() {
                return false;
            }
            if !error.is_retryable() {
                refused = true;
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(jittered(pause)) => {}
                () = shared.rung() => {}
            }
            pause = (pause * 2).min(RETRY_LONGEST);
        }
        if !refused {
            shared.no_trouble(SCHEDULES);
        }
    }
    true
}

pub(super) struct Engine {
    pub(super) shared: Arc<Shared>,
    /// Transitions for the next transactions, in order.
    pub(super) pending: VecDeque<Message>,
    /// Replay machines (journals) of tasks that this worker has suspended.
    pub(super) machines: Cache<Machine>,
    no_claim_before: Option<Instant>,
    pub(super) suspects: Suspects,
    pub(super) series: KnownSeries,
}

impl Engine {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            pending: VecDeque::new(),
            machines: Cache::new(TASKS_MAX, ENTRIES_MAX),
            no_claim_before: None,
            suspects: Suspects::default(),
            series: KnownSeries::default(),
        }
    }

    async fn work(&mut self) {
        let two = self.shared.core.backend.writers() > 1;
        let mut flights = Flights::default();
        loop {
            let free = !flights.claims();
            let next = if free {
                self.next()
            } else if !flights.beside() {
                self.beside()
            } else {
                None
            };
            match next {
                Some(flight) if two => flights.start(flight),
                Some(flight) => {
                    let landing = flight.run().await;
                    self.land(landing).await;
                }
                None if flights.is_empty() => {
                    if self.finished() {
                        return;
                    }
                    self.sleep().await;
                }
                None => {
                    let landing = tokio::select! {
                        landing = flights.next() => Some(landing),
                        () = self.sleep(), if free => None,
                        () = self.shared.rung(), if !free && !flights.beside() => None,
                    };
                    if let Some(landing) = landing {
                        self.land(landing).await;
                    }
                }
            }
        }
    }

    /// Records what is ready, and claims what there is room for.
    fn next(&mut self) -> Option<Flight> {
        self.give_way();
        self.suspects.go_on(&self.shared, &mut self.pending);
        let mut batch = self.gather(|_| true);
        let claim = self.claim(!batch.is_empty());
        let along = claim.is_some() || !batch.is_empty();
        self.shared.tell_begun(&mut batch, along);
        self.flight(batch, claim, false)
    }

    /// Records what has ended meanwhile, if that is much.
    fn beside(&mut self) -> Option<Flight> {
        if self.pending.len() + self.shared.outbox.len() < CROWD {
            return None;
        }
        let batch = self.gather(flight::is_end);
        self.flight(batch, None, true)
    }

    fn flight(&self, batch: Vec<Message>, claim: Option<Claim>, beside: bool) -> Option<Flight> {
        let wanted = !batch.is_empty() || claim.is_some();
        wanted.then(|| Flight { shared: Arc::clone(&self.shared), batch, claim, beside })
    }

    /// While draining, or without a slot that can be used, gives back tasks that have not started; after a stop has timed
    /// out, or of a host that is dead, all tasks.
    fn give_way(&self) {
        let shared = &self.shared;
        let (draining, dead) = (shared.draining(), shared.host_is_dead());
        if draining || dead || shared.is_stuck() {
            for job in shared.pool.take_queued() {
                job.task.give_back();
            }
            shared.batches.give_back(|_| true);
        }
        if draining {
            shared.coroutines.evict_all(Reason::Draining);
        }
        if dead || (draining && shared.abandoned()) {
            for task in shared.held() {
                task.give_back();
                task.abandon();
            }
        }
    }

    /// Takes what is ready, up to the bounds. At most one transition of each task: an end waits until the commands that
    /// its task has in flight are recorded. What is not `wanted` waits too.
    fn gather(&mut self, wanted: fn(&Message) -> bool) -> Vec<Message> {
        self.shared.outbox.empty(&mut self.pending);
        let mut batch = Vec::with_capacity(self.pending.len().min(BATCH_MAX));
        let mut later = VecDeque::new();
        let mut spawns = 0;
        while batch.len() < BATCH_MAX {
            let Some(message) = self.pending.pop_front() else { break };
            let waits = message.transition.outcome != Outcome::Hold && message.task.is(flag::HOLD);
            if waits || !wanted(&message) {
                later.push_back(message);
                continue;
            }
            spawns += message.transition.commands.spawns.len();
            if spawns > SPAWNS_MAX && !batch.is_empty() {
                self.pending.push_front(message);
                break;
            }
            batch.push(message);
        }
        later.append(&mut self.pending);
        self.pending = later;
        batch
    }

    /// Every transaction that records something also claims, so that children and parents that it makes ready are
    /// claimed at once. Without anything to record, a hint is needed for a claim.
    fn claim(&mut self, along: bool) -> Option<Claim> {
        let shared = &self.shared;
        if shared.draining() || shared.host_is_dead() || !(along || shared.hinted()) {
            return None;
        }
        if self.no_claim_before.is_some_and(|before| Instant::now() < before) {
            return None;
        }
        self.no_claim_before = None;
        let slots = shared.options.max_concurrency;
        // Handlers without a lease have slots that can't be used, and are part of the load.
        let strays = shared.strays.count();
        let (usable, load) = (slots.saturating_sub(strays), shared.load().saturating_sub(strays));
        // With a suspect here, only what can begin at once.
        let (begin, most) = match self.suspects.room(slots) {
            None => (usable, usable + shared.prefetch(usable)),
            Some(room) => (room.saturating_sub(strays), room.saturating_sub(strays)),
        };
        let count = most.saturating_sub(load).min(BATCH_MAX);
        let begin = begin.saturating_sub(load).min(BATCH_MAX);
        if count == 0 {
            return None;
        }
        shared.take_hint();
        Some(Claim {
            worker_id: shared.worker_id.clone(),
            count,
            limited: begin,
            begin,
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
            lease: shared.options.lease_duration,
        })
    }

    async fn sleep(&self) {
        match self.no_claim_before {
            Some(before) if self.shared.hinted() => {
                let pause = tokio::time::sleep_until(before.into());
                tokio::select! { () = pause => {}, () = self.shared.rung() => {} }
            }
            _ => {
                if self.shared.abandoned() && self.shared.holds_none() {
                    self.shared.set_given_back();
                }
                match self.look_at() {
                    None => self.shared.rung().await,
                    Some(at) => tokio::select! {
                        () = tokio::time::sleep_until(at.into()) => {}
                        () = self.shared.rung() => {}
                    },
                }
            }
        }
    }

    /// When something is to be done that nobody rings for.
    fn look_at(&self) -> Option<Instant> {
        let begun = self.shared.begun.first().map(|since| since + ALONE);
        let suspects = self.suspects.next_look(self.shared.options.max_concurrency);
        begun.into_iter().chain(suspects).min()
    }

    /// Drained, and nothing is on its way. A handler that runs counts as load; its task stays held until its end is
    /// recorded.
    fn finished(&self) -> bool {
        let shared = &self.shared;
        shared.draining() && shared.load() == 0 && shared.holds_none() && self.pending.is_empty()
    }

    async fn land(&mut self, landing: Landing) {
        let Landing { batch, claim, outcome, .. } = landing;
        match outcome {
            Landed::Answered { verdicts, claimed, asked } => {
                self.settle(batch, verdicts);
                self.admit_claimed(claim.as_ref(), claimed, asked);
            }
            Landed::Closed => {
                self.shared.drain();
                self.shared.abandon();
                self.give_up(batch);
            }
            Landed::GivenUp => {
                self.shared.add_unrecorded(batch.len());
                self.give_up(batch);
            }
            Landed::Refused => self.one_by_one(batch, claim).await,
        }
    }

    /// Something in the batch is refused: records each transition alone, so that only that one fails.
    async fn one_by_one(&mut self, batch: Vec<Message>, claim: Option<Claim>) {
        for message in batch {
            let batch = vec![message];
            let mut pause = RETRY_FIRST;
            let mut last_tries = LAST_TRIES;
            let answer = async {
                loop {
                    match flight::call(&self.shared, &batch, None).await {
                        Ok((mut verdicts, _)) => break verdicts.pop(),
                        Err(error) if error.is_retryable() => {
                            last_tries -= u32::from(self.shared.abandoned());
                            if last_tries == 0 {
                                break None;
                            }
                            flight::pause(&self.shared, pause).await;
                            pause = (pause * 2).min(RETRY_LONGEST);
                        }
                        Err(error) => break Some(Verdict::Refused(error)),
                    }
                }
            };
            let verdict = tokio::select! {
                verdict = answer => verdict,
                () = self.shared.no_patience(|| flight::leases_hold(&batch)) => None,
            };
            match verdict {
                Some(verdict) => self.settle(batch, vec![verdict]),
                None => {
                    self.shared.add_unrecorded(batch.len());
                    self.give_up(batch);
                }
            }
        }
        if let Some(claim) = claim.filter(|_| !self.shared.draining()) {
            let asked = Moment::now();
            match flight::call(&self.shared, &[], Some(claim.clone())).await {
                Ok((_, claimed)) => self.admit_claimed(Some(&claim), claimed, asked),
                Err(error) => {
                    self.shared.trouble("claim", &error);
                    self.pause_claims();
                }
            }
        }
    }

    /// The store did not answer until the end: the leases run out by themselves.
    fn give_up(&mut self, batch: Vec<Message>) {
        if batch.is_empty() {
            return;
        }
        self.shared.log(Level::Error, || {
            let count = batch.len();
            LogRecord::new("stent.worker", format!("{count} outcomes could not be recorded before the worker stopped"))
        });
        for message in &batch {
            message.task.log(Level::Error, "stent.worker", || {
                "the outcome could not be recorded before the worker stopped".to_owned()
            });
            message.task.hold_over();
            message.task.lose(flag::LOST);
            self.suspects.refused(&self.shared, &message.task);
        }
        let tasks: Vec<_> = batch.into_iter().map(|message| message.task).collect();
        self.shared.forget(&tasks);
    }

    pub(super) fn pause_claims(&mut self) {
        self.no_claim_before = Some(Instant::now() + CLAIM_PAUSE);
        self.shared.hint_work();
    }

    /// A claim that came back full may have left something. `asked`: from then on the leases last, at the least.
    fn admit_claimed(&mut self, claim: Option<&Claim>, claimed: Vec<Claimed>, asked: Moment) {
        let Some(claim) = claim else { return };
        if claimed.is_empty() {
            return;
        }
        let limited = claimed.iter().filter(|claimed| self.is_limited(&claimed.task.step_name)).count();
        if claimed.len() - limited >= claim.count || (limited > 0 && limited >= claim.limited) {
            self.shared.hint_work();
        }
        self.shared.note_work();
        self.admit(claimed, asked);
    }
}
