//! Spans of the executors on their way to a collector.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::fork;
use crate::executor::{LogRecord, Logger, Tracer};
use crate::model::Level;
use crate::otlp::{Exporter, Settings, Waiter};

/// A shutdown waits not longer than this for a collector.
const FLUSH: Duration = Duration::from_secs(3);

/// Those that have something to send, or may have it, each with its owner: the number of a store.
static EXPORTERS: Mutex<Vec<(u64, Waiter)>> = Mutex::new(Vec::new());

/// Where the host wants spans to go, whatever the environment says. std Mutex: held for a copy.
static ENDPOINT: Mutex<Option<String>> = Mutex::new(None);

fn endpoint() -> MutexGuard<'static, Option<String>> {
    ENDPOINT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For the executors that are made from now on.
pub fn set_endpoint(url: String) {
    *endpoint() = Some(url);
}

fn exporters() -> MutexGuard<'static, Vec<(u64, Waiter)>> {
    EXPORTERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An exporter, if the host or the environment asks for one. What is wrong with that is logged: no program should end because of it.
pub fn start(owner: u64, logger: &Arc<dyn Logger>) -> Option<Arc<dyn Tracer>> {
    let settings = match Settings::new(endpoint().clone(), |name| std::env::var(name).ok()) {
        Ok(settings) => settings?,
        Err(why) => return refuse(logger, &why),
    };
    fork::arm();
    match Exporter::start(settings, Arc::clone(logger)) {
        Ok(exporter) => {
            let mut all = exporters();
            all.retain(|(_, waiter)| !waiter.is_over());
            all.push((owner, exporter.waiter()));
            Some(Arc::new(exporter))
        }
        Err(why) => refuse(logger, &format!("start the thread that exports them: {why}")),
    }
}

fn refuse(logger: &Arc<dyn Logger>, why: &str) -> Option<Arc<dyn Tracer>> {
    if logger.enabled(Level::Warn) {
        logger.log(Level::Warn, &LogRecord::new("stent.otlp", format!("spans are not exported: {why}")));
    }
    None
}

/// Sends what there is by now, of one owner or of all.
pub fn flush(owner: Option<u64>, left: Option<Duration>) {
    let mut all = exporters();
    all.retain(|(_, waiter)| !waiter.is_over());
    let found: Vec<Waiter> =
        all.iter().filter(|(of, _)| owner.is_none_or(|owner| owner == *of)).map(|(_, waiter)| waiter.clone()).collect();
    drop(all);
    for waiter in found {
        waiter.flush(left.unwrap_or(FLUSH).min(FLUSH));
    }
}
