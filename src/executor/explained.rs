//! Who waits in vain for what nobody can run is told why: the caller when his time is up, and the log now and then.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::core::Core;
use super::doubts::{is_paused, nobody_has};
use super::log::LogRecord;
use crate::backend::Unserved;
use crate::model::{Error, Execution, ExecutionState, Level};

/// A caller whose time is up waits for the store's word for so long, and goes without it then.
const PATIENCE: Duration = Duration::from_secs(1);

impl Core {
    /// The functions that are called, and that nobody has registered, go to the log.
    pub(super) async fn doubt(&self) -> Option<Arc<Unserved>> {
        let unserved = self.doubts.unserved(&self.backend).await?;
        for function in &unserved.functions {
            if self.doubts.is_news(function) {
                let told = format!("tasks wait: {}", nobody_has(function, &unserved));
                self.log(Level::Warn, || LogRecord::new("stent.executor", told).with("function", function));
            }
        }
        Some(unserved)
    }

    /// Why the execution may not have ended: what the error of a wait whose time is up says beside its state.
    pub(super) async fn explained(self: &Arc<Self>, execution: &Execution, error: Error) -> Error {
        let core = Arc::clone(self);
        let asked = self.runtime.spawn(async move { core.doubt().await }.boxed());
        let bounded = {
            let _entered = self.runtime.enter();
            tokio::time::timeout(PATIENCE, asked)
        };
        let Ok(Ok(Some(unserved))) = bounded.await else { return error };
        let pending = execution.state == ExecutionState::Pending;
        let (queue, root) = (execution.queue.as_deref(), execution.root_function.as_str());
        if let Some(pause) = unserved.paused.iter().find(|pause| pause.holds_for(queue, root)) {
            return error.hinting(&is_paused(pause));
        }
        // Of what an execution calls it is not known here which tasks are its own; the caller can tell.
        let (function, of) = match pending {
            true => (unserved.functions.iter().find(|function| **function == execution.root_function), ""),
            false => (unserved.functions.first(), "tasks wait on this store: "),
        };
        match function {
            Some(function) => error
                .hinting(&format!("{of}{}", nobody_has(function, &unserved)))
                .with("function", function.as_str())
                .with("registered", unserved.registered.clone()),
            None if !pending && !unserved.paused.is_empty() => {
                let told: Vec<String> = unserved.paused.iter().take(3).map(is_paused).collect();
                error.hinting(&format!("on this store {}", told.join("; ")))
            }
            None if unserved.workers == Some(0) => error.hinting("no worker is running on this store"),
            None => error,
        }
    }
}
