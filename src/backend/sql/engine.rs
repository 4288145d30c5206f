//! Implements the trait `Backend`: each operation, with the function that does it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::sync::broadcast;

use super::at_once::{self, AtOnce};
use super::database::{Database, body, typed};
use super::look::indexes;
use super::patience::in_doubt;
use super::routes::bump_catalog;
use super::store::Sql;
use super::tx::Tx;
use super::{
    advance, attempts, cancel, claim, dead_letters, dispatch, doubt, ended, fork, holds, journal, list, look, moves,
    parked, pauses, protocol, register, schedules, signals, snapshot, stats, sweep,
};
use crate::backend::{
    AtHand, Attempt, Backend, Claim, Claimed, DeadLetterFilter, Departed, ExecutionFilter, Exported, Fenced, Health,
    Imported, JournalEntry, JournalRequest, KeptSchedule, LogSize, NewExecution, NewPause, NewSignal, NewWorker,
    Notice, Old, OldFilter, Parcel, Pausable, Pause, PutSchedules, Registered, Renew, Renewed, Replayed, Request,
    Response, ScheduleChange, ScheduleFilter, SlotWait, Snapshot, StoreStats, Swept, TaskFilter, Tick, Transition,
    Unserved, Verdict,
};
use crate::model::{DeadLetter, Execution, Id, Payload, Result, Signal, Task};

/// Between renewals of rows that others are at; much shorter than a lease.
const BUSY_PAUSES_MS: [u64; 5] = [5, 20, 80, 300, 600];

/// What a worker has to say, what it asks for, and what it may have been given before.
struct Advance {
    transitions: Vec<Transition>,
    claim: Option<Claim>,
    doubtful: Vec<Claimed>,
}

fn advance_once<'t>(tx: &'t mut Tx<'_>, request: Arc<Advance>) -> BoxFuture<'t, Result<(Vec<Verdict>, Vec<Claimed>)>> {
    Box::pin(async move {
        let Advance { transitions, claim, doubtful } = request.as_ref();
        let verdicts = advance::apply(tx, transitions).await?;
        // Before the claim: it must find nobody of them.
        let new = holds::begin(tx, transitions, &verdicts).await?;
        let claimed = match claim {
            Some(claim) => {
                if !transitions.is_empty() {
                    tx.touch_keys();
                }
                tx.settle_slots().await?;
                claim_with(tx, claim, doubtful).await?
            }
            None => Vec::new(),
        };
        if new {
            // The catalog comes last in the order of locks.
            bump_catalog(tx).await?;
        }
        Ok((verdicts, claimed))
    })
}

async fn claim_with(tx: &mut Tx<'_>, claim: &Claim, doubtful: &[Claimed]) -> Result<Vec<Claimed>> {
    if doubtful.is_empty() {
        return claim::claim(tx, claim).await;
    }
    let mut claimed = doubt::adopt(tx, &claim.worker_id, claim.lease, doubtful.to_vec()).await?;
    let count = claim.count.saturating_sub(claimed.len());
    let limited = claim.limited.saturating_sub(claimed.len());
    claimed.extend(claim::claim(tx, &Claim { count, limited, ..claim.clone() }).await?);
    Ok(claimed)
}

#[expect(private_bounds, reason = "the databases are this crate's")]
impl<D: Database> Sql<D> {
    /// Looks for due work. Also remembers if there was nothing for this worker to claim.
    async fn peek(&self, worker_id: &str) -> Result<sweep::Peek> {
        let heard = self.database.heard();
        let shared = self.database.catalog();
        let known = shared.known_lanes(worker_id);
        let quiet = known.as_ref().and_then(|(_, lanes)| shared.places.quiet(lanes));
        let look = shared.tides.look();
        let peek = self
            .read(sweep::Asked { known, quiet, since: look.since }, |session, asked| {
                Box::pin(async move { sweep::peek(session, &asked).await })
            })
            .await?;
        shared.tides.learn(&look, peek.since);
        if !peek.due && !peek.ready {
            self.idle.found_nothing(worker_id, heard);
        }
        Ok(peek)
    }

    /// A worker that renews nothing, since it has nothing or its tasks are short, says now and then that it lives.
    pub(in crate::backend) async fn sign(&self, worker_id: &str, now: Instant) -> Result<()> {
        if !self.database.catalog().owes_sign(worker_id, now) {
            return Ok(());
        }
        self.write(worker_id.to_owned(), |tx, worker_id| Box::pin(async move { register::seen(tx, &worker_id).await }))
            .await
    }
}

