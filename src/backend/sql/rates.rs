//! How often tasks of functions and of queues may start: their buckets of tokens. They are read and written under the lock of
//! the function's limit, or of the queue's rate, by whoever claims its tasks, and a sweep wakes the workers when the next token is there. Those of keys are the tables' own,
//! with the keys' slots: what waits for one is in no lane.

use std::collections::HashMap;
use std::time::Duration;

use super::holds;
use super::register::catalog_changed;
use super::statements::{KEYS_DUE, RATES_DUE, RATES_PUT, RATES_READ};
use super::tx::Tx;
use crate::model::{Rate, Result, Timestamp};

/// Workers are not woken more often than this for one rate, however fast its tokens come.
const WOKEN: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Default)]
pub(super) struct Bucket {
    pub full_at: Timestamp,
    due_at: Option<Timestamp>,
}

/// The buckets of these functions, or queues; of one that has none it is full.
pub(super) async fn read(tx: &mut Tx<'_>, kind: &'static str, names: Vec<String>) -> Result<HashMap<String, Bucket>> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let found = tx.fetch(RATES_READ.call().text(kind).texts(names)).await?;
    let bucket = |full_at, due_at| Bucket { full_at, due_at };
    found
        .iter()
        .map(|row| Ok((row.string("name")?, bucket(row.time("full_at")?, row.optional_time("due_at")?))))
        .collect()
}

/// So many attempts of each function, or queue, have started. Where no token is left it is noted when the next is there: others may
/// wait for it.
pub(super) async fn count(tx: &mut Tx<'_>, kind: &'static str, starts: &[(&str, &Rate, Bucket, usize)]) -> Result<()> {
    let mut call = RATES_PUT.call();
    for (name, rate, bucket, starts) in starts {
        let full_at = rate.after(bucket.full_at, tx.now, *starts);
        let empty = rate.tokens(full_at, tx.now) == 0;
        let next = empty.then(|| rate.next(full_at, tx.now).max(tx.now.after(WOKEN)));
        if let Some(at) = next {
            tx.hint_due(at);
        }
        // Whoever looks in vain writes nothing.
        if *starts > 0 || (next.is_some() && bucket.due_at.is_none()) {
            call.row().text(*name).time(full_at).time(next);
        }
    }
    tx.change(call.text(kind)).await.map(drop)
}

/// There are tokens again, or holds are over: what keys have is given to who waits for it.
pub(super) async fn due(tx: &mut Tx<'_>, most: i64) -> Result<usize> {
    let holds::Over { mut keys, functions } = holds::end(tx, most).await?;
    for row in tx.fetch(KEYS_DUE.call().time(tx.now).int(most)).await? {
        keys.push((row.string("function")?, row.string("concurrency_key")?));
    }
    holds::fill(tx, &keys).await?;
    // After the keys, as a claim does.
    let found = keys.len() + functions + tx.change(RATES_DUE.call().time(tx.now)).await? as usize;
    if functions > 0 {
        catalog_changed(tx).await?;
    }
    if found > 0 {
        tx.hint_work();
    }
    Ok(found)
}
