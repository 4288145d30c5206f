//! The fixture: a store under test, and the operations that cases use on it.
#![allow(dead_code, unused_imports, reason = "each of the programs that check stores uses its part")]

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use stent::backend::{
    Claim, Claimed, Commands, DeadLetterFilter, Function, JournalEntry, JournalRequest, NewWorker, Outcome, Request,
    Response, SharedBackend, Snapshot, Transition, Verdict,
};
use stent::model::{
    DeadLetter, DispatchOptions, Execution, ExecutionState, FunctionOptions, Id, Number, Op, Result, Task, TaskState,
    WaitMode,
};
use tokio::task::JoinHandle;

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

/// Begins a part of a case, which runs beside the others.
pub fn beside<T: Send + 'static>(part: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(part.boxed())
}

impl Drop for Flag {
    fn drop(&mut self) {
        self.raise();
    }
}

// What waits comes in a box: the state of a case would have each of these inside, as often as it is called, and so would
// the code that drives it.
impl Store {
    /// The same store opened again, as by another process; if that is not possible, this one.
    pub fn another(&self) -> BoxFuture<'_, Self> {
        Box::pin(async move {
            match &self.twin {
                None => self.clone(),
                Some(open) => Self { backend: open().await, ..self.clone() },
            }
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &str {
        self.url.as_deref().must()
    }

    // Workers.

    pub fn worker<'a>(&'a self, worker: &'a str, functions: &'a [&'a str]) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let functions = functions.iter().map(|name| (*name, FunctionOptions::default())).collect();
            self.worker_with(worker, functions).await;
        })
    }

