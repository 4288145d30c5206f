//! How fast a backlog goes away, and a fan-out comes home.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use stent::model::{CallOptions, ExecutionState, Payload, TaskState};

use crate::Size;
use crate::report::{Report, thousands};
use crate::stage::{Result, Stage, noop};
use crate::stores::Store;

pub const SLOTS: usize = 256;
const CHILDREN: usize = 1_000;

/// Registers `parent`, which calls `child` so many times at once and joins.
fn register_parent(stage: &Stage, children: usize) -> Result<Arc<AtomicUsize>> {
    stage.register("parent", move |task| {
        let results = task.map("child", vec![Payload::from("[1]"); children], CallOptions::default())?;
        task.complete(Payload::from(results.len().to_string()))
    })
}

/// A backlog of activities: children of fan-outs, all of them spawned before the worker that can run them starts.
pub fn activities(report: &mut Report, store: &Store, size: Size) -> Result<()> {
    let parents = size.of(100);
    let place = store.place()?;
    let mut stage = Stage::at(&place.url)?;
    let (spawned, drained) = drain_activities(&mut stage, parents)?;
    let total = (parents * CHILDREN) as f64;
    report
        .rate(&format!("spawn {} activities from {parents} fan-outs", thousands(total)), total / spawned.as_secs_f64());
    report.rate(&format!("drain a backlog of {} activities", thousands(total)), total / drained.as_secs_f64());
    stage.runtime.block_on(place.clear())
}

/// The times to spawn the children of so many parents, and to run them.
pub fn drain_activities(stage: &mut Stage, parents: usize) -> Result<(Duration, Duration)> {
    let runs = register_parent(stage, CHILDREN)?;
    let spawner = stage.worker(SLOTS)?;
    let start = Instant::now();
    let executions = stage.dispatch_many("parent", "[]", parents)?;
    stage.until_recorded(&spawner, &runs, parents)?;
    let spawned = start.elapsed();
    stage.stop(&spawner)?;
    stage.expect_tasks(TaskState::Waiting, parents)?;
    stage.fresh_executor();

    register_parent(stage, CHILDREN)?;
    stage.register("child", noop)?;
    let start = Instant::now();
    let worker = stage.worker(SLOTS)?;
    stage.wait_all(&executions)?;
    let drained = start.elapsed();
    stage.stop(&worker)?;
    Ok((spawned, drained))
}

/// A backlog of executions, each with its root task.
pub fn executions(report: &mut Report, store: &Store, size: Size) -> Result<()> {
    let count = size.of(100_000);
    let place = store.place()?;
    let stage = Stage::at(&place.url)?;
    let (dispatched, drained) = drain_executions(&stage, count)?;
    stage.expect_executions(ExecutionState::Completed, count)?;
    let total = count as f64;
    report.rate(
        &format!("dispatch {} executions, a thousand a call", thousands(total)),
        total / dispatched.as_secs_f64(),
    );
    report.rate(&format!("drain a backlog of {} executions", thousands(total)), total / drained.as_secs_f64());
    stage.runtime.block_on(place.clear())
}

/// The times to dispatch so many, and to run them until the last one is recorded.
pub fn drain_executions(stage: &Stage, count: usize) -> Result<(Duration, Duration)> {
    let runs = stage.register("noop", noop)?;
    let start = Instant::now();
    stage.dispatch_many("noop", "[1]", count)?;
    let dispatched = start.elapsed();
    let start = Instant::now();
    let worker = stage.worker(SLOTS)?;
    stage.until_recorded(&worker, &runs, count)?;
    let drained = start.elapsed();
    stage.stop(&worker)?;
    Ok((dispatched, drained))
}

/// One parent, many children: the cost of each must not grow with their number.
pub fn fan_out(report: &mut Report, store: &Store, size: Size) -> Result<()> {
    for children in [CHILDREN, size.of(10 * CHILDREN).max(2 * CHILDREN)] {
        let place = store.place()?;
        let stage = Stage::at(&place.url)?;
        let runs = register_parent(&stage, children)?;
        stage.register("child", noop)?;
        let worker = stage.worker(SLOTS)?;
        let start = Instant::now();
        let execution = stage.dispatch("parent", "[]")?;
        stage.wait_all(&[execution])?;
        let took = start.elapsed();
        stage.stop(&worker)?;
        let each = took.as_secs_f64() * 1e6 / children as f64;
        report.line(
            &format!("a fan-out of {}, joined", thousands(children as f64)),
            &format!("{:.3} s", took.as_secs_f64()),
            &format!("{each:.1} us a child; the parent's body ran {} times", runs.load(Ordering::Relaxed)),
        );
        stage.runtime.block_on(place.clear())?;
    }
    Ok(())
}
