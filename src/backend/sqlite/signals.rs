//! Signals are a log: kept in order, taken by the oldest wait for their name. Sending and waiting meet in one
//! transaction, and SQLite has one writer, so no signal falls between.

use sqlx::Row as _;

use super::ends;
use super::error;
use super::rows::Columns;
use super::tx::{Tx, id_of};
use super::waits::WaitBook;
use crate::backend::NewSignal;
use crate::backend::decide::{End, Ending};
use crate::model::{Error, ExecutionState, Id, Payload, Result};

/// Appends a signal and hands it on. The same id for the same execution and name counts once.
pub(super) async fn send(tx: &mut Tx, signal: &NewSignal) -> Result<()> {
    match execution_state(tx, signal.execution).await? {
        None => {
            return Err(Error::not_found(format!("signal: there is no execution {}", signal.execution)));
        }
        Some(state) if state.is_terminal() || state == ExecutionState::Cancelling => {
            return Err(Error::conflict(format!(
                "signal: execution {} is {state}; only one that goes on takes signals",
                signal.execution
            )));
        }
        Some(_) => {}
    }
    let added = sqlx::query(include_str!("sql/signal_append.sql"))
        .bind(signal.execution.as_bytes().as_slice())
        .bind(&signal.name)
        .bind(&signal.id)
        .bind(signal.payload.as_bytes())
        .bind(tx.now.micros())
        .bind(false)
        .bind(None::<i64>)
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("append a signal"))?;
    if added.rows_affected() == 0 {
        return Ok(());
    }
    let mut book = WaitBook::default();
    hand_out(tx, &mut book, signal.execution, &signal.name).await?;
    book.save(tx).await
}

pub(super) async fn execution_state(tx: &mut Tx, execution: Id) -> Result<Option<ExecutionState>> {
    let row = sqlx::query(include_str!("sql/execution_state_word.sql"))
        .bind(execution.as_bytes().as_slice())
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(error::map("read an execution's state"))?;
    row.map(|row| row.get::<&str, _>(0).parse()).transpose()
}

/// Gives the oldest signals to the oldest waits, as long as there are both.
pub(super) async fn hand_out(tx: &mut Tx, book: &mut WaitBook, execution: Id, name: &str) -> Result<()> {
    loop {
        let wait = sqlx::query(include_str!("sql/signal_wait_oldest.sql"))
            .bind(execution.as_bytes().as_slice())
            .bind(name)
            .fetch_optional(&mut tx.conn)
            .await
            .map_err(error::map("find who waits for a signal"))?;
        let Some(wait) = wait else { return Ok(()) };
        let task = id_of(wait.get(0))?;
        let parent = wait.get::<Option<&[u8]>, _>(1).map(id_of).transpose()?;
        let Some(payload) = take(tx, execution, name, task).await? else { return Ok(()) };
        ends::finish(tx, book, vec![End::now(task, parent, Ending::Completed(payload))]).await?;
    }
}

/// Marks the oldest signal that nobody has taken as this wait's.
async fn take(tx: &mut Tx, execution: Id, name: &str, task: Id) -> Result<Option<Payload>> {
    let row = sqlx::query(include_str!("sql/signal_take.sql"))
        .bind(execution.as_bytes().as_slice())
        .bind(name)
        .bind(task.as_bytes().as_slice())
        .bind(tx.now.micros())
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(error::map("take a signal"))?;
    row.map(|row| Ok(Columns(&row).payload("payload")?.unwrap_or_else(Payload::null))).transpose()
}

/// A wait that is cancelled after it took a signal which its handler has not seen: the wait ends again, as cancelled,
/// under a new arrival number, and the signal is offered again. None: it had taken nothing.
pub(super) async fn put_back(tx: &mut Tx, book: &mut WaitBook, wait: Id, parent: Id) -> Result<Option<u64>> {
    let row = sqlx::query(include_str!("sql/signal_put_back.sql"))
        .bind(wait.as_bytes().as_slice())
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(error::map("put a signal back"))?;
    let Some(row) = row else { return Ok(None) };
    let execution = id_of(row.get(0))?;
    let name: String = row.get(1);
    let arrival = book.next_arrival(parent);
    book.delivered(parent, arrival);
    sqlx::query(include_str!("sql/signal_wait_cancel.sql"))
        .bind(wait.as_bytes().as_slice())
        .bind(arrival as i64)
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("cancel a wait for a signal"))?;
    hand_out(tx, book, execution, &name).await?;
    Ok(Some(arrival))
}
