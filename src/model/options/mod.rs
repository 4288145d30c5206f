//! Options of functions, calls and dispatches. What a call leaves out is taken from the function, else from the
//! defaults; nothing is inherited from the parent task, but for the fairness key: a tree is its customer's.

mod batch;
mod calls;
mod custom;
mod fairness;
mod keys;
mod sqlite;
mod worker;

use std::time::Duration;

pub use batch::{BATCH_SIZE_MAX, BatchOptions};
pub use calls::{
    CleanupOptions, ConfigureOptions, DispatchRequest, Level, LogOptions, SignalOptions, StatsFormat, StatsOptions,
    StepOptions, WaitSignalOptions,
};
pub use custom::{CheckOptions, CustomOptions, Feature};
pub use fairness::{AGEING_MAX, AGEING_MIN, WEIGHT_MAX, WEIGHT_MIN};
pub use keys::{Existing, KeyReuse, KeyWhile, UNIQUE_KEPT};
pub use sqlite::{FileMode, SqliteOptions, Synchronous};
pub use worker::WorkerOptions;

use super::{Error, Id, KEY_MAX, NAME_MAX, PAYLOAD_MAX, Payload, Rate, Result, RetryPolicy, TAGS_MAX, Timestamp};

/// What a worker declares of a function when it starts; kept in the store for every caller.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FunctionOptions {
    pub queue: Option<String>,
    pub tags: Vec<String>,
    pub priority: Option<i64>,
    /// How long a task waits to make up for one step of priority.
    pub priority_ageing: Option<Duration>,
    pub retry_policy: Option<RetryPolicy>,
    /// Per attempt.
    pub timeout: Option<Duration>,
    pub version: Option<String>,
    pub max_concurrent: Option<u32>,
    /// For each `concurrency_key` of its calls.
    pub max_concurrent_per_key: Option<u32>,
    /// How often one of its attempts may start.
    pub rate: Option<Rate>,
    /// The same for each `concurrency_key` of its calls.
    pub rate_per_key: Option<Rate>,
    pub cached: bool,
    pub cache_ttl: Option<Duration>,
    /// A call without a key of its own gets one made of its arguments.
    pub idempotent: bool,
    /// How long an execution of it may clean up after it was cancelled or timed out.
    pub cleanup: Option<Duration>,
}

/// What one call may say. `None` everywhere: as the function says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallOptions {
    /// The operation's own key, instead of name and number.
    pub key: Option<String>,
    pub kwargs: Option<Payload>,
    pub delay: Option<Duration>,
    pub idempotency_key: Option<String>,
    /// A cache key of the caller's own, instead of one made of the arguments. Implies `cached`.
    pub cache_key: Option<String>,
    pub task: TaskOptions,
}

/// Options that a call may set, else its function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskOptions {
    pub queue: Option<String>,
    pub tags: Option<Vec<String>>,
    pub priority: Option<i64>,
    pub priority_ageing: Option<Duration>,
    pub retry_policy: Option<RetryPolicy>,
    pub timeout: Option<Duration>,
    pub cached: Option<bool>,
    pub cache_ttl: Option<Duration>,
    /// What counts together under the function's `max_concurrent_per_key` and `rate_per_key`. A call's own: no function says one.
    pub concurrency_key: Option<String>,
    /// Whose task it is: a queue is shared out among these. A call without one has its parent's.
    pub fairness_key: Option<String>,
    pub fairness_weight: Option<f64>,
}

