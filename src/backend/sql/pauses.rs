//! Pauses and resumes queues and functions. A pause is part of the catalog: the lanes of what is paused are none of any
//! worker's, so where nothing is paused a claim does nothing for it.
//!
//! A transaction works with one catalog. Others may have begun before a pause was committed and claim after that: so the
//! pause is recorded first, then these are waited for, and then what they have put into workers' own lanes is taken out
//! of there. When that is done nobody claims anything of it any more.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::database::Database;
use super::register::catalog_changed;
use super::row::Row;
use super::session::Session;
use super::statements::{CATALOG_READERS, PAUSE_DELETE, PAUSE_PUT, PAUSES_READ, TASKS_TO_ROUTES};
use super::store::Sql;
use super::tx::Tx;
use crate::backend::{NewPause, Pausable, Pause};
use crate::model::{Error, Result};

/// A transaction that is open for longer than this belongs to a process that hangs.
const KNOWN_WITHIN: Duration = Duration::from_secs(60);

/// Between looks whether they have ended.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Whoever begins from here on knows it.
pub(super) async fn record(tx: &mut Tx<'_>, pause: &NewPause) -> Result<()> {
    let NewPause { what, reason, by } = pause;
    let mut call = PAUSE_PUT.call();
    call.text(what.kind()).text(what.name()).time(tx.now).text(reason.as_deref()).text(by.as_deref());
    tx.change(&call).await?;
    catalog_changed(tx).await
}

/// Waits for the transactions that may have begun before the catalog's last version was committed.
///
/// # Errors
/// One of them goes on for very long.
pub(super) async fn is_known<D: Database>(store: &Sql<D>) -> Result<()> {
    let until = Instant::now() + KNOWN_WITHIN;
    let mut left = readers(store).await?;
    let mut pause = PAUSE_MIN;
    while !left.is_empty() {
        if Instant::now() > until {
            let processes: Vec<String> = left.values().map(ToString::to_string).collect();
            return Err(Error::backend(format!(
                "the pause is recorded, but transactions go on that began before it and may still claim; they are those of \
                 the server's processes {}; say it again",
                processes.join(", ")
            ))
            .retryable(true)
            .with("processes", processes));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        let now = readers(store).await?;
        left.retain(|number, _| now.contains_key(number));
    }
    Ok(())
}

/// By the transaction's number: the server's process.
async fn readers<D: Database>(store: &Sql<D>) -> Result<HashMap<String, i64>> {
    store
        .read((), |session, _| {
            Box::pin(async move {
                let found = session.fetch(&CATALOG_READERS.call()).await?;
                found.iter().map(|row| Ok((row.string("number")?, row.int("process")?))).collect()
            })
        })
        .await
}

/// For when all know it: nothing new comes into these lanes.
pub(super) async fn gather(tx: &mut Tx<'_>) -> Result<()> {
    let paused = tx.catalog.paused().to_vec();
    if paused.is_empty() {
        return Ok(());
    }
    tx.change(TASKS_TO_ROUTES.call().ints(&paused)).await.map(drop)
}

/// Workers claim at once. Not paused: not found.
pub(super) async fn end(tx: &mut Tx<'_>, what: &Pausable) -> Result<()> {
    if tx.change(PAUSE_DELETE.call().text(what.kind()).text(what.name())).await? == 0 {
        return Err(Error::not_found(format!("unpause: {what} is not paused")));
    }
    catalog_changed(tx).await?;
    tx.hint_work();
    Ok(())
}

pub(super) async fn read(session: &mut dyn Session) -> Result<Vec<Pause>> {
    session.fetch(&PAUSES_READ.call()).await?.iter().map(pause).collect()
}

fn pause(row: &Row) -> Result<Pause> {
    let name = row.string("name")?;
    let (queue, function) = if row.text("kind")? == "queue" { (Some(name), None) } else { (None, Some(name)) };
    Ok(Pause {
        queue,
        function,
        since: row.time("since")?,
        reason: row.optional_string("reason")?,
        by: row.optional_string("author")?,
        running: row.count("running")?,
    })
}
