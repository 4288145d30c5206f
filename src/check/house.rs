//! The fixture: a store under test, and the operations that cases use on it.
#![allow(dead_code, unused_imports, reason = "each of the programs that check stores uses its part")]

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use stent::backend::{
    Claim, Claimed, Commands, DeadLetterFilter, Function, JournalEntry, JournalRequest, NewWorker, Outcome, Request,
    Response, SharedBackend, Snapshot, Transition, Verdict,
};
use stent::model::{
    DeadLetter, DispatchOptions, Execution, ExecutionState, FunctionOptions, Id, Number, Op, Result, Task, TaskState,
    WaitMode,
};

pub use super::must::Must;
pub use super::words::*;

/// The time limit of waits in cases; one that reaches it has failed.
pub const SOON: Duration = Duration::from_secs(30);

/// A lease longer than any case.
pub const LEASE: Duration = Duration::from_secs(600);

/// A lease that ends at once, as if its worker had died.
pub const DYING: Duration = Duration::from_micros(1);

/// Opens the same store again, as another process would.
pub type Twin = Arc<dyn Fn() -> BoxFuture<'static, SharedBackend> + Send + Sync>;

/// A store under test. Methods without a worker use worker `w`. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub backend: SharedBackend,
    /// `None`: the store can't be opened a second time.
    pub twin: Option<Twin>,
    /// Where it is, if that is known.
    pub url: Option<String>,
}

/// Set when it is dropped: whatever runs beside a case ends with it, however the case ends.
#[derive(Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    pub fn shared(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Drop for Flag {
    fn drop(&mut self) {
        self.raise();
    }
}

