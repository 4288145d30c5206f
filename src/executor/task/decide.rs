//! Decides the outcome of a task when its handler has returned. Pure; the caller only gathers what the decision needs.

use std::time::Duration;

use crate::backend::{CacheSlot, Outcome};
use crate::model::{AfterFailure, Error, Failure, Payload, RetryPolicy, Status, Tried, Wait, after_failure};

/// The types of failures that say no more than that a handler was told of the cancel, from the library and its bindings.
const CANCELLED: [&str; 3] = ["Cancelled", "CancelledError", "CANCELLED"];

/// An outcome that a handler staged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Staged {
    Complete(Payload),
    Fail(Failure),
    Snooze(Duration),
    Continue(Payload),
}

/// The state of a task when its handler has returned.
#[derive(Clone, Debug)]
pub(crate) struct Returned {
    pub(crate) status: Status,
    pub(crate) staged: Option<Staged>,
    /// It awaited operations that have not ended. It then suspends, whatever it returned.
    pub(crate) suspended: Option<Wait>,
    /// It was told to suspend because the worker drains.
    pub(crate) gave_way: bool,
    /// The execution is being cancelled, or timed out.
    pub(crate) cancelled: bool,
    /// What it asked for contradicts its journal.
    pub(crate) mismatch: Option<Error>,
    /// The last error that a call on its task gave it.
    pub(crate) last_error: Option<Error>,
    /// Another thread was to end it, but all handles have been dropped.
    pub(crate) abandoned: bool,
}

/// What else the decision needs.
pub(crate) struct Rules<'a> {
    pub(crate) policy: &'a RetryPolicy,
    /// Attempts that failed before this one.
    pub(crate) retries: u32,
    /// From the beginning of the first attempt to now, by the store's clock.
    pub(crate) since_first: Duration,
    pub(crate) version: Option<&'a str>,
    /// Its execution was cancelled, and it cleans up.
    pub(crate) cleanup: bool,
    pub(crate) cache: Option<&'a CacheSlot>,
    /// The largest arrival number that was delivered to the handler.
    pub(crate) seen: u64,
    /// The journal in memory has every arrival up to this number.
    pub(crate) known: u64,
    /// 0 to 1, for the jitter.
    pub(crate) chance: f64,
    /// Is this the failure of one of the task's recorded children?
    pub(crate) is_child_failure: &'a dyn Fn(&Failure) -> bool,
}

/// Chooses the outcome. The worker still holds the lease.
pub(crate) fn decide(returned: Returned, rules: &Rules<'_>) -> Outcome {
    let Returned { status, staged, suspended, gave_way, cancelled, mismatch, last_error, abandoned } = returned;
    if let Some(error) = mismatch {
        return park(&error, rules);
    }
    // Nothing that it says will be recorded; releasing the lease lets the tree end.
    if cancelled || gave_way {
        return Outcome::Release;
    }
    if let Some(wait) = suspended {
        return Outcome::Suspend { mode: wait.mode, ops: wait.ops, known: rules.known };
    }
    match staged {
        Some(Staged::Complete(result)) => {
            return Outcome::Complete { result, cache: rules.cache.cloned(), cache_hit: false };
        }
        Some(Staged::Fail(failure)) => return fail(failure, rules),
        Some(Staged::Snooze(delay)) => return Outcome::Snooze { delay },
        // What is cancelled does not start anew.
        Some(Staged::Continue(_)) if rules.cleanup => {
            return Outcome::PassUp { failure: Failure::new("Cancelled", "the execution is cancelled") };
        }
        Some(Staged::Continue(args)) => return Outcome::Continue { args, seen: rules.seen },
        None => {}
    }
    // The last error explains the status only if it has the same status.
    let error = last_error.filter(|error| error.status() == status);
    let message = |error: Option<&Error>| match error {
        Some(error) => error.message().to_owned(),
        None => format!("the handler returned {}", status.name()),
    };
    match status {
        Status::Ok => fail(no_outcome(), rules),
        Status::Pending if abandoned => fail(nobody_left(), rules),
        Status::Pending | Status::Suspend => fail(waits_for_nothing(status), rules),
        Status::Failed => match error.as_ref().and_then(Error::failure) {
            Some(failure) => fail(failure.clone(), rules),
            None => fail(Failure::new(status.name(), message(error.as_ref())), rules),
        },
        Status::Backend if error.as_ref().is_some_and(Error::is_retryable) => Outcome::Release,
        Status::Nondeterminism => {
            let told = error.unwrap_or_else(|| Error::new(status, "the handler returned NONDETERMINISM"));
            park(&told, rules)
        }
        Status::Cancelled => fail(Failure::new("Cancelled", message(error.as_ref())), rules),
        Status::Panic => fail(Failure::new("Panic", message(error.as_ref())), rules),
        // A call on its task was not as it should be: it would be no better the next time.
        Status::Invalid if error.is_some() => {
            fail(Failure::new(status.name(), message(error.as_ref())).final_(), rules)
        }
        Status::Invalid
        | Status::NotFound
        | Status::Conflict
        | Status::Timeout
        | Status::Closed
        | Status::LeaseLost
        | Status::Backend
        | Status::Unsupported
        | Status::WrongThread
        | Status::Forked => fail(Failure::new(status.name(), message(error.as_ref())), rules),
    }
}

/// The outcome of a failed attempt; `failure` is its own or one of its children's.
pub(crate) fn fail(failure: Failure, rules: &Rules<'_>) -> Outcome {
    let child = (rules.is_child_failure)(&failure);
    let failure = failure.bounded();
    // A cleanup that passes the cancel on has ended; and it does not run again what was to be done before it.
    let is_final = rules.cleanup && (child || CANCELLED.contains(&failure.kind.as_str()));
    if is_final || (child && !rules.policy.retry_children) {
        return Outcome::PassUp { failure };
    }
    let tried = Tried { attempts: rules.retries.saturating_add(1), since_first: rules.since_first };
    match after_failure(rules.policy, tried, &failure, rules.chance) {
        AfterFailure::Retry { delay } => Outcome::Retry { failure, delay, reopen: child },
        AfterFailure::DeadLetter { .. } if child => Outcome::PassUp { failure },
        AfterFailure::DeadLetter { reason } => Outcome::DeadLetter { failure, reason },
    }
}

fn park(error: &Error, rules: &Rules<'_>) -> Outcome {
    let failure = Failure::new("Nondeterminism", error.message()).final_();
    Outcome::Park { failure, version: rules.version.map(str::to_owned) }
}

fn no_outcome() -> Failure {
    Failure::new(
        "NoOutcome",
        "the handler returned STENT_OK without completing, failing or suspending its task; a foreign exception often \
         looks like this",
    )
}

fn nobody_left() -> Failure {
    Failure::new(
        "NoOutcome",
        "the handler returned STENT_PENDING and the last reference to its task was given back without completing, \
         failing or suspending it",
    )
}

fn waits_for_nothing(status: Status) -> Failure {
    let message = match status {
        Status::Suspend => "the handler returned STENT_SUSPEND and no call on its task had told it to",
        _ => "the handler returned STENT_PENDING without keeping a reference to its task",
    };
    Failure::new("NoOutcome", message)
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
