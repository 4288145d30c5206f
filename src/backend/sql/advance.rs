//! Records the transitions of workers as a batch. Two statements check the fences and write the outcomes of all tasks;
//! then come the commands of the tasks whose fence was right, then deliveries to parents. No task row is read before
//! it is written.

use std::collections::{HashMap, HashSet};

use super::lock::Lock;
use super::row::Row;
use super::spawn::{self, Start};
use super::statements::{TASKS_ARRIVED_SINCE, TASKS_MOVE, TASKS_STANDING};
use super::tx::Tx;
use super::waits::WaitBook;
use super::{attempts, cancel, ends, restart};
use crate::backend::decide::{self, End, Ending, Moved, Standing};
use crate::backend::{Commands, Extent, Held, Outcome, Spawn, SpawnKind, Transition, Verdict};
use crate::codec;
use crate::model::{Id, Result, Timestamp};

/// Records transitions in order, each with its own verdict.
pub(super) async fn apply(tx: &mut Tx<'_>, transitions: &[Transition]) -> Result<Vec<Verdict>> {
    let mut verdicts = Vec::with_capacity(transitions.len());
    let mut effects = Vec::new();
    lock(tx, transitions).await?;
    let mut rest = transitions;
    while !rest.is_empty() {
        let (set, others) = rest.split_at(decide::apart(rest));
        verdicts.extend(apply_set(tx, set, &mut effects).await?);
        rest = others;
    }
    spawn::write_effects(tx, &effects).await?;
    Ok(verdicts)
}

/// What handlers say, with the execution that it goes to, and the time at which it is said.
type Effects<'t> = Vec<(Id, &'t Commands, Timestamp)>;

/// The tasks whose `waits` rows are needed: those that are spoken for, and the parents to whom ends are delivered.
fn whose_waits(transitions: &[Transition]) -> Vec<Id> {
    let mut tasks = Vec::with_capacity(transitions.len());
    for Transition { held, commands, outcome } in transitions {
        let asks = matches!(outcome, Outcome::Suspend { .. } | Outcome::Hold) || !commands.is_empty();
        tasks.extend(asks.then_some(held.task));
        tasks.extend(held.parent.filter(|_| decide::is_end(outcome)));
    }
    tasks
}

/// Records transitions of different tasks.
async fn apply_set<'t>(
    tx: &mut Tx<'_>,
    transitions: &'t [Transition],
    effects: &mut Effects<'t>,
) -> Result<Vec<Verdict>> {
    let mut book = WaitBook::default();
    // The `waits` rows are locked and read before anything changes.
    book.load(tx, whose_waits(transitions)).await?;
    lock_both(tx, transitions).await?;

    // First the tasks that go on: operations that they start must exist before the end of a parent in the same batch
    // can cancel them.
    let mut held = move_tasks(tx, transitions).await?;
    let mut arrivals = command(tx, &mut book, transitions, &held, effects).await?;
    suspend(tx, &mut book, transitions, &held).await?;
    begin_anew(tx, &mut book, transitions, &held).await?;
    let ended = end_tasks(tx, &mut book, transitions).await?;
    arrivals.extend(command(tx, &mut book, transitions, &ended, effects).await?);
    held.extend(ended);
    let refused = explain(tx, &mut book, transitions, &held).await?;
    book.save(tx).await?;

    let verdict = |t: &Transition| match refused.get(&t.held.task) {
        Some(verdict) => verdict.clone(),
        None => Verdict::Recorded {
            arrivals: arrivals.remove(&t.held.task).unwrap_or_default(),
            latest: book.latest(t.held.task),
        },
    };
    Ok(transitions.iter().map(verdict).collect())
}

/// Retries that run failed children again, and tasks that continue with an empty journal.
async fn begin_anew(
    tx: &mut Tx<'_>,
    book: &mut WaitBook,
    transitions: &[Transition],
    held: &HashSet<Id>,
) -> Result<()> {
    for transition in transitions.iter().filter(|t| held.contains(&t.held.task)) {
        match &transition.outcome {
            Outcome::Retry { reopen: true, .. } => restart::reopen_children(tx, transition.held.task).await?,
            Outcome::Continue { seen, .. } => restart::from_the_start(tx, book, &transition.held, *seen).await?,
            Outcome::Retry { reopen: false, .. }
            | Outcome::Hold
            | Outcome::Complete { .. }
            | Outcome::DeadLetter { .. }
            | Outcome::PassUp { .. }
            | Outcome::Suspend { .. }
            | Outcome::Snooze { .. }
            | Outcome::Release
            | Outcome::Park { .. } => {}
        }
    }
    Ok(())
}

