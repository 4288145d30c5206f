//! The durable operations. Each is recorded under its key, and a replay returns what is recorded.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::Task;
use super::core::{State, TaskCore};
use crate::executor::replay::{Known, Machine, OpOutcome, Poll, StepBegun};
use crate::model::{
    CallOptions, Error, Failure, Op, Payload, Result, WaitMode, WaitSignalOptions, check_name, check_size,
};

impl Task {
    /// Calls a function and returns its result: [`Task::spawn_call`], await, [`Task::result`].
    ///
    /// # Errors
    /// `FAILED` with the child's failure; `CANCELLED`; `SUSPEND`; `INVALID`; `NONDETERMINISM`.
    pub fn call(&self, function: &str, args: Payload, options: CallOptions) -> Result<Payload> {
        let core = self.core();
        core.may_wait()?;
        let op = self.spawn_call(function, args, options)?;
        self.await_ops(&[op], WaitMode::All, None)?;
        let result = core.result(op, &format!("the call of '{function}'"));
        core.noted(result)
    }

    /// Calls a function once for each array of arguments, all at once, and gives the results in the same order. A
    /// key of the options is made one key for each call: `key#1`, `key#2` and so on.
    ///
    /// # Errors
    /// As [`Task::call`]; when all have ended and some have not completed, that of the first of these to arrive.
    pub fn map(&self, function: &str, args_list: Vec<Payload>, options: CallOptions) -> Result<Vec<Payload>> {
        let core = self.core();
        core.may_wait()?;
        let mut ops = Vec::with_capacity(args_list.len());
        for (args, number) in args_list.into_iter().zip(1_u32..) {
            let mut options = options.clone();
            options.key = options.key.map(|key| format!("{key}#{number}"));
            ops.push(self.spawn_call(function, args, options)?);
        }
        self.await_ops(&ops, WaitMode::All, None)?;
        let results = core.results(&ops, function);
        core.noted(results)
    }

    /// Waits for this long, by the store's clock. The end is fixed when the sleep is first asked for.
    pub fn sleep(&self, delay: Duration, key: Option<&str>) -> Result<()> {
        let core = self.core();
        core.may_wait()?;
        let op = self.spawn_sleep(delay, key)?;
        self.await_ops(&[op], WaitMode::All, None)?;
        let result = core.result(op, "the sleep");
        core.noted(result).map(drop)
    }

    /// Waits for a signal and takes its payload.
    ///
    /// # Errors
    /// `FAILED` with a failure of type `SignalTimeout` when it did not come in time.
    pub fn wait_signal(&self, name: &str, options: WaitSignalOptions) -> Result<Payload> {
        let core = self.core();
        core.may_wait()?;
        let op = self.spawn_wait_signal(name, options)?;
        self.await_ops(&[op], WaitMode::All, None)?;
        let result = core.result(op, &format!("the wait for the signal '{name}'"));
        core.noted(result)
    }

    /// Begins a step that the handler runs itself. `recorded`: it ran before; take its outcome by [`Task::result`]
    /// and do not run it again. Else run it and call [`Task::step_end`].
    pub fn step_begin(&self, name: &str, key: Option<&str>) -> Result<StepBegun> {
        let core = self.core();
        let begun = core.step_begin(name, key);
        core.noted(begun)
    }

    /// Ends a step. It is recorded when this returns; until then it blocks.
    ///
    /// # Errors
    /// `LEASE_LOST`: it is not recorded.
    pub fn step_end(&self, op: Op, outcome: Result<Payload, Failure>) -> Result<()> {
        let core = self.core();
        let ended = core.step_end(op, outcome.map_err(|failure| core.with_known_wait(failure)));
        core.noted(ended)
    }

    /// Starts a call without waiting for it. It is recorded with the next wait or the end of the task; when there are
    /// many, in chunks on the way.
    pub fn spawn_call(&self, function: &str, args: Payload, options: CallOptions) -> Result<Op> {
        let core = self.core();
        let op = core.spawn_call(function, args, options);
        core.noted(op)
    }

    /// Starts a timer without waiting for it; see [`Task::sleep`].
    pub fn spawn_sleep(&self, delay: Duration, key: Option<&str>) -> Result<Op> {
        let core = self.core();
        let op = core.open().and_then(|mut state| {
            let op = state.machine(&core.claimed).timer(key, delay)?;
            core.commit_full_chunk(state).map(|_| op)
        });
        core.noted(op)
    }

    /// Starts a wait for a signal; see [`Task::wait_signal`].
    pub fn spawn_wait_signal(&self, name: &str, options: WaitSignalOptions) -> Result<Op> {
        let core = self.core();
        let op = core.open().and_then(|mut state| {
            let op = state.machine(&core.claimed).signal(name, options.key.as_deref(), options.timeout)?;
            core.commit_full_chunk(state).map(|_| op)
        });
        core.noted(op)
    }

    /// Cancels an operation; returns when that is recorded. Nothing happens if it has ended. Its result is `CANCELLED`
    /// from then on.
    pub fn cancel_op(&self, op: Op) -> Result<()> {
        let core = self.core();
        let cancelled = core.open().and_then(|mut state| {
            state.machine(&core.claimed).cancel(op)?;
            if state.polled.is_some() { Ok(()) } else { core.commit(state).map(drop) }
        });
        core.noted(cancelled)
    }
}