#[async_trait]
impl<D: Database> Backend for Sql<D> {
    fn name(&self) -> &'static str {
        D::NAME
    }

    fn records_in_transactions(&self) -> bool {
        true
    }

    fn holds(&self) -> bool {
        true
    }

    fn writers(&self) -> usize {
        self.database.writers()
    }

    async fn call(&self, request: Request) -> Result<Response> {
        protocol::call(self, request).await
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.database.notices()
    }

    fn unheard_for(&self) -> Option<Duration> {
        self.database.unheard_for()
    }

    async fn dispatch(&self, executions: Vec<NewExecution>) -> Result<Vec<Id>> {
        let doubtful = match at_once::dispatch(&self.database, &executions).await {
            AtOnce::Done(ids) => return Ok(ids),
            AtOnce::Nothing => false,
            AtOnce::InDoubt => true,
        };
        self.write_surely(
            executions,
            move |tx, executions| {
                Box::pin(async move {
                    match doubtful {
                        true => dispatch::insert_again(tx, &executions).await,
                        false => dispatch::insert(tx, &executions).await,
                    }
                })
            },
            |tx, said| Box::pin(async move { dispatch::insert_again(tx, &said.0).await }),
        )
        .await
        // Nobody could look whether the first statement is recorded.
        .map_err(|why| if doubtful && why.is_retryable() && !why.is_in_doubt() { in_doubt(why) } else { why })
    }

    async fn register_worker(&self, worker: NewWorker) -> Result<()> {
        self.write_exactly(worker.clone(), |tx, worker| Box::pin(async move { register::register(tx, &worker).await }))
            .await?;
        self.database.catalog().add_local(worker);
        Ok(())
    }

    async fn remove_worker(&self, worker_id: &str) -> Result<()> {
        let doubtful = self.doubts.take(worker_id);
        self.write_exactly((worker_id.to_owned(), doubtful), |tx, request| {
            Box::pin(async move {
                let (worker_id, doubtful) = request.as_ref();
                if !doubtful.is_empty() {
                    doubt::give_back(tx, worker_id, doubtful.clone()).await?;
                }
                register::forget(tx, std::slice::from_ref(worker_id)).await
            })
        })
        .await?;
        self.database.catalog().remove_local(worker_id);
        Ok(())
    }

    async fn advance(
        &self,
        transitions: Vec<Transition>,
        claim: Option<Claim>,
    ) -> Result<(Vec<Verdict>, Vec<Claimed>)> {
        if transitions.is_empty()
            && let Some(claim) = &claim
            && self.idle.take(&claim.worker_id, self.database.heard())
        {
            return Ok((Vec::new(), Vec::new()));
        }
        let doubtful = claim.as_ref().map(|claim| self.doubts.take(&claim.worker_id)).unwrap_or_default();
        let request = Arc::new(Advance { transitions, claim, doubtful });
        // Not repeated here: the worker repeats it.
        let outcome = self.database.write_once(Instant::now(), body(request.clone(), Arc::new(advance_once))).await;
        outcome
            .map_err(|failed| {
                if let Some(claim) = &request.claim {
                    let claimed =
                        failed.in_doubt.and_then(|doubt| typed::<(Vec<Verdict>, Vec<Claimed>)>(doubt.result).ok());
                    let claimed = claimed.map(|advanced| advanced.1).unwrap_or_default();
                    self.doubts.put(&claim.worker_id, request.doubtful.iter().cloned().chain(claimed));
                }
                failed.why
            })
            .and_then(typed)
    }

    async fn journals(&self, requests: Vec<JournalRequest>) -> Result<Vec<Vec<JournalEntry>>> {
        self.read(requests, |session, requests| Box::pin(async move { journal::journals(session, &requests).await }))
            .await
    }

    async fn cached(&self, keys: Vec<String>) -> Result<Vec<Option<Payload>>> {
        self.read(keys, |session, keys| Box::pin(async move { journal::cached(session, &keys).await })).await
    }

    async fn renew(&self, renew: Renew) -> Result<Renewed> {
        let Renew { worker_id, lease, .. } = renew.clone();
        let mut all = Renewed::default();
        let mut next = renew;
        let mut pauses = BUSY_PAUSES_MS.iter();
        loop {
            let (renewed, busy) =
                self.write(next, |tx, renew| Box::pin(async move { journal::renew(tx, &renew).await })).await?;
            all.lost.extend(renewed.lost);
            all.cancelled.extend(renewed.cancelled);
            // Who is still at a row after the last pause keeps everybody else from it too, until the next renewal.
            let (false, Some(pause)) = (busy.is_empty(), pauses.next()) else { return Ok(all) };
            tokio::time::sleep(Duration::from_millis(*pause)).await;
            next = Renew { worker_id: worker_id.clone(), held: busy, lease };
        }
    }

    async fn sweep(&self, worker_id: &str) -> Result<Swept> {
        self.sign(worker_id, Instant::now()).await?;
        let before = self.peek(worker_id).await?;
        if !before.due {
            return Ok(Swept { next_due: before.next_due, ..Swept::default() });
        }
        let mut swept = Swept::default();
        let mut next = Some(0);
        while let Some(from) = next {
            let done = self
                .write((worker_id.to_owned(), from), |tx, request: Arc<(String, usize)>| {
                    Box::pin(async move { sweep::sweep(tx, &request.0, request.1).await })
                })
                .await?;
            swept.changed += done.swept.changed;
            swept.more |= done.swept.more;
            done.swept.ticks.all().into_iter().for_each(|(state, count)| swept.ticks.add(state, count));
            next = done.next;
        }
        let after = self.peek(worker_id).await?;
        Ok(Swept { next_due: after.next_due, ..swept })
    }

    async fn cancel(&self, execution: Id, reason: Option<String>) -> Result<()> {
        self.write_surely(
            (execution, reason),
            |tx, request| Box::pin(async move { cancel::cancel(tx, request.0, request.1.as_deref()).await }),
            |tx, said| Box::pin(async move { cancel::cancel_again(tx, said.0.0, said.0.1.as_deref()).await }),
        )
        .await
    }

    async fn signal(&self, signal: NewSignal) -> Result<()> {
        self.write_surely(
            signal,
            |tx, signal| Box::pin(async move { signals::send(tx, &signal).await }),
            |tx, said| Box::pin(async move { signals::send_again(tx, &said.0, said.1).await }),
        )
        .await?;
        Ok(())
    }

    async fn ended_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        self.read(executions, |session, ids| Box::pin(async move { ended::ended_among(session, &ids).await })).await
    }

    async fn cancelled_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        self.read(executions, |session, ids| Box::pin(async move { ended::cancelled_among(session, &ids).await })).await
    }

    async fn snapshot(&self, execution: Id) -> Result<Option<Snapshot>> {
        self.read(execution, |session, id| Box::pin(async move { snapshot::snapshot(session, *id).await })).await
    }

    async fn list(&self, filter: ExecutionFilter) -> Result<Vec<Execution>> {
        self.read(filter, |session, filter| Box::pin(async move { list::executions(session, &filter).await })).await
    }

    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
        self.read(filter, |session, filter| Box::pin(async move { dead_letters::list(session, &filter).await })).await
    }

    async fn replay_dead_letter(&self, task: Id, new_execution: Id) -> Result<Replayed> {
        self.write_surely(
            (task, new_execution),
            |tx, request| Box::pin(async move { fork::replay(tx, request.0, request.1).await }),
            |tx, said| Box::pin(async move { fork::replay_again(tx, said.0.0, said.0.1).await }),
        )
        .await
    }

    async fn resume(&self, task: Id) -> Result<()> {
        self.write_exactly(task, |tx, task| Box::pin(async move { parked::resume(tx, *task).await })).await
    }

    async fn pause(&self, pause: NewPause) -> Result<()> {
        self.write_exactly(pause, |tx, pause| Box::pin(async move { pauses::record(tx, &pause).await })).await?;
        pauses::is_known(self).await?;
        self.write((), |tx, _| Box::pin(async move { pauses::gather(tx).await })).await
    }

    async fn unpause(&self, what: Pausable) -> Result<()> {
        self.write_exactly(what, |tx, what| Box::pin(async move { pauses::end(tx, &what).await })).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        self.read((), |session, _| Box::pin(async move { pauses::read(session).await })).await
    }

    async fn hasten(&self, tasks: Vec<Id>) -> Result<Vec<Id>> {
        self.write_exactly(tasks, |tx, tasks| Box::pin(async move { parked::hasten(tx, &tasks).await })).await
    }

    async fn attempts(&self, execution: Id) -> Result<Vec<Attempt>> {
        self.read(execution, |session, execution| {
            Box::pin(async move { attempts::of_execution(session, *execution).await })
        })
        .await
    }

    async fn slot_waits(&self, execution: Id, limit: u32) -> Result<Vec<SlotWait>> {
        self.read((execution, limit), |session, of| {
            Box::pin(async move { look::slot_waits(session, of.0, of.1).await })
        })
        .await
    }

    async fn tasks(&self, filter: TaskFilter) -> Result<Vec<Task>> {
        self.read(filter, |session, filter| Box::pin(async move { look::tasks(session, &filter).await })).await
    }

    async fn at_hand(&self, limit: u32) -> Result<Vec<AtHand>> {
        self.read(limit, |session, limit| Box::pin(async move { look::at_hand(session, *limit).await })).await
    }

    async fn signals(&self, execution: Id, limit: u32) -> Result<Vec<Signal>> {
        self.read((execution, limit), |session, of| Box::pin(async move { look::signals(session, of.0, of.1).await }))
            .await
    }

    async fn registered(&self) -> Result<Registered> {
        self.read_together((), |session, _| Box::pin(async move { look::registered(session).await })).await
    }

    async fn unserved(&self) -> Result<Unserved> {
        self.read_together((), |session, _| Box::pin(async move { look::unserved(session).await })).await
    }

    async fn old(&self, filter: OldFilter) -> Result<Old> {
        self.read_together(filter, |session, filter| Box::pin(async move { look::old(session, *filter).await })).await
    }

    async fn health(&self) -> Result<Health> {
        let signs = self.read_together((), |session, _| Box::pin(async move { look::signs(session).await })).await?;
        Ok(Health { signs, indexes: indexes(D::MIGRATIONS) })
    }

    async fn forget_executions(&self, executions: Vec<Id>) -> Result<u64> {
        protocol::forget(self, &executions).await
    }

    async fn forget_functions(&self, names: Vec<String>) -> Result<()> {
        self.write_exactly(names, |tx, names| Box::pin(async move { register::forget_functions(tx, &names).await }))
            .await
    }

    async fn export(&self, execution: Id, anyway: bool) -> Result<Exported> {
        self.write_surely(
            (execution, anyway),
            |tx, of| Box::pin(async move { moves::export(tx, of.0, of.1).await }),
            |tx, said| Box::pin(async move { moves::export(tx, said.0.0, said.0.1).await }),
        )
        .await
    }

    async fn import(&self, parcel: Parcel) -> Result<Imported> {
        self.write_surely(
            parcel,
            |tx, parcel| Box::pin(async move { moves::import(tx, &parcel).await }),
            // If it was recorded, it is there.
            |tx, said| Box::pin(async move { moves::import(tx, &said.0).await.map(|_| said.1) }),
        )
        .await
    }

    async fn departed(&self, limit: u32) -> Result<Vec<Departed>> {
        self.read(limit, |session, limit| Box::pin(async move { moves::fenced(session, *limit).await })).await
    }

    async fn settle(&self, execution: Id, what: Fenced) -> Result<()> {
        self.write_surely(
            (execution, what),
            |tx, of| Box::pin(async move { moves::settle(tx, of.0, of.1).await }),
            |tx, said| Box::pin(async move { moves::settle(tx, said.0.0, said.0.1).await }),
        )
        .await
    }

    async fn put_schedules(&self, put: PutSchedules) -> Result<()> {
        self.write_exactly(put, |tx, put| Box::pin(async move { schedules::put(tx, &put).await })).await
    }

    async fn schedules(&self, filter: ScheduleFilter) -> Result<Vec<KeptSchedule>> {
        self.read_together(filter, |session, filter| Box::pin(async move { schedules::list(session, &filter).await }))
            .await
    }

    async fn change_schedule(&self, name: &str, change: ScheduleChange) -> Result<Vec<Tick>> {
        self.write_exactly((name.to_owned(), change), |tx, asked| {
            Box::pin(async move { schedules::change(tx, &asked.0, &asked.1).await })
        })
        .await
    }

    fn log_size(&self) -> Option<LogSize> {
        self.database.log_size()
    }

    async fn backup(&self, path: &str) -> Result<()> {
        self.database.backup(path).await
    }

    async fn stats(&self) -> Result<StoreStats> {
        self.read_together((), |session, _| Box::pin(async move { stats::stats(session).await })).await
    }
}
