//! Who waits in vain for what nobody can run is told why: the caller when his time is up, and the log now and then.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::core::Core;
use super::doubts::{is_paused, nobody_has};
use super::log::LogRecord;
use crate::backend::{SlotWait, Unserved};
use crate::model::{Error, Execution, ExecutionState, Id, Level, Result, shown};

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

    async fn waits_for_slots(
        self: &Arc<Self>,
        execution: Id,
    ) -> std::result::Result<Result<Vec<SlotWait>>, tokio::time::error::Elapsed> {
        let core = Arc::clone(self);
        let asked = self.runtime.spawn(async move { core.backend.slot_waits(execution, 1).await }.boxed());
        let bounded = {
            let _entered = self.runtime.enter();
            tokio::time::timeout(PATIENCE, asked)
        };
        // A task of the runtime fails only where that ends.
        bounded.await.map(|answer| answer.unwrap_or_else(|_| Ok(Vec::new())))
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
        let wait = self
            .waits_for_slots(execution.id)
            .await
            .ok()
            .and_then(Result::ok)
            .and_then(|waits| waits.into_iter().next());
        if let Some(wait) = &wait
            && let Some(key) = &wait.concurrency_key
        {
            return error.hinting(&waits_for_key(wait, key)).with("concurrency_key", key.as_str());
        }
        let (queue, root) = (execution.queue.as_deref(), execution.root_function.as_str());
        if let Some(pause) = unserved.paused.iter().find(|pause| pause.holds_for(queue, root)) {
            return error.hinting(&is_paused(pause));
        }
        if let Some(wait) = wait {
            return error.hinting(&waits_to_start(&wait)).with("function", wait.function);
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

fn waits_for_key(wait: &SlotWait, concurrency_key: &str) -> String {
    let SlotWait { function, max_concurrent_per_key, held, .. } = wait;
    if let Some(at) = wait.hold_ends_at {
        return format!("'{function}' waits: a handler has held the key '{}' until {at}", shown(concurrency_key));
    }
    if wait.is_for_token() {
        let next = wait.next_at.map(|at| format!(": the next comes at {at}")).unwrap_or_default();
        return format!(
            "'{function}' waits for a token of the key '{}'{next}, and others may be before it",
            shown(concurrency_key)
        );
    }
    let most = max_concurrent_per_key.map(|most| format!(" of {most}")).unwrap_or_default();
    format!(
        "'{function}' waits for a slot of the key '{}': {held}{most} are held, and others may be before it",
        shown(concurrency_key)
    )
}

/// For what its function, or its queue, has not.
fn waits_to_start(wait: &SlotWait) -> String {
    let function = &wait.function;
    if let Some(at) = wait.hold_ends_at {
        return format!("'{function}' waits: a handler has held the function until {at}");
    }
    let of =
        wait.queue.as_ref().map_or_else(|| "the function".to_owned(), |queue| format!("the queue '{}'", shown(queue)));
    let next = wait.next_at.map(|at| format!(": the next comes at {at}")).unwrap_or_default();
    format!("'{function}' waits for a token of {of}{next}, and others may be before it")
}
