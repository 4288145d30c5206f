use super::*;
use crate::model::{OpSet, WaitMode};

fn returned(status: Status) -> Returned {
    Returned {
        status,
        staged: None,
        suspended: None,
        gave_way: false,
        cancelled: false,
        mismatch: None,
        last_error: None,
        abandoned: false,
    }
}

fn policy() -> RetryPolicy {
    RetryPolicy { jitter: 0.0, ..RetryPolicy::default() }
}

fn outcome_with(returned: Returned, policy: &RetryPolicy, retries: u32) -> Outcome {
    let slot = CacheSlot { key: "k".into(), ttl: None };
    let rules = Rules {
        policy,
        retries,
        since_first: Duration::from_secs(60),
        version: Some("v2"),
        cleanup: false,
        cache: Some(&slot),
        seen: 9,
        known: 7,
        chance: 0.5,
        is_child_failure: &|failure| failure.kind == "Child",
    };
    decide(returned, &rules)
}

fn outcome(returned: Returned) -> Outcome {
    outcome_with(returned, &policy(), 0)
}

fn failure_of(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Retry { failure, .. } | Outcome::DeadLetter { failure, .. } | Outcome::PassUp { failure } => failure,
        other => panic!("{other:?} is no failure"),
    }
}

fn staged(status: Status, what: Staged) -> Returned {
    Returned { staged: Some(what), ..returned(status) }
}

fn told(error: Error) -> Returned {
    Returned { last_error: Some(error.clone()), ..returned(error.status()) }
}

fn wait() -> Wait {
    Wait::new(WaitMode::Any, OpSet::from_iter([1, 2]))
}

#[test]
fn a_staged_outcome_stands_whatever_the_status() {
    for status in [Status::Ok, Status::Pending, Status::Failed, Status::Panic] {
        let done = outcome(staged(status, Staged::Complete("1".into())));
        assert!(matches!(done, Outcome::Complete { cache: Some(_), cache_hit: false, .. }), "{status:?}: {done:?}");
    }
    let over = outcome(staged(Status::Ok, Staged::Continue("[1]".into())));
    assert_eq!(over, Outcome::Continue { args: "[1]".into(), seen: 9 });
}

#[test]
fn ok_without_an_outcome_is_a_failure_that_says_so() {
    let failure = failure_of(outcome(returned(Status::Ok)));
    assert_eq!(failure.kind, "NoOutcome");
    assert!(failure.message.contains("a foreign exception often looks like this"));
}

#[test]
fn a_misused_call_is_final_and_other_errors_are_not() {
    let misused = outcome(told(Error::invalid("call options: there is no \"tiemout\"")));
    assert!(matches!(&misused, Outcome::DeadLetter { failure, .. } if !failure.retryable), "{misused:?}");
    // What the handler itself calls invalid may be another's answer.
    assert!(matches!(outcome(returned(Status::Invalid)), Outcome::Retry { .. }));
    assert!(matches!(outcome(told(Error::not_found("no task"))), Outcome::Retry { .. }));
}

#[test]
fn pending_that_nobody_can_end_is_a_failure() {
    let left = Returned { abandoned: true, ..returned(Status::Pending) };
    assert!(failure_of(outcome(left)).message.contains("the last reference"));
}

#[test]
fn a_suspension_stands_whatever_the_status() {
    for status in [Status::Suspend, Status::Ok, Status::Failed, Status::Panic, Status::Pending] {
        let suspended = Returned { suspended: Some(wait()), ..returned(status) };
        assert_eq!(outcome(suspended), Outcome::Suspend { mode: WaitMode::Any, ops: wait().ops, known: 7 });
    }
    assert_eq!(failure_of(outcome(returned(Status::Suspend))).kind, "NoOutcome");
}

#[test]
fn who_gives_way_or_is_cancelled_gives_back() {
    let drained = Returned { gave_way: true, ..returned(Status::Suspend) };
    assert_eq!(outcome(drained), Outcome::Release);
    let cancelled = Returned { cancelled: true, ..staged(Status::Ok, Staged::Complete("1".into())) };
    assert_eq!(outcome(cancelled), Outcome::Release);
}

#[test]
fn a_mismatch_parks_whatever_was_staged() {
    let error = Error::new(Status::Nondeterminism, "recorded a, requested b");
    let mismatch = Returned { mismatch: Some(error), ..staged(Status::Ok, Staged::Complete("1".into())) };
    let Outcome::Park { failure, version } = outcome(mismatch) else { panic!("not parked") };
    assert_eq!((failure.kind.as_str(), failure.message.as_str()), ("Nondeterminism", "recorded a, requested b"));
    assert_eq!(version.as_deref(), Some("v2"));
}

#[test]
fn failures_are_retried_until_the_attempts_are_used_up() {
    let fail = || staged(Status::Ok, Staged::Fail(Failure::new("Oops", "it broke")));
    let first = outcome(fail());
    assert!(matches!(first, Outcome::Retry { delay, reopen: false, .. } if delay.as_secs() == 1), "{first:?}");
    let last = outcome_with(fail(), &policy(), 2);
    assert!(matches!(&last, Outcome::DeadLetter { reason, .. } if reason.contains("3 of 3")), "{last:?}");
}

#[test]
fn a_childs_failure_is_passed_up_and_not_retried() {
    let child = Failure::new("Child", "of mine");
    let by_status = told(Error::failed("child failed", child.clone()));
    assert_eq!(outcome(by_status.clone()), Outcome::PassUp { failure: child.clone() });
    assert_eq!(outcome(staged(Status::Ok, Staged::Fail(child.clone()))), Outcome::PassUp { failure: child.clone() });
    let reopening = RetryPolicy { retry_children: true, ..policy() };
    let again = outcome_with(by_status.clone(), &reopening, 0);
    assert!(matches!(again, Outcome::Retry { reopen: true, .. }), "{again:?}");
    assert_eq!(outcome_with(by_status, &reopening, 2), Outcome::PassUp { failure: child });
}

#[test]
fn statuses_become_failures_with_the_message_the_handler_was_given() {
    let failure = failure_of(outcome(told(Error::invalid("bad key"))));
    assert_eq!((failure.kind.as_str(), failure.message.as_str()), ("INVALID", "bad key"));
    let other = Returned { last_error: Some(Error::invalid("bad key")), ..returned(Status::Unsupported) };
    assert_eq!(failure_of(outcome(other)).message, "the handler returned UNSUPPORTED");
    assert_eq!(failure_of(outcome(told(Error::new(Status::Cancelled, "op 1")))).kind, "Cancelled");
    assert_eq!(failure_of(outcome(told(Error::new(Status::Panic, "boom")))).kind, "Panic");
}

#[test]
fn a_store_that_is_away_charges_no_attempt() {
    assert_eq!(outcome(told(Error::backend("away").retryable(true))), Outcome::Release);
    assert_eq!(failure_of(outcome(told(Error::backend("corrupt")))).kind, "BACKEND");
    assert_eq!(failure_of(outcome(returned(Status::Backend))).kind, "BACKEND");
}
