//! What workers say of the tasks that they hold.

use std::collections::{BTreeMap, BTreeSet};

use stent::backend::{Commands, Extent, Held, Outcome, Transition, Verdict};
use stent::model::{ExecutionState, Id, Op, TaskState};

use super::ends::{End, Ending};
use super::state::{State, Wait};

impl State {
    /// In order. A task that is named again is spoken for after what was said before.
    pub fn apply(&mut self, transitions: &[Transition]) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let mut set: Vec<&Transition> = Vec::new();
        for transition in transitions {
            if set.iter().any(|before| before.held.task == transition.held.task) {
                verdicts.extend(self.apply_set(&std::mem::take(&mut set)));
            }
            set.push(transition);
        }
        verdicts.extend(self.apply_set(&set));
        verdicts
    }

    /// Each task once: first those that go on, then those that end, then those that may not.
    fn apply_set(&mut self, set: &[&Transition]) -> Vec<Verdict> {
        self.forget_given();
        let mut arrivals: BTreeMap<Id, Vec<(Op, u64)>> = BTreeMap::new();
        let moved: Vec<_> = set.iter().copied().filter(|t| self.move_on(t)).collect();
        for transition in &moved {
            arrivals.insert(transition.held.task, self.numbers_of_steps(transition));
        }
        let spawns = moved.iter().flat_map(|t| self.may_start(t)).collect();
        self.start(spawns);
        for transition in &moved {
            let cancelled = match transition.outcome {
                Outcome::Continue { .. } => Vec::new(),
                _ => self.cancel_operations(transition.held.task, &transition.commands.cancels),
            };
            arrivals.entry(transition.held.task).or_default().extend(cancelled);
        }
        self.tell(&moved);
        // Of one that a parent's new start takes away, what was true until then.
        let latest: BTreeMap<Id, u64> = moved.iter().map(|t| (t.held.task, self.latest(t.held.task))).collect();
        moved.iter().for_each(|t| self.suspend(t));
        moved.iter().for_each(|t| self.begin_anew(t));

        let ends = set.iter().filter_map(|t| end_of(t)).collect();
        let ended: BTreeSet<Id> = self.finish(ends).into_iter().map(|ended| ended.task).collect();
        self.close_cleaned();
        let ended: Vec<_> =
            set.iter().copied().filter(|t| is_end(&t.outcome) && ended.contains(&t.held.task)).collect();
        for transition in &ended {
            arrivals.insert(transition.held.task, self.numbers_of_steps(transition));
        }
        let spawns = ended.iter().flat_map(|t| self.may_start(t)).collect();
        self.start(spawns);
        self.tell(&ended);

        let recorded: BTreeSet<Id> = arrivals.keys().copied().collect();
        let refused: Vec<_> = set.iter().copied().filter(|t| !recorded.contains(&t.held.task)).collect();
        let refused = self.refuse(&refused);
        self.wake();
        let verdict = |t: &&Transition| match refused.get(&t.held.task) {
            Some(verdict) => verdict.clone(),
            None => Verdict::Recorded {
                arrivals: arrivals.remove(&t.held.task).unwrap_or_default(),
                latest: self.latest(t.held.task).max(latest.get(&t.held.task).copied().unwrap_or(0)),
            },
        };
        set.iter().map(verdict).collect()
    }

    /// A task that is not over: true if its holder may speak for it.
    fn move_on(&mut self, transition: &Transition) -> bool {
        let Transition { held, commands, outcome } = transition;
        let may = self.tasks.get(&held.task).is_some_and(|job| {
            let extent = Extent { ops: job.ops, effects: job.effects };
            job.runs() && job.record.fence == held.fence && commands.from.is_none_or(|from| from == extent)
        });
        if is_end(outcome) || !may || !self.goes_on(self.tasks[&held.task].record.execution_id) {
            return false;
        }
        let retry_at = match outcome {
            Outcome::Retry { delay, .. } | Outcome::Snooze { delay } => self.later(Some(*delay)),
            _ => None,
        };
        let now = self.now;
        let job = self.tasks.get_mut(&held.task).expect("it is there");
        let first = job.ops == 0;
        // Without a journal, what is said is no progress: the next attempt says it again.
        if !commands.spawns.is_empty() || (commands.effects() > 0 && !first) {
            (job.crashes, job.company) = (0, None);
        }
        job.begun = commands.begun.or(job.begun);
        job.ops += commands.spawns.len() as u32;
        job.effects += commands.effects();
        job.heartbeat = commands.heartbeat.clone().or(job.heartbeat.take());
        if *outcome == Outcome::Hold {
            return true;
        }
        job.let_go();
        job.begun = None;
        let worker = job.record.worker_id.take();
        match outcome {
            Outcome::Hold | Outcome::Complete { .. } | Outcome::DeadLetter { .. } | Outcome::PassUp { .. } => {}
            Outcome::Retry { failure, .. } => {
                job.offer(retry_at);
                job.record.scheduled_for = retry_at;
                job.record.error = Some(failure.clone());
                job.record.retries += 1;
                job.attempt_over();
                (job.record.started_at, job.deadline, job.crashes, job.company) = (None, None, 0, None);
            }
            Outcome::Snooze { .. } => {
                job.offer(retry_at);
                job.record.scheduled_for = retry_at;
                job.snoozes += 1;
                job.attempt_over();
                (job.record.started_at, job.deadline, job.crashes, job.company) = (None, None, 0, None);
            }
            Outcome::Suspend { .. } => {
                job.record.state = TaskState::Waiting;
                job.record.worker_id = worker;
                job.due = job.deadline;
                (job.crashes, job.company) = (0, None);
            }
            Outcome::Release => {
                job.offer(None);
                if first {
                    (job.record.started_at, job.deadline) = (None, None);
                }
            }
            Outcome::Park { failure, version } => {
                job.record.state = TaskState::Waiting;
                job.record.error = Some(failure.clone());
                job.parked = Some(version.clone());
            }
            Outcome::Continue { args, .. } => {
                job.offer(None);
                (job.record.args, job.record.error, job.deadline) = (args.clone(), None, None);
                (job.run, job.ops, job.effects, job.crashes, job.company) = (job.run + 1, 0, 0, 0, None);
                (job.opened, job.first_started) = (None, Some(now));
            }
        }
        true
    }

    /// Steps are over when they are said, and are numbered before anything else.
    fn numbers_of_steps(&self, transition: &Transition) -> Vec<(Op, u64)> {
        let before = self.tasks.get(&transition.held.task).map_or(0, |job| job.given);
        let steps = transition.commands.spawns.iter().filter(|spawn| is_step(spawn));
        steps.zip(before + 1..).map(|(step, number)| (step.op, number)).collect()
    }

    fn suspend(&mut self, transition: &Transition) {
        let Outcome::Suspend { mode, ops, known } = &transition.outcome else { return };
        let task = transition.held.task;
        let mut wait = Wait::new(*mode, ops);
        for child in self.tasks.values().filter(|job| job.record.parent_task_id == Some(task)) {
            if let (Some(op), true) = (child.op, child.arrival > Some(*known)) {
                wait.came |= wait.open.remove(&op);
            }
        }
        self.tasks.get_mut(&task).expect("it goes on").wait = Some(wait);
    }

    fn begin_anew(&mut self, transition: &Transition) {
        match transition.outcome {
            Outcome::Retry { reopen: true, .. } => self.reopen_children(transition.held.task),
            Outcome::Continue { seen, .. } => self.empty_journal(transition.held.task, seen),
            _ => {}
        }
    }

    /// Why not. A task whose execution is being cancelled gives up its lease here.
    fn refuse(&mut self, refused: &[&Transition]) -> BTreeMap<Id, Verdict> {
        let mut verdicts = BTreeMap::new();
        let mut cancelled = Vec::new();
        for transition in refused {
            let verdict = self.why_not(transition);
            if verdict == Verdict::Cancelled && transition.outcome != Outcome::Hold {
                cancelled.push(transition.held);
            }
            verdicts.insert(transition.held.task, verdict);
        }
        self.stop_held(&cancelled);
        verdicts
    }

    fn why_not(&self, Transition { held, commands, outcome }: &Transition) -> Verdict {
        let Some(job) = self.tasks.get(&held.task).filter(|job| job.record.fence == held.fence) else {
            return Verdict::LeaseLost;
        };
        let Some(execution) = self.execution_state(job.record.execution_id) else { return Verdict::LeaseLost };
        if self.is_recorded(held, commands, outcome) {
            return Verdict::Recorded { arrivals: Vec::new(), latest: job.arrivals };
        }
        if job.runs() && execution == ExecutionState::Cancelling { Verdict::Cancelled } else { Verdict::LeaseLost }
    }

    /// It was said before, and the answer was lost.
    fn is_recorded(&self, held: &Held, commands: &Commands, outcome: &Outcome) -> bool {
        let job = &self.tasks[&held.task];
        match outcome {
            Outcome::Hold => {
                let extent = Some(Extent { ops: job.ops, effects: job.effects });
                let told = commands.to() == extent && commands.from != extent;
                job.runs() && self.goes_on(job.record.execution_id) && told
            }
            Outcome::Suspend { .. } => job.record.state == TaskState::Waiting,
            // A root that has cleaned up is cancelled, whatever it said.
            Outcome::Complete { .. } => {
                matches!(job.record.state, TaskState::Completed | TaskState::Cancelled)
            }
            Outcome::DeadLetter { .. } | Outcome::PassUp { .. } => {
                matches!(job.record.state, TaskState::Failed | TaskState::Cancelled)
            }
            Outcome::Retry { .. }
            | Outcome::Snooze { .. }
            | Outcome::Release
            | Outcome::Park { .. }
            | Outcome::Continue { .. } => false,
        }
    }

    /// A task that ends or starts over starts nothing more; what it ran in place is recorded.
    fn may_start<'a>(&self, transition: &'a Transition) -> Vec<(Held, &'a stent::backend::Spawn)> {
        let over = is_end(&transition.outcome) || matches!(transition.outcome, Outcome::Continue { .. });
        let spawns = transition.commands.spawns.iter();
        spawns.filter(|spawn| !over || is_step(spawn)).map(|spawn| (transition.held, spawn)).collect()
    }
}

pub fn is_step(spawn: &stent::backend::Spawn) -> bool {
    matches!(spawn.what, stent::backend::SpawnKind::Step { .. })
}

fn is_end(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Complete { .. } | Outcome::DeadLetter { .. } | Outcome::PassUp { .. })
}

fn end_of(Transition { held, outcome, commands }: &Transition) -> Option<End> {
    let said = commands.size();
    // As its holder says: it takes a number of its parent's even if its record is gone, since the parent has begun anew.
    let end = |ending| End { parent: held.parent, fence: Some(held.fence), said, ..End::now(held.task, ending) };
    match outcome {
        Outcome::Complete { result, cache, cache_hit } => {
            Some(End { cache: cache.clone(), cache_hit: *cache_hit, ..end(Ending::Completed(result.clone())) })
        }
        Outcome::DeadLetter { failure, reason } => {
            Some(End { letter: Some(reason.clone()), ..end(Ending::Failed(failure.clone())) })
        }
        Outcome::PassUp { failure } => Some(end(Ending::Failed(failure.clone()))),
        _ => None,
    }
}
