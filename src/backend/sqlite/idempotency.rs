//! Reservations of idempotency keys. Who comes first owns the key; who comes second waits by a task of its own; if the
//! owner does not complete, the first who waits runs instead.

use sqlx::Row as _;

use super::batch::Batch;
use super::error;
use super::rows::Columns;
use super::tx::{Tx, nothing_more};
use crate::backend::decide::{self, End, Ending, Found, KEY_TTL, Reservation};
use crate::model::{Id, Result};

/// Reserves `key` of `function` for `task`, or finds who has it. Other arguments under the same key: conflict.
pub(super) async fn reserve(
    tx: &mut Tx,
    function: &str,
    key: &str,
    args_hash: &[u8; 32],
    task: Id,
) -> Result<Reservation> {
    let full_key = format!("{function}/{key}");
    let map = error::map("reserve an idempotency key");
    let found = sqlx::query(include_str!("sql/idempotency_find.sql"))
        .bind(&full_key)
        .bind(tx.now.micros())
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(&map)?;
    if let Some(row) = &found {
        let means = decide::reserve(function, key, args_hash, task, standing(&Columns(row))?)?;
        if means != Reservation::Owner {
            return Ok(means);
        }
    }
    sqlx::query(include_str!("sql/idempotency_reserve.sql"))
        .bind(&full_key)
        .bind(task.as_bytes().as_slice())
        .bind(args_hash.as_slice())
        .bind(tx.now.after(KEY_TTL).micros())
        .execute(&mut tx.conn)
        .await
        .map_err(&map)?;
    Ok(Reservation::Owner)
}

fn standing(row: &Columns<'_>) -> Result<Found> {
    Ok(Found {
        args_hash: row.get("args_hash")?,
        value: row.payload("value")?,
        owner: row.optional_id("owner")?,
        state: row.get::<Option<&str>>("state")?.map(str::parse).transpose()?,
        result: row.payload("result")?,
    })
}

/// The execution whose root task this is.
pub(super) async fn root_execution(tx: &mut Tx, task: Id) -> Result<Option<Id>> {
    let row = sqlx::query(include_str!("sql/task_root_execution.sql"))
        .bind(task.as_bytes().as_slice())
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(error::map("find an execution by its root"))?;
    row.map(|row| super::tx::id_of(row.get(0))).transpose()
}

/// Is `ancestor` the task itself, or above it, directly or by what they wait for?
pub(super) async fn waits_for(tx: &mut Tx, ancestor: Id, task: Id) -> Result<bool> {
    let row = sqlx::query(include_str!("sql/task_waits_for.sql"))
        .bind(task.as_bytes().as_slice())
        .bind(ancestor.as_bytes().as_slice())
        .fetch_one(&mut tx.conn)
        .await
        .map_err(error::map("look for a join that would wait for itself"))?;
    Ok(row.get(0))
}

/// Tasks that had keys have ended: those who joined them get the result, or the first of them runs instead.
pub(super) async fn hand_on(tx: &mut Tx, ended: &[(Id, &Ending)]) -> Result<Vec<End>> {
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

/// Owners that did not complete: the first who joined each runs instead, and the others wait for that one.
pub(super) async fn release(tx: &mut Tx, owners: &[Id]) -> Result<()> {
    for owner in owners {
        let Some((heir, _)) = joiners(tx, *owner).await?.into_iter().next() else { continue };
        let map = error::map("hand an idempotency key on");
        let (owner, heir) = (owner.as_bytes().as_slice(), heir.as_bytes().as_slice());
        sqlx::query(include_str!("sql/idempotency_inherit.sql"))
            .bind(owner)
            .bind(heir)
            .execute(&mut tx.conn)
            .await
            .map_err(&map)?;
        sqlx::query(include_str!("sql/tasks_start_heir.sql")).bind(heir).execute(&mut tx.conn).await.map_err(&map)?;
        sqlx::query(include_str!("sql/tasks_rejoin.sql"))
            .bind(owner)
            .bind(heir)
            .execute(&mut tx.conn)
            .await
            .map_err(&map)?;
        tx.hint_work();
    }
    Ok(())
}

/// In order of arrival, with their parents.
async fn joiners(tx: &mut Tx, owner: Id) -> Result<Vec<(Id, Option<Id>)>> {
    let found = tx
        .fetch_batch("find joined tasks", include_str!("sql/tasks_joining.sql"), Batch::of_ids([owner]), nothing_more)
        .await?;
    found.iter().map(|row| Ok((Columns(row).id("id")?, Columns(row).optional_id("parent_task_id")?))).collect()
}
