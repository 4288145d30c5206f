//! Transitions: what workers say of the tasks that they hold. Fences first, in two statements for the whole set; then
//! the commands of those that held; then deliveries. Nothing is read before it is written.

use std::collections::{HashMap, HashSet};

use super::batch::Batch;
use super::ends::{self, End, Ending};
use super::rows::Columns;
use super::spawn::{self, Start};
use super::tx::{Tx, nothing_more};
use super::waits::WaitBook;
use super::{restart, trees};
use crate::backend::{Commands, Extent, Held, Outcome, Transition, Verdict};
use crate::codec;
use crate::model::{Id, Payload, Result};

/// How a task that goes on moves; the numbers are `tasks_move.sql`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Hold = 0,
    Retry = 1,
    Suspend = 2,
    Release = 3,
    Park = 4,
    Continue = 5,
}

/// Records transitions in order, each with its own verdict.
pub(super) async fn apply(tx: &mut Tx, transitions: &[Transition]) -> Result<Vec<Verdict>> {
    let mut verdicts = Vec::with_capacity(transitions.len());
    let mut rest = transitions;
    while !rest.is_empty() {
        let (set, others) = rest.split_at(apart(rest));
        verdicts.extend(apply_set(tx, set).await?);
        rest = others;
    }
    Ok(verdicts)
}

/// How many of them, from the first on, are of different tasks. A task named again, by its next holder maybe, is spoken
/// for after what was said before.
fn apart(transitions: &[Transition]) -> usize {
    let mut seen = HashSet::with_capacity(transitions.len());
    transitions.iter().position(|t| !seen.insert(t.held.task)).unwrap_or(transitions.len())
}

/// Each task at most once.
async fn apply_set(tx: &mut Tx, transitions: &[Transition]) -> Result<Vec<Verdict>> {
    let mut book = WaitBook::default();
    // Before anything changes: what a suspending task waits for, and how many ends it has been given.
    let asks = |t: &&Transition| matches!(t.outcome, Outcome::Suspend { .. } | Outcome::Hold) || !t.commands.is_empty();
    let parents: Vec<Id> = transitions.iter().filter(asks).map(|t| t.held.task).collect();
    book.load(tx, &parents).await?;

    // Those that go on come first: what they start is there to be cancelled when a parent ends in the same set.
    let mut held = move_tasks(tx, transitions).await?;
    let mut arrivals = command(tx, &mut book, transitions, &held).await?;
    suspend(tx, &mut book, transitions, &held).await?;
    begin_anew(tx, &mut book, transitions, &held).await?;
    let ended = end_tasks(tx, &mut book, transitions).await?;
    arrivals.extend(command(tx, &mut book, transitions, &ended).await?);
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

/// Journals that are opened again, wholly or in part.
async fn begin_anew(tx: &mut Tx, book: &mut WaitBook, transitions: &[Transition], held: &HashSet<Id>) -> Result<()> {
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
            | Outcome::Release
            | Outcome::Park { .. } => {}
        }
    }
    Ok(())
}

