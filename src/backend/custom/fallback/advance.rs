//! What a worker says of a task that it holds.

use super::Fallback;
use super::notes::{Notes, Parked, Place, Waiting, held_by, now};
use super::start::{New, blank};
use crate::backend::decide::{self, Asked, End, Ending};
use crate::backend::{Claim, Claimed, Commands, Notice, Outcome, Request, Spawn, SpawnKind, Transition, Verdict};
use crate::model::{CallOptions, Error, ExecutionState, NAME_MAX, Op, Payload, Result, Task, TaskKind, TaskState};

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

    async fn record(&self, transition: Transition) -> Result<Verdict> {
        let end = decide::end_of(&transition);
        let Transition { held, commands, outcome } = transition;
        let Some(mut task) = self.task(held.task).await? else { return Ok(Verdict::LeaseLost) };
        if task.state.is_terminal() {
            return Ok(repeated(&task, &outcome));
        }
        if held_by(&task).is_none_or(|(_, fence)| fence != held.fence) || !self.still_holds(&mut task).await? {
            return Ok(Verdict::LeaseLost);
        }
        let mut notes = Notes::of(&task)?;
        let execution = self.execution(held.execution).await?;
        if execution.is_none_or(|found| found.state.is_terminal() || found.state == ExecutionState::Cancelling) {
            if outcome != Outcome::Hold {
                notes.taken = false;
                self.put_back(task, &notes, now()).await?;
                self.finish_cancelled(held.execution).await?;
            }
            return Ok(Verdict::Cancelled);
        }
        let arrivals = self.apply(&task, &mut notes, commands, end.is_some()).await?;
        let latest = notes.latest();
        match end {
            Some(end) => self.end(task, end).await?,
            None => self.decide(task, notes, outcome).await?,
        }
        Ok(Verdict::Recorded { arrivals, latest })
    }

    /// Everything beside the outcome; an ending task starts nothing more.
    async fn apply(&self, task: &Task, notes: &mut Notes, commands: Commands, ends: bool) -> Result<Vec<(Op, u64)>> {
        let execution_id = task.execution_id;
        notes.effects += commands.effects();
        if commands.heartbeat.is_some() {
            notes.heartbeat = commands.heartbeat;
        }
        let mut new = Vec::new();
        let mut steps = Vec::new();
        let mut arrivals = Vec::new();
        for spawn in commands.spawns {
            let is_step = spawn.what.task_kind() == TaskKind::Step;
            if ends && !is_step {
                continue;
            }
            notes.ops = notes.ops.max(spawn.op);
            if is_step {
                steps.push(spawn.op);
            }
            new.push(self.child(task, notes.run, spawn).await?);
        }
        if !new.is_empty() {
            notes.crashes = 0;
            self.create(new).await?;
            self.hint(Notice::Work { served: None });
        }
        // What is in the store by now is numbered before what has ended in this very transition.
        if !steps.is_empty() || !commands.cancels.is_empty() {
            for cancel in &commands.cancels {
                if let Some(child) = self.task(cancel.id).await?.filter(|child| !child.state.is_terminal()) {
                    self.hint(Notice::Lost(vec![child.id]));
                    self.end(child, End::now(cancel.id, Some(task.id), Ending::Cancelled)).await?;
                }
            }
            let before = notes.arrived.len();
            self.look(task, notes).await?;
            let ended = |op: &Op| steps.contains(op) || commands.cancels.iter().any(|cancel| cancel.op == *op);
            let news = notes.arrived.iter().enumerate().skip(before);
            arrivals.extend(news.filter(|(_, op)| ended(op)).map(|(at, op)| (*op, at as u64 + 1)));
        }
        for progress in commands.progress {
            self.call(Request::AppendProgress { execution_id, progress }).await?;
        }
        for (name, amount) in commands.counters {
            self.call(Request::IncrementExecutionCounter { execution_id, name, amount }).await?;
        }
        for (key, value) in commands.state {
            self.call(Request::SetExecutionStateValue { execution_id, key, value }).await?;
        }
        Ok(arrivals)
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
            SpawnKind::Activity { args, options, args_hash } => {
                let CallOptions { kwargs, delay, idempotency_key, cache_key, task: options, key: _ } = *options;
                let mut notes = Notes { traceparent: Notes::of(parent)?.traceparent, ..Notes::default() };
                let asked = Asked {
                    function: &name,
                    options: &options,
                    idempotency_key: idempotency_key.as_deref(),
                    cache_key: cache_key.as_deref(),
                    args_hash: args_hash.as_ref(),
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

    async fn decide(&self, mut task: Task, mut notes: Notes, outcome: Outcome) -> Result<()> {
        notes.taken = outcome == Outcome::Hold;
        match outcome {
            Outcome::Hold => {
                notes.keep(&mut task);
                self.update(task).await
            }
            Outcome::Complete { .. } | Outcome::DeadLetter { .. } | Outcome::PassUp { .. } => Ok(()),
            Outcome::Retry { failure, delay, reopen } => {
                task.retries += 1;
                task.error = Some(failure);
                (notes.deadline, notes.crashes) = (None, 0);
                if reopen {
                    self.reopen(&task, &mut notes).await?;
                }
                self.put_back(task, &notes, now().after(delay)).await
            }
            Outcome::Release => self.put_back(task, &notes, now()).await,
            Outcome::Suspend { mode, ops, known } => {
                notes.crashes = 0;
                self.look(&task, &mut notes).await?;
                let wait = Waiting { mode, ops, known, looks: 0 };
                let over = wait.is_over(&notes.arrived);
                let usual = wait.next_look(now());
                notes.wait = Some(wait);
                let at = if over { now() } else { self.next_look(&task, &notes, usual).await? };
                self.put_back(task, &notes, at).await
            }
            Outcome::Park { failure, version } => {
                notes.parked = Some(Parked { failure: failure.clone(), version });
                notes.keep(&mut task);
                (task.state, task.error) = (TaskState::Waiting, Some(failure));
                (task.worker_id, task.lease_expires_at) = (None, None);
                self.update(task).await
            }
            Outcome::Continue { args, seen } => {
                self.start_over(&task, &notes, seen).await?;
                notes = Notes {
                    run: notes.run + 1,
                    args: Some(args),
                    ops: 0,
                    effects: 0,
                    opened: None,
                    crashes: 0,
                    arrived: Vec::new(),
                    heartbeat: None,
                    ..notes
                };
                self.put_back(task, &notes, now()).await
            }
        }
    }

    /// What goes on from the old run is cancelled; signals that it took and had not seen are sent again.
    async fn start_over(&self, task: &Task, notes: &Notes, seen: u64) -> Result<()> {
        for (place, child) in self.children(task, notes.run).await? {
            let unseen = notes.arrival(place.op).is_none_or(|arrival| arrival > seen);
            if child.kind == TaskKind::Signal && child.state == TaskState::Completed && unseen {
                let payload = child.result.clone().unwrap_or_else(crate::model::Payload::null);
                let (execution, name) = (child.execution_id, child.step_name.clone());
                self.send(crate::backend::NewSignal { execution, name, payload, id: None }).await?;
            }
            if !child.state.is_terminal() {
                let end = End::now(child.id, Some(task.id), Ending::Cancelled);
                self.end(child, end).await?;
            }
        }
        Ok(())
    }

    /// A parked task goes on.
    pub(in crate::backend::custom) async fn resume(&self, id: crate::model::Id) -> Result<()> {
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

/// The same end again: the answer to the first one was lost.
fn repeated(task: &Task, outcome: &Outcome) -> Verdict {
    let same = match outcome {
        Outcome::Complete { .. } => task.state == TaskState::Completed,
        Outcome::DeadLetter { .. } | Outcome::PassUp { .. } => task.state == TaskState::Failed,
        _ => false,
    };
    if same { Verdict::Recorded { arrivals: Vec::new(), latest: 0 } } else { Verdict::LeaseLost }
}
