//! A store on a SQL database: the ways to read and to write, by how an answer that was lost is dealt with.
//!
//! A commit whose answer was lost is recorded or not. What has an identity is said again, and finds itself there
//! ([`Sql::write_surely`]): an end by its fence and state, commands by how far the task's record goes (`Commands::from`), a
//! dispatch by its id and what it says, a signal by the number that it had. All else leaves a mark
//! ([`Sql::write_exactly`]). What may have been claimed is kept for the worker's next claim, which takes it over if the
//! lease is there (`doubt`). So no body runs again for it, and no lease has to run out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::database::{Database, Doubt, Failed, Look, Work};
use super::doubt::Doubts;
use super::idle::Idle;
use super::patience::{Patience, in_doubt};
use super::statements::{MARK_IF_WRITTEN, MARK_PUT};
use crate::model::{Id, Result};

/// Much longer than any call goes on.
const MARK_TTL: Duration = Duration::from_secs(24 * 3600);

/// A store of the tables that both dialects have.
#[expect(private_bounds, reason = "the databases are this crate's")]
pub struct Sql<D: Database> {
    pub(super) database: D,
    pub(super) doubts: Doubts,
    pub(super) idle: Idle,
}

#[expect(private_bounds, reason = "the databases are this crate's")]
impl<D: Database> Sql<D> {
    pub(in crate::backend) fn new(database: D) -> Self {
        Self { database, doubts: Doubts::default(), idle: Idle::default() }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.database.patience()
    }

    /// A transaction that writes. `work` may be called again, as long as nothing is committed.
    pub(in crate::backend) async fn write<R, Q, F>(&self, request: Q, work: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Work<Q, R>,
    {
        let outcome = self.database.write_once(self.deadline(), Arc::new(request), Arc::new(work)).await;
        outcome.map_err(|failed| failed.why)
    }

    /// As [`Sql::write`]. When the answer to the commit was lost, `again` records what is not recorded yet; it is given
    /// what came with the commit.
    pub(super) async fn write_surely<R, Q, F, G>(&self, request: Q, work: F, again: G) -> Result<R>
    where
        R: Send + Sync + 'static,
        Q: Send + Sync + 'static,
        F: Work<Q, R>,
        G: Work<(Arc<Q>, R), R>,
    {
        let request = Arc::new(request);
        let again = Arc::new(again);
        let mut outcome = self.database.write_once(self.deadline(), request.clone(), Arc::new(work)).await;
        // From the doubt on: the answer may have been waited for until all of the time before was over.
        let deadline = self.deadline();
        let mut patience = Patience::until(deadline);
        loop {
            let (why, doubt) = match outcome {
                Err(Failed { why, in_doubt: Some(doubt) }) => (why, doubt),
                done => return done.map_err(|failed| failed.why),
            };
            if !patience.allows(&why).await {
                return Err(why);
            }
            let Doubt { result, notices } = doubt;
            let said = Arc::new((request.clone(), result));
            outcome = match self.database.write_once(deadline, said, again.clone()).await {
                Ok(result) => {
                    self.database.tell(notices);
                    return Ok(result);
                }
                // The doubt stays.
                Err(Failed { why, in_doubt: None }) if why.is_retryable() => return Err(in_doubt(why)),
                other => other,
            };
        }
    }

    /// As [`Sql::write`], for what can't be known again by itself: the transaction leaves a mark, a token of its own. When
    /// the answer to the commit was lost, the mark is made again. Where it is there already, the first transaction is
    /// recorded; to make it waits for one that is still at its commit.
    pub(super) async fn write_exactly<R, Q, F>(&self, request: Q, work: F) -> Result<R>
    where
        R: Clone + Send + Sync + 'static,
        Q: Send + Sync + 'static,
        F: Work<Q, R>,
    {
        let token = Id::new_v4();
        let work = Arc::new(work);
        let first = work.clone();
        self.write_surely(
            Arc::new(request),
            move |tx, request: Arc<Arc<Q>>| {
                let work = first.clone();
                Box::pin(async move {
                    let result = work(tx, (*request).clone()).await?;
                    tx.change(MARK_IF_WRITTEN.call().id(token).time(tx.now.after(MARK_TTL))).await?;
                    Ok(result)
                })
            },
            move |tx, said: Arc<(Arc<Arc<Q>>, R)>| {
                let work = work.clone();
                Box::pin(async move {
                    match tx.change(MARK_PUT.call().id(token).time(tx.now.after(MARK_TTL))).await? {
                        0 => Ok(said.1.clone()),
                        _ => work(tx, (*said.0).clone()).await,
                    }
                })
            },
        )
        .await
    }

    /// Reads; one statement sees one state of the store.
    pub(super) async fn read<R, Q, F>(&self, request: Q, look: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Look<Q, R>,
    {
        self.database.read_once(false, request, look).await
    }

    /// As [`Sql::read`], but all of `look`'s statements see one state of the store.
    pub(super) async fn read_together<R, Q, F>(&self, request: Q, look: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Look<Q, R>,
    {
        self.database.read_once(true, request, look).await
    }

    pub(super) async fn check_schema(&self) -> Result<()> {
        self.database.check_schema().await
    }

    pub(super) async fn close(&self) -> Result<()> {
        self.database.close().await
    }
}
