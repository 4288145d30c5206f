//! Carries out a task's commands: starts operations, cancels operations, and writes progress, counters and state
//! values.

use super::ends;
use super::insert::{self, NewTask};
use super::statements::{COUNTER_ADD, EXECUTION_PROGRESS_APPEND, STATE_SET_MANY};
use super::tx::Tx;
use super::waits::WaitBook;
use super::{fairness, idempotency};
use super::{signals, snapshot};
use crate::backend::decide::{self, Asked, End, Ended, Ending, Reservation, Resolved};
use crate::backend::{Cancel, Commands, Held, Spawn, SpawnKind};
use crate::model::{Detail, Error, Failure, Id, KeyReuse, Number, Op, Payload, Result, TaskState, Timestamp};

/// The operations that one task starts, in order.
pub(super) struct Start<'a> {
    pub held: &'a Held,
    pub spawns: Vec<&'a Spawn>,
}

/// Starts operations of these tasks. Those that end at once (steps, signals that are there, results recorded under an
/// idempotency key) are delivered in the same transaction. The book must have the tasks' rows.
pub(super) async fn start(tx: &mut Tx<'_>, book: &mut WaitBook, starts: &[Start<'_>]) -> Result<()> {
    let mut rows = Vec::new();
    let mut ends = Vec::new();
    let mut signal_waits = Vec::new();
    let no_args = Payload::empty_array();
    let no_kwargs = Payload::empty_object();
    let all: Vec<(&Held, &Spawn)> =
        starts.iter().flat_map(|start| start.spawns.iter().map(|spawn| (start.held, *spawn))).collect();
    hold_keys(tx, &all).await?;
    let owners = fairness::owners(tx, starts.iter().map(|start| start.held.task)).await?;
    for (held, spawn) in all {
        let mut row = NewTask {
            id: spawn.id,
            execution: held.execution,
            parent: Some(held.task),
            op: Some(spawn.op),
            name: &spawn.name,
            key: Some(&spawn.key),
            kind: spawn.what.task_kind(),
            state: TaskState::Waiting,
            run: None,
            due_at: None,
            arrival: None,
            started_at: None,
            completed_at: None,
            args: &no_args,
            kwargs: &no_kwargs,
            result: None,
            error: None,
        };
        match &spawn.what {
            SpawnKind::Activity { args, options, args_hash, registered } => {
                let inherited = owners.get(&held.task).and_then(|owner| owner.given_to(&options.task));
                let asked = Asked {
                    function: &spawn.name,
                    options: inherited.as_ref().unwrap_or(&options.task),
                    idempotency_key: options.idempotency_key.as_deref(),
                    reuse: KeyReuse::AfterFailure,
                    cache_key: options.cache_key.as_deref(),
                    args_hash: args_hash.as_ref(),
                    registered: registered.as_deref(),
                };
                let mut run = insert::resolve(tx, &asked).await?;
                let now = tx.now;
                row.state = TaskState::Pending;
                row.due_at = options.delay.filter(|delay| !delay.is_zero()).map(|delay| now.after(delay));
                row.args = args;
                row.kwargs = options.kwargs.as_ref().unwrap_or(&no_kwargs);
                if run.idempotency_key.is_some() {
                    // Earlier operations of this batch may have the same key, and must be in the table to be found.
                    insert::insert(tx, &rows).await?;
                    rows.clear();
                    match join(tx, held, &asked, &mut run, spawn.id).await? {
                        Joined::Runs => {}
                        Joined::Waits => (row.state, row.due_at) = (TaskState::Waiting, None),
                        Joined::IsOver(ending) => ends.push(End::now(spawn.id, Some(held.task), ending)),
                    }
                }
                row.run = Some(run);
            }
            SpawnKind::Timer { delay } => row.due_at = Some(tx.now.after(*delay)),
            SpawnKind::Signal { timeout } => {
                row.due_at = timeout.map(|timeout| tx.now.after(timeout));
                signal_waits.push((held, spawn));
            }
            SpawnKind::Step { started_at, outcome } => {
                row.started_at = Some(*started_at);
                row.completed_at = Some(tx.now);
                let arrival = book.next_arrival(held.task);
                book.delivered(held.task, arrival);
                row.arrival = Some(arrival);
                match outcome {
                    Ok(result) => (row.state, row.result) = (TaskState::Completed, Some(result)),
                    Err(failure) => {
                        (row.state, row.error) = (TaskState::Failed, Some(failure));
                    }
                }
                book.arrived(held.task, spawn.op);
            }
        }
        rows.push(row);
    }
    insert::insert(tx, &rows).await?;
    for (held, wait) in signal_waits {
        signals::hand_out(tx, book, held.execution, &wait.name).await?;
    }
    ends::finish(tx, book, ends).await?;
    Ok(())
}

/// All idempotency keys that these operations are going to reserve.
async fn hold_keys(tx: &mut Tx<'_>, all: &[(&Held, &Spawn)]) -> Result<()> {
    let mut wanted = Vec::new();
    for (_, spawn) in all {
        let SpawnKind::Activity { options, args_hash, registered, .. } = &spawn.what else { continue };
        let key = options.idempotency_key.as_deref();
        wanted.push(idempotency::Wanted {
            function: &spawn.name,
            key,
            args_hash: args_hash.as_ref(),
            registered: registered.as_deref(),
        });
    }
    idempotency::hold(tx, wanted).await
}

