//! How a transition changes its task, and why a transition is refused.

use std::collections::HashSet;
use std::time::Duration;

use super::{End, Ending};
use crate::backend::{Commands, Extent, Outcome, Spawn, SpawnKind, Transition, Verdict};
use crate::model::{ExecutionState, Failure, Id, Payload, TaskState, Timestamp};

/// The changes of a task that has not ended. The numbers are those of `tasks_move.sql`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) enum Move {
    Hold = 0,
    Retry = 1,
    Suspend = 2,
    Release = 3,
    Park = 4,
    Continue = 5,
    Snooze = 6,
}

/// A change, with the values that it writes.
#[derive(Debug, PartialEq)]
pub(in crate::backend) struct Moved<'a> {
    pub how: Move,
    pub failure: Option<&'a Failure>,
    /// Not before this time.
    pub at: Option<Timestamp>,
    pub version: Option<&'a str>,
    pub args: Option<&'a Payload>,
}

impl Moved<'_> {
    /// The task may be claimed from now on.
    pub fn makes_work(&self) -> bool {
        matches!(self.how, Move::Retry | Move::Release | Move::Continue | Move::Snooze) && self.at.is_none()
    }
}

/// `None`: the outcome ends the task.
pub(in crate::backend) fn moved(outcome: &Outcome, now: Timestamp) -> Option<Moved<'_>> {
    let plain = |how| Moved { how, failure: None, at: None, version: None, args: None };
    let later = |delay: Duration| (!delay.is_zero()).then(|| now.after(delay));
    Some(match outcome {
        Outcome::Hold => plain(Move::Hold),
        Outcome::Retry { failure, delay, .. } => {
            Moved { failure: Some(failure), at: later(*delay), ..plain(Move::Retry) }
        }
        Outcome::Snooze { delay } => Moved { at: later(*delay), ..plain(Move::Snooze) },
        Outcome::Suspend { .. } => plain(Move::Suspend),
        Outcome::Release => plain(Move::Release),
        Outcome::Park { failure, version } => {
            Moved { failure: Some(failure), version: version.as_deref(), ..plain(Move::Park) }
        }
        Outcome::Continue { args, .. } => Moved { args: Some(args), ..plain(Move::Continue) },
        Outcome::Complete { .. } | Outcome::DeadLetter { .. } | Outcome::PassUp { .. } => return None,
    })
}

/// `None`: the outcome does not end the task.
pub(in crate::backend) fn end_of(Transition { held, outcome, commands }: &Transition) -> Option<End> {
    let said = commands.size();
    let end = |ending| End { fence: Some(held.fence), said, ..End::now(held.task, held.parent, ending) };
    match outcome {
        Outcome::Complete { result, cache, cache_hit } => {
            Some(End { cache: cache.clone(), cache_hit: *cache_hit, ..end(Ending::Completed(result.clone())) })
        }
        Outcome::DeadLetter { failure, reason } => {
            Some(End { dead_letter: Some(reason.clone()), ..end(Ending::Failed(failure.clone())) })
        }
        Outcome::PassUp { failure } => Some(end(Ending::Failed(failure.clone()))),
        Outcome::Hold
        | Outcome::Retry { .. }
        | Outcome::Snooze { .. }
        | Outcome::Suspend { .. }
        | Outcome::Release
        | Outcome::Park { .. }
        | Outcome::Continue { .. } => None,
    }
}

pub(in crate::backend) fn is_end(outcome: &Outcome) -> bool {
    ended_state(outcome).is_some()
}

fn ended_state(outcome: &Outcome) -> Option<TaskState> {
    match outcome {
        Outcome::Complete { .. } => Some(TaskState::Completed),
        Outcome::DeadLetter { .. } | Outcome::PassUp { .. } => Some(TaskState::Failed),
        Outcome::Hold
        | Outcome::Retry { .. }
        | Outcome::Snooze { .. }
        | Outcome::Suspend { .. }
        | Outcome::Release
        | Outcome::Park { .. }
        | Outcome::Continue { .. } => None,
    }
}

