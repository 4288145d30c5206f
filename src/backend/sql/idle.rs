//! A worker that has nothing to do asks one question in a poll. The look for what is due also tells whether there is
//! anything for it to claim; when there is not, the claim that follows is answered from that.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The claim of a poll follows its sweep within this time. Another claim asks for itself.
const FRESH: Duration = Duration::from_millis(100);

/// What looks have found, by worker.
#[derive(Default)]
pub(super) struct Idle(Mutex<HashMap<String, Nothing>>);

/// There was nothing to claim.
struct Nothing {
    at: Instant,
    /// How much had been heard of others before the question was asked.
    heard: u64,
}

impl Idle {
    fn held(&self) -> MutexGuard<'_, HashMap<String, Nothing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look was begun when so much had been heard, and found nothing.
    pub fn found_nothing(&self, worker_id: &str, heard: u64) {
        self.held().insert(worker_id.to_owned(), Nothing { at: Instant::now(), heard });
    }

    /// Is there nothing to claim, as far as is known? Whatever was heard since then may be work. Good for one claim.
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
