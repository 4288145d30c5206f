//! The protocol's dead letters.

use std::sync::Arc;

use super::super::database::Database;
use super::super::dead_letters;
use super::super::rows;
use super::super::session::Session;
use super::super::statements::{DEAD_LETTER_DELETE, DEAD_LETTER_PUT, DEAD_LETTERS_COUNT, TASK_GET};
use super::super::store::Sql;
use super::super::tx::Tx;
use crate::backend::{DeadLetterFilter, Response, decide};
use crate::codec;
use crate::model::{DeadLetter, Id, Result, Task};

pub(super) async fn put<D: Database>(store: &Sql<D>, task: Task, reason: String) -> Result<Response> {
    decide::check_task(&task)?;
    store.write_exactly((task, reason), |tx, request| Box::pin(write(tx, request))).await?;
    Ok(Response::Nothing)
}

async fn write(tx: &mut Tx<'_>, request: Arc<(Task, String)>) -> Result<()> {
    let (task, reason) = request.as_ref();
    let stored = tx.find(TASK_GET.call().id(task.id)).await?.as_ref().map(rows::task).transpose()?;
    decide::check_letter(task, stored.as_ref())?;
    let mut call = DEAD_LETTER_PUT.call();
    call.id(task.id)
        .id(task.execution_id)
        .text(task.step_name.as_str())
        .made_bytes(codec::task_to_column(task))
        .text(reason.as_str())
        .time(tx.now);
    tx.change(&call).await.map(drop)
}

pub(super) async fn list<D: Database>(store: &Sql<D>, limit: u32) -> Result<Response> {
    let filter = DeadLetterFilter { limit, ..DeadLetterFilter::default() };
    find(store, filter).await.map(Response::DeadLetters)
}

pub(super) async fn get<D: Database>(store: &Sql<D>, task: Id) -> Result<Response> {
    let filter = DeadLetterFilter { task: Some(task), limit: 1, ..DeadLetterFilter::default() };
    let found = find(store, filter).await?;
    Ok(Response::DeadLetter(found.into_iter().next().map(Box::new)))
}

async fn find<D: Database>(store: &Sql<D>, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
    store.read(filter, |session, filter| Box::pin(async move { dead_letters::list(session, &filter).await })).await
}

pub(super) async fn count<D: Database>(store: &Sql<D>) -> Result<Response> {
    let count = store.read((), |session, _| Box::pin(count_stored(session))).await?;
    Ok(Response::Count(count))
}

async fn count_stored(session: &mut dyn Session) -> Result<u64> {
    session.one(&DEAD_LETTERS_COUNT.call()).await?.count("count")
}

pub(super) async fn delete<D: Database>(store: &Sql<D>, task: Id) -> Result<Response> {
    let deleted = store.write_exactly(task, |tx, task| Box::pin(take_away(tx, *task))).await?;
    Ok(Response::Flag(deleted))
}

/// True: it existed.
async fn take_away(tx: &mut Tx<'_>, task: Id) -> Result<bool> {
    Ok(tx.change(DEAD_LETTER_DELETE.call().id(task)).await? == 1)
}
