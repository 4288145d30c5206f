//! One writer to a file: it commits many callers' jobs in one transaction. Whatever is ready when the last commit
//! ends goes into the next; nothing waits for a timer.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::transaction::Transactions;
use crate::backend::Notice;
use crate::backend::sql::database::Work;
use crate::backend::sql::listeners::Listeners;
use crate::backend::sql::tx::Tx;
use crate::model::{Error, Result};

/// Jobs in one transaction at most: others wait until it commits.
const JOBS_MAX: usize = 64;

/// A part of a transaction. It may run twice: if another job makes the transaction fail, each is tried alone.
trait Job: Send {
    fn run<'t>(&'t mut self, tx: &'t mut Tx<'_>) -> BoxFuture<'t, Result<()>>;
    /// Sends the caller the result after the commit, or the error.
    fn finish(self: Box<Self>, outcome: Result<()>);
}

struct Call<R, Q, F> {
    request: Arc<Q>,
    work: Arc<F>,
    result: Option<R>,
    reply: oneshot::Sender<Result<R>>,
}

impl<R, Q, F> Job for Call<R, Q, F>
where
    R: Send,
    Q: Send + Sync,
    F: Work<Q, R>,
{
    fn run<'t>(&'t mut self, tx: &'t mut Tx<'_>) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            let work = (self.work)(tx, self.request.clone());
            self.result = Some(work.await?);
            Ok(())
        })
    }

    fn finish(self: Box<Self>, outcome: Result<()>) {
        let answer = match (outcome, self.result) {
            (Ok(()), Some(result)) => Ok(result),
            (Err(why), _) => Err(why),
            (Ok(()), None) => Err(Error::backend("the writer committed a job that did not run")),
        };
        // The caller may have stopped waiting; it is committed all the same.
        let _gone = self.reply.send(answer);
    }
}

enum Message {
    Job(Box<dyn Job>),
    /// Have others committed?
    Look(oneshot::Sender<()>),
    Close(oneshot::Sender<Result<()>>),
}

/// A handle to the writer, cheap to clone. The writer ends when it is closed or its last handle is dropped.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::UnboundedSender<Message>,
}

impl Writer {
    /// Takes the connection over; `listeners` hear of what is committed.
    pub fn start(transactions: Transactions, listeners: Listeners) -> Self {
        let (jobs, inbox) = mpsc::unbounded_channel();
        tokio::spawn(serve(transactions, inbox, listeners));
        Self { jobs }
    }

    /// Runs `work` in a transaction and returns when it is on disk. `work` may be called twice.
    pub async fn run<R, Q, F>(&self, request: Arc<Q>, work: Arc<F>) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Work<Q, R>,
    {
        let (reply, answer) = oneshot::channel();
        let call = Box::new(Call { request, work, result: None, reply });
        self.jobs.send(Message::Job(call)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Lets the writer notice commits of others, outside a transaction; the result is in its [`Transactions::changes`].
    pub async fn look(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Message::Look(reply)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())
    }

    pub async fn close(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        if self.jobs.send(Message::Close(reply)).is_err() {
            return Ok(());
        }
        answer.await.unwrap_or(Ok(()))
    }
}

fn closed() -> Error {
    Error::closed("the backend is closed")
}

async fn serve(mut transactions: Transactions, mut inbox: mpsc::UnboundedReceiver<Message>, listeners: Listeners) {
    let mut jobs = Vec::new();
    while let Some(first) = inbox.recv().await {
        let mut closing = None;
        let mut looking = None;
        let mut message = Some(first);
        while let Some(next) = message.take() {
            match next {
                Message::Job(job) => jobs.push(job),
                Message::Look(reply) => looking = Some(reply),
                Message::Close(reply) => {
                    closing = Some(reply);
                    break;
                }
            }
            if jobs.len() < JOBS_MAX {
                message = inbox.try_recv().ok();
            }
        }
        commit(&mut transactions, &mut jobs, &listeners).await;
        if let Some(reply) = looking {
            transactions.look().await;
            let _gone = reply.send(());
        }
        if let Some(reply) = closing {
            inbox.close();
            let outcome = transactions.close().await;
            let _gone = reply.send(outcome);
            return;
        }
    }
    // No handle is left, so nobody can be told that closing failed.
    let _unheard = transactions.close().await;
}

async fn commit(transactions: &mut Transactions, jobs: &mut Vec<Box<dyn Job>>, listeners: &Listeners) {
    if jobs.is_empty() {
        return;
    }
    match attempt(transactions, jobs).await {
        Ok(notices) => {
            listeners.tell(notices);
            jobs.drain(..).for_each(|job| job.finish(Ok(())));
        }
        Err(why) if jobs.len() == 1 => jobs.drain(..).for_each(|job| job.finish(Err(why.clone()))),
        Err(_) => {
            for job in jobs.drain(..) {
                let mut alone = vec![job];
                let outcome = attempt(transactions, &mut alone).await.map(|notices| listeners.tell(notices));
                alone.drain(..).for_each(|job| job.finish(outcome.clone()));
            }
        }
    }
}

async fn attempt(transactions: &mut Transactions, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Notice>> {
    let (now, catalog) = transactions.begin().await?;
    let shared = transactions.shared.clone();
    let mut tx = Tx::new(&mut transactions.session, now, catalog, &shared);
    for job in jobs {
        if let Err(why) = job.run(&mut tx).await {
            drop(tx);
            transactions.rollback().await;
            return Err(why);
        }
    }
    let (now, notices) = (tx.now, tx.take_notices());
    drop(tx);
    transactions.last = now;
    transactions.commit().await?;
    Ok(notices)
}
