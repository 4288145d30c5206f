//! Which executions are over, or about to be: asked for whole sets.

use super::rows::Columns;
use super::{Postgres, error};
use crate::model::{Id, Result};

/// Which of these are over. One that is not there (any more) is over: nothing will become of it.
pub(super) async fn ended_among(store: &Postgres, executions: Vec<Id>) -> Result<Vec<Id>> {
    among(store, include_str!("sql/executions_ended.sql"), executions).await
}

/// Which of these are being cancelled, or over.
pub(super) async fn cancelled_among(store: &Postgres, executions: Vec<Id>) -> Result<Vec<Id>> {
    among(store, include_str!("sql/executions_cancelled.sql"), executions).await
}

async fn among(store: &Postgres, sql: &'static str, executions: Vec<Id>) -> Result<Vec<Id>> {
    if executions.is_empty() {
        return Ok(Vec::new());
    }
    store
        .read(executions, move |conn, executions| {
            Box::pin(async move {
                let found = sqlx::query(sql)
                    .bind(executions.as_slice())
                    .fetch_all(conn)
                    .await
                    .map_err(error::map("look which executions are over"))?;
                found.iter().map(|row| Columns(row).id("id")).collect()
            })
        })
        .await
}