/// Tasks that are not over. The answer: those whose fence held.
async fn move_tasks(tx: &mut Tx, transitions: &[Transition]) -> Result<HashSet<Id>> {
    let mut batch = Batch::new();
    for Transition { held, commands, outcome } in transitions {
        let (how, failure, delay, version, args) = match outcome {
            Outcome::Hold => (Move::Hold, None, None, None, None),
            Outcome::Retry { failure, delay, .. } => (Move::Retry, Some(failure), Some(*delay), None, None),
            Outcome::Suspend { .. } => (Move::Suspend, None, None, None, None),
            Outcome::Release => (Move::Release, None, None, None, None),
            Outcome::Park { failure, version } => (Move::Park, Some(failure), None, version.as_deref(), None),
            Outcome::Continue { args, .. } => (Move::Continue, None, None, None, Some(args)),
            Outcome::Complete { .. } | Outcome::DeadLetter { .. } | Outcome::PassUp { .. } => continue,
        };
        let at = delay.filter(|delay| !delay.is_zero()).map(|delay| tx.now.after(delay));
        match (how, at) {
            (Move::Retry, Some(at)) => tx.hint_due(at),
            (Move::Retry | Move::Release | Move::Continue, None) => tx.hint_work(),
            (Move::Hold | Move::Suspend | Move::Park, _) | (Move::Release | Move::Continue, Some(_)) => {}
        }
        let error = failure.map(codec::failure_to_column);
        batch
            .row()
            .id(held.task)
            .int(held.fence as i64)
            .int(how as i64)
            .int(at.map(|at| at.micros()))
            .bytes(error.as_deref())
            .int(commands.spawns.len() as i64)
            .int(i64::from(commands.effects()))
            .bytes(commands.heartbeat.as_ref().map(Payload::as_bytes))
            .text(version)
            .bytes(args.map(Payload::as_bytes))
            .int(commands.from.map(|from| i64::from(from.ops)))
            .int(commands.from.map(|from| i64::from(from.effects)));
    }
    let found = tx.fetch_batch("move tasks", include_str!("sql/tasks_move.sql"), batch, nothing_more).await?;
    for row in &found {
        if tx.catalog.is_limited(Columns(row).get("step_name")?) {
            tx.hint_work();
        }
    }
    found.iter().map(|row| Columns(row).id("id")).collect()
}

/// Tasks that are over. The answer: those whose fence held.
async fn end_tasks(tx: &mut Tx, book: &mut WaitBook, transitions: &[Transition]) -> Result<HashSet<Id>> {
    let mut ends = Vec::new();
    for Transition { held, outcome, .. } in transitions {
        let end = |ending| End { fence: Some(held.fence), ..End::now(held.task, held.parent, ending) };
        ends.push(match outcome {
            Outcome::Complete { result, cache, cache_hit } => {
                End { cache: cache.clone(), cache_hit: *cache_hit, ..end(Ending::Completed(result.clone())) }
            }
            Outcome::DeadLetter { failure, reason } => {
                End { dead_letter: Some(reason.clone()), ..end(Ending::Failed(failure.clone())) }
            }
            Outcome::PassUp { failure } => end(Ending::Failed(failure.clone())),
            Outcome::Hold
            | Outcome::Retry { .. }
            | Outcome::Suspend { .. }
            | Outcome::Release
            | Outcome::Park { .. }
            | Outcome::Continue { .. } => continue,
        });
    }
    let ended = ends::finish(tx, book, ends).await?;
    Ok(ended.into_iter().map(|ended| ended.id).collect())
}

type Arrivals = HashMap<Id, Vec<(crate::model::Op, u64)>>;

/// The commands of the tasks whose fence held. The answer: arrivals of what ended at once.
async fn command(tx: &mut Tx, book: &mut WaitBook, transitions: &[Transition], held: &HashSet<Id>) -> Result<Arrivals> {
    let mut arrivals = Arrivals::new();
    let mut told: Vec<(Id, &Commands)> = Vec::new();
    let mut starts = Vec::new();
    let mut cancels = Vec::new();
    for Transition { held: of, commands, outcome } in transitions {
        if commands.is_empty() || !held.contains(&of.task) {
            continue;
        }
        told.push((of.execution, commands));
        let steps = spawn::steps(commands);
        // Steps are numbered from here on, in order, before anything else arrives.
        let before = book.given(of.task);
        let numbered = steps.iter().zip(before + 1..).map(|(step, number)| (step.op, number));
        arrivals.entry(of.task).or_default().extend(numbered);
        let spawns = match outcome {
            Outcome::Hold
            | Outcome::Retry { .. }
            | Outcome::Suspend { .. }
            | Outcome::Release
            | Outcome::Park { .. } => {
                cancels.push((of, commands.cancels.as_slice()));
                commands.spawns.iter().collect()
            }
            // An ending task starts nothing more; what it ran in place is recorded.
            Outcome::Complete { .. }
            | Outcome::DeadLetter { .. }
            | Outcome::PassUp { .. }
            | Outcome::Continue { .. } => steps,
        };
        starts.push(Start { held: of, spawns });
    }
    spawn::start(tx, book, &starts).await?;
    for (of, cancels) in cancels {
        let cancelled = spawn::cancel(tx, book, of, cancels).await?;
        arrivals.entry(of.task).or_default().extend(cancelled);
    }
    spawn::tell(tx, &told).await?;
    Ok(arrivals)
}

