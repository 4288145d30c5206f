//! The store on a SQL database, and its ways to read and to write. If the answer to a commit was lost, nobody knows
//! whether it is recorded. What happens then depends on the request:
//!
//! * [`Sql::write_surely`] repeats a request that can be recognised in the store: a dispatch by its id, a signal by the
//!   number that it got.
//! * [`Sql::write_exactly`] is for requests that can't be recognised: their transaction writes a token, which can.
//! * Transitions are repeated by the worker: an end is recognised by its fence and state, commands by the extent of the
//!   task's record (`Commands::from`).
//! * A claim is kept for the worker's next claim, which takes the tasks over if the worker holds them (`doubt`).
//!
//! So no handler runs again because of a lost answer, and no lease has to run out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::database::{Answered, Body, Database, Doubt, Failed, Look, Work, body, looking, typed};
use super::doubt::Doubts;
use super::idle::Idle;
use super::patience::{Patience, in_doubt};
use super::statements::{MARK_IF_WRITTEN, MARK_PUT};
use crate::model::{Id, Result};

/// How long a token is kept: much longer than any call is repeated.
const MARK_TTL: Duration = Duration::from_secs(24 * 3600);

/// The store, on one of the databases.
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

    /// Runs `work` in a transaction. It may be called again as long as nothing is committed.
    pub(in crate::backend) async fn write<R, Q, F>(&self, request: Q, work: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Work<Q, R>,
    {
        let outcome = self.database.write_once(self.deadline(), body(Arc::new(request), Arc::new(work))).await;
        outcome.map_err(|failed| failed.why).and_then(typed)
    }

    /// As [`Sql::write`]. If the answer to the commit was lost, `again` runs in a new transaction and writes what is
    /// not recorded yet; it gets the request and the first transaction's result.
    pub(super) async fn write_surely<R, Q, F, G>(&self, request: Q, work: F, again: G) -> Result<R>
    where
        R: Send + Sync + 'static,
        Q: Send + Sync + 'static,
        F: Work<Q, R>,
        G: Work<(Arc<Q>, R), R>,
    {
        let request = Arc::new(request);
        let again = Arc::new(again);
        let first = body(request.clone(), Arc::new(work));
        let next = move |result| Ok(body(Arc::new((request.clone(), typed::<R>(result)?)), again.clone()));
        self.write_until_known(first, &next).await.and_then(typed)
    }

    /// Runs `first`, and what `next` makes of its result if that is in doubt.
    async fn write_until_known(
        &self,
        first: Body,
        next: &(dyn Fn(Answered) -> Result<Body> + Send + Sync),
    ) -> Result<Answered> {
        let mut outcome = self.database.write_once(self.deadline(), first).await;
        // Counted anew: waiting for the lost answer may have used up the first deadline.
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
            outcome = match self.database.write_once(deadline, next(result)?).await {
                Ok(result) => {
                    self.database.tell(notices);
                    return Ok(result);
                }
                // It is still unknown whether the first commit is recorded.
                Err(Failed { why, in_doubt: None }) if why.is_retryable() => return Err(in_doubt(why)),
                other => other,
            };
        }
    }

    /// As [`Sql::write`], for requests that can't be recognised in the store: the transaction also inserts a token (a
    /// "mark"). If the answer to the commit was lost, the token is inserted again. If it exists already, the first
    /// transaction is recorded. The insert waits for a first transaction that is still committing.
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

    /// Runs `look` without writing; each of its statements sees one state of the store.
    pub(in crate::backend) async fn read<R, Q, F>(&self, request: Q, look: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Look<Q, R>,
    {
        self.database.read_once(false, looking(request, look)).await.and_then(typed)
    }

    /// As [`Sql::read`], but all of `look`'s statements see one state of the store.
    pub(super) async fn read_together<R, Q, F>(&self, request: Q, look: F) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Look<Q, R>,
    {
        self.database.read_once(true, looking(request, look)).await.and_then(typed)
    }

    pub(super) async fn check_schema(&self) -> Result<()> {
        self.database.check_schema().await
    }

    pub(super) async fn close(&self) -> Result<()> {
        self.database.close().await
    }
}
