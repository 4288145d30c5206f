//! What happens to a task whose time has come, or whose worker has died.

use std::time::Duration;

use super::{End, Ending};
use crate::model::{
    ANY_COMPANY, AfterDeath, AfterFailure, Failure, Id, Payload, Result, RetryPolicy, TaskKind, TaskState, Tried,
    after_death, after_failure,
};

#[derive(Debug)]
pub(in crate::backend) enum Due {
    End(End),
    /// It may be claimed.
    Ready,
    Retry {
        delay: Duration,
        failure: Failure,
    },
    /// Not due for anything: tasks in other states have no due time that counts.
    Nothing,
}

/// The columns of a task that the decision needs.
pub(in crate::backend) struct Row<'a> {
    pub id: Id,
    pub parent: Option<Id>,
    pub kind: TaskKind,
    pub state: TaskState,
    pub name: &'a str,
    pub retries: u32,
    /// From the beginning of its first attempt to now.
    pub since_first: Duration,
}

/// `policy` is called only if it is needed; `chance` (0 to 1) is the random part of a retry's delay.
pub(in crate::backend) fn when_due(
    row: &Row<'_>,
    policy: impl FnOnce() -> Result<RetryPolicy>,
    chance: f64,
) -> Result<Due> {
    let end = |ending| Due::End(End::now(row.id, row.parent, ending));
    Ok(match (row.kind, row.state) {
        (TaskKind::Timer, _) => end(Ending::Completed(Payload::null())),
        (TaskKind::Signal, _) => {
            let why = format!("no signal '{}' came in time", row.name);
            end(Ending::Failed(Failure::new("SignalTimeout", why)))
        }
        (TaskKind::Orchestrator | TaskKind::Activity, TaskState::Pending) => Due::Ready,
        (TaskKind::Orchestrator | TaskKind::Activity, TaskState::Waiting) => {
            let why = "the attempt took longer than the function's timeout, waits included";
            let failure = Failure::new("Timeout", why);
            let tried = Tried { attempts: row.retries + 1, since_first: row.since_first };
            let after = after_failure(&policy()?, tried, &failure, chance);
            failed(row.id, row.parent, after, failure)
        }
        (TaskKind::Orchestrator | TaskKind::Activity | TaskKind::Step, _) => Due::Nothing,
    })
}

/// A task whose worker let the lease end, as its row tells.
pub(in crate::backend) struct Left<'a> {
    pub id: Id,
    pub parent: Option<Id>,
    pub worker: Option<&'a str>,
    /// Where its body began, at most so many run at once.
    pub begun: Option<u32>,
    /// As it was told when it was claimed.
    pub company: Option<u32>,
    pub crashes: u32,
}

/// What a death leaves of a task.
#[derive(Debug)]
pub(in crate::backend) enum Death {
    End(End),
    /// At once: it is the worker that failed, and another one is there.
    Again(Charge),
}

/// What the task has from now on.
#[derive(Debug)]
pub(in crate::backend) struct Charge {
    pub crashes: u32,
    /// Deaths after its body had begun, beside those before: it makes another attempt.
    pub deaths: u32,
    pub company: u32,
    /// None: nothing of it had begun.
    pub failure: Option<Failure>,
}

pub(in crate::backend) fn when_lease_ended(left: &Left<'_>, policy: &RetryPolicy) -> Death {
    let Left { id, parent, worker, begun, company, crashes } = *left;
    let worker = worker.unwrap_or("(unknown)");
    let failure = || {
        let told = format!("worker {worker} let its lease end without a word: it died, or its event loop stood still");
        Failure::new("WorkerDied", told)
    };
    let again = |crashes, company| Death::Again(Charge { crashes, deaths: 1, company, failure: Some(failure()) });
    match after_death(policy, begun, crashes) {
        // Its body may have begun just before, and nobody knows: next time it says so first.
        AfterDeath::Untouched => {
            Death::Again(Charge { crashes, deaths: 0, company: company.unwrap_or(ANY_COMPANY), failure: None })
        }
        AfterDeath::Suspect { company } => again(crashes, company),
        AfterDeath::Charged => again(crashes + 1, 1),
        AfterDeath::DeadLetter { reason } => {
            Death::End(End { dead_letter: Some(reason), ..End::now(id, parent, Ending::Failed(failure())) })
        }
    }
}

