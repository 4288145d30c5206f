//! Applies the store's verdicts to the tasks.

use std::sync::Arc;

use super::engine::Engine;
use super::outbox::Message;
use super::weight::weight;
use crate::backend::{Commands, Outcome, Transition, Verdict};
use crate::executor::metrics::{Counters, count};
use crate::executor::task::{Ended, TaskCore, flag};
use crate::model::{Error, Level};

impl Engine {
    pub(super) fn settle(&mut self, batch: Vec<Message>, verdicts: Vec<Verdict>) {
        let mut gone = Vec::with_capacity(batch.len());
        for (message, verdict) in batch.into_iter().zip(verdicts) {
            if matches!(verdict, Verdict::Recorded { .. }) && !message.is_mark() {
                let series = &message.task.series;
                series.count(&message.transition.outcome);
                series.commit_size.observe(weight(&message.transition));
            }
            let over = if message.is_mark() {
                self.settle_mark(&message.task, verdict)
            } else if message.transition.outcome == Outcome::Hold {
                self.settle_hold(&message.task, verdict)
            } else {
                self.settle_end(&message, verdict)
            };
            if over {
                gone.push(message.task);
            }
        }
        self.shared.forget(&gone);
    }

    /// That its body begins, or has begun, is recorded or not. True: the lease is gone.
    fn settle_mark(&mut self, task: &Arc<TaskCore>, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Recorded { .. } => {
                self.suspects.recorded(&self.shared, task);
                return false;
            }
            Verdict::LeaseLost => {
                // Its end, which goes with the next transaction, tells the same.
                if !task.is_ending() {
                    self.lost(task);
                    task.lose(flag::LOST);
                }
            }
            Verdict::Cancelled => task.cancel(),
            // A body that runs goes on, and is taken for one that has not begun.
            Verdict::Refused(_) => {}
        }
        self.suspects.refused(&self.shared, task);
        task.is(flag::GONE)
    }

    /// True: the lease is gone.
    fn settle_hold(&self, task: &Arc<TaskCore>, verdict: Verdict) -> bool {
        task.hold_over();
        match verdict {
            Verdict::Recorded { arrivals, latest } => {
                task.recorded(&arrivals, latest);
                false
            }
            Verdict::LeaseLost => {
                self.lost(task);
                task.lose(flag::LOST);
                true
            }
            // The lease is given back when the handler ends.
            Verdict::Cancelled => {
                task.cancel();
                false
            }
            Verdict::Refused(error) => {
                task.refuse(error);
                false
            }
        }
    }

    fn settle_end(&mut self, message: &Message, verdict: Verdict) -> bool {
        let Message { task, transition, .. } = message;
        match verdict {
            Verdict::Recorded { arrivals, latest } => {
                task.tell_tracer(&transition.outcome, Ended::Recorded);
                tally(&self.shared.core.metrics.counters, &transition.outcome);
                match &transition.outcome {
                    Outcome::Suspend { .. } if self.shared.inbox.is_some() => {
                        if let Some(warm) = task.take_warm(&arrivals, latest) {
                            self.shared.coroutines.put(warm);
                        }
                    }
                    Outcome::Suspend { .. } => {
                        if let Some(machine) = task.take_machine(&arrivals, latest) {
                            self.machines.put(task.held.task, machine.operations(), machine);
                        }
                    }
                    outcome => {
                        task.tell(outcome);
                        task.tell_verdict(outcome, Ok(()));
                    }
                }
                true
            }
            Verdict::LeaseLost => {
                self.lost(task);
                task.tell_tracer(&transition.outcome, Ended::LeaseLost);
                task.tell_verdict(&transition.outcome, Err(task.lease_lost()));
                true
            }
            Verdict::Cancelled => {
                task.tell_tracer(&transition.outcome, Ended::Cancelled);
                task.tell_verdict(&transition.outcome, Err(task.cancelled()));
                true
            }
            Verdict::Refused(error) => self.refused(message, &error),
        }
    }

    fn lost(&self, task: &TaskCore) {
        // A cancelled task loses its lease together with its tree.
        if task.is(flag::CANCELLED) {
            return;
        }
        count(&self.shared.core.metrics.counters.lost_leases);
        task.log(Level::Warn, "stent.worker", || "a lease was lost: what its handler did is not recorded".to_owned());
    }

    /// The end can't be recorded as it is. True: nothing else can be, and the lease runs out.
    fn refused(&mut self, message: &Message, error: &Error) -> bool {
        let Message { task, transition, refusals } = message;
        task.log(Level::Error, "stent.worker", || format!("the store refused a task's end: {error}"));
        let Some(outcome) = task.instead(&transition.outcome, error, *refusals) else {
            task.tell_verdict(&transition.outcome, Err(error.clone()));
            return true;
        };
        let transition = Transition { held: task.held, commands: Commands::default(), outcome };
        self.pending.push_back(Message { task: Arc::clone(task), transition, refusals: refusals + 1 });
        false
    }
}

fn tally(counters: &Counters, outcome: &Outcome) {
    match outcome {
        Outcome::Hold => {}
        Outcome::Complete { cache_hit, .. } => {
            count(&counters.completed);
            if *cache_hit {
                count(&counters.cache_hits);
            }
        }
        Outcome::Retry { .. } => {
            count(&counters.failed);
            count(&counters.retried);
        }
        Outcome::Snooze { .. } => count(&counters.snoozed),
        Outcome::DeadLetter { .. } => {
            count(&counters.failed);
            count(&counters.dead_lettered);
        }
        Outcome::PassUp { .. } => count(&counters.failed),
        Outcome::Suspend { .. } => count(&counters.suspended),
        Outcome::Release => count(&counters.released),
        Outcome::Park { .. } => count(&counters.parked),
        Outcome::Continue { .. } => count(&counters.continued),
    }
}