impl Store {
    /// The same store opened again, as by another process; if that is not possible, this one.
    pub async fn another(&self) -> Self {
        match &self.twin {
            None => self.clone(),
            Some(open) => Self { backend: open().await, ..self.clone() },
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &str {
        self.url.as_deref().must()
    }

    // Workers.

    pub async fn worker(&self, worker: &str, functions: &[&str]) {
        let functions = functions.iter().map(|name| (*name, FunctionOptions::default())).collect();
        self.worker_with(worker, functions).await;
    }

    pub async fn worker_with(&self, worker: &str, functions: Vec<(&str, FunctionOptions)>) {
        self.register(worker, &[], &[], functions).await;
    }

    pub async fn register(&self, id: &str, queues: &[&str], tags: &[&str], functions: Vec<(&str, FunctionOptions)>) {
        let functions = functions.into_iter().map(|(name, options)| Function { name: name.to_owned(), options });
        let new = NewWorker {
            worker_id: id.to_owned(),
            queues: strings(queues),
            tags: strings(tags),
            functions: functions.collect(),
        };
        self.backend.register_worker(new).await.must();
    }

    pub async fn claim_with(&self, claim: Claim) -> Vec<Claimed> {
        let (verdicts, claimed) = self.backend.advance(Vec::new(), Some(claim)).await.must();
        assert!(verdicts.is_empty());
        claimed
    }

    /// Up to `count` tasks for a worker, of limited functions as well.
    pub async fn claim(&self, worker: &str, count: usize) -> Vec<Claimed> {
        self.claim_with(claim(worker, count, LEASE)).await
    }

    /// Claims the only task that is there.
    pub async fn take(&self) -> Claimed {
        self.take_as("w").await
    }

    pub async fn take_as(&self, worker: &str) -> Claimed {
        only(self.claim(worker, 10).await)
    }

    /// Checks that there is nothing to claim.
    pub async fn idle(&self) {
        assert_eq!(self.claim("w", 10).await, []);
    }

    /// Claims the only task and dies with it. Returns the task as it was.
    pub async fn die(&self) -> Claimed {
        let taken = only(self.claim_with(claim("w", 10, DYING)).await);
        let id = taken.task.id;
        self.until("the lease has ended", async |store| store.state(id).await != TaskState::Running).await;
        taken
    }

    // Executions.

    pub async fn start(&self, function: &str) -> Id {
        self.start_with(function, "[]", DispatchOptions::default()).await.must()
    }

    pub async fn start_with(&self, function: &str, args: &str, options: DispatchOptions) -> Result<Id> {
        self.backend.dispatch(vec![new_execution(function, args, options)]).await.map(only)
    }

    /// Its time is over: a tool says so.
    pub async fn expire(&self, id: Id) {
        let record = self.execution(id).await;
        let execution = Execution { expiry_at: Some(record.created_at), ..record };
        self.backend.call(Request::UpdateExecution { execution }).await.must();
    }

    /// Starts an execution and claims its root; there must be nothing else to claim.
    pub async fn root(&self, function: &str) -> Claimed {
        let execution = self.start(function).await;
        let root = self.take().await;
        assert_eq!(root.task.id, root_of(execution));
        root
    }

    /// A `root` that has called `child` and waits for it, and the child, which is claimed.
    pub async fn waiting_parent(&self) -> (Claimed, Claimed) {
        let root = self.root("root").await;
        self.suspend(&root, spawns([call(&root, 1, "child")]), WaitMode::All, &[1], 0).await;
        (root, self.take().await)
    }

    // Transitions.

    pub async fn say(&self, of: &Claimed, commands: Commands, outcome: Outcome) -> Verdict {
        only(self.say_all(vec![saying(of, commands, outcome)]).await)
    }

    pub async fn say_all(&self, transitions: Vec<Transition>) -> Vec<Verdict> {
        self.backend.advance(transitions, None).await.must().0
    }

    pub async fn record(&self, of: &Claimed, commands: Commands, outcome: Outcome) -> (Vec<(Op, u64)>, u64) {
        match self.say(of, commands, outcome).await {
            Verdict::Recorded { arrivals, latest } => (arrivals, latest),
            other => panic!("{other:?}"),
        }
    }

    pub async fn hold(&self, of: &Claimed, commands: Commands) -> (Vec<(Op, u64)>, u64) {
        self.record(of, commands, Outcome::Hold).await
    }

    pub async fn complete(&self, of: &Claimed, result: &str) {
        self.record(of, Commands::default(), completed(result)).await;
    }

    pub async fn fail(&self, of: &Claimed) {
        self.record(of, Commands::default(), dead("it broke")).await;
    }

    pub async fn suspend(&self, of: &Claimed, commands: Commands, mode: WaitMode, ops: &[Op], known: u64) {
        self.record(of, commands, suspended(mode, ops, known)).await;
    }

    pub async fn release(&self, of: &Claimed) {
        self.record(of, Commands::default(), Outcome::Release).await;
    }

    pub async fn send(&self, execution: Id, name: &str, payload: &str) {
        self.backend.signal(signal(execution, name, payload)).await.must();
    }

    // Queries.

    pub async fn task(&self, id: Id) -> Task {
        match self.backend.call(Request::GetTask { task_id: id }).await.must() {
            Response::Task(Some(task)) => *task,
            other => panic!("there should be a task {id}: {other:?}"),
        }
    }

    pub async fn state(&self, id: Id) -> TaskState {
        self.task(id).await.state
    }

    pub async fn tasks(&self, execution: Id) -> Vec<Task> {
        match self.backend.call(Request::ListTasksForExecution { execution_id: execution }).await.must() {
            Response::Tasks(tasks) => tasks,
            other => panic!("{other:?}"),
        }
    }

    pub async fn snapshot(&self, execution: Id) -> Snapshot {
        self.backend.snapshot(execution).await.must().must()
    }

    pub async fn execution(&self, id: Id) -> Execution {
        self.snapshot(id).await.execution
    }

    pub async fn is(&self, id: Id, state: ExecutionState) {
        assert_eq!(self.execution(id).await.state, state);
    }

    pub async fn counters(&self, execution: Id) -> BTreeMap<String, Number> {
        self.snapshot(execution).await.counters
    }

    pub async fn journal(&self, task: Id) -> Vec<JournalEntry> {
        only(self.backend.journals(vec![JournalRequest { task, after: 0 }]).await.must())
    }

    pub async fn letters(&self) -> Vec<DeadLetter> {
        self.backend.dead_letters(DeadLetterFilter { limit: 100, ..DeadLetterFilter::default() }).await.must()
    }

    /// Everything about an execution, to check that nothing has changed.
    pub async fn picture(&self, execution: Id) -> String {
        let snapshot = self.snapshot(execution).await;
        let tasks = self.tasks(execution).await;
        let mut journals = Vec::new();
        for task in &tasks {
            journals.push(self.journal(task.id).await);
        }
        format!("{snapshot:#?}\n{tasks:#?}\n{journals:#?}\n{:#?}", self.letters().await)
    }

    // Sweeps.

    /// Sweeps until nothing is due.
    pub async fn sweep(&self) {
        while self.backend.sweep("w").await.must().more {}
    }

    /// Sweeps whenever something is due, until the condition holds.
    pub async fn until(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let start = Instant::now();
        loop {
            let swept = self.backend.sweep("w").await.must();
            if condition(self).await {
                return;
            }
            assert!(start.elapsed() < SOON, "still not: {what}");
            let nap = swept.next_due.unwrap_or_default().clamp(Duration::from_millis(1), Duration::from_millis(20));
            tokio::time::sleep(nap).await;
        }
    }

    pub async fn until_execution(&self, id: Id, state: ExecutionState) {
        self.until(state.as_str(), async |store| store.execution(id).await.state == state).await;
    }

    pub async fn until_task(&self, id: Id, state: TaskState) {
        self.until(state.as_str(), async |store| store.state(id).await == state).await;
    }
}
