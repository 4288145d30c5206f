//! That bodies have begun, for the store to know when their worker dies. Those that begin as they are claimed are known
//! with the claim. Of others it is said when they have run for a while, with what is said anyway: most are over before,
//! and cost nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::outbox::Message;
use super::shared::Shared;
use crate::backend::{Commands, Outcome, Transition};
use crate::executor::task::TaskCore;

/// What has run for so long is told with the next transaction.
const ALONG: Duration = Duration::from_millis(10);

/// What has run for so long is told in a transaction of its own, with all others.
pub(super) const ALONE: Duration = Duration::from_millis(100);

impl Shared {
    /// The body of a task begins, or has begun, where at most so many run at once.
    pub(super) fn mark(&self, task: &Arc<TaskCore>, bodies: usize) -> Message {
        let begun = Some(u32::try_from(bodies).unwrap_or(u32::MAX));
        let commands = Commands { begun, ..Commands::default() };
        let transition = Transition { held: task.held, commands, outcome: Outcome::Hold };
        Message { task: Arc::clone(task), transition, refusals: 0 }
    }
}

impl Message {
    /// Nothing else is said.
    pub(super) fn is_mark(&self) -> bool {
        let Transition { commands, outcome, .. } = &self.transition;
        *outcome == Outcome::Hold && commands.begun.is_some() && commands.is_empty()
    }
}

impl Shared {
    /// Adds to a batch what is to be told of bodies that have begun. `along`: there is a transaction anyway.
    pub(super) fn tell_begun(&self, batch: &mut Vec<Message>, along: bool) {
        let slots = self.options.max_concurrency;
        let now = Instant::now();
        let begun = self.begun.take(now, if along { ALONG } else { ALONE }, ALONG);
        let going: Vec<_> = begun.into_iter().filter(|task| !task.is_ending()).collect();
        if going.is_empty() {
            return;
        }
        let places: HashMap<_, _> = batch.iter().enumerate().map(|(at, message)| (message.task.held, at)).collect();
        for task in going {
            let mark = self.mark(&task, slots);
            match places.get(&task.held) {
                Some(at) if batch[*at].transition.outcome == Outcome::Hold => {
                    batch[*at].transition.commands.begun = mark.transition.commands.begun;
                }
                // It is over.
                Some(_) => {}
                None => batch.push(mark),
            }
        }
    }
}
