//! How long it takes when there is nothing else to do, and how many short workflows go through at once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use stent::backend::ScheduleChange;
use stent::executor::Task;
use stent::model::{CallOptions, Error, Overlap, Payload, Schedule, Timestamp, When};

use crate::Size;
use crate::drain::SLOTS;
use crate::report::{Report, quantile};
use crate::stage::{Result, Stage, noop};
use crate::stores::Store;

const CALLS: usize = 5;
const AT_ONCE: usize = 500;
const ROUNDS: usize = 7;

/// Between two samples the worker comes to rest.
const REST: Duration = Duration::from_millis(5);

/// Between the ticks of a schedule the worker sleeps.
const OFTEN: Duration = Duration::from_millis(100);

pub fn run(report: &mut Report, store: &Store, size: Size) -> Result<()> {
    let place = store.place()?;
    let stage = Stage::at(&place.url)?;
    let (started, starts) = mpsc::channel();
    let started = Mutex::new(started);
    stage.register("probe", move |task| {
        // The receiver is gone when the run is over, and nobody wants to know.
        let _ = started.lock().unwrap().send(Instant::now());
        task.complete(Payload::null())
    })?;
    register_five_calls(&stage)?;
    let worker = stage.worker(10)?;
    let (mut to_start, mut to_result) = (Vec::new(), Vec::new());
    for _ in 0..size.of(1_000) {
        let asked = Instant::now();
        let execution = stage.dispatch("probe", "[]")?;
        stage.wait_all(&[execution])?;
        to_result.push(asked.elapsed());
        to_start.push(starts.recv()?.duration_since(asked));
        std::thread::sleep(REST);
    }
    let mut calls = Vec::new();
    for _ in 0..size.of(300) {
        let asked = Instant::now();
        let execution = stage.dispatch("five_calls", "[]")?;
        stage.wait_all(&[execution])?;
        calls.push(asked.elapsed());
        std::thread::sleep(REST);
    }
    stage.stop(&worker)?;
    report.time("idle worker: dispatch to the handler's start", &mut to_start);
    report.time("idle worker: dispatch to the result at the client", &mut to_result);
    report.time("idle worker: a workflow of five calls in sequence", &mut calls);
    stage.runtime.block_on(place.clear())
}

/// How late a tick's handler starts, of a worker that has nothing else to do.
pub fn schedules(report: &mut Report, store: &Store, size: Size) -> Result<()> {
    let place = store.place()?;
    let stage = Stage::at(&place.url)?;
    let (started, starts) = mpsc::channel();
    let started = Mutex::new(started);
    stage.register("tick", move |task| {
        // The receiver is gone when the run is over, and nobody wants to know.
        let _ = started.lock().unwrap().send((SystemTime::now(), task.kwargs()));
        task.complete(Payload::null())
    })?;
    let worker = stage.worker(10)?;
    let schedule = Schedule {
        overlap: Overlap::Allow,
        time_argument: Some("at".to_owned()),
        ..Schedule::new("often", "tick", When::Every(OFTEN))
    };
    stage.runtime.block_on(stage.executor.put_schedule(schedule))?;
    let mut late = Vec::new();
    for _ in 0..size.of(200) {
        let (began, told) = starts.recv()?;
        let told: BTreeMap<String, Timestamp> = serde_json::from_slice(told.as_bytes())?;
        let at = UNIX_EPOCH + Duration::from_micros(told["at"].micros().unsigned_abs());
        late.push(began.duration_since(at).unwrap_or_default());
    }
    stage.runtime.block_on(stage.executor.change_schedule("often", ScheduleChange::Delete))?;
    stage.stop(&worker)?;
    report.time("idle worker: a schedule's tick to the handler's start", &mut late);
    stage.runtime.block_on(place.clear())
}

/// One client that waits for each of its dispatches, with nobody to run them.
pub fn dispatch(report: &mut Report, store: &Store, size: Size) -> Result<()> {
    let place = store.place()?;
    let stage = Stage::at(&place.url)?;
    let count = size.of(10_000);
    let begin = Instant::now();
    for _ in 0..count {
        stage.dispatch("nobody", "[1]")?;
    }
    report.rate("dispatch, one after the other", count as f64 / begin.elapsed().as_secs_f64());
    stage.runtime.block_on(place.clear())
}

fn register_five_calls(stage: &Stage) -> Result<()> {
    stage.register("noop", noop)?;
    stage.register("five_calls", five_calls)?;
    Ok(())
}

fn five_calls(task: &Task) -> Result<(), Error> {
    for _ in 0..CALLS {
        task.call("noop", Payload::from("[1]"), CallOptions::default())?;
    }
    task.complete(Payload::null())
}

fn five_steps(task: &Task) -> Result<(), Error> {
    for _ in 0..CALLS {
        let step = task.step_begin("step", None)?;
        if !step.recorded {
            task.step_end(step.op, Ok(Payload::null()))?;
        }
    }
    task.complete(Payload::null())
}

/// Workflows of five queued calls, and of five steps in place, one after the other: many at once.
pub fn workflows(report: &mut Report, store: &Store, _: Size) -> Result<()> {
    for (what, function) in [("calls", "five_calls"), ("steps in place", "five_steps")] {
        let place = store.place()?;
        let stage = Stage::at(&place.url)?;
        register_five_calls(&stage)?;
        stage.register("five_steps", five_steps)?;
        let worker = stage.worker(SLOTS)?;
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let asked = Instant::now();
            let executions = stage.dispatch_many(function, "[]", AT_ONCE)?;
            stage.wait_all(&executions)?;
            times.push(asked.elapsed());
        }
        stage.stop(&worker)?;
        let median = quantile(&mut times, 0.5);
        report.rate(
            &format!("{AT_ONCE} workflows of five {what} at once (median of {ROUNDS})"),
            AT_ONCE as f64 / median.as_secs_f64(),
        );
        stage.runtime.block_on(place.clear())?;
    }
    Ok(())
}
