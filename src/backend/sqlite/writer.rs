//! One writer to a file: it commits many callers' jobs in one transaction. Whatever is ready when the last commit
//! ends goes into the next; nothing waits for a timer. While others have the lock each caller waits for as long as he has
//! time, and not for those who came before him.
//!
//! Whoever has the *seat* has the connection. A caller on a thread that may block, who finds the seat free, takes it for
//! one transaction, with everybody's jobs in it: so a lone call wakes no other thread, and waits for none. All others,
//! and all that a caller must not be kept for, are served by a thread of the writer's own: a file that is locked by
//! others, looking after the log, copies, closing.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::copy::Copy;
use super::error::{self, closed};
use super::log::Keeper;
use super::transaction::{Transactions, at_once};
use crate::backend::Notice;
use crate::backend::sql::catalog::Catalog;
use crate::backend::sql::database::{Answered, Body};
use crate::backend::sql::listeners::Listeners;
use crate::backend::sql::tx::Tx;
use crate::model::{Error, Result, Timestamp};
use crate::threads;

/// Jobs in one transaction at most: others wait until it commits.
const JOBS_MAX: usize = 64;

/// A part of a transaction. It may run twice: if another job makes the transaction fail, each is tried alone.
struct Job {
    work: Body,
    result: Option<Answered>,
    /// So long it waits for others to let go of the lock.
    until: Instant,
    reply: oneshot::Sender<Result<Answered>>,
}

impl Job {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        self.result = Some(at_once((self.work)(tx))?);
        Ok(())
    }

    /// Sends the caller the result after the commit, or the error.
    fn finish(self, outcome: Result<()>) {
        let answer = match (outcome, self.result) {
            (Ok(()), Some(result)) => Ok(result),
            (Err(why), _) => Err(why),
            (Ok(()), None) => Err(Error::backend("the writer committed a job that did not run")),
        };
        // The caller may have stopped waiting; it is committed all the same.
        let _gone = self.reply.send(answer);
    }
}

/// The connection that writes, and who looks after its log.
pub(super) struct Seat {
    pub transactions: Transactions,
    pub keeper: Option<Keeper>,
}

struct Inner {
    /// std Mutex: held for a moment only.
    desk: Mutex<Desk>,
    /// Wakes the writer's thread.
    bell: Condvar,
    /// std Mutex: held for a transaction, by threads that may block. `None`: closed, or not open yet.
    seat: Mutex<Option<Seat>>,
    listeners: Listeners,
    /// How long a caller waits for another process's transaction.
    patience: Duration,
}

/// A handle to the writer, cheap to clone. The writer ends when it is closed or its last handle is dropped.
#[derive(Clone)]
pub(super) struct Writer {
    inner: Arc<Inner>,
    _handle: Arc<Handle>,
}

/// Tells the writer's thread that nobody is left who could ask.
struct Handle(Arc<Inner>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.desk().deserted = true;
        self.0.bell.notify_one();
    }
}

/// May this thread wait? Not one that polls the tasks of a runtime, whose other tasks would wait too.
pub(super) fn may_block() -> bool {
    tokio::task::try_id().is_none()
}

