//! Functions, routes, pauses and workers. Every claim and dispatch needs these small tables, so they are kept in memory and
//! read again when their version in the database has changed. A transaction works with one version, plus its own
//! changes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::places::Places;
use super::row::Row;
use super::session::Session;
use super::statements::{FUNCTIONS_LIST, PAUSES_LIST, ROUTES_LIST, WORKERS_LIST};
use super::tides::Tides;
use crate::backend::NewWorker;
use crate::codec;
use crate::model::{FunctionOptions, Rate, Result, Route};

/// A worker that is silent for longer than a few of these may be gone. Seldom, since it is a write where nothing happens.
pub(in crate::backend) const SIGN: Duration = Duration::from_secs(20);

/// What has buckets of tokens.
pub(super) const FUNCTION: &str = "function";
pub(super) const QUEUE: &str = "queue";

/// Where a task waits to be claimed: the number of its route, or the negative number of the one worker that may claim
/// it.
pub(in crate::backend) type Lane = i64;

#[derive(Clone, Default)]
pub(in crate::backend) struct Catalog {
    version: i64,
    functions: HashMap<String, FunctionOptions>,
    routes: HashMap<Route, Lane>,
    /// Queues that are shared out among fairness keys: those of the routes of no function.
    shared: HashSet<Option<String>>,
    /// Queues and functions of which nothing is claimed.
    pauses: HashSet<(String, String)>,
    /// The lanes of their routes.
    paused: Vec<Lane>,
    /// Functions of which nothing starts for a time.
    held: HashSet<String>,
    /// How often tasks of a queue start.
    queue_rates: BTreeMap<String, Rate>,
    /// Every worker of the store, by its id.
    workers: HashMap<String, i64>,
}

/// What the process shares: the newest catalog that it has read, and its own workers.
#[derive(Default)]
pub(in crate::backend) struct SharedCatalog {
    newest: Mutex<Arc<Catalog>>,
    local: Mutex<HashMap<String, LocalWorker>>,
    /// Where its workers begin to look for what they can claim.
    pub places: Places,
    pub tides: Tides,
}

/// A worker registered through this backend, with what it can run.
struct LocalWorker {
    registration: Arc<NewWorker>,
    /// Its lanes, with the version of the catalog that they were computed from.
    lanes: Option<(i64, Arc<Lanes>)>,
    /// When it last gave a sign of life.
    signed: Instant,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    /// Lanes of functions without a limit, a rate or a hold, in queues without a rate; the worker's own lane comes first.
    pub free: Vec<Lane>,
    /// By function and queue.
    pub limited: Vec<Limited>,
}

/// A function with a `max_concurrent`, a rate or a hold, and the lanes of its routes: those in a queue with a rate, or all others.
#[derive(Clone, Debug)]
pub(super) struct Limited {
    pub function: String,
    pub max: Option<u32>,
    pub rate: Option<Rate>,
    /// Nothing of it starts for a time.
    pub held: bool,
    /// The queue's.
    pub queue: Option<(String, Rate)>,
    pub lanes: Vec<Lane>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedCatalog {
    /// The catalog as of this version, or newer.
    pub async fn at(&self, version: i64, session: &mut dyn Session) -> Result<Arc<Catalog>> {
        let newest = held(&self.newest).clone();
        if newest.version == version {
            return Ok(newest);
        }
        let loaded = Arc::new(Catalog::load(session, version).await?);
        let mut newest = held(&self.newest);
        if newest.version < version {
            *newest = loaded.clone();
        }
        Ok(loaded)
    }

    /// As of the last transaction that has read it.
    pub fn newest(&self) -> Arc<Catalog> {
        held(&self.newest).clone()
    }

    pub fn add_local(&self, registration: NewWorker) {
        let worker = LocalWorker { registration: Arc::new(registration), lanes: None, signed: Instant::now() };
        held(&self.local).insert(worker.registration.worker_id.clone(), worker);
    }

    pub fn remove_local(&self, worker_id: &str) {
        held(&self.local).remove(worker_id);
    }

    /// Is it time for a sign of life? It is taken for given.
    pub fn owes_sign(&self, worker_id: &str, now: Instant) -> bool {
        let mut local = held(&self.local);
        let Some(worker) = local.get_mut(worker_id) else { return false };
        let owes = now.saturating_duration_since(worker.signed) >= SIGN;
        if owes {
            worker.signed = now;
        }
        owes
    }

    /// It gave one by the way.
    pub fn signed(&self, worker_id: &str) {
        if let Some(worker) = held(&self.local).get_mut(worker_id) {
            worker.signed = Instant::now();
        }
    }

    pub fn local(&self, worker_id: &str) -> Option<Arc<NewWorker>> {
        held(&self.local).get(worker_id).map(|worker| worker.registration.clone())
    }

    /// The lanes from which a worker may claim. `None`: it was not registered by this process.
    pub(super) fn lanes(&self, catalog: &Catalog, worker_id: &str) -> Option<Arc<Lanes>> {
        let mut local = held(&self.local);
        let worker = local.get_mut(worker_id)?;
        match &worker.lanes {
            Some((version, lanes)) if *version == catalog.version && *version != Catalog::OWN => Some(lanes.clone()),
            _ => {
                let lanes = Arc::new(catalog.lanes(&worker.registration));
                worker.lanes = Some((catalog.version, lanes.clone()));
                Some(lanes)
            }
        }
    }

    /// The lanes of the worker's last claim, and the version of the catalog that they come from.
    pub fn known_lanes(&self, worker_id: &str) -> Option<(i64, Vec<Lane>)> {
        let local = held(&self.local);
        let (version, lanes) = local.get(worker_id)?.lanes.as_ref()?;
        let limited = lanes.limited.iter().flat_map(|limited| &limited.lanes);
        Some((*version, lanes.free.iter().chain(limited).copied().collect()))
    }
}

impl Catalog {
    /// Stands for a catalog that an uncommitted transaction has changed, and that others must not use.
    pub const OWN: i64 = 0;

