//! What workers say of the tasks that they hold.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng as _;
use stent::backend::{Cancel, Commands, Extent, Outcome, Spawn, SpawnKind, Transition};
use stent::model::{
    CallOptions, Failure, Id, Number, Op, OpSet, Payload, ProgressEntry, ProgressStatus, TaskKind, Timestamp, WaitMode,
    child_id,
};

use crate::generate::{FUNCTIONS, LONG, failure, hash};
use crate::world::{Holding, World};

impl World {
    /// Of a task that is held, seldom of one that is not any more. `before`: what is said in the same operation.
    pub fn transition(&mut self, before: &[Transition]) -> Option<Transition> {
        if self.one_in(6) && !self.repeatable.is_empty() {
            // The answer was lost.
            let said = self.repeatable.clone();
            return Some(self.pick(&said));
        }
        let stale = !self.stale.is_empty() && self.one_in(12);
        let from = if stale { &self.stale } else { &self.held };
        if from.is_empty() {
            return None;
        }
        let position = self.rng.random_range(0..from.len());
        let mut holding = from[position].clone();
        let held = holding.held();
        let before = before.iter().filter(|said| said.held == held);
        // What counts on something that may be refused says so.
        let counts_on = before.clone().count() > 0;
        before.for_each(|said| holding.heard(&said.commands));
        let mut commands = if self.one_in(3) { Commands::default() } else { self.commands(&holding) };
        commands.begun = if self.one_in(4) { Some(self.pick(&[1, 2, 8])) } else { None };
        commands.from = (counts_on || self.one_in(2)).then(|| self.extent(&holding));
        let outcome = self.outcome(&holding, commands.spawns.len() as Op);
        Some(Transition { held: holding.held(), commands, outcome })
    }

    /// How far its record goes; seldom not so.
    fn extent(&mut self, of: &Holding) -> Extent {
        let wrong = u32::from(self.one_in(25));
        Extent { ops: of.ops, effects: of.effects + wrong }
    }

    fn commands(&mut self, of: &Holding) -> Commands {
        let count = self.rng.random_range(0..4);
        let mut commands = Commands::default();
        for number in 1..=count {
            let spawn = self.spawn(of, of.ops + number);
            commands.spawns.push(spawn);
        }
        if self.one_in(3) {
            let mut spawned = self.spawned_by(of);
            spawned.extend(commands.spawns.clone());
            // Once each, however often it is drawn.
            let drawn: BTreeMap<Op, Id> = (0..self.rng.random_range(1..4))
                .filter(|_| !spawned.is_empty())
                .map(|_| self.pick(&spawned))
                .map(|spawn| (spawn.op, spawn.id))
                .collect();
            commands.cancels = drawn.into_iter().map(|(op, id)| Cancel { op, id }).collect();
        }
        if self.one_in(4) {
            commands.progress.push(self.progress());
        }
        if self.one_in(4) {
            commands.counters.push((self.pick(&["n", "m"]).to_owned(), self.number()));
        }
        if self.one_in(4) {
            commands.state.push((self.pick(&["here", "there"]).to_owned(), self.payload()));
        }
        commands.heartbeat = self.one_in(6).then(|| self.payload());
        commands
    }

    fn spawned_by(&self, of: &Holding) -> Vec<Spawn> {
        self.spawned.get(&(of.claimed.task.id, of.claimed.run)).cloned().unwrap_or_default()
    }

    fn spawn(&mut self, of: &Holding, op: Op) -> Spawn {
        let (name, what) = match self.rng.random_range(0..10) {
            0..5 => {
                let function = self.pick(FUNCTIONS);
                (function.to_owned(), self.activity(function))
            }
            5 => {
                let delay = if self.one_in(3) { Duration::ZERO } else { LONG };
                ("sleep".to_owned(), SpawnKind::Timer { delay })
            }
            6..8 => {
                let timeout = self.one_in(2).then(|| self.long_or_short());
                (self.signal_name(), SpawnKind::Signal { timeout })
            }
            _ => {
                let outcome = if self.one_in(3) { Err(failure()) } else { Ok(self.payload()) };
                ("step".to_owned(), SpawnKind::Step { started_at: self.begin, outcome })
            }
        };
        let key = format!("{name}#{op}");
        Spawn { id: child_id(of.claimed.task.id, of.claimed.run, &key), op, key, name, what }
    }

