//! Registers workers and their functions, and removes workers.

use super::catalog::{FUNCTION, QUEUE, stored};
use super::routes::bump_catalog;
use super::statements::{
    FUNCTION_DELETE, FUNCTION_PUT, RATE_DECLARE, RATE_DELETE, TASKS_LEAVE_LANE, TASKS_LIMIT_RUNNING, TASKS_LIMIT_WOKEN,
    WORKER_DELETE, WORKER_PUT, WORKER_SEEN,
};
use super::tx::Tx;
use crate::backend::{Function, NewWorker};
use crate::codec;
use crate::model::{FunctionOptions, Rate, Result, Timestamp};

/// The caller adds the worker to the process's own (`SharedCatalog::add_local`) after the commit.
pub(super) async fn register(tx: &mut Tx<'_>, worker: &NewWorker) -> Result<()> {
    for (queue, rate) in &worker.queue_rates {
        if tx.catalog.queue_rate(queue) != rate.as_ref() {
            declare_rate(tx, queue, rate.as_ref()).await?;
        }
    }
    // In one order, whatever that of their registration.
    let mut functions: Vec<&Function> = worker.functions.iter().collect();
    functions.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    for function in functions {
        if tx.catalog.function(&function.name) != Some(&function.options) {
            declare(tx, function).await?;
        }
    }
    put(tx, worker).await?;
    catalog_changed(tx).await?;
    tx.hint_work();
    Ok(())
}

/// How often tasks of a queue start. Its bucket goes on from what it holds.
async fn declare_rate(tx: &mut Tx<'_>, queue: &str, rate: Option<&Rate>) -> Result<()> {
    let Some(rate) = rate else {
        return tx.change(RATE_DELETE.call().text(QUEUE).text(queue)).await.map(drop);
    };
    let mut call = RATE_DECLARE.call();
    call.text(QUEUE).text(queue).time(Timestamp::default()).made(codec::rate_to_column(rate));
    tx.change(&call).await.map(drop)
}

async fn declare(tx: &mut Tx<'_>, Function { name, options }: &Function) -> Result<()> {
    let FunctionOptions {
        queue,
        tags,
        priority,
        priority_ageing,
        retry_policy,
        timeout,
        version,
        max_concurrent,
        max_concurrent_per_key,
        rate,
        rate_per_key,
        cached,
        cache_ttl,
        idempotent,
        cleanup,
    } = options;
    let mut call = FUNCTION_PUT.call();
    call.text(name.as_str())
        .text(queue.as_deref())
        .made(codec::tags_to_column(tags))
        .int(*priority)
        .made(retry_policy.as_ref().map(codec::policy_to_column))
        .int(stored(*timeout))
        .text(version.as_deref())
        .int(max_concurrent.map(i64::from))
        .flag(*cached)
        .int(stored(*cache_ttl))
        .flag(*idempotent)
        .int(stored(*cleanup))
        .int(max_concurrent_per_key.map(i64::from))
        .made(rate.as_ref().map(codec::rate_to_column))
        .made(rate_per_key.as_ref().map(codec::rate_to_column))
        .int(rate_per_key.as_ref().map(Rate::interval))
        .int(rate_per_key.as_ref().map(|rate| i64::from(rate.burst)))
        .int(stored(*priority_ageing));
    tx.change(&call).await?;
    // It had no limit before. Its running tasks are marked, so that they count; tasks that are in one worker's own lane
    // move to the route's, where it is counted. No other worker knows of the limit before the commit.
    if max_concurrent.is_some() && !tx.catalog.is_limited(name) {
        tx.change(TASKS_LIMIT_RUNNING.call().text(name.as_str())).await?;
    }
    let counted = max_concurrent.is_some() || rate.is_some() || rate_per_key.is_some();
    if counted && !tx.catalog.is_counted(name) {
        tx.change(TASKS_LIMIT_WOKEN.call().text(name.as_str())).await?;
    }
    if rate.is_none() {
        tx.change(RATE_DELETE.call().text(FUNCTION).text(name.as_str())).await?;
    }
    Ok(())
}

async fn put(tx: &mut Tx<'_>, worker: &NewWorker) -> Result<()> {
    let mut call = WORKER_PUT.call();
    call.text(worker.worker_id.as_str())
        .made(codec::tags_to_column(&worker.queues))
        .made(codec::tags_to_column(&worker.tags))
        .time(tx.now);
    tx.change(&call).await.map(drop)
}

/// Notes that a worker of this process is alive. If it has been removed as dead, it is registered again.
pub(super) async fn seen(tx: &mut Tx<'_>, worker_id: &str) -> Result<()> {
    tx.shared.signed(worker_id);
    if tx.change(WORKER_SEEN.call().text(worker_id).time(tx.now)).await? > 0 {
        return Ok(());
    }
    let Some(worker) = tx.shared.local(worker_id) else { return Ok(()) };
    put(tx, &worker).await?;
    catalog_changed(tx).await
}

/// Removes workers. Tasks in their own lanes may be claimed by any worker. A new worker of the same name gets another
/// lane.
pub(super) async fn forget(tx: &mut Tx<'_>, worker_ids: &[String]) -> Result<()> {
    let mut changed = false;
    for worker_id in worker_ids {
        let Some(lane) = tx.catalog.worker_lane(worker_id) else { continue };
        tx.change(TASKS_LEAVE_LANE.call().int(lane)).await?;
        tx.change(WORKER_DELETE.call().text(worker_id.as_str())).await?;
        changed = true;
    }
    if changed {
        catalog_changed(tx).await?;
        tx.hint_work();
    }
    Ok(())
}

/// What a worker has declared of these functions counts no more. A worker that declares them is asked for nothing.
pub(super) async fn forget_functions(tx: &mut Tx<'_>, names: &[String]) -> Result<()> {
    let mut names = names.to_vec();
    names.sort_unstable();
    for name in &names {
        tx.change(FUNCTION_DELETE.call().text(name.as_str())).await?;
        tx.change(RATE_DELETE.call().text(FUNCTION).text(name.as_str())).await?;
    }
    catalog_changed(tx).await
}

/// Others see the new catalog after the commit; this transaction uses it from here on.
pub(super) async fn catalog_changed(tx: &mut Tx<'_>) -> Result<()> {
    bump_catalog(tx).await?;
    tx.reload_catalog().await
}
