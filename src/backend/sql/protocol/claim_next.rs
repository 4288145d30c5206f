//! The protocol's claim: one task, chosen by filters in the call instead of by a registered worker.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::super::catalog::{FUNCTION, Lane, QUEUE};
use super::super::database::Database;
use super::super::lock::Lock;
use super::super::rates::{self, Bucket};
use super::super::rows;
use super::super::statements::{EXECUTION_START, TASK_CLAIM_NEXT, TASKS_COUNT_RUNNING, TASKS_RELEASE_SCHEDULED};
use super::super::store::Sql;
use super::super::tx::Tx;
use crate::backend::Response;
use crate::model::{Rate, Result, Task, Timestamp, check_name};

/// Scheduled tasks released in one transaction.
const RELEASED_MAX: i64 = 1_000;

#[derive(Clone)]
pub(super) struct Wanted {
    pub worker_id: String,
    pub queues: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
    /// The caller's clock, if it gives one: all times of this call are judged by it. Else the store's clock is used.
    pub now: Option<Timestamp>,
    pub lease: Duration,
    pub concurrency_limits: BTreeMap<String, u32>,
}

#[derive(Clone)]
enum Answer {
    Claimed(Option<Box<Task>>),
    /// More scheduled tasks are due than one transaction should release.
    Again,
}

/// The lanes that a call may claim from.
struct Eligible {
    /// Lanes with their routes; the worker's own lane has none.
    lanes: Vec<(Lane, Option<Lane>)>,
    /// The functions among them that have a limit.
    limited: Vec<String>,
    /// The buckets of those that have a rate, and of queues that have one.
    buckets: HashMap<String, Bucket>,
    queue_buckets: HashMap<String, Bucket>,
}

pub(super) async fn claim<D: Database>(store: &Sql<D>, wanted: Wanted) -> Result<Response> {
    check_name("worker_id", &wanted.worker_id)?;
    loop {
        let answer = store.write_exactly(wanted.clone(), |tx, wanted| Box::pin(attempt(tx, wanted))).await?;
        if let Answer::Claimed(task) = answer {
            return Ok(Response::Task(task));
        }
    }
}

async fn attempt(tx: &mut Tx<'_>, wanted: Arc<Wanted>) -> Result<Answer> {
    let now = wanted.now.unwrap_or(tx.now);
    if release_scheduled(tx, now).await? {
        return Ok(Answer::Again);
    }
    let Eligible { lanes, limited, buckets, queue_buckets } = eligible(tx, &wanted, now).await?;
    let mut call = TASK_CLAIM_NEXT.call();
    for (lane, route) in lanes {
        call.row().int(lane).int(route);
    }
    call.lease(now).text(wanted.worker_id.as_str()).lease(now.after(wanted.lease)).texts(limited);
    let Some(row) = tx.find(&call).await? else { return Ok(Answer::Claimed(None)) };
    let task = rows::task(&row)?;
    if task.started_at == Some(now) {
        let catalog = Arc::clone(&tx.catalog);
        let of_function = catalog.function(&task.step_name).and_then(|options| options.rate.as_ref());
        if let Some(rate) = of_function {
            let bucket = buckets.get(&task.step_name).copied().unwrap_or_default();
            rates::count(tx, FUNCTION, &[(&task.step_name, rate, bucket, 1)]).await?;
        }
        if let Some((queue, rate)) = task.queue.as_ref().and_then(|queue| Some((queue, catalog.queue_rate(queue)?))) {
            let bucket = queue_buckets.get(queue).copied().unwrap_or_default();
            rates::count(tx, QUEUE, &[(queue, rate, bucket, 1)]).await?;
        }
    }
    tx.change(EXECUTION_START.call().id(task.execution_id).time(now)).await?;
    if let Some(expires_at) = task.lease_expires_at {
        tx.hint_due(expires_at);
    }
    Ok(Answer::Claimed(Some(Box::new(task))))
}

