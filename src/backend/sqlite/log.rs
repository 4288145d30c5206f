//! The write-ahead log's size. SQLite writes the log's pages back to the file by itself, but begins it anew only when
//! nobody reads from it just then, and cuts nothing off. So a log that has grown is cut between two transactions; while
//! somebody reads an old state of the store it can't be, and that is told.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::conn::Connection;
use super::connect;
use crate::backend::LogSize;

/// Bytes, some times what SQLite itself lets come together before it writes back.
pub(super) const LARGE: u64 = 16 << 20;

/// Between looks at the size, and between attempts to cut: each keeps writers waiting for a moment.
const PAUSE: Duration = Duration::from_secs(1);

/// The log of a file.
#[derive(Clone)]
pub(super) struct Log {
    path: PathBuf,
    /// Since when it is large and can't be cut. std Mutex: never held across an await.
    blocked: Arc<Mutex<Option<Instant>>>,
}

impl Log {
    pub fn of(database: &Path) -> Self {
        // The log is beside the file itself, not beside a link to it.
        let real = fs::canonicalize(database);
        let path = connect::beside(real.as_deref().unwrap_or(database), "-wal");
        Self { path, blocked: Arc::default() }
    }

    /// A look at the file's length: it is not opened, which would drop others' locks.
    fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |found| found.len())
    }

    pub fn size(&self) -> LogSize {
        let blocked = *self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        LogSize { bytes: self.bytes(), blocked: blocked.map_or(Duration::ZERO, |since| since.elapsed()) }
    }
}

/// Who cuts it: whoever has the connection that writes.
pub(super) struct Keeper {
    log: Log,
    next: Instant,
    /// There is something to look after also when nobody writes any more.
    again: bool,
}

impl Keeper {
    pub fn new(log: Log) -> Self {
        Self { log, next: Instant::now(), again: false }
    }

    /// When it wants to be asked again though nobody writes.
    pub fn wants(&self) -> Option<Instant> {
        self.again.then_some(self.next)
    }

    /// Something was committed by one who has no time for this. True: it wants to be asked again now.
    pub fn note(&mut self) -> bool {
        !std::mem::replace(&mut self.again, true)
    }

    /// In no transaction. As with everything that only tidies, a failure is left to the next time.
    pub fn keep_small(&mut self, conn: &mut Connection) {
        let now = Instant::now();
        if now < self.next {
            self.again = true;
            return;
        }
        let mut cut = true;
        if self.log.bytes() > LARGE {
            // The first column: somebody was in the way.
            let told = conn.number("PRAGMA wal_checkpoint(TRUNCATE)");
            cut = told.is_ok_and(|busy| busy == Some(0));
        }
        self.again = !cut;
        let mut blocked = self.log.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        *blocked = if cut { None } else { blocked.or(Some(now)) };
        self.next = Instant::now() + PAUSE;
    }
}
