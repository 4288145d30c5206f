//! Requests of a handler: an operation is found in the journal by its key, or issued.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Cancel, Spawn, SpawnKind};
use crate::model::{
    CallOptions, Error, Failure, FunctionOptions, Id, OPS_MAX, Op, Payload, Result, StepToken, TaskKind, Timestamp,
    check_name, child_id,
};

use super::entry::{Cancelling, Entry, Request, Stage};
use super::{Machine, OpOutcome, StepBegun, mismatch};

/// The name of every timer, in keys and in the journal.
const TIMER: &str = "sleep";

/// What the caller knows of a call that it does not say.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Of the arguments, where the store may need it.
    pub args_hash: Option<[u8; 32]>,
    /// The function's options, where the store may not know them.
    pub registered: Option<Arc<FunctionOptions>>,
}

impl Machine {
    /// `same` compares two arguments of which the bytes differ.
    pub fn activity(
        &mut self,
        function: &str,
        args: Payload,
        options: CallOptions,
        known: Known,
        same: &dyn Fn(&Payload, &Payload) -> bool,
    ) -> Result<Op> {
        check_name("function", function)?;
        let request = Request {
            kind: TaskKind::Activity,
            name: function.to_owned(),
            args: args.clone(),
            kwargs: options.kwargs.clone().unwrap_or_else(Payload::empty_object),
        };
        let found = self.ask(request, function, options.key.as_deref(), Stage::Spawned, same)?;
        let Known { args_hash, registered } = known;
        self.spawn_if_new(found, SpawnKind::Activity { args, options: Box::new(options), args_hash, registered });
        Ok(found.op)
    }

    /// The delay is used only for a new timer; a recorded one keeps the time of its first run. Another delay is no mismatch:
    /// it may come from a setting or from a clock.
    pub fn timer(&mut self, key: Option<&str>, delay: Duration) -> Result<Op> {
        let found = self.ask(Request::of(TaskKind::Timer, TIMER), TIMER, key, Stage::Spawned, &no_input)?;
        self.spawn_if_new(found, SpawnKind::Timer { delay });
        Ok(found.op)
    }

    pub fn signal(&mut self, name: &str, key: Option<&str>, timeout: Option<Duration>) -> Result<Op> {
        check_name("signal", name)?;
        let base = format!("signal:{name}");
        let found = self.ask(Request::of(TaskKind::Signal, name), &base, key, Stage::Spawned, &no_input)?;
        self.spawn_if_new(found, SpawnKind::Signal { timeout });
        Ok(found.op)
    }

    pub fn step_begin(&mut self, name: &str, key: Option<&str>) -> Result<StepBegun> {
        check_name("step", name)?;
        let found = self.ask(Request::of(TaskKind::Step, name), name, key, Stage::Begun, &no_input)?;
        if let Some(end) = self.entries.get(&found.op).and_then(|entry| entry.end.as_ref()) {
            self.pass.position = self.pass.position.max(end.arrival);
        }
        Ok(StepBegun { op: found.op, recorded: !found.new })
    }

    /// By what its own transaction records a step that has begun.
    pub fn step_token(&self, op: Op, execution: Id, started_at: Timestamp) -> Result<StepToken> {
        let Entry { id, key, request, .. } = self.requested(op)?;
        let (key, name) = (key.to_string(), request.name.clone());
        Ok(StepToken { task: self.task, execution, fence: self.fence, op, id: *id, started_at, key, name })
    }

    /// Is its record in the journal, as far as that is loaded?
    pub fn is_recorded(&self, op: Op) -> bool {
        self.entries.get(&op).is_some_and(|entry| entry.stage == Stage::Recorded)
    }

    /// Stages the step with its outcome. It can be awaited when its commit is confirmed.
    pub fn step_end(&mut self, op: Op, started_at: Timestamp, outcome: Result<Payload, Failure>) -> Result<()> {
        self.sound()?;
        let outcome = outcome.map_err(Failure::bounded);
        let entry = self.requested(op)?;
        let (key, name) = (&entry.key, &entry.request.name);
        if entry.request.kind != TaskKind::Step {
            let kind = entry.request.kind;
            return Err(Error::invalid(format!(
                "operation {op} ({key}) is not a step but of kind {kind}; it ends by itself"
            )));
        }
        match entry.stage {
            Stage::Begun => {}
            Stage::Ended(_) => {
                return Err(Error::conflict(format!("step {name} ({key}) has ended already; end each step once")));
            }
            Stage::Spawned | Stage::Recorded => {
                return Err(Error::conflict(format!(
                    "step {name} ({key}) is recorded already; take its result when step_begin says so"
                )));
            }
        }
        let ended = match &outcome {
            Ok(result) => OpOutcome::Completed(result.clone()),
            Err(failure) => OpOutcome::Failed(failure.clone()),
        };
        self.spawn(op, SpawnKind::Step { started_at, outcome });
        if let Some(entry) = self.entries.get_mut(&op) {
            entry.stage = Stage::Ended(ended);
        }
        Ok(())
    }

