//! Journals, cached results and leases: what a worker asks for the tasks that it holds.

use std::collections::HashMap;

use sqlx::Row as _;

use super::batch::Batch;
use super::conn::Conn;
use super::rows::Columns;
use super::tx::Tx;
use super::{error, register};
use crate::backend::{JournalEntry, JournalRequest, Renew, Renewed};
use crate::model::{Id, Payload, Result};

/// In the order of the requests; entries by operation number.
pub(super) async fn journals(conn: &mut Conn, requests: &[JournalRequest]) -> Result<Vec<Vec<JournalEntry>>> {
    let mut batch = Batch::new();
    for request in requests {
        batch.row().id(request.task).int(request.after as i64);
    }
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let found = batch
        .bind_to(sqlx::query(include_str!("sql/journals.sql")))
        .fetch_all(conn)
        .await
        .map_err(error::map("load journals"))?;
    let mut journals: HashMap<Id, Vec<JournalEntry>> = HashMap::new();
    for row in &found {
        let row = Columns(row);
        let entry = JournalEntry {
            op: row.count("op")?,
            id: row.id("id")?,
            key: row.get("step_key")?,
            name: row.get("step_name")?,
            kind: row.word("kind")?,
            args: row.payload("args")?.unwrap_or_else(Payload::empty_array),
            kwargs: row.payload("kwargs")?.unwrap_or_else(Payload::empty_object),
            state: row.word("state")?,
            result: row.payload("result")?,
            error: row.failure("error")?,
            arrival: row.optional_count("arrival")?,
            completed_at: row.optional_time("completed_at")?,
        };
        journals.entry(row.id("parent_task_id")?).or_default().push(entry);
    }
    let take = |request: &JournalRequest| {
        let mut entries = journals.remove(&request.task).unwrap_or_default();
        entries.sort_unstable_by_key(|entry| entry.op);
        entries
    };
    Ok(requests.iter().map(take).collect())
}

/// Results kept for these keys, in order.
pub(super) async fn cached(conn: &mut Conn, keys: &[String]) -> Result<Vec<Option<Payload>>> {
    let found = sqlx::query(include_str!("sql/cache_get_many.sql"))
        .bind(keys)
        .fetch_all(conn)
        .await
        .map_err(error::map("look for cached results"))?;
    let results: HashMap<String, Payload> =
        found.iter().map(|row| (row.get("key"), Payload::from(row.get::<Vec<u8>, _>("value")))).collect();
    Ok(keys.iter().map(|key| results.get(key).cloned()).collect())
}

/// Renews a worker's leases, and finds those that it has lost and those whose execution is being ended.
pub(super) async fn renew(tx: &mut Tx, renew: &Renew) -> Result<Renewed> {
    let mut batch = Batch::new();
    for held in &renew.held {
        batch.row().id(held.task).int(held.fence as i64);
    }
    let until = tx.now.after(renew.lease);
    let found = tx
        .fetch_batch("renew leases", include_str!("sql/tasks_renew.sql"), batch.by_id(), |query| query.bind(until))
        .await?;
    let mut standing = HashMap::new();
    for row in &found {
        let row = Columns(row);
        standing.insert(row.id("id")?, row.get::<Option<String>>("execution_state")?);
    }
    let mut renewed = Renewed::default();
    for held in &renew.held {
        match standing.get(&held.task).map(Option::as_deref) {
            None => renewed.lost.push(held.task),
            Some(Some("pending" | "running")) => {}
            Some(_) => renewed.cancelled.push(held.task),
        }
    }
    register::seen(tx, &renew.worker_id).await?;
    Ok(renewed)
}