/// Lets scheduled tasks that are due be claimed. True: there are more.
async fn release_scheduled(tx: &mut Tx<'_>, now: Timestamp) -> Result<bool> {
    let released = tx.change(TASKS_RELEASE_SCHEDULED.call().due(now).int(RELEASED_MAX)).await?;
    if released > 0 {
        tx.hint_work();
    }
    Ok(released >= RELEASED_MAX as u64)
}

async fn eligible(tx: &mut Tx<'_>, wanted: &Wanted, now: Timestamp) -> Result<Eligible> {
    let queues = wanted.queues.as_deref().unwrap_or(&[]);
    let tags = wanted.tags.as_deref().unwrap_or(&[]);
    let mut routes: Vec<(String, Lane, Option<String>)> = tx
        .catalog
        .routes()
        .filter(|(route, lane)| route.admits(queues, tags) && !tx.catalog.paused().contains(lane))
        .map(|(route, lane)| {
            let rated = route.queue.clone().filter(|queue| tx.catalog.queue_rate(queue).is_some());
            (route.function.clone(), lane, rated)
        })
        .collect();
    routes.sort_unstable();
    let mut limits: HashMap<String, u32> = HashMap::new();
    for (function, _, _) in &routes {
        let own = tx.catalog.function(function).and_then(|options| options.max_concurrent);
        let asked = wanted.concurrency_limits.get(function).copied();
        if let Some(limit) = own.into_iter().chain(asked).min() {
            limits.insert(function.clone(), limit);
        }
    }
    let mut limited: Vec<String> = limits.keys().cloned().collect();
    limited.sort_unstable();
    let rate = |function: &String| tx.catalog.function(function).and_then(|options| options.rate.clone());
    let rated: BTreeMap<String, Rate> =
        routes.iter().filter_map(|(function, _, _)| Some((function.clone(), rate(function)?))).collect();
    let counted: BTreeSet<&String> = limited.iter().chain(rated.keys()).collect();
    let rated_queues: BTreeSet<&String> = routes.iter().filter_map(|(_, _, queue)| queue.as_ref()).collect();
    let limits_of = counted.into_iter().map(|function| Lock::Limit(function));
    let locks: Vec<Lock<'_>> = limits_of.chain(rated_queues.iter().map(|queue| Lock::QueueRate(queue))).collect();
    tx.lock(&locks).await?;
    let buckets = rates::read(tx, FUNCTION, rated.keys().cloned().collect()).await?;
    let queue_buckets = rates::read(tx, QUEUE, rated_queues.into_iter().cloned().collect()).await?;
    let running = count_running(tx, &limited, now).await?;
    let waits = |function: &String, queue: &Option<String>| {
        let is_empty =
            |rate: &Rate, bucket: Option<&Bucket>| rate.tokens(bucket.copied().unwrap_or_default().full_at, now) == 0;
        let of_queue =
            |queue: &String| tx.catalog.queue_rate(queue).is_some_and(|rate| is_empty(rate, queue_buckets.get(queue)));
        rated.get(function).is_some_and(|rate| is_empty(rate, buckets.get(function)))
            || queue.as_ref().is_some_and(of_queue)
    };
    let full = |function: &String| {
        limits.get(function).is_some_and(|limit| running.get(function).copied().unwrap_or(0) >= u64::from(*limit))
    };
    let free = routes.iter().filter(|(function, _, queue)| !full(function) && !waits(function, queue));
    let mut lanes: Vec<(Lane, Option<Lane>)> = free.map(|(_, lane, _)| (*lane, Some(*lane))).collect();
    if let Some(own) = tx.catalog.worker_lane(&wanted.worker_id)
        && !lanes.is_empty()
    {
        lanes.push((own, None));
    }
    Ok(Eligible { lanes, limited, buckets, queue_buckets })
}

async fn count_running(tx: &mut Tx<'_>, functions: &[String], now: Timestamp) -> Result<HashMap<String, u64>> {
    if functions.is_empty() {
        return Ok(HashMap::new());
    }
    let found = tx.fetch(TASKS_COUNT_RUNNING.call().lease(now).texts(functions.to_vec())).await?;
    found.iter().map(|row| Ok((row.string("step_name")?, row.count("count")?))).collect()
}