impl TaskCore {
    fn spawn_call(self: &Arc<Self>, function: &str, args: Payload, options: CallOptions) -> Result<Op> {
        check_name("function", function)?;
        options.task.check()?;
        check_size("args", &args)?;
        if let Some(kwargs) = &options.kwargs {
            check_size("kwargs", kwargs)?;
        }
        let canonical = &self.holder.core().canonical;
        let args_hash = self.needs_hash(function, &options).then(|| match &options.kwargs {
            Some(kwargs) => canonical.hash(&args, kwargs),
            None => canonical.hash(&args, &Payload::empty_object()),
        });
        // What this worker has declared itself is known to the store.
        let elsewhere = self.holder.options_of(function).is_none();
        let registered = elsewhere.then(|| self.holder.core().declared.get(function)).flatten();
        let mut state = self.open()?;
        let machine = state.machine(&self.claimed);
        let op =
            machine.activity(function, args, options, Known { args_hash, registered }, &|a, b| canonical.same(a, b))?;
        self.commit_full_chunk(state).map(|_| op)
    }

    /// The store needs the hash for caches and idempotency keys. Only for a function that is registered here, and uses
    /// neither, is it known that it is not needed.
    fn needs_hash(&self, function: &str, options: &CallOptions) -> bool {
        let by_function = self.holder.options_of(function).is_none_or(|known| known.cached || known.idempotent);
        by_function
            || options.task.cached == Some(true)
            || options.cache_key.is_some()
            || options.idempotency_key.is_some()
    }

    fn results(&self, ops: &[Op], function: &str) -> Result<Vec<Payload>> {
        let mut state = self.state();
        self.check(&state)?;
        self.results_in(&mut state, ops, &format!("of '{function}'"))
    }

    /// The results of operations that have all been delivered.
    pub(super) fn results_in(&self, state: &mut State, ops: &[Op], of: &str) -> Result<Vec<Payload>> {
        let machine = state.machine(&self.claimed);
        let mut results = Vec::with_capacity(ops.len());
        let mut unsuccessful = Vec::new();
        for &op in ops {
            match machine.outcome(op)? {
                Some(OpOutcome::Completed(result)) => results.push(result),
                Some(OpOutcome::Failed(_) | OpOutcome::Cancelled) | None => unsuccessful.push(op),
            }
        }
        if unsuccessful.is_empty() {
            return Ok(results);
        }
        // All of them have arrived; this finds the first one.
        let first = match machine.poll(&unsuccessful, WaitMode::Any)? {
            Poll::Ready { first } => first,
            _ => unsuccessful[0],
        };
        let number = ops.iter().position(|op| *op == first).unwrap_or_default() + 1;
        self.result_in(state, first, &format!("call {number} {of}")).map(|_| results)
    }

    fn step_begin(&self, name: &str, key: Option<&str>) -> Result<StepBegun> {
        self.begin_step(self.open()?, name, key).map(|(begun, _)| begun)
    }

    pub(super) fn begin_step<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        name: &str,
        key: Option<&str>,
    ) -> Result<(StepBegun, MutexGuard<'a, State>)> {
        let begun = state.machine(&self.claimed).step_begin(name, key)?;
        if begun.recorded && state.polled.is_some() {
            // It is delivered in its turn, like all other operations.
        } else if begun.recorded {
            hand_over(state.machine(&self.claimed), begun.op)?;
        } else {
            state.steps.insert(begun.op, self.store_time());
            if state.is_handlers_thread() {
                state.around.push(begun.op);
            }
        }
        Ok((begun, state))
    }

    fn step_end(self: &Arc<Self>, op: Op, outcome: Result<Payload, Failure>) -> Result<()> {
        if let Ok(result) = &outcome {
            check_size("result", result)?;
        }
        let mut state = self.going()?;
        let Some(started_at) = state.steps.get(&op).copied() else {
            return Err(Error::invalid(format!("operation {op} is no step that was begun and is not recorded yet"))
                .with("op", i64::from(op)));
        };
        if state.transactions.contains(&op) {
            return Err(Error::invalid(format!(
                "operation {op} is a step that its own transaction records; end it by stent_task_transaction_end"
            ))
            .with("op", i64::from(op)));
        }
        state.machine(&self.claimed).step_end(op, started_at, outcome)?;
        if state.polled.is_some() {
            self.send_step(state, op);
            return Ok(());
        }
        state.steps.remove(&op);
        state.around.retain(|around| *around != op);
        self.hear_of_step(self.commit(state)?, op)
    }

    /// A poller's task: the step has ended, and is recorded behind its host's back.
    pub(super) fn send_step(self: &Arc<Self>, mut state: MutexGuard<'_, State>, op: Op) {
        state.steps.remove(&op);
        if let Some(polled) = &mut state.polled {
            polled.urgent = true;
        }
        self.next_turn(state);
    }

    /// Hands the step's end over, which is recorded.
    pub(super) fn hear_of_step<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>, op: Op) -> Result<()> {
        // A commit that was repeated, because its answer was lost, does not say when the step arrived. The journal does.
        while state.machine(&self.claimed).poll(&[op], WaitMode::All)? == Poll::NeedNews {
            state = self.load_news(state)?;
        }
        Ok(())
    }

    /// As [`TaskCore::open`], for calls that are allowed while the worker drains.
    pub(super) fn going(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state();
        self.check(&state)?;
        Ok(state)
    }
}

/// Delivers the outcome of a step that an earlier run has recorded at once, as the first run was given it.
fn hand_over(machine: &mut Machine, step: Op) -> Result<()> {
    machine.poll(&[step], WaitMode::All).map(drop)
}
