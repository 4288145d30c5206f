//! Routes: queue, function and tags as one number, which tasks wait under and claims select by. A route is never
//! deleted, since stored tasks may have its number.

use std::sync::Arc;

use super::catalog::Lane;
use super::statements::{CATALOG_BUMP, ROUTE_INSERT};
use super::tx::Tx;
use crate::codec;
use crate::model::{Error, Result, Route};

/// The number of a route. On a store with several writers a new route is created in a transaction of its own, so that
/// others that need it don't wait for this transaction's end. This one fails with [`Tx::missing`] set, and begins
/// again.
pub(super) async fn route_of(tx: &mut Tx<'_>, route: Route) -> Result<Lane> {
    if let Some(lane) = tx.catalog.route(&route) {
        return Ok(lane);
    }
    let added = if tx.is_alone() { add(tx, &route).await? } else { None };
    let Some(lane) = added else {
        let why = Error::backend(format!("the route of {} could not be made", route.function));
        tx.missing = Some(route);
        return Err(why);
    };
    Arc::make_mut(&mut tx.catalog).add_route(route, lane);
    Ok(lane)
}

/// Creates a route in a transaction of its own, for another one that needs it.
pub(in crate::backend) async fn make(tx: &mut Tx<'_>, route: &Route) -> Result<()> {
    if tx.catalog.route(route).is_none() {
        add(tx, route).await?;
    }
    Ok(())
}

/// `None`: another transaction has created it in the meantime.
async fn add(tx: &mut Tx<'_>, route: &Route) -> Result<Option<Lane>> {
    let mut call = ROUTE_INSERT.call();
    call.text(route.queue.as_deref()).text(route.function.as_str()).made(codec::tags_to_column(&route.tags));
    let Some(row) = tx.find(&call).await? else { return Ok(None) };
    bump_catalog(tx).await?;
    row.int("id").map(Some)
}

/// Raises the catalog's version, so that other processes read it again. The caller also changes its own copy.
pub(super) async fn bump_catalog(tx: &mut Tx<'_>) -> Result<()> {
    tx.one(&CATALOG_BUMP.call()).await.map(drop)
}
