//! What a store can do here: a short run in a queue of its own, with a worker in this program, cleaned up after itself.
//!
//! What an earlier run has left, because it was killed, is cleaned up with this one's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use stent::backend::ExecutionFilter;
use stent::executor::{Task, Worker, WorkerState};
use stent::model::{
    CallOptions, DispatchOptions, DispatchRequest, Error, ExecutionState, FunctionOptions, Id, Payload, Result, Status,
    TaskOptions, WorkerOptions,
};

use crate::args;
use crate::place::Place;
use crate::screen::Screen;
use crate::table::{self, Cell};
use crate::trouble::{DONE, Trouble};
use crate::words::{self, several};

/// Names of its own: of the queue, and of functions.
const QUEUE: &str = "stent.bench";
const ONE: &str = "stent.bench.one";
const FAN: &str = "stent.bench.fan";
/// Executions in one dispatch.
const BATCH: usize = 100;
/// Executions at most in one part: so much is to be cleaned up.
const MOST: usize = 20_000;
/// Calls of one execution.
const CALLS: usize = 100;
const SLOTS: usize = 16;
/// For a worker to begin, and to end.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));

#[derive(Serialize)]
struct Measured {
    executions: usize,
    seconds: f64,
    per_second: f64,
}

#[derive(Serialize)]
struct Latency {
    executions: usize,
    middle_ms: f64,
    p95_ms: f64,
    most_ms: f64,
}

#[derive(Serialize)]
struct View {
    store: &'static str,
    /// Executions dispatched, a hundred in a transaction.
    dispatch: Measured,
    /// Executions from their claim to their end.
    run: Measured,
    /// From a dispatch to its end, one after another.
    latency: Latency,
    /// Calls of executions that make a hundred of them at once.
    calls: Measured,
}

