//! Workers and their functions, made known to the whole store.

use super::catalog::stored;
use super::error;
use super::routes::bump_catalog;
use super::tx::Tx;
use crate::backend::NewWorker;
use crate::codec;
use crate::model::{FunctionOptions, Result};

pub(super) async fn register(tx: &mut Tx, worker: &NewWorker) -> Result<()> {
    let map = error::map("register a worker");
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
            .bind(*max_concurrent)
            .bind(cached)
            .bind(stored(*cache_ttl))
            .bind(idempotent)
            .execute(&mut tx.conn)
            .await
            .map_err(&map)?;
    }
    sqlx::query(include_str!("sql/worker_put.sql"))
        .bind(&worker.worker_id)
        .bind(codec::tags_to_column(&worker.queues))
        .bind(codec::tags_to_column(&worker.tags))
        .bind(tx.now.micros())
        .execute(&mut tx.conn)
        .await
        .map_err(&map)?;
    bump_catalog(tx).await?;
    tx.reload_catalog().await?;
    tx.catalog.add_local(worker.clone());
    tx.hint_work();
    Ok(())
}

/// What waited for this worker alone goes to everyone.
pub(super) async fn remove(tx: &mut Tx, worker_id: &str) -> Result<()> {
    let map = error::map("remove a worker");
    if let Some(lane) = tx.catalog.worker_lane(worker_id) {
        sqlx::query(include_str!("sql/tasks_leave_lane.sql")).bind(lane).execute(&mut tx.conn).await.map_err(&map)?;
        sqlx::query(include_str!("sql/worker_delete.sql")).bind(worker_id).execute(&mut tx.conn).await.map_err(&map)?;
        bump_catalog(tx).await?;
        tx.reload_catalog().await?;
        tx.hint_work();
    }
    tx.catalog.remove_local(worker_id);
    Ok(())
}
