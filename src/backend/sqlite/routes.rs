//! Queue, function and tags as one number: what tasks wait at, and what claims choose from.

use sqlx::Row as _;

use super::catalog::Lane;
use super::error;
use super::tx::Tx;
use crate::codec;
use crate::model::{Result, Route};

/// The number of a route, which is made where it is new. It is never taken away: a stored task may name it.
pub(super) async fn route_of(tx: &mut Tx, route: Route) -> Result<Lane> {
    if let Some(lane) = tx.catalog.route(&route) {
        return Ok(lane);
    }
    let row = sqlx::query(include_str!("sql/route_insert.sql"))
        .bind(&route.queue)
        .bind(&route.function)
        .bind(codec::tags_to_column(&route.tags))
        .fetch_one(&mut tx.conn)
        .await
        .map_err(error::map("add a route"))?;
    let lane: Lane = row.get("id");
    bump_catalog(tx).await?;
    tx.catalog.add_route(route, lane);
    Ok(lane)
}

/// Tells the store's other users that functions, routes or workers have changed. What changed must be in this
/// connection's own catalog too.
pub(super) async fn bump_catalog(tx: &mut Tx) -> Result<()> {
    let row = sqlx::query(include_str!("sql/catalog_bump.sql"))
        .fetch_one(&mut tx.conn)
        .await
        .map_err(error::map("raise the catalog's version"))?;
    tx.catalog.is_now(row.get("version"));
    Ok(())
}
