//! What the test knows of the stores, which all are alike up to here: the next operations are drawn from it.

use std::collections::HashMap;
use std::time::SystemTime;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use stent::backend::{Claimed, Commands, Extent, Held, NewSignal, Outcome, Spawn, Transition, Verdict};
use stent::model::{Execution, Id, Task, Timestamp, execution_id};

use crate::operation::{Operation, Reply};
use crate::picture::Picture;

/// So many transitions may be said again.
const REPEATABLE: usize = 4;

/// A task that a worker holds, or held.
#[derive(Clone)]
pub struct Holding {
    pub claimed: Claimed,
    /// Durable operations it has issued so far.
    pub ops: u32,
    /// Effects it has recorded so far.
    pub effects: u32,
    /// The largest arrival that it was told of.
    pub latest: u64,
}

impl Holding {
    pub fn held(&self) -> Held {
        let task = &self.claimed.task;
        Held { task: task.id, execution: task.execution_id, parent: task.parent_task_id, fence: task.fence }
    }
}

impl Holding {
    /// The record goes as far as this, whether they were said for the first time or not.
    pub fn heard(&mut self, commands: &Commands) {
        let from = commands.from.unwrap_or(Extent { ops: self.ops, effects: self.effects });
        self.ops = self.ops.max(from.ops + commands.spawns.len() as u32);
        self.effects = self.effects.max(from.effects + commands.effects());
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is set");
    Timestamp::from_micros(0).after(since)
}

pub struct World {
    pub rng: StdRng,
    /// A run of few executions that are driven far; else there are many.
    pub deep: bool,
    drawn: i64,
    /// When the run began.
    pub begin: Timestamp,
    /// Records made by the test itself.
    pub made: i64,
    pub executions: Vec<Id>,
    pub held: Vec<Holding>,
    pub stale: Vec<Holding>,
    /// By task and its run.
    pub spawned: HashMap<(Id, u32), Vec<Spawn>>,
    /// What was recorded and may be said again: not what would be recorded twice.
    pub repeatable: Vec<Transition>,
    pub sent: Option<NewSignal>,
    pub tasks: Vec<Task>,
    pub records: Vec<Execution>,
    /// Tasks that have a dead letter.
    pub letters: Vec<Id>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            deep: seed.is_multiple_of(2),
            drawn: 0,
            begin: now(),
            made: 0,
            executions: Vec::new(),
            held: Vec::new(),
            stale: Vec::new(),
            spawned: HashMap::new(),
            repeatable: Vec::new(),
            sent: None,
            tasks: Vec::new(),
            records: Vec::new(),
            letters: Vec::new(),
        }
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: u32) -> bool {
        self.rng.random_ratio(1, times)
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from.choose(&mut self.rng).expect("there is something to pick from").clone()
    }

    pub fn new_id(&mut self) -> Id {
        self.drawn += 1;
        execution_id(Timestamp::from_micros(1_700_000_000_000_000 + self.drawn * 1000), self.rng.random())
    }

    /// One that was started, seldom one that nobody knows.
    pub fn execution(&mut self) -> Id {
        if self.executions.is_empty() || self.one_in(20) {
            return self.new_id();
        }
        let all = self.executions.clone();
        self.pick(&all)
    }

    /// One that there is, seldom one that there is not.
    pub fn task(&mut self) -> Id {
        if self.tasks.is_empty() || self.one_in(20) {
            return self.new_id();
        }
        let position = self.rng.random_range(0..self.tasks.len());
        self.tasks[position].id
    }

    /// The executions that an operation is about, and another one.
    pub fn near(&mut self, operation: &Operation) -> Vec<Id> {
        let mut near: Vec<Id> = match operation {
            Operation::Advance(transitions, _) => transitions.iter().map(|t| t.held.execution).collect(),
            Operation::Dispatch(executions) => executions.iter().map(|new| new.id).collect(),
            Operation::Signal(signal) => vec![signal.execution],
            Operation::Cancel(execution, _) | Operation::ReplayDeadLetter { execution, .. } => vec![*execution],
            _ => Vec::new(),
        };
        near.push(self.execution());
        near.sort_unstable();
        near.dedup();
        near
    }

    /// Takes in what all stores answered.
    pub fn learn(&mut self, operation: &Operation, reply: Reply, picture: Picture) {
        if let Operation::Advance(transitions, _) = operation {
            for (transition, verdict) in transitions.iter().zip(&reply.verdicts) {
                self.learn_of(transition, verdict);
            }
        }
        if let Operation::Signal(signal) = operation {
            self.sent = Some(signal.clone());
        }
        for claimed in reply.claimed {
            self.held.retain(|holding| holding.claimed.task.id != claimed.task.id);
            let (ops, effects) = (claimed.ops, claimed.effects);
            self.held.push(Holding { claimed, ops, effects, latest: 0 });
        }
        self.executions = picture.executions.iter().map(|execution| execution.id).collect();
        self.tasks = picture.tasks;
        self.records = picture.executions;
        self.letters = picture.letters;
    }

    fn learn_of(&mut self, transition: &Transition, verdict: &Verdict) {
        let Some(position) = self.held.iter().position(|h| h.held() == transition.held) else { return };
        let spawned = self.spawned.entry((transition.held.task, self.held[position].claimed.run)).or_default();
        for spawn in &transition.commands.spawns {
            if spawned.iter().all(|known| known.id != spawn.id) {
                spawned.push(spawn.clone());
            }
        }
        if let Verdict::Recorded { latest, .. } = verdict {
            let again = transition.outcome != Outcome::Hold || transition.commands.from.is_some();
            self.repeatable.extend(again.then(|| transition.clone()));
            let forgotten = self.repeatable.len().saturating_sub(REPEATABLE);
            self.repeatable.drain(..forgotten);
            if transition.outcome == Outcome::Hold {
                let holding = &mut self.held[position];
                holding.latest = *latest;
                holding.heard(&transition.commands);
                return;
            }
        }
        if let (Verdict::LeaseLost, Some(_)) = (verdict, transition.commands.from) {
            // Maybe it has the lease, and counted wrong.
            return;
        }
        let holding = self.held.remove(position);
        self.stale.push(holding);
    }
}
