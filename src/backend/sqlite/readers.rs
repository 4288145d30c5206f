//! Connections that read, a few for the whole file, and the threads on which they do it. A caller on a thread that may
//! block reads there, if a connection is free; all others are answered from a thread, for what is read may be much.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::conn::Connection;
use super::connect;
use super::error::{closed, no_thread};
use super::options::Location;
use super::writer::may_block;
use crate::model::Result;
use crate::threads;

/// Threads and connections that have nothing to do end after this.
const IDLE: Duration = Duration::from_secs(60);

/// Gets a connection, or why there is none.
type Job = Box<dyn FnOnce(Result<&mut Connection>) + Send>;

pub(super) struct Readers(Arc<Inner>);

struct Inner {
    location: Location,
    /// So many connections, and so many threads.
    most: usize,
    /// std Mutex: never held while something is read.
    state: Mutex<State>,
    /// Wakes a thread: there is a job, or a connection is free.
    bell: Condvar,
    /// The last connection has gone, after a close.
    gone: Notify,
}

#[derive(Default)]
struct State {
    /// The one that was used last is at the end.
    free: Vec<(Instant, Connection)>,
    /// Connections that there are, and places of those that are being opened.
    open: usize,
    jobs: VecDeque<Job>,
    threads: usize,
    /// Threads that wait for the bell.
    idle: usize,
    closed: bool,
}

/// The right to a connection.
enum Place {
    Free(Connection),
    New,
}

impl State {
    fn take(&mut self, most: usize) -> Option<Place> {
        if let Some((_, conn)) = self.free.pop() {
            return Some(Place::Free(conn));
        }
        (self.open < most).then(|| {
            self.open += 1;
            Place::New
        })
    }

    fn prune(&mut self) {
        let before = self.free.len();
        self.free.retain(|(since, _)| since.elapsed() < IDLE);
        self.open -= before - self.free.len();
    }
}

impl Readers {
    pub fn new(location: Location, most: u32) -> Self {
        let most = usize::try_from(most).unwrap_or(1).max(1);
        let inner = Inner { location, most, state: Mutex::default(), bell: Condvar::new(), gone: Notify::new() };
        Self(Arc::new(inner))
    }

    pub async fn read<R, F>(&self, read: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<R> + Send + 'static,
    {
        if may_block() {
            let mut state = self.0.state();
            if state.closed {
                return Err(closed());
            }
            if state.jobs.is_empty()
                && let Some(place) = state.take(self.0.most)
            {
                drop(state);
                return self.0.lend(place, |conn| read(conn?));
            }
        }
        let (reply, answer) = oneshot::channel();
        self.0.queue(Box::new(move |conn: Result<&mut Connection>| {
            let _gone = reply.send(conn.and_then(read));
        }))?;
        answer.await.map_err(|_| closed())?
    }

    /// Waits for those who read.
    pub async fn close(&self) {
        {
            let mut state = self.0.state();
            state.closed = true;
            state.open -= state.free.len();
            let (free, jobs) = (std::mem::take(&mut state.free), std::mem::take(&mut state.jobs));
            drop(state);
            drop((free, jobs));
        }
        self.0.bell.notify_all();
        loop {
            let gone = self.0.gone.notified();
            if self.0.state().open == 0 {
                return;
            }
            gone.await;
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.bell.notify_all();
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a connection if need be, has it used, and takes it back.
    fn lend<T>(&self, place: Place, with: impl FnOnce(Result<&mut Connection>) -> T) -> T {
        /// Whatever happens, the place is free again.
        struct Back<'i>(&'i Inner, Option<Connection>);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                let conn = self.1.take();
                let mut state = self.0.state();
                match conn {
                    Some(conn) if !state.closed && !std::thread::panicking() => {
                        state.free.push((Instant::now(), conn));
                        if state.jobs.is_empty() {
                            return;
                        }
                    }
                    conn => {
                        drop(state);
                        drop(conn);
                        self.0.state().open -= 1;
                        self.0.gone.notify_one();
                    }
                }
                self.0.bell.notify_one();
            }
        }
        let mut back = Back(self, None);
        match place {
            Place::Free(conn) => with(Ok(back.1.insert(conn))),
            Place::New => match connect::reader(&self.location) {
                Ok(conn) => with(Ok(back.1.insert(conn))),
                Err(why) => with(Err(why)),
            },
        }
    }

    fn queue(self: &Arc<Self>, job: Job) -> Result<()> {
        let mut state = self.state();
        if state.closed {
            return Err(closed());
        }
        state.jobs.push_back(job);
        if state.idle >= state.jobs.len() || state.threads >= self.most {
            drop(state);
            self.bell.notify_one();
            return Ok(());
        }
        state.threads += 1;
        drop(state);
        let inner = self.clone();
        let made = threads::spawn("stent-reader", None, move || inner.serve());
        let Err(why) = made else { return Ok(()) };
        let mut state = self.state();
        state.threads -= 1;
        // Fewer threads are slower, but without any nothing is read.
        if state.threads > 0 {
            return Ok(());
        }
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        drop(jobs);
        Err(no_thread(&why))
    }

    /// A thread.
    fn serve(&self) {
        let mut state = self.state();
        loop {
            if state.closed {
                break;
            }
            if !state.jobs.is_empty()
                && let Some(place) = state.take(self.most)
                && let Some(job) = state.jobs.pop_front()
            {
                drop(state);
                // Who asked sees that there is no answer; the thread goes on.
                let _panicked = catch_unwind(AssertUnwindSafe(|| self.lend(place, job)));
                state = self.state();
                continue;
            }
            state.idle += 1;
            let (woken, waited) = self.bell.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.jobs.is_empty() {
                state.prune();
                break;
            }
        }
        state.threads -= 1;
    }
}