pub async fn bench(place: &Place, bench: args::Bench, screen: &mut Screen) -> std::result::Result<u8, Trouble> {
    let stats = place.backend.stats().await?;
    let going: u64 = ["pending", "running"].iter().filter_map(|state| stats.executions.get(state)).sum();
    if going + stats.workers > 0 {
        let (executions, workers) = (several(going, "execution"), several(stats.workers, "worker"));
        let question =
            format!("{executions} and {workers} of this store will be slower meanwhile. Measure all the same?");
        screen.confirm(bench.yes, &question)?;
    }
    let bar = ProgressBar::with_draw_target(Some(4), ProgressDrawTarget::stderr());
    bar.set_style(
        ProgressStyle::with_template("{spinner} {pos}/{len} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.enable_steady_tick(Duration::from_millis(100));
    let measured = measure(place, bench.time / 4, &bar).await;
    bar.set_message("cleaning up");
    let cleaned = clean_up(place).await;
    bar.finish_and_clear();
    let view = measured?;
    cleaned?;
    tell(&view, screen);
    Ok(DONE)
}

/// Each part takes about so long.
async fn measure(place: &Place, part: Duration, bar: &ProgressBar) -> Result<View> {
    register(place)?;
    let begin = |what: &'static str| {
        bar.set_message(what);
        bar.inc(1);
    };
    begin("dispatching");
    let start = Instant::now();
    let mut last = None;
    let mut executions = 0;
    while executions < BATCH || (start.elapsed() < part && executions < MOST) {
        let request =
            |_| DispatchRequest { function: ONE.to_owned(), args: Payload::empty_array(), options: options() };
        last = place.executor.dispatch_many((0..BATCH).map(request).collect()).await?.last().copied();
        executions += BATCH;
    }
    let dispatch = rate(executions, start.elapsed());

    begin("running");
    let start = Instant::now();
    let worker = worker(place).await?;
    let run = async {
        if let Some(last) = last {
            place.executor.wait(last, None).await?;
        }
        // The last one that was dispatched may not be the last one to end.
        while !none_goes_on(place).await? {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let run = rate(executions, start.elapsed());
        begin("one after another");
        let latency = latency(place, part).await?;
        begin("many calls at once");
        Ok::<_, Error>((run, latency, calls(place, part).await?))
    };
    let (run, latency, calls) = run.await?;
    worker.drain();
    worker.stop(PATIENCE).await?;
    Ok(View { store: place.backend.name(), dispatch, run, latency, calls })
}

fn register(place: &Place) -> Result<()> {
    let options = || FunctionOptions { queue: Some(QUEUE.to_owned()), ..FunctionOptions::default() };
    let status = |done: Result<()>| done.map_or_else(|error| error.status(), |()| Status::Ok);
    let one = move |task: &Task| status(task.complete(Payload::null()));
    let fan = move |task: &Task| {
        let calls = (0..CALLS).map(|_| Payload::empty_array()).collect();
        let done = task.map(ONE, calls, CallOptions::default()).and_then(|_| task.complete(Payload::null()));
        done.map_or_else(|error| error.status(), |()| Status::Ok)
    };
    place.executor.register(ONE, options(), Some(Arc::new(one)))?;
    place.executor.register(FAN, options(), Some(Arc::new(fan)))
}

async fn worker(place: &Place) -> Result<Worker> {
    let options = WorkerOptions {
        queues: vec![QUEUE.to_owned()],
        max_concurrency: SLOTS,
        // What is old here is none of its business.
        cleanup_interval: None,
        ..WorkerOptions::default()
    };
    let worker = place.executor.start_worker(options, None)?;
    worker.wait_state(WorkerState::Ready, PATIENCE).await?;
    Ok(worker)
}

fn options() -> DispatchOptions {
    let task = TaskOptions { queue: Some(QUEUE.to_owned()), ..TaskOptions::default() };
    DispatchOptions { task, ..DispatchOptions::default() }
}

fn rate(executions: usize, took: Duration) -> Measured {
    let seconds = took.as_secs_f64();
    Measured { executions, seconds, per_second: executions as f64 / seconds.max(f64::MIN_POSITIVE) }
}

async fn latency(place: &Place, part: Duration) -> Result<Latency> {
    let start = Instant::now();
    let mut times = Vec::new();
    while times.is_empty() || (start.elapsed() < part && times.len() < MOST) {
        let begun = Instant::now();
        let id = place.executor.dispatch(ONE, Payload::empty_array(), options()).await?;
        place.executor.wait(id, None).await?;
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    Ok(Latency { executions: times.len(), middle_ms: at(50), p95_ms: at(95), most_ms: at(100) })
}

async fn calls(place: &Place, part: Duration) -> Result<Measured> {
    let start = Instant::now();
    let mut many = 0;
    while many == 0 || (start.elapsed() < part && many < MOST) {
        let id = place.executor.dispatch(FAN, Payload::empty_array(), options()).await?;
        place.executor.wait(id, None).await?;
        many += CALLS;
    }
    Ok(rate(many, start.elapsed()))
}

async fn none_goes_on(place: &Place) -> Result<bool> {
    for state in [ExecutionState::Running, ExecutionState::Pending] {
        if !page(place, ONE, Some(state), 1).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn page(place: &Place, function: &str, state: Option<ExecutionState>, limit: u32) -> Result<Vec<Id>> {
    let filter = ExecutionFilter { state, function: Some(function.to_owned()), limit, ..ExecutionFilter::default() };
    Ok(place.backend.list(filter).await?.into_iter().map(|execution| execution.id).collect())
}

/// All executions of these functions, and the functions.
async fn clean_up(place: &Place) -> Result<()> {
    for function in [ONE, FAN] {
        for state in [ExecutionState::Pending, ExecutionState::Running] {
            // Only where something went wrong.
            for id in page(place, function, Some(state), u32::MAX).await? {
                place.executor.cancel(id, Some("the bench is over".to_owned())).await?;
                place.executor.wait(id, PATIENCE).await?;
            }
        }
        loop {
            let ids = page(place, function, None, 1_000).await?;
            if ids.is_empty() || place.backend.forget_executions(ids).await? == 0 {
                break;
            }
        }
    }
    place.backend.forget_functions([ONE, FAN].map(str::to_owned).to_vec()).await
}

fn tell(view: &View, screen: &mut Screen) {
    let rate = |what: &str, of: &Measured| {
        let text = format!("{}/s", words::number(of.per_second.round() as u64));
        vec![
            what.into(),
            Cell::from(text),
            format!("{} in {:.1}s", words::number(of.executions as u64), of.seconds).into(),
        ]
    };
    let Latency { executions, middle_ms, p95_ms, most_ms } = &view.latency;
    let latency = vec![
        "from dispatch to end".into(),
        format!("{middle_ms:.2}ms").into(),
        format!("95%: {p95_ms:.2}ms, at most {most_ms:.2}ms, of {}", words::number(*executions as u64)).into(),
    ];
    let rows: Vec<Vec<Cell>> = vec![
        rate("dispatched", &view.dispatch),
        rate("run to their end", &view.run),
        latency,
        rate("calls of one execution", &view.calls),
    ];
    table::write(screen, &[], &rows);
    screen.line(format!("On {}, with one worker of {SLOTS} slots in this program.", view.store));
    screen.json(view);
}
