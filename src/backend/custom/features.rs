//! What a store may leave out though it answers the engine's operations, and has no operation of its own: who asks for it
//! is told before the store is asked for anything.

use crate::backend::{Function, NewExecution, NewWorker};
use crate::model::{Error, Feature, Result, Status};

/// # Errors
/// `INVALID`: only a store that answers the engine's operations can have features.
pub(super) fn check(features: &[Feature], with_engine: bool) -> Result<()> {
    if with_engine || features.is_empty() {
        return Ok(());
    }
    let told = "features: the store does not answer the engine's operations, which its features are kept by; answer these, or leave \
                out features";
    Err(Error::invalid(told).with("key", "features"))
}

/// # Errors
/// `UNSUPPORTED`: a store that can't keep what the dispatch's options ask for.
pub(super) fn allow_dispatch(features: &[Feature], new: &NewExecution) -> Result<()> {
    let options = &new.options;
    let needed = [
        ("unique_key", options.unique_key.is_some(), Feature::UniqueKeys),
        ("priority_ageing", options.task.priority_ageing.is_some(), Feature::Fairness),
        ("fairness_key", options.task.fairness_key.is_some(), Feature::Fairness),
    ];
    let doing = || format!("dispatch '{}'", new.function);
    allow(features, &needed, doing).map_err(|why| why.hinting("nothing was started"))
}

/// # Errors
/// `UNSUPPORTED`: a store that can't keep what the function's options ask for.
fn allow_function(features: &[Feature], function: &Function) -> Result<()> {
    let Function { name, options } = function;
    let needed = [
        ("max_concurrent_per_key", options.max_concurrent_per_key.is_some(), Feature::KeyLimits),
        ("rate", options.rate.is_some(), Feature::Rates),
        ("rate_per_key", options.rate_per_key.is_some(), Feature::Rates),
        ("priority_ageing", options.priority_ageing.is_some(), Feature::Fairness),
    ];
    allow(features, &needed, || format!("register '{name}'"))
}

/// # Errors
/// `UNSUPPORTED`: a store that can't keep what the worker declares.
pub(super) fn allow_worker(features: &[Feature], worker: &NewWorker) -> Result<()> {
    worker.functions.iter().try_for_each(|function| allow_function(features, function))?;
    let needed = [("queue_rates", !worker.queue_rates.is_empty(), Feature::Rates)];
    allow(features, &needed, || format!("register worker '{}'", worker.worker_id))
}

fn allow(features: &[Feature], needed: &[(&'static str, bool, Feature)], doing: impl FnOnce() -> String) -> Result<()> {
    let missing = needed.iter().find(|(_, given, feature)| *given && !features.contains(feature));
    let Some((key, _, feature)) = missing else { return Ok(()) };
    let told = format!(
        "{}: this custom store has no {feature}, which it would name in its options' features; leave out {key}, or use \
         SQLite or PostgreSQL",
        doing()
    );
    Err(Error::new(Status::Unsupported, told).with("key", *key).with("feature", feature.as_str()))
}
