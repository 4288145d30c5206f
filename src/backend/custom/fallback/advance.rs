//! Records the transitions of workers.

use super::Fallback;
use super::cleanup::standing;
use super::notes::{Notes, Parked, Place, Waiting, held_by, now};
use super::start::{New, blank};
use crate::backend::decide::{self, Asked, End, Ending, Moved, Standing};
use crate::backend::{
    Claim, Claimed, Commands, NewSignal, Notice, Outcome, Request, Spawn, SpawnKind, Transition, Verdict,
};
use crate::model::{
    CallOptions, Error, ExecutionState, Id, KeyReuse, NAME_MAX, Op, Payload, Result, Task, TaskKind, TaskState,
};

impl Fallback {
    pub(in crate::backend::custom) async fn advance(
        &self,
        transitions: Vec<Transition>,
        claim: Option<Claim>,
    ) -> Result<(Vec<Verdict>, Vec<Claimed>)> {
        let mut verdicts = Vec::with_capacity(transitions.len());
        for transition in transitions {
            verdicts.push(self.record(transition).await?);
        }
        let claimed = match claim {
            Some(claim) => self.claim(&claim).await?,
            None => Vec::new(),
        };
        Ok((verdicts, claimed))
    }

    /// Records one transition. Several of one call may be of the same task.
    async fn record(&self, transition: Transition) -> Result<Verdict> {
        let held = transition.held;
        let Some(mut task) = self.task(held.task).await? else { return Ok(Verdict::LeaseLost) };
        let is_held = task.state == TaskState::Running && fence(&task) == held.fence;
        if is_held && !self.still_holds(&mut task).await? {
            // The lease has ended, so another worker may have the task.
            return Ok(Verdict::LeaseLost);
        }
        let mut notes = Notes::of(&task)?;
        let execution = self.execution(held.execution).await?.map(|execution| standing(&execution));
        let standing = Standing {
            fence: fence(&task),
            state: task.state,
            // An execution that has ended before its tasks, or was deleted, counts as being cancelled for them.
            execution: execution.filter(|state| !state.is_terminal()).unwrap_or(ExecutionState::Cancelling),
            extent: notes.extent(),
        };
        if !decide::holds(&transition, &standing) {
            let verdict = decide::why_not(&transition, &standing, notes.latest());
            if verdict == Verdict::Cancelled && transition.outcome != Outcome::Hold {
                notes.taken = false;
                self.put_back(task, &notes, now()).await?;
                self.finish_cancelled(held.execution).await?;
            }
            return Ok(verdict);
        }
        let arrivals = self.apply(&task, &mut notes, &transition).await?;
        let latest = notes.latest();
        match decide::end_of(&transition) {
            Some(end) => self.end(task, end).await?,
            None => self.go_on(task, notes, &transition.outcome).await?,
        }
        Ok(Verdict::Recorded { arrivals, latest })
    }

    /// Writes the commands.
    async fn apply(&self, task: &Task, notes: &mut Notes, transition: &Transition) -> Result<Vec<(Op, u64)>> {
        let commands = &transition.commands;
        let said = commands.size();
        if said.ops > 0 || (said.effects > 0 && notes.ops > 0) {
            // It has got on. Without a journal its next attempt says all again.
            (notes.crashes, notes.company) = (0, None);
        }
        notes.begun = commands.begun.or(notes.begun);
        notes.ops += said.ops;
        notes.effects += said.effects;
        if commands.heartbeat.is_some() {
            notes.heartbeat.clone_from(&commands.heartbeat);
        }
        let (spawns, cancels_too) = decide::starts(transition);
        let cancels = if cancels_too { commands.cancels.as_slice() } else { &[] };
        let mut new = Vec::with_capacity(spawns.len());
        for spawn in spawns {
            new.push(self.child(task, notes.run, spawn.clone()).await?);
        }
        if !new.is_empty() {
            self.create(new).await?;
            self.hint(Notice::Work { served: None });
        }
        for cancel in cancels {
            if let Some(child) = self.task(cancel.id).await?.filter(|child| !child.state.is_terminal()) {
                self.hint(Notice::Lost(vec![child.id]));
                self.end(child, End::now(cancel.id, Some(task.id), Ending::Cancelled)).await?;
            }
        }
        // Operations that ended within this transition are numbered together with others that have ended by now, in
        // order of time.
        let mut ended: Vec<Op> = decide::steps(commands).into_iter().map(|step| step.op).collect();
        ended.extend(cancels.iter().map(|cancel| cancel.op));
        let before = notes.arrived.len();
        if !ended.is_empty() {
            self.look(task, notes).await?;
        }
        let news = notes.arrived.iter().zip(1..).skip(before);
        let arrivals = news.filter(|(op, _)| ended.contains(op)).map(|(op, number)| (*op, number)).collect();
        self.tell(task.execution_id, commands).await?;
        Ok(arrivals)
    }

