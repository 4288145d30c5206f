//! A backend that can be closed: after that, everything that was made from it answers so.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::backend::{Request, SharedBackend};
use crate::model::{Error, Result};

/// The first is 1: 0 stands for the process.
static NEXT: AtomicU64 = AtomicU64::new(1);

pub struct Store {
    number: u64,
    backend: SharedBackend,
    closed: watch::Sender<bool>,
}

fn closed() -> Error {
    Error::closed("the backend is closed; open it again, and make a new executor from it")
}

impl Store {
    pub fn new(backend: SharedBackend) -> Self {
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), backend, closed: watch::Sender::new(false) }
    }

    /// Tells it from every other one of the process.
    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn backend(&self) -> Result<&SharedBackend> {
        if *self.closed.borrow() { Err(closed()) } else { Ok(&self.backend) }
    }

    /// Closes it; again: nothing.
    pub async fn close(&self) -> Result<()> {
        if self.closed.send_replace(true) {
            return Ok(());
        }
        self.backend.call(Request::Close {}).await.map(drop)
    }

    /// For calls that may wait for long: a close ends the wait.
    pub async fn unless_closed<T>(&self, wait: impl Future<Output = Result<T>>) -> Result<T> {
        let mut closing = self.closed.subscribe();
        tokio::select! {
            biased;
            value = wait => value,
            _ = closing.wait_for(|closed| *closed) => Err(closed()),
        }
    }
}
