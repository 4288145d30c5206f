//! What a store refuses for good, whatever its reason. It is charged like a failure, paused, and ends in a dead letter
//! that tells it: nothing runs again and again because its end can't be written.

use std::time::Duration;

use super::core::TaskCore;
use super::decide::fail;
use crate::backend::Outcome;
use crate::model::{Error, Failure, Status};

/// No attempt follows a refusal sooner than this, whatever the policy says.
const PAUSE: Duration = Duration::from_secs(1);

/// Tries to write a letter that is refused are at most this far apart.
const PAUSE_LONGEST: Duration = Duration::from_secs(60);

/// The type of a failure whose dead letter the store refused: its attempts are used up, and nothing of it runs again.
const UNWRITTEN: &str = "DeadLetterRefused";

/// Of the failure that was to be recorded, so much is told with the refusal: its text may be what was refused.
const TOLD_MAX: usize = 1024;

impl TaskCore {
    /// What to record in place of an end that the store refuses; `before`: how often it has refused one of this lease
    /// before. None: nothing can be recorded, and the lease runs out.
    pub(in crate::executor) fn instead(&self, refused: &Outcome, error: &Error, before: u32) -> Option<Outcome> {
        match (refused, before) {
            (Outcome::Release, _) => None,
            (_, 0) => Some(self.after_refusal(refused, error)),
            (Outcome::DeadLetter { failure, .. }, 1) => {
                let message = format!("its dead letter is refused by the store; {}", failure.message);
                let failure = Failure::new(UNWRITTEN, message);
                Some(Outcome::Retry { failure, delay: self.letter_pause(), reopen: false })
            }
            (Outcome::Retry { failure, .. }, 1) => {
                Some(Outcome::DeadLetter { failure: failure.clone(), reason: failure.message.clone() })
            }
            _ => None,
        }
    }

    /// Another attempt was to begin in time, and its turn comes too late. What goes on with an attempt is no retry, and what
    /// cleans up has a time of its own.
    pub(super) fn late_letter(&self) -> Option<Outcome> {
        let task = &self.claimed.task;
        if task.retries == 0 || !self.claimed.begins() || self.cleans_up() {
            return None;
        }
        let failure = task.error.as_ref()?;
        let since_first = self.claimed.since_first(self.store_time());
        let reason = self.with_rules(None, |rules| rules.policy.too_late(task.retries, since_first, failure))?;
        Some(Outcome::DeadLetter { failure: failure.clone(), reason })
    }

    /// Its letter was refused when its attempts were used up: it is written now, and nothing runs.
    pub(in crate::executor) fn unwritten_letter(&self) -> Option<Outcome> {
        let failure = self.claimed.task.error.as_ref().filter(|failure| failure.kind == UNWRITTEN)?;
        let used_up = self.with_rules(None, |rules| rules.retries >= rules.policy.max_attempts);
        used_up.then(|| Outcome::DeadLetter { failure: failure.clone(), reason: failure.message.clone() })
    }

    /// The outcome for a task that an error stopped, outside of its handler.
    pub(in crate::executor) fn after_error(&self, error: &Error) -> Outcome {
        self.stopped_by(error, error.message().to_owned())
    }

    fn after_refusal(&self, refused: &Outcome, error: &Error) -> Outcome {
        let mut told = error.message().to_owned();
        if let Outcome::Retry { failure, .. }
        | Outcome::DeadLetter { failure, .. }
        | Outcome::PassUp { failure }
        | Outcome::Park { failure, .. } = refused
        {
            let text = format!("{}: {}", failure.kind, failure.message);
            let plain: String = text.chars().flat_map(char::escape_default).take(TOLD_MAX).collect();
            told = format!("{told}; the attempt had ended with {plain}");
        }
        self.stopped_by(error, told)
    }

    fn stopped_by(&self, error: &Error, message: String) -> Outcome {
        let mut failure = Failure::new(error.status().name(), message);
        // What a store refuses today it may take tomorrow; what makes no sense never will.
        failure.retryable = error.is_retryable() || error.status() == Status::Backend;
        match self.with_rules(None, |rules| fail(failure, rules)) {
            Outcome::Retry { failure, delay, reopen } => Outcome::Retry { failure, delay: delay.max(PAUSE), reopen },
            outcome => outcome,
        }
    }

    /// Longer with each try.
    fn letter_pause(&self) -> Duration {
        let tries = self.with_rules(None, |rules| rules.retries.saturating_sub(rules.policy.max_attempts));
        PAUSE.saturating_mul(1 << tries.min(16)).min(PAUSE_LONGEST)
    }
}