    /// Writes the handler's progress lines, counter additions and state values.
    async fn tell(&self, execution_id: Id, commands: &Commands) -> Result<()> {
        let Commands { progress, counters, state, .. } = commands.clone();
        for progress in progress {
            self.call(Request::AppendProgress { execution_id, progress }).await?;
        }
        for (name, amount) in counters {
            self.call(Request::IncrementExecutionCounter { execution_id, name, amount }).await?;
        }
        for (key, value) in state {
            self.call(Request::SetExecutionStateValue { execution_id, key, value }).await?;
        }
        Ok(())
    }

    async fn child(&self, parent: &Task, run: u32, spawn: Spawn) -> Result<Task> {
        let Spawn { id, op, key, name, what } = spawn;
        let place = Place { run, op, key };
        debug_assert!(name.len() <= NAME_MAX, "names are checked at the border");
        let mut task = blank(New {
            id,
            execution: parent.execution_id,
            parent: Some(parent.id),
            kind: what.task_kind(),
            name: &name,
            step_key: Some(place.to_text()),
            at: now(),
        });
        match what {
            SpawnKind::Activity { args, options, args_hash, registered } => {
                let CallOptions { kwargs, delay, idempotency_key, cache_key, task: options, key: _ } = *options;
                let mut notes = Notes { traceparent: Notes::of(parent)?.traceparent, ..Notes::default() };
                let asked = Asked {
                    function: &name,
                    options: &options,
                    idempotency_key: idempotency_key.as_deref(),
                    reuse: KeyReuse::AfterFailure,
                    cache_key: cache_key.as_deref(),
                    args_hash: args_hash.as_ref(),
                    registered: registered.as_deref(),
                };
                self.resolve(&mut task, &mut notes, &asked).await?;
                (task.args, task.kwargs) = (args, kwargs.unwrap_or_else(Payload::empty_object));
                if let Some(delay) = delay.filter(|delay| !delay.is_zero()) {
                    task.scheduled_for = Some(now().after(delay));
                    self.look_at(now().after(delay));
                }
                notes.keep(&mut task);
            }
            SpawnKind::Timer { delay } => {
                task.scheduled_for = Some(now().after(delay));
                self.look_at(now().after(delay));
            }
            SpawnKind::Signal { timeout } => {
                task.state = TaskState::Waiting;
                task.scheduled_for = timeout.map(|timeout| now().after(timeout));
            }
            SpawnKind::Step { started_at, outcome } => {
                (task.started_at, task.completed_at) = (Some(started_at), Some(now()));
                match outcome {
                    Ok(result) => (task.state, task.result) = (TaskState::Completed, Some(result)),
                    Err(failure) => (task.state, task.error) = (TaskState::Failed, Some(failure)),
                }
            }
        }
        Ok(task)
    }

