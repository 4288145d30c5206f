//! What limits leave of functions and queues that are counted: how many more of each may run, and how many may start. All of
//! them are locked for the count, in one order.

use std::collections::{BTreeMap, HashMap};

use super::catalog::{FUNCTION, Limited, QUEUE};
use super::holds;
use super::lock::Lock;
use super::rates::{self, Bucket};
use super::statements::TASKS_COUNT_LIMITED;
use super::tx::Tx;
use crate::backend::decide::Room;
use crate::model::{Rate, Result};

/// Of functions and of queues that have one, and for each that is offered which of these it needs.
pub(super) struct Rooms<'l> {
    of: Vec<Counted<'l>>,
    pub groups: Vec<Vec<usize>>,
}

struct Counted<'l> {
    kind: &'static str,
    name: &'l str,
    rate: Option<&'l Rate>,
    bucket: Bucket,
    room: Room,
    started: usize,
}

impl<'l> Rooms<'l> {
    /// Waits for the locks of what is counted.
    pub async fn of(tx: &mut Tx<'_>, offered: &[&'l Limited]) -> Result<Self> {
        let functions: BTreeMap<&str, &Limited> = offered.iter().map(|one| (one.function.as_str(), *one)).collect();
        let queues: BTreeMap<&str, &Rate> =
            offered.iter().filter_map(|one| one.queue.as_ref().map(|(queue, rate)| (queue.as_str(), rate))).collect();
        // What keys have tokens for is in the lanes, and no more.
        let counted = functions.values().filter(|one| one.max.is_some() || one.rate.is_some());
        let limits = counted.map(|one| Lock::Limit(&one.function));
        let locks: Vec<Lock<'_>> = limits.chain(queues.keys().map(|queue| Lock::QueueRate(queue))).collect();
        tx.lock(&locks).await?;
        let names = |which: fn(&Limited) -> bool| {
            let found = functions.values().filter(|one| which(one));
            found.map(|one| one.function.clone()).collect::<Vec<String>>()
        };
        let running = count_running(tx, names(|one| one.max.is_some())).await?;
        let buckets = rates::read(tx, FUNCTION, names(|one| one.rate.is_some())).await?;
        let held = holds::held(tx, names(|one| one.held)).await?;
        let of_queues = queues.keys().map(|queue| (*queue).to_owned()).collect();
        let queue_buckets = rates::read(tx, QUEUE, of_queues).await?;
        let now = tx.now;
        let starts =
            |rate: Option<&Rate>, bucket: Bucket| rate.map_or(usize::MAX, |rate| rate.tokens(bucket.full_at, now));
        let mut of = Vec::with_capacity(functions.len() + queues.len());
        for (name, limited) in functions {
            let bucket = buckets.get(name).copied().unwrap_or_default();
            let running = running.get(name).copied().unwrap_or(0);
            let left = |max| usize::try_from(i64::from(max) - running).unwrap_or(0);
            let rate = limited.rate.as_ref();
            let starts = if held.iter().any(|held| held == name) { 0 } else { starts(rate, bucket) };
            let room = Room { running: limited.max.map_or(usize::MAX, left), starts };
            of.push(Counted { kind: FUNCTION, name, rate, bucket, room, started: 0 });
        }
        for (name, rate) in queues {
            let bucket = queue_buckets.get(name).copied().unwrap_or_default();
            let room = Room { running: usize::MAX, starts: starts(Some(rate), bucket) };
            of.push(Counted { kind: QUEUE, name, rate: Some(rate), bucket, room, started: 0 });
        }
        let place = |kind, name: &str| of.iter().position(|one| one.kind == kind && one.name == name);
        let needs = |one: &&Limited| {
            let queue = one.queue.as_ref().and_then(|(queue, _)| place(QUEUE, queue));
            place(FUNCTION, &one.function).into_iter().chain(queue).collect()
        };
        let groups = offered.iter().map(needs).collect();
        Ok(Self { of, groups })
    }

    pub fn rooms(&self) -> Vec<Room> {
        self.of.iter().map(|one| one.room).collect()
    }

    /// So many of this group have started. False: they are more than may.
    pub fn start(&mut self, group: usize, starts: usize) -> bool {
        let Self { of, groups } = self;
        groups[group].iter().all(|place| {
            let one = &mut of[*place];
            one.started += starts;
            one.started <= one.room.starts
        })
    }

    /// Takes the tokens of those that have started.
    pub async fn count(&self, tx: &mut Tx<'_>) -> Result<()> {
        for kind in [FUNCTION, QUEUE] {
            let counted = self.of.iter().filter(|one| one.kind == kind);
            let rated = counted.filter_map(|one| Some((one.name, one.rate?, one.bucket, one.started)));
            rates::count(tx, kind, &rated.collect::<Vec<_>>()).await?;
        }
        Ok(())
    }
}

/// How many leases on each function's tasks are valid. Those that have ended don't count, even if no sweep has handled
/// them yet.
async fn count_running(tx: &mut Tx<'_>, functions: Vec<String>) -> Result<HashMap<String, i64>> {
    if functions.is_empty() {
        return Ok(HashMap::new());
    }
    let found = tx.fetch(TASKS_COUNT_LIMITED.call().texts(functions).lease(tx.now)).await?;
    found.iter().map(|row| Ok((row.string("step_name")?, row.int("count")?))).collect()
}
