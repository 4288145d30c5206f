//! Signals as records.

use std::sync::Arc;

use super::super::tx::{Lock, Tx};
use super::super::waits::WaitBook;
use super::super::{Postgres, error, rows, signals};
use super::executions;
use crate::backend::Response;
use crate::model::{Id, Result, Signal, check_name};

pub(super) async fn create(store: &Postgres, signal: Signal) -> Result<Response> {
    check_name("name", &signal.name)?;
    store.write_exactly(signal, |tx, signal| Box::pin(write(tx, signal))).await?;
    Ok(Response::Nothing)
}

async fn write(tx: &mut Tx, signal: Arc<Signal>) -> Result<()> {
    tx.lock([Lock::Signals(signal.execution_id)]).await?;
    executions::require(tx, signal.execution_id).await?;
    if !signal.consumed {
        return append(tx, &signal).await;
    }
    let done = sqlx::query(include_str!("../sql/signal_consume.sql"))
        .bind(signal.execution_id)
        .bind(&signal.name)
        .bind(signal.consumed_at.unwrap_or(tx.now))
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("mark a signal consumed"))?;
    if done.rows_affected() == 0 { insert(tx, &signal).await } else { Ok(()) }
}

/// A signal was sent: it goes to the oldest wait for its name.
async fn append(tx: &mut Tx, signal: &Signal) -> Result<()> {
    insert(tx, signal).await?;
    let mut book = WaitBook::default();
    signals::hand_out(tx, &mut book, signal.execution_id, &signal.name).await?;
    book.save(tx).await
}

async fn insert(tx: &mut Tx, signal: &Signal) -> Result<()> {
    sqlx::query(include_str!("../sql/signal_append.sql"))
        .bind(signal.execution_id)
        .bind(&signal.name)
        .bind(&signal.id)
        .bind(signal.payload.as_bytes())
        .bind(signal.created_at)
        .bind(signal.consumed)
        .bind(signal.consumed_at)
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("append a signal"))?;
    Ok(())
}

pub(super) async fn get(store: &Postgres, execution: Id, name: String) -> Result<Response> {
    let signal = store
        .read((execution, name), |conn, request| {
            Box::pin(async move {
                let row = sqlx::query(include_str!("../sql/signal_get.sql"))
                    .bind(request.0)
                    .bind(&request.1)
                    .fetch_optional(conn)
                    .await
                    .map_err(error::map("read a signal"))?;
                row.as_ref().map(rows::signal).transpose()
            })
        })
        .await?;
    Ok(Response::Signal(signal))
}
