//! Looks at the store before bodies begin: is what waits for a slot here still to be run? One look is for all of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::backend::SharedBackend;
use crate::executor::sync::lock;
use crate::executor::task::TaskCore;
use crate::model::{BATCH_MAX, Id};

/// A store that does not answer in this time has said nothing: what begins all the same is judged by its fence.
const PATIENCE: Duration = Duration::from_secs(1);

/// After no answer it is not waited for again so soon.
const BLIND: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Looks {
    /// When the last look began; after one that saw nothing, when the next is due. std Mutex: a leaf.
    last: Mutex<Option<Instant>>,
    one_by_one: tokio::sync::Mutex<()>,
}

impl Looks {
    pub(super) fn are_fresh(&self, within: Duration) -> bool {
        lock(&self.last).is_some_and(|last| last.elapsed() <= within)
    }

    /// Flags those of the tasks whose executions are being cancelled, or over. Who comes while a look is under way is
    /// served by the next one, with all who came meanwhile.
    pub(super) async fn look(
        &self,
        backend: &SharedBackend,
        within: Duration,
        held: impl FnOnce() -> Vec<Arc<TaskCore>> + Send,
    ) {
        let came = Instant::now();
        let _alone = self.one_by_one.lock().await;
        if lock(&self.last).is_some_and(|last| last + within >= came) {
            return;
        }
        let began = Instant::now();
        let mut tasks = held();
        tasks.retain(|task| task.is_queued());
        let executions: HashSet<Id> = tasks.iter().map(|task| task.held.execution).collect();
        let executions: Vec<Id> = executions.into_iter().collect();
        let seen = tokio::time::timeout(PATIENCE, async {
            for chunk in executions.chunks(BATCH_MAX) {
                let over: HashSet<Id> = backend.cancelled_among(chunk.to_vec()).await.ok()?.into_iter().collect();
                tasks.iter().filter(|task| over.contains(&task.held.execution)).for_each(|task| task.cancel());
            }
            Some(())
        });
        let saw = seen.await.ok().flatten().is_some();
        *lock(&self.last) = Some(if saw { began } else { Instant::now() + BLIND });
    }
}
