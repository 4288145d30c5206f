//! Whether and when a failed attempt is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counts;
use super::duration::{format_duration, from_seconds, seconds};
use super::{Error, Failure, Result, error_text};

/// Delays in a list: it is kept with each task that has a policy of its own.
const DELAYS_MAX: usize = 1_000;

/// How often, and after what delays, a function is tried. Delays are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included; at least 1.
    #[serde(deserialize_with = "counts::deserialize")]
    pub max_attempts: u32,
    /// Workers in a row that may die while they run the task apart from others, before it is dead-lettered; at least 1.
    /// No attempt is charged for a death.
    #[serde(deserialize_with = "counts::deserialize")]
    pub max_deaths: u32,
    pub backoff_factor: f64,
    #[serde(deserialize_with = "seconds::number")]
    pub initial_delay: f64,
    #[serde(deserialize_with = "seconds::number")]
    pub max_delay: f64,
    /// The delay before each retry, in place of one that grows: the first before the first, and the last again and again.
    #[serde(deserialize_with = "seconds::numbers")]
    pub delays: Vec<f64>,
    /// Part of the delay by which chance moves it, up or down: 0 to 1.
    pub jitter: f64,
    /// No retry begins later than this after the first attempt began.
    #[serde(deserialize_with = "seconds::optional_number")]
    pub max_elapsed: Option<f64>,
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
            delays: Vec::new(),
            jitter: 0.1,
            max_elapsed: None,
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
        if self.delays.len() > DELAYS_MAX {
            return wrong(
                "delays",
                format!("a list of {}", self.delays.len()),
                "a list of 1000 at most; the last repeats",
            );
        }
        if let Some(seconds) = self.delays.iter().find(|seconds| from_seconds(**seconds).is_none()) {
            return wrong("delays", format!("a list with {seconds}"), "a list of numbers of seconds, 0 or more");
        }
        if let Some(seconds) = self.max_elapsed.filter(|seconds| from_seconds(*seconds).is_none()) {
            return wrong("max_elapsed", seconds.to_string(), "a number of seconds, 0 or more");
        }
        self.check_one_kind_of_delay()
    }

    /// Delays are a list, or they grow. What stands at its default counts as not given: a policy that a store tells has
    /// every field.
    fn check_one_kind_of_delay(&self) -> Result<()> {
        let default = Self::default();
        let given = [
            ("backoff_factor", self.backoff_factor != default.backoff_factor),
            ("initial_delay", self.initial_delay != default.initial_delay),
            ("max_delay", self.max_delay != default.max_delay),
        ];
        match given.iter().find(|(_, is_given)| *is_given && !self.delays.is_empty()) {
            Some((field, _)) => Err(Error::invalid(format!(
                "retry_policy has delays and {field}: give the delays one by one, or how they grow"
            ))
            .with("key", *field)),
            None => Ok(()),
        }
    }

    /// The delay before retry `n` (1 is the first); `chance` in 0..1 moves it by the jitter.
    pub fn delay(&self, n: u32, chance: f64) -> Duration {
        let plain = self.plain_delay(n);
        let moved = plain * (1.0 + self.jitter * (2.0 * chance - 1.0));
        from_seconds(moved.max(0.0)).unwrap_or(Duration::ZERO)
    }

    fn plain_delay(&self, n: u32) -> f64 {
        let place = usize::try_from(n.saturating_sub(1)).unwrap_or(usize::MAX);
        if let Some(delay) = self.delays.get(place).or(self.delays.last()) {
            return *delay;
        }
        let exponent = i32::try_from(n.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial_delay * self.backoff_factor.powi(exponent);
        // `0 * inf` is NaN; a grown delay that is not a number is the longest one.
        if grown.is_nan() { self.max_delay } else { grown.min(self.max_delay) }
    }

    /// Is that the time within which retries begin? `since_first`: from the beginning of the first attempt on.
    fn allows(&self, since_first: Duration) -> bool {
        self.max_elapsed.is_none_or(|most| since_first <= from_seconds(most).unwrap_or(Duration::MAX))
    }

    /// Why no attempt begins any more, if that is so: `retries` attempts have failed, the last with `failure`, and another
    /// would begin now.
    pub fn too_late(&self, retries: u32, since_first: Duration, failure: &Failure) -> Option<String> {
        let late = retries > 0 && !self.allows(since_first);
        late.then(|| error_text(self.late_text(retries, "its turn came", since_first, failure)))
    }

    fn late_text(&self, attempts: u32, what: &str, after: Duration, failure: &Failure) -> String {
        let most = format_duration(from_seconds(self.max_elapsed.unwrap_or_default()).unwrap_or_default());
        let after = format_duration(after);
        format!(
            "no retry begins later than {most} after the first attempt began (max_elapsed), and {what} after {after}; \
             attempts that failed: {attempts}; the last with {}: {}",
            failure.kind, failure.message
        )
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

/// What has been tried of a task so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// So many attempts have failed, this one included.
    pub attempts: u32,
    /// Since the first of them began.
    pub since_first: Duration,
}

pub fn after_failure(policy: &RetryPolicy, tried: Tried, failure: &Failure, chance: f64) -> AfterFailure {
    let Tried { attempts, since_first } = tried;
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
    // Who was asked to come back later does so, whatever the policy says.
    let delay = policy.delay(attempts, chance).max(failure.wait().unwrap_or_default());
    let begins = since_first.saturating_add(delay);
    if !policy.allows(begins) {
        return letter(policy.late_text(attempts, "the next would begin", begins, failure));
    }
    AfterFailure::Retry { delay }
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
    use crate::model::RetryAfter;

    fn after(policy: &RetryPolicy, attempts: u32, seconds: u64, failure: &Failure) -> AfterFailure {
        after_failure(policy, Tried { attempts, since_first: Duration::from_secs(seconds) }, failure, 0.5)
    }

    #[test]
    fn a_list_of_delays_is_gone_through_and_its_last_one_repeats() {
        let policy = RetryPolicy { delays: vec![1.0, 5.0, 0.5], jitter: 0.0, ..RetryPolicy::default() };
        let delays: Vec<u128> = [1, 2, 3, 4, u32::MAX].map(|n| policy.delay(n, 0.5).as_millis()).into();
        assert_eq!(delays, [1000, 5000, 500, 500, 500]);
        let moved = RetryPolicy { jitter: 0.5, ..policy.clone() };
        assert_eq!([0.0, 1.0].map(|chance| moved.delay(2, chance).as_millis()), [2500, 7500]);
        // How often is not said by its length.
        let failure = Failure::new("Timeout", "slow");
        assert!(matches!(after(&policy, 2, 0, &failure), AfterFailure::Retry { .. }));
        assert!(matches!(after(&policy, 3, 0, &failure), AfterFailure::DeadLetter { .. }));
    }

    #[test]
    fn delays_are_a_list_or_they_grow() {
        let list = RetryPolicy { delays: vec![1.0], ..RetryPolicy::default() };
        list.check().unwrap();
        for both in [
            RetryPolicy { backoff_factor: 3.0, ..list.clone() },
            RetryPolicy { initial_delay: 3.0, ..list.clone() },
            RetryPolicy { max_delay: 3.0, ..list.clone() },
        ] {
            assert!(both.check().unwrap_err().message().contains("one by one"), "{both:?}");
        }
        let message = |policy: RetryPolicy| policy.check().unwrap_err().message().to_owned();
        assert!(message(RetryPolicy { delays: vec![1.0, -1.0], ..list.clone() }).contains("a list with -1"));
        assert!(message(RetryPolicy { delays: vec![1.0; 1001], ..list.clone() }).contains("a list of 1001"));
        assert!(message(RetryPolicy { max_elapsed: Some(-2.0), ..list }).contains("max_elapsed is -2"));
    }

    #[test]
    fn no_retry_begins_after_the_time_for_all_of_them() {
        let policy = RetryPolicy {
            max_attempts: 9,
            delays: vec![10.0],
            max_elapsed: Some(60.0),
            jitter: 0.0,
            ..RetryPolicy::default()
        };
        let failure = Failure::new("Timeout", "slow");
        assert!(matches!(after(&policy, 1, 50, &failure), AfterFailure::Retry { .. }));
        let AfterFailure::DeadLetter { reason } = after(&policy, 2, 51, &failure) else {
            panic!("it would begin at 61 s")
        };
        assert!(reason.contains("later than 1m after the first attempt began (max_elapsed)"), "{reason}");
        assert!(
            reason.contains("would begin after 1m1s; attempts that failed: 2; the last with Timeout: slow"),
            "{reason}"
        );
        let late = |retries, seconds| policy.too_late(retries, Duration::from_secs(seconds), &failure);
        assert_eq!((late(0, 99), late(1, 60)), (None, None));
        assert!(late(1, 61).unwrap().contains("its turn came after 1m1s"));
    }

    #[test]
    fn who_is_asked_to_come_back_later_does_so() {
        let policy = RetryPolicy { jitter: 0.0, ..RetryPolicy::default() };
        let asked = |seconds| {
            let retry_after = Some(RetryAfter::For(Duration::from_secs(seconds)));
            Failure { retry_after, ..Failure::new("TooManyRequests", "slow down") }
        };
        let delay = |seconds| AfterFailure::Retry { delay: Duration::from_secs(seconds) };
        assert_eq!(after(&policy, 2, 0, &asked(90)), delay(90));
        assert_eq!(after(&policy, 2, 0, &asked(1)), delay(2));
        let bounded = RetryPolicy { max_elapsed: Some(60.0), ..policy };
        assert!(matches!(after(&bounded, 1, 0, &asked(90)), AfterFailure::DeadLetter { .. }));
    }

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
        assert_eq!(after(&policy, 1, 0, &failure), AfterFailure::Retry { delay: Duration::from_secs(1) });
        assert!(matches!(after(&policy, 2, 0, &failure), AfterFailure::DeadLetter { .. }));
    }

    #[test]
    fn types_choose_what_is_retried() {
        let policy = RetryPolicy {
            retry_for: vec!["Timeout".into()],
            no_retry_for: vec!["Fatal".into()],
            ..RetryPolicy::default()
        };
        let first = |kind: &str| after(&policy, 1, 0, &Failure::new(kind, ""));
        assert!(matches!(first("Timeout"), AfterFailure::Retry { .. }));
        assert!(matches!(first("Fatal"), AfterFailure::DeadLetter { .. }));
        assert!(matches!(first("Other"), AfterFailure::DeadLetter { .. }));
        let last = after(&RetryPolicy::default(), 1, 0, &Failure::new("Timeout", "").final_());
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