impl Writer {
    /// Opens the connection on the writer's thread, which may have to wait for others; `listeners` hear of what is
    /// committed.
    pub async fn start<T: Send + 'static>(
        open: impl FnOnce() -> Result<(Seat, T)> + Send + 'static,
        listeners: Listeners,
        patience: Duration,
    ) -> Result<(Self, T)> {
        let inner = Inner { desk: Mutex::default(), bell: Condvar::new(), seat: Mutex::default(), listeners, patience };
        let inner = Arc::new(inner);
        let (reply, opened) = oneshot::channel();
        let on_thread = inner.clone();
        let body = move || match open() {
            Ok((seat, told)) => {
                *on_thread.seat() = Some(seat);
                let writer = Self { inner: on_thread.clone(), _handle: Arc::new(Handle(on_thread.clone())) };
                // Who asked may be gone; then the last handle is dropped here.
                let _gone = reply.send(Ok((writer, told)));
                on_thread.serve();
            }
            Err(why) => {
                let _gone = reply.send(Err(why));
            }
        };
        threads::spawn("stent-sqlite", None, body).map_err(|why| error::no_thread(&why))?;
        opened.await.map_err(|_| closed())?
    }

    /// Runs `work` in a transaction and returns when it is on disk. `work` may be called twice.
    pub async fn run(&self, work: Body) -> Result<Answered> {
        let (reply, answer) = oneshot::channel();
        let until = Instant::now() + self.inner.patience;
        let job = Job { work, result: None, until, reply };
        let wakes = !may_block();
        self.inner.ask(wakes, |desk| desk.jobs.push_back(job))?;
        if !wakes {
            self.inner.help();
        }
        answer.await.map_err(|_| closed())?
    }

    /// Lets the writer notice commits of others, outside a transaction; the result is in its [`Transactions::changes`].
    pub async fn look(&self) -> Result<()> {
        if let Some(mut seat) = self.inner.try_seat() {
            let seat = seat.as_mut().ok_or_else(closed)?;
            seat.transactions.look();
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        self.inner.ask(true, |desk| desk.looking.push(reply))?;
        answer.await.map_err(|_| closed())
    }

    /// Fills the copy between two transactions, of a store that has no other connection.
    pub async fn copy(&self, copy: Copy) -> Result<Copy> {
        let (reply, answer) = oneshot::channel();
        self.inner.ask(true, |desk| desk.copying.push((copy, reply)))?;
        answer.await.map_err(|_| closed())?
    }

    pub async fn close(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        if self.inner.ask(true, |desk| desk.closing = Some(reply)).is_err() {
            return Ok(());
        }
        answer.await.unwrap_or(Ok(()))
    }
}

/// What is to be done.
#[derive(Default)]
struct Desk {
    jobs: VecDeque<Job>,
    /// So many of the jobs, from the first on, are tried alone: one of them has spoilt a transaction.
    alone: usize,
    /// Have others committed?
    looking: Vec<oneshot::Sender<()>>,
    copying: Vec<(Copy, oneshot::Sender<Result<Copy>>)>,
    closing: Option<oneshot::Sender<Result<()>>>,
    /// Nothing is taken any more.
    closed: bool,
    /// No handle is left.
    deserted: bool,
    /// The log is to be looked after.
    keeping: bool,
}

impl Desk {
    fn is_empty(&self) -> bool {
        let nothing_asked = self.jobs.is_empty() && self.looking.is_empty() && self.copying.is_empty();
        nothing_asked && self.closing.is_none() && !self.deserted && !self.keeping
    }

    /// The next transaction's.
    fn next(&mut self) -> Vec<Job> {
        let count = if self.alone > 0 { 1 } else { self.jobs.len().min(JOBS_MAX) };
        self.alone = self.alone.saturating_sub(count);
        self.jobs.drain(..count).collect()
    }

    fn again_alone(&mut self, jobs: Vec<Job>) {
        self.alone += jobs.len();
        jobs.into_iter().rev().for_each(|job| self.jobs.push_front(job));
    }

    /// Takes out those whose time is over.
    fn give_up(&mut self) -> Vec<Job> {
        let now = Instant::now();
        let (mut over, mut alone) = (Vec::new(), 0);
        for (place, job) in std::mem::take(&mut self.jobs).into_iter().enumerate() {
            if job.until <= now {
                over.push(job);
                continue;
            }
            alone += usize::from(place < self.alone);
            self.jobs.push_back(job);
        }
        self.alone = alone;
        over
    }
}

type Begun = (Timestamp, Arc<Catalog>);

