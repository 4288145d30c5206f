//! Passes log lines to the host: through a bounded queue to one thread, so that the host's handler is called in order,
//! one line at a time, and never on a thread of the runtime.

use std::ffi::{CString, c_char, c_void};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::context::OwnedContext;
use super::{fork, text, threads};
use crate::codec;
use crate::executor::{LogRecord, Logger};
use crate::ffi::stent_log_fn;
use crate::model::{Error, Level, Result, Timestamp};
use crate::threads as own;

/// Lines in the queue. If the host is slower, lines are lost; they are counted, and the next line says how many.
const QUEUE: usize = 4096;

type LogFn = unsafe extern "C" fn(user_data: *mut c_void, level: i32, json: *const c_char);

/// A line as the host gets it.
#[derive(Debug)]
pub struct LogLine {
    pub level: Level,
    pub json: CString,
}

/// Takes lines without a thread of its own. False: it is behind, and the line is lost.
pub type Taker = Box<dyn Fn(LogLine) -> bool + Send + Sync>;

#[derive(Clone)]
enum Sink {
    /// Calls the host's function.
    Thread(Arc<Delivery>),
    Taker(Arc<Taker>),
}

enum Line {
    Log(LogLine),
    /// Answered when everything before it has been handed over.
    Flush(Arc<Told>),
}

/// Something that happens once, and that others wait for.
#[derive(Default)]
struct Told {
    done: Mutex<bool>,
    bell: Condvar,
}

impl Told {
    fn tell(&self) {
        *lock(&self.done) = true;
        self.bell.notify_all();
    }

