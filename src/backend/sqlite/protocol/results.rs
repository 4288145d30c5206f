//! Results kept by key: the cache, and values under idempotency keys.

use std::time::Duration;

use super::super::rows::Columns;
use super::super::{Sqlite, clock, error};
use crate::backend::Response;
use crate::model::{Payload, Result, Timestamp};

pub(super) async fn get_cached(store: &Sqlite, key: String) -> Result<Response> {
    get(store, include_str!("../sql/cache_get.sql"), key).await
}

pub(super) async fn set_cached(store: &Sqlite, key: String, value: Payload, ttl: Option<Duration>) -> Result<Response> {
    put(store, include_str!("../sql/cache_put.sql"), key, value, ttl).await
}

pub(super) async fn get_idempotent(store: &Sqlite, key: String) -> Result<Response> {
    get(store, include_str!("../sql/idempotency_get.sql"), key).await
}

pub(super) async fn set_idempotent(
    store: &Sqlite,
    key: String,
    value: Payload,
    ttl: Option<Duration>,
) -> Result<Response> {
    put(store, include_str!("../sql/idempotency_put.sql"), key, value, ttl).await
}

async fn get(store: &Sqlite, sql: &'static str, key: String) -> Result<Response> {
    let value = store
        .read(key, move |conn, key| {
            Box::pin(async move {
                let row = sqlx::query(sql)
                    .bind(key.as_str())
                    .bind(clock::read().wall.micros())
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
    store: &Sqlite,
    sql: &'static str,
    key: String,
    value: Payload,
    ttl: Option<Duration>,
) -> Result<Response> {
    store
        .write((key, value, ttl), move |tx, request| {
            Box::pin(async move {
                let (key, value, ttl) = &*request;
                sqlx::query(sql)
                    .bind(key)
                    .bind(value.as_bytes())
                    .bind(ttl.map(|ttl| tx.now.after(ttl)).map(Timestamp::micros))
                    .execute(&mut tx.conn)
                    .await
                    .map_err(error::map("keep a result"))?;
                Ok(())
            })
        })
        .await?;
    Ok(Response::Nothing)
}
