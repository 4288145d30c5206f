//! Programs that work until they are told to end.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result, Status};
use crate::worker::Worker;

/// How long one wait for a signal is, beside a worker that may stop by itself.
const SLICE: Duration = Duration::from_millis(100);

/// Where the signal's handler writes; -1: nobody waits for signals.
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// A signal's handler may do next to nothing: it writes the signal's number to a pipe.
extern "C" fn on_signal(number: libc::c_int) {
    let byte = number.to_ne_bytes();
    // SAFETY: `write` is allowed in a signal's handler, the bytes live for the call, and errno is the thread's own. A pipe
    // that is full has signals enough.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        libc::write(PIPE.load(Ordering::Relaxed), byte.as_ptr().cast(), byte.len());
        *errno = before;
    }
}

/// Catches signals from its making on, on whatever thread they arrive, until it is dropped: make it before the worker, so
/// that none is lost. One at a time in a process.
pub struct StopSignals {
    reads: OwnedFd,
    /// Kept open for the handler.
    _writes: OwnedFd,
    before: Vec<(libc::c_int, libc::sigaction)>,
}

impl StopSignals {
    /// Catches SIGTERM and SIGINT.
    pub fn catch() -> io::Result<Self> {
        Self::catch_these(&[libc::SIGTERM, libc::SIGINT])
    }

    /// Catches signals by their numbers. [`io::ErrorKind::AlreadyExists`]: somebody catches some already.
    pub fn catch_these(numbers: &[i32]) -> io::Result<Self> {
        let mut ends = [-1; 2];
        // SAFETY: the place lives for the call.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: they were opened just now, and nobody else has them.
        let [reads, writes] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        PIPE.compare_exchange(-1, writes.as_raw_fd(), Ordering::SeqCst, Ordering::SeqCst)
            .map_err(|_| io::Error::new(io::ErrorKind::AlreadyExists, "there is a StopSignals already"))?;
        let mut caught = Self { reads, _writes: writes, before: Vec::new() };
        for &number in numbers {
            caught.add(number)?;
        }
        Ok(caught)
    }

    fn add(&mut self, number: i32) -> io::Result<()> {
        // SAFETY: such a structure is numbers, of which zero is one; both live for the call.
        unsafe {
            let (mut handler, mut before): (libc::sigaction, libc::sigaction) = (mem::zeroed(), mem::zeroed());
            handler.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
            handler.sa_flags = libc::SA_RESTART;
            if libc::sigaction(number, &handler, &mut before) != 0 {
                return Err(io::Error::last_os_error());
            }
            self.before.push((number, before));
        }
        Ok(())
    }

    /// Waits for the next one, for as long as `timeout` says: its number, or none when there was none in time.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Option<i32>> {
        let until = timeout.and_then(|time| Instant::now().checked_add(time));
        loop {
            let left = until.map_or(-1, |until| {
                // Rounded up: a wait of less than a millisecond is none of zero.
                let left = until.saturating_duration_since(Instant::now()).as_nanos().div_ceil(1_000_000);
                i32::try_from(left).unwrap_or(i32::MAX)
            });
            let mut ready = libc::pollfd { fd: self.reads.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: the one that is waited for lives for the call.
            match unsafe { libc::poll(&mut ready, 1, left) } {
                0 if left < i32::MAX => return Ok(None),
                told if told < 0 => {
                    let why = io::Error::last_os_error();
                    if why.kind() != io::ErrorKind::Interrupted {
                        return Err(why);
                    }
                }
                _ => {
                    let mut number = [0; size_of::<i32>()];
                    // SAFETY: the place lives for the call.
                    let got = unsafe { libc::read(self.reads.as_raw_fd(), number.as_mut_ptr().cast(), number.len()) };
                    if usize::try_from(got) == Ok(number.len()) {
                        return Ok(Some(i32::from_ne_bytes(number)));
                    }
                }
            }
        }
    }
}

impl Drop for StopSignals {
    fn drop(&mut self) {
        for (number, before) in &self.before {
            // SAFETY: what held before holds again.
            unsafe { libc::sigaction(*number, before, ptr::null_mut()) };
        }
        PIPE.store(-1, Ordering::SeqCst);
    }
}

impl Worker {
    /// Lets it work until a signal comes, then drains it, for as long as `drain` says: the signal, or none when the worker has
    /// stopped by itself. [`Status::Timeout`]: handlers were still running then, and other workers take their tasks. Not in a
    /// handler.
    pub fn run_until_signal(&self, signals: &mut StopSignals, drain: Option<Duration>) -> Result<Option<i32>> {
        let mut came = None;
        while came.is_none() && !self.has_stopped()? {
            came = signals.wait(Some(SLICE)).map_err(|why| Error::invalid(&format!("waiting for a signal: {why}")))?;
        }
        self.stop(drain)?;
        Ok(came)
    }

    fn has_stopped(&self) -> Result<bool> {
        match self.wait("stopped", Some(Duration::ZERO)) {
            Ok(()) => Ok(true),
            Err(why) if why.status() == Status::Timeout => Ok(false),
            Err(why) => Err(why),
        }
    }
}