/// Tasks that wait from now on: what has come that they did not know of counts at once.
async fn suspend(tx: &mut Tx, book: &mut WaitBook, transitions: &[Transition], held: &HashSet<Id>) -> Result<()> {
    let mut unknown = Batch::new();
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
    let news = tx
        .fetch_batch("look at what has come", include_str!("sql/tasks_arrived_since.sql"), unknown, nothing_more)
        .await?;
    for row in &news {
        let row = Columns(row);
        if let Some(op) = row.optional_count("op")? {
            book.arrived(row.id("parent_task_id")?, op);
        }
    }
    Ok(())
}

/// Why a fence did not hold. A task whose execution is being cancelled gives up its lease here.
async fn explain(
    tx: &mut Tx,
    book: &mut WaitBook,
    transitions: &[Transition],
    held: &HashSet<Id>,
) -> Result<HashMap<Id, Verdict>> {
    let refused: Vec<&Transition> = transitions.iter().filter(|t| !held.contains(&t.held.task)).collect();
    let mut verdicts: HashMap<Id, Verdict> = refused.iter().map(|t| (t.held.task, Verdict::LeaseLost)).collect();
    let standing = tx
        .fetch_batch(
            "look at refused tasks",
            include_str!("sql/tasks_standing.sql"),
            Batch::of_ids(refused.iter().map(|t| t.held.task)),
            nothing_more,
        )
        .await?;
    let rows: HashMap<Id, _> =
        standing.iter().map(|row| Ok((Columns(row).id("id")?, Columns(row)))).collect::<Result<_>>()?;
    let mut cancelled = Vec::new();
    let mut executions = Vec::new();
    // In order: ends of one parent are numbered as they were said.
    for transition in refused {
        let Held { task: id, fence, execution, parent } = transition.held;
        let Some(row) = rows.get(&id) else { continue };
        if row.count::<u64>("fence")? != fence {
            continue;
        }
        if is_recorded(transition, row)? {
            // What ended in it is in the journal, which the sender looks at when it is behind.
            verdicts.insert(id, Verdict::Recorded { arrivals: Vec::new(), latest: book.latest(id) });
        } else if row.get::<&str>("state")? == "running" && row.get::<&str>("execution_state")? == "cancelling" {
            verdicts.insert(id, Verdict::Cancelled);
            if transition.outcome != Outcome::Hold {
                cancelled.push(End::now(id, parent, Ending::Cancelled));
                executions.push(execution);
            }
        }
    }
    ends::finish(tx, book, cancelled).await?;
    trees::close(tx, executions).await?;
    Ok(verdicts)
}

/// Is it the same again, because the answer to the first commit was lost? The row has this transition's fence.
fn is_recorded(transition: &Transition, row: &Columns<'_>) -> Result<bool> {
    let state: &str = row.get("state")?;
    Ok(match transition.outcome {
        Outcome::Hold => {
            let extent = Extent { ops: row.count("ops")?, effects: row.count("effects")? };
            state == "running"
                && matches!(row.get("execution_state")?, "pending" | "running")
                && transition.commands.to() == Some(extent)
                && transition.commands.from != Some(extent)
        }
        Outcome::Suspend { .. } => state == "waiting",
        _ => state == ended_state(&transition.outcome),
    })
}

/// The state that an outcome ends in; empty for one that ends nothing.
fn ended_state(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Complete { .. } => "completed",
        Outcome::DeadLetter { .. } | Outcome::PassUp { .. } => "failed",
        Outcome::Hold
        | Outcome::Retry { .. }
        | Outcome::Suspend { .. }
        | Outcome::Release
        | Outcome::Park { .. }
        | Outcome::Continue { .. } => "",
    }
}
