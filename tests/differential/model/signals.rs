//! Signals: a list for each execution and name, of which the oldest wait takes the oldest.

use stent::backend::NewSignal;
use stent::model::{Error, ExecutionState, Id, Payload, Result, Signal, TaskKind, TaskState};

use super::ends::{End, Ending};
use super::state::{Sent, State};

impl State {
    pub fn signal(&mut self, new: &NewSignal) -> Result<()> {
        let state = self.execution_state(new.execution).ok_or_else(|| Error::not_found("no such execution"))?;
        if state.is_terminal() || state == ExecutionState::Cancelling {
            return Err(Error::conflict("it does not go on"));
        }
        let record = Signal {
            execution_id: new.execution,
            name: new.name.clone(),
            payload: new.payload.clone(),
            created_at: self.now,
            consumed: false,
            consumed_at: None,
            id: new.id.clone(),
            sequence: 0,
        };
        if self.append(record) {
            self.hand_out(new.execution, &new.name);
            self.wake();
        }
        Ok(())
    }

    /// The protocol's: a signal as a record, sent or consumed.
    pub fn create_signal(&mut self, mut record: Signal) -> Result<()> {
        let (execution, name) = (record.execution_id, record.name.clone());
        self.run_of(execution)?;
        if !record.consumed {
            record.consumed_at = None;
            self.append(record);
            self.hand_out(execution, &name);
            self.wake();
            return Ok(());
        }
        let now = self.now;
        match self.oldest(execution, &name) {
            Some(sent) => {
                (sent.record.consumed, sent.record.consumed_at) = (true, Some(record.consumed_at.unwrap_or(now)));
            }
            None => {
                self.append(record);
            }
        }
        Ok(())
    }

    /// False: one of the same id is there.
    fn append(&mut self, record: Signal) -> bool {
        let same = |sent: &Sent| {
            (sent.record.execution_id, &sent.record.name, &sent.record.id)
                == (record.execution_id, &record.name, &record.id)
        };
        if record.id.is_some() && self.signals.iter().any(same) {
            return false;
        }
        self.signals.push(Sent { record, taken_by: None });
        true
    }

    fn oldest(&mut self, execution: Id, name: &str) -> Option<&mut Sent> {
        self.signals
            .iter_mut()
            .find(|sent| sent.record.execution_id == execution && sent.record.name == name && !sent.record.consumed)
    }

    pub fn hand_out(&mut self, execution: Id, name: &str) {
        loop {
            let waits = self.ordered(|job| {
                let task = &job.record;
                task.kind == TaskKind::Signal
                    && task.state == TaskState::Waiting
                    && task.execution_id == execution
                    && task.step_name == name
            });
            let now = self.now;
            let (Some(wait), Some(sent)) = (waits.first().copied(), self.oldest(execution, name)) else { return };
            (sent.record.consumed, sent.record.consumed_at, sent.taken_by) = (true, Some(now), Some(wait));
            let payload = sent.record.payload.clone();
            self.finish(vec![End::now(wait, Ending::Completed(payload))]);
        }
    }

    /// A wait that took a signal which nobody has seen ends again, as cancelled; the signal is offered again.
    pub fn put_back(&mut self, wait: Id) -> Option<u64> {
        let task = &self.tasks.get(&wait)?.record;
        let parent = task.parent_task_id?;
        if task.kind != TaskKind::Signal || task.state != TaskState::Completed {
            return None;
        }
        let sent = self.signals.iter_mut().find(|sent| sent.taken_by == Some(wait))?;
        (sent.record.consumed, sent.record.consumed_at, sent.taken_by) = (false, None, None);
        let (execution, name) = (sent.record.execution_id, sent.record.name.clone());
        let arrival = self.next_arrival(parent);
        self.deliver(parent, arrival, None);
        let job = self.tasks.get_mut(&wait)?;
        (job.record.state, job.record.result, job.arrival) = (TaskState::Cancelled, None, Some(arrival));
        self.hand_out(execution, &name);
        Some(arrival)
    }

    /// The oldest that is not consumed, else the newest that is.
    pub fn get_signal(&self, execution: Id, name: &str) -> Option<Signal> {
        let all = || self.signals.iter().map(|s| &s.record).filter(|s| s.execution_id == execution && s.name == name);
        all().find(|s| !s.consumed).or_else(|| all().last()).cloned()
    }

    /// A fork has those that nobody has taken.
    pub fn copy_signals(&mut self, from: Id, to: Id) {
        let copy = |sent: &Sent| Sent { record: Signal { execution_id: to, ..sent.record.clone() }, taken_by: None };
        let open = self.signals.iter().filter(|sent| sent.record.execution_id == from && !sent.record.consumed);
        let copies: Vec<Sent> = open.map(copy).collect();
        self.signals.extend(copies);
    }
}

/// A payload that there is no word for.
pub fn or_null(payload: Option<Payload>) -> Payload {
    payload.unwrap_or_else(Payload::null)
}