    fn activity(&mut self, function: &str) -> SpawnKind {
        let args = self.payload();
        let options = CallOptions {
            kwargs: self.one_in(5).then(|| "{\"k\": 2}".into()),
            delay: self.one_in(10).then(|| self.long_or_short()),
            idempotency_key: self.idempotency_key(),
            cache_key: self.one_in(10).then(|| "mine".to_owned()),
            task: self.task_options(),
            ..CallOptions::default()
        };
        let registered = self.registered(function);
        SpawnKind::Activity { args_hash: Some(hash(&args)), args, options: Box::new(options), registered }
    }

    pub fn progress(&mut self) -> ProgressEntry {
        ProgressEntry {
            step: "half".to_owned(),
            status: self.pick(ProgressStatus::ALL),
            started_at: None,
            completed_at: self.one_in(2).then(|| Timestamp::from_micros(1_700_000_000_000_000)),
            detail: self.one_in(2).then(|| self.payload()),
        }
    }

    pub fn number(&mut self) -> Number {
        if self.one_in(30) {
            // Two of them are more than a number holds.
            return Number::Real(1.7e308);
        }
        if self.one_in(4) { Number::Real(0.5) } else { Number::Integer(self.rng.random_range(-5..10)) }
    }

    fn outcome(&mut self, of: &Holding, more: Op) -> Outcome {
        if self.deep {
            // Roots go on, and what is below them fails.
            match of.claimed.task.parent_task_id {
                None if self.one_in(2) => return Outcome::Hold,
                None if self.one_in(2) => return self.suspend(of, of.ops + more),
                Some(_) if self.one_in(3) => {
                    return Outcome::DeadLetter { failure: failure(), reason: "attempts used up".to_owned() };
                }
                _ => {}
            }
        }
        match self.rng.random_range(0..100) {
            0..14 => Outcome::Hold,
            14..35 => self.complete(of),
            35..43 => Outcome::DeadLetter { failure: failure(), reason: "attempts used up".to_owned() },
            43..47 => Outcome::PassUp { failure: failure() },
            47..50 => {
                let delay = if self.one_in(3) { self.long_or_short() } else { Duration::ZERO };
                Outcome::Snooze { delay }
            }
            50..54 => {
                let delay = if self.one_in(3) { self.long_or_short() } else { Duration::ZERO };
                Outcome::Retry { failure: failure(), delay, reopen: self.one_in(2) }
            }
            54..83 => self.suspend(of, of.ops + more),
            83..89 => Outcome::Release,
            89..92 => {
                let failure = Failure::new("Nondeterminism", "other");
                Outcome::Park { failure, version: self.one_in(2).then(|| "1".to_owned()) }
            }
            _ if of.claimed.task.kind == TaskKind::Orchestrator || self.one_in(3) => {
                Outcome::Continue { args: self.payload(), seen: self.known(of) }
            }
            _ => self.complete(of),
        }
    }

    fn known(&mut self, of: &Holding) -> u64 {
        self.rng.random_range(0..=of.latest)
    }

    fn complete(&mut self, of: &Holding) -> Outcome {
        let cache = of.claimed.cache.clone();
        let cache_hit = cache.is_some() && self.one_in(4);
        Outcome::Complete { result: self.result(), cache, cache_hit }
    }

    fn result(&mut self) -> Payload {
        if self.one_in(3) { Payload::null() } else { self.payload() }
    }

    fn suspend(&mut self, of: &Holding, ops: Op) -> Outcome {
        let mode = self.pick(WaitMode::ALL);
        let ops: OpSet = (1..=ops).filter(|_| !self.one_in(3)).collect();
        Outcome::Suspend { mode, ops, known: self.known(of) }
    }
}
