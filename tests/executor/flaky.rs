//! A store that can be told to fail, and to keep its hints to itself.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stent::backend::{
    Backend, Claim, Claimed, DeadLetterFilter, ExecutionFilter, JournalEntry, JournalRequest, KeptSchedule,
    NewExecution, NewSignal, NewWorker, Notice, Outcome, PutSchedules, Renew, Renewed, Replayed, Request, Response,
    ScheduleChange, ScheduleFilter, SharedBackend, Snapshot, StoreStats, Swept, Tick, Transition, Verdict,
};
use stent::model::{DeadLetter, Error, Execution, Id, Payload, Result};
use tokio::sync::{broadcast, watch};

use crate::house::House;

pub struct Flaky {
    pub store: SharedBackend,
    /// Errors for the next calls that record something, and whether the store has recorded it all the same.
    pub fails: Mutex<VecDeque<(Error, bool)>>,
    /// Results that the store can't record.
    pub poison: Mutex<Option<Payload>>,
    /// Registrations that fail before one succeeds.
    pub away: AtomicUsize,
    pub mute: AtomicBool,
    /// Errors of the next dispatches; none: that one is recorded.
    pub dispatches: Mutex<VecDeque<Option<Error>>>,
    /// It records no dead letters, and counts what it has refused for it.
    pub no_letters: AtomicBool,
    pub refused: AtomicUsize,
    /// Cancels an execution before it is recorded that a body of it begins.
    pub cancels_marked: AtomicBool,
    /// Tells nothing of others' cancels: who wants to know has to ask.
    pub tells_late: AtomicBool,
    /// Renewals fail.
    pub no_renewals: AtomicBool,
    /// How many transactions of one worker it works on at once.
    pub writers: AtomicUsize,
    /// While this is true, what claims waits.
    pub claims_wait: watch::Sender<bool>,
    /// So many wait.
    pub waiting: AtomicUsize,
    /// So many are on their way, and have not been answered.
    pub claiming: AtomicUsize,
    /// It is away for whoever sweeps, and counts who came.
    pub no_sweeps: AtomicBool,
    pub swept_in_vain: AtomicUsize,
    /// It refuses the schedules of this owner for good.
    pub refuses_owner: Mutex<Option<String>>,
    never: broadcast::Sender<Notice>,
}

impl Flaky {
    pub fn new(store: SharedBackend) -> Self {
        Self {
            store,
            fails: Mutex::default(),
            poison: Mutex::default(),
            away: AtomicUsize::new(0),
            dispatches: Mutex::default(),
            mute: AtomicBool::new(false),
            no_letters: AtomicBool::new(false),
            refused: AtomicUsize::new(0),
            cancels_marked: AtomicBool::new(false),
            tells_late: AtomicBool::new(false),
            no_renewals: AtomicBool::new(false),
            writers: AtomicUsize::new(1),
            claims_wait: watch::Sender::new(false),
            waiting: AtomicUsize::new(0),
            claiming: AtomicUsize::new(0),
            no_sweeps: AtomicBool::new(false),
            swept_in_vain: AtomicUsize::new(0),
            refuses_owner: Mutex::default(),
            never: broadcast::channel(1).0,
        }
    }

    /// Holds at once fail as ends do; claims alone do not.
    fn next_failure(&self, transitions: &[Transition]) -> Option<(Error, bool)> {
        if transitions.is_empty() { None } else { self.fails.lock().unwrap().pop_front() }
    }

    fn is_poisoned(&self, transitions: &[Transition]) -> bool {
        let poison = self.poison.lock().unwrap();
        transitions.iter().any(|transition| match &transition.outcome {
            Outcome::Complete { result, .. } => Some(result) == poison.as_ref(),
            _ => false,
        })
    }

    /// As the store does it, or as it was told to.
    async fn record(&self, transitions: Vec<Transition>, claim: Option<Claim>) -> Result<(Vec<Verdict>, Vec<Claimed>)> {
        if self.is_poisoned(&transitions) {
            return Err(Error::backend("a row can't be written"));
        }
        let is_letter = |transition: &Transition| matches!(transition.outcome, Outcome::DeadLetter { .. });
        if self.no_letters.load(SeqCst) && transitions.iter().any(is_letter) {
            self.refused.fetch_add(1, SeqCst);
            return Err(Error::backend("no letters today"));
        }
        if self.cancels_marked.load(SeqCst) {
            for marked in transitions.iter().filter(|transition| transition.commands.begun.is_some()) {
                self.store.cancel(marked.held.execution, None).await?;
            }
        }
        match self.next_failure(&transitions) {
            Some((error, true)) => {
                self.store.advance(transitions, None).await?;
                Err(error)
            }
            Some((error, false)) => Err(error),
            None => self.store.advance(transitions, claim).await,
        }
    }
}

