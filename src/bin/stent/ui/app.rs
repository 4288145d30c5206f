//! What all requests share.

use std::sync::Arc;

use stent::backend::SharedBackend;
use stent::executor::Executor;
use stent::model::masked;
use tokio::sync::Semaphore;

use super::audit::Audit;
use super::guard::Guard;
use super::samples::Samples;
use crate::args::Ui;
use crate::place::Place;

/// Streams at once: each looks at the store as long as it is open.
const VIEWERS: usize = 64;

pub struct App {
    pub backend: SharedBackend,
    pub executor: Executor,
    pub schema: i64,
    /// As it was named; without a password.
    pub store: String,
    /// Before every address: empty, or as `/stent`.
    pub base: String,
    /// May something be changed from here?
    pub acts: bool,
    pub guard: Guard,
    pub audit: Audit,
    pub samples: Samples,
    pub viewers: Arc<Semaphore>,
}

impl App {
    pub fn new(place: &Place, db: &str, guard: Guard, audit: Audit, ui: &Ui) -> Self {
        Self {
            backend: Arc::clone(&place.backend),
            executor: place.executor.clone(),
            schema: place.schema,
            store: masked(db).into_owned(),
            base: ui.base_path.clone(),
            acts: !ui.read_only,
            guard,
            audit,
            samples: Samples::default(),
            viewers: Arc::new(Semaphore::new(VIEWERS)),
        }
    }
}
