//! Gathers the tasks of functions whose handlers take many in one call. A task that is gathered has its slot and has not
//! begun. A batch begins when it is full, when no slot is left for another task, or when its first task has waited for as
//! long as it may; a function that waits for nobody takes what is there, as soon as nothing else can begin.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::pool::{Call, Threads};
use crate::executor::registry::{BatchHandler, Code, Registry, panicked};
use crate::executor::sync::lock;
use crate::executor::task::{Task, TaskCore};
use crate::model::{BatchOptions, Status};

/// How long a task waits for others of its claim, at the least: they may be queued behind tasks of other functions.
const WAIT_MIN: Duration = Duration::from_millis(5);

/// Of one worker, by function.
pub(super) struct Batches(HashMap<String, Arc<Batch>>);

pub(super) struct Batch {
    options: BatchOptions,
    handler: Arc<dyn BatchHandler>,
    /// Whose threads run it.
    threads: OnceLock<Weak<dyn Threads>>,
    /// std Mutex: never held while a slot is looked for or a handler runs.
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    tasks: Vec<Arc<TaskCore>>,
    /// The number of the batch that is gathered; what was to begin an earlier one has nothing to do.
    number: u64,
    /// Ends the wait of the first of them.
    timer: Option<AbortHandle>,
}

impl Gathered {
    fn take(&mut self) -> Vec<Arc<TaskCore>> {
        self.next();
        std::mem::take(&mut self.tasks)
    }

    fn next(&mut self) {
        self.number += 1;
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
    }
}

impl Batches {
    pub(super) fn new(functions: &Registry) -> Self {
        let batches = functions.iter().filter_map(|(name, function)| match &function.code {
            Code::Batch(options, handler) => {
                let (handler, threads, gathered) = (Arc::clone(handler), OnceLock::new(), Mutex::default());
                Some((name.clone(), Arc::new(Batch { options: *options, handler, threads, gathered })))
            }
            Code::Handler(_) | Code::Host => None,
        });
        Self(batches.collect())
    }

    /// Once, before any task comes.
    pub(super) fn prepare(&self, threads: &Weak<dyn Threads>) {
        for batch in self.0.values() {
            let _once = batch.threads.set(Weak::clone(threads));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn of(&self, function: &str) -> Option<Arc<Batch>> {
        self.0.get(function).map(Arc::clone)
    }

    /// The functions that gather more than so many, and how many.
    pub(super) fn larger_than(&self, slots: usize) -> impl Iterator<Item = (&str, usize)> {
        let sizes = self.0.iter().map(|(name, batch)| (name.as_str(), batch.options.size));
        sizes.filter(move |(_, size)| *size > slots)
    }

    /// These go back to the store, of those that have not begun.
    pub(super) fn give_back(&self, which: impl Fn(&TaskCore) -> bool) {
        self.0.values().for_each(|batch| batch.give_back(&which));
    }

    /// None of the slots is left, or (`no_slot` is false) there is nothing else that could begin.
    pub(super) fn begin(&self, no_slot: bool) {
        for batch in self.0.values().filter(|batch| no_slot || batch.options.wait.is_zero()) {
            let gathered = lock(&batch.gathered);
            let (number, none) = (gathered.number, gathered.tasks.is_empty());
            drop(gathered);
            if !none {
                let begun = Arc::clone(batch);
                batch.call(Box::new(move || begun.begin(number)));
            }
        }
    }
}

impl Batch {
    /// Runs no handler: as long as a task is on its way to here, no other batch begins for want of slots.
    pub(super) fn add(self: &Arc<Self>, task: Arc<TaskCore>) {
        let Some(threads) = self.threads.get().and_then(Weak::upgrade) else { return };
        let batch = Arc::clone(self);
        // Whether it kills its worker is found out by it alone.
        if task.is_suspect() {
            return threads.call(Box::new(move || batch.run(vec![task])));
        }
        let mut gathered = lock(&self.gathered);
        gathered.tasks.push(task);
        if gathered.tasks.len() >= self.options.size && !threads.none_may_begin() {
            let tasks = gathered.take();
            drop(gathered);
            return threads.call(Box::new(move || batch.run(tasks)));
        }
        let (first, number) = (gathered.tasks.len() == 1, gathered.number);
        drop(gathered);
        if threads.none_may_begin() {
            self.give_back(&|_| true);
        } else if first {
            self.begin_later(threads.runtime(), number);
        }
    }

    fn call(&self, call: Call) {
        // Its worker is gone with what it held.
        if let Some(threads) = self.threads.get().and_then(Weak::upgrade) {
            threads.call(call);
        }
    }

    fn give_back(&self, which: &impl Fn(&TaskCore) -> bool) {
        let mut gathered = lock(&self.gathered);
        let tasks: Vec<_> = gathered.tasks.extract_if(.., |task| which(task)).collect();
        if gathered.tasks.is_empty() {
            gathered.next();
        }
        drop(gathered);
        for task in tasks {
            task.give_back();
            task.free_slot();
        }
    }

    fn begin(&self, number: u64) {
        let mut gathered = lock(&self.gathered);
        if gathered.number == number {
            let tasks = gathered.take();
            drop(gathered);
            self.run(tasks);
        }
    }

    fn begin_later(self: &Arc<Self>, runtime: &Handle, number: u64) {
        let (batch, wait) = (Arc::downgrade(self), self.options.wait.max(WAIT_MIN));
        let timer = runtime.spawn(
            async move {
                tokio::time::sleep(wait).await;
                if let Some(batch) = batch.upgrade() {
                    let begun = Arc::clone(&batch);
                    batch.call(Box::new(move || begun.begin(number)));
                }
            }
            .boxed(),
        );
        let mut gathered = lock(&self.gathered);
        if gathered.number == number {
            gathered.timer = Some(timer.abort_handle());
        } else {
            timer.abort();
        }
    }

    fn run(&self, gathered: Vec<Arc<TaskCore>>) {
        let tasks: Vec<Task> = gathered.into_iter().filter_map(begun).collect();
        if tasks.is_empty() {
            return;
        }
        let status = catch_unwind(AssertUnwindSafe(|| self.handler.run(&tasks))).unwrap_or_else(|panic| {
            let told = panicked(&*panic);
            tasks.iter().for_each(|task| task.note_error(&told));
            Status::Panic
        });
        tasks.iter().for_each(|task| task.returned_in_batch(status));
    }
}

/// Deferred from its beginning. None: there is nothing to run any more.
fn begun(core: Arc<TaskCore>) -> Option<Task> {
    if core.must_look() {
        core.look_ahead();
    }
    let task = Task::first(Arc::clone(&core));
    let begun = core.begin() && core.returned(Status::Pending);
    if !begun {
        core.free_slot();
    }
    begun.then_some(task)
}
