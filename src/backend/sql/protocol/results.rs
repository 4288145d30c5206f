//! The protocol's results by key: the cache, and values under idempotency keys.

use std::sync::Arc;
use std::time::Duration;

use super::super::database::Database;
use super::super::session::Session;
use super::super::statement::Statement;
use super::super::statements::{CACHE_GET, CACHE_PUT, IDEMPOTENCY_GET, IDEMPOTENCY_PUT};
use super::super::store::Sql;
use super::super::tx::Tx;
use crate::backend::Response;
use crate::model::{Payload, Result};

pub(super) async fn get_cached<D: Database>(store: &Sql<D>, key: String) -> Result<Response> {
    get(store, &CACHE_GET, key).await
}

pub(super) async fn set_cached<D: Database>(
    store: &Sql<D>,
    key: String,
    value: Payload,
    ttl: Option<Duration>,
) -> Result<Response> {
    put(store, &CACHE_PUT, key, value, ttl).await
}

pub(super) async fn get_idempotent<D: Database>(store: &Sql<D>, key: String) -> Result<Response> {
    get(store, &IDEMPOTENCY_GET, key).await
}

pub(super) async fn set_idempotent<D: Database>(
    store: &Sql<D>,
    key: String,
    value: Payload,
    ttl: Option<Duration>,
) -> Result<Response> {
    put(store, &IDEMPOTENCY_PUT, key, value, ttl).await
}

async fn get<D: Database>(store: &Sql<D>, place: &'static Statement, key: String) -> Result<Response> {
    let value = store.read(key, move |session, key| Box::pin(find(session, place, key))).await?;
    Ok(Response::Payload(value))
}

async fn find(session: &mut dyn Session, place: &'static Statement, key: Arc<String>) -> Result<Option<Payload>> {
    match session.find(place.call().text(key.as_str()).clock()).await? {
        Some(row) => row.payload("value"),
        None => Ok(None),
    }
}

async fn put<D: Database>(
    store: &Sql<D>,
    place: &'static Statement,
    key: String,
    value: Payload,
    ttl: Option<Duration>,
) -> Result<Response> {
    store.write_exactly((key, value, ttl), move |tx, request| Box::pin(write(tx, place, request))).await?;
    Ok(Response::Nothing)
}

async fn write(
    tx: &mut Tx<'_>,
    place: &'static Statement,
    request: Arc<(String, Payload, Option<Duration>)>,
) -> Result<()> {
    let (key, value, ttl) = request.as_ref();
    let mut call = place.call();
    call.text(key.as_str()).payload(value).time(ttl.map(|ttl| tx.now.after(ttl)));
    tx.change(&call).await.map(drop)
}
