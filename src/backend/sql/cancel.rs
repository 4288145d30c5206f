//! Cancels an execution. From the first commit on nothing of its tree is claimed or recorded. The execution ends when
//! nobody holds a lease in it any more, or cleans up first (`cleanups`). Executions that time out end in the same way.

use super::below;
use super::cleanups;
use super::dispatch;
use super::ended::execution_state;
use super::ends;
use super::row::Row;
use super::rows;
use super::statements::{EXECUTION_CANCEL, EXECUTIONS_CLOSE, EXECUTIONS_ROOTS, TASKS_MET_BELOW, TASKS_STOP};
use super::tx::Tx;
use super::waits::WaitBook;
use crate::backend::NewExecution;
use crate::backend::decide::{End, Ending};
use crate::codec::{self, CanonicalJson};
use crate::model::{Canonical as _, DispatchOptions, Error, ExecutionState, Id, Payload, Result, Timestamp};

pub(super) async fn cancel(tx: &mut Tx<'_>, execution: Id, reason: Option<&str>) -> Result<()> {
    if !begin(tx, execution, reason).await? {
        return match execution_state(tx.session(), execution).await? {
            None => Err(Error::not_found(format!("cancel: there is no execution {execution}"))),
            Some(state) if state.is_terminal() => {
                Err(Error::conflict(format!("cancel: execution {execution} is {state} already")))
            }
            // It is being cancelled already.
            Some(_) => Ok(()),
        };
    }
    let mut book = WaitBook::default();
    cancel_executions(tx, &mut book, vec![execution]).await?;
    book.save(tx).await
}

/// It is being cancelled from now on. False: it is over, or was being cancelled before.
pub(super) async fn begin(tx: &mut Tx<'_>, execution: Id, reason: Option<&str>) -> Result<bool> {
    let begins = tx.change(EXECUTION_CANCEL.call().id(execution).text(reason)).await? > 0;
    if begins {
        tx.hint_cancelling(execution);
    }
    Ok(begins)
}

/// The same again, after a commit whose answer was lost.
pub(super) async fn cancel_again(tx: &mut Tx<'_>, execution: Id, reason: Option<&str>) -> Result<()> {
    match execution_state(tx.session(), execution).await? {
        Some(ExecutionState::Cancelled) => Ok(()),
        _ => cancel(tx, execution, reason).await,
    }
}

/// Ends all tasks of these executions that nobody runs, and closes those executions in which nothing runs any more.
pub(super) async fn cancel_executions(tx: &mut Tx<'_>, book: &mut WaitBook, executions: Vec<Id>) -> Result<()> {
    let set = || executions.iter().copied();
    let met = rows::ids(&tx.fetch(&TASKS_MET_BELOW.call().ids(set())).await?)?;
    let roots = rows::ids(&tx.fetch(&EXECUTIONS_ROOTS.call().ids(set())).await?)?;
    let cleaning = if tx.catalog.cleans_up() { roots.as_slice() } else { &[] };
    tx.lock_waits(met.into_iter().chain(cleaning.iter().copied())).await?;
    book.load(tx, cleaning.iter().copied()).await?;
    let mut idle = Vec::new();
    let stopped = tx.fetch(&TASKS_STOP.call().ids(set())).await?;
    for row in &stopped {
        if row.text("state")? != "running" {
            idle.push(End::now(row.id("id")?, row.optional_id("parent_task_id")?, Ending::Cancelled));
        }
    }
    below::cancel_below(tx, roots).await?;
    stop(tx, book, idle).await?;
    close(tx, book, executions).await
}

/// Ends tasks that nobody runs any more, but for those that are to clean up.
pub(super) async fn stop(tx: &mut Tx<'_>, book: &mut WaitBook, ends: Vec<End>) -> Result<()> {
    let ends = cleanups::rest(tx, ends).await?;
    ends::finish(tx, book, ends).await.map(drop)
}

/// Of those of these executions in which nobody holds a lease the cleanup begins, or they end, and their compensations
/// are dispatched. Those that others are at are left to a sweep.
pub(super) async fn close(tx: &mut Tx<'_>, book: &mut WaitBook, executions: Vec<Id>) -> Result<()> {
    if executions.is_empty() {
        return Ok(());
    }
    let asked = executions.len();
    let begun = cleanups::begin(tx, book, &executions).await?;
    let mut call = EXECUTIONS_CLOSE.call().ids(executions);
    let closed = tx.fetch(call.time(tx.now)).await?;
    if begun + closed.len() < asked {
        tx.hint_due(tx.now);
    }
    let mut compensations = Vec::new();
    for row in &closed {
        tx.hint_ended(row.id("id")?);
        compensations.extend(compensation(row, tx.now)?);
    }
    dispatch::insert(tx, &compensations).await.map(drop)
}

/// The compensation (`on_cancel`) of an execution that was cancelled or timed out, if it has one.
fn compensation(ended: &Row, now: Timestamp) -> Result<Option<NewExecution>> {
    let Some(function) = ended.optional_string("on_cancel")? else { return Ok(None) };
    let args = codec::compensation_args(
        ended.id("id")?,
        ended.word("state")?,
        ended.optional_string("cancel_reason")?,
        &ended.payload("args")?.unwrap_or_else(Payload::empty_array),
        &ended.payload("kwargs")?.unwrap_or_else(Payload::empty_object),
    );
    let args_hash = CanonicalJson.hash(&args, &Payload::empty_object());
    let options = DispatchOptions::default();
    let id = dispatch::draw_id(now);
    Ok(Some(NewExecution { id, function, args, options, args_hash, registered: None }))
}