fn failed(id: Id, parent: Option<Id>, after: AfterFailure, failure: Failure) -> Due {
    match after {
        AfterFailure::Retry { delay } => Due::Retry { delay, failure },
        AfterFailure::DeadLetter { reason } => {
            Due::End(End { dead_letter: Some(reason), ..End::now(id, parent, Ending::Failed(failure)) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn due(kind: TaskKind, state: TaskState, retries: u32) -> Due {
        let row = Row { id: Id::nil(), parent: None, kind, state, name: "go", retries, since_first: HOUR };
        let policy = RetryPolicy { max_attempts: 2, jitter: 0.0, max_elapsed: Some(3601.0), ..RetryPolicy::default() };
        when_due(&row, || Ok(policy), 0.5).unwrap()
    }

    #[test]
    fn timers_fire_waits_fail_and_delays_are_over() {
        let fired = due(TaskKind::Timer, TaskState::Waiting, 0);
        assert!(matches!(fired, Due::End(End { ending: Ending::Completed(_), .. })));
        let late = due(TaskKind::Signal, TaskState::Waiting, 0);
        assert!(matches!(late, Due::End(End { ending: Ending::Failed(why), .. }) if why.kind == "SignalTimeout"));
        assert!(matches!(due(TaskKind::Activity, TaskState::Pending, 0), Due::Ready));
        assert!(matches!(due(TaskKind::Activity, TaskState::Running, 0), Due::Nothing));
    }

    #[test]
    fn a_timeout_is_an_attempt_and_a_death_is_none() {
        let first = due(TaskKind::Orchestrator, TaskState::Waiting, 0);
        assert!(matches!(first, Due::Retry { delay, .. } if delay == Duration::from_secs(1)));
        let last = due(TaskKind::Orchestrator, TaskState::Waiting, 1);
        assert!(matches!(last, Due::End(End { dead_letter: Some(_), .. })));
        let late = Row {
            id: Id::nil(),
            parent: None,
            kind: TaskKind::Activity,
            state: TaskState::Waiting,
            name: "go",
            retries: 0,
            since_first: HOUR,
        };
        let policy = RetryPolicy { max_elapsed: Some(3600.0), jitter: 0.0, ..RetryPolicy::default() };
        let Due::End(End { dead_letter: Some(reason), .. }) = when_due(&late, || Ok(policy), 0.5).unwrap() else {
            panic!("it would begin a second too late")
        };
        assert!(reason.contains("max_elapsed"), "{reason}");
        let died = |begun, crashes| {
            let left = Left { id: Id::nil(), parent: None, worker: None, begun, company: Some(7), crashes };
            when_lease_ended(&left, &RetryPolicy { max_attempts: 1, ..RetryPolicy::default() })
        };
        let Death::Again(untouched) = died(None, 2) else { panic!("nothing of it had begun") };
        assert_eq!((untouched.crashes, untouched.deaths, untouched.company), (2, 0, 7));
        assert!(untouched.failure.is_none());
        let Death::Again(suspect) = died(Some(8), 2) else { panic!("seven others may have done it") };
        assert_eq!((suspect.crashes, suspect.deaths, suspect.company), (2, 1, 2));
        let Death::Again(charged) = died(Some(1), 1) else { panic!("it has one more death") };
        assert_eq!((charged.crashes, charged.deaths, charged.company), (2, 1, 1));
        assert!(charged.failure.unwrap().message.contains("(unknown)"));
        assert!(matches!(died(Some(1), 2), Death::End(End { dead_letter: Some(_), .. })));
    }
}
