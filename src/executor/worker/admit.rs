//! Takes claimed tasks to their handlers. Most can start at once. For those with a journal, or with a result that may
//! be cached, the store is queried beside the loop, with one call of each kind for all tasks of a claim.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;

use super::engine::Engine;
use super::patience::no_lease;
use super::pool::{Call, Outlook, Threads};
use super::run::{Code, Run};
use super::shared::Shared;
use super::slots::Slots;
use crate::backend::{Claimed, JournalEntry, JournalRequest, Outcome};
use crate::executor::events::Reason;
use crate::executor::log::LogRecord;
use crate::executor::metrics::count_many;
use crate::executor::registry::{self, Registered};
use crate::executor::replay::Machine;
use crate::executor::sync::{Moment, jittered};
use crate::executor::task::{LeaseHolder as _, Polled, TaskCore};
use crate::model::{Error, FunctionOptions, Level, Payload, Result};

/// Pauses between tries while the store does not answer.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);

/// A task for which the store is queried before it runs.
struct Lookup {
    run: Run,
    kept: Kept,
}

/// What this worker has kept in memory since it suspended the task.
enum Kept {
    Nothing,
    Journal(Machine),
    Coroutine(Machine, Polled),
}

impl Lookup {
    fn journal(&self) -> JournalRequest {
        let after = match &self.kept {
            Kept::Nothing => 0,
            Kept::Journal(machine) | Kept::Coroutine(machine, _) => machine.high_water(),
        };
        JournalRequest { task: self.run.task.held.task, after }
    }

    fn needs_journal(&self) -> bool {
        self.run.task.claimed.ops > 0
    }

    /// A task that has issued operations has run before, so its result was not cached.
    fn cache_key(&self) -> Option<&str> {
        if self.needs_journal() {
            return None;
        }
        self.run.task.claimed.cache.as_ref().map(|slot| slot.key.as_str())
    }
}

impl Engine {
    pub(super) fn is_limited(&self, function: &str) -> bool {
        self.shared.functions.get(function).is_some_and(|known| known.options.max_concurrent.is_some())
    }

    pub(super) fn admit(&mut self, claimed: Vec<Claimed>, asked: Moment) {
        count_many(&self.shared.core.metrics.counters.claimed, claimed.len() as u64);
        self.shared.add_load(claimed.len());
        let mut tasks = Vec::with_capacity(claimed.len());
        let (mut limited, mut ready, mut lookups) = (Vec::new(), Vec::with_capacity(claimed.len()), Vec::new());
        for claimed in claimed {
            let Some((function, code)) = self.find(&claimed.task.step_name) else {
                self.send_back(claimed, asked);
                continue;
            };
            let kept = self.kept(&claimed);
            let (journal, cached) = (claimed.ops > 0, claimed.cache.is_some());
            let is_limited = function.options.max_concurrent.is_some();
            let task = self.lease(&function.options, claimed, asked);
            if let Some(age) = task.queue_age() {
                task.series.queue_age.observe_time(age);
            }
            tasks.push(Arc::clone(&task));
            if let Some(letter) = task.unwritten_letter() {
                task.end_unstarted(letter);
                continue;
            }
            if matches!(code, Code::Host(_)) && !matches!(kept, Kept::Coroutine(..)) {
                task.set_polled(Polled::new());
            }
            let run = Run { task, code };
            if journal || cached {
                lookups.push(Lookup { run, kept });
            } else if is_limited {
                limited.push(run);
            } else {
                ready.push(run);
            }
        }
        self.shared.hold(&tasks);
        self.shared.start(limited, ready);
        if !lookups.is_empty() {
            self.shared.core.runtime.spawn(look_up(Arc::clone(&self.shared), lookups).boxed());
        }
    }

