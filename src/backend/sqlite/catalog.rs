//! Functions, routes and workers: small tables that every claim and dispatch needs, kept in memory by the writer and
//! read again when their version has changed.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::{Row as _, SqliteConnection};

use super::error;
use crate::backend::NewWorker;
use crate::codec;
use crate::model::{FunctionOptions, Result, Route};

/// A number for a route, or (negative) for a worker's own lane.
pub(super) type Lane = i64;

#[derive(Default)]
pub(super) struct Catalog {
    version: i64,
    functions: HashMap<String, FunctionOptions>,
    routes: HashMap<Route, Lane>,
    /// Every worker of the store, by its id.
    workers: HashMap<String, i64>,
    /// The workers registered through this connection, with what they can run.
    local: HashMap<String, LocalWorker>,
}

pub(super) struct LocalWorker {
    pub registration: NewWorker,
    /// Where it may claim freely, its own lane first; found again when the catalog changes.
    lanes: Option<Lanes>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    pub free: Vec<Lane>,
    pub limited: Vec<Limited>,
}

/// A function that may run only so often at once, and its routes.
#[derive(Clone, Debug)]
pub(super) struct Limited {
    pub function: String,
    pub max: u32,
    pub lanes: Vec<Lane>,
}

impl Catalog {
    pub fn is_current(&self, version: i64) -> bool {
        self.version == version
    }

    pub fn version(&self) -> i64 {
        self.version
    }

    /// This connection raised the version, and what it changed is in memory already.
    pub fn is_now(&mut self, version: i64) {
        self.version = version;
    }

    /// What was changed in memory may have been rolled back: read it again at the next transaction.
    pub fn forget(&mut self) {
        self.version = 0;
    }

    pub async fn load(&mut self, conn: &mut SqliteConnection, version: i64) -> Result<()> {
        let map = error::map("read the catalog of functions");
        self.functions.clear();
        for row in sqlx::query(include_str!("sql/functions_list.sql")).fetch_all(&mut *conn).await.map_err(&map)? {
            let tags: Option<String> = row.get("tags");
            let policy: Option<String> = row.get("retry_policy");
            let options = FunctionOptions {
                queue: row.get("queue"),
                tags: codec::tags_from_column(tags.as_deref())?,
                priority: row.get("priority"),
                retry_policy: policy.as_deref().map(codec::policy_from_column).transpose()?,
                timeout: micros(row.get("timeout")),
                version: row.get("version"),
                max_concurrent: row.get("max_concurrent"),
                cached: row.get("cached"),
                cache_ttl: micros(row.get("cache_ttl")),
                idempotent: row.get("idempotent"),
            };
            self.functions.insert(row.get("name"), options);
        }
        self.routes.clear();
        for row in sqlx::query(include_str!("sql/routes_list.sql")).fetch_all(&mut *conn).await.map_err(&map)? {
            let tags: Option<String> = row.get("tags");
            let route = Route {
                queue: row.get("queue"),
                function: row.get("function"),
                tags: codec::tags_from_column(tags.as_deref())?,
            };
            self.routes.insert(route, row.get("id"));
        }
        self.workers.clear();
        for row in sqlx::query(include_str!("sql/workers_list.sql")).fetch_all(&mut *conn).await.map_err(&map)? {
            self.workers.insert(row.get("worker_id"), row.get("number"));
        }
        self.local.values_mut().for_each(|worker| worker.lanes = None);
        self.version = version;
        Ok(())
    }

    pub fn function(&self, name: &str) -> Option<&FunctionOptions> {
        self.functions.get(name)
    }

    pub fn route(&self, route: &Route) -> Option<Lane> {
        self.routes.get(route).copied()
    }

    pub fn routes(&self) -> impl Iterator<Item = (&Route, Lane)> {
        self.routes.iter().map(|(route, lane)| (route, *lane))
    }

    pub fn add_route(&mut self, route: Route, lane: Lane) {
        self.routes.insert(route, lane);
        self.local.values_mut().for_each(|worker| worker.lanes = None);
    }

    /// The lane of a worker that is known to the store.
    pub fn worker_lane(&self, worker_id: &str) -> Option<Lane> {
        self.workers.get(worker_id).map(|number| -number)
    }

    pub fn is_limited(&self, function: &str) -> bool {
        self.function(function).is_some_and(|options| options.max_concurrent.is_some())
    }

    pub fn add_local(&mut self, registration: NewWorker) {
        self.local.insert(registration.worker_id.clone(), LocalWorker { registration, lanes: None });
    }

    pub fn remove_local(&mut self, worker_id: &str) {
        self.local.remove(worker_id);
    }

    pub fn local(&self, worker_id: &str) -> Option<&NewWorker> {
        self.local.get(worker_id).map(|worker| &worker.registration)
    }

    /// Where a registered worker may claim. `None`: it was not registered here.
    pub fn lanes(&mut self, worker_id: &str) -> Option<&Lanes> {
        let worker = self.local.get_mut(worker_id)?;
        if worker.lanes.is_none() {
            let registration = &worker.registration;
            let mut lanes = Lanes::default();
            lanes.free.extend(self.workers.get(worker_id).map(|number| -number));
            for function in &registration.functions {
                let routes = self.routes.iter().filter(|(route, _)| {
                    route.function == function.name && route.admits(&registration.queues, &registration.tags)
                });
                let found: Vec<Lane> = routes.map(|(_, lane)| *lane).collect();
                match self.functions.get(&function.name).and_then(|options| options.max_concurrent) {
                    None => lanes.free.extend(found),
                    Some(max) => lanes.limited.push(Limited { function: function.name.clone(), max, lanes: found }),
                }
            }
            worker.lanes = Some(lanes);
        }
        worker.lanes.as_ref()
    }
}

pub(super) fn micros(stored: Option<i64>) -> Option<Duration> {
    stored.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

pub(super) fn stored(duration: Option<Duration>) -> Option<i64> {
    duration.map(|duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}
