//! Idempotency keys. The first task with a key owns it. Later ones join it: they wait for its end. If the owner
//! completes, they get its result; if not, the first of them becomes the owner and runs.

use std::collections::BTreeMap;

use super::lock::Lock;
use super::moved;
use super::row::Row;
use super::statements::{
    IDEMPOTENCY_FIND, IDEMPOTENCY_HOLD, IDEMPOTENCY_INHERIT, IDEMPOTENCY_LOCK, IDEMPOTENCY_LOCK_OWNED,
    IDEMPOTENCY_RESERVE, IDEMPOTENCY_TAKE_OVER, TASK_ROOT_EXECUTION, TASK_WAITS_FOR, TASKS_JOINING, TASKS_REJOIN,
    TASKS_START_HEIR,
};
use super::tx::Tx;
use crate::backend::decide::{self, End, Ending, Found, KEY_TTL, Reservation};
use crate::model::{FunctionOptions, Id, KeyReuse, Result};

/// What stands for the arguments of a call that does not tell them.
pub(super) const NO_ARGUMENTS: [u8; 32] = [0; 32];

/// A call that may have a key.
pub(super) struct Wanted<'a> {
    pub function: &'a str,
    pub key: Option<&'a str>,
    pub args_hash: Option<&'a [u8; 32]>,
    pub registered: Option<&'a FunctionOptions>,
}

/// Locks the keys that these calls are going to reserve, in their order; else each [`reserve`] would lock one. What does
/// not exist yet is inserted without an owner, and is the first one's that reserves it.
pub(super) async fn hold(tx: &mut Tx<'_>, calls: Vec<Wanted<'_>>) -> Result<()> {
    if tx.is_alone() {
        return Ok(());
    }
    let mut first = BTreeMap::new();
    for call in &calls {
        let function = tx.catalog.function(call.function).or(call.registered);
        if let Some(key) = decide::idempotency_key(call.key, call.args_hash, function) {
            first.entry(format!("{}/{key}", call.function)).or_insert(call);
        }
    }
    if first.len() < 2 {
        return Ok(());
    }
    let mut held = IDEMPOTENCY_HOLD.call();
    for (key, call) in &first {
        held.row().text(key.as_str()).bytes(call.args_hash.unwrap_or(&NO_ARGUMENTS).as_slice());
    }
    tx.change(held.time(tx.now.after(KEY_TTL))).await.map(drop)
}

/// Reserves `key` of `function` for `task`, or finds its owner. The same key with other arguments is a conflict.
pub(super) async fn reserve(
    tx: &mut Tx<'_>,
    function: &str,
    key: &str,
    args_hash: &[u8; 32],
    reuse: KeyReuse,
    task: Id,
) -> Result<Reservation> {
    let full_key = format!("{function}/{key}");
    let expires_at = tx.now.after(KEY_TTL);
    loop {
        let mut reserve = IDEMPOTENCY_RESERVE.call();
        reserve.text(full_key.as_str()).id(task).bytes(args_hash.as_slice()).time(expires_at);
        if tx.change(&reserve).await? > 0 {
            return Ok(Reservation::Owner);
        }
        // The owner may be about to end, so its state is read after the key's row is locked.
        let held = tx.find(IDEMPOTENCY_LOCK.call().text(full_key.as_str())).await?;
        if held.is_some() || tx.is_alone() {
            break;
        }
    }
    let mut find = IDEMPOTENCY_FIND.call();
    if let Some(row) = tx.find(find.text(full_key.as_str()).time(tx.now)).await? {
        let found = standing(&row)?;
        let absent = found.owner.filter(|_| found.state.is_none());
        let means = decide::reserve(function, key, args_hash, reuse, task, found)?;
        if means != Reservation::Owner {
            return Ok(means);
        }
        // The key of a task that has gone to another store is its execution's.
        moved::refuse(tx, absent.into_iter()).await.map_err(|why| decide::in_key(why, function, key))?;
    }
    let mut take_over = IDEMPOTENCY_TAKE_OVER.call();
    take_over.text(full_key.as_str()).id(task).bytes(args_hash.as_slice()).time(expires_at);
    tx.change(&take_over).await?;
    Ok(Reservation::Owner)
}

fn standing(row: &Row) -> Result<Found> {
    Ok(Found {
        args_hash: row.optional_bytes("args_hash")?.map(<[u8]>::to_vec),
        value: row.payload("value")?,
        owner: row.optional_id("owner")?,
        state: row.optional_text("state")?.map(str::parse).transpose()?,
        result: row.payload("result")?,
    })
}

/// The execution whose root task this is.
pub(super) async fn root_execution(tx: &mut Tx<'_>, task: Id) -> Result<Option<Id>> {
    let row = tx.find(TASK_ROOT_EXECUTION.call().id(task)).await?;
    row.map(|row| row.id("execution_id")).transpose()
}

/// Is `ancestor` the task itself, one of its ancestors, or a task that one of these waits for by a key?
pub(super) async fn waits_for(tx: &mut Tx<'_>, ancestor: Id, task: Id) -> Result<bool> {
    tx.lock(&[Lock::Joins]).await?;
    tx.one(TASK_WAITS_FOR.call().id(task).id(ancestor)).await?.flag("waits")
}

/// Called when owners of keys have ended: tasks that joined them get the result, or the first of them runs instead.
/// Returns the ends that follow.
pub(super) async fn resolve_joins(tx: &mut Tx<'_>, ended: &[(Id, &Ending)]) -> Result<Vec<End>> {
    lock(tx, ended.iter().map(|(id, _)| *id)).await?;
    let mut ends = Vec::new();
    let mut freed = Vec::new();
    for (id, ending) in ended {
        match ending {
            Ending::Completed(result) => {
                for (joiner, parent) in joiners(tx, *id).await? {
                    ends.push(End::now(joiner, parent, Ending::Completed(result.clone())));
                }
            }
            Ending::Failed(_) | Ending::Cancelled => freed.push(*id),
        }
    }
    release(tx, &freed).await?;
    Ok(ends)
}

/// Locks the keys of these owners. Nobody can join them after this; tasks that joined before are visible now.
pub(super) async fn lock(tx: &mut Tx<'_>, owners: impl Iterator<Item = Id>) -> Result<()> {
    tx.now_or_again(&IDEMPOTENCY_LOCK_OWNED.call().ids(owners)).await.map(drop)
}

/// For owners that did not complete: the first task that joined each becomes the owner and runs, and the others wait
/// for it.
pub(super) async fn release(tx: &mut Tx<'_>, owners: &[Id]) -> Result<()> {
    lock(tx, owners.iter().copied()).await?;
    for owner in owners {
        let Some((heir, _)) = joiners(tx, *owner).await?.into_iter().next() else { continue };
        tx.change(IDEMPOTENCY_INHERIT.call().id(*owner).id(heir)).await?;
        tx.change(TASKS_START_HEIR.call().id(heir)).await?;
        tx.change(TASKS_REJOIN.call().id(*owner).id(heir)).await?;
        tx.hint_work();
    }
    Ok(())
}

/// The tasks that joined `owner`, oldest first, with their parents.
async fn joiners(tx: &mut Tx<'_>, owner: Id) -> Result<Vec<(Id, Option<Id>)>> {
    let found = tx.now_or_again(TASKS_JOINING.call().id(owner)).await?;
    found.iter().map(|row| Ok((row.id("id")?, row.optional_id("parent_task_id")?))).collect()
}
