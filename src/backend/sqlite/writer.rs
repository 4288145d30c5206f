//! One writer to a file: it commits many callers' jobs in one transaction. Whatever is ready when the last commit
//! ends goes into the next; nothing waits for a timer. While others have the lock each caller waits for as long as he has
//! time, and not for those who came before him.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::copy::Copy;
use super::error;
use super::log::Keeper;
use super::transaction::Transactions;
use crate::backend::Notice;
use crate::backend::sql::catalog::Catalog;
use crate::backend::sql::database::Work;
use crate::backend::sql::listeners::Listeners;
use crate::backend::sql::tx::Tx;
use crate::model::{Error, Result, Timestamp};

/// Jobs in one transaction at most: others wait until it commits.
const JOBS_MAX: usize = 64;

/// A part of a transaction. It may run twice: if another job makes the transaction fail, each is tried alone.
trait Job: Send {
    fn run<'t>(&'t mut self, tx: &'t mut Tx<'_>) -> BoxFuture<'t, Result<()>>;
    /// Sends the caller the result after the commit, or the error.
    fn finish(self: Box<Self>, outcome: Result<()>);
    /// So long it waits for others to let go of the lock.
    fn until(&self) -> Instant;
}

struct Call<R, Q, F> {
    request: Arc<Q>,
    work: Arc<F>,
    result: Option<R>,
    until: Instant,
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

    fn until(&self) -> Instant {
        self.until
    }
}

enum Message {
    Job(Box<dyn Job>),
    /// Have others committed?
    Look(oneshot::Sender<()>),
    /// Of a store that has no other connection.
    Copy(Copy, oneshot::Sender<Result<Copy>>),
    Close(oneshot::Sender<Result<()>>),
}

/// A handle to the writer, cheap to clone. The writer ends when it is closed or its last handle is dropped.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::UnboundedSender<Message>,
    /// How long a caller waits for another process's transaction.
    patience: Duration,
}

impl Writer {
    /// Takes the connection over; `listeners` hear of what is committed.
    pub fn start(transactions: Transactions, keeper: Option<Keeper>, listeners: Listeners, patience: Duration) -> Self {
        let (jobs, inbox) = mpsc::unbounded_channel();
        tokio::spawn(serve(transactions, keeper, inbox, listeners));
        Self { jobs, patience }
    }

