//! Notices commits of other processes. inotify reports writes to the write-ahead log; whether another process wrote is
//! told by SQLite's `data_version`, read on the writer's connection. This serves hints only: polls find what it misses.

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

/// When to look after the first write that is noticed. A commit is written to the log before it can be read, with a
/// sync in between.
const SOON: Duration = Duration::from_millis(1);

/// The pause between looks while the log is being written to, mostly by this process itself.
const BUSY: Duration = Duration::from_millis(2);

/// The last look comes this long after the last write: even a slow disk has synced by then.
const LAST: Duration = Duration::from_millis(256);

/// How often a log that was deleted is looked for.
const GONE: Duration = Duration::from_secs(1);

/// Watches until it is dropped.
pub(super) struct Watch {
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// `None`: the kernel has no inotify watch left. Polls have to do then.
    pub fn start(path: &Path, writer: Writer, changes: Arc<Changes>, listeners: Listeners) -> Option<Self> {
        // SQLite puts the log beside the file itself, not beside a link to it.
        let path = fs::canonicalize(path).ok()?;
        let log = Log::open(connect::beside(&path, "-wal")).ok()?;
        Some(Self { task: tokio::spawn(watch(log, writer, changes, listeners).boxed()) })
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
            // A writer that has begun a transaction meanwhile has looked already.
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

/// The write-ahead log and its inotify events.
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

    /// While it is open here, the log stays the same file, unless somebody deletes it by hand.
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

    /// Sleeps until the next write or for `pause`, and returns whether there was none. Many writes in a row count as
    /// one.
    async fn is_quiet_for(&mut self, pause: Duration) -> bool {
        tokio::time::sleep(pause.min(BUSY)).await;
        if self.drain() {
            return false;
        }
        pause <= BUSY || tokio::time::timeout(pause - BUSY, self.written()).await.is_err()
    }

    /// Takes all events that are there. True: there were some.
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
