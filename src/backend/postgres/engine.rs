//! The backend's trait, operation by operation: what is written goes to the writer, what is read to a reader.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::{
    Postgres, advance, cancel, claim, dead_letters, dispatch, ended, fork, journal, list, protocol, register, signals,
    snapshot, stats, sweep,
};
use crate::backend::{
    Backend, Claim, Claimed, DeadLetterFilter, ExecutionFilter, JournalEntry, JournalRequest, NewExecution, NewSignal,
    NewWorker, Notice, Renew, Renewed, Replayed, Request, Response, Snapshot, StoreStats, Swept, Transition, Verdict,
};
use crate::model::{DeadLetter, Execution, Id, Payload, Result};

impl Postgres {
    async fn peek(&self) -> Result<sweep::Peek> {
        self.read((), |conn, _| Box::pin(sweep::peek(conn))).await
    }
}

#[async_trait]
impl Backend for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn call(&self, request: Request) -> Result<Response> {
        protocol::call(self, request).await
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    async fn dispatch(&self, executions: Vec<NewExecution>) -> Result<Vec<Id>> {
        self.write(executions, |tx, executions| Box::pin(async move { dispatch::insert(tx, &executions).await })).await
    }

    async fn register_worker(&self, worker: NewWorker) -> Result<()> {
        self.write(worker.clone(), |tx, worker| Box::pin(async move { register::register(tx, &worker).await })).await?;
        self.pool.catalog.add_local(worker);
        Ok(())
    }

    async fn remove_worker(&self, worker_id: &str) -> Result<()> {
        let name = worker_id.to_owned();
        self.write(name, |tx, name| Box::pin(async move { register::forget(tx, &name).await })).await?;
        self.pool.catalog.remove_local(worker_id);
        Ok(())
    }

    async fn advance(
        &self,
        transitions: Vec<Transition>,
        claim: Option<Claim>,
    ) -> Result<(Vec<Verdict>, Vec<Claimed>)> {
        self.write((transitions, claim), |tx, request| {
            Box::pin(async move {
                let (transitions, claim) = request.as_ref();
                let verdicts = advance::apply(tx, transitions).await?;
                let claimed = match claim {
                    Some(claim) => claim::claim(tx, claim).await?,
                    None => Vec::new(),
                };
                Ok((verdicts, claimed))
            })
        })
        .await
    }

    async fn journals(&self, requests: Vec<JournalRequest>) -> Result<Vec<Vec<JournalEntry>>> {
        self.read(requests, |conn, requests| Box::pin(async move { journal::journals(conn, &requests).await })).await
    }

    async fn cached(&self, keys: Vec<String>) -> Result<Vec<Option<Payload>>> {
        self.read(keys, |conn, keys| Box::pin(async move { journal::cached(conn, &keys).await })).await
    }

    async fn renew(&self, renew: Renew) -> Result<Renewed> {
        self.write(renew, |tx, renew| Box::pin(async move { journal::renew(tx, &renew).await })).await
    }

    async fn sweep(&self, worker_id: &str) -> Result<Swept> {
        let before = self.peek().await?;
        if !before.due {
            return Ok(Swept { next_due: before.next_due, ..Swept::default() });
        }
        let swept = self
            .write(worker_id.to_owned(), |tx, worker_id: Arc<String>| {
                Box::pin(async move { sweep::sweep(tx, &worker_id).await })
            })
            .await?;
        let after = self.peek().await?;
        Ok(Swept { next_due: after.next_due, ..swept })
    }

    async fn cancel(&self, execution: Id, reason: Option<String>) -> Result<()> {
        self.write((execution, reason), |tx, request| {
            Box::pin(async move { cancel::cancel(tx, request.0, request.1.as_deref()).await })
        })
        .await
    }

    async fn signal(&self, signal: NewSignal) -> Result<()> {
        self.write(signal, |tx, signal| Box::pin(async move { signals::send(tx, &signal).await })).await
    }

    async fn ended_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        ended::ended_among(self, executions).await
    }

    async fn cancelled_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        ended::cancelled_among(self, executions).await
    }

    async fn snapshot(&self, execution: Id) -> Result<Option<Snapshot>> {
        snapshot::snapshot(self, execution).await
    }

    async fn list(&self, filter: ExecutionFilter) -> Result<Vec<Execution>> {
        list::executions(self, filter).await
    }

    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
        dead_letters::list(self, filter).await
    }

    async fn replay_dead_letter(&self, task: Id, new_execution: Id) -> Result<Replayed> {
        self.write((task, new_execution), |tx, request| {
            Box::pin(async move { fork::replay(tx, request.0, request.1).await })
        })
        .await
    }

    async fn resume(&self, task: Id) -> Result<()> {
        self.write(task, |tx, task| Box::pin(async move { cancel::resume(tx, *task).await })).await
    }

    async fn stats(&self) -> Result<StoreStats> {
        stats::stats(self).await
    }
}
