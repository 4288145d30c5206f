//! Delivers what has arrived to the handler.

use crate::model::{Error, Failure, Op, Result, TaskKind, Timestamp, WaitMode};

use super::entry::{Cancelling, Stage};
use super::{Delivery, Machine, OpOutcome, Poll, Waited};

impl Machine {
    /// Delivers the awaited operations if they have arrived: for ALL every one, for ANY the one that arrived first
    /// (again, if it is awaited again). ALL of no operations is fulfilled at once.
    pub fn poll(&mut self, ops: &[Op], mode: WaitMode) -> Result<Poll> {
        self.sound()?;
        if mode == WaitMode::Any && ops.is_empty() {
            return Err(Error::invalid("any of no operations is awaited, which would never end; give at least one"));
        }
        let mut first: Option<(u64, Op)> = None;
        let (mut missing, mut recalled) = (false, false);
        for &op in ops {
            let entry = self.requested(op)?;
            if entry.stage == Stage::Begun {
                return Err(Error::invalid(format!(
                    "operation {op} ({}) is a step that runs in this handler; end it before it is awaited",
                    entry.key
                )));
            }
            match entry.visible() {
                Some(end) => first = Some(first.map_or((end.arrival, op), |first| first.min((end.arrival, op)))),
                None => missing = true,
            }
            recalled |= entry.cancel == Cancelling::Pending && entry.end.is_some();
        }
        let ready = match mode {
            WaitMode::All => !missing,
            // The first one counts only if no unknown arrival may have come before it.
            WaitMode::Any => first.is_some_and(|(arrival, _)| !missing || (!recalled && arrival <= self.known)),
        };
        if ready {
            match mode {
                WaitMode::All => ops.iter().for_each(|op| self.deliver(*op)),
                WaitMode::Any => first.iter().for_each(|(_, op)| self.deliver(*op)),
            }
            return Ok(Poll::Ready { first: first.map_or(0, |(_, op)| op) });
        }
        let undecided = mode == WaitMode::Any && first.is_some_and(|(arrival, _)| arrival > self.known);
        if undecided || self.behind() {
            return Ok(Poll::NeedNews);
        }
        self.check_wait(ops)?;
        self.pass.fresh = true;
        let waits =
            |op: &Op| mode == WaitMode::Any || self.entries.get(op).is_none_or(|entry| entry.visible().is_none());
        Ok(Poll::Waiting { mode, ops: ops.iter().copied().filter(waits).collect() })
    }

    /// For coroutines, which take one arrival at a time: delivers the next one of all that was asked for, in order of
    /// arrival. To be called when the host has nothing left to do with the last one.
    pub fn next_delivery(&mut self) -> Result<Delivery> {
        self.sound()?;
        let next = self.pass.ready.first_key_value().map(|(arrival, op)| (*arrival, *op));
        match next {
            Some((arrival, op)) if arrival <= self.known => {
                self.deliver(op);
                Ok(Delivery::Op(op))
            }
            Some(_) => Ok(Delivery::NeedNews),
            None if self.behind() => Ok(Delivery::NeedNews),
            None => {
                self.check_wait(&[])?;
                self.pass.fresh = true;
                Ok(Delivery::Nothing)
            }
        }
    }

    /// How an operation ended, once it was delivered.
    pub fn outcome(&self, op: Op) -> Result<Option<OpOutcome>> {
        self.sound()?;
        let entry = self.requested(op)?;
        Ok(entry.end.as_ref().filter(|_| entry.delivered).map(|end| end.outcome.clone()))
    }

    /// The time of the last arrival that was delivered, else of the task's creation; it never goes back. Steps and
    /// cancellations don't change it: the run that makes them is not told when the store recorded them, and a replay
    /// must give the same time.
    pub fn now(&self) -> Timestamp {
        self.pass.clock
    }

    /// Is this the failure of an operation that was delivered in this pass? Only fields that survive a conversion to
    /// the host's own type and back are compared.
    pub fn is_child_failure(&self, failure: &Failure) -> bool {
        let same = |other: &Failure| {
            (&other.kind, &other.message, &other.code, &other.details)
                == (&failure.kind, &failure.message, &failure.code, &failure.details)
        };
        self.pass.failures.iter().filter_map(|op| self.entries.get(op)?.end.as_ref()).any(|end| match &end.outcome {
            OpOutcome::Failed(other) => same(other),
            OpOutcome::Completed(_) | OpOutcome::Cancelled => false,
        })
    }

    /// The waits that are over, of those that this pass was told of.
    pub fn waits(&self) -> impl Iterator<Item = Waited<'_>> {
        let told = self.entries.values().filter(|entry| entry.delivered);
        let waits = told.filter(|entry| matches!(entry.request.kind, TaskKind::Timer | TaskKind::Signal));
        waits.filter_map(|entry| {
            let end = entry.end.as_ref()?;
            Some(Waited {
                id: entry.id,
                kind: entry.request.kind,
                name: &entry.request.name,
                key: &entry.key,
                asked: entry.asked,
                ended: end.at?,
                outcome: &end.outcome,
            })
        })
    }

    fn deliver(&mut self, op: Op) {
        let Some(entry) = self.entries.get_mut(&op) else { return };
        let Some(end) = entry.end.as_ref().filter(|_| !entry.delivered) else { return };
        entry.delivered = true;
        let pass = &mut self.pass;
        pass.ready.remove(&end.arrival);
        pass.position = pass.position.max(end.arrival);
        if matches!(end.outcome, OpOutcome::Failed(_)) {
            pass.failures.push(op);
        }
        if entry.request.kind != TaskKind::Step && end.outcome != OpOutcome::Cancelled {
            pass.seen = pass.seen.max(end.arrival);
            pass.clock = end.at.map_or(pass.clock, |at| pass.clock.max(at));
        }
        self.hear(op);
    }

    pub(super) fn make_ready(&mut self, op: Op) {
        let Some(entry) = self.entries.get(&op).filter(|entry| entry.requested && !entry.delivered) else { return };
        if let Some(end) = entry.visible() {
            self.pass.ready.insert(end.arrival, op);
        }
    }
}
