//! duroxide on PostgreSQL: a program that benches/peers/run compares. Orchestrations, their activities, and results.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus};
use duroxide_pg::PostgresProvider;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::mpsc;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const FIVE: usize = 5;
/// Calls of the client that are on their way at once, where many are made.
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_secs(500);
const REST: Duration = Duration::from_millis(5);

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, settings, phase, count] = words.as_slice() else {
        return Err("benches/peers/run starts this: URL SETTINGS PHASE COUNT".into());
    };
    let count: usize = count.parse()?;
    // This makes the schema too.
    let store = Arc::new(PostgresProvider::new(url).await?);
    let client = Client::new(store.clone());
    let begin = Instant::now();
    match phase.as_str() {
        "setup" => {}
        "bulk" => start_many(&client, "noop", count).await?,
        "one" => {
            for number in 0..count {
                client.start_orchestration(&name(number), "noop", "").await?;
            }
        }
        "drain" => {
            let runtime = runtime(store, settings, mpsc::unbounded_channel().0).await;
            until_over(&client, count).await?;
            println!(r#"{{"seconds": {}}}"#, begin.elapsed().as_secs_f64());
            runtime.shutdown(None).await;
            return Ok(());
        }
        "calls" => {
            let runtime = runtime(store, settings, mpsc::unbounded_channel().0).await;
            let begin = Instant::now();
            start_many(&client, "calls", count).await?;
            until_over(&client, count).await?;
            println!(r#"{{"seconds": {}}}"#, begin.elapsed().as_secs_f64());
            runtime.shutdown(None).await;
            return Ok(());
        }
        "latency" => return latency(store, settings, count).await,
        _ => {
            println!(r#"{{"lacks": "an activity is always queued: there are no steps in place"}}"#);
            return Ok(());
        }
    }
    println!(r#"{{"seconds": {}}}"#, begin.elapsed().as_secs_f64());
    Ok(())
}

fn name(number: usize) -> String {
    format!("instance-{number}")
}

async fn start_many(client: &Client, orchestration: &str, count: usize) -> Result<()> {
    let starts = stream::iter(0..count).map(|number| async move {
        client.start_orchestration(&name(number), orchestration, "").await
    });
    Ok(starts.buffer_unordered(AT_ONCE).try_for_each(|()| async { Ok(()) }).await?)
}

async fn until_over(client: &Client, count: usize) -> Result<()> {
    for number in 0..count {
        over(client, &name(number)).await?;
    }
    Ok(())
}

async fn over(client: &Client, instance: &str) -> Result<()> {
    match client.wait_for_orchestration(instance, PATIENCE).await? {
        OrchestrationStatus::Completed { .. } => Ok(()),
        other => Err(format!("{instance} has ended as {other:?}").into()),
    }
}

/// More than the two of each that it has by default; its documentation shows how to set it, and names no numbers for much work.
fn options(settings: &str) -> RuntimeOptions {
    match settings {
        "recommended" => RuntimeOptions { orchestration_concurrency: 16, worker_concurrency: 16, ..RuntimeOptions::default() },
        _ => RuntimeOptions::default(),
    }
}

async fn runtime(store: Arc<PostgresProvider>, settings: &str, began: mpsc::UnboundedSender<Instant>) -> Arc<Runtime> {
    let activities = ActivityRegistry::builder()
        .register("noop", move |_: ActivityContext, _: String| {
            let _nobody_asks = began.send(Instant::now());
            async { Ok(String::new()) }
        })
        .build();
    let orchestrations = OrchestrationRegistry::builder()
        .register("noop", |_: OrchestrationContext, _: String| async { Ok(String::new()) })
        .register("call", |context: OrchestrationContext, _: String| async move {
            context.schedule_activity("noop", "").await
        })
        .register("calls", |context: OrchestrationContext, _: String| async move {
            for _ in 0..FIVE {
                context.schedule_activity("noop", "").await?;
            }
            Ok(String::new())
        })
        .build();
    Runtime::start_with_options(store, activities, orchestrations, options(settings)).await
}

/// To the first line of an activity, which an orchestration calls: that itself is run again and again.
async fn latency(store: Arc<PostgresProvider>, settings: &str, count: usize) -> Result<()> {
    let (began, mut starts) = mpsc::unbounded_channel();
    let client = Client::new(store.clone());
    let runtime = runtime(store, settings, began).await;
    let (mut to_start, mut to_result) = (Vec::new(), Vec::new());
    for number in 0..count {
        let asked = Instant::now();
        client.start_orchestration(&name(number), "call", "").await?;
        over(&client, &name(number)).await?;
        to_result.push(asked.elapsed());
        to_start.push(starts.recv().await.ok_or("no run")?.duration_since(asked));
        tokio::time::sleep(REST).await;
    }
    runtime.shutdown(None).await;
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    println!(r#"{{"start_ms": {}, "result_ms": {}}}"#, median(&mut to_start), median(&mut to_result));
    Ok(())
}
