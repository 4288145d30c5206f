//! What was asked for in plain SQL: signals and cancels. An asker's transaction has noted them and touches nothing else of an
//! execution that goes on, since it may be open for as long as its owner likes. They are carried out by the next sweep after
//! its commit, in the order in which they were asked for.

use super::lock::Lock;
use super::row::Row;
use super::statements::{REQUESTS_DONE, REQUESTS_OF, REQUESTS_OLDEST};
use super::tx::Tx;
use super::waits::WaitBook;
use super::{cancel, signals};
use crate::backend::NewSignal;
use crate::model::{Error, Id, Payload, Result, Status, error_text};

/// Of one kind, in one transaction: others wait for its locks.
const MOST: i64 = 100;

/// Carries out the oldest ones, as far as they are of one kind. Returns how many.
pub(super) async fn carry_out(tx: &mut Tx<'_>, book: &mut WaitBook) -> Result<usize> {
    let mut found = tx.fetch(REQUESTS_OLDEST.call().int(MOST)).await?;
    let Some(first) = found.first() else { return Ok(0) };
    let cancels = is_cancel(first)?;
    let kinds = found.iter().map(is_cancel).collect::<Result<Vec<bool>>>()?;
    found.truncate(kinds.iter().take_while(|kind| **kind == cancels).count());
    match cancels {
        true => cancel_all(tx, book, &found).await?,
        false => signal_all(tx, &found).await?,
    }
    let done = found.iter().map(|row| row.int("sequence")).collect::<Result<Vec<i64>>>()?;
    tx.change(REQUESTS_DONE.call().ints(&done)).await?;
    Ok(found.len())
}

/// What is asked for is for this store: an execution stays here until it is done.
pub(super) async fn keeps(tx: &mut Tx<'_>, execution: Id) -> Result<bool> {
    Ok(tx.find(REQUESTS_OF.call().id(execution)).await?.is_some())
}

fn is_cancel(row: &Row) -> Result<bool> {
    match row.text("kind")? {
        "cancel" => Ok(true),
        "signal" => Ok(false),
        other => Err(Error::backend(format!("'{other}' is nothing that can be asked for in SQL"))),
    }
}

async fn signal_all(tx: &mut Tx<'_>, found: &[Row]) -> Result<()> {
    let signals = found.iter().map(signal).collect::<Result<Vec<NewSignal>>>()?;
    let locks: Vec<Lock<'_>> = signals.iter().map(|signal| Lock::Signals(signal.execution)).collect();
    tx.lock(&locks).await?;
    for signal in &signals {
        match signals::send(tx, signal).await {
            // It has ended since it was asked.
            Err(why) if matches!(why.status(), Status::NotFound | Status::Conflict) => {}
            sent => drop(sent?),
        }
    }
    Ok(())
}

fn signal(row: &Row) -> Result<NewSignal> {
    Ok(NewSignal {
        execution: row.id("execution_id")?,
        name: row.string("name")?,
        payload: row.payload("payload")?.unwrap_or_else(Payload::null),
        id: row.optional_string("id")?,
    })
}

async fn cancel_all(tx: &mut Tx<'_>, book: &mut WaitBook, found: &[Row]) -> Result<()> {
    let reason = |row: &Row| Ok((row.id("execution_id")?, row.optional_string("reason")?.map(error_text)));
    let mut asked = found.iter().map(reason).collect::<Result<Vec<(Id, Option<String>)>>>()?;
    // Executions are locked in their order; of two reasons the first counts.
    asked.sort_by_key(|(execution, _)| *execution);
    for (execution, reason) in &asked {
        // Mostly the asker's commit has begun it, of which nobody has told those who hold something of it.
        if !cancel::begin(tx, *execution, reason.as_deref()).await? {
            tx.hint_cancelling(*execution);
        }
    }
    let begun = asked.into_iter().map(|(execution, _)| execution).collect();
    cancel::cancel_executions(tx, book, begun).await
}