    pub async fn load(session: &mut dyn Session, version: i64) -> Result<Self> {
        let mut catalog = Self { version, functions: Self::functions(session).await?, ..Self::default() };
        for row in session.fetch(&ROUTES_LIST.call()).await? {
            let (queue, function) = (row.optional_string("queue")?, row.string("function")?);
            catalog.insert_route(Route { queue, function, tags: row.tags("tags")? }, row.int("id")?);
        }
        for row in session.fetch(&PAUSES_LIST.call()).await? {
            let (kind, name) = (row.string("kind")?, row.string("name")?);
            match kind.as_str() {
                "hold" => _ = catalog.held.insert(name),
                "rate" => catalog.queue_rates.extend(rate(&row, "rate")?.map(|rate| (name, rate))),
                _ => _ = catalog.pauses.insert((kind, name)),
            }
        }
        let paused = catalog.routes.iter().filter(|(route, _)| catalog.holds_back(route)).map(|(_, lane)| *lane);
        catalog.paused = paused.collect();
        for row in session.fetch(&WORKERS_LIST.call()).await? {
            catalog.workers.insert(row.string("worker_id")?, row.int("number")?);
        }
        Ok(catalog)
    }

    /// What workers have declared.
    pub(super) async fn functions(session: &mut dyn Session) -> Result<HashMap<String, FunctionOptions>> {
        let found = session.fetch(&FUNCTIONS_LIST.call()).await?;
        found.iter().map(|row| Ok((row.string("name")?, function(row)?))).collect()
    }

