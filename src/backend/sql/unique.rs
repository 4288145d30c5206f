//! Unique keys of dispatches: a function's key has one execution at a time, or one in a window of time.
//!
//! The tables say who took a key last and when, and who took it before and was unfinished then; whether they have it still is
//! looked up, in their executions' states. So whatever ends an execution frees its key in the same transaction, and needs to
//! know nothing of it.

use std::collections::BTreeSet;

use super::rows::{args_column, kwargs_column};
use super::statements::{
    EXECUTION_DEBOUNCE, IDEMPOTENCY_GIVE_BACK, TASK_DEBOUNCE, UNIQUE_ASKED, UNIQUE_FIND, UNIQUE_FORGET, UNIQUE_HOLD,
    UNIQUE_SET_ASIDE, UNIQUE_TAKE,
};
use super::tx::Tx;
use crate::backend::NewExecution;
use crate::backend::decide::{self, Holder, KeyIs, root_task_id};
use crate::model::{Error, Id, Payload, Result, Timestamp, UNIQUE_KEPT};

fn full(new: &NewExecution) -> Option<String> {
    new.options.unique_key.as_ref().map(|key| format!("{}/{key}", new.function))
}

/// Locks the keys of these, in their order, before anything else is locked, and then the executions whose arguments they may
/// replace. What is read of a key after this is what the last one has committed who had it.
pub(super) async fn hold(tx: &mut Tx<'_>, executions: &[NewExecution]) -> Result<()> {
    let keys: BTreeSet<String> = executions.iter().filter_map(full).collect();
    if tx.is_alone() || keys.is_empty() {
        return Ok(());
    }
    let mut call = UNIQUE_HOLD.call();
    for key in keys {
        call.row().made(Some(key));
    }
    let held = tx.fetch(call.time(tx.now)).await?;
    let debounced: BTreeSet<String> =
        executions.iter().filter(|new| new.options.debounce.is_some()).filter_map(full).collect();
    let mut holders = Vec::new();
    for row in &held {
        if debounced.contains(row.text("key")?) {
            holders.extend(row.optional_id("execution_id")?);
        }
    }
    if holders.is_empty() {
        return Ok(());
    }
    tx.lock_executions(holders).await
}

/// Takes the key of an execution that is about to start, or says whose it is. `again`: its commit's answer was lost.
///
/// # Errors
/// `CONFLICT` where the dispatch does not want another's.
pub(super) async fn take(tx: &mut Tx<'_>, new: &NewExecution, again: bool) -> Result<Option<Id>> {
    let Some(key) = full(new) else { return Ok(None) };
    let mut holders = Vec::new();
    for row in &tx.fetch(UNIQUE_FIND.call().text(key.as_str())).await? {
        let Some(execution) = row.optional_id("execution_id")? else { continue };
        if again && row.optional_id("asked_id")? == Some(new.id) {
            return Ok(Some(execution));
        }
        let state = row.optional_text("state")?.map(str::parse).transpose()?;
        let (dispatched_at, waits, latest) = (row.time("dispatched_at")?, row.flag("waits")?, row.flag("latest")?);
        holders.push(Holder { execution, dispatched_at, state, waits, latest });
    }
    match decide::key_is(&new.function, &new.options, tx.now, &holders)? {
        KeyIs::Free => {}
        KeyIs::Held { by } => return Ok(Some(by)),
        KeyIs::Debounced { by, starts_at } => {
            if replace(tx, new, by, starts_at).await? {
                tx.change(UNIQUE_ASKED.call().text(key.as_str()).id(new.id)).await?;
                return Ok(Some(by));
            }
        }
    }
    if holders.iter().any(|holder| holder.latest && holder.goes_on()) {
        tx.change(UNIQUE_FORGET.call().text(key.as_str())).await?;
        tx.change(UNIQUE_SET_ASIDE.call().text(key.as_str())).await?;
    }
    let window = new.options.unique_for;
    let mut call = UNIQUE_TAKE.call();
    call.text(key.as_str()).id(new.id).time(tx.now).time(window.map(|window| tx.now.after(window)));
    tx.change(call.time(tx.now.after(UNIQUE_KEPT.max(window.unwrap_or_default())))).await?;
    Ok(None)
}

pub(super) fn keeps_by_arguments(function: &str) -> Error {
    let told = format!(
        "dispatch: {function} is idempotent or cached, so what it does belongs to its arguments, which debounce replaces; leave \
         out debounce (nothing was started)"
    );
    Error::invalid(told).with("key", "debounce")
}

/// Gives a dispatch's arguments to an execution that waits, and its own time until it is ended. False: a worker has it by now.
async fn replace(tx: &mut Tx<'_>, new: &NewExecution, execution: Id, starts_at: Timestamp) -> Result<bool> {
    let empty = Payload::empty_object();
    let kwargs = new.options.kwargs.as_ref().unwrap_or(&empty);
    let later = (starts_at > tx.now).then_some(starts_at);
    let mut call = TASK_DEBOUNCE.call();
    call.id(root_task_id(execution)).bytes(args_column(&new.args)).bytes(kwargs_column(kwargs)).due(later).time(later);
    if tx.change(&call).await? == 0 {
        return Ok(false);
    }
    let expiry_at = new.options.expiry_from(tx.now, starts_at.max(tx.now));
    if let Some(expiry_at) = expiry_at {
        tx.hint_due(expiry_at);
    }
    let mut call = EXECUTION_DEBOUNCE.call();
    call.id(execution).bytes(args_column(&new.args)).bytes(kwargs_column(kwargs)).due(expiry_at);
    tx.change(&call).await?;
    match later {
        Some(at) => tx.hint_due(at),
        None => tx.hint_work(),
    }
    Ok(true)
}

/// Gives an idempotency key back that was reserved for what does not start.
pub(super) async fn give_back(tx: &mut Tx<'_>, function: &str, key: &str, root: Id) -> Result<()> {
    let full_key = format!("{function}/{key}");
    tx.change(IDEMPOTENCY_GIVE_BACK.call().text(full_key.as_str()).id(root)).await.map(drop)
}
