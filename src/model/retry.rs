//! Whether and when a failed attempt is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration::{from_seconds, seconds};
use super::{Error, Failure, Result, error_text};

/// How often, and after what delays, a function is tried. Delays are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included; at least 1.
    pub max_attempts: u32,
    /// Workers in a row that may die while they run the task apart from others, before it is dead-lettered; at least 1.
    /// No attempt is charged for a death.
    pub max_deaths: u32,
    pub backoff_factor: f64,
    #[serde(deserialize_with = "seconds::number")]
    pub initial_delay: f64,
    #[serde(deserialize_with = "seconds::number")]
    pub max_delay: f64,
    /// Part of the delay by which chance moves it, up or down: 0 to 1.
    pub jitter: f64,
    /// Error types that are retried; empty means all.
    pub retry_for: Vec<String>,
    /// Error types that are never retried.
    pub no_retry_for: Vec<String>,
    /// A failure that came from a child is retried too: the failed children are opened again.
    pub retry_children: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            max_deaths: 3,
            backoff_factor: 2.0,
            initial_delay: 1.0,
            max_delay: 60.0,
            jitter: 0.1,
            retry_for: Vec::new(),
            no_retry_for: Vec::new(),
            retry_children: false,
        }
    }
}

impl RetryPolicy {
    pub fn check(&self) -> Result<()> {
        let wrong = |field: &'static str, got: String, expected: &str| {
            Err(Error::invalid(format!("retry_policy.{field} is {got}; it must be {expected}")).with("key", field))
        };
        if self.max_attempts == 0 {
            return wrong("max_attempts", "0".into(), "at least 1 (the first run counts)");
        }
        if self.max_deaths == 0 {
            return wrong("max_deaths", "0".into(), "at least 1");
        }
        if !self.backoff_factor.is_finite() || self.backoff_factor < 0.0 {
            return wrong("backoff_factor", self.backoff_factor.to_string(), "a number of 0 or more");
        }
        for (field, seconds) in [("initial_delay", self.initial_delay), ("max_delay", self.max_delay)] {
            if from_seconds(seconds).is_none() {
                return wrong(field, seconds.to_string(), "a number of seconds, 0 or more");
            }
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return wrong("jitter", self.jitter.to_string(), "between 0 and 1");
        }
        Ok(())
    }

    /// The delay before retry `n` (1 is the first); `chance` in 0..1 moves it by the jitter.
    pub fn delay(&self, n: u32, chance: f64) -> Duration {
        let exponent = i32::try_from(n.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial_delay * self.backoff_factor.powi(exponent);
        // `0 * inf` is NaN; a grown delay that is not a number is the longest one.
        let plain = if grown.is_nan() { self.max_delay } else { grown.min(self.max_delay) };
        let moved = plain * (1.0 + self.jitter * (2.0 * chance - 1.0));
        from_seconds(moved.max(0.0)).unwrap_or(Duration::ZERO)
    }

    fn retries(&self, failure: &Failure) -> bool {
        failure.retryable
            && (self.retry_for.is_empty() || self.retry_for.contains(&failure.kind))
            && !self.no_retry_for.contains(&failure.kind)
    }
}

/// What becomes of a task whose attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    Retry { delay: Duration },
    DeadLetter { reason: String },
}

/// `attempts` have failed, this one included.
pub fn after_failure(policy: &RetryPolicy, attempts: u32, failure: &Failure, chance: f64) -> AfterFailure {
    let letter = |reason| AfterFailure::DeadLetter { reason: error_text(reason) };
    if !failure.retryable {
        return letter(format!("{} is not retryable: {}", failure.kind, failure.message));
    }
    if !policy.retries(failure) {
        return letter(format!("the retry policy does not retry {}: {}", failure.kind, failure.message));
    }
    if attempts >= policy.max_attempts {
        return letter(format!(
            "{attempts} of {} attempts failed; the last with {}: {}",
            policy.max_attempts, failure.kind, failure.message
        ));
    }
    AfterFailure::Retry { delay: policy.delay(attempts, chance) }
}

/// So many bodies may run at once where a task runs that may, or may not, have killed a worker: that it begins is
/// recorded before it does, and that is all.
pub const ANY_COMPANY: u32 = 10_000;

/// After a death, a suspect runs among this part of the bodies that ran beside it. So the guilty one of many is alone
/// after few deaths, and the innocent are held up by none but the first.
const NARROWING: u32 = 4;

