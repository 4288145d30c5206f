//! Hears of other processes' commits: the kernel tells that the write-ahead log was written to, and SQLite's
//! `data_version`, asked on the writer's own connection, whether it was somebody else. A hint like every other: what
//! it misses, a poll finds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use futures_util::{FutureExt as _, StreamExt as _};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchMask};
use tokio::task::JoinHandle;

use super::changes::Changes;
use super::connect;
use super::writer::Writer;
use crate::backend::Notice;
use crate::backend::sql::listeners::Listeners;

/// After the first write that is seen. A commit shows in the log before it can be read: the disk is in between.
const SOON: Duration = Duration::from_millis(1);

/// Between looks while the log is written to all the time, mostly by this process itself.
const BUSY: Duration = Duration::from_millis(2);

/// The last look after the last write: by then the slowest disk has done its part.
const LAST: Duration = Duration::from_millis(256);

/// A log that has gone is looked for this often.
const GONE: Duration = Duration::from_secs(1);

/// Watches as long as it is held.
pub(super) struct Watch {
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// None where the kernel has no watch left to give: then polls have to do.
    pub fn start(path: &Path, writer: Writer, changes: Arc<Changes>, listeners: Listeners) -> Option<Self> {
        // SQLite puts the log beside the file itself, not beside a link to it.
        let path = fs::canonicalize(path).ok()?;
        let log = Log::open(connect::beside(&path, "-wal")).ok()?;
        Some(Self { task: tokio::spawn(watch(log, writer, changes, listeners)) })
    }
}

async fn watch(mut log: Log, writer: Writer, changes: Arc<Changes>, listeners: Listeners) {
    let mut told = 0;
    loop {
        if log.written().await.is_err() {
            return;
        }
        let mut pause = SOON;
        while pause <= LAST {
            let looks = changes.looks();
            pause = if log.is_quiet_for(pause).await { pause * 4 } else { BUSY };
            if !listeners.are_there() {
                continue;
            }
            // A writer at work looks by itself, with every transaction.
            if changes.looks() == looks && writer.look().await.is_err() {
                return;
            }
            let seen = changes.seen();
            if seen != told {
                told = seen;
                listeners.tell([Notice::Foreign]);
            }
        }
    }
}

/// The log, as the kernel tells of it.
struct Log {
    path: PathBuf,
    events: EventStream<[u8; 1024]>,
    gone: bool,
}

impl Log {
    fn open(path: PathBuf) -> io::Result<Self> {
        let mut log = Self { path, events: Inotify::init()?.into_event_stream([0; 1024])?, gone: false };
        log.watch()?;
        Ok(log)
    }

    /// The log stays the same file while it is open here; a person may still remove it.
    fn watch(&mut self) -> io::Result<()> {
        let mask = WatchMask::MODIFY | WatchMask::ATTRIB | WatchMask::DELETE_SELF | WatchMask::MOVE_SELF;
        self.events.watches().add(&self.path, mask)?;
        self.gone = false;
        Ok(())
    }

    /// Returns when the log has been written to.
    async fn written(&mut self) -> io::Result<()> {
        while self.gone && self.watch().is_err() {
            tokio::time::sleep(GONE).await;
        }
        let event = self.events.next().await.ok_or(io::ErrorKind::UnexpectedEof)??;
        self.take(&event);
        self.drain();
        Ok(())
    }

    /// Waits, but not longer than until the next write. Many writes in a row are as one.
    async fn is_quiet_for(&mut self, pause: Duration) -> bool {
        tokio::time::sleep(pause.min(BUSY)).await;
        if self.drain() {
            return false;
        }
        pause <= BUSY || tokio::time::timeout(pause - BUSY, self.written()).await.is_err()
    }

    /// Takes what the kernel has to tell by now. True: there was something.
    fn drain(&mut self) -> bool {
        let mut any = false;
        while let Some(Some(Ok(event))) = self.events.next().now_or_never() {
            self.take(&event);
            any = true;
        }
        any
    }

    fn take(&mut self, event: &EventOwned) {
        self.gone |= !event.mask.contains(EventMask::MODIFY);
    }
}