/// Takes the locks that come first in the order of locks (see [`super::tx`]), for all sets.
async fn lock(tx: &mut Tx<'_>, transitions: &[Transition]) -> Result<()> {
    let touches_signals = |t: &&Transition| {
        let waits = |spawn: &Spawn| matches!(spawn.what, SpawnKind::Signal { .. });
        let Commands { spawns, cancels, .. } = &t.commands;
        !cancels.is_empty() || matches!(t.outcome, Outcome::Continue { .. }) || spawns.iter().any(waits)
    };
    let signals: Vec<Lock<'_>> =
        transitions.iter().filter(touches_signals).map(|t| Lock::Signals(t.held.execution)).collect();
    tx.lock(&signals).await?;
    let roots = transitions.iter().filter(|t| t.held.parent.is_none() && decide::is_end(&t.outcome));
    tx.lock_executions(roots.map(|t| t.held.execution)).await?;
    if decide::apart(transitions) < transitions.len() {
        tx.lock_waits(whose_waits(transitions)).await?;
    }
    Ok(())
}

/// Tasks that go on and tasks that end are changed in two statements. A cancellation locks those of one execution in one,
/// and so must this.
async fn lock_both(tx: &mut Tx<'_>, transitions: &[Transition]) -> Result<()> {
    tx.past_waits();
    if tx.is_alone() {
        return Ok(());
    }
    let (ends, moves): (Vec<&Transition>, Vec<_>) = transitions.iter().partition(|t| decide::is_end(&t.outcome));
    let ending: HashSet<Id> = ends.iter().map(|t| t.held.execution).collect();
    let both: HashSet<Id> = moves.iter().map(|t| t.held.execution).filter(|id| ending.contains(id)).collect();
    let tasks = transitions.iter().filter(|t| both.contains(&t.held.execution)).map(|t| t.held.task);
    let tasks: Vec<Id> = tasks.collect();
    tx.lock_tasks(tasks).await
}

/// Writes the outcomes of tasks that go on. Returns the ids of those whose fence was right.
async fn move_tasks(tx: &mut Tx<'_>, transitions: &[Transition]) -> Result<HashSet<Id>> {
    let mut call = TASKS_MOVE.call();
    for Transition { held, commands, outcome } in transitions {
        let Some(moved) = decide::moved(outcome, tx.now) else { continue };
        if moved.makes_work() {
            tx.hint_work();
        }
        if let Some(at) = moved.at {
            tx.hint_due(at);
        }
        let Moved { how, failure, at, version, args } = moved;
        call.row()
            .id(held.task)
            .int(held.fence as i64)
            .int(how as i64)
            .due(at)
            .made_bytes(failure.map(codec::failure_to_column))
            .int(commands.spawns.len() as i64)
            .int(i64::from(commands.effects()))
            .payload(commands.heartbeat.as_ref())
            .text(version)
            .payload(args)
            .int(commands.from.map(|from| i64::from(from.ops)))
            .int(commands.from.map(|from| i64::from(from.effects)))
            .int(commands.begun.map(i64::from))
            .made(line_of(outcome, tx.now))
            .time(tx.now)
            .flag(tx.aside);
    }
    let found = tx.fetch(&call.by_id()).await?;
    for row in &found {
        tx.gives_way(row.text("step_name")?);
    }
    found.iter().map(|row| row.id("id")).collect()
}

/// How the attempt ended, if another follows.
fn line_of(outcome: &Outcome, now: Timestamp) -> Option<String> {
    match outcome {
        Outcome::Retry { failure, .. } => Some(attempts::rest_of_line(failure, now)),
        Outcome::Snooze { delay } => Some(attempts::rest_of_snooze(*delay, now)),
        _ => None,
    }
}

/// Writes the outcomes of tasks that end. Returns the ids of those whose fence was right.
async fn end_tasks(tx: &mut Tx<'_>, book: &mut WaitBook, transitions: &[Transition]) -> Result<HashSet<Id>> {
    let ends = transitions.iter().filter_map(decide::end_of).collect();
    let ended = ends::finish(tx, book, ends).await?;
    let cleaned = tx.take_cleaned();
    cancel::close(tx, book, cleaned).await?;
    Ok(ended.into_iter().map(|ended| ended.id).collect())
}

