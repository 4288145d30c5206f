//! Sends hints to listeners in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::sync::broadcast;

use crate::backend::Notice;

/// Hints kept for a slow listener. One that lags further loses some and has to query the store.
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

    /// Is anybody listening?
    pub fn are_there(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Grows with every hint.
    pub fn heard(&self) -> u64 {
        self.heard.load(SeqCst)
    }

    /// Counts before it sends: whoever claims because of this hint must see that it is newer than its last query.
    pub fn tell(&self, notices: impl IntoIterator<Item = Notice>) {
        for notice in notices {
            self.heard.fetch_add(1, SeqCst);
            // Nobody listening is the usual case in a process that only dispatches.
            let _unheard = self.sender.send(notice);
        }
    }
}
