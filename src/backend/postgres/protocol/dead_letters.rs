//! Tasks that used up their attempts.

use super::super::rows::Columns;
use super::super::{Postgres, dead_letters, error};
use crate::backend::{DeadLetterFilter, Response, decide};
use crate::codec;
use crate::model::{Id, Result, Task};

pub(super) async fn put(store: &Postgres, task: Task, reason: String) -> Result<Response> {
    decide::check_task(&task)?;
    store
        .write_exactly((task, reason), |tx, request| {
            Box::pin(async move {
                let (task, reason) = &*request;
                sqlx::query(include_str!("../sql/dead_letter_put.sql"))
                    .bind(task.id)
                    .bind(task.execution_id)
                    .bind(&task.step_name)
                    .bind(codec::task_to_column(task))
                    .bind(reason)
                    .bind(tx.now)
                    .execute(&mut tx.conn)
                    .await
                    .map_err(error::map("write a dead letter"))?;
                Ok(())
            })
        })
        .await?;
    Ok(Response::Nothing)
}

pub(super) async fn list(store: &Postgres, limit: u32) -> Result<Response> {
    let filter = DeadLetterFilter { limit, ..DeadLetterFilter::default() };
    dead_letters::list(store, filter).await.map(Response::DeadLetters)
}

pub(super) async fn get(store: &Postgres, task: Id) -> Result<Response> {
    let filter = DeadLetterFilter { task: Some(task), limit: 1, ..DeadLetterFilter::default() };
    let found = dead_letters::list(store, filter).await?;
    Ok(Response::DeadLetter(found.into_iter().next().map(Box::new)))
}

pub(super) async fn count(store: &Postgres) -> Result<Response> {
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

pub(super) async fn delete(store: &Postgres, task: Id) -> Result<Response> {
    let deleted = store
        .write_exactly(task, |tx, task| {
            Box::pin(async move {
                let done = sqlx::query(include_str!("../sql/dead_letter_delete.sql"))
                    .bind(task)
                    .execute(&mut tx.conn)
                    .await
                    .map_err(error::map("delete a dead letter"))?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await?;
    Ok(Response::Flag(deleted))
}
