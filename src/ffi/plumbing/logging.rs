//! Passes log lines to the host: through a bounded queue to one thread, so that the host's handler is called in order,
//! one line at a time, and never on a thread of the runtime.

use std::ffi::{CString, c_char, c_void};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::context::OwnedContext;
use super::{fork, text, threads};
use crate::codec;
use crate::executor::{LogRecord, Logger};
use crate::ffi::stent_log_fn;
use crate::model::{Error, Level, Result, Timestamp};

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
    Thread(SyncSender<Line>),
    Taker(Arc<Taker>),
}

enum Line {
    Log(LogLine),
    /// Answered when everything before it has been handed over.
    Flush(std::sync::mpsc::Sender<()>),
}

/// The one handler of the process. std Mutex: never held across a callback.
static SINK: Mutex<Option<Sink>> = Mutex::new(None);
/// The least important level that is wanted; 0: none.
static WANTED: AtomicI32 = AtomicI32::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);

fn sink() -> MutexGuard<'static, Option<Sink>> {
    SINK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Replaces the handler; None: there is none any more. The one before gets what was queued, and its context is freed
/// after its last line, on its thread.
pub fn set(handler: stent_log_fn, least: Level, context: OwnedContext) -> Result<()> {
    let Some(handler) = handler else {
        WANTED.store(0, Ordering::Relaxed);
        drop(sink().take());
        return Ok(());
    };
    fork::arm();
    let (sender, lines) = sync_channel(QUEUE);
    std::thread::Builder::new()
        .name("stent-log".into())
        .spawn(move || threads::callback(|| deliver(&lines, handler, context)))
        .map_err(|why| Error::backend(format!("start the log's thread: {why}")).retryable(true))?;
    let before = sink().replace(Sink::Thread(sender));
    WANTED.store(least.code(), Ordering::Relaxed);
    drop(before);
    Ok(())
}

/// As [`set`], with one that needs no thread.
pub fn set_taker(least: Level, taker: Taker) {
    let before = sink().replace(Sink::Taker(Arc::new(taker)));
    WANTED.store(least.code(), Ordering::Relaxed);
    drop(before);
}

fn deliver(lines: &Receiver<Line>, handler: LogFn, context: OwnedContext) {
    for line in lines {
        match line {
            // SAFETY: the handler and its context belong together; the text lives until the call returns.
            Line::Log(line) => unsafe { handler(context.user_data(), line.level.code(), line.json.as_ptr()) },
            Line::Flush(done) => drop(done.send(())),
        }
    }
    drop(context);
}

/// Waits until the lines so far have been handed over. False: not within the time.
pub fn flush(timeout: Option<Duration>) -> bool {
    // What takes lines without a thread has them.
    let Some(Sink::Thread(sender)) = sink().clone() else { return true };
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let (done, wait) = channel();
    let mut line = Line::Flush(done);
    // The queue may be full of lines that the host has not read.
    loop {
        match sender.try_send(line) {
            Ok(()) => break,
            Err(TrySendError::Disconnected(_)) => return true,
            Err(TrySendError::Full(back)) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {
                line = back;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(TrySendError::Full(_)) => return false,
        }
    }
    drop(sender);
    let Some(deadline) = deadline else { return wait.recv().is_ok() };
    // A handler that was replaced meanwhile has seen everything too.
    !matches!(wait.recv_timeout(deadline.saturating_duration_since(Instant::now())), Err(RecvTimeoutError::Timeout))
}

/// What executors are given: it hands lines to whatever handler the process has.
pub struct ToHost;

impl Logger for ToHost {
    fn log(&self, level: Level, record: &LogRecord) {
        if !self.enabled(level) {
            return;
        }
        let Some(sink) = sink().clone() else { return };
        let lost = LOST.swap(0, Ordering::Relaxed);
        let json = codec::log_json(now(), level, record.target, &record.message, &record.fields, lost);
        let line = LogLine { level, json: text::owned(&json) };
        let is_lost = match &sink {
            Sink::Thread(sender) => matches!(sender.try_send(Line::Log(line)), Err(TrySendError::Full(_))),
            Sink::Taker(take) => !take(line),
        };
        if is_lost {
            LOST.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }

    fn enabled(&self, level: Level) -> bool {
        level.code() <= WANTED.load(Ordering::Relaxed)
    }
}

/// The host's clock: a log is read by people.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