    /// What workers have declared of queues, by name.
    pub(super) async fn declared_rates(session: &mut dyn Session) -> Result<Vec<(String, Rate)>> {
        let mut found = Vec::new();
        for row in session.fetch(&PAUSES_LIST.call()).await? {
            found.extend(rate(&row, "rate")?.map(|rate| Ok((row.string("name")?, rate))).transpose()?);
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(found)
    }

    pub fn version(&self) -> i64 {
        self.version
    }

    pub fn function(&self, name: &str) -> Option<&FunctionOptions> {
        self.functions.get(name)
    }

    pub fn route(&self, route: &Route) -> Option<Lane> {
        self.routes.get(route).copied()
    }

    /// A route that this transaction has made.
    pub fn add_route(&mut self, route: Route, lane: Lane) {
        self.version = Self::OWN;
        if self.holds_back(&route) {
            self.paused.push(lane);
        }
        self.insert_route(route, lane);
    }

    fn insert_route(&mut self, route: Route, lane: Lane) {
        if route.function.is_empty() {
            self.shared.insert(route.queue.clone());
        }
        self.routes.insert(route, lane);
    }

    /// Is the queue shared out among fairness keys?
    pub fn shares(&self, queue: &Option<String>) -> bool {
        self.shared.contains(queue)
    }

    pub fn shares_any(&self) -> bool {
        !self.shared.is_empty()
    }

    /// Is its queue or its function paused?
    fn holds_back(&self, route: &Route) -> bool {
        let is_paused = |kind: &str, name: &str| self.pauses.contains(&(kind.to_owned(), name.to_owned()));
        !self.pauses.is_empty()
            && (is_paused("function", &route.function)
                || route.queue.as_deref().is_some_and(|queue| is_paused("queue", queue)))
    }

    /// Holds that this transaction has begun.
    pub fn hold(&mut self, functions: Vec<String>) {
        self.version = Self::OWN;
        self.held.extend(functions);
    }

    /// Its tasks are claimed as those of a function with a limit, until the hold is over.
    pub fn is_held(&self, function: &str) -> bool {
        self.held.contains(function)
    }

    /// How often tasks of this queue start.
    pub fn queue_rate(&self, queue: &str) -> Option<&Rate> {
        self.queue_rates.get(queue)
    }

    /// The lanes of which nothing is claimed.
    pub fn paused(&self) -> &[Lane] {
        &self.paused
    }

    pub fn routes(&self) -> impl Iterator<Item = (&Route, Lane)> {
        self.routes.iter().map(|(route, lane)| (route, *lane))
    }

    /// The lane of a worker that is known to the store.
    pub fn worker_lane(&self, worker_id: &str) -> Option<Lane> {
        self.workers.get(worker_id).map(|number| -number)
    }

    /// There is another worker, as far as the store knows.
    pub fn has_others(&self) -> bool {
        self.workers.len() > 1
    }

    /// The functions that clean up after their executions were cancelled.
    pub fn with_cleanup(&self) -> Vec<String> {
        let cleaning = self.functions.iter().filter(|(_, options)| options.cleanup.is_some());
        cleaning.map(|(name, _)| name.clone()).collect()
    }

    pub fn cleans_up(&self) -> bool {
        self.functions.values().any(|options| options.cleanup.is_some())
    }

    pub fn is_limited(&self, function: &str) -> bool {
        self.function(function).is_some_and(|options| options.max_concurrent.is_some())
    }

    /// Its tasks share slots by their keys, so that one's end makes another ready.
    pub fn has_slots(&self, function: &str) -> bool {
        self.function(function).is_some_and(has_slots)
    }

    /// A function has slots.
    pub fn any_has_slots(&self) -> bool {
        self.functions.values().any(has_slots)
    }

    /// Its tasks are claimed by their routes alone, where they are counted.
    pub fn is_counted(&self, function: &str) -> bool {
        self.function(function).is_some_and(is_counted)
    }

    /// The functions that have a limit or a rate.
    pub fn counted(&self) -> Vec<String> {
        let limited = self.functions.iter().filter(|(_, options)| is_counted(options));
        limited.map(|(name, _)| name.clone()).collect()
    }

    fn lanes(&self, registration: &NewWorker) -> Lanes {
        let mut lanes = Lanes::default();
        lanes.free.extend(self.worker_lane(&registration.worker_id));
        for function in &registration.functions {
            let held = self.is_held(&function.name);
            let options = self.functions.get(&function.name);
            let is_counted = held || options.is_some_and(is_counted);
            let mut limited = BTreeMap::<Option<&String>, Limited>::new();
            for (route, lane) in &self.routes {
                if route.function != function.name
                    || !route.admits(&registration.queues, &registration.tags)
                    || self.paused.contains(lane)
                {
                    continue;
                }
                let queue = route.queue.as_ref().and_then(|queue| self.queue_rates.get_key_value(queue));
                if !is_counted && queue.is_none() {
                    lanes.free.push(*lane);
                    continue;
                }
                let new = || Limited {
                    function: function.name.clone(),
                    max: options.and_then(|options| options.max_concurrent),
                    rate: options.and_then(|options| options.rate.clone()),
                    held,
                    queue: queue.map(|(queue, rate)| (queue.clone(), rate.clone())),
                    lanes: Vec::new(),
                };
                limited.entry(queue.map(|(queue, _)| queue)).or_insert_with(new).lanes.push(*lane);
            }
            lanes.limited.extend(limited.into_values());
        }
        // by queue, of each function
        lanes.limited.sort_by(|a, b| a.function.cmp(&b.function));
        lanes
    }
}

fn has_slots(options: &FunctionOptions) -> bool {
    options.max_concurrent_per_key.is_some() || options.rate_per_key.is_some()
}

fn is_counted(options: &FunctionOptions) -> bool {
    // a key's token is taken where it is claimed: nothing of it waits at a worker
    options.max_concurrent.is_some() || options.rate.is_some() || options.rate_per_key.is_some()
}

fn rate(row: &Row, column: &'static str) -> Result<Option<Rate>> {
    row.optional_text(column)?.map(codec::rate_from_column).transpose()
}

fn function(row: &Row) -> Result<FunctionOptions> {
    Ok(FunctionOptions {
        queue: row.optional_string("queue")?,
        tags: row.tags("tags")?,
        priority: row.optional_int("priority")?,
        priority_ageing: micros(row.optional_int("priority_ageing")?),
        retry_policy: row.optional_text("retry_policy")?.map(codec::policy_from_column).transpose()?,
        timeout: micros(row.optional_int("timeout")?),
        version: row.optional_string("version")?,
        max_concurrent: row.optional_count("max_concurrent")?,
        cached: row.flag("cached")?,
        cache_ttl: micros(row.optional_int("cache_ttl")?),
        idempotent: row.flag("idempotent")?,
        cleanup: micros(row.optional_int("cleanup")?),
        max_concurrent_per_key: row.optional_count("max_concurrent_per_key")?,
        rate: rate(row, "rate")?,
        rate_per_key: rate(row, "rate_per_key")?,
    })
}

pub(super) fn micros(stored: Option<i64>) -> Option<Duration> {
    stored.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

pub(super) fn stored(duration: Option<Duration>) -> Option<i64> {
    duration.map(|duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}
