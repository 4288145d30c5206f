//! The options that a called function's task gets, and what an idempotency key means for it.

use std::time::Duration;

use crate::model::{Error, FunctionOptions, Id, KeyReuse, Payload, Result, RetryPolicy, Route, TaskOptions, TaskState};

/// How long a key is kept: as long as the tasks that it refers to are kept by default.
pub(in crate::backend) const KEY_TTL: Duration = Duration::from_secs(7 * 86_400);

/// The parts of a call that have to be combined with the function's options.
pub(in crate::backend) struct Asked<'a> {
    pub function: &'a str,
    pub options: &'a TaskOptions,
    pub idempotency_key: Option<&'a str>,
    pub reuse: KeyReuse,
    pub cache_key: Option<&'a str>,
    pub args_hash: Option<&'a [u8; 32]>,
    /// What the caller has registered of the function.
    pub registered: Option<&'a FunctionOptions>,
}

/// What a task of a function gets: the call's options, else the function's, else the defaults.
#[derive(Clone, Debug, Default)]
pub(in crate::backend) struct Resolved {
    /// The store's number of the route.
    pub route: i64,
    pub queue: Option<String>,
    pub tags: Vec<String>,
    pub priority: i64,
    /// By so many microseconds its priority is ahead of 0, if it ages.
    pub head_start: Option<i64>,
    pub retry_policy: Option<RetryPolicy>,
    pub timeout: Option<Duration>,
    pub idempotency_key: Option<String>,
    pub joins: Option<Id>,
    pub cache_key: Option<String>,
    pub cache_ttl: Option<Duration>,
    pub concurrency_key: Option<String>,
    /// Empty: of those without a key, in a queue that is shared out.
    pub fairness_key: Option<String>,
    pub fairness_weight: Option<f64>,
}

/// `function`: as the store knows it, which is what the newest worker has said of it. The store gives the route its number.
/// A cached result whose function says no time is kept for ever.
pub(in crate::backend) fn resolve(asked: &Asked<'_>, function: Option<&FunctionOptions>) -> (Resolved, Route) {
    let function = function.or(asked.registered);
    let options = asked.options.clone().or_function(function);
    let version = function.and_then(|f| f.version.as_deref()).unwrap_or_default();
    let cache_key = match (asked.cache_key, asked.args_hash) {
        (Some(key), _) => Some(format!("{}/{key}", asked.function)),
        (None, Some(hash)) if options.cached == Some(true) => {
            Some(format!("{}@{version}/{}", asked.function, hex(hash)))
        }
        (None, _) => None,
    };
    let idempotency_key = idempotency_key(asked.idempotency_key, asked.args_hash, function);
    let tags = options.tags.unwrap_or_default();
    let route = Route::new(options.queue.clone(), asked.function.to_owned(), tags.clone());
    let resolved = Resolved {
        route: 0,
        queue: options.queue,
        tags,
        priority: options.priority.unwrap_or(0),
        head_start: options.priority_ageing.map(|ageing| head_start(options.priority.unwrap_or(0), ageing)),
        retry_policy: options.retry_policy,
        timeout: options.timeout,
        idempotency_key,
        joins: None,
        cache_key,
        cache_ttl: options.cache_ttl,
        concurrency_key: options.concurrency_key,
        fairness_key: options.fairness_key,
        fairness_weight: options.fairness_weight,
    };
    (resolved, route)
}

/// Some thirty years: no time that a store can't hold comes of it.
const HEAD_START_MAX: i64 = 1_000_000_000_000_000;

/// In microseconds, behind where the priority is below 0.
fn head_start(priority: i64, ageing: Duration) -> i64 {
    let step = i64::try_from(ageing.as_micros()).unwrap_or(HEAD_START_MAX);
    priority.saturating_mul(step).clamp(-HEAD_START_MAX, HEAD_START_MAX)
}