    /// The function and its handler or host. `None`: it is not registered with this worker.
    fn find(&self, function: &str) -> Option<(Arc<Registered>, Code)> {
        let function = self.shared.functions.get(function)?;
        let code = match &function.code {
            registry::Code::Handler(handler) => Code::Handler(Arc::clone(handler)),
            registry::Code::Batch(..) => Code::Batch(self.shared.batches.of(&function.name)?),
            registry::Code::Host => Code::Host(Arc::clone(self.shared.inbox.as_ref()?)),
        };
        Some((Arc::clone(function), code))
    }

    fn lease(&mut self, function: &Arc<FunctionOptions>, claimed: Claimed, asked: Moment) -> Arc<TaskCore> {
        let series = self.series.of(&self.shared.core.metrics.series, &claimed);
        TaskCore::new(Arc::clone(&self.shared) as _, Arc::clone(function), series, claimed, asked)
    }

    /// What was kept in memory, if it still fits the task's record.
    fn kept(&mut self, claimed: &Claimed) -> Kept {
        if let Some(warm) = self.shared.coroutines.take(claimed.task.id) {
            if claimed.ops > 0 && warm.machine.fits(claimed) && warm.polled.is_kept() {
                return Kept::Coroutine(warm.machine, warm.polled);
            }
            warm.evict(Reason::TakenOver);
        }
        let machine = self.machines.take(claimed.task.id).filter(|machine| machine.fits(claimed));
        machine.map_or(Kept::Nothing, Kept::Journal)
    }

    /// The store gave a task of a function that is not registered here. It must not; so this is said, and no claim is
    /// made for a while, or the same task would come and go.
    fn send_back(&mut self, claimed: Claimed, asked: Moment) {
        let task = self.lease(&Arc::default(), claimed, asked);
        task.log(Level::Error, "stent.worker", || {
            "the store gave a task of a function that is not registered; it goes back".to_owned()
        });
        self.shared.hold(&[Arc::clone(&task)]);
        task.give_back();
        self.pause_claims();
    }
}

impl Threads for Shared {
    fn call(&self, call: Call) {
        self.no_thread(self.pool.call(call));
    }

    fn none_may_begin(&self) -> bool {
        self.draining()
    }

    fn runtime(&self) -> &tokio::runtime::Handle {
        &self.core.runtime
    }
}

impl Shared {
    /// Limited tasks first: others wait for them to end. Suspects wait until it is recorded that they begin.
    pub(super) fn start(&self, mut limited: Vec<Run>, mut ready: Vec<Run>) {
        if self.draining() {
            limited.iter().chain(&ready).for_each(|run| run.task.give_back());
            return;
        }
        let suspect = |run: &mut Run| run.task.is_suspect();
        let suspects: Vec<_> = limited.extract_if(.., suspect).chain(ready.extract_if(.., suspect)).collect();
        if !suspects.is_empty() {
            self.put_suspects(suspects);
        }
        self.push(limited, ready);
    }

    /// They begin as soon as there are slots.
    pub(super) fn push(&self, first: Vec<Run>, then: Vec<Run>) {
        if !(first.is_empty() && then.is_empty()) {
            self.no_thread(self.pool.push(first, then));
        }
    }

    /// Batches begin when the slots or the queue have nothing more for them; a batch is no larger than the slots, which its
    /// size may not tell.
    pub(super) fn prepare_batches(self: &Arc<Self>) {
        let Slots::Threads(pool) = &self.pool else { return };
        if self.batches.is_empty() {
            return;
        }
        let shared = Arc::downgrade(self);
        self.batches.prepare(&(Weak::clone(&shared) as Weak<dyn Threads>));
        pool.listen(Box::new(move |outlook| {
            if let Some(shared) = shared.upgrade() {
                shared.batches.begin(outlook == Outlook::NoSlot);
            }
        }));
        let slots = self.options.max_concurrency;
        for (function, size) in self.batches.larger_than(slots) {
            self.log(Level::Warn, || {
                let told = format!(
                    "'{function}' takes up to {size} tasks at once, and this worker has {slots} slots: its batches are no \
                     larger; a larger max_concurrency makes them so"
                );
                LogRecord::new("stent.worker", told)
            });
        }
    }

