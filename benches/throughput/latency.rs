//! How long it takes when there is nothing else to do, and how many short workflows go through at once.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use stent::executor::Task;
use stent::model::{CallOptions, Error, Payload};

use crate::Size;
use crate::report::{Report, millis, quantile};
use crate::stage::{Result, Stage, noop};

const CALLS: usize = 5;
const AT_ONCE: usize = 500;

/// Between two samples the worker comes to rest.
const REST: Duration = Duration::from_millis(5);

pub fn run(report: &mut Report, size: Size) -> Result<()> {
    let samples = size.of(1_000);
    let stage = Stage::new()?;
    let (started, starts) = mpsc::channel();
    let started = Mutex::new(started);
    stage.register("probe", move |task| {
        // The receiver is gone when the run is over, and nobody wants to know.
        let _ = started.lock().unwrap().send(Instant::now());
        task.complete(Payload::null())
    })?;
    let worker = stage.worker(10)?;
    let (mut to_start, mut to_result) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        let asked = Instant::now();
        let execution = stage.dispatch("probe", "[]")?;
        stage.wait_all(&[execution])?;
        to_result.push(asked.elapsed());
        to_start.push(starts.recv()?.duration_since(asked));
        std::thread::sleep(REST);
    }
    stage.stop(&worker)?;
    tell(report, "idle worker: dispatch to the handler's start", &mut to_start);
    tell(report, "idle worker: dispatch to the result at the client", &mut to_result);
    Ok(())
}

fn tell(report: &Report, what: &str, sample: &mut [Duration]) {
    let (median, most) = (quantile(sample, 0.5), quantile(sample, 0.99));
    let commits = median.as_secs_f64() * report.ceiling.single;
    let more = format!("median of {}; 99% below {}; {commits:.1} x a single-row commit", sample.len(), millis(most));
    report.line(what, &millis(median), &more);
}

fn five_calls(task: &Task) -> Result<(), Error> {
    for _ in 0..CALLS {
        task.call("noop", Payload::from("[1]"), CallOptions::default())?;
    }
    task.complete(Payload::null())
}

/// A workflow that makes five calls, one after the other: alone, and many at once.
pub fn workflows(report: &mut Report, size: Size) -> Result<()> {
    let stage = Stage::new()?;
    stage.register("noop", noop)?;
    stage.register("five_calls", five_calls)?;
    let worker = stage.worker(256)?;

    let mut alone = Vec::new();
    for _ in 0..size.of(300) {
        let asked = Instant::now();
        let execution = stage.dispatch("five_calls", "[]")?;
        stage.wait_all(&[execution])?;
        alone.push(asked.elapsed());
        std::thread::sleep(REST);
    }
    let rounds = 5;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let asked = Instant::now();
        let executions = stage.dispatch_many("five_calls", "[]", AT_ONCE)?;
        stage.wait_all(&executions)?;
        times.push(asked.elapsed());
    }
    stage.stop(&worker)?;
    tell(report, "idle worker: a workflow of five calls in sequence", &mut alone);
    let median = quantile(&mut times, 0.5);
    report.rate(
        &format!("{AT_ONCE} such workflows at once (median of {rounds} rounds)"),
        AT_ONCE as f64 / median.as_secs_f64(),
        "/s",
    );
    Ok(())
}
