//! What waiting costs: a worker on a store with a hundred thousand sleeping workflows beside one on an empty store, each
//! a process of its own, so that nothing of what came before is in its memory.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use stent::model::TaskState;

use crate::Size;
use crate::process::{cpu_time, memory_kib, threads};
use crate::report::{Report, thousands};
use crate::stage::{Result, Stage};
use crate::stores::Store;

/// The word by which this program runs itself.
pub const INNER: &str = "--idle-worker";

/// How long an idle worker is watched.
const WATCHED: Duration = Duration::from_secs(10);

fn register_sleeper(stage: &Stage) -> Result<Arc<AtomicUsize>> {
    stage.register("sleeper", |task| task.sleep(Duration::from_secs(30 * 86_400), None))
}

pub fn run(report: &mut Report, store: &Store, size: Size) -> Result<()> {
    let count = size.of(100_000);
    let (full, empty) = (store.place()?, store.place()?);
    let stage = Stage::at(&full.url)?;
    let runs = register_sleeper(&stage)?;
    let worker = stage.worker(256)?;
    let (threads_before, memory_before) = (threads(), memory_kib());
    let start = Instant::now();
    stage.dispatch_many("sleeper", "[]", count)?;
    stage.until_recorded(&worker, &runs, count)?;
    let took = start.elapsed();
    let (threads_after, memory_after) = (threads(), memory_kib());
    stage.stop(&worker)?;
    // Each is two tasks that wait: the workflow and its timer.
    stage.expect_tasks(TaskState::Waiting, 2 * count)?;
    report.rate(&format!("put {} workflows to sleep", thousands(count as f64)), count as f64 / took.as_secs_f64());
    report.line(
        "the worker that put them to sleep",
        &format!("{threads_after} threads"),
        &format!("{threads_before} before; {} MiB of memory, {} before", memory_after / 1024, memory_before / 1024),
    );

    for (what, place) in [("an idle worker on an empty store", &empty), ("an idle worker, while they sleep", &full)] {
        let (threads, memory, busy) = watch(&place.url)?;
        report.line(
            what,
            &format!("{:.2}% CPU", 100.0 * busy.as_secs_f64() / WATCHED.as_secs_f64()),
            &format!("over {} s; {threads} threads, {:.1} MiB of memory", WATCHED.as_secs(), memory as f64 / 1024.0),
        );
    }
    stage.runtime.block_on(empty.clear())?;
    stage.runtime.block_on(full.clear())
}

/// Runs a worker on a store in a process of its own: its threads, its memory in KiB, and its CPU time while idle.
fn watch(url: &str) -> Result<(u64, u64, Duration)> {
    let output = Command::new(std::env::current_exe()?).arg(INNER).arg(url).output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [threads, memory, nanos] => Ok((*threads, *memory, Duration::from_nanos(*nanos))),
        _ => Err(format!("the idle worker said {text:?} and {:?}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// The process of [`watch`].
pub fn inner(url: &str) -> Result<()> {
    let stage = Stage::at(url)?;
    register_sleeper(&stage)?;
    let worker = stage.worker(256)?;
    // The start's own work (schema, functions, the first claim and sweep) is not what is watched.
    std::thread::sleep(Duration::from_secs(2));
    let before = cpu_time();
    std::thread::sleep(WATCHED);
    let busy = cpu_time().saturating_sub(before);
    println!("{} {} {}", threads(), memory_kib(), busy.as_nanos());
    stage.stop(&worker)
}