/// The length of the longest prefix in which no task occurs twice. The rest is recorded after it, because a later
/// transition of the same task (of its next holder, perhaps) depends on the earlier one.
pub(in crate::backend) fn apart(transitions: &[Transition]) -> usize {
    let mut seen: HashSet<Id> = HashSet::with_capacity(transitions.len());
    transitions.iter().position(|t| !seen.insert(t.held.task)).unwrap_or(transitions.len())
}

/// Steps: operations that have ended before they are recorded.
pub(in crate::backend) fn steps(commands: &Commands) -> Vec<&Spawn> {
    commands.spawns.iter().filter(|spawn| matches!(spawn.what, SpawnKind::Step { .. })).collect()
}

/// The operations to start, and whether cancellations are to be carried out. A task that ends or continues starts
/// nothing more; only steps that it has run already are recorded.
pub(in crate::backend) fn starts(Transition { commands, outcome, .. }: &Transition) -> (Vec<&Spawn>, bool) {
    let goes_on = !is_end(outcome) && !matches!(outcome, Outcome::Continue { .. });
    (if goes_on { commands.spawns.iter().collect() } else { steps(commands) }, goes_on)
}

/// The columns of a task by which a transition is accepted or refused.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend) struct Standing {
    pub fence: u64,
    pub state: TaskState,
    pub execution: ExecutionState,
    pub extent: Extent,
}

/// May the transition be recorded? The SQL stores check this within the statement that writes; other stores check it
/// before they write.
pub(in crate::backend) fn holds(Transition { held, commands, outcome }: &Transition, standing: &Standing) -> bool {
    standing.fence == held.fence
        && standing.state == TaskState::Running
        && is_going_on(standing.execution)
        && (is_end(outcome) || commands.from.is_none_or(|from| from == standing.extent))
}

const fn is_going_on(execution: ExecutionState) -> bool {
    matches!(execution, ExecutionState::Pending | ExecutionState::Running)
}

/// Why a transition was not recorded. `latest`: the task's largest arrival number.
pub(in crate::backend) fn why_not(transition: &Transition, standing: &Standing, latest: u64) -> Verdict {
    if standing.fence != transition.held.fence {
        return Verdict::LeaseLost;
    }
    if is_recorded(transition, standing) {
        // The arrivals of this transition are in the journal: the worker loads it when it sees that `latest` is ahead.
        return Verdict::Recorded { arrivals: Vec::new(), latest };
    }
    let cancelling = standing.state == TaskState::Running && standing.execution == ExecutionState::Cancelling;
    if cancelling { Verdict::Cancelled } else { Verdict::LeaseLost }
}

