//! The store as one case sees it: names of functions and workers are made unique for the case, and counts leave out
//! what was there before. So cases don't disturb each other on a store that is not emptied between them.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::backend::*;
use crate::model::{DeadLetter, Execution, ExecutionState, Id, Payload, Result, Schedule, Status, Task, TaskState};

/// The page size when looking for what belongs to a case.
const MANY: u32 = 1_000;

/// No case waits so long. What is due later is the buckets of cases before it, which fill for hours.
const OTHERS: Duration = Duration::from_secs(3600);

pub(super) struct Scoped {
    inner: SharedBackend,
    /// The suffix of all names in this case.
    tail: String,
    before: StoreStats,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    executions: BTreeSet<Id>,
    functions: BTreeSet<String>,
    rated: BTreeSet<String>,
    workers: BTreeSet<String>,
    pauses: Vec<Pausable>,
    schedules: BTreeSet<String>,
    /// An operation that the store does not answer.
    not_offered: Option<String>,
}

impl Scoped {
    pub(super) async fn new(inner: SharedBackend, number: usize, engine: bool) -> Self {
        let tail = format!("~{number}-{:08x}", rand::random::<u32>());
        let before = if engine { inner.stats().await.unwrap_or_default() } else { StoreStats::default() };
        Self { inner, tail, before, used: Mutex::default() }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn not_offered(&self) -> Option<String> {
        self.used().not_offered.clone()
    }

    fn own(&self, name: &str) -> String {
        format!("{name}{}", self.tail)
    }

    fn function(&self, name: &str) -> String {
        let own = self.own(name);
        self.used().functions.insert(own.clone());
        own
    }

    /// A queue's name is as the case made it.
    fn own_pausable(&self, what: Pausable) -> Pausable {
        match what {
            Pausable::Function(name) => Pausable::Function(self.own(&name)),
            queue @ Pausable::Queue(_) => queue,
        }
    }

    fn own_schedule(&self, schedule: &mut Schedule) {
        schedule.name = self.own(&schedule.name);
        schedule.function = self.function(&schedule.function);
        schedule.owner = schedule.owner.take().map(|owner| self.own(&owner));
        self.used().schedules.insert(schedule.name.clone());
    }

    /// Notes that the store does not answer what the case asks for, if so.
    fn seen<T>(&self, answer: Result<T>) -> Result<T> {
        answer.inspect_err(|why| {
            if why.status() == Status::Unsupported {
                self.used().not_offered = Some(why.message().to_owned());
            }
        })
    }

    fn plain(&self, name: &mut String) {
        if let Some(plain) = name.strip_suffix(&self.tail) {
            name.truncate(plain.len());
        }
    }

    fn plain_task(&self, task: &mut Task) {
        self.plain(&mut task.step_name);
        if let Some(worker) = &mut task.worker_id {
            self.plain(worker);
        }
    }

    fn plain_execution(&self, execution: &mut Execution) {
        self.plain(&mut execution.root_function);
        for entry in &mut execution.progress {
            self.plain(&mut entry.step);
        }
    }

    fn own_task(&self, task: &mut Task) {
        if task.kind.is_run() {
            task.step_name = self.function(&task.step_name);
        }
        task.worker_id = task.worker_id.take().map(|worker| self.own(&worker));
        self.used().executions.insert(task.execution_id);
    }

    fn own_execution(&self, execution: &mut Execution) {
        execution.root_function = self.function(&execution.root_function);
        self.used().executions.insert(execution.id);
    }

    /// Ends everything that the case has left, so that nothing of it can be claimed or become due.
    pub(super) async fn clean_up(&self, engine: bool) -> Result<()> {
        let (mut executions, functions, workers, rated) = {
            let used = self.used();
            (used.executions.clone(), used.functions.clone(), used.workers.clone(), used.rated.clone())
        };
        if engine {
            for function in functions {
                let mut offset = 0;
                loop {
                    let function = Some(function.clone());
                    let filter = ExecutionFilter { function, limit: MANY, offset, ..ExecutionFilter::default() };
                    let page = self.inner.list(filter).await?;
                    executions.extend(page.iter().map(|execution| execution.id));
                    if page.len() < MANY as usize {
                        break;
                    }
                    offset += MANY;
                }
            }
        }
        let pauses = std::mem::take(&mut self.used().pauses);
        for what in pauses {
            match self.inner.unpause(what).await {
                Err(why) if why.status() != Status::NotFound && why.status() != Status::Unsupported => return Err(why),
                _ => {}
            }
        }
        let schedules = std::mem::take(&mut self.used().schedules);
        for name in schedules {
            match self.inner.change_schedule(&name, ScheduleChange::Delete).await {
                Err(why) if why.status() != Status::NotFound && why.status() != Status::Unsupported => return Err(why),
                _ => {}
            }
        }
        for id in executions {
            self.end(id, engine).await?;
        }
        if !rated.is_empty() {
            let worker_id = self.own("rates");
            let queue_rates = rated.into_iter().map(|queue| (queue, None)).collect();
            let (queues, tags, functions) = Default::default();
            let last = NewWorker { worker_id: worker_id.clone(), queues, tags, functions, queue_rates };
            self.inner.register_worker(last).await?;
            self.inner.remove_worker(&worker_id).await?;
        }
        for worker in workers {
            while engine && self.inner.sweep(&worker).await?.more {}
            self.inner.remove_worker(&worker).await?;
        }
        Ok(())
    }

    async fn end(&self, id: Id, engine: bool) -> Result<()> {
        let found = self.inner.call(Request::GetExecution { execution_id: id }).await?;
        let Response::Execution(Some(execution)) = found else { return Ok(()) };
        if engine && !execution.state.is_terminal() && execution.state != ExecutionState::Cancelling {
            // It may have ended meanwhile.
            drop(self.inner.cancel(id, None).await);
        }
        if let Response::Tasks(tasks) = self.inner.call(Request::ListTasksForExecution { execution_id: id }).await? {
            for task in tasks {
                if task.state == TaskState::Running || (!engine && !task.state.is_terminal()) {
                    let ended = Task {
                        state: TaskState::Cancelled,
                        completed_at: Some(task.created_at),
                        lease_expires_at: None,
                        result: None,
                        error: None,
                        ..task
                    };
                    // It may have ended meanwhile.
                    drop(self.inner.call(Request::UpdateTask { task: ended }).await);
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Backend for Scoped {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn offers(&self, operation: &str) -> bool {
        self.inner.offers(operation)
    }

    fn holds(&self) -> bool {
        let holds = self.inner.holds();
        if !holds {
            self.used().not_offered = Some("a user-written store holds nobody for a handler".to_owned());
        }
        holds
    }

    async fn call(&self, mut request: Request) -> Result<Response> {
        match &mut request {
            Request::CreateExecution { execution } | Request::UpdateExecution { execution } => {
                self.own_execution(execution);
            }
            Request::CreateExecutionWithRootTask { execution, task } => {
                self.own_execution(execution);
                self.own_task(task);
            }
            Request::CreateTask { task }
            | Request::UpdateTask { task }
            | Request::MoveTaskToDeadLetter { task, .. } => {
                self.own_task(task);
            }
            Request::CreateTasks { tasks } => tasks.iter_mut().for_each(|task| self.own_task(task)),
            Request::ClaimNextTask { worker_id, concurrency_limits, .. } => {
                *worker_id = self.own(worker_id);
                let limits = std::mem::take(concurrency_limits);
                *concurrency_limits = limits.into_iter().map(|(name, limit)| (self.own(&name), limit)).collect();
            }
            Request::RenewTaskLease { worker_id, .. } => *worker_id = self.own(worker_id),
            _ => {}
        }
        let mut response = self.seen(self.inner.call(request).await)?;
        match &mut response {
            Response::Execution(Some(execution)) => self.plain_execution(execution),
            Response::Executions(executions) => executions.iter_mut().for_each(|found| self.plain_execution(found)),
            Response::Task(Some(task)) => self.plain_task(task),
            Response::Tasks(tasks) => tasks.iter_mut().for_each(|task| self.plain_task(task)),
            Response::DeadLetter(Some(letter)) => self.plain_task(&mut letter.task),
            Response::DeadLetters(letters) => letters.iter_mut().for_each(|letter| self.plain_task(&mut letter.task)),
            _ => {}
        }
        Ok(response)
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.inner.notices()
    }

    async fn dispatch(&self, mut executions: Vec<NewExecution>) -> Result<Vec<Id>> {
        for new in &mut executions {
            new.function = self.function(&new.function);
            new.options.on_cancel = new.options.on_cancel.take().map(|name| self.function(&name));
        }
        self.seen(self.inner.dispatch(executions).await)
    }

    async fn register_worker(&self, mut worker: NewWorker) -> Result<()> {
        worker.worker_id = self.own(&worker.worker_id);
        self.used().workers.insert(worker.worker_id.clone());
        for function in &mut worker.functions {
            function.name = self.function(&function.name);
        }
        let rated: Vec<String> = worker.queue_rates.keys().cloned().collect();
        self.seen(self.inner.register_worker(worker).await)?;
        self.used().rated.extend(rated);
        Ok(())
    }

    async fn remove_worker(&self, worker_id: &str) -> Result<()> {
        self.inner.remove_worker(&self.own(worker_id)).await
    }

    async fn advance(
        &self,
        mut transitions: Vec<Transition>,
        claim: Option<Claim>,
    ) -> Result<(Vec<Verdict>, Vec<Claimed>)> {
        for spawn in transitions.iter_mut().flat_map(|transition| &mut transition.commands.spawns) {
            if let SpawnKind::Activity { .. } = spawn.what {
                spawn.name = self.own(&spawn.name);
            }
        }
        let claim = claim.map(|claim| Claim { worker_id: self.own(&claim.worker_id), ..claim });
        let (verdicts, mut claimed) = self.inner.advance(transitions, claim).await?;
        claimed.iter_mut().for_each(|claimed| self.plain_task(&mut claimed.task));
        Ok((verdicts, claimed))
    }

    async fn journals(&self, requests: Vec<JournalRequest>) -> Result<Vec<Vec<JournalEntry>>> {
        let mut journals = self.inner.journals(requests).await?;
        journals.iter_mut().flatten().for_each(|entry| self.plain(&mut entry.name));
        Ok(journals)
    }

    async fn cached(&self, keys: Vec<String>) -> Result<Vec<Option<Payload>>> {
        self.inner.cached(keys).await
    }

    async fn renew(&self, renew: Renew) -> Result<Renewed> {
        self.inner.renew(Renew { worker_id: self.own(&renew.worker_id), ..renew }).await
    }

    async fn sweep(&self, worker_id: &str) -> Result<Swept> {
        let mut swept = self.inner.sweep(&self.own(worker_id)).await?;
        swept.next_due = swept.next_due.filter(|due| *due < OTHERS);
        Ok(swept)
    }

    async fn cancel(&self, execution: Id, reason: Option<String>) -> Result<()> {
        self.inner.cancel(execution, reason).await
    }

    async fn signal(&self, signal: NewSignal) -> Result<()> {
        self.inner.signal(signal).await
    }

    async fn ended_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        self.inner.ended_among(executions).await
    }

    async fn cancelled_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        self.inner.cancelled_among(executions).await
    }

    async fn snapshot(&self, execution: Id) -> Result<Option<Snapshot>> {
        let mut snapshot = self.inner.snapshot(execution).await?;
        if let Some(snapshot) = &mut snapshot {
            self.plain_execution(&mut snapshot.execution);
        }
        Ok(snapshot)
    }

    async fn list(&self, filter: ExecutionFilter) -> Result<Vec<Execution>> {
        let function = filter.function.as_ref().map(|name| self.own(name));
        let all = ExecutionFilter { function, limit: MANY, offset: 0, ..filter };
        let mut found = self.inner.list(all).await?;
        found.retain(|execution| execution.root_function.ends_with(&self.tail));
        found.iter_mut().for_each(|execution| self.plain_execution(execution));
        Ok(found.into_iter().skip(filter.offset as usize).take(filter.limit as usize).collect())
    }

    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
        let function = filter.function.as_ref().map(|name| self.own(name));
        let all = DeadLetterFilter { function, limit: MANY, offset: 0, ..filter };
        let mut found = self.inner.dead_letters(all).await?;
        // A step's name is its own.
        let is_own =
            |task: &Task| task.step_name.ends_with(&self.tail) || self.used().executions.contains(&task.execution_id);
        found.retain(|letter| is_own(&letter.task));
        found.iter_mut().for_each(|letter| self.plain_task(&mut letter.task));
        Ok(found.into_iter().skip(filter.offset as usize).take(filter.limit as usize).collect())
    }

    async fn replay_dead_letter(&self, task: Id, new_execution: Id) -> Result<Replayed> {
        self.inner.replay_dead_letter(task, new_execution).await
    }

    async fn resume(&self, task: Id) -> Result<()> {
        self.inner.resume(task).await
    }

    async fn pause(&self, pause: NewPause) -> Result<()> {
        let what = self.own_pausable(pause.what);
        self.used().pauses.push(what.clone());
        self.seen(self.inner.pause(NewPause { what, ..pause }).await)
    }

    async fn unpause(&self, what: Pausable) -> Result<()> {
        self.inner.unpause(self.own_pausable(what)).await
    }

    async fn slot_waits(&self, execution: Id, limit: u32) -> Result<Vec<SlotWait>> {
        let mut waits = self.inner.slot_waits(execution, limit).await?;
        waits.iter_mut().for_each(|wait| self.plain(&mut wait.function));
        Ok(waits)
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        let mut pauses = self.inner.pauses().await?;
        let used = self.used().pauses.clone();
        pauses.retain(|pause| pause.what().is_some_and(|what| used.contains(&what)));
        pauses.iter_mut().filter_map(|pause| pause.function.as_mut()).for_each(|function| self.plain(function));
        Ok(pauses)
    }

    async fn put_schedules(&self, mut put: PutSchedules) -> Result<()> {
        put.schedules.iter_mut().for_each(|schedule| self.own_schedule(schedule));
        put.only_of = put.only_of.map(|owner| self.own(&owner));
        self.seen(self.inner.put_schedules(put).await)
    }

    async fn schedules(&self, filter: ScheduleFilter) -> Result<Vec<KeptSchedule>> {
        let own = |name: &Option<String>| name.as_ref().map(|name| self.own(name));
        let all = ScheduleFilter {
            name: own(&filter.name),
            owner: own(&filter.owner),
            function: own(&filter.function),
            after: own(&filter.after),
            limit: MANY,
            ..filter
        };
        let mut found = self.inner.schedules(all).await?;
        found.retain(|kept| kept.schedule.name.ends_with(&self.tail));
        found.truncate(filter.limit as usize);
        for KeptSchedule { schedule, .. } in &mut found {
            self.plain(&mut schedule.name);
            self.plain(&mut schedule.function);
            schedule.owner.as_mut().into_iter().for_each(|owner| self.plain(owner));
        }
        Ok(found)
    }

    async fn change_schedule(&self, name: &str, change: ScheduleChange) -> Result<Vec<Tick>> {
        self.inner.change_schedule(&self.own(name), change).await
    }

    async fn stats(&self) -> Result<StoreStats> {
        let mut stats = self.inner.stats().await?;
        stats.ready.retain(|depth| depth.function.ends_with(&self.tail));
        stats.ready.iter_mut().for_each(|depth| self.plain(&mut depth.function));
        stats.scheduled = stats.scheduled.saturating_sub(self.before.scheduled);
        stats.parked = stats.parked.saturating_sub(self.before.parked);
        stats.dead_letters = stats.dead_letters.saturating_sub(self.before.dead_letters);
        let (schedules, before) = (&mut stats.schedules, self.before.schedules);
        schedules.active = schedules.active.saturating_sub(before.active);
        schedules.paused = schedules.paused.saturating_sub(before.paused);
        schedules.waiting = schedules.waiting.saturating_sub(before.waiting);
        Ok(stats)
    }
}
