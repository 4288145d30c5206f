//! What workers and tasks share with their executor.

use std::sync::Arc;

use super::declared::Declared;
use super::declared_schedules::DeclaredSchedules;
use super::doubts::Doubts;
use super::log::{LogRecord, Logger};
use super::metrics::Metrics;
use super::trace::Tracer;
use crate::backend::SharedBackend;
use crate::model::{Canonical, Level};

pub(super) struct Core {
    pub(super) backend: SharedBackend,
    pub(super) canonical: Arc<dyn Canonical>,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) logger: Arc<dyn Logger>,
    pub(super) metrics: Metrics,
    /// None: nobody wants to know of spans.
    pub(super) tracer: Option<Arc<dyn Tracer>>,
    pub(super) declared: Declared,
    pub(super) doubts: Doubts,
    pub(super) schedules: DeclaredSchedules,
}

impl Core {
    pub(super) fn log(&self, level: Level, record: impl FnOnce() -> LogRecord) {
        if self.logger.enabled(level) {
            self.logger.log(level, &record());
        }
    }
}
