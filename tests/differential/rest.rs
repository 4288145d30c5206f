//! Whatever stands in a store, there is an end to sweeps, claims and replays: counted in rounds, for seconds say nothing.

use std::time::Duration;

use stent::backend::{Claim, DeadLetterFilter, NewWorker, Request, Response, SharedBackend};
use stent::model::{FunctionOptions, Id};

use crate::generate::{FUNCTIONS, LONG};
use crate::stores::Stores;

/// So many sweeps are enough for all that a run can leave to them.
const SWEEPS_MAX: usize = 50;

/// Tasks taken at once.
const CLAIMED: usize = 20;

/// No statement takes so long, but one that has no end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What does not come to an end, and where.
pub async fn restless(stores: &Stores) -> Option<String> {
    for (name, store) in &stores.all {
        let told = tokio::time::timeout(PATIENCE, come_to_rest(store)).await;
        match told {
            Ok(None) => {}
            Ok(Some(what)) => return Some(format!("{name}: {what}")),
            Err(_) => return Some(format!("{name}: a sweep, a claim or a replay does not end")),
        }
    }
    None
}

async fn come_to_rest(store: &SharedBackend) -> Option<String> {
    if let Some(told) = sweep(store).await {
        return Some(told);
    }
    let letters = store.dead_letters(DeadLetterFilter { limit: u32::MAX, ..DeadLetterFilter::default() }).await;
    for letter in letters.ok()? {
        // Maybe there is nothing to begin with any more; then it is told so.
        drop(store.replay_dead_letter(letter.task.id, Id::new_v4()).await);
    }
    if let Some(told) = sweep(store).await {
        return Some(told);
    }
    claim(store).await
}

/// There is less to do after each, and in the end nothing is due.
async fn sweep(store: &SharedBackend) -> Option<String> {
    let mut last = String::new();
    for _ in 0..SWEEPS_MAX {
        let swept = match store.sweep("one").await {
            Ok(swept) => swept,
            Err(why) => return Some(format!("a sweep fails: {why}")),
        };
        if swept.changed == 0 && !swept.more && swept.next_due != Some(Duration::ZERO) {
            return None;
        }
        last = format!("{swept:?}");
    }
    Some(format!("after {SWEEPS_MAX} sweeps there is still something due: {last}"))
}

/// What was taken is not offered again, so there are no more rounds than tasks.
async fn claim(store: &SharedBackend) -> Option<String> {
    let Ok(Response::Count(tasks)) = store.call(Request::CountTasks { queue: None, state: None }).await else {
        return Some("tasks are not counted".to_owned());
    };
    let options = || FunctionOptions { max_concurrent: None, ..FunctionOptions::default() };
    let functions =
        FUNCTIONS.iter().map(|name| stent::backend::Function { name: (*name).to_owned(), options: options() });
    let worker_id = "the last".to_owned();
    let (queues, tags) = (Vec::new(), Vec::new());
    let worker = NewWorker {
        worker_id: worker_id.clone(),
        queues,
        tags,
        functions: functions.collect(),
        queue_rates: [].into(),
    };
    if let Err(why) = store.register_worker(worker).await {
        return Some(format!("no worker can be registered: {why}"));
    }
    for _ in 0..=tasks {
        let claim = Claim {
            worker_id: worker_id.clone(),
            count: CLAIMED,
            limited: CLAIMED,
            begin: CLAIMED,
            slots: 1,
            lease: LONG,
        };
        match store.advance(Vec::new(), Some(claim)).await {
            Ok((_, claimed)) if claimed.is_empty() => return claim_next(store, tasks).await,
            Ok(_) => {}
            Err(why) => return Some(format!("a claim fails: {why}")),
        }
    }
    Some(format!("there are {tasks} tasks, and claims still find some"))
}

async fn claim_next(store: &SharedBackend, tasks: u64) -> Option<String> {
    for _ in 0..=tasks {
        let request = Request::ClaimNextTask {
            worker_id: "outside".to_owned(),
            queues: None,
            tags: None,
            now: None,
            lease_duration: LONG.as_secs_f64(),
            concurrency_limits: std::collections::BTreeMap::new(),
        };
        match store.call(request).await {
            Ok(Response::Task(None)) => return None,
            Ok(_) => {}
            Err(why) => return Some(format!("the protocol's claim fails: {why}")),
        }
    }
    Some(format!("there are {tasks} tasks, and the protocol's claim still finds some"))
}
