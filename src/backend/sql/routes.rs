//! Queue, function and tags as one number: what tasks wait at, and what claims choose from. It is never taken away: a
//! stored task may name it.

use std::sync::Arc;

use super::catalog::Lane;
use super::statements::{CATALOG_BUMP, ROUTE_INSERT};
use super::tx::Tx;
use crate::codec;
use crate::model::{Error, Result, Route};

/// The number of a route. Where others write meanwhile, one that is new is made in a transaction of its own, so that
/// none of them waits for this one to end; this one then begins again.
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

/// Makes a route that another transaction lacks, in this one of its own.
pub(in crate::backend) async fn make(tx: &mut Tx<'_>, route: &Route) -> Result<()> {
    if tx.catalog.route(route).is_none() {
        add(tx, route).await?;
    }
    Ok(())
}

/// None: another has made it meanwhile, and has told of it.
async fn add(tx: &mut Tx<'_>, route: &Route) -> Result<Option<Lane>> {
    let mut call = ROUTE_INSERT.call();
    call.text(route.queue.as_deref()).text(route.function.as_str()).made(codec::tags_to_column(&route.tags));
    let Some(row) = tx.find(&call).await? else { return Ok(None) };
    bump_catalog(tx).await?;
    row.int("id").map(Some)
}

/// Tells the store's users that functions, routes or workers have changed. What this transaction changed must be in its
/// own catalog too.
pub(super) async fn bump_catalog(tx: &mut Tx<'_>) -> Result<()> {
    tx.one(&CATALOG_BUMP.call()).await.map(drop)
}