/// The key of a call: its own, or its arguments where the function is idempotent.
pub(in crate::backend) fn idempotency_key(
    own: Option<&str>,
    args_hash: Option<&[u8; 32]>,
    function: Option<&FunctionOptions>,
) -> Option<String> {
    match (own, args_hash) {
        (Some(key), _) => Some(key.to_owned()),
        (None, Some(hash)) if function.is_some_and(|f| f.idempotent) => Some(format!("args:{}", hex(hash))),
        (None, _) => None,
    }
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a key means to the task that comes with it.
#[derive(Debug, PartialEq)]
pub(in crate::backend) enum Reservation {
    /// The key is this task's: it runs.
    Owner,
    /// The result is recorded already; `owner` is the task that produced it, if it still exists.
    Done { owner: Option<Id>, result: Payload },
    /// Another task has the key and is not finished; this one waits for it.
    Join { owner: Id },
    /// Another task has failed with this key, and it is not to be used again.
    Over { owner: Id },
}

/// A key that is in the store.
#[derive(Default)]
pub(in crate::backend) struct Found {
    pub args_hash: Option<Vec<u8>>,
    pub value: Option<Payload>,
    pub owner: Option<Id>,
    /// The owner's, if it is still there.
    pub state: Option<TaskState>,
    pub result: Option<Payload>,
}

/// What a stored key means for `task`. `Owner`: the task is to take the key over. The same key with other arguments is
/// a conflict.
pub(in crate::backend) fn reserve(
    function: &str,
    key: &str,
    args_hash: &[u8; 32],
    reuse: KeyReuse,
    task: Id,
    found: Found,
) -> Result<Reservation> {
    if found.args_hash.is_some_and(|recorded| recorded != args_hash) {
        return Err(Error::conflict(format!(
            "the idempotency key '{key}' of {function} is taken by a call with other arguments; use another key, \
             or the same arguments"
        ))
        .with("idempotency_key", key));
    }
    if let Some(result) = found.value {
        return Ok(Reservation::Done { owner: None, result });
    }
    Ok(match (found.owner, found.state) {
        (Some(owner), Some(TaskState::Completed)) => {
            Reservation::Done { owner: Some(owner), result: found.result.unwrap_or_else(Payload::null) }
        }
        (Some(owner), Some(TaskState::Pending | TaskState::Running | TaskState::Waiting)) if owner != task => {
            Reservation::Join { owner }
        }
        (Some(owner), Some(TaskState::Failed | TaskState::Cancelled)) if owner != task && reuse == KeyReuse::Never => {
            Reservation::Over { owner }
        }
        _ => Reservation::Owner,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: [u8; 32] = [7; 32];

    fn asked<'a>(options: &'a TaskOptions, cache_key: Option<&'a str>) -> Asked<'a> {
        Asked {
            function: "f",
            options,
            idempotency_key: None,
            reuse: KeyReuse::default(),
            cache_key,
            args_hash: Some(&HASH),
            registered: None,
        }
    }

    #[test]
    fn keys_are_made_of_function_version_and_arguments() {
        let (options, plain) = (TaskOptions::default(), FunctionOptions::default());
        let none = resolve(&asked(&options, None), Some(&plain)).0;
        assert_eq!((none.cache_key, none.idempotency_key), (None, None));
        let function =
            FunctionOptions { cached: true, idempotent: true, version: Some("2".into()), ..FunctionOptions::default() };
        let both = resolve(&asked(&options, None), Some(&function)).0;
        let digits = "07".repeat(32);
        assert_eq!(both.cache_key, Some(format!("f@2/{digits}")));
        assert_eq!(both.idempotency_key, Some(format!("args:{digits}")));
        let own = resolve(&asked(&options, Some("mine")), Some(&function)).0;
        assert_eq!(own.cache_key.as_deref(), Some("f/mine"));
    }

    #[test]
    fn a_priority_that_ages_is_a_head_start() {
        let second = Duration::from_secs(1);
        assert_eq!(head_start(3, second), 3_000_000);
        assert_eq!(head_start(-2, second), -2_000_000);
        assert_eq!(head_start(i64::MIN, second), -HEAD_START_MAX);
        assert_eq!(head_start(i64::MAX, second), HEAD_START_MAX);
        let ages = FunctionOptions { priority: Some(2), priority_ageing: Some(second), ..FunctionOptions::default() };
        let found = |options: &TaskOptions| {
            let run = resolve(&asked(options, None), Some(&ages)).0;
            (run.priority, run.head_start)
        };
        assert_eq!(found(&TaskOptions::default()), (2, Some(2_000_000)));
        let own = TaskOptions { priority_ageing: Some(2 * second), ..TaskOptions::default() };
        assert_eq!(found(&own), (2, Some(4_000_000)));
    }

    #[test]
    fn a_worker_s_word_comes_before_the_caller_s() {
        let options = TaskOptions { priority: Some(9), ..TaskOptions::default() };
        let of = |queue: &str| FunctionOptions { queue: Some(queue.into()), ..FunctionOptions::default() };
        let (worker, caller) = (of("worker's"), of("caller's"));
        let asked = Asked { registered: Some(&caller), ..asked(&options, None) };
        let found = |function| {
            let run = resolve(&asked, function).0;
            (run.queue.unwrap_or_default(), run.priority)
        };
        assert_eq!(found(None), ("caller's".to_owned(), 9));
        assert_eq!(found(Some(&worker)), ("worker's".to_owned(), 9));
        // What the worker leaves out is the default.
        assert_eq!(found(Some(&FunctionOptions::default())), (String::new(), 9));
    }

    #[test]
    fn a_route_has_its_tags_once_and_the_task_as_they_were_said() {
        let tags = vec!["b".to_owned(), "a".to_owned(), "b".to_owned()];
        let options = TaskOptions { tags: Some(tags.clone()), ..TaskOptions::default() };
        let (resolved, route) = resolve(&asked(&options, None), None);
        assert_eq!((resolved.tags, route.tags), (tags, vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn a_key_is_its_owner_s_until_the_owner_fails() {
        let (task, owner) = (Id::from_u128(1), Id::from_u128(2));
        let found = |state| Found { args_hash: Some(HASH.to_vec()), owner: Some(owner), state, ..Found::default() };
        let means = |found| reserve("f", "k", &HASH, KeyReuse::AfterFailure, task, found).unwrap();
        assert_eq!(means(found(Some(TaskState::Waiting))), Reservation::Join { owner });
        let done = Reservation::Done { owner: Some(owner), result: Payload::null() };
        assert_eq!(means(found(Some(TaskState::Completed))), done);
        assert_eq!(means(found(Some(TaskState::Failed))), Reservation::Owner);
        assert_eq!(means(found(None)), Reservation::Owner, "its owner was cleaned up");
        let own = Found { owner: Some(task), ..found(Some(TaskState::Pending)) };
        assert_eq!(means(own), Reservation::Owner, "it is its own already");
        assert!(reserve("f", "k", &[8; 32], KeyReuse::Never, task, found(None)).is_err());
        for (state, expected) in [
            (Some(TaskState::Failed), Reservation::Over { owner }),
            (Some(TaskState::Cancelled), Reservation::Over { owner }),
            (Some(TaskState::Running), Reservation::Join { owner }),
            (None, Reservation::Owner),
        ] {
            assert_eq!(reserve("f", "k", &HASH, KeyReuse::Never, task, found(state)).unwrap(), expected);
        }
    }
}