impl Inner {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seat(&self) -> MutexGuard<'_, Option<Seat>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_seat(&self) -> Option<MutexGuard<'_, Option<Seat>>> {
        match self.seat.try_lock() {
            Ok(seat) => Some(seat),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Puts something on the desk; nothing is taken after a close.
    fn ask(&self, wakes: bool, put: impl FnOnce(&mut Desk)) -> Result<()> {
        let mut desk = self.desk();
        if desk.closed {
            return Err(closed());
        }
        put(&mut desk);
        desk.closed = desk.closing.is_some();
        drop(desk);
        if wakes {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// One transaction on the caller's thread, if nobody has the seat. Who has it looks at the desk when he leaves it.
    fn help(&self) {
        let Some(mut taken) = self.try_seat() else { return };
        let mut keeping = false;
        if let Some(seat) = taken.as_mut()
            && !self.desk().jobs.is_empty()
        {
            match seat.transactions.begin() {
                // Others have the file's lock: the thread waits for it.
                Err(why) if error::is_busy(&why) => {}
                begun => self.commit(seat, begun),
            }
            keeping = seat.keeper.as_mut().is_some_and(Keeper::note);
        }
        drop(taken);
        let mut desk = self.desk();
        desk.keeping |= keeping;
        if !desk.is_empty() {
            drop(desk);
            self.bell.notify_one();
        }
    }

    /// The writer's thread.
    fn serve(&self) {
        loop {
            let wants = self.seat().as_ref().and_then(|seat| seat.keeper.as_ref().and_then(Keeper::wants));
            self.wait(wants);
            let mut taken = self.seat();
            let Some(seat) = taken.as_mut() else { return };
            if let Some(begun) = self.begin(seat) {
                self.commit(seat, begun);
            }
            self.look_after(seat);
            let mut desk = self.desk();
            let over = desk.jobs.is_empty() && (desk.deserted || desk.closing.is_some());
            let reply = if over { desk.closing.take() } else { None };
            drop(desk);
            if over {
                let closed = taken.take().map_or(Ok(()), |seat| seat.transactions.close());
                // When no handle is left, nobody can be told that closing failed.
                let _unheard = reply.map(|reply| reply.send(closed));
                return;
            }
        }
    }

    /// Until there is something to do, or until then.
    fn wait(&self, until: Option<Instant>) {
        let mut desk = self.desk();
        while desk.is_empty() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            desk = match left {
                Some(Duration::ZERO) => return,
                Some(left) => self.bell.wait_timeout(desk, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.bell.wait(desk).unwrap_or_else(PoisonError::into_inner),
            };
        }
        desk.keeping = false;
    }

    /// A transaction, when others let go of the lock; or none, when nobody's time lasts so long.
    fn begin(&self, seat: &mut Seat) -> Option<Result<Begun>> {
        loop {
            if self.desk().jobs.is_empty() {
                return None;
            }
            match seat.transactions.begin() {
                Err(why) if error::is_busy(&why) => {
                    let over = self.desk().give_up();
                    over.into_iter().for_each(|job| job.finish(Err(why.clone())));
                    // There are locks for which SQLite does not wait at all.
                    thread::sleep(Duration::from_millis(1));
                }
                done => return Some(done),
            }
        }
    }

    fn commit(&self, seat: &mut Seat, begun: Result<Begun>) {
        let mut jobs = self.desk().next();
        let outcome = match begun {
            // No job's fault.
            Err(why) => return jobs.into_iter().for_each(|job| job.finish(Err(why.clone()))),
            Ok((now, catalog)) => attempt(&mut seat.transactions, now, catalog, &mut jobs),
        };
        match outcome {
            Ok(notices) => {
                self.listeners.tell(notices);
                jobs.into_iter().for_each(|job| job.finish(Ok(())));
            }
            Err(why) if jobs.len() == 1 => jobs.into_iter().for_each(|job| job.finish(Err(why.clone()))),
            Err(_) => self.desk().again_alone(jobs),
        }
    }

    /// What is done between two transactions.
    fn look_after(&self, seat: &mut Seat) {
        let conn = &mut seat.transactions.session.conn;
        if let Some(keeper) = &mut seat.keeper {
            keeper.keep_small(conn);
        }
        let mut desk = self.desk();
        let (copying, looking) = (std::mem::take(&mut desk.copying), std::mem::take(&mut desk.looking));
        drop(desk);
        for (copy, reply) in copying {
            let filled = copy.fill(conn);
            let _gone = reply.send(filled.map(|()| copy));
        }
        if !looking.is_empty() {
            seat.transactions.look();
            for reply in looking {
                let _gone = reply.send(());
            }
        }
    }
}

fn attempt(
    transactions: &mut Transactions,
    now: Timestamp,
    catalog: Arc<Catalog>,
    jobs: &mut [Job],
) -> Result<Vec<Notice>> {
    let shared = transactions.shared.clone();
    let mut tx = Tx::new(&mut transactions.session, now, catalog, &shared);
    for job in jobs {
        // One that panics ends like one that fails: whoever runs it, others' jobs are with it, and the seat is for all.
        let ran = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx)));
        if let Err(why) = ran.unwrap_or_else(|panic| Err(error::panicked(&*panic))) {
            drop(tx);
            transactions.rollback();
            return Err(why);
        }
    }
    let (now, notices) = (tx.now, tx.take_notices());
    drop(tx);
    transactions.last = now;
    transactions.commit()?;
    Ok(notices)
}
