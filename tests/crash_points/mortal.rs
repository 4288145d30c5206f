//! The store as a process sees it that dies: before or after one of its writes, and from then on nothing of the process
//! reaches the store, nor does it hear a word.

use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use async_trait::async_trait;
use stent::backend::{
    Backend, Claim, Claimed, Commands, DeadLetterFilter, ExecutionFilter, JournalEntry, JournalRequest, KeptSchedule,
    NewExecution, NewSignal, NewWorker, Notice, Outcome, PutSchedules, Renew, Renewed, Replayed, Request, Response,
    ScheduleChange, ScheduleFilter, SharedBackend, Snapshot, StoreStats, Swept, Tick, Transition, Verdict,
};
use stent::model::{DeadLetter, Execution, Id, Payload, Result};
use tokio::sync::broadcast;

/// Where a process dies. Writes are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// It is about to write.
    Before(usize),
    /// It has written, and does not know.
    After(usize),
}

pub struct Mortal {
    /// None: it is buried.
    store: Mutex<Option<SharedBackend>>,
    end: Option<Point>,
    /// What is said of a task is written apart from what becomes of it: for a look at the test itself.
    tears: bool,
    begun: AtomicUsize,
    done: AtomicUsize,
    dead: AtomicBool,
}

impl Mortal {
    pub fn new(store: SharedBackend, end: Option<Point>, tears: bool) -> Self {
        let [begun, done] = [0, 0].map(AtomicUsize::new);
        Self { store: Mutex::new(Some(store)), end, tears, begun, done, dead: AtomicBool::new(false) }
    }

    async fn store(&self) -> SharedBackend {
        let store = self.store.lock().unwrap().clone();
        match store {
            Some(store) => store,
            None => pending().await,
        }
    }

    /// Its connections end with it, whoever still knows of it: a thread of a handler that waits for ever.
    pub fn bury(&self) {
        self.store.lock().unwrap().take();
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(SeqCst)
    }

    /// All points at which it could have died up to now.
    pub fn points(&self) -> Vec<Point> {
        let before = (1..=self.begun.load(SeqCst)).map(Point::Before);
        before.chain((1..=self.done.load(SeqCst)).map(Point::After)).collect()
    }

    async fn pass(&self, point: Option<Point>) {
        if point.is_some() && point == self.end {
            self.dead.store(true, SeqCst);
        }
        if self.is_dead() {
            pending::<()>().await;
        }
    }

    async fn read<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.pass(None).await;
        let answer = work.await;
        self.pass(None).await;
        answer
    }

    /// `surely`: that it writes is known before; `wrote`: it has.
    async fn write<T>(
        &self,
        surely: bool,
        work: impl Future<Output = Result<T>>,
        wrote: impl FnOnce(&T) -> bool,
    ) -> Result<T> {
        let before = surely.then(|| Point::Before(self.begun.fetch_add(1, SeqCst) + 1));
        self.pass(before).await;
        let answer = work.await;
        let after = answer.as_ref().is_ok_and(wrote).then(|| Point::After(self.done.fetch_add(1, SeqCst) + 1));
        self.pass(after).await;
        answer
    }
}

#[async_trait]
impl Backend for Mortal {
    fn name(&self) -> &'static str {
        "mortal"
    }

    fn holds(&self) -> bool {
        true
    }

    async fn call(&self, request: Request) -> Result<Response> {
        self.read(self.store().await.call(request)).await
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.store.lock().unwrap().as_ref().map_or_else(|| broadcast::channel(1).1, |store| store.notices())
    }

    async fn dispatch(&self, executions: Vec<NewExecution>) -> Result<Vec<Id>> {
        self.write(true, self.store().await.dispatch(executions), |_| true).await
    }

    async fn register_worker(&self, worker: NewWorker) -> Result<()> {
        self.write(true, self.store().await.register_worker(worker), |()| true).await
    }

    async fn remove_worker(&self, worker_id: &str) -> Result<()> {
        self.read(self.store().await.remove_worker(worker_id)).await
    }

    async fn advance(
        &self,
        mut transitions: Vec<Transition>,
        claim: Option<Claim>,
    ) -> Result<(Vec<Verdict>, Vec<Claimed>)> {
        for transition in transitions.iter_mut().filter(|one| self.tears && !one.commands.is_empty()) {
            let said = Transition { outcome: Outcome::Hold, ..transition.clone() };
            transition.commands = Commands::default();
            self.write(true, self.store().await.advance(vec![said], None), |_| true).await?;
        }
        let says = !transitions.is_empty();
        self.write(says, self.store().await.advance(transitions, claim), |(_, claimed)| says || !claimed.is_empty())
            .await
    }

    async fn journals(&self, requests: Vec<JournalRequest>) -> Result<Vec<Vec<JournalEntry>>> {
        self.read(self.store().await.journals(requests)).await
    }

    async fn cached(&self, keys: Vec<String>) -> Result<Vec<Option<Payload>>> {
        self.read(self.store().await.cached(keys)).await
    }

    async fn renew(&self, renew: Renew) -> Result<Renewed> {
        self.read(self.store().await.renew(renew)).await
    }

    async fn sweep(&self, worker_id: &str) -> Result<Swept> {
        self.write(false, self.store().await.sweep(worker_id), |swept| swept.changed > 0).await
    }

    async fn cancel(&self, execution: Id, reason: Option<String>) -> Result<()> {
        self.write(true, self.store().await.cancel(execution, reason), |()| true).await
    }

    async fn signal(&self, signal: NewSignal) -> Result<()> {
        self.write(true, self.store().await.signal(signal), |()| true).await
    }

    async fn ended_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        self.read(self.store().await.ended_among(executions)).await
    }

    async fn cancelled_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        self.read(self.store().await.cancelled_among(executions)).await
    }

    async fn snapshot(&self, execution: Id) -> Result<Option<Snapshot>> {
        self.read(self.store().await.snapshot(execution)).await
    }

    async fn list(&self, filter: ExecutionFilter) -> Result<Vec<Execution>> {
        self.read(self.store().await.list(filter)).await
    }

    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
        self.read(self.store().await.dead_letters(filter)).await
    }

    async fn replay_dead_letter(&self, task: Id, new_execution: Id) -> Result<Replayed> {
        self.write(true, self.store().await.replay_dead_letter(task, new_execution), |_| true).await
    }

    async fn resume(&self, task: Id) -> Result<()> {
        self.write(true, self.store().await.resume(task), |()| true).await
    }

    async fn stats(&self) -> Result<StoreStats> {
        self.read(self.store().await.stats()).await
    }

    async fn put_schedules(&self, put: PutSchedules) -> Result<()> {
        self.write(true, self.store().await.put_schedules(put), |()| true).await
    }

    async fn schedules(&self, filter: ScheduleFilter) -> Result<Vec<KeptSchedule>> {
        self.read(self.store().await.schedules(filter)).await
    }

    async fn change_schedule(&self, name: &str, change: ScheduleChange) -> Result<Vec<Tick>> {
        self.write(true, self.store().await.change_schedule(name, change), |_| true).await
    }
}
