//! Reads journals and cached results, and renews leases, for the tasks that a worker holds.

use std::collections::{HashMap, HashSet};

use super::register;
use super::row::Row;
use super::session::Session;
use super::statements::{CACHE_GET_MANY, JOURNALS, TASKS_RENEW, TASKS_STANDING};
use super::tx::Tx;
use crate::backend::{Held, JournalEntry, JournalRequest, Renew, Renewed};
use crate::model::{Id, Payload, Result};

/// In the order of the requests; entries by operation number.
pub(super) async fn journals(session: &mut dyn Session, requests: &[JournalRequest]) -> Result<Vec<Vec<JournalEntry>>> {
    let tasks: HashSet<Id> = requests.iter().map(|request| request.task).collect();
    if tasks.len() < requests.len() {
        // Rows don't say which request of their task they answer.
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(journal(session, request).await?);
        }
        return Ok(answers);
    }
    let mut call = JOURNALS.call();
    for request in requests {
        call.row().id(request.task).int(request.after as i64);
    }
    let mut journals: HashMap<Id, Vec<JournalEntry>> = HashMap::new();
    for row in session.fetch(&call).await? {
        journals.entry(row.id("parent_task_id")?).or_default().push(entry(&row)?);
    }
    let take = |request: &JournalRequest| {
        let mut entries = journals.remove(&request.task).unwrap_or_default();
        entries.sort_unstable_by_key(|entry| entry.op);
        entries
    };
    Ok(requests.iter().map(take).collect())
}

async fn journal(session: &mut dyn Session, request: &JournalRequest) -> Result<Vec<JournalEntry>> {
    let mut call = JOURNALS.call();
    call.row().id(request.task).int(request.after as i64);
    let mut entries: Vec<_> = session.fetch(&call).await?.iter().map(entry).collect::<Result<_>>()?;
    entries.sort_unstable_by_key(|entry| entry.op);
    Ok(entries)
}

fn entry(row: &Row) -> Result<JournalEntry> {
    Ok(JournalEntry {
        op: row.count("op")?,
        id: row.id("id")?,
        key: row.string("step_key")?,
        name: row.string("step_name")?,
        kind: row.word("kind")?,
        args: row.payload("args")?.unwrap_or_else(Payload::empty_array),
        kwargs: row.payload("kwargs")?.unwrap_or_else(Payload::empty_object),
        state: row.word("state")?,
        result: row.payload("result")?,
        error: row.failure("error")?,
        arrival: row.optional_count("arrival")?,
        completed_at: row.optional_time("completed_at")?,
    })
}

/// Results kept for these keys, in order.
pub(super) async fn cached(session: &mut dyn Session, keys: &[String]) -> Result<Vec<Option<Payload>>> {
    let mut call = CACHE_GET_MANY.call();
    for key in keys {
        call.row().text(key.as_str());
    }
    let mut results = HashMap::new();
    for row in session.fetch(call.clock()).await? {
        results.insert(row.string("key")?, row.payload("value")?);
    }
    Ok(keys.iter().map(|key| results.get(key).cloned().flatten()).collect())
}

/// Renews a worker's leases, and finds those that it has lost and those whose execution is being ended. And those that
/// others are at just now, which are to be renewed again: a renewal holds many rows, and so waits for none.
pub(super) async fn renew(tx: &mut Tx<'_>, renew: &Renew) -> Result<(Renewed, Vec<Held>)> {
    // The one row for which it may have to wait comes first.
    register::seen(tx, &renew.worker_id).await?;
    let mut call = TASKS_RENEW.call();
    for held in &renew.held {
        call.row().id(held.task).int(held.fence as i64);
    }
    let mut call = call.by_id();
    let mut standing = HashMap::new();
    for row in tx.fetch(call.lease(tx.now.after(renew.lease))).await? {
        standing.insert(row.id("id")?, row.optional_string("execution_state")?);
    }
    let mut renewed = Renewed::default();
    let mut missing = Vec::new();
    for held in &renew.held {
        match standing.get(&held.task).map(Option::as_deref) {
            None => missing.push(*held),
            Some(Some("pending" | "running")) => {}
            Some(_) => renewed.cancelled.push(held.task),
        }
    }
    let busy = busy_among(tx, &missing).await?;
    renewed.lost.extend(missing.iter().map(|held| held.task).filter(|task| !busy.contains(task)));
    missing.retain(|held| busy.contains(&held.task));
    Ok((renewed, missing))
}

/// Which of these the worker still holds, for all that is known.
async fn busy_among(tx: &mut Tx<'_>, missing: &[Held]) -> Result<HashSet<Id>> {
    if tx.is_alone() {
        return Ok(HashSet::new());
    }
    let fences: HashMap<Id, u64> = missing.iter().map(|held| (held.task, held.fence)).collect();
    let mut busy = HashSet::new();
    for row in tx.fetch(&TASKS_STANDING.call().ids(fences.keys().copied())).await? {
        let id = row.id("id")?;
        if row.text("state")? == "running" && fences.get(&id) == Some(&row.count("fence")?) {
            busy.insert(id);
        }
    }
    Ok(busy)
}
