//! awa: a program that benches/peers/run compares. A queue: jobs without results, no workflows.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use awa::model::insert;
use awa::{Client, InsertOpts, InsertParams, JobArgs, JobResult, QueueConfig};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::mpsc;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const QUEUE: &str = "default";
/// So many rows in one COPY.
const BATCH: usize = 1_000;
const LOOK: Duration = Duration::from_millis(10);
const REST: Duration = Duration::from_millis(5);
const NO_WORKFLOWS: &str = r#"{"lacks": "a queue: it has no workflows"}"#;

#[derive(Serialize, Deserialize, JobArgs)]
struct Noop {
    number: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, settings, phase, count] = words.as_slice() else {
        return Err("benches/peers/run starts this: URL SETTINGS PHASE COUNT".into());
    };
    let count = count.parse()?;
    let pool = PgPoolOptions::new().max_connections(20).connect(url).await?;
    let begin = Instant::now();
    match phase.as_str() {
        "setup" => awa::migrations::run(&pool).await?,
        "bulk" => bulk(&pool, count).await?,
        "one" => one(&pool, count).await?,
        "drain" => drain(&pool, settings, count).await?,
        "latency" => return latency(&pool, settings, count).await,
        _ => {
            println!("{NO_WORKFLOWS}");
            return Ok(());
        }
    }
    println!(r#"{{"seconds": {}}}"#, begin.elapsed().as_secs_f64());
    Ok(())
}

fn options() -> InsertOpts {
    InsertOpts { queue: QUEUE.into(), ..InsertOpts::default() }
}

async fn bulk(pool: &PgPool, count: usize) -> Result<()> {
    let jobs: Vec<InsertParams> =
        (0..count).map(|number| insert::params_with(&Noop { number }, options())).collect::<std::result::Result<_, _>>()?;
    for some in jobs.chunks(BATCH) {
        awa::insert_many_copy_from_pool(pool, some).await?;
    }
    Ok(())
}

async fn one(pool: &PgPool, count: usize) -> Result<()> {
    for number in 0..count {
        awa::insert_with(pool, &Noop { number }, options()).await?;
    }
    Ok(())
}

/// Its benchmark of throughput: many workers, and no deadline of an attempt, so that no lease is written for one.
fn config(settings: &str) -> QueueConfig {
    if settings == "recommended" {
        QueueConfig {
            max_workers: 256,
            poll_interval: Duration::from_millis(50),
            deadline_duration: Duration::ZERO,
            ..QueueConfig::default()
        }
    } else {
        QueueConfig::default()
    }
}

async fn worker(pool: &PgPool, settings: &str, began: mpsc::UnboundedSender<Instant>) -> Result<(Client, Arc<AtomicUsize>)> {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let client = Client::builder(pool.clone())
        .queue(QUEUE, config(settings))
        .register::<Noop, _, _>(move |_, _| {
            let _nobody_asks = began.send(Instant::now());
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(JobResult::Completed) }
        })
        .build()?;
    client.start().await?;
    Ok((client, runs))
}

async fn drain(pool: &PgPool, settings: &str, count: usize) -> Result<()> {
    let (client, runs) = worker(pool, settings, mpsc::unbounded_channel().0).await?;
    while runs.load(Ordering::Relaxed) < count {
        tokio::time::sleep(LOOK).await;
    }
    let over = "SELECT count(*) FROM awa.jobs WHERE state = 'completed'";
    while sqlx::query_scalar::<_, i64>(over).fetch_one(pool).await? < count as i64 {
        tokio::time::sleep(LOOK).await;
    }
    client.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

async fn latency(pool: &PgPool, settings: &str, count: usize) -> Result<()> {
    let (began, mut starts) = mpsc::unbounded_channel();
    let (client, _) = worker(pool, settings, began).await?;
    let (mut to_start, mut to_result) = (Vec::new(), Vec::new());
    for number in 0..count {
        let asked = Instant::now();
        let job = awa::insert_with(pool, &Noop { number }, options()).await?;
        let over = "SELECT state::text FROM awa.jobs WHERE id = $1";
        // It is not to be seen while it goes from one table to another.
        while sqlx::query_scalar::<_, String>(over).bind(job.id).fetch_optional(pool).await?.as_deref() != Some("completed") {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        to_result.push(asked.elapsed());
        to_start.push(starts.recv().await.ok_or("no run")?.duration_since(asked));
        tokio::time::sleep(REST).await;
    }
    client.shutdown(Duration::from_secs(5)).await;
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    println!(r#"{{"start_ms": {}, "result_ms": {}}}"#, median(&mut to_start), median(&mut to_result));
    Ok(())
}