    /// False: not by then.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut done = lock(&self.done);
        while !*done {
            done = match deadline {
                None => self.bell.wait(done).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    self.bell.wait_timeout(done, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }
}

/// A host's function, its thread, and the lines on their way to it.
struct Delivery {
    /// Whose it is: the number of a store, or 0 for the process.
    owner: u64,
    /// None: another one has taken its place; it gets what is queued, and ends.
    lines: Mutex<Option<SyncSender<Line>>>,
    /// Its context is given back.
    ended: Told,
}

impl Delivery {
    /// False: the queue is full, and the line is lost.
    fn send(&self, line: LogLine) -> bool {
        let sent = lock(&self.lines).as_ref().map(|lines| lines.try_send(Line::Log(line)));
        !matches!(sent, Some(Err(TrySendError::Full(_))))
    }

    fn retire(&self) {
        drop(lock(&self.lines).take());
    }

    /// Waits until the lines so far have been handed over, and, of one that was replaced, until its context was freed.
    fn flush(&self, deadline: Option<Instant>) -> bool {
        let flushed = Arc::new(Told::default());
        // The queue may be full of lines that the host has not read.
        loop {
            let sent = lock(&self.lines).as_ref().map(|lines| lines.try_send(Line::Flush(Arc::clone(&flushed))));
            match sent {
                None => return self.ended.wait(deadline),
                Some(Ok(())) => return flushed.wait(deadline),
                Some(Err(TrySendError::Full(_))) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Some(Err(_)) => return false,
            }
        }
    }
}

/// Every host's function that has not had its last call. std Mutex: never held across a callback.
static DELIVERIES: Mutex<Vec<Arc<Delivery>>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where lines go.
pub struct Log {
    /// As of [`Delivery`].
    owner: u64,
    /// std Mutex: never held across a callback.
    sink: Mutex<Option<Sink>>,
    /// The least important level that is wanted; 0: none.
    wanted: AtomicI32,
    lost: AtomicU64,
}

/// The process's.
pub static PROCESS: Log = Log::new(0);

impl Log {
    pub const fn new(owner: u64) -> Self {
        Self { owner, sink: Mutex::new(None), wanted: AtomicI32::new(0), lost: AtomicU64::new(0) }
    }

    /// Replaces the handler; None: there is none any more. The one before gets what was queued, and its context is
    /// freed after its last line, on its thread.
    pub fn set(&self, handler: stent_log_fn, least: Level, context: OwnedContext) -> Result<()> {
        let Some(handler) = handler else {
            self.replace(None, 0);
            return Ok(());
        };
        fork::arm();
        let (sender, lines) = sync_channel(QUEUE);
        let delivery =
            Arc::new(Delivery { owner: self.owner, lines: Mutex::new(Some(sender)), ended: Told::default() });
        let own = Arc::clone(&delivery);
        lock(&DELIVERIES).push(Arc::clone(&delivery));
        let started = own::spawn("stent-log", None, move || deliver(&own, &lines, handler, context));
        if let Err(why) = started {
            forget(&delivery);
            return Err(Error::backend(format!("start the log's thread: {why}")).retryable(true));
        }
        self.replace(Some(Sink::Thread(delivery)), least.code());
        Ok(())
    }

    /// As [`Log::set`], with one that needs no thread.
    pub fn set_taker(&self, least: Level, taker: Taker) {
        self.replace(Some(Sink::Taker(Arc::new(taker))), least.code());
    }

    fn replace(&self, sink: Option<Sink>, wanted: i32) {
        let before = {
            let mut current = lock(&self.sink);
            self.wanted.store(wanted, Ordering::Relaxed);
            std::mem::replace(&mut *current, sink)
        };
        if let Some(Sink::Thread(delivery)) = before {
            delivery.retire();
        }
    }

    /// 0: there is no handler.
    fn wanted(&self) -> i32 {
        self.wanted.load(Ordering::Relaxed)
    }

    fn hand(&self, level: Level, record: &LogRecord) {
        if level.code() > self.wanted() {
            return;
        }
        let Some(sink) = lock(&self.sink).clone() else { return };
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let json = codec::log_json(now(), level, record.target, &record.message, &record.fields, lost);
        let line = LogLine { level, json: text::owned(&json) };
        let is_taken = match &sink {
            Sink::Thread(delivery) => delivery.send(line),
            Sink::Taker(take) => take(line),
        };
        if !is_taken {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.replace(None, 0);
    }
}

fn deliver(own: &Arc<Delivery>, lines: &Receiver<Line>, handler: LogFn, context: OwnedContext) {
    threads::callback(|| {
        for line in lines {
            match line {
                // SAFETY: the handler and its context belong together; the text lives until the call returns.
                Line::Log(line) => unsafe { handler(context.user_data(), line.level.code(), line.json.as_ptr()) },
                Line::Flush(flushed) => flushed.tell(),
            }
        }
        drop(context);
    });
    own.ended.tell();
    forget(own);
}

fn forget(delivery: &Arc<Delivery>) {
    lock(&DELIVERIES).retain(|other| !Arc::ptr_eq(other, delivery));
}

/// Waits until the lines so far have been handed over, and until handlers that were replaced have had their last call.
/// Of one owner, or of all. False: not within the time.
pub fn flush(owner: Option<u64>, timeout: Option<Duration>) -> bool {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut deliveries = lock(&DELIVERIES).clone();
    deliveries.retain(|delivery| owner.is_none_or(|owner| delivery.owner == owner));
    deliveries.iter().all(|delivery| delivery.flush(deadline))
}

/// Hands lines to whatever handler the process has.
pub struct ToHost;

impl Logger for ToHost {
    fn log(&self, level: Level, record: &LogRecord) {
        PROCESS.hand(level, record);
    }

    fn enabled(&self, level: Level) -> bool {
        level.code() <= PROCESS.wanted()
    }
}

/// What an executor is given: lines go to its own handler, or, while it has none, to the process's.
pub struct OwnLog(pub Log);

impl OwnLog {
    fn chosen(&self) -> &Log {
        if self.0.wanted() > 0 { &self.0 } else { &PROCESS }
    }
}

impl Logger for OwnLog {
    fn log(&self, level: Level, record: &LogRecord) {
        self.chosen().hand(level, record);
    }

    fn enabled(&self, level: Level) -> bool {
        level.code() <= self.chosen().wanted()
    }
}

/// The host's clock: a log is read by people.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
