//! Saves an idle worker one of two queries in each poll. The query for due work also tells whether there is anything to
//! claim; if not, the claim that follows is answered from memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For how long the answer may be used: the claim of a poll follows its sweep within this time.
const FRESH: Duration = Duration::from_millis(100);

/// Workers for which the last query found nothing to claim.
#[derive(Default)]
pub(super) struct Idle(Mutex<HashMap<String, Nothing>>);

/// When the query found nothing.
struct Nothing {
    at: Instant,
    /// [`Database::heard`](super::database::Database::heard) before the query.
    heard: u64,
}

impl Idle {
    fn held(&self) -> MutexGuard<'_, HashMap<String, Nothing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The query found nothing to claim; `heard` was read before it.
    pub fn found_nothing(&self, worker_id: &str, heard: u64) {
        self.held().insert(worker_id.to_owned(), Nothing { at: Instant::now(), heard });
    }

    /// Is it known that there is nothing to claim? Not if a hint has come since the query. True for one claim only.
    pub fn take(&self, worker_id: &str, heard: u64) -> bool {
        let found = self.held().remove(worker_id);
        found.is_some_and(|nothing| nothing.heard == heard && nothing.at.elapsed() < FRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_good_for_one_claim_and_until_something_is_heard() {
        let idle = Idle::default();
        assert!(!idle.take("w", 0));
        idle.found_nothing("w", 1);
        assert!(!idle.take("other", 1));
        assert!(idle.take("w", 1));
        assert!(!idle.take("w", 1));
        idle.found_nothing("w", 1);
        assert!(!idle.take("w", 2));
        assert!(!idle.take("w", 1));
    }
}