/// What one dispatch may say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DispatchOptions {
    pub id: Option<Id>,
    pub kwargs: Option<Payload>,
    pub delay: Option<Duration>,
    /// From the dispatch; exclusive with `max_duration`.
    pub expiry: Option<Duration>,
    /// From the moment the execution may start (after `delay`).
    pub max_duration: Option<Duration>,
    pub idempotency_key: Option<String>,
    pub idempotency_reuse: KeyReuse,
    /// One execution of the function at a time has it.
    pub unique_key: Option<String>,
    /// The key is kept for so long from the dispatch, whatever becomes of the execution, and no longer.
    pub unique_for: Option<Duration>,
    /// While what it has the key. `None`: unfinished, but with `unique_for` nothing more.
    pub unique_while: Option<KeyWhile>,
    pub unique_existing: Existing,
    /// It starts when there was no other dispatch with its key for so long, with the last one's arguments.
    pub debounce: Option<Duration>,
    /// But no later than so long after the first.
    pub debounce_max: Option<Duration>,
    /// The function dispatched when the execution ends by cancellation or time-out.
    pub on_cancel: Option<String>,
    /// W3C Trace Context, handed to every task of the execution.
    pub traceparent: Option<String>,
    pub task: TaskOptions,
}

/// Tasks that share a route may be taken by the same workers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Route {
    pub queue: Option<String>,
    pub function: String,
    /// Sorted, each once.
    pub tags: Vec<String>,
}

impl Route {
    pub fn new(queue: Option<String>, function: String, mut tags: Vec<String>) -> Self {
        tags.sort_unstable();
        tags.dedup();
        Self { queue, function, tags }
    }

    /// May a worker of these queues (none: all) and tags (none: all) take what travels here?
    pub fn admits(&self, queues: &[String], tags: &[String]) -> bool {
        let queue = match &self.queue {
            None => true,
            Some(queue) => queues.is_empty() || queues.contains(queue),
        };
        queue && (tags.is_empty() || self.tags.is_empty() || self.tags.iter().any(|tag| tags.contains(tag)))
    }
}

impl TaskOptions {
    /// Fills what is missing from the function's options.
    #[must_use]
    pub fn or_function(self, function: Option<&FunctionOptions>) -> Self {
        let Some(function) = function else { return self };
        Self {
            queue: self.queue.or_else(|| function.queue.clone()),
            tags: self.tags.or_else(|| Some(function.tags.clone())),
            priority: self.priority.or(function.priority),
            priority_ageing: self.priority_ageing.or(function.priority_ageing),
            retry_policy: self.retry_policy.or_else(|| function.retry_policy.clone()),
            timeout: self.timeout.or(function.timeout),
            cached: self.cached.or(Some(function.cached)),
            cache_ttl: self.cache_ttl.or(function.cache_ttl),
            concurrency_key: self.concurrency_key,
            fairness_key: self.fairness_key,
            fairness_weight: self.fairness_weight,
        }
    }

    pub fn check(&self) -> Result<()> {
        if let Some(queue) = &self.queue {
            check_name("queue", queue)?;
        }
        check_tags(self.tags.as_deref().unwrap_or(&[]))?;
        fairness::check_ageing(self.priority_ageing)?;
        fairness::check_weight(self.fairness_key.as_deref(), self.fairness_weight)?;
        self.retry_policy.as_ref().map_or(Ok(()), RetryPolicy::check)
    }
}

impl FunctionOptions {
    pub fn check(&self) -> Result<()> {
        if let Some(queue) = &self.queue {
            check_name("queue", queue)?;
        }
        check_tags(&self.tags)?;
        fairness::check_ageing(self.priority_ageing)?;
        for (key, most) in
            [("max_concurrent", self.max_concurrent), ("max_concurrent_per_key", self.max_concurrent_per_key)]
        {
            if most == Some(0) {
                let told = format!("{key} is 0; it must be at least 1 (leave it out for no limit)");
                return Err(Error::invalid(told).with("key", key));
            }
        }
        for (key, rate) in [("rate", &self.rate), ("rate_per_key", &self.rate_per_key)] {
            rate.as_ref().map_or(Ok(()), |rate| rate.check(key))?;
        }
        if self.cleanup.is_some_and(|cleanup| cleanup.is_zero()) {
            return Err(
                Error::invalid("cleanup is 0; give it a time (leave it out for no cleanup)").with("key", "cleanup")
            );
        }
        self.retry_policy.as_ref().map_or(Ok(()), RetryPolicy::check)
    }
}

