//! Tasks that used up their attempts.

use super::super::rows::Columns;
use super::super::{Sqlite, dead_letters, error};
use crate::backend::{DeadLetterFilter, Response, decide};
use crate::codec;
use crate::model::{Id, Result, Task};

pub(super) async fn put(store: &Sqlite, task: Task, reason: String) -> Result<Response> {
    decide::check_task(&task)?;
    store
        .write((task, reason), |tx, request| {
            Box::pin(async move {
                let (task, reason) = &*request;
                sqlx::query(include_str!("../sql/dead_letter_put.sql"))
                    .bind(task.id.as_bytes().as_slice())
                    .bind(task.execution_id.as_bytes().as_slice())
                    .bind(&task.step_name)
                    .bind(codec::task_to_column(task))
                    .bind(reason)
                    .bind(tx.now.micros())
                    .execute(&mut tx.conn)
                    .await
                    .map_err(error::map("write a dead letter"))?;
                Ok(())
            })
        })
        .await?;
    Ok(Response::Nothing)
}

pub(super) async fn list(store: &Sqlite, limit: u32) -> Result<Response> {
    let filter = DeadLetterFilter { limit, ..DeadLetterFilter::default() };
    dead_letters::list(store, filter).await.map(Response::DeadLetters)
}

pub(super) async fn get(store: &Sqlite, task: Id) -> Result<Response> {
    let filter = DeadLetterFilter { task: Some(task), limit: 1, ..DeadLetterFilter::default() };
    let found = dead_letters::list(store, filter).await?;
    Ok(Response::DeadLetter(found.into_iter().next().map(Box::new)))
}

pub(super) async fn count(store: &Sqlite) -> Result<Response> {
    let count = store
        .read((), |conn, _| {
            Box::pin(async move {
                let row = sqlx::query(include_str!("../sql/dead_letters_count.sql"))
                    .fetch_one(conn)
                    .await
                    .map_err(error::map("count dead letters"))?;
                Columns(&row).count("count")
            })
        })
        .await?;
    Ok(Response::Count(count))
}

pub(super) async fn delete(store: &Sqlite, task: Id) -> Result<Response> {
    let deleted = store
        .write(task, |tx, task| {
            Box::pin(async move {
                let done = sqlx::query(include_str!("../sql/dead_letter_delete.sql"))
                    .bind(task.as_bytes().as_slice())
                    .execute(&mut tx.conn)
                    .await
                    .map_err(error::map("delete a dead letter"))?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await?;
    Ok(Response::Flag(deleted))
}
