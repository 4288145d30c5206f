//! The counts of the whole store. However many look, it is counted once in a while, and never for more than a tenth of the
//! time: on a large store it takes long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stent::backend::{ExecutionFilter, SharedBackend, StoreStats};
use stent::model::{Execution, Timestamp};
use tokio::sync::Mutex;

use super::refusal::Answer;
use super::series::{Count, Point, Series};
use crate::watch::sample::{Spread, latencies};
use crate::words;

/// Latencies and failures are those of so many executions, the newest ones.
pub const NEWEST: u32 = 200;

const PART: u32 = 10;
const PAUSE: Duration = Duration::from_millis(900);

const MINUTES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15 * 60));
const HOURS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));

pub struct Samples(Mutex<Kept>);

struct Kept {
    minutes: Series,
    hours: Series,
    last: Option<(Instant, Arc<Seen>)>,
    since: Option<Timestamp>,
}

pub struct Seen {
    pub stats: StoreStats,
    pub newest: Vec<Execution>,
    pub begun: Option<Spread>,
    pub ran: Option<Spread>,
    pub measured: usize,
    pub minutes: Vec<Point>,
    pub hours: Vec<Point>,
    pub since: Timestamp,
}

impl Default for Samples {
    fn default() -> Self {
        let series = |(step, span)| Series::new(step, span);
        Self(Mutex::new(Kept { minutes: series(MINUTES), hours: series(HOURS), last: None, since: None }))
    }
}

impl Samples {
    pub async fn look(&self, backend: &SharedBackend) -> Answer<Arc<Seen>> {
        let mut kept = self.0.lock().await;
        if let Some((due, seen)) = &kept.last
            && Instant::now() < *due
        {
            return Ok(Arc::clone(seen));
        }
        let began = Instant::now();
        let stats = backend.stats().await?;
        let newest = backend.list(ExecutionFilter { limit: NEWEST, ..ExecutionFilter::default() }).await?;
        let (begun, ran, measured) = latencies(&newest);
        let now = words::now();
        let count = Count::new(now, &stats, begun.map(|spread| spread.middle), ran.map(|spread| spread.middle));
        kept.minutes.add(count);
        kept.hours.add(count);
        let since = *kept.since.get_or_insert(now);
        let (minutes, hours) = (kept.minutes.points(), kept.hours.points());
        let seen = Arc::new(Seen { stats, newest, begun, ran, measured, minutes, hours, since });
        let due = Instant::now() + PAUSE.max(began.elapsed() * PART);
        kept.last = Some((due, Arc::clone(&seen)));
        Ok(seen)
    }
}