type Arrivals = HashMap<Id, Vec<(crate::model::Op, u64)>>;

/// Carries out the commands of the tasks in `held`. Returns the arrival numbers of operations that ended at once.
async fn command<'t>(
    tx: &mut Tx<'_>,
    book: &mut WaitBook,
    transitions: &'t [Transition],
    held: &HashSet<Id>,
    effects: &mut Effects<'t>,
) -> Result<Arrivals> {
    let mut said = Vec::new();
    let mut arrivals = Arrivals::new();
    let mut starts = Vec::new();
    let mut cancels = Vec::new();
    for transition in transitions {
        let Transition { held: of, commands, .. } = transition;
        if commands.is_empty() || !held.contains(&of.task) {
            continue;
        }
        said.push((of.execution, commands));
        // Steps get the next arrival numbers, in their order, before anything else arrives.
        let before = book.given(of.task);
        let numbered = decide::steps(commands).into_iter().zip(before + 1..).map(|(step, number)| (step.op, number));
        arrivals.entry(of.task).or_default().extend(numbered);
        let (spawns, cancels_too) = decide::starts(transition);
        if cancels_too {
            cancels.push((of, commands.cancels.as_slice()));
        }
        starts.push(Start { held: of, spawns });
    }
    spawn::start(tx, book, &starts).await?;
    for (of, cancels) in cancels {
        let cancelled = spawn::cancel(tx, book, of, cancels).await?;
        arrivals.entry(of.task).or_default().extend(cancelled);
    }
    let now = tx.now;
    effects.extend(said.into_iter().map(|(execution, commands)| (execution, commands, now)));
    Ok(arrivals)
}

/// Records what suspended tasks wait for. Arrivals that a task did not know of when it suspended count at once.
async fn suspend(tx: &mut Tx<'_>, book: &mut WaitBook, transitions: &[Transition], held: &HashSet<Id>) -> Result<()> {
    let mut unknown = TASKS_ARRIVED_SINCE.call();
    for Transition { held: of, outcome, .. } in transitions {
        if let Outcome::Suspend { mode, ops, known } = outcome
            && held.contains(&of.task)
        {
            book.suspend(of.task, *mode, ops.clone());
            if book.latest(of.task) > *known {
                unknown.row().id(of.task).int(*known as i64);
            }
        }
    }
    for row in tx.fetch(&unknown).await? {
        if let Some(op) = row.optional_count("op")? {
            book.arrived(row.id("parent_task_id")?, op);
        }
    }
    Ok(())
}

/// Finds out why a transition was refused. A task whose execution is being cancelled gives up its lease here.
async fn explain(
    tx: &mut Tx<'_>,
    book: &mut WaitBook,
    transitions: &[Transition],
    held: &HashSet<Id>,
) -> Result<HashMap<Id, Verdict>> {
    let refused: Vec<&Transition> = transitions.iter().filter(|t| !held.contains(&t.held.task)).collect();
    let mut verdicts: HashMap<Id, Verdict> = refused.iter().map(|t| (t.held.task, Verdict::LeaseLost)).collect();
    let found = tx.fetch(&TASKS_STANDING.call().ids(refused.iter().map(|t| t.held.task))).await?;
    let rows: HashMap<Id, &Row> = found.iter().map(|row| Ok((row.id("id")?, row))).collect::<Result<_>>()?;
    let mut cancelled = Vec::new();
    let mut executions = Vec::new();
    // In the given order, so that ends of one parent's children are numbered in that order.
    for transition in refused {
        let Held { task: id, execution, parent, .. } = transition.held;
        let Some(row) = rows.get(&id) else { continue };
        let verdict = decide::why_not(transition, &standing_of(row)?, book.latest(id));
        if verdict == Verdict::Cancelled && transition.outcome != Outcome::Hold {
            cancelled.push(End::now(id, parent, Ending::Cancelled));
            executions.push(execution);
        }
        verdicts.insert(id, verdict);
    }
    cancel::stop(tx, book, cancelled).await?;
    cancel::close(tx, book, executions).await?;
    Ok(verdicts)
}

fn standing_of(row: &Row) -> Result<Standing> {
    Ok(Standing {
        fence: row.count("fence")?,
        state: row.word("state")?,
        execution: row.word("execution_state")?,
        extent: Extent { ops: row.count("ops")?, effects: row.count("effects")? },
    })
}