    /// Runs `work` in a transaction and returns when it is on disk. `work` may be called twice.
    pub async fn run<R, Q, F>(&self, request: Arc<Q>, work: Arc<F>) -> Result<R>
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Work<Q, R>,
    {
        let (reply, answer) = oneshot::channel();
        let until = Instant::now() + self.patience;
        let call = Box::new(Call { request, work, result: None, until, reply });
        self.jobs.send(Message::Job(call)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Lets the writer notice commits of others, outside a transaction; the result is in its [`Transactions::changes`].
    pub async fn look(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Message::Look(reply)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())
    }

    /// Fills the copy between two transactions.
    pub async fn copy(&self, copy: Copy) -> Result<Copy> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Message::Copy(copy, reply)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
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

/// What is to be done.
struct Queue {
    inbox: mpsc::UnboundedReceiver<Message>,
    jobs: VecDeque<Box<dyn Job>>,
    /// So many of the jobs, from the first on, are tried alone: one of them has spoilt a transaction.
    alone: usize,
    looking: Vec<oneshot::Sender<()>>,
    copying: Vec<(Copy, oneshot::Sender<Result<Copy>>)>,
    closing: Option<oneshot::Sender<Result<()>>>,
}

impl Queue {
    /// Waits for something to do, or until then. False: nobody is left who could ask.
    async fn wait(&mut self, until: Option<Instant>) -> bool {
        if self.jobs.is_empty() {
            let asked = match until {
                None => Ok(self.inbox.recv().await),
                Some(until) => tokio::time::timeout_at(until.into(), self.inbox.recv()).await,
            };
            match asked {
                Ok(Some(message)) => self.add(message),
                Ok(None) => return false,
                Err(_) => {}
            }
        }
        self.drain();
        true
    }

    /// What has been asked by now; nothing is done after a close.
    fn drain(&mut self) {
        while self.closing.is_none()
            && let Ok(message) = self.inbox.try_recv()
        {
            self.add(message);
        }
    }

    fn add(&mut self, message: Message) {
        match message {
            Message::Job(job) => self.jobs.push_back(job),
            Message::Look(reply) => self.looking.push(reply),
            Message::Copy(copy, reply) => self.copying.push((copy, reply)),
            Message::Close(reply) => self.closing = Some(reply),
        }
    }

    /// The next transaction's.
    fn next(&mut self) -> Vec<Box<dyn Job>> {
        let count = if self.alone > 0 { 1 } else { self.jobs.len().min(JOBS_MAX) };
        self.alone = self.alone.saturating_sub(count);
        self.jobs.drain(..count).collect()
    }

    fn again_alone(&mut self, jobs: Vec<Box<dyn Job>>) {
        self.alone += jobs.len();
        jobs.into_iter().rev().for_each(|job| self.jobs.push_front(job));
    }

    /// Refuses those whose time is over.
    fn give_up(&mut self, why: &Error) {
        let now = Instant::now();
        let mut alone = 0;
        for (place, job) in std::mem::take(&mut self.jobs).into_iter().enumerate() {
            if job.until() <= now {
                job.finish(Err(why.clone()));
                continue;
            }
            alone += usize::from(place < self.alone);
            self.jobs.push_back(job);
        }
        self.alone = alone;
    }
}

async fn serve(
    mut transactions: Transactions,
    mut keeper: Option<Keeper>,
    inbox: mpsc::UnboundedReceiver<Message>,
    listeners: Listeners,
) {
    let mut queue =
        Queue { inbox, jobs: VecDeque::new(), alone: 0, looking: Vec::new(), copying: Vec::new(), closing: None };
    while queue.wait(keeper.as_ref().and_then(Keeper::wants)).await {
        commit(&mut transactions, &mut queue, &listeners).await;
        if let Some(keeper) = &mut keeper {
            keeper.keep_small(&mut transactions.session.conn).await;
        }
        for (copy, reply) in queue.copying.drain(..) {
            let filled = copy.fill(&mut transactions.session.conn).await;
            let _gone = reply.send(filled.map(|()| copy));
        }
        if !queue.looking.is_empty() {
            transactions.look().await;
            for reply in queue.looking.drain(..) {
                let _gone = reply.send(());
            }
        }
        if queue.jobs.is_empty()
            && let Some(reply) = queue.closing.take()
        {
            queue.inbox.close();
            let outcome = transactions.close().await;
            let _gone = reply.send(outcome);
            return;
        }
    }
    // No handle is left, so nobody can be told that closing failed.
    let _unheard = transactions.close().await;
}

/// One transaction, when others let go of the lock; or none, when nobody's time lasts so long.
async fn commit(transactions: &mut Transactions, queue: &mut Queue, listeners: &Listeners) {
    let begun = loop {
        if queue.jobs.is_empty() {
            return;
        }
        match transactions.begin().await {
            Err(why) if error::is_busy(&why) => {
                queue.drain();
                queue.give_up(&why);
                // There are locks for which SQLite does not wait at all.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            done => break done,
        }
    };
    let mut jobs = queue.next();
    let outcome = match begun {
        // No job's fault.
        Err(why) => return jobs.into_iter().for_each(|job| job.finish(Err(why.clone()))),
        Ok((now, catalog)) => attempt(transactions, now, catalog, &mut jobs).await,
    };
    match outcome {
        Ok(notices) => {
            listeners.tell(notices);
            jobs.into_iter().for_each(|job| job.finish(Ok(())));
        }
        Err(why) if jobs.len() == 1 => jobs.into_iter().for_each(|job| job.finish(Err(why.clone()))),
        Err(_) => queue.again_alone(jobs),
    }
}

async fn attempt(
    transactions: &mut Transactions,
    now: Timestamp,
    catalog: Arc<Catalog>,
    jobs: &mut [Box<dyn Job>],
) -> Result<Vec<Notice>> {
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
