//! Results kept by key: the cache, and values under idempotency keys.

use std::time::Duration;

use super::super::rows::Columns;
use super::super::{Postgres, error};
use crate::backend::Response;
use crate::model::{Payload, Result};

pub(super) async fn get_cached(store: &Postgres, key: String) -> Result<Response> {
    get(store, include_str!("../sql/cache_get.sql"), key).await
}

pub(super) async fn set_cached(
    store: &Postgres,
    key: String,
    value: Payload,
    ttl: Option<Duration>,
) -> Result<Response> {
    put(store, include_str!("../sql/cache_put.sql"), key, value, ttl).await
}

pub(super) async fn get_idempotent(store: &Postgres, key: String) -> Result<Response> {
    get(store, include_str!("../sql/idempotency_get.sql"), key).await
}

pub(super) async fn set_idempotent(
    store: &Postgres,
    key: String,
    value: Payload,
    ttl: Option<Duration>,
) -> Result<Response> {
    put(store, include_str!("../sql/idempotency_put.sql"), key, value, ttl).await
}

async fn get(store: &Postgres, sql: &'static str, key: String) -> Result<Response> {
    let value = store
        .read(key, move |conn, key| {
            Box::pin(async move {
                let row = sqlx::query(sql)
                    .bind(key.as_str())
                    .fetch_optional(conn)
                    .await
                    .map_err(error::map("read a kept result"))?;
                row.map(|row| Columns(&row).payload("value")).transpose()
            })
        })
        .await?;
    Ok(Response::Payload(value.flatten()))
}

async fn put(
    store: &Postgres,
    sql: &'static str,
    key: String,
    value: Payload,
    ttl: Option<Duration>,
) -> Result<Response> {
    store
        .write_exactly((key, value, ttl), move |tx, request| {
            Box::pin(async move {
                let (key, value, ttl) = &*request;
                sqlx::query(sql)
                    .bind(key)
                    .bind(value.as_bytes())
                    .bind(ttl.map(|ttl| tx.now.after(ttl)))
                    .execute(&mut tx.conn)
                    .await
                    .map_err(error::map("keep a result"))?;
                Ok(())
            })
        })
        .await?;
    Ok(Response::Nothing)
}