    /// Writes an outcome that does not end the task.
    async fn go_on(&self, mut task: Task, mut notes: Notes, outcome: &Outcome) -> Result<()> {
        let Some(Moved { failure, at, args, .. }) = decide::moved(outcome, now()) else { return Ok(()) };
        if let Some(failure) = failure {
            task.error = Some(failure.clone());
        }
        let mut at = at.unwrap_or_else(now);
        notes.taken = *outcome == Outcome::Hold;
        match outcome {
            Outcome::Hold => {
                notes.keep(&mut task);
                return self.update(task).await;
            }
            Outcome::Retry { reopen, .. } => {
                task.retries += 1;
                (notes.deadline, notes.crashes, notes.company) = (None, 0, None);
                notes.attempt_over();
                if *reopen {
                    self.reopen(&task, &mut notes).await?;
                }
            }
            Outcome::Snooze { .. } => {
                (notes.deadline, notes.crashes, notes.company) = (None, 0, None);
                notes.attempt_over();
                notes.snoozes += 1;
            }
            Outcome::Suspend { mode, ops, known } => {
                (notes.crashes, notes.company) = (0, None);
                self.look(&task, &mut notes).await?;
                let wait = Waiting { mode: *mode, ops: ops.clone(), known: *known, looks: 0 };
                let (over, usual) = (wait.is_over(&notes.arrived), wait.next_look(now()));
                notes.wait = Some(wait);
                if !over {
                    at = self.next_look(&task, &notes, usual).await?;
                }
            }
            Outcome::Park { failure, version } => {
                notes.parked = Some(Parked { failure: failure.clone(), version: version.clone() });
                notes.keep(&mut task);
                task.state = TaskState::Waiting;
                (task.worker_id, task.lease_expires_at) = (None, None);
                return self.update(task).await;
            }
            Outcome::Continue { seen, .. } => {
                self.start_over(&task, &notes, *seen).await?;
                notes = Notes {
                    run: notes.run + 1,
                    args: args.cloned(),
                    ops: 0,
                    effects: 0,
                    opened: None,
                    crashes: 0,
                    company: None,
                    arrived: Vec::new(),
                    heartbeat: None,
                    first_started: Some(now()),
                    ..notes
                };
            }
            Outcome::Release if notes.ops == 0 => notes.started = None,
            Outcome::Release | Outcome::Complete { .. } | Outcome::DeadLetter { .. } | Outcome::PassUp { .. } => {}
        }
        self.put_back(task, &notes, at).await
    }

    /// Cancels the unfinished operations of the old run, and sends signals again that it took but had not seen.
    async fn start_over(&self, task: &Task, notes: &Notes, seen: u64) -> Result<()> {
        for (place, child) in self.children(task, notes.run).await? {
            let unseen = notes.arrival(place.op).is_none_or(|arrival| arrival > seen);
            if child.kind == TaskKind::Signal && child.state == TaskState::Completed && unseen {
                let payload = child.result.clone().unwrap_or_else(Payload::null);
                let (execution, name) = (child.execution_id, child.step_name.clone());
                self.send(NewSignal { execution, name, payload, id: None }).await?;
            }
            if !child.state.is_terminal() {
                let end = End::now(child.id, Some(task.id), Ending::Cancelled);
                self.end(child, end).await?;
            }
        }
        Ok(())
    }

    /// Resumes a parked task.
    pub(in crate::backend::custom) async fn resume(&self, id: Id) -> Result<()> {
        let task = self.task(id).await?.ok_or_else(|| decide::unknown_task(id))?;
        let mut notes = Notes::of(&task)?;
        if notes.parked.take().is_none() {
            return Err(Error::conflict(format!("the task {id} is not parked; it is {}", task.state)));
        }
        self.put_back(task, &notes, now()).await?;
        self.hint(Notice::Work { served: None });
        Ok(())
    }
}

/// The fence of the holder, or of the last one; 0 if there was none.
fn fence(task: &Task) -> u64 {
    held_by(task).map_or(0, |(_, fence)| fence)
}