/// A house on such a store.
pub fn flaky_house() -> (House, Arc<Flaky>) {
    let flaky = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&flaky);
    let house = House::with(move |store| {
        let made = Arc::new(Flaky::new(store));
        *keep.lock().unwrap() = Some(Arc::clone(&made));
        made
    });
    let made = flaky.lock().unwrap().take().unwrap();
    (house, made)
}

#[async_trait]
impl Backend for Flaky {
    fn name(&self) -> &'static str {
        "flaky"
    }

    fn holds(&self) -> bool {
        self.store.holds()
    }

    fn writers(&self) -> usize {
        self.writers.load(SeqCst)
    }

    async fn call(&self, request: Request) -> Result<Response> {
        self.store.call(request).await
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        if self.mute.load(SeqCst) { self.never.subscribe() } else { self.store.notices() }
    }

    fn unheard_for(&self) -> Option<Duration> {
        self.tells_late.load(SeqCst).then_some(Duration::ZERO)
    }

    async fn dispatch(&self, executions: Vec<NewExecution>) -> Result<Vec<Id>> {
        let told = self.dispatches.lock().unwrap().pop_front().flatten();
        match told {
            Some(error) => Err(error),
            None => self.store.dispatch(executions).await,
        }
    }

    async fn register_worker(&self, worker: NewWorker) -> Result<()> {
        if self.away.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Error::backend("the store is away").retryable(true));
        }
        self.store.register_worker(worker).await
    }

    async fn remove_worker(&self, worker_id: &str) -> Result<()> {
        self.store.remove_worker(worker_id).await
    }

    async fn advance(
        &self,
        transitions: Vec<Transition>,
        claim: Option<Claim>,
    ) -> Result<(Vec<Verdict>, Vec<Claimed>)> {
        if claim.is_none() {
            return self.record(transitions, claim).await;
        }
        self.claiming.fetch_add(1, SeqCst);
        let mut wait = self.claims_wait.subscribe();
        if *wait.borrow() {
            self.waiting.fetch_add(1, SeqCst);
            wait.wait_for(|wait| !wait).await.unwrap();
            self.waiting.fetch_sub(1, SeqCst);
        }
        let answer = self.record(transitions, claim).await;
        self.claiming.fetch_sub(1, SeqCst);
        answer
    }

    async fn journals(&self, requests: Vec<JournalRequest>) -> Result<Vec<Vec<JournalEntry>>> {
        self.store.journals(requests).await
    }

    async fn cached(&self, keys: Vec<String>) -> Result<Vec<Option<Payload>>> {
        self.store.cached(keys).await
    }

    async fn renew(&self, renew: Renew) -> Result<Renewed> {
        if self.no_renewals.load(SeqCst) {
            return Err(Error::backend("no leases are renewed").retryable(true));
        }
        self.store.renew(renew).await
    }

    async fn sweep(&self, worker_id: &str) -> Result<Swept> {
        if self.no_sweeps.load(SeqCst) {
            self.swept_in_vain.fetch_add(1, SeqCst);
            return Err(Error::backend("it is away").retryable(true));
        }
        self.store.sweep(worker_id).await
    }

    async fn cancel(&self, execution: Id, reason: Option<String>) -> Result<()> {
        self.store.cancel(execution, reason).await
    }

    async fn signal(&self, signal: NewSignal) -> Result<()> {
        self.store.signal(signal).await
    }

    async fn ended_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        self.store.ended_among(executions).await
    }

    async fn cancelled_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        self.store.cancelled_among(executions).await
    }

    async fn snapshot(&self, execution: Id) -> Result<Option<Snapshot>> {
        self.store.snapshot(execution).await
    }

    async fn list(&self, filter: ExecutionFilter) -> Result<Vec<Execution>> {
        self.store.list(filter).await
    }

    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
        self.store.dead_letters(filter).await
    }

    async fn replay_dead_letter(&self, task: Id, new_execution: Id) -> Result<Replayed> {
        self.store.replay_dead_letter(task, new_execution).await
    }

    async fn resume(&self, task: Id) -> Result<()> {
        self.store.resume(task).await
    }

    async fn stats(&self) -> Result<StoreStats> {
        self.store.stats().await
    }

    async fn put_schedules(&self, put: PutSchedules) -> Result<()> {
        let refused = self.refuses_owner.lock().unwrap().clone();
        if refused.is_some() && put.schedules.iter().any(|schedule| schedule.owner == refused) {
            return Err(Error::invalid("not these"));
        }
        self.store.put_schedules(put).await
    }

    async fn schedules(&self, filter: ScheduleFilter) -> Result<Vec<KeptSchedule>> {
        self.store.schedules(filter).await
    }

    async fn change_schedule(&self, name: &str, change: ScheduleChange) -> Result<Vec<Tick>> {
        self.store.change_schedule(name, change).await
    }
}