    pub fn worker_with<'a>(&'a self, worker: &'a str, functions: Vec<(&'a str, FunctionOptions)>) -> BoxFuture<'a, ()> {
        self.register(worker, &[], &[], functions)
    }

    pub fn register<'a>(
        &'a self,
        id: &'a str,
        queues: &'a [&'a str],
        tags: &'a [&'a str],
        functions: Vec<(&'a str, FunctionOptions)>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let functions = functions.into_iter().map(|(name, options)| Function { name: name.to_owned(), options });
            let new = NewWorker {
                worker_id: id.to_owned(),
                queues: strings(queues),
                tags: strings(tags),
                functions: functions.collect(),
                queue_rates: BTreeMap::new(),
            };
            self.backend.register_worker(new).await.must();
        })
    }

    pub fn claim_with(&self, claim: Claim) -> BoxFuture<'_, Vec<Claimed>> {
        Box::pin(async move {
            let (verdicts, claimed) = self.backend.advance(Vec::new(), Some(claim)).await.must();
            assert!(verdicts.is_empty());
            claimed
        })
    }

    /// Up to `count` tasks for a worker, of limited functions as well.
    pub fn claim<'a>(&'a self, worker: &'a str, count: usize) -> BoxFuture<'a, Vec<Claimed>> {
        self.claim_with(claim(worker, count, LEASE))
    }

    /// Claims the only task that is there.
    pub fn take(&self) -> BoxFuture<'_, Claimed> {
        self.take_as("w")
    }

    pub fn take_as<'a>(&'a self, worker: &'a str) -> BoxFuture<'a, Claimed> {
        Box::pin(async move { only(self.claim(worker, 10).await) })
    }

    /// Checks that there is nothing to claim.
    pub fn idle(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            assert_eq!(self.claim("w", 10).await, []);
        })
    }

    /// Claims the only task and dies with it. Returns the task as it was.
    pub fn die(&self) -> LocalBoxFuture<'_, Claimed> {
        Box::pin(async move {
            let taken = only(self.claim_with(claim("w", 10, DYING)).await);
            let id = taken.task.id;
            self.until("the lease has ended", async |store| store.state(id).await != TaskState::Running).await;
            taken
        })
    }

    // Executions.

    pub fn start<'a>(&'a self, function: &'a str) -> BoxFuture<'a, Id> {
        Box::pin(async move { self.start_with(function, "[]", DispatchOptions::default()).await.must() })
    }

    pub fn start_with<'a>(
        &'a self,
        function: &'a str,
        args: &'a str,
        options: DispatchOptions,
    ) -> BoxFuture<'a, Result<Id>> {
        Box::pin(async move { self.backend.dispatch(vec![new_execution(function, args, options)]).await.map(only) })
    }

    /// Its time is over: a tool says so.
    pub fn expire(&self, id: Id) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let record = self.execution(id).await;
            let execution = Execution { expiry_at: Some(record.created_at), ..record };
            self.backend.call(Request::UpdateExecution { execution }).await.must();
        })
    }

    /// Starts an execution and claims its root; there must be nothing else to claim.
    pub fn root<'a>(&'a self, function: &'a str) -> BoxFuture<'a, Claimed> {
        Box::pin(async move {
            let execution = self.start(function).await;
            let root = self.take().await;
            assert_eq!(root.task.id, root_of(execution));
            root
        })
    }

    /// A `root` that has called `child` and waits for it, and the child, which is claimed.
    pub fn waiting_parent(&self) -> BoxFuture<'_, (Claimed, Claimed)> {
        Box::pin(async move {
            let root = self.root("root").await;
            self.suspend(&root, spawns([call(&root, 1, "child")]), WaitMode::All, &[1], 0).await;
            (root, self.take().await)
        })
    }

    // Transitions.

    pub fn say<'a>(&'a self, of: &'a Claimed, commands: Commands, outcome: Outcome) -> BoxFuture<'a, Verdict> {
        Box::pin(async move { only(self.say_all(vec![saying(of, commands, outcome)]).await) })
    }

    pub fn say_all(&self, transitions: Vec<Transition>) -> BoxFuture<'_, Vec<Verdict>> {
        Box::pin(async move { self.backend.advance(transitions, None).await.must().0 })
    }

    pub fn record<'a>(
        &'a self,
        of: &'a Claimed,
        commands: Commands,
        outcome: Outcome,
    ) -> BoxFuture<'a, (Vec<(Op, u64)>, u64)> {
        Box::pin(async move {
            match self.say(of, commands, outcome).await {
                Verdict::Recorded { arrivals, latest } => (arrivals, latest),
                other => panic!("{other:?}"),
            }
        })
    }

    pub fn hold<'a>(&'a self, of: &'a Claimed, commands: Commands) -> BoxFuture<'a, (Vec<(Op, u64)>, u64)> {
        self.record(of, commands, Outcome::Hold)
    }

    pub fn complete<'a>(&'a self, of: &'a Claimed, result: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.record(of, Commands::default(), completed(result)).await;
        })
    }

    pub fn fail<'a>(&'a self, of: &'a Claimed) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.record(of, Commands::default(), dead("it broke")).await;
        })
    }

    pub fn suspend<'a>(
        &'a self,
        of: &'a Claimed,
        commands: Commands,
        mode: WaitMode,
        ops: &'a [Op],
        known: u64,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.record(of, commands, suspended(mode, ops, known)).await;
        })
    }

    pub fn release<'a>(&'a self, of: &'a Claimed) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.record(of, Commands::default(), Outcome::Release).await;
        })
    }

    pub fn send<'a>(&'a self, execution: Id, name: &'a str, payload: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.backend.signal(signal(execution, name, payload)).await.must();
        })
    }

    // Queries.

    pub fn task(&self, id: Id) -> BoxFuture<'_, Task> {
        Box::pin(async move {
            match self.backend.call(Request::GetTask { task_id: id }).await.must() {
                Response::Task(Some(task)) => *task,
                other => panic!("there should be a task {id}: {other:?}"),
            }
        })
    }

    pub fn state(&self, id: Id) -> BoxFuture<'_, TaskState> {
        Box::pin(async move { self.task(id).await.state })
    }

    pub fn tasks(&self, execution: Id) -> BoxFuture<'_, Vec<Task>> {
        Box::pin(async move {
            match self.backend.call(Request::ListTasksForExecution { execution_id: execution }).await.must() {
                Response::Tasks(tasks) => tasks,
                other => panic!("{other:?}"),
            }
        })
    }

    pub fn snapshot(&self, execution: Id) -> BoxFuture<'_, Snapshot> {
        Box::pin(async move { self.backend.snapshot(execution).await.must().must() })
    }

    pub fn execution(&self, id: Id) -> BoxFuture<'_, Execution> {
        Box::pin(async move { self.snapshot(id).await.execution })
    }

    pub fn is(&self, id: Id, state: ExecutionState) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            assert_eq!(self.execution(id).await.state, state);
        })
    }

    pub fn counters(&self, execution: Id) -> BoxFuture<'_, BTreeMap<String, Number>> {
        Box::pin(async move { self.snapshot(execution).await.counters })
    }

    pub fn journal(&self, task: Id) -> BoxFuture<'_, Vec<JournalEntry>> {
        Box::pin(async move { only(self.backend.journals(vec![JournalRequest { task, after: 0 }]).await.must()) })
    }

    pub fn letters(&self) -> BoxFuture<'_, Vec<DeadLetter>> {
        Box::pin(async move {
            self.backend.dead_letters(DeadLetterFilter { limit: 100, ..DeadLetterFilter::default() }).await.must()
        })
    }

    /// Everything about an execution, to check that nothing has changed.
    pub fn picture(&self, execution: Id) -> BoxFuture<'_, String> {
        Box::pin(async move {
            let snapshot = self.snapshot(execution).await;
            let tasks = self.tasks(execution).await;
            let mut journals = Vec::new();
            for task in &tasks {
                journals.push(self.journal(task.id).await);
            }
            format!("{snapshot:#?}\n{tasks:#?}\n{journals:#?}\n{:#?}", self.letters().await)
        })
    }

    // Sweeps.

    /// Sweeps until nothing is due.
    pub fn sweep(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move { while self.backend.sweep("w").await.must().more {} })
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

    pub fn until_execution(&self, id: Id, state: ExecutionState) -> LocalBoxFuture<'_, ()> {
        Box::pin(async move {
            self.until(state.as_str(), async |store| store.execution(id).await.state == state).await;
        })
    }

    pub fn until_task(&self, id: Id, state: TaskState) -> LocalBoxFuture<'_, ()> {
        Box::pin(async move {
            self.until(state.as_str(), async |store| store.state(id).await == state).await;
        })
    }
}
