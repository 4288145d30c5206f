//! What happens to a task whose time has come, or whose worker has died.

use std::time::Duration;

use super::{End, Ending};
use crate::model::{
    AfterFailure, Failure, Id, Payload, Result, RetryPolicy, TaskKind, TaskState, after_crash, after_failure,
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
            let after = after_failure(&policy()?, row.retries + 1, &failure, chance);
            failed(row.id, row.parent, after, failure)
        }
        (TaskKind::Orchestrator | TaskKind::Activity | TaskKind::Step, _) => Due::Nothing,
    })
}

/// `crashes`: workers in a row that died with it, this one included.
pub(in crate::backend) fn when_lease_ended(
    id: Id,
    parent: Option<Id>,
    worker: Option<&str>,
    crashes: u32,
    policy: &RetryPolicy,
) -> Due {
    let worker = worker.unwrap_or("(unknown)");
    let failure = Failure::new("WorkerDied", format!("worker {worker} let its lease end without a word"));
    failed(id, parent, after_crash(policy, crashes), failure)
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

    fn due(kind: TaskKind, state: TaskState, retries: u32) -> Due {
        let row = Row { id: Id::nil(), parent: None, kind, state, name: "go", retries };
        when_due(&row, || Ok(RetryPolicy { max_attempts: 2, jitter: 0.0, ..RetryPolicy::default() }), 0.5).unwrap()
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
    fn a_timeout_is_an_attempt_and_so_is_a_crash() {
        let first = due(TaskKind::Orchestrator, TaskState::Waiting, 0);
        assert!(matches!(first, Due::Retry { delay, .. } if delay == Duration::from_secs(1)));
        let last = due(TaskKind::Orchestrator, TaskState::Waiting, 1);
        assert!(matches!(last, Due::End(End { dead_letter: Some(_), .. })));
        let policy = RetryPolicy::default();
        let crash = |crashes| when_lease_ended(Id::nil(), None, None, crashes, &policy);
        assert!(
            matches!(crash(2), Due::Retry { delay: Duration::ZERO, failure } if failure.message.contains("(unknown)"))
        );
        assert!(matches!(crash(3), Due::End(End { dead_letter: Some(_), .. })));
    }
}
