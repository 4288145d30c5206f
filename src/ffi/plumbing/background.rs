//! A thread that frees what takes long to drop, or runs the host's `free_fn`, so that freeing a handle never blocks.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use once_cell::sync::OnceCell;

use super::{fork, runtime, threads};
use crate::threads as own;

type Job = Box<dyn FnOnce() + Send>;

static QUEUE: OnceCell<Sender<Job>> = OnceCell::new();

/// Jobs handed in and not done.
static PENDING: AtomicUsize = AtomicUsize::new(0);

/// Runs the job soon, after those handed in before it.
pub fn later(job: impl FnOnce() + Send + 'static) {
    match QUEUE.get_or_try_init(start) {
        // A send fails only when the thread is gone, and it never ends.
        Ok(queue) => {
            PENDING.fetch_add(1, Ordering::SeqCst);
            drop(queue.send(Box::new(job)));
        }
        // No thread to be had: late is better than never, and slow better than late.
        Err(_) => job(),
    }
}

fn start() -> std::io::Result<Sender<Job>> {
    fork::arm();
    let (sender, jobs) = channel::<Job>();
    own::spawn("stent-free", None, move || {
        for job in jobs {
            // What a connection or a worker does at its end may need the runtime's context.
            let handle = runtime::handle();
            let _context = handle.as_ref().map(tokio::runtime::Handle::enter);
            let run = std::panic::AssertUnwindSafe(|| threads::callback(job));
            // One object's panic must not keep the others from being freed.
            drop(std::panic::catch_unwind(run));
            PENDING.fetch_sub(1, Ordering::SeqCst);
        }
    })?;
    Ok(sender)
}

/// Waits until all jobs so far are done. False: the time-out has passed.
pub fn flush(timeout: Option<Duration>) -> bool {
    if PENDING.load(Ordering::SeqCst) == 0 {
        return true;
    }
    let (done, wait) = channel();
    later(move || {
        // Whoever waited may have given up.
        let _nobody = done.send(());
    });
    match timeout {
        None => wait.recv().is_ok(),
        Some(timeout) => wait.recv_timeout(timeout).is_ok(),
    }
}

/// Owns a value that may take long to drop; it is dropped on the background thread.
pub struct Unhurried<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Unhurried<T> {
    pub fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T: Send + 'static> Deref for Unhurried<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("the value is taken by drop alone")
    }
}

impl<T: Send + 'static> Drop for Unhurried<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            later(move || drop(value));
        }
    }
}