impl DispatchOptions {
    pub fn check(&self) -> Result<()> {
        if self.expiry.is_some() && self.max_duration.is_some() {
            return Err(Error::invalid(
                "expiry and max_duration are both given; give one: expiry counts from the dispatch, \
                 max_duration from the end of the delay",
            ));
        }
        if let Some(function) = &self.on_cancel {
            check_name("on_cancel", function)?;
        }
        for (key, given) in [
            ("unique_for", self.unique_for.is_some()),
            ("unique_while", self.unique_while.is_some()),
            ("unique_existing", self.unique_existing != Existing::default()),
            ("debounce", self.debounce.is_some()),
        ] {
            if given && self.unique_key.is_none() {
                return Err(Error::invalid(format!("{key} is given without a unique_key")).with("key", key));
            }
        }
        self.check_debounce()?;
        self.task.check()
    }

    fn check_debounce(&self) -> Result<()> {
        let Some(quiet) = self.debounce else {
            let alone = "debounce_max is given without a debounce";
            return if self.debounce_max.is_some() {
                Err(Error::invalid(alone).with("key", "debounce_max"))
            } else {
                Ok(())
            };
        };
        if quiet.is_zero() {
            return Err(Error::invalid("debounce is 0; it must be longer (leave it out to start at once)")
                .with("key", "debounce"));
        }
        for (key, given, why) in [
            ("delay", self.delay.is_some(), "debounce says when it starts"),
            (
                "unique_for",
                self.unique_for.is_some(),
                "a debounce waits for the last of a row, and a window lets the first one through",
            ),
            ("unique_while", self.unique_while.is_some(), "a debounce is for the one that no worker has had"),
            (
                "unique_existing",
                self.unique_existing != Existing::default(),
                "a debounce gives its arguments to the one that waits",
            ),
            (
                "idempotency_key",
                self.idempotency_key.is_some(),
                "an idempotency key belongs to one call's arguments, and these are replaced",
            ),
        ] {
            if given {
                return Err(
                    Error::invalid(format!("debounce and {key} are both given; leave one out: {why}")).with("key", key)
                );
            }
        }
        if self.expiry.is_some_and(|expiry| Some(expiry) <= self.wait()) {
            let told = "expiry ends it before debounce lets it start; give a longer one, or max_duration, which counts from there";
            return Err(Error::invalid(told).with("key", "expiry"));
        }
        Ok(())
    }

    /// While what an execution has the key of this dispatch. `None`: for its window alone, or until a debounce's time.
    pub fn key_while(&self) -> Option<KeyWhile> {
        let always = self.unique_for.is_none() && self.debounce.is_none();
        self.unique_while.or(always.then_some(KeyWhile::Unfinished))
    }

    /// How long it waits before it may start.
    pub fn wait(&self) -> Option<Duration> {
        let quiet = self.debounce.map(|quiet| self.debounce_max.map_or(quiet, |most| quiet.min(most)));
        self.delay.or(quiet).filter(|wait| !wait.is_zero())
    }

    /// When the execution is ended if it is still going.
    pub fn expiry_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.expiry_from(now, now.after(self.wait().unwrap_or_default()))
    }

    /// The same of one that starts then.
    pub fn expiry_from(&self, now: Timestamp, starts_at: Timestamp) -> Option<Timestamp> {
        self.expiry.map(|d| now.after(d)).or_else(|| self.max_duration.map(|d| starts_at.after(d)))
    }
}

/// A name: not empty, not long, no control characters.
pub fn check_name(what: &'static str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid(format!("{what} is empty; give it a name")).with("key", what));
    }
    if name.len() > NAME_MAX {
        return Err(Error::invalid(format!("{what} is {} bytes long; at most {NAME_MAX} are allowed", name.len()))
            .with("key", what));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid(format!("{what} {name:?} has a control character in it")).with("key", what));
    }
    Ok(())
}