    /// So many bodies of others than suspects may run at once from now on.
    pub(super) fn allow(&self, others: usize) {
        self.no_thread(self.pool.allow(others));
    }

    fn no_thread(&self, outcome: std::io::Result<()>) {
        if let Err(why) = outcome {
            let told = format!("no handler thread could be started: {why}");
            self.log(Level::Error, || LogRecord::new("stent.worker", told));
        }
    }
}

/// Queries the store for all; if it refuses that, for each alone, so that only the one with the problem fails.
async fn look_up(shared: Arc<Shared>, lookups: Vec<Lookup>) {
    match find(&shared, &lookups).await {
        Ok((journals, cached)) => begin(&shared, lookups, journals, cached),
        // Given up because the worker drains.
        Err(error) if error.is_retryable() => lookups.iter().for_each(|lookup| lookup.run.task.give_back()),
        Err(_) => {
            for lookup in lookups {
                let one = vec![lookup];
                match find(&shared, &one).await {
                    Ok((journals, cached)) => begin(&shared, one, journals, cached),
                    Err(error) if error.is_retryable() => one[0].run.task.give_back(),
                    Err(error) => one[0].run.task.fail_unstarted(&error.doing("load the task's journal")),
                }
            }
        }
    }
}

/// Loads journals and cached results, each for the tasks that need it, in their order. Repeats that while the store
/// does not answer, until the worker drains.
async fn find(shared: &Shared, lookups: &[Lookup]) -> Result<(Vec<Vec<JournalEntry>>, Vec<Option<Payload>>)> {
    let backend = &shared.core.backend;
    let requests: Vec<_> = lookups.iter().filter(|lookup| lookup.needs_journal()).map(Lookup::journal).collect();
    let keys: Vec<_> = lookups.iter().filter_map(Lookup::cache_key).map(str::to_owned).collect();
    let mut pause = PAUSE_FIRST;
    loop {
        let journals =
            async { if requests.is_empty() { Ok(Vec::new()) } else { backend.journals(requests.clone()).await } };
        let cached = async { if keys.is_empty() { Ok(Vec::new()) } else { backend.cached(keys.clone()).await } };
        let found = tokio::select! {
            found = async { tokio::try_join!(journals, cached) } => found,
            () = shared.no_patience(no_lease) => Err(Error::backend("the store does not answer").retryable(true)),
        };
        match found {
            Err(error) if error.is_retryable() && !shared.draining() => {
                shared.trouble("load journals", &error);
                tokio::time::sleep(jittered(pause)).await;
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
            found => {
                shared.no_trouble("load journals");
                return found;
            }
        }
    }
}

fn begin(shared: &Shared, lookups: Vec<Lookup>, journals: Vec<Vec<JournalEntry>>, cached: Vec<Option<Payload>>) {
    let (mut journals, mut cached) = (journals.into_iter(), cached.into_iter());
    let (mut limited, mut ready) = (Vec::new(), Vec::with_capacity(lookups.len()));
    for lookup in lookups {
        let hit = lookup.cache_key().is_some().then(|| cached.next().flatten()).flatten();
        let Lookup { run, kept } = lookup;
        let task = &run.task;
        if let Some(result) = hit {
            task.end_unstarted(Outcome::Complete { result, cache: None, cache_hit: true });
            continue;
        }
        if task.claimed.ops > 0 {
            let journal = journals.next().unwrap_or_default();
            task.set_machine(match kept {
                Kept::Nothing => Machine::new(&task.claimed, journal),
                Kept::Journal(mut machine) => {
                    machine.restart(&task.claimed, journal);
                    machine
                }
                Kept::Coroutine(mut machine, polled) => {
                    machine.go_on(&task.claimed, journal);
                    task.set_polled(polled);
                    machine
                }
            });
        }
        if task.function.max_concurrent.is_some() {
            limited.push(run);
        } else {
            ready.push(run);
        }
    }
    shared.start(limited, ready);
}