    /// Cancels an operation. One that has arrived stays as it is, except a signal wait whose signal was not delivered:
    /// it is cancelled, so that the signal can be taken again. The result is known when the commit is confirmed.
    pub fn cancel(&mut self, op: Op) -> Result<()> {
        self.sound()?;
        let entry = self.requested(op)?;
        if entry.stage == Stage::Begun {
            return Err(Error::invalid(format!(
                "operation {op} ({}) is a step that runs in this handler; end it instead",
                entry.key
            )));
        }
        if entry.cancel != Cancelling::No || entry.delivered || matches!(entry.stage, Stage::Ended(_)) {
            return Ok(());
        }
        let id = entry.id;
        if let Some(end) = &entry.end {
            let (arrival, was_cancelled) = (end.arrival, end.outcome == OpOutcome::Cancelled);
            let holds_signal = entry.request.kind == TaskKind::Signal && matches!(end.outcome, OpOutcome::Completed(_));
            self.pass.position = self.pass.position.max(arrival);
            if !holds_signal {
                if let Some(entry) = self.entries.get_mut(&op).filter(|_| was_cancelled) {
                    entry.cancel = Cancelling::Settled;
                }
                return Ok(());
            }
            self.pass.ready.remove(&arrival);
        }
        if let Some(entry) = self.entries.get_mut(&op) {
            entry.cancel = Cancelling::Pending;
        }
        self.pass.fresh = true;
        self.pass.staged.cancels.push(Cancel { op, id });
        Ok(())
    }

    /// Finds the operation of this key in the journal, or adds it.
    fn ask(
        &mut self,
        request: Request,
        base: &str,
        own_key: Option<&str>,
        stage: Stage,
        same: &dyn Fn(&Payload, &Payload) -> bool,
    ) -> Result<Found> {
        self.sound()?;
        let uses = self.pass.uses.get(base).copied().unwrap_or(0) + 1;
        let key = match own_key {
            Some(own) => check_own_key(own)?.to_owned(),
            None => format!("{base}#{uses}"),
        };
        let recorded = self.by_key.get(key.as_str()).copied();
        self.tell_first(recorded)?;
        let known = recorded.and_then(|op| Some((op, self.entries.get(&op)?)));
        let found = match known {
            Some((op, entry)) => {
                check_first(entry)?;
                let due = if own_key.is_none() { self.check_due(op, &request) } else { Ok(()) };
                let fits = || mismatch::between(&entry.key, &entry.request, &request, same).map_or(Ok(()), Err);
                due.and_then(|()| fits()).map_err(|error| self.stop(error))?;
                self.ask_again(op)
            }
            None => {
                let place = if own_key.is_none() { self.place_for(&key, &request) } else { Ok(None) };
                let place = place.map_err(|error| self.stop(error))?;
                self.tell_of_new()?;
                self.add(&key, request, stage, place)?
            }
        };
        if own_key.is_none() {
            match self.pass.uses.get_mut(base) {
                Some(count) => *count = uses,
                None => drop(self.pass.uses.insert(base.to_owned(), uses)),
            }
        }
        Ok(found)
    }

    fn ask_again(&mut self, op: Op) -> Found {
        if let Some(entry) = self.entries.get_mut(&op) {
            entry.requested = true;
            // What was kept in memory knows better.
            entry.asked = entry.asked.max(self.pass.clock);
        }
        self.pass.unrequested = self.pass.unrequested.saturating_sub(1);
        self.asked_for(op);
        self.make_ready(op);
        Found { op, new: false }
    }

    /// `place`: its number; `None` is the next after all others.
    fn add(&mut self, key: &str, request: Request, stage: Stage, place: Option<Op>) -> Result<Found> {
        if place.is_none() && self.last_op >= OPS_MAX {
            return Err(Error::invalid(format!(
                "operation {key} would be one more than the {OPS_MAX} that a task may have; \
                 continue the task with new arguments and an empty journal"
            ))
            .with("key", key));
        }
        let op = place.unwrap_or(self.last_op + 1);
        self.last_op = self.last_op.max(op);
        self.pass.fresh = true;
        let key: Arc<str> = key.into();
        let entry = Entry {
            id: child_id(self.task, self.run, &key),
            key: Arc::clone(&key),
            request,
            stage,
            end: None,
            requested: true,
            asked: self.claimed_at.max(self.pass.clock),
            delivered: false,
            cancel: Cancelling::No,
        };
        self.by_key.insert(key, op);
        self.entries.insert(op, entry);
        Ok(Found { op, new: true })
    }

    fn spawn_if_new(&mut self, found: Found, what: SpawnKind) {
        if found.new {
            self.spawn(found.op, what);
        }
    }

    fn spawn(&mut self, op: Op, what: SpawnKind) {
        if let Some(entry) = self.entries.get(&op) {
            let (key, name) = (entry.key.to_string(), entry.request.name.clone());
            self.pass.staged.spawns.push(Spawn { id: entry.id, op, key, name, what });
        }
    }
}

#[derive(Clone, Copy)]
struct Found {
    op: Op,
    new: bool,
}

/// Fails if this pass has asked for the operation before.
fn check_first(entry: &Entry) -> Result<()> {
    if !entry.requested {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the key \"{}\" is used twice in this run; give each operation a key of its own",
        entry.key
    ))
    .with("key", &*entry.key))
}

fn no_input(_: &Payload, _: &Payload) -> bool {
    true
}

/// Refuses `#` in a caller's key, which is for keys made of name and number.
fn check_own_key(key: &str) -> Result<&str> {
    check_name("key", key)?;
    if key.contains('#') {
        return Err(Error::invalid(format!(
            "the key \"{key}\" contains '#', which stands in the keys that are made of name and number; leave it out"
        ))
        .with("key", key));
    }
    Ok(key)
}
