//! Ours, as one of the programs that benches/peers/run compares. Its words: the URL of a database, the settings' name, a
//! phase and a count; it answers with one line of JSON. Results are kept; one worker has 256 slots, or the default.

#[path = "../../throughput/stage.rs"]
#[allow(dead_code, reason = "make bench asks more of it")]
mod stage;

use std::process::ExitCode;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use stent::executor::Task;
use stent::model::{CallOptions, Error, ExecutionState, Payload, WorkerOptions};

use stage::{Result, Stage, noop};

const FIVE: usize = 5;

/// Between two samples the worker comes to rest.
const REST: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    // Cargo adds --bench when it runs this itself.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [url, settings, phase, count] = words.as_slice() else {
        eprintln!("benches/peers/run starts this: URL SETTINGS PHASE COUNT");
        return ExitCode::from(2);
    };
    match run(url, settings, phase, count) {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(url: &str, settings: &str, phase: &str, count: &str) -> Result<String> {
    let count = count.parse()?;
    let slots = if settings == "recommended" { 256 } else { WorkerOptions::default().max_concurrency };
    let stage = Stage::at(url)?;
    let took = match phase {
        "setup" => Duration::ZERO,
        "bulk" => timed(|| stage.dispatch_many("noop", "[1]", count).map(drop))?,
        "drain" => drain(&stage, slots, count)?,
        "one" => timed(|| (0..count).try_for_each(|_| stage.dispatch("noop", "[1]").map(drop)))?,
        "calls" => workflows(&stage, slots, five_calls, count)?,
        "steps" => workflows(&stage, slots, five_steps, count)?,
        "latency" => return latency(&stage, slots, count),
        other => return Err(format!("no phase is called '{other}'").into()),
    };
    Ok(format!("{{\"seconds\": {}}}", took.as_secs_f64()))
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// What "bulk" has dispatched.
fn drain(stage: &Stage, slots: usize, count: usize) -> Result<Duration> {
    let runs = stage.register("noop", noop)?;
    let start = Instant::now();
    let worker = stage.worker(slots)?;
    stage.until_recorded(&worker, &runs, count)?;
    let took = start.elapsed();
    stage.stop(&worker)?;
    stage.expect_executions(ExecutionState::Completed, count)?;
    Ok(took)
}

/// So many at once, from their dispatch until the last result is at the client.
fn workflows(stage: &Stage, slots: usize, workflow: fn(&Task) -> Result<(), Error>, count: usize) -> Result<Duration> {
    stage.register("noop", noop)?;
    stage.register("workflow", workflow)?;
    let worker = stage.worker(slots)?;
    let took = timed(|| stage.wait_all(&stage.dispatch_many("workflow", "[]", count)?))?;
    stage.stop(&worker)?;
    Ok(took)
}

fn five_calls(task: &Task) -> Result<(), Error> {
    for _ in 0..FIVE {
        task.call("noop", Payload::from("[1]"), CallOptions::default())?;
    }
    task.complete(Payload::null())
}

fn five_steps(task: &Task) -> Result<(), Error> {
    for _ in 0..FIVE {
        let begun = task.step_begin("noop", None)?;
        if !begun.recorded {
            task.step_end(begun.op, Ok(Payload::null()))?;
        }
    }
    task.complete(Payload::null())
}

/// One at a time, on a worker that has nothing else to do.
fn latency(stage: &Stage, slots: usize, count: usize) -> Result<String> {
    let (started, starts) = mpsc::channel();
    let started = Mutex::new(started);
    stage.register("probe", move |task| {
        // The receiver is gone when the run is over, and nobody wants to know.
        let _ = started.lock().unwrap().send(Instant::now());
        task.complete(Payload::null())
    })?;
    let worker = stage.worker(slots)?;
    let (mut to_start, mut to_result) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let asked = Instant::now();
        let execution = stage.dispatch("probe", "[]")?;
        stage.wait_all(&[execution])?;
        to_result.push(asked.elapsed());
        to_start.push(starts.recv()?.duration_since(asked));
        std::thread::sleep(REST);
    }
    stage.stop(&worker)?;
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    Ok(format!("{{\"start_ms\": {}, \"result_ms\": {}}}", median(&mut to_start), median(&mut to_result)))
}