/// A key or the words of a filter, as the protocol's callers give them: of any kind, but not long, and no NUL.
pub fn check_key(what: &'static str, key: &str) -> Result<()> {
    if key.len() > KEY_MAX {
        return Err(Error::invalid(format!("{what} is {} bytes long; at most {KEY_MAX} are allowed", key.len()))
            .with("key", what));
    }
    if key.contains('\0') {
        return Err(Error::invalid(format!("{what} has a NUL character in it")).with("key", what));
    }
    Ok(())
}

/// A payload that can be kept in the store.
pub fn check_size(what: &'static str, payload: &Payload) -> Result<()> {
    if payload.len() > PAYLOAD_MAX {
        return Err(Error::invalid(format!(
            "{what} is {} bytes long; at most {PAYLOAD_MAX} are allowed",
            payload.len()
        ))
        .with("key", what));
    }
    Ok(())
}

pub fn check_tags(tags: &[String]) -> Result<()> {
    if tags.len() > TAGS_MAX {
        return Err(Error::invalid(format!("{} tags are given; at most {TAGS_MAX} are allowed", tags.len()))
            .with("key", "tags"));
    }
    tags.iter().try_for_each(|tag| check_name("a tag", tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn routes_admit_by_queue_and_overlapping_tags() {
        let route =
            |queue: Option<&str>, tags: &[&str]| Route::new(queue.map(str::to_owned), "f".into(), strings(tags));
        assert!(route(Some("a"), &[]).admits(&[], &[]));
        assert!(route(Some("a"), &[]).admits(&strings(&["b", "a"]), &strings(&["x"])));
        assert!(!route(Some("a"), &[]).admits(&strings(&["b"]), &[]));
        assert!(route(None, &["x", "y"]).admits(&strings(&["b"]), &strings(&["y"])));
        assert!(!route(None, &["x"]).admits(&[], &strings(&["y"])));
        assert!(route(None, &["x"]).admits(&[], &[]));
        assert_eq!(route(None, &["y", "x", "y"]), route(None, &["x", "y"]));
    }

    #[test]
    fn the_call_comes_before_the_function() {
        let function = FunctionOptions { queue: Some("slow".into()), priority: Some(3), ..FunctionOptions::default() };
        let call = TaskOptions { priority: Some(9), ..TaskOptions::default() };
        let resolved = call.or_function(Some(&function));
        assert_eq!((resolved.queue.as_deref(), resolved.priority), (Some("slow"), Some(9)));
    }

    #[test]
    fn expiry_counts_from_dispatch_and_max_duration_from_the_start() {
        let second = Duration::from_secs(1);
        let now = Timestamp::from_micros(0);
        let options = DispatchOptions { delay: Some(second), ..DispatchOptions::default() };
        let with = |expiry, max_duration| DispatchOptions { expiry, max_duration, ..options.clone() };
        assert_eq!(with(Some(second), None).expiry_at(now), Some(now.after(second)));
        assert_eq!(with(None, Some(second)).expiry_at(now), Some(now.after(2 * second)));
        assert!(with(Some(second), Some(second)).check().is_err());
    }

    #[test]
    fn a_debounce_leaves_time_until_the_expiry() {
        let second = Duration::from_secs(1);
        let with = |expiry, debounce_max| DispatchOptions {
            unique_key: Some("k".to_owned()),
            debounce: Some(3 * second),
            debounce_max,
            expiry: Some(expiry),
            ..DispatchOptions::default()
        };
        for never in [with(3 * second, None), with(second, Some(2 * second))] {
            assert!(never.check().unwrap_err().message().starts_with("expiry ends it before debounce"));
        }
        for sometimes in [with(4 * second, None), with(2 * second, Some(second))] {
            sometimes.check().unwrap();
        }
    }
}
