//! Who listens for hints in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::sync::broadcast;

use crate::backend::Notice;

/// Hints kept for a listener that is slow; one that lags looks for itself.
const NOTICES_MAX: usize = 1024;

#[derive(Clone)]
pub(in crate::backend) struct Listeners {
    sender: broadcast::Sender<Notice>,
    heard: Arc<AtomicU64>,
}

impl Default for Listeners {
    fn default() -> Self {
        Self { sender: broadcast::channel(NOTICES_MAX).0, heard: Arc::default() }
    }
}

impl Listeners {
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.sender.subscribe()
    }

    /// Does anybody listen?
    pub fn are_there(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Grows with whatever is told.
    pub fn heard(&self) -> u64 {
        self.heard.load(SeqCst)
    }

    /// Counted first: who looks for work because of it finds that it is new.
    pub fn tell(&self, notices: impl IntoIterator<Item = Notice>) {
        for notice in notices {
            self.heard.fetch_add(1, SeqCst);
            // Nobody listening is the usual case in a process that only dispatches.
            let _unheard = self.sender.send(notice);
        }
    }
}
