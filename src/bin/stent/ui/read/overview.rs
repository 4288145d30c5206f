//! How it all stands.

use std::collections::BTreeMap;

use serde::Serialize;
use stent::backend::{DeadLetterFilter, RegisteredWorker, StoreStats};
use stent::model::{DeadLetter, Execution, ExecutionState, Timestamp};

use super::at_hand::{self, HandView};
use super::catalog::QueueView;
use crate::catalog;
use crate::ui::app::App;
use crate::ui::refusal::Answer;
use crate::ui::samples::Seen;
use crate::ui::series::Point;
use crate::watch::sample::Spread;

/// Dead letters on it.
const LETTERS: u32 = 5;

#[derive(Serialize)]
pub struct OverviewView {
    pub stats: StoreStats,
    /// The charts begin here: nothing is looked at before somebody looks.
    pub since: Timestamp,
    pub minutes: Vec<Point>,
    pub hours: Vec<Point>,
    pub latency: Latency,
    pub failures: Vec<Share>,
    pub queues: Vec<QueueView>,
    pub workers: Vec<RegisteredWorker>,
    pub at_hand: HandView,
    pub dead_letters: Vec<DeadLetter>,
}

/// Of the newest executions that have ended: seconds until they began, and from then to their end.
#[derive(Serialize)]
pub struct Latency {
    pub measured: usize,
    pub wait_middle: Option<f64>,
    pub wait_most: Option<f64>,
    pub run_middle: Option<f64>,
    pub run_most: Option<f64>,
}

/// Of a function's newest executions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    pub function: String,
    pub executions: u64,
    pub failed: u64,
}

pub async fn read(app: &App) -> Answer<OverviewView> {
    let seen = app.samples.look(&app.backend).await?;
    let registered = app.backend.registered().await?;
    let letters = DeadLetterFilter { limit: LETTERS, ..DeadLetterFilter::default() };
    Ok(OverviewView {
        stats: seen.stats.clone(),
        since: seen.since,
        minutes: seen.minutes.clone(),
        hours: seen.hours.clone(),
        latency: latency(&seen),
        failures: failures(&seen.newest),
        queues: catalog::queues(&registered),
        workers: registered.workers,
        at_hand: at_hand::read(app).await?,
        dead_letters: app.backend.dead_letters(letters).await?,
    })
}

fn latency(seen: &Seen) -> Latency {
    let middle = |spread: Option<Spread>| spread.map(|spread| spread.middle.as_secs_f64());
    let most = |spread: Option<Spread>| spread.map(|spread| spread.most.as_secs_f64());
    Latency {
        measured: seen.measured,
        wait_middle: middle(seen.begun),
        wait_most: most(seen.begun),
        run_middle: middle(seen.ran),
        run_most: most(seen.ran),
    }
}

/// Functions of which some failed, those that fail most first.
fn failures(executions: &[Execution]) -> Vec<Share> {
    let mut shares = BTreeMap::<&str, (u64, u64)>::new();
    for execution in executions {
        let (all, failed) = shares.entry(&execution.root_function).or_default();
        *all += 1;
        *failed += u64::from(matches!(execution.state, ExecutionState::Failed | ExecutionState::TimedOut));
    }
    let share = |(function, (executions, failed)): (&str, (u64, u64))| {
        (failed > 0).then(|| Share { function: function.to_owned(), executions, failed })
    };
    let mut shares: Vec<Share> = shares.into_iter().filter_map(share).collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.failed));
    shares
}
