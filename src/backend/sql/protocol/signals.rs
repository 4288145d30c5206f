//! The protocol's signals.

use std::sync::Arc;

use super::super::database::Database;
use super::super::lock::Lock;
use super::super::session::Session;
use super::super::statements::{SIGNAL_APPEND, SIGNAL_CONSUME, SIGNAL_GET};
use super::super::store::Sql;
use super::super::tx::Tx;
use super::super::waits::WaitBook;
use super::super::{rows, signals};
use super::executions;
use crate::backend::Response;
use crate::model::{Id, Result, Signal, check_name};

pub(super) async fn create<D: Database>(store: &Sql<D>, signal: Signal) -> Result<Response> {
    check_name("name", &signal.name)?;
    store.write_exactly(signal, |tx, signal| Box::pin(write(tx, signal))).await?;
    Ok(Response::Nothing)
}

async fn write(tx: &mut Tx<'_>, signal: Arc<Signal>) -> Result<()> {
    tx.lock(&[Lock::Signals(signal.execution_id)]).await?;
    executions::require(tx, signal.execution_id).await?;
    if !signal.consumed {
        return append(tx, &signal).await;
    }
    let mut call = SIGNAL_CONSUME.call();
    call.id(signal.execution_id).text(signal.name.as_str()).time(signal.consumed_at.unwrap_or(tx.now));
    if tx.change(&call).await? == 0 { insert(tx, &signal).await } else { Ok(()) }
}

/// Appends a signal and gives it to the oldest wait for its name.
async fn append(tx: &mut Tx<'_>, signal: &Signal) -> Result<()> {
    insert(tx, signal).await?;
    let mut book = WaitBook::default();
    signals::hand_out(tx, &mut book, signal.execution_id, &signal.name).await?;
    book.save(tx).await
}

async fn insert(tx: &mut Tx<'_>, signal: &Signal) -> Result<()> {
    let mut call = SIGNAL_APPEND.call();
    call.id(signal.execution_id)
        .text(signal.name.as_str())
        .text(signal.id.as_deref())
        .payload(&signal.payload)
        .time(signal.created_at)
        .flag(signal.consumed)
        .time(signal.consumed_at);
    tx.find(&call).await.map(drop)
}

pub(super) async fn get<D: Database>(store: &Sql<D>, execution: Id, name: String) -> Result<Response> {
    let signal = store.read((execution, name), |session, request| Box::pin(find(session, request))).await?;
    Ok(Response::Signal(signal))
}

async fn find(session: &mut dyn Session, request: Arc<(Id, String)>) -> Result<Option<Signal>> {
    let (execution, name) = request.as_ref();
    let found = session.find(SIGNAL_GET.call().id(*execution).text(name.as_str())).await?;
    found.as_ref().map(rows::signal).transpose()
}
