//! Workers and their functions, made known to the whole store.

use super::catalog::stored;
use super::error;
use super::routes::bump_catalog;
use super::tx::{Lock, Tx};
use crate::backend::NewWorker;
use crate::codec;
use crate::model::{FunctionOptions, Result};

pub(super) async fn register(tx: &mut Tx, worker: &NewWorker) -> Result<()> {
    let map = error::map("declare a function");
    for function in &worker.functions {
        if tx.catalog.function(&function.name) == Some(&function.options) {
            continue;
        }
        let FunctionOptions {
            queue,
            tags,
            priority,
            retry_policy,
            timeout,
            version,
            max_concurrent,
            cached,
            cache_ttl,
            idempotent,
        } = &function.options;
        sqlx::query(include_str!("sql/function_put.sql"))
            .bind(&function.name)
            .bind(queue)
            .bind(codec::tags_to_column(tags))
            .bind(priority)
            .bind(retry_policy.as_ref().map(codec::policy_to_column))
            .bind(stored(*timeout))
            .bind(version)
            .bind(max_concurrent.map(i64::from))
            .bind(cached)
            .bind(stored(*cache_ttl))
            .bind(idempotent)
            .execute(&mut tx.conn)
            .await
            .map_err(&map)?;
        if max_concurrent.is_some() && !tx.catalog.is_limited(&function.name) {
            limit(tx, &function.name).await?;
        }
    }
    put(tx, worker).await?;
    bump_catalog(tx).await?;
    tx.hint_work();
    Ok(())
}

/// A function has a limit from now on: what runs counts already, and what was woken for one worker alone goes to the
/// route, where it is counted.
async fn limit(tx: &mut Tx, function: &str) -> Result<()> {
    tx.lock([Lock::Limit(function)]).await?;
    for sql in [include_str!("sql/tasks_limit_running.sql"), include_str!("sql/tasks_limit_woken.sql")] {
        sqlx::query(sql).bind(function).execute(&mut tx.conn).await.map_err(error::map("limit a function"))?;
    }
    Ok(())
}

async fn put(tx: &mut Tx, worker: &NewWorker) -> Result<()> {
    sqlx::query(include_str!("sql/worker_put.sql"))
        .bind(&worker.worker_id)
        .bind(codec::tags_to_column(&worker.queues))
        .bind(codec::tags_to_column(&worker.tags))
        .bind(tx.now)
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("register a worker"))?;
    Ok(())
}

/// A worker of this process lives; if it was taken for dead, it is known again.
pub(super) async fn seen(tx: &mut Tx, worker_id: &str) -> Result<()> {
    let seen = sqlx::query(include_str!("sql/worker_seen.sql"))
        .bind(worker_id)
        .bind(tx.now)
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("note a worker's sign of life"))?;
    if seen.rows_affected() > 0 {
        return Ok(());
    }
    let Some(worker) = tx.pool.catalog.local(worker_id) else { return Ok(()) };
    put(tx, &worker).await?;
    bump_catalog(tx).await
}

/// What waited for this worker alone goes to everyone; whoever is called by its name again is another.
pub(super) async fn forget(tx: &mut Tx, worker_id: &str) -> Result<()> {
    let map = error::map("remove a worker");
    let Some(lane) = tx.catalog.worker_lane(worker_id) else { return Ok(()) };
    sqlx::query(include_str!("sql/tasks_leave_lane.sql")).bind(lane).execute(&mut tx.conn).await.map_err(&map)?;
    sqlx::query(include_str!("sql/worker_delete.sql")).bind(worker_id).execute(&mut tx.conn).await.map_err(&map)?;
    bump_catalog(tx).await?;
    tx.hint_work();
    Ok(())
}
