//! A store for one task, in memory: what the machine's commands become, and what arrives.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::backend::{Claimed, Commands, JournalEntry, Spawn, SpawnKind};
use crate::model::{Failure, Id, Number, Op, Payload, TaskKind, TaskState, Timestamp};

#[derive(Clone, Default)]
pub struct Store {
    pub rows: BTreeMap<Op, JournalEntry>,
    ids: HashSet<Id>,
    latest: u64,
    clock: i64,
    /// What was said to the outside, as numbers.
    pub effects: Vec<i64>,
    signals: HashMap<String, VecDeque<Payload>>,
    sent: u32,
    pub retries: u32,
    pub opened: Option<Op>,
    pub cleanup: Option<Op>,
    /// Who have held the task before the one that holds it.
    pub holders: u64,
}

impl Store {
    pub fn claimed(&self) -> Claimed {
        let mut claimed = super::claimed();
        claimed.ops = u32::try_from(self.rows.len()).unwrap();
        claimed.effects = u32::try_from(self.effects.len()).unwrap();
        claimed.task.retries = self.retries;
        claimed.opened = self.opened;
        claimed.cleanup = self.cleanup;
        claimed.task.fence += self.holders;
        claimed
    }

    /// The next claim, with nobody between.
    pub fn next_claim(&self) -> Claimed {
        let mut claimed = self.claimed();
        claimed.task.fence += 1;
        claimed
    }

    pub fn journal(&self, after: u64) -> Vec<JournalEntry> {
        let asked = |row: &&JournalEntry| after == 0 || row.arrival.is_some_and(|arrival| arrival > after);
        self.rows.values().filter(asked).cloned().collect()
    }

    /// It is cancelled: what goes on is over, and it is to clean up.
    pub fn begin_cleanup(&mut self) {
        let open: Vec<Op> = self.rows.values().filter(|row| row.arrival.is_none()).map(|row| row.op).collect();
        for op in open {
            self.end(op, TaskState::Cancelled, None, None);
        }
        self.cleanup = Some(self.rows.keys().copied().max().unwrap_or(0));
    }

    /// One transaction: what ended in it, and the largest arrival.
    pub fn apply(&mut self, commands: Commands) -> (Vec<(Op, u64)>, u64) {
        let mut arrivals = Vec::new();
        for spawn in commands.spawns {
            self.spawn(spawn, &mut arrivals);
        }
        for cancel in commands.cancels {
            let row = &self.rows[&cancel.op];
            assert_eq!(row.id, cancel.id);
            let (name, took) = (row.name.clone(), row.result.clone());
            if row.kind == TaskKind::Signal && row.state == TaskState::Completed {
                self.signals.entry(name).or_default().push_front(took.unwrap());
            } else if row.arrival.is_some() {
                continue;
            }
            arrivals.push(self.end(cancel.op, TaskState::Cancelled, None, None));
        }
        self.effects.extend(commands.counters.iter().map(|(_, number)| match number {
            Number::Integer(n) => *n,
            Number::Real(_) => panic!("only integers are counted here"),
        }));
        self.effects.extend(commands.state.iter().map(|(key, _)| key.parse::<i64>().unwrap()));
        (arrivals, self.latest)
    }

    fn spawn(&mut self, spawn: Spawn, arrivals: &mut Vec<(Op, u64)>) {
        assert!(self.ids.insert(spawn.id), "{} was spawned already", spawn.key);
        let op = spawn.op;
        let (args, kwargs) = match &spawn.what {
            SpawnKind::Activity { args, options, .. } => {
                (args.clone(), options.kwargs.clone().unwrap_or_else(Payload::empty_object))
            }
            _ => (Payload::empty_array(), Payload::empty_object()),
        };
        let row = JournalEntry {
            op,
            id: spawn.id,
            key: spawn.key,
            name: spawn.name.clone(),
            kind: spawn.what.task_kind(),
            args,
            kwargs,
            state: TaskState::Pending,
            result: None,
            error: None,
            arrival: None,
            completed_at: None,
        };
        assert!(self.rows.insert(op, row).is_none(), "operation {op} exists already");
        match spawn.what {
            SpawnKind::Step { outcome: Ok(result), .. } => {
                arrivals.push(self.end(op, TaskState::Completed, Some(result), None));
            }
            SpawnKind::Step { outcome: Err(failure), .. } => {
                arrivals.push(self.end(op, TaskState::Failed, None, Some(failure)));
            }
            SpawnKind::Signal { .. } => {
                if let Some(payload) = self.signals.entry(spawn.name).or_default().pop_front() {
                    arrivals.push(self.end(op, TaskState::Completed, Some(payload), None));
                }
            }
            SpawnKind::Activity { .. } | SpawnKind::Timer { .. } => {}
        }
    }

    fn end(&mut self, op: Op, state: TaskState, result: Option<Payload>, error: Option<Failure>) -> (Op, u64) {
        self.latest += 1;
        self.clock += 1_000_000;
        let row = self.rows.get_mut(&op).unwrap();
        row.state = state;
        row.result = result;
        row.error = error;
        row.arrival = Some(self.latest);
        row.completed_at = Some(Timestamp::from_micros(self.clock));
        (op, self.latest)
    }

    pub fn complete(&mut self, op: Op, result: &str) {
        self.end(op, TaskState::Completed, Some(result.into()), None);
    }

    pub fn fail(&mut self, op: Op, failure: Failure) {
        self.end(op, TaskState::Failed, None, Some(failure));
    }

    /// Opens a failed operation again, as a retry with `retry_children` does: its arrival is gone.
    pub fn reopen(&mut self, op: Op) {
        self.opened = Some(self.opened.map_or(op, |opened| opened.min(op)));
        let row = self.rows.get_mut(&op).unwrap();
        (row.state, row.arrival, row.error, row.completed_at) = (TaskState::Pending, None, None, None);
        self.retries += 1;
    }

    pub fn send(&mut self, name: &str, payload: &str) {
        let wait =
            self.rows.values().find(|row| row.kind == TaskKind::Signal && row.name == name && row.arrival.is_none());
        match wait.map(|row| row.op) {
            Some(op) => self.complete(op, payload),
            None => self.signals.entry(name.to_owned()).or_default().push_back(payload.into()),
        }
    }

    /// Something ends, whatever `choice` picks, with what it was asked for and when as its result.
    pub fn happen(&mut self, choice: usize) {
        let open: Vec<Op> = self.rows.values().filter(|row| row.arrival.is_none()).map(|row| row.op).collect();
        if open.is_empty() {
            return;
        }
        let row = &self.rows[&open[choice % open.len()]];
        let (op, kind, name, key) = (row.op, row.kind, row.name.clone(), row.key.clone());
        let result = format!("\"{key} as number {}\"", self.latest + 1);
        match kind {
            TaskKind::Activity if choice.is_multiple_of(5) => self.fail(op, Failure::new("Unlucky", result)),
            TaskKind::Activity | TaskKind::Timer => self.complete(op, &result),
            TaskKind::Signal => {
                self.sent += 1;
                let payload = self.sent.to_string();
                self.send(&name, &payload);
            }
            TaskKind::Step | TaskKind::Orchestrator => panic!("{kind} is open"),
        }
    }

    pub fn has_arrived(&self, op: Op) -> bool {
        self.rows[&op].arrival.is_some()
    }
}
