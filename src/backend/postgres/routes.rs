//! Queue, function and tags as one number: what tasks wait at, and what claims choose from.

use sqlx::Row as _;

use super::catalog::Lane;
use super::error;
use super::pool::SharedPool;
use super::tx::Tx;
use crate::codec;
use crate::model::{Error, Result, Route};

/// The number of a route. One that is new is made in a transaction of its own, so that no other waits for this one to
/// end; this one then begins again.
pub(super) fn route_of(tx: &mut Tx, route: Route) -> Result<Lane> {
    if let Some(lane) = tx.catalog.route(&route) {
        return Ok(lane);
    }
    let why = Error::backend(format!("the route of {} could not be made", route.function));
    tx.missing = Some(route);
    Err(why)
}

/// It is never taken away: a stored task may name it.
pub(super) async fn make(pool: &SharedPool, route: &Route) -> Result<()> {
    let mut tx = Tx::begin(pool).await?;
    if tx.catalog.route(route).is_some() {
        tx.rollback().await;
        return Ok(());
    }
    sqlx::query(include_str!("sql/route_insert.sql"))
        .bind(&route.queue)
        .bind(&route.function)
        .bind(codec::tags_to_column(&route.tags))
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("add a route"))?;
    bump_catalog(&mut tx).await?;
    tx.commit().await
}

/// Tells the store's users that functions, routes or workers have changed.
pub(super) async fn bump_catalog(tx: &mut Tx) -> Result<()> {
    let row = sqlx::query(include_str!("sql/catalog_bump.sql"))
        .fetch_one(&mut tx.conn)
        .await
        .map_err(error::map("raise the catalog's version"))?;
    let _raised: i64 = row.get("version");
    Ok(())
}