/// What a worker's death means for a task that it held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterDeath {
    /// Its body had not begun, as far as is known: nothing is charged.
    Untouched,
    /// Others ran beside it: one of them is guilty. It goes on where at most so many run at once.
    Suspect {
        company: u32,
    },
    /// It was alone, and is charged; it goes on alone.
    Charged,
    DeadLetter {
        reason: String,
    },
}

/// `begun`: at most so many bodies ran at once where it began; none: it did not. `crashes`: deaths in a row that were
/// charged to it before.
pub fn after_death(policy: &RetryPolicy, begun: Option<u32>, crashes: u32) -> AfterDeath {
    let most = policy.max_deaths;
    match begun {
        None => AfterDeath::Untouched,
        Some(bodies) if bodies > 1 => AfterDeath::Suspect { company: (bodies / NARROWING).max(1) },
        Some(_) if crashes.saturating_add(1) >= most => AfterDeath::DeadLetter {
            reason: format!(
                "its worker died {} times in a row while it ran alone (max_deaths is {most}); an event loop that stands \
                 still counts as dead",
                crashes.saturating_add(1)
            ),
        },
        Some(_) => AfterDeath::Charged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_largest_and_jitter_stays_in_bounds() {
        let policy = RetryPolicy::default();
        let middle = |n| policy.delay(n, 0.5).as_millis();
        assert_eq!([middle(1), middle(2), middle(3), middle(7), middle(4000)], [1000, 2000, 4000, 60_000, 60_000]);
        assert_eq!(policy.delay(1, 0.0), Duration::from_millis(900));
        assert_eq!(policy.delay(1, 1.0), Duration::from_millis(1100));
    }

    #[test]
    fn the_first_run_counts_as_an_attempt() {
        let policy = RetryPolicy { max_attempts: 2, jitter: 0.0, ..RetryPolicy::default() };
        let failure = Failure::new("Timeout", "slow");
        assert_eq!(after_failure(&policy, 1, &failure, 0.5), AfterFailure::Retry { delay: Duration::from_secs(1) });
        assert!(matches!(after_failure(&policy, 2, &failure, 0.5), AfterFailure::DeadLetter { .. }));
    }

    #[test]
    fn types_choose_what_is_retried() {
        let policy = RetryPolicy {
            retry_for: vec!["Timeout".into()],
            no_retry_for: vec!["Fatal".into()],
            ..RetryPolicy::default()
        };
        let after = |kind: &str| after_failure(&policy, 1, &Failure::new(kind, ""), 0.5);
        assert!(matches!(after("Timeout"), AfterFailure::Retry { .. }));
        assert!(matches!(after("Fatal"), AfterFailure::DeadLetter { .. }));
        assert!(matches!(after("Other"), AfterFailure::DeadLetter { .. }));
        let last = after_failure(&RetryPolicy::default(), 1, &Failure::new("Timeout", "").final_(), 0.5);
        assert!(matches!(last, AfterFailure::DeadLetter { .. }));
    }

    #[test]
    fn only_a_death_that_was_its_own_is_charged() {
        let policy = RetryPolicy { max_attempts: 1, ..RetryPolicy::default() };
        assert_eq!(after_death(&policy, None, 9), AfterDeath::Untouched);
        assert_eq!(after_death(&policy, Some(40), 9), AfterDeath::Suspect { company: 10 });
        assert_eq!(after_death(&policy, Some(2), 9), AfterDeath::Suspect { company: 1 });
        assert_eq!(after_death(&policy, Some(1), 1), AfterDeath::Charged);
        assert!(matches!(after_death(&policy, Some(1), 2), AfterDeath::DeadLetter { .. }));
    }

    #[test]
    fn a_policy_that_makes_no_sense_is_refused_by_name() {
        let policy = RetryPolicy { jitter: 2.0, ..RetryPolicy::default() };
        assert!(policy.check().unwrap_err().message().contains("retry_policy.jitter is 2"));
        assert!(RetryPolicy { max_attempts: 0, ..RetryPolicy::default() }.check().is_err());
        assert!(RetryPolicy { max_deaths: 0, ..RetryPolicy::default() }.check().is_err());
        assert!(RetryPolicy { initial_delay: f64::NAN, ..RetryPolicy::default() }.check().is_err());
    }
}
