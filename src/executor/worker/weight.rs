//! How much a transition writes.

use crate::backend::{Commands, Outcome, SpawnKind, Transition};
use crate::model::{Failure, Payload};

/// The bytes of its payloads and errors.
pub(super) fn weight(transition: &Transition) -> u64 {
    (commands(&transition.commands) + outcome(&transition.outcome)) as u64
}

fn commands(commands: &Commands) -> usize {
    let spawns: usize = commands.spawns.iter().map(|spawn| what(&spawn.what)).sum();
    let progress: usize = commands.progress.iter().map(|entry| entry.detail.as_ref().map_or(0, Payload::len)).sum();
    let state: usize = commands.state.iter().map(|(_, value)| value.len()).sum();
    spawns + progress + state + commands.heartbeat.as_ref().map_or(0, Payload::len)
}

fn what(what: &SpawnKind) -> usize {
    match what {
        SpawnKind::Activity { args, options, .. } => args.len() + options.kwargs.as_ref().map_or(0, Payload::len),
        SpawnKind::Timer { .. } | SpawnKind::Signal { .. } => 0,
        SpawnKind::Step { outcome, .. } => outcome.as_ref().map_or_else(failure, Payload::len),
    }
}

fn outcome(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Hold | Outcome::Suspend { .. } | Outcome::Snooze { .. } | Outcome::Release => 0,
        Outcome::Complete { result, .. } => result.len(),
        Outcome::Retry { failure: why, .. } | Outcome::PassUp { failure: why } | Outcome::Park { failure: why, .. } => {
            failure(why)
        }
        Outcome::DeadLetter { failure: why, reason } => failure(why) + reason.len(),
        Outcome::Continue { args, .. } => args.len(),
    }
}

fn failure(failure: &Failure) -> usize {
    let Failure { kind, message, code, details, stack, .. } = failure;
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    kind.len() + message.len() + optional(code) + optional(stack) + details.as_ref().map_or(0, Payload::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Held, Spawn};
    use crate::model::{CallOptions, Op};

    #[test]
    fn payloads_and_errors_count() {
        let held = Held { task: crate::model::Id::nil(), execution: crate::model::Id::nil(), parent: None, fence: 1 };
        let options = CallOptions { kwargs: Some("{}".into()), ..CallOptions::default() };
        let activity = SpawnKind::Activity {
            args: "[1234]".into(),
            options: Box::new(options),
            args_hash: None,
            registered: None,
        };
        let spawn = Spawn { id: held.task, op: Op::default(), key: "k".into(), name: "n".into(), what: activity };
        let commands = Commands {
            spawns: vec![spawn],
            state: vec![("s".into(), "\"x\"".into())],
            heartbeat: Some("1".into()),
            ..Commands::default()
        };
        let outcome = Outcome::PassUp { failure: Failure::new("Oops", "why") };
        assert_eq!(weight(&Transition { held, commands, outcome }), 6 + 2 + 3 + 1 + 7);
    }
}
