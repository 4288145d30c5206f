//! Signals are a log: kept in order, taken by the oldest wait for their name. Sending and waiting take the same lock of
//! the execution first, so no signal falls between.

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

/// Appends a signal and hands it on. The same id for the same execution and name counts once. The answer: its number, if
/// it was not there already.
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

/// The same again, after a commit whose answer was lost, in which it had this number: no other signal ever has it. Its
/// execution may be over by now.
pub(super) async fn send_again(tx: &mut Tx<'_>, signal: &NewSignal, number: Option<i64>) -> Result<Option<i64>> {
    let Some(sequence) = number else { return Ok(None) };
    // That commit may still be on its way; it has this lock until it is over.
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
        // Who else may end the wait has this lock first: if it still waits now, it does so to the end.
        book.load(tx, parent).await?;
        let Some(payload) = take(tx, execution, name, task).await? else {
            // Another may have ended that wait meanwhile: look once more.
            if tx.is_alone() || last == Some(task) {
                return Ok(());
            }
            last = Some(task);
            continue;
        };
        ends::finish(tx, book, vec![End::now(task, parent, Ending::Completed(payload))]).await?;
    }
}

/// Marks the oldest signal that nobody has taken as this wait's.
async fn take(tx: &mut Tx<'_>, execution: Id, name: &str, task: Id) -> Result<Option<Payload>> {
    let row = tx.find(SIGNAL_TAKE.call().id(execution).text(name).id(task).time(tx.now)).await?;
    row.map(|row| Ok(row.payload("payload")?.unwrap_or_else(Payload::null))).transpose()
}

/// A wait that is cancelled after it took a signal which its handler has not seen: the wait ends again, as cancelled,
/// under a new arrival number, and the signal is offered again. None: it had taken nothing.
pub(super) async fn put_back(tx: &mut Tx<'_>, book: &mut WaitBook, wait: Id, parent: Id) -> Result<Option<u64>> {
    let Some(row) = tx.find(SIGNAL_PUT_BACK.call().id(wait)).await? else { return Ok(None) };
    let arrival = book.next_arrival(parent);
    book.delivered(parent, arrival);
    tx.change(SIGNAL_WAIT_CANCEL.call().id(wait).int(arrival as i64)).await?;
    hand_out(tx, book, row.id("execution_id")?, row.text("name")?).await?;
    Ok(Some(arrival))
}
