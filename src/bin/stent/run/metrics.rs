//! What a store can say of itself to a program that watches it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use stent::backend::{Health, LogSize, Registered, SharedBackend, Sign, StoreStats};
use stent::executor::{Kind, Page};
use stent::model::{Result, Timestamp};
use tokio::net::TcpListener;

use crate::args::Metrics;
use crate::place::Place;
use crate::screen::Screen;
use crate::serve::{self, Make};
use crate::trouble::{DONE, Trouble};
use crate::words;

/// As Prometheus's text format is called.
const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the store was asked.
#[derive(Serialize)]
struct Seen {
    stats: StoreStats,
    write_ahead_log: Option<LogSize>,
    health: Health,
    schema: i64,
    #[serde(skip)]
    registered: Registered,
    #[serde(skip)]
    took: Duration,
}

pub async fn metrics(place: &Place, metrics: Metrics, screen: &mut Screen) -> Result<u8, Trouble> {
    let Some(address) = metrics.listen else {
        let seen = look(&place.backend, place.schema).await?;
        screen.line(page(&seen, words::now()).trim_end());
        screen.json(&seen);
        return Ok(DONE);
    };
    listen(place, address, metrics.keep, screen).await
}

async fn listen(place: &Place, address: SocketAddr, keep: Duration, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        listening: String,
    }
    let failed = |why| {
        Trouble::failed(format!("listen on {address}: {why}"))
            .hint("give another address by --listen ADDRESS:PORT; with the port 0 a free one is taken")
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let listening = format!("http://{}/metrics", listener.local_addr().map_err(failed)?);
    screen.line(format!("The metrics are at {listening} until this program is ended."));
    screen.json(&View { listening });
    screen.show()?;
    let (backend, schema) = (Arc::clone(&place.backend), place.schema);
    let make: Make = Box::new(move || {
        let backend = Arc::clone(&backend);
        Box::pin(async move {
            let seen = look(&backend, schema).await.map_err(|error| error.to_string())?;
            Ok(page(&seen, words::now()))
        })
    });
    match serve::serve(listener, serve::Page::new(make, KIND, keep)).await {}
}

async fn look(backend: &SharedBackend, schema: i64) -> Result<Seen> {
    let began = Instant::now();
    let stats = backend.stats().await?;
    let (registered, health) = (backend.registered().await?, backend.health().await?);
    Ok(Seen { stats, write_ahead_log: backend.log_size(), health, schema, registered, took: began.elapsed() })
}

fn page(seen: &Seen, now: Timestamp) -> String {
    let mut page = Page::default();
    page.store(&seen.stats, seen.write_ahead_log);
    unserved(&mut page, &seen.registered);
    let last = seen.registered.workers.iter().map(|worker| worker.seen_at).max();
    if let Some(last) = last {
        let help = "When a worker last looked for what is due, since 1970.";
        page.single("last_sweep_timestamp_seconds", Kind::Gauge, help, last.micros() as f64 / 1e6);
    }
    let age =
        |part| of(seen, part).filter_map(|sign| sign.since).map(|since| now.since(since)).max().unwrap_or_default();
    let seconds = |part| age(part).as_secs_f64();
    let help = "Leases that ended and were not taken back.";
    page.single("expired_leases", Kind::Gauge, help, sum(seen, "lease"));
    let help = "For how long the first of these leases has been over.";
    page.single("expired_lease_seconds", Kind::Gauge, help, seconds("lease"));
    let help = "Tasks whose timer, delay or time-out is over and was not taken by a sweep.";
    page.single("late_tasks", Kind::Gauge, help, sum(seen, "due"));
    page.single("late_seconds", Kind::Gauge, "How late the first of these is.", seconds("due"));
    let size = if of(seen, "file").next().is_some() { "file" } else { "table" };
    let help = "The store's size: the file, or the tables with their indexes.";
    page.single("store_bytes", Kind::Gauge, help, sum(seen, size));
    if size == "table" {
        let help = "The age of the oldest transaction that keeps dead rows from being cleared away.";
        page.single("oldest_transaction_seconds", Kind::Gauge, help, seconds("transaction"));
        let help = "What replication slots hold back of the server's log, at the most.";
        let most = of(seen, "slot").map(|sign| sign.amount).max().unwrap_or(0);
        page.single("replication_slot_bytes", Kind::Gauge, help, most);
    }
    page.single("schema_version", Kind::Gauge, "The version of the store's tables.", seen.schema);
    page.single("look_seconds", Kind::Gauge, "How long the store took to say all this.", seen.took.as_secs_f64());
    page.finish()
}

/// Ready tasks that no worker can take.
fn unserved(page: &mut Page, registered: &Registered) {
    page.head("unserved_tasks", Kind::Gauge, "Ready tasks whose function or queue no worker has.");
    for depth in &registered.ready {
        let declared = registered.functions.iter().any(|(name, _)| *name == depth.function);
        let served = registered.workers.iter().any(|worker| match &depth.queue {
            Some(queue) => worker.queues.is_empty() || worker.queues.contains(queue),
            None => true,
        });
        if !(declared && served) {
            let labels = [("queue", depth.queue.as_deref().unwrap_or("")), ("function", &depth.function)];
            page.sample("unserved_tasks", &labels, depth.count);
        }
    }
}

fn of<'a>(seen: &'a Seen, part: &'a str) -> impl Iterator<Item = &'a Sign> {
    seen.health.signs.iter().filter(move |sign| sign.part == part && sign.amount != 0)
}

fn sum(seen: &Seen, part: &str) -> u64 {
    of(seen, part).map(|sign| u64::try_from(sign.amount).unwrap_or(0)).sum()
}