enum Joined {
    Runs,
    Waits,
    IsOver(Ending),
}

/// What an idempotency key means for a new activity. A conflict becomes the operation's failure, recorded like any
/// other.
async fn join(tx: &mut Tx<'_>, held: &Held, asked: &Asked<'_>, run: &mut Resolved, task: Id) -> Result<Joined> {
    let key = run.idempotency_key.clone().unwrap_or_default();
    let conflict = |why: &Error| Joined::IsOver(Ending::Failed(Failure::new("Conflict", why.message()).final_()));
    match insert::reserve(tx, asked, &key, task).await {
        // What is over gives its key away to calls.
        Ok(Reservation::Owner | Reservation::Over { .. }) => Ok(Joined::Runs),
        Ok(Reservation::Done { result, .. }) => Ok(Joined::IsOver(Ending::Completed(result))),
        Ok(Reservation::Join { owner }) => {
            if idempotency::waits_for(tx, owner, held.task).await? {
                return Ok(conflict(&Error::conflict(format!(
                    "the idempotency key '{key}' of {} belongs to a task that waits for this very call",
                    asked.function
                ))));
            }
            run.joins = Some(owner);
            Ok(Joined::Waits)
        }
        Err(why) if why.status() == crate::model::Status::Conflict => {
            run.idempotency_key = None;
            Ok(conflict(&why))
        }
        Err(why) => Err(why),
    }
}

/// Cancels operations of one task. One that has ended stays as it is, except a signal wait whose signal the handler has
/// not seen: the signal can then be taken by others. Returns the arrivals of what it ended.
pub(super) async fn cancel(
    tx: &mut Tx<'_>,
    book: &mut WaitBook,
    held: &Held,
    cancels: &[Cancel],
) -> Result<Vec<(Op, u64)>> {
    if cancels.is_empty() {
        return Ok(Vec::new());
    }
    let ends = cancels.iter().map(|cancel| End::now(cancel.id, Some(held.task), Ending::Cancelled)).collect();
    let ended = ends::finish(tx, book, ends).await?;
    for Ended { id, .. } in &ended {
        tx.hint_lost(*id);
    }
    let mut arrivals: Vec<(Op, u64)> = ended.iter().filter_map(|end| Some((end.op?, end.arrival?))).collect();
    for cancel in cancels {
        if !ended.iter().any(|end| end.id == cancel.id)
            && let Some(arrival) = signals::put_back(tx, book, cancel.id, held.task).await?
        {
            arrivals.push((cancel.op, arrival));
        }
    }
    Ok(arrivals)
}

/// Writes the handlers' progress lines, state values and counter additions.
pub(super) async fn write_effects(tx: &mut Tx<'_>, effects: &[(Id, &Commands, Timestamp)]) -> Result<()> {
    let mut progress = EXECUTION_PROGRESS_APPEND.call();
    let mut values = STATE_SET_MANY.call();
    for (execution, commands, now) in effects {
        for entry in &commands.progress {
            progress
                .row()
                .id(*execution)
                .text(entry.step.as_str())
                .text(entry.status.as_str())
                .time(entry.started_at.unwrap_or(*now))
                .time(entry.completed_at)
                .payload(entry.detail.as_ref());
        }
        for (key, value) in &commands.state {
            values.row().id(*execution).text(key.as_str()).payload(value);
        }
    }
    tx.change(&progress).await?;
    tx.change(&values).await?;
    // In one order; each counter's additions stay in theirs.
    let counted = effects.iter().flat_map(|(id, commands, _)| commands.counters.iter().map(|said| (*id, said)));
    let mut counted: Vec<(Id, &(String, Number))> = counted.collect();
    counted.sort_by(|(id, said), (other, also)| (id, &said.0).cmp(&(other, &also.0)));
    for (execution, (name, amount)) in counted {
        add_to_counter(tx, execution, name, *amount).await?;
    }
    Ok(())
}

/// The SQLSTATE of a number out of range.
const OUT_OF_RANGE: &str = "22003";

/// Adds to a counter, which starts at 0. A sum that does not fit 64 bits becomes a real number.
async fn add_to_counter(tx: &mut Tx<'_>, execution: Id, name: &str, amount: Number) -> Result<()> {
    let (whole, fraction) = snapshot::columns(amount);
    let added = tx.find(COUNTER_ADD.call().id(execution).text(name).int(whole).real(fraction)).await;
    // One database refuses what the other one calls infinite.
    let refused =
        |why: &Error| matches!(why.details().get("sqlstate"), Some(Detail::Text(code)) if code == OUT_OF_RANGE);
    match added {
        Err(why) if refused(&why) => Err(decide::out_of_range(name)),
        Err(why) => Err(why),
        Ok(row) => match row.as_ref().map(snapshot::number).transpose()? {
            Some(Number::Real(sum)) if !sum.is_finite() => Err(decide::out_of_range(name)),
            _ => Ok(()),
        },
    }
}
