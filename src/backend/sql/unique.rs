//! Unique keys of dispatches: a function's key has one execution at a time, or one in a window of time.
//!
//! The table says who took a key last and when; whether he has it still is looked up, in his execution's state. So whatever
//! ends an execution frees its key in the same transaction, and needs to know nothing of it.

use std::collections::BTreeSet;

use super::statements::{IDEMPOTENCY_GIVE_BACK, UNIQUE_FIND, UNIQUE_HOLD, UNIQUE_TAKE};
use super::tx::Tx;
use crate::backend::NewExecution;
use crate::backend::decide::{self, Holder};
use crate::model::{Id, Result, UNIQUE_KEPT};

fn full(new: &NewExecution) -> Option<String> {
    new.options.unique_key.as_ref().map(|key| format!("{}/{key}", new.function))
}

/// Locks the keys of these, in their order, before anything else is locked. What is read of a key after this is what the
/// last one has committed who had it.
pub(super) async fn hold(tx: &mut Tx<'_>, executions: &[NewExecution]) -> Result<()> {
    let keys: BTreeSet<String> = executions.iter().filter_map(full).collect();
    if tx.is_alone() || keys.is_empty() {
        return Ok(());
    }
    let mut call = UNIQUE_HOLD.call();
    for key in keys {
        call.row().made(Some(key));
    }
    tx.change(call.time(tx.now)).await.map(drop)
}

/// Takes the key of an execution that is about to start, or says whose it is.
///
/// # Errors
/// `CONFLICT` where the dispatch does not want another's.
pub(super) async fn take(tx: &mut Tx<'_>, new: &NewExecution) -> Result<Option<Id>> {
    let Some(key) = full(new) else { return Ok(None) };
    if let Some(row) = tx.find(UNIQUE_FIND.call().text(key.as_str())).await?
        && let Some(execution) = row.optional_id("execution_id")?
    {
        let state = row.optional_text("state")?.map(str::parse).transpose()?;
        let holder = Holder { execution, dispatched_at: row.time("dispatched_at")?, state };
        if decide::is_held(&new.function, &new.options, tx.now, &holder)? {
            return Ok(Some(execution));
        }
    }
    let expires_at = tx.now.after(UNIQUE_KEPT.max(new.options.unique_for.unwrap_or_default()));
    let mut call = UNIQUE_TAKE.call();
    tx.change(call.text(key.as_str()).id(new.id).time(tx.now).time(expires_at)).await?;
    Ok(None)
}

/// Gives an idempotency key back that was reserved for what does not start.
pub(super) async fn give_back(tx: &mut Tx<'_>, function: &str, key: &str, root: Id) -> Result<()> {
    let full_key = format!("{function}/{key}");
    tx.change(IDEMPOTENCY_GIVE_BACK.call().text(full_key.as_str()).id(root)).await.map(drop)
}
