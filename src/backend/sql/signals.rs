//! Signals are a log: kept in order, each taken by the oldest wait for its name. Sending and waiting take the same
//! advisory lock on the execution, so a signal can't be missed by a wait that starts at the same time.

use super::ended::execution_state;
use super::ends;
use super::lock::Lock;
use super::statements::{
    SIGNAL_APPEND, SIGNAL_EXISTS, SIGNAL_PUT_BACK, SIGNAL_TAKE, SIGNAL_WAIT_CANCEL, SIGNAL_WAIT_OLDEST,
};
use super::tx::Tx;
use super::waits::WaitBook;
use crate::backend::NewSignal;
use crate::backend::decide::{End, Ending};
use crate::model::{Error, ExecutionState, Id, Payload, Result};

/// Appends a signal and gives it to a waiting task. A second signal of the same id, execution and name is ignored.
/// Returns the number of the signal, if it is new.
pub(super) async fn send(tx: &mut Tx<'_>, signal: &NewSignal) -> Result<Option<i64>> {
    tx.lock(&[Lock::Signals(signal.execution)]).await?;
    match execution_state(tx.session(), signal.execution).await? {
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
    let mut append = SIGNAL_APPEND.call();
    append
        .id(signal.execution)
        .text(signal.name.as_str())
        .text(signal.id.as_deref())
        .payload(&signal.payload)
        .time(tx.now)
        .flag(false)
        .time(None);
    let Some(added) = tx.find(&append).await? else { return Ok(None) };
    let mut book = WaitBook::default();
    hand_out(tx, &mut book, signal.execution, &signal.name).await?;
    book.save(tx).await?;
    added.int("sequence").map(Some)
}

/// Repeats [`send`] after its commit's answer was lost. `number` is what the signal got in that commit; no other signal
/// can have it. The execution may have ended in the meantime.
pub(super) async fn send_again(tx: &mut Tx<'_>, signal: &NewSignal, number: Option<i64>) -> Result<Option<i64>> {
    let Some(sequence) = number else { return Ok(None) };
    // That commit may still be running; it holds this lock until it has ended.
    tx.lock(&[Lock::Signals(signal.execution)]).await?;
    let row = tx.one(SIGNAL_EXISTS.call().int(sequence).id(signal.execution)).await?;
    if row.flag("found")? { Ok(number) } else { send(tx, signal).await }
}

/// Gives the oldest signals to the oldest waits, as long as there are both.
pub(super) async fn hand_out(tx: &mut Tx<'_>, book: &mut WaitBook, execution: Id, name: &str) -> Result<()> {
    let mut last = None;
    loop {
        let Some(wait) = tx.find(SIGNAL_WAIT_OLDEST.call().id(execution).text(name)).await? else { return Ok(()) };
        let task = wait.id("id")?;
        let parent = wait.optional_id("parent_task_id")?;
        // Others that end this wait lock the same row first: if it is still waiting after this, it stays so until this
        // transaction ends.
        book.load(tx, parent).await?;
        let Some(payload) = take(tx, execution, name, task).await? else {
            // Another transaction may have ended that wait before the lock was taken: look again.
            if tx.is_alone() || last == Some(task) {
                return Ok(());
            }
            last = Some(task);
            continue;
        };
        ends::finish(tx, book, vec![End::now(task, parent, Ending::Completed(payload))]).await?;
    }
}

/// Marks the oldest untaken signal as taken by this wait.
async fn take(tx: &mut Tx<'_>, execution: Id, name: &str, task: Id) -> Result<Option<Payload>> {
    let row = tx.find(SIGNAL_TAKE.call().id(execution).text(name).id(task).time(tx.now)).await?;
    row.map(|row| Ok(row.payload("payload")?.unwrap_or_else(Payload::null))).transpose()
}

/// Cancels a wait that took a signal which its handler has not seen: the wait ends again, as cancelled and under a new
/// arrival number, and the signal can be taken by others. `None`: it had taken none.
pub(super) async fn put_back(tx: &mut Tx<'_>, book: &mut WaitBook, wait: Id, parent: Id) -> Result<Option<u64>> {
    let Some(row) = tx.find(SIGNAL_PUT_BACK.call().id(wait)).await? else { return Ok(None) };
    let arrival = book.next_arrival(parent);
    book.delivered(parent, arrival);
    tx.change(SIGNAL_WAIT_CANCEL.call().id(wait).int(arrival as i64)).await?;
    hand_out(tx, book, row.id("execution_id")?, row.text("name")?).await?;
    Ok(Some(arrival))
}
