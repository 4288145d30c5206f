//! Whose a unique key of dispatches is.

use crate::model::{DispatchOptions, Error, ExecutionState, Existing, Id, Result, Timestamp};

/// Who took a key last.
pub(in crate::backend) struct Holder {
    pub execution: Id,
    pub dispatched_at: Timestamp,
    /// `None`: it is not there any more.
    pub state: Option<ExecutionState>,
    /// No worker has had it yet.
    pub waits: bool,
}

/// What becomes of a dispatch with a unique key.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::backend) enum KeyIs {
    /// The key is free, and the dispatch starts.
    Free,
    /// Nothing starts: the holder's id is the answer.
    Held,
    /// The holder waits for a quiet time: he gets the dispatch's arguments, and may start then.
    Debounced { starts_at: Timestamp },
}

/// Is the key of this dispatch another's? With `unique_for` for so long after his dispatch, whatever became of it; with
/// `debounce` until a worker has him; else as long as he is not over.
pub(in crate::backend) fn key_is(
    function: &str,
    options: &DispatchOptions,
    now: Timestamp,
    holder: &Holder,
) -> Result<KeyIs> {
    if let Some(quiet) = options.debounce {
        let latest = options.debounce_max.map(|most| holder.dispatched_at.after(most));
        let quiet_at = now.after(quiet);
        let starts_at = latest.map_or(quiet_at, |latest| latest.min(quiet_at));
        return Ok(if holder.waits { KeyIs::Debounced { starts_at } } else { KeyIs::Free });
    }
    let held = match options.unique_for {
        Some(window) => now < holder.dispatched_at.after(window),
        None => holder.state.is_some_and(|state| !state.is_terminal()),
    };
    match (held, options.unique_existing) {
        (false, _) => return Ok(KeyIs::Free),
        (true, Existing::Return) => return Ok(KeyIs::Held),
        (true, Existing::Refuse) => {}
    }
    let (key, id) = (options.unique_key.as_deref().unwrap_or_default(), holder.execution);
    let state = match holder.state {
        // Whether it has begun is not in each store's execution.
        Some(state) if !state.is_terminal() => "not over",
        Some(state) => state.as_str(),
        None => "not there any more",
    };
    Err(Error::conflict(format!(
        "dispatch: the unique key '{key}' of {function} is taken by execution {id}, which is {state}; nothing was started"
    ))
    .with("unique_key", key)
    .with("execution_id", id.to_string()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Status;

    fn options(window: Option<u64>, existing: Existing) -> DispatchOptions {
        let unique_for = window.map(Duration::from_micros);
        DispatchOptions { unique_key: Some("k".into()), unique_for, unique_existing: existing, ..Default::default() }
    }

    #[test]
    fn a_key_is_held_by_what_goes_on_or_for_its_window() {
        use ExecutionState::{Cancelled, Cancelling, Completed, Failed, Pending, Running, TimedOut};
        let at = Timestamp::from_micros(10);
        let held = |window, now, state| {
            let holder = Holder { execution: Id::from_u128(7), dispatched_at: at, state, waits: true };
            let found = key_is("f", &options(window, Existing::Return), Timestamp::from_micros(now), &holder).unwrap();
            found == KeyIs::Held
        };
        assert!([Pending, Running, Cancelling].into_iter().all(|state| held(None, 999, Some(state))));
        assert!([Completed, Failed, TimedOut, Cancelled].into_iter().all(|state| !held(None, 10, Some(state))));
        assert!(!held(None, 10, None));
        for state in [None, Some(Running), Some(Failed)] {
            assert!(held(Some(5), 14, state) && !held(Some(5), 15, state));
        }
    }

    #[test]
    fn who_wants_no_other_is_told_whose_it_is() {
        let (execution, dispatched_at) = (Id::from_u128(7), Timestamp::default());
        let holder = Holder { execution, dispatched_at, state: None, waits: false };
        let ask = |window| key_is("f", &options(Some(window), Existing::Refuse), Timestamp::default(), &holder);
        let why = ask(1).unwrap_err();
        assert_eq!(why.status(), Status::Conflict);
        assert!(why.message().contains(&holder.execution.to_string()), "{why}");
        assert_eq!(ask(0).unwrap(), KeyIs::Free);
    }

    #[test]
    fn one_that_no_worker_has_had_gets_the_last_arguments_after_a_quiet_time() {
        let at = Timestamp::from_micros;
        let micros = Duration::from_micros;
        let found = |most: Option<u64>, now, waits| {
            let options = DispatchOptions {
                unique_key: Some("k".into()),
                debounce: Some(micros(5)),
                debounce_max: most.map(micros),
                ..Default::default()
            };
            let state = Some(ExecutionState::Pending);
            let holder = Holder { execution: Id::from_u128(7), dispatched_at: at(10), state, waits };
            key_is("f", &options, at(now), &holder).unwrap()
        };
        let starts = |micros| KeyIs::Debounced { starts_at: at(micros) };
        assert_eq!([found(None, 12, true), found(None, 99, true)], [starts(17), starts(104)]);
        assert_eq!([found(Some(8), 12, true), found(Some(8), 14, true)], [starts(17), starts(18)]);
        assert_eq!(found(Some(8), 30, true), starts(18), "at once");
        assert_eq!(found(None, 12, false), KeyIs::Free);
    }
}