/// Has this transition been recorded before, by a commit whose answer was lost? The row has its fence.
fn is_recorded(Transition { commands, outcome, .. }: &Transition, standing: &Standing) -> bool {
    match outcome {
        Outcome::Hold => {
            standing.state == TaskState::Running
                && is_going_on(standing.execution)
                && commands.to() == Some(standing.extent)
                && commands.from != Some(standing.extent)
        }
        Outcome::Suspend { .. } => standing.state == TaskState::Waiting,
        // A root that has cleaned up is cancelled, whatever it said; whom others cancel has another fence.
        _ => ended_state(outcome).is_some_and(|ended| [ended, TaskState::Cancelled].contains(&standing.state)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Held;

    const HELD: Held = Held { task: Id::from_u128(1), execution: Id::from_u128(2), parent: None, fence: 3 };

    fn said(outcome: Outcome) -> Transition {
        Transition { held: HELD, commands: Commands::default(), outcome }
    }

    fn standing(state: TaskState) -> Standing {
        Standing { fence: 3, state, execution: ExecutionState::Running, extent: Extent { ops: 2, effects: 1 } }
    }

    fn complete() -> Transition {
        said(Outcome::Complete { result: Payload::null(), cache: None, cache_hit: false })
    }

    #[test]
    fn the_same_end_again_is_recorded_and_another_s_fence_is_not() {
        let verdict = |transition: &Transition, standing| why_not(transition, &standing, 5);
        let recorded = Verdict::Recorded { arrivals: Vec::new(), latest: 5 };
        assert_eq!(verdict(&complete(), standing(TaskState::Completed)), recorded);
        assert_eq!(verdict(&complete(), standing(TaskState::Failed)), Verdict::LeaseLost);
        let other = Standing { fence: 4, ..standing(TaskState::Completed) };
        assert_eq!(verdict(&complete(), other), Verdict::LeaseLost);
        let cancelling = Standing { execution: ExecutionState::Cancelling, ..standing(TaskState::Running) };
        assert_eq!(verdict(&complete(), cancelling), Verdict::Cancelled);
    }

    #[test]
    fn only_the_newest_holder_of_what_goes_on_may_record_and_each_thing_once() {
        let running = standing(TaskState::Running);
        assert!(holds(&complete(), &running));
        assert!(!holds(&complete(), &standing(TaskState::Completed)));
        assert!(!holds(&complete(), &Standing { fence: 4, ..running }));
        assert!(!holds(&complete(), &Standing { execution: ExecutionState::Cancelling, ..running }));
        let from = |ops| Commands { from: Some(Extent { ops, effects: 1 }), ..Commands::default() };
        let hold = |ops| Transition { commands: from(ops), ..said(Outcome::Hold) };
        assert!(holds(&hold(2), &running) && !holds(&hold(1), &running));
        let end = Transition { commands: from(1), ..complete() };
        assert!(holds(&end, &running), "an end is told by the fence and the state");
    }

    #[test]
    fn commands_said_again_are_found_by_how_far_the_record_goes() {
        let from = |ops, effects, counters: usize| {
            let counters = vec![("n".to_owned(), crate::model::Number::Integer(1)); counters];
            let commands = Commands { counters, from: Some(Extent { ops, effects }), ..Commands::default() };
            Transition { commands, ..said(Outcome::Hold) }
        };
        let is = |transition: &Transition| is_recorded(transition, &standing(TaskState::Running));
        assert!(is(&from(2, 0, 1)), "from 0 to 1 effects, and there is 1");
        assert!(!is(&from(2, 1, 1)), "they would go on from where the record ends");
        assert!(!is(&from(2, 1, 0)), "what records nothing is not told from what was never said");
        assert!(!is(&said(Outcome::Hold)), "who says no place says it once");
    }

    #[test]
    fn an_end_or_a_new_start_starts_nothing_more() {
        let step = SpawnKind::Step { started_at: Timestamp::default(), outcome: Ok(Payload::null()) };
        let timer = SpawnKind::Timer { delay: Duration::ZERO };
        let spawn = |op, what| Spawn { id: Id::nil(), op, key: String::new(), name: String::new(), what };
        let commands = Commands { spawns: vec![spawn(1, step), spawn(2, timer)], ..Commands::default() };
        let count = |outcome| {
            let transition = Transition { commands: commands.clone(), ..said(outcome) };
            let (spawns, cancels) = starts(&transition);
            (spawns.len(), cancels)
        };
        assert_eq!(count(Outcome::Release), (2, true));
        assert_eq!(count(Outcome::Continue { args: Payload::null(), seen: 0 }), (1, false));
        assert_eq!(count(complete().outcome), (1, false));
    }

    #[test]
    fn what_was_said_with_an_end_counts() {
        let commands = Commands { state: vec![("s".to_owned(), Payload::null())], ..Commands::default() };
        let end = end_of(&Transition { commands, ..complete() }).unwrap();
        assert_eq!((end.fence, end.said), (Some(3), Extent { ops: 0, effects: 1 }));
        assert!(end_of(&said(Outcome::Release)).is_none());
    }

    #[test]
    fn a_delayed_retry_makes_no_work_yet() {
        let retry = |delay| Outcome::Retry { failure: Failure::new("Oops", ""), delay, reopen: false };
        let now = Timestamp::from_micros(1);
        assert!(moved(&retry(Duration::ZERO), now).unwrap().makes_work());
        let (later, second) = (now.after(Duration::from_secs(1)), retry(Duration::from_secs(1)));
        let moved = moved(&second, now).unwrap();
        assert_eq!((moved.at, moved.makes_work()), (Some(later), false));
    }

    #[test]
    fn a_task_named_twice_is_spoken_for_in_turn() {
        let other = Transition { held: Held { task: Id::from_u128(9), ..HELD }, ..complete() };
        assert_eq!(apart(&[complete(), other.clone(), complete(), other]), 2);
        assert_eq!(apart(&[complete()]), 1);
    }
}
