//! A run: operations drawn one after the other, done on every store, and compared. On a difference, the run is made as
//! short as it goes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use stent::model::Id;

use crate::operation::{Operation, Reply};
use crate::picture::{self, Picture};
use crate::rest;
use crate::stores::{MODEL, Stores};
use crate::world::World;

/// A worker has first call on what it suspended for less than this: whatever looks for what is due looks so much later, and
/// finds it over in all stores.
const FIRST_CALLS: Duration = Duration::from_millis(30);

/// Trying to leave operations out is given up after this time.
const SHRINKING_MAX: Duration = Duration::from_secs(60);

/// What the stores had to say to one operation, and where they differ.
struct Step {
    reply: Reply,
    picture: Picture,
    difference: Option<String>,
}

pub async fn run(seed: u64, steps: usize, draw: fn(&mut World) -> Operation) -> Result<(), String> {
    let stores = Stores::open().await;
    let mut world = World::new(seed);
    let mut done = Vec::new();
    let mut first = world.first_workers().into_iter();
    for number in 1..=steps {
        let operation = first.next().unwrap_or_else(|| draw(&mut world));
        done.push(operation);
        let operation = &done[done.len() - 1];
        let near = if number == steps { world.executions.clone() } else { world.near(operation) };
        let step = take(&stores, operation, &near).await;
        if let Some(difference) = step.difference {
            let told = format!("seed {seed}, step {number}: {operation}\n{difference}");
            stores.close().await;
            return Err(format!("{told}\n{}", shrink(done).await));
        }
        world.learn(operation, step.reply, step.picture);
    }
    let restless = rest::restless(&stores).await;
    stores.close().await;
    match restless {
        None => Ok(()),
        Some(told) => Err(format!("seed {seed}, after all of it: {told}\n{}", shrink(done).await)),
    }
}

async fn take(stores: &Stores, operation: &Operation, near: &[Id]) -> Step {
    if operation.looks_for_due() {
        tokio::time::sleep(FIRST_CALLS).await;
    }
    let each = stores.all.iter().map(|(name, store)| async move {
        let reply = operation.run(name, store).await;
        let picture = if reply.lost { Picture::default() } else { Picture::of(store, near).await };
        (*name, reply, picture)
    });
    let mut all = join_all(each).await;
    let (first, reply, picture) = all.remove(0);
    let differences = all.iter().filter_map(|(other, others_reply, others_picture)| {
        let answers = match *other {
            MODEL => [&reply.meaning, &others_reply.meaning],
            _ => [&reply.text, &others_reply.text],
        };
        let answer = (answers[0] != answers[1])
            .then(|| format!("answers:\n{}", picture::lines((first, answers[0]), (other, answers[1]))));
        let seen = picture::difference((first, &picture.parts), (other, &others_picture.parts));
        let told: Vec<String> = answer.into_iter().chain(seen).collect();
        (!told.is_empty()).then(|| told.join("\n"))
    });
    let difference = differences.collect::<Vec<_>>();
    let difference = (!difference.is_empty()).then(|| difference.join("\n\n"));
    Step { reply, picture, difference }
}

/// Does the last of these operations, or an earlier one, still show a difference? Then up to where, and which.
async fn differs(operations: &[Operation]) -> Option<(usize, String)> {
    let stores = Stores::open().await;
    let mut found = None;
    for (position, operation) in operations.iter().enumerate() {
        if let Some(difference) = take(&stores, operation, &[]).await.difference {
            found = Some((position, difference));
            break;
        }
    }
    if found.is_none() {
        found = rest::restless(&stores).await.map(|told| (operations.len().saturating_sub(1), told));
    }
    stores.close().await;
    found
}

/// Leaves out what is not needed for a difference, first by halves, then one by one.
async fn shrink(mut operations: Vec<Operation>) -> String {
    let start = Instant::now();
    let Some((last, mut difference)) = differs(&operations).await else {
        return "(the same operations again make no difference: it depends on time or on a snapshot)".to_owned();
    };
    operations.truncate(last + 1);
    let mut size = operations.len() / 2;
    while size > 0 {
        let mut from = 0;
        while from < operations.len() && start.elapsed() < SHRINKING_MAX {
            let mut fewer = operations.clone();
            fewer.drain(from..(from + size).min(operations.len()));
            match differs(&fewer).await {
                Some((last, other)) => {
                    fewer.truncate(last + 1);
                    (operations, difference) = (fewer, other);
                }
                None => from += size,
            }
        }
        size /= 2;
    }
    let numbered: Vec<String> =
        operations.iter().enumerate().map(|(n, operation)| format!("{n}: {operation}")).collect();
    format!("the shortest run found:\n{}\n{difference}", numbered.join("\n"))
}
